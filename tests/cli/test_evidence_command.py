"""`lamppost evidence` hands over what the law allows, leaves a trace first, and tells each kind of no."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.errors import EvidenceCutError, NotWitnessedError, WrongRecipientError
from provisioning import __main__ as program
from provisioning.authority import pkcs8
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.keys import CARD_FILE, PRIVATE_FILE
from provisioning.authority.trust import trust_city
from provisioning.evidence.city_log import CityLog
from tests.fakes.exhibits import CUSTODIAN, PARTY, STRANGER, WITNESS_KEY, Pole, Take, city_with_sharing
from tests.fakes.officials import official

NOW = datetime.now(UTC).replace(microsecond=0)
BEGAN = NOW - timedelta(hours=1)
MANNER = ("--yes", "--no-pdf")  # a PDF takes longer than all the rest
PASSPHRASE = "four words nobody joins"


@dataclass(frozen=True)
class Desk:
    """A custodian's desk: the city, their key folder, what opens footage, a card with a camera's state."""

    city: CityFolder
    pole: Pole
    folder: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    city = city_with_sharing(folder / "city", founded_at=NOW - timedelta(days=1))
    takes = tuple(Take(BEGAN + timedelta(seconds=seconds)) for seconds in (0, 2, 4))
    pole = Pole(folder / "card", takes=takes)
    key = official("custodian")
    (folder / "key").mkdir()
    (folder / "key" / CARD_FILE).write_bytes(key.card.dump())
    private = key.signer._private_key  # type: ignore[attr-defined]  # the fake's signer is a CryptoSigner
    (folder / "key" / PRIVATE_FILE).write_bytes(pkcs8.seal_private_key(private, PASSPHRASE))
    trust_city(folder / "key", read_city(city).first_root)
    (folder / "passphrase").write_text(PASSPHRASE)
    (folder / "day.key").write_text(f"{CUSTODIAN.reveal()}\n")
    (folder / "party.key").write_text(f"{PARTY.reveal()}\n")
    (folder / "stranger.key").write_text(f"{STRANGER.reveal()}\n")
    (folder / "party.pub").write_text(f"# the circuit attorney's\n{PARTY.recipient}\n")
    assert pole.witnessed is not None
    (folder / "witnessed").write_bytes(pole.witnessed)
    return Desk(city, pole, folder)


@pytest.fixture
def desk(built: Desk) -> Desk:
    shutil.rmtree(built.city.path / "log", ignore_errors=True)
    return built


Lamppost = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lamppost(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lamppost:
    """Run the program as its entry point does, in this process."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lamppost", "evidence", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            program.main()
        told = capsys.readouterr()
        return int(exit_.value.code or 0), told.out, told.err

    return run


