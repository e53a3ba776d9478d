"""The log's key is made once, is nobody else's to read, and signs what its public half verifies."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.adapters.keyring import CREDENTIAL, FileKeyring, credentials_folder, open_keyring
from agent.errors import LogKeyError


def test_a_key_is_made_at_the_first_start_and_found_at_the_next(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.pem"

    first, second = open_keyring(path), open_keyring(path)

    assert first.public == second.public
    assert first.kind == "file"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    Ed25519PublicKey.from_public_bytes(first.public).verify(second.sign(b"message"), b"message")


def test_two_devices_have_two_keys(tmp_path: Path) -> None:
    assert open_keyring(tmp_path / "a.pem").public != open_keyring(tmp_path / "b.pem").public


def test_a_credential_comes_before_the_file_which_is_then_not_made(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    given = open_keyring(credentials / CREDENTIAL)

    found = open_keyring(tmp_path / "log.pem", credentials=credentials)

    assert found.public == given.public
    assert not (tmp_path / "log.pem").exists()


def test_a_credential_has_the_mode_that_systemd_gives_it_and_is_refused_only_if_everybody_may_read_it(
    tmp_path: Path,
) -> None:
    credentials = tmp_path / "credentials"
    given = open_keyring(credentials / CREDENTIAL)

    (credentials / CREDENTIAL).chmod(0o440)  # the group bits are the mask of an access control list
    assert open_keyring(tmp_path / "log.pem", credentials=credentials).public == given.public

    (credentials / CREDENTIAL).chmod(0o444)
    with pytest.raises(LogKeyError, match="has mode 444"):
        open_keyring(tmp_path / "log.pem", credentials=credentials)


def test_a_folder_of_other_credentials_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()

    open_keyring(tmp_path / "log.pem", credentials=tmp_path / "credentials")

    assert (tmp_path / "log.pem").exists()


def test_systemd_says_where_the_credentials_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/lamppost.service")
    assert credentials_folder() == Path("/run/credentials/lamppost.service")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert credentials_folder() is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused_and_not_replaced(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "log.pem"
    open_keyring(path)
    before = path.read_bytes()
    path.chmod(mode)

    with pytest.raises(LogKeyError, match="expected 600"):
        open_keyring(path)

    assert path.read_bytes() == before


OTHER_KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

# The same with one bit of its algorithm changed, as a tired card does.
UNKNOWN_KEY = OTHER_KEY.replace(b"MBMGByqGSM49AgEG", b"MBMGByqGSM48AgEG")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "no private key"),
        (UNKNOWN_KEY, "no private key"),
        (b"x" * 5000, "larger than"),
        (OTHER_KEY, "of another kind"),
    ],
    ids=["empty", "unknown", "large", "another kind"],
)
def test_what_is_no_key_is_refused_and_not_replaced(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "log.pem"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(LogKeyError, match=match):
        open_keyring(path)

    assert path.read_bytes() == content


def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogKeyError, match="no such file"):
        FileKeyring(tmp_path / "log.pem")
