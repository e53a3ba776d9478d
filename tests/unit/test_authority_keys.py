"""An official's key is made on their machine, encrypted from birth, and says whose it is."""

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, Signature, Signer

from agent.errors import KeyFormatError, SignatureError, UsageError
from provisioning.authority.keys import KeyCard, adopt_token, make_key, open_key

PASSPHRASE = "four words nobody joins"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_opens_with_its_passphrase_and_signs_for_its_card(tmp_path: Path) -> None:
    card = make_key(tmp_path / "chief", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)

    key = open_key(tmp_path / "chief", lambda: PASSPHRASE)

    assert key.card == card
    card.key.verify_signature(key.signer.sign(b"document"), b"document")


def test_the_private_key_is_for_its_owner_only_and_never_clear(tmp_path: Path) -> None:
    make_key(tmp_path / "chief", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)

    assert mode(tmp_path / "chief") == 0o700
    assert mode(tmp_path / "chief" / "private.pem") == 0o600
    assert (tmp_path / "chief" / "private.pem").read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_a_wrong_passphrase_opens_nothing(tmp_path: Path) -> None:
    make_key(tmp_path / "chief", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)

    with pytest.raises(SignatureError, match="passphrase does not open"):
        open_key(tmp_path / "chief", lambda: "four words nobody knows")


def test_openssl_reads_the_private_key(tmp_path: Path) -> None:
    make_key(tmp_path / "chief", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)

    command = ["openssl", "pkey", "-in", str(tmp_path / "chief" / "private.pem"), "-passin", "stdin", "-noout"]
    done = subprocess.run(command, input=PASSPHRASE.encode(), capture_output=True, check=False)

    assert done.returncode == 0, done.stderr


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path / "chief", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)
    before = (tmp_path / "chief" / "private.pem").read_bytes()

    with pytest.raises(UsageError, match="holds a key already"):
        make_key(tmp_path / "chief", office="police-chief", name="B. Chief", passphrase=PASSPHRASE)

    assert (tmp_path / "chief" / "private.pem").read_bytes() == before


@pytest.mark.parametrize("passphrase", ["", "short", "ninechars"])
def test_a_passphrase_that_protects_nothing_is_refused(tmp_path: Path, passphrase: str) -> None:
    with pytest.raises(UsageError, match="passphrase has"):
        make_key(tmp_path / "chief", office="police-chief", name="A. Chief", passphrase=passphrase)

    assert not (tmp_path / "chief").exists()


@pytest.mark.parametrize("office", ["", "Police Chief", "../etc", "a" * 41, "chief-", "grants/*"])
def test_an_office_is_a_slug(tmp_path: Path, office: str) -> None:
    with pytest.raises(UsageError, match="is not an office"):
        make_key(tmp_path / "chief", office=office, name="A. Chief", passphrase=PASSPHRASE)

    assert not (tmp_path / "chief").exists()


def test_a_card_survives_the_mail(tmp_path: Path) -> None:
    card = make_key(tmp_path / "chief", office="police-chief", name="Ä. Chief", passphrase=PASSPHRASE)

    assert KeyCard.parse(card.dump()) == card
    assert card.signed_key().unrecognized_fields == {
        "x-lamppost-office": "police-chief",
        "x-lamppost-name": "Ä. Chief",
    }


def test_a_card_whose_key_was_exchanged_is_refused(tmp_path: Path) -> None:
    mine = make_key(tmp_path / "mine", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)
    other = make_key(tmp_path / "other", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)
    forged = json.loads(mine.dump())
    forged["key"] = json.loads(other.dump())["key"]

    with pytest.raises(KeyFormatError, match="fingerprint"):
        KeyCard.parse(json.dumps(forged).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'{"kind":"lamppost-key-card"}', b"\xff", b"[" * 5000])
def test_what_is_no_card_is_refused(raw: bytes) -> None:
    with pytest.raises(KeyFormatError):
        KeyCard.parse(raw)


def test_a_key_that_cameras_do_not_read_is_refused() -> None:
    key = CryptoSigner.generate_ecdsa().public_key

    with pytest.raises(KeyFormatError, match="expected ed25519"):
        KeyCard(office="police-chief", name="A. Chief", key=key)


def test_a_private_key_under_another_card_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path / "mine", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)
    other = make_key(tmp_path / "other", office="police-chief", name="A. Chief", passphrase=PASSPHRASE)
    (tmp_path / "mine" / "card.json").write_bytes(other.dump())

    with pytest.raises(SignatureError, match="not the one on its card"):
        open_key(tmp_path / "mine", lambda: PASSPHRASE)


def test_a_token_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no signer for 'abacus'"):
        adopt_token(tmp_path / "token", office="police-chief", name="A. Chief", uri="abacus:1")

    assert not (tmp_path / "token").exists()


def test_a_token_whose_library_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not installed"):
        adopt_token(tmp_path / "token", office="police-chief", name="A. Chief", uri="hsm:")

    assert not (tmp_path / "token").exists()


class FakeToken(Signer):
    """A hardware token that answers to `faketoken:`; its key never leaves this class."""

    inside = CryptoSigner.generate_ed25519()

    @property
    def public_key(self) -> Key:
        return self.inside.public_key

    @classmethod
    def import_(cls, _slot: str) -> tuple[str, Key]:
        return "faketoken:1", cls.inside.public_key

    @classmethod
    def from_priv_key_uri(  # the library's signature
        cls,
        priv_key_uri: str,  # noqa: ARG003 - likewise
        public_key: Key,  # noqa: ARG003 - likewise
        secrets_handler: Any = None,
    ) -> "FakeToken":
        if secrets_handler("pin") != "1234":
            raise ValueError("wrong PIN")
        return cls()

    def sign(self, payload: bytes) -> Signature:
        return self.inside.sign(payload)


def test_a_token_signs_and_its_folder_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "faketoken", FakeToken)
    card = adopt_token(tmp_path / "token", office="police-chief", name="A. Chief", uri="faketoken:1")

    key = open_key(tmp_path / "token", lambda: "1234")

    card.key.verify_signature(key.signer.sign(b"document"), b"document")
    assert {path.name for path in (tmp_path / "token").iterdir()} == {"card.json", "signer.uri"}


def test_a_token_that_does_not_answer_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "faketoken", FakeToken)
    adopt_token(tmp_path / "token", office="police-chief", name="A. Chief", uri="faketoken:1")

    with pytest.raises(SignatureError, match="does not answer: wrong PIN"):
        open_key(tmp_path / "token", lambda: "0000")