def words(desk: Desk, out: Path, **changes: Any) -> list[str | Path]:
    """Return the words of an export; None leaves an option out."""
    options: dict[str, Any] = {
        "camera": desk.pole.camera_id,
        "case": "2026-CR-118",
        "from": (BEGAN + timedelta(seconds=1)).isoformat(),
        "to": (BEGAN + timedelta(seconds=5)).isoformat(),
        "to-party": "law-enforcement",
        "basis": "prosecution",
        "party": "Circuit Attorney",
        "reason": "The robbery.",
        "recipient": desk.folder / "party.pub",
        "identity": desk.folder / "day.key",
        "city": desk.city.path,
        "key": desk.folder / "key",
        "log-key": desk.pole.log_key,
        "witnessed": desk.folder / "witnessed",
        "witness": WITNESS_KEY,
        "passphrase-file": desk.folder / "passphrase",
        "out": out,
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    given = [(f"--{name}", str(value)) for name, value in options.items() if value is not None]
    return ["export", desk.pole.folder, *(word for pair in given for word in pair), *MANNER]


def test_an_export_is_verified_by_who_receives_it(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    assert lamppost(*words(desk, tmp_path / "out"))[0] == 0

    status, out, err = lamppost("verify", tmp_path / "out", "--json", "--identity", desk.folder / "party.key")

    told = json.loads(out)
    assert (status, told["verdict"], told["findings"]) == (0, "holds", [])
    assert "is what it claims to be" in err


def test_who_knows_the_city_is_told_nothing_to_compare(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    lamppost(*words(desk, tmp_path / "out"))

    known = lamppost("verify", tmp_path / "out", "--city", desk.city.path)
    trusted = lamppost("verify", tmp_path / "out", "--key", desk.folder / "key")
    unknown = lamppost("verify", tmp_path / "out")

    assert "compare the fingerprint" not in known[2] + trusted[2]
    assert "compare the fingerprint" in unknown[2]


def test_an_export_without_a_witness_says_so_at_both_ends(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    status, _, err = lamppost(*words(desk, tmp_path / "out", witnessed=None, witness=None))

    assert status == 0
    assert "no witness" in err
    assert lamppost("verify", tmp_path / "out")[0] == NotWitnessedError.exit_status


def test_each_kind_of_no_has_its_status(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    lamppost(*words(desk, tmp_path / "out"))

    stranger = lamppost("verify", tmp_path / "out", "--identity", desk.folder / "stranger.key")
    next((tmp_path / "out/segments").glob("*.age")).unlink()
    dropped = lamppost("verify", tmp_path / "out")

    assert (stranger[0], dropped[0]) == (WrongRecipientError.exit_status, EvidenceCutError.exit_status)
    assert "lamppost: error: " in dropped[2]
    assert "cut: segments/" in dropped[2]


def test_a_civil_party_without_a_warrant_gets_nothing_and_the_city_knows(
    lamppost: Lamppost, desk: Desk, tmp_path: Path
) -> None:
    status, _, err = lamppost(*words(desk, tmp_path / "out", to_party="public", basis="city-discretion"))

    assert status == 65
    assert "(EX-T2-2)" in err
    assert list(tmp_path.iterdir()) == []
    [entry] = CityLog(desk.city.path / "log").read()
    assert (entry.kind, entry.facts["clause"]) == ("evidence-export-refused", "EX-T2-2")


def test_an_export_that_is_given_up_stays_in_the_citys_log(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("not the passphrase")

    status, _, _ = lamppost(*words(desk, tmp_path / "out", passphrase_file=tmp_path / "wrong"))

    assert status != 0
    assert not (tmp_path / "out").exists()
    [entry] = CityLog(desk.city.path / "log").read()
    assert entry.kind == "evidence-export-begun"


def test_a_wrong_identity_leaves_no_folder(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    status, _, err = lamppost(*words(desk, tmp_path / "out", identity=desk.folder / "stranger.key"))

    assert status == 77
    assert "none of 1 identities opens" in err
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_never_overwritten(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    status, _, err = lamppost(*words(desk, tmp_path / "out"))

    assert status == 64
    assert "is there already" in err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"from": "yesterday"}, "is not a time"),
        ({"to": "2020-01-01T00:00:00Z"}, "is not before"),
        ({"log_key": "lamppost/cam-07/x+00000000+AA=="}, "a verifier key"),
        ({"reason": "two\nlines"}, "reason"),
        ({"party": " "}, "party"),
        ({"recipient": "age1nobody"}, "of a key"),
    ],
)
def test_words_that_make_no_sense_change_nothing(
    changes: dict[str, str], said: str, lamppost: Lamppost, desk: Desk, tmp_path: Path
) -> None:
    status, _, err = lamppost(*words(desk, tmp_path / "out", **changes))

    assert status != 0
    assert said in err
    assert not (desk.city.path / "log").exists()
    assert list(tmp_path.iterdir()) == []


def test_the_report_tells_a_clerk_who_why_and_what(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    lamppost(*words(desk, tmp_path / "out", reason="A <script>alert(1)</script> reason."))

    page = (tmp_path / "out/report.html").read_text()

    assert "<script" not in page
    for told in ("2026-CR-118", "Circuit Attorney", "EX-T2-1", "prosecution", "<svg", "A &lt;script&gt;"):
        assert told in page


def test_who_received_it_opens_the_video_and_the_report(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    lamppost(*words(desk, tmp_path / "out"))

    status, _, _ = lamppost(
        "open", tmp_path / "out", "--identity", desk.folder / "party.key", "--out", tmp_path / "opened"
    )

    assert status == 0
    assert (tmp_path / "opened/footage.mp4").read_bytes()[4:8] == b"ftyp"
    assert (tmp_path / "opened/footage.mp4").stat().st_mode & 0o777 == 0o600
    assert "data:image/jpeg" in (tmp_path / "opened/report.html").read_text()


def test_a_certificate_made_here_signs_the_video_and_the_report_is_a_pdf_too(
    lamppost: Lamppost, desk: Desk, tmp_path: Path
) -> None:
    certificate = tmp_path / "certificate"
    secret = ("--passphrase-file", desk.folder / "passphrase")
    made = lamppost("certificate", certificate, "--city", desk.city.path, *secret)
    again = lamppost("certificate", certificate, "--city", desk.city.path, *secret)
    signing = words(
        desk, tmp_path / "out", credential=certificate, credential_passphrase_file=desk.folder / "passphrase"
    )
    exported = lamppost(*signing[:-1], "--pdf")
    verified = lamppost("verify", tmp_path / "out", "--identity", desk.folder / "party.key")
    lamppost("open", tmp_path / "out", "--identity", desk.folder / "party.key", "--out", tmp_path / "opened")

    assert [each[0] for each in (made, again, exported, verified)] == [0, 64, 0, 0]
    assert "without" not in exported[2]
    assert "carries content credentials of Example City" in verified[2]
    assert sorted(path.name for path in (tmp_path / "opened").iterdir()) == [
        "footage.mp4",
        "report.html",
        "report.pdf",
    ]


def test_nobody_else_opens_anything(lamppost: Lamppost, desk: Desk, tmp_path: Path) -> None:
    lamppost(*words(desk, tmp_path / "out"))

    status, _, _ = lamppost(
        "open", tmp_path / "out", "--identity", desk.folder / "stranger.key", "--out", tmp_path / "opened"
    )

    assert status == 77
    assert list((tmp_path / "opened").iterdir()) == []
