"""An exported video carries content credentials: who made it, of what, and the camera's own proof."""

import builtins
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from agent.core.log.checkpoint import open_checkpoint, witnessed_at
from agent.core.log.merkle import leaf_hash, verify_inclusion
from agent.core.log.note import parse_verifier_key
from agent.core.sealing.age_file import open_stream
from agent.errors import EvidenceAlteredError, EvidenceError, KeyFormatError, SignatureError, UsageError
from provisioning.evidence.credentials import Credential, attach, make_credential, open_credential, read_claim
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.judging import judge, verdict
from provisioning.evidence.pictures import coded_pictures
from tests.fakes.documents import NOON
from tests.fakes.exhibits import PARTY, WITNESS_KEY, Pole, city_with_sharing, make_exhibit, restate

# The library judges a certificate by the clock of this machine, so what it signs is signed today.
TODAY = datetime.now(UTC)
PASSPHRASE = "four words nobody joins"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate, and a folder of evidence."""
    folder = tmp_path_factory.mktemp("credentials")
    credential = make_credential(folder / "certificate", city="Example City", passphrase=PASSPHRASE, now=TODAY)
    city = city_with_sharing(folder / "city")
    make_exhibit(folder / "out", Pole(folder / "card"), city, credential=credential)
    return folder


@pytest.fixture(scope="module")
def video(made: Path) -> bytes:
    return b"".join(open_stream(Exhibit(made / "out").blocks("footage.mp4.age"), [PARTY]))


def test_the_video_says_who_made_it_to_whom_knows_the_citys_root(made: Path, video: bytes) -> None:
    known = read_claim(video, root=(made / "certificate/root.pem").read_text())
    unknown = read_claim(video)

    assert known is not None
    assert unknown is not None
    assert (known.state, known.issuer, known.problems) == ("Trusted", "Example City", ())
    assert (unknown.state, unknown.problems) == ("Valid", ())


def test_the_proof_in_the_video_shows_its_origin_without_the_folder(video: bytes) -> None:
    claim = read_claim(video)
    assert claim is not None
    proof = claim.proof

    key = parse_verifier_key(proof["log_key"])
    checkpoint = open_checkpoint(proof["checkpoint"].encode(), key)
    for leaf in proof["leaves"]:
        verify_inclusion(
            index=leaf["index"],
            size=checkpoint.size,
            leaf=leaf_hash(leaf["leaf"].encode()),
            proof=[bytes.fromhex(each) for each in leaf["proof"]],
            root=checkpoint.root,
        )

    assert len(proof["leaves"]) == 4
    assert witnessed_at(proof["witnessed"].encode(), WITNESS_KEY) > NOON


def test_content_credentials_leave_the_pictures_as_they_were(made: Path, video: bytes, tmp_path: Path) -> None:
    make_exhibit(tmp_path / "plain", Pole(tmp_path / "card"), city_with_sharing(tmp_path / "city"))
    plain = b"".join(open_stream(Exhibit(tmp_path / "plain").blocks("footage.mp4.age"), [PARTY]))

    assert list(coded_pictures(video)) == list(coded_pictures(plain))
    assert read_claim(plain) is None


def test_a_picture_that_is_changed_breaks_them(video: bytes) -> None:
    changed = bytearray(video)
    changed[video.rindex(b"mdat") + 40] ^= 1

    claim = read_claim(bytes(changed))

    assert claim is not None
    assert (claim.state, claim.problems) == ("Invalid", ("assertion.bmffHash.mismatch",))


def test_whoever_can_open_the_video_is_told_that_they_hold(made: Path) -> None:
    judgement = judge(Exhibit(made / "out"), identities=[PARTY], now=NOON)

    assert verdict(judgement) is None
    assert "The video carries content credentials of Example City, and they are about this export." in judgement.holds


def test_content_credentials_of_another_export_are_named(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made / "out", tmp_path / "out"))
    other = make_credential(tmp_path / "certificate", city="Example City", passphrase=PASSPHRASE, now=TODAY)
    pole = Pole(tmp_path / "card")
    pole.append("stopped", NOON)  # the same pictures, and a log that has gone on
    pole.witness()
    make_exhibit(tmp_path / "again", pole, city_with_sharing(tmp_path / "city"), credential=other)
    shutil.copy(tmp_path / "again/footage.mp4.age", folder)
    clear = b"".join(open_stream(Exhibit(tmp_path / "again").blocks("footage.mp4.age"), [PARTY]))

    def state_it(stated: dict[str, Any]) -> None:
        stated["footage"]["clear_sha256"] = sha256(clear).hexdigest()

    restate(folder, state_it)
    no = verdict(judge(Exhibit(folder), identities=[PARTY], now=NOON))

    assert isinstance(no, EvidenceAlteredError)
    assert "about another export" in str(no)


def test_a_player_plays_it_as_before(video: bytes, tmp_path: Path) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed: apt-get install ffmpeg")
    (tmp_path / "video.mp4").write_bytes(video)

    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0",
         tmp_path / "video.mp4"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert (done.stdout.strip(), done.stderr) == ("71", "")


@pytest.mark.parametrize("missing", ["extra", "certificate"])
def test_an_export_without_them_says_so_in_a_line(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential: Credential | None = None
    if missing == "extra":
        credential = make_credential(tmp_path / "certificate", city="X", passphrase=PASSPHRASE, now=TODAY)
        import_: Callable[..., Any] = builtins.__import__

        def without(name: str, *rest: Any) -> Any:
            if name == "c2pa":
                raise ImportError(name)
            return import_(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without)
    said: list[str] = []
    pole, city = Pole(tmp_path / "card"), city_with_sharing(tmp_path / "city")

    make_exhibit(tmp_path / "out", pole, city, say=said.append, credential=credential)

    expected = {"extra": "pip install 'lamppost[export]'", "certificate": "no certificate was named (--credential)"}
    assert said == [f"without content credentials: {expected[missing]}"]
    assert verdict(judge(Exhibit(tmp_path / "out"), identities=[PARTY], now=NOON)) is None


def test_the_certificate_is_read_back_with_its_passphrase_alone(made: Path) -> None:
    folder = made / "certificate"

    assert open_credential(folder, PASSPHRASE).chain == (folder / "certificate.pem").read_text()
    with pytest.raises(SignatureError):
        open_credential(folder, "another passphrase")
    assert (folder / "private.pem").stat().st_mode & 0o777 == 0o600


def test_a_key_of_another_certificate_is_refused(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made / "certificate", tmp_path / "certificate"))
    make_credential(tmp_path / "other", city="Other", passphrase=PASSPHRASE, now=TODAY)
    shutil.copy(tmp_path / "other/private.pem", folder)

    with pytest.raises(KeyFormatError, match="not the key"):
        open_credential(folder, PASSPHRASE)


def test_a_certificate_is_never_overwritten(made: Path) -> None:
    before = {path: path.read_bytes() for path in (made / "certificate").iterdir()}

    with pytest.raises(UsageError):
        make_credential(made / "certificate", city="Example City", passphrase=PASSPHRASE, now=TODAY)

    assert {path: path.read_bytes() for path in (made / "certificate").iterdir()} == before


def test_the_key_of_the_root_is_nowhere(made: Path) -> None:
    chain = x509.load_pem_x509_certificates((made / "certificate/certificate.pem").read_bytes())

    assert sorted(path.name for path in (made / "certificate").iterdir()) == [
        "certificate.pem", "private.pem", "root.pem",
    ]  # fmt: skip
    assert open_credential(made / "certificate", PASSPHRASE).key.public_key() == chain[0].public_key()


def test_a_key_that_is_not_the_certificates_signs_nothing_that_holds(made: Path, video: bytes) -> None:
    credential = open_credential(made / "certificate", PASSPHRASE)
    stolen = replace(credential, key=generate_private_key(SECP256R1()))

    with pytest.raises(EvidenceError, match="takes no content credentials"):
        attach(video, stolen, title="x", software="0", proof={})
