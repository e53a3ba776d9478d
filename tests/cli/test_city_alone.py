"""One official narrows, holds and revokes alone; only the full approval lifts."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.core.policy.documents import EpochKeys, Grant
from agent.errors import ClauseViolationError, LamppostError, SignatureError, UsageError
from provisioning import __main__ as lamppost
from provisioning.authority import desk
from provisioning.authority.city import CityFolder, publish, read_city
from provisioning.authority.cross_check import AnyDocument, documents_of
from provisioning.authority.draft_signing import check_draft
from provisioning.authority.keys import KeyCard, OfficialKey
from provisioning.authority.trust import trust_city
from tests.fakes.documents import grant
from tests.fakes.officials import enact, found, official, signed_by

PASSPHRASE = "four words nobody joins"
NOW = datetime.now(UTC).replace(microsecond=0)
APPROVING = ("city-manager", "it-director", "police-chief")
Run = Callable[..., str]


@pytest.fixture
def city(tmp_path: Path) -> CityFolder:
    """A city in force at this moment, with one grant for cam-07."""
    folder = found(tmp_path / "city", now=NOW - timedelta(hours=1))
    enact(
        folder,
        grant(starts_at=NOW - timedelta(days=1), ends_at=NOW + timedelta(days=30)),
        *APPROVING,
        now=NOW - timedelta(hours=1),
    )
    return folder


@pytest.fixture
def run(city: CityFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command as the holder of an office would, with a key of the founded city."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(office: str, command: str, *words: str, at_the_backend: bool = True) -> str:
        folder = tmp_path / office
        if not folder.exists():
            folder.mkdir()
            (folder / "card.json").write_bytes(official(office).card.dump())
            trust_city(folder, read_city(city).first_root)
        module = "provisioning.authority.desk"
        # scrypt is tested where keys are; here the key is the one in the fake city's memory
        monkeypatch.setattr(f"{module}.open_key", lambda folder, _ask: _key_of(KeyCard.read(folder)))
        place = ["--city", str(city.path), "--key", str(folder), "--yes", *(["--publish"] if at_the_backend else [])]
        app = lamppost._application(command)
        result = CliRunner().invoke(app, [command, *words, *place])
        if isinstance(result.exception, LamppostError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return run


def _key_of(card: KeyCard) -> OfficialKey:
    return official(card.office)


def published(city: CityFolder, kind: str) -> list[AnyDocument]:
    return [one for one in documents_of(read_city(city).documents).values() if one.kind == kind]


def test_a_restriction_is_drafted_signed_and_published_in_one_step(city: CityFolder, run: Run) -> None:
    output = run("police-chief", "restrict", "cam-07", "--dark", "--no-live", "--reason", "A complaint.")

    (restriction,) = published(city, "restriction")
    assert restriction.id == f"r-police-chief-{NOW.year}-001"
    assert "goes dark" in output


@pytest.mark.parametrize(
    "words",
    [
        ("--people", "scene"),
        ("--hours", "mon-fri 07:00-19:00", "--hours", "sat 10:00-14:00"),
        ("--retention-days", "7"),
        ("--picture", "720@10"),
        ("--suspend-role", "investigator"),
        ("--suspend-model", "ab" * 32),
        ("--no-biometrics", "--no-originals"),
    ],
)
def test_everything_that_can_be_narrowed_has_a_word(city: CityFolder, run: Run, words: tuple[str, ...]) -> None:
    run("it-director", "restrict", "all", "--reason", "Under review.", *words)

    assert len(published(city, "restriction")) == 1


def test_areas_are_masked_from_a_file(city: CityFolder, run: Run, tmp_path: Path) -> None:
    (tmp_path / "zones.toml").write_text(
        "[view]\naspect_width = 16\naspect_height = 9\nrotation_degrees = 0\n"
        '[[zones]]\nname = "playground"\npolygon = [[0.5, 0.5], [0.9, 0.5], [0.9, 0.9]]\n'
    )

    output = run("it-director", "restrict", "cam-07", "--reason", "New.", "--zones", str(tmp_path / "zones.toml"))

    assert "playground" in output


def test_a_restriction_of_nothing_is_refused(city: CityFolder, run: Run) -> None:
    with pytest.raises(UsageError, match="nothing is narrowed"):
        run("police-chief", "restrict", "cam-07", "--reason", "A complaint.")

    assert published(city, "restriction") == []


def test_a_restriction_without_a_written_reason_is_refused(city: CityFolder, run: Run) -> None:
    with pytest.raises(ClauseViolationError, match="JC-12"):
        run("police-chief", "restrict", "cam-07", "--dark", "--reason", " ")

    assert published(city, "restriction") == []


def test_a_signed_restriction_can_be_mailed_to_the_operator(city: CityFolder, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "dark.draft"
    run(
        "police-chief", "restrict", "cam-07", "--dark", "--reason", "A complaint.", "--out", str(out),
        at_the_backend=False,
    )  # fmt: skip
    assert published(city, "restriction") == []

    publish(city, desk.read_draft(out), now=datetime.now(UTC))

    assert len(published(city, "restriction")) == 1


def test_a_hold_names_its_case_and_span(city: CityFolder, run: Run) -> None:
    run(
        "custodian", "hold", "cam-07", "--reason", "Oversight asked.", "--case", "OVS-1",
        "--from", "2026-11-01T00:00:00Z", "--until", "2026-11-02T00:00:00Z",
    )  # fmt: skip

    assert len(published(city, "hold")) == 1


def test_a_waiver_ends_by_itself(city: CityFolder, run: Run) -> None:
    run(
        "city-manager", "waive", "cam-07", "--reason", "A missing child.", "--basis", "life", "--for", "10d",
        "--people", "heads",
    )  # fmt: skip

    (waiver,) = published(city, "waiver")
    assert waiver.ends_at is not None
    assert waiver.ends_at - waiver.starts_at == timedelta(days=10)


def test_a_waiver_of_thirty_days_is_refused_with_the_clause(city: CityFolder, run: Run) -> None:
    with pytest.raises(ClauseViolationError, match=r"SL-5\.1"):
        run(
            "city-manager", "waive", "cam-07", "--reason", "Long.", "--basis", "life", "--for", "30d",
            "--people", "heads",
        )  # fmt: skip

    assert published(city, "waiver") == []


def test_a_revocation_says_what_it_cannot_undo(city: CityFolder, run: Run) -> None:
    output = run("police-chief", "revoke", "cam-07", "--action", "erase", "--reason", "Stolen.")

    assert "nothing can undo this" in output
    assert len(published(city, "revocation")) == 1


def test_an_office_the_charter_does_not_name_revokes_nothing(city: CityFolder, run: Run) -> None:
    before = city.bundle_path.read_bytes()

    with pytest.raises((SignatureError, ClauseViolationError)):
        run("custodian", "revoke", "cam-07", "--action", "pause", "--reason", "Trying.")

    assert city.bundle_path.read_bytes() == before


def test_a_lift_renews_the_grant_and_needs_everyone(city: CityFolder, run: Run, tmp_path: Path) -> None:
    run("police-chief", "restrict", "cam-07", "--dark", "--reason", "A complaint.")
    (restriction,) = published(city, "restriction")
    out = tmp_path / "lift.draft"
    app = lamppost._application("lift")
    words = ["lift", restriction.id, "--city", str(city.path), "--reason", "Unfounded.", "--issued-by", "city-manager"]
    assert CliRunner().invoke(app, [*words, "--out", str(out)]).exit_code == os.EX_OK
    draft = desk.read_draft(out)
    root = read_city(city).first_root
    now = datetime.now(UTC)

    with pytest.raises(SignatureError, match="missing"):
        publish(city, signed_by(draft, "city-manager", root=root, now=now), now=now)
    publish(city, signed_by(draft, *APPROVING, root=root, now=now), now=now)

    (renewed,) = published(city, "grant")
    assert isinstance(renewed, Grant)
    assert renewed.lifts == (restriction.id,)
    assert check_draft(draft, root, now=now).signed == ()


def test_brackets_in_a_reason_are_shown_and_obeyed_by_nothing(run: Run) -> None:
    output = run("police-chief", "restrict", "cam-07", "--dark", "--reason", "[red]loud[/] :boom: [/nothing]")

    assert "[red]loud[/] :boom: [/nothing]" in output


def test_epochs_are_made_ahead_once(
    city: CityFolder, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.authority.vault.SCRYPT_LOG_N", 10)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    words = (
        "create",
        "--days",
        "40",
        "--vault",
        str(tmp_path / "vault"),
        "--passphrase-file",
        str(tmp_path / "passphrase"),
    )
    run("custodian", "epochs", *words)
    first = city.bundle_path.read_bytes()

    output = run("custodian", "epochs", *words)

    assert "nothing to do" in output
    assert city.bundle_path.read_bytes() == first
    days = [day.day for one in published(city, "epochs") if isinstance(one, EpochKeys) for day in one.days]
    assert sorted(days) == [datetime.now(UTC).date() + n * timedelta(days=1) for n in range(40)]
    assert len(list((tmp_path / "vault" / "days").glob("*.age"))) == 40
