"""`lamppost release` and `lamppost epochs`, typed as their pages say: by five people on five machines."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.core.policy.decision import Originals
from agent.core.policy.documents import EpochKeys
from agent.core.video import Layer
from agent.errors import (
    ClauseViolationError,
    DocumentFormatError,
    EvidenceGapError,
    KeyFormatError,
    LamppostError,
    SharesError,
    StorageError,
    UsageError,
    WrongIdentityError,
)
from provisioning import __main__ as lamppost
from provisioning.authority.city import read_city
from provisioning.authority.cross_check import documents_of
from provisioning.authority.keys import KeyCard
from provisioning.authority.trust import trust_city
from tests.fakes.documents import CAMERA
from tests.fakes.exhibits import city_with_sharing
from tests.fakes.footage import file_segment
from tests.fakes.officials import official
from tests.fakes.releasing import HOLDERS, PASSPHRASE, Releasing

pytestmark = pytest.mark.usefixtures("cheap_scrypt")

NOW = datetime.now(UTC).replace(microsecond=0)
SECOND = timedelta(seconds=1)
BEGAN = NOW - 10 * SECOND
SPAN = (f"{BEGAN + 3 * SECOND:%Y-%m-%dT%H:%M:%SZ}", f"{BEGAN + 5 * SECOND:%Y-%m-%dT%H:%M:%SZ}")
KEY = ("--passphrase-file", "passphrase", "--yes")
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Releasing:
    folder = tmp_path_factory.mktemp("desks")
    city = city_with_sharing(
        folder / "city",
        founded_at=NOW - timedelta(minutes=30),
        originals=Originals.SEALED,
        originals_recipients=("quorum",),
        recipients=("custodian", "investigator"),
    )
    days = sorted({(NOW + n * timedelta(days=1)).date() for n in range(-1, 2)})
    desks = Releasing.make(folder, city, now=NOW - timedelta(minutes=20), days=days)
    for office, home in (*desks.homes.items(), ("it-director", folder / "it-director")):
        home.mkdir(exist_ok=True)
        (home / "card.json").write_bytes(official(office).card.dump())
        trust_city(home, read_city(city).first_root)
    for number in range(5):
        at = BEGAN + 2 * number * SECOND
        for layer, name in ((Layer.MASKED, "masked"), (Layer.SEALED, "originals")):
            file_segment(
                folder / "footage",
                [desks.recipient(at.date(), name)],
                started_at=at,
                sequence=2 * number + (layer is Layer.SEALED) + 1,
                camera_id=CAMERA,
                layer=layer,
            )
    (folder / "passphrase").write_text(f"{PASSPHRASE}\n")
    (folder / "jo.pub").write_text(f"# Jo Vega\n{desks.investigator.recipient}\n")
    (folder / "jo.key").write_text(f"{desks.investigator.reveal()}\n")
    (folder / "policy.bundle").write_bytes(city.bundle_path.read_bytes())
    return desks


@pytest.fixture
def run(desks: Releasing, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command in the folder of the desks, with the keys of the city in memory; it returns JSON."""
    monkeypatch.chdir(desks.city.path.parent)
    monkeypatch.setenv("COLUMNS", "200")

    def open_key(folder: Path, _ask: object) -> Any:
        return official(KeyCard.read(folder).office)

    for module in ("authority.desk", "commands.release", "commands.epochs"):
        monkeypatch.setattr(f"provisioning.{module}.open_key", open_key, raising=False)

    def run(*words: str) -> Any:
        result = CliRunner().invoke(lamppost._application(words[0]), list(words))
        if isinstance(result.exception, LamppostError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout) if "--json" in words else result.output

    return run


ASK = (
    "release", "request", "footage", "--camera", CAMERA, "--from", SPAN[0], "--to", SPAN[1], "--case", "2026-CR-118",
    "--basis", "warrant", "--reference", "W-77", "--reason", "Robbery.", "--investigator", "Jo Vega",
    "--for", "investigator=jo-vega", "--recipient", "jo.pub",
    "--city", "city", "--key", "custodian", "--vault", "vault",
)  # fmt: skip


def changed(words: tuple[str, ...], option: str, value: str) -> tuple[str, ...]:
    """Return `words` with another value of one option."""
    at = words.index(option) + 1
    return (*words[:at], value, *words[at + 1 :])


def cause(run: Run, office: str, request: str, *, suffix: str = "") -> str:
    """Have one official approve, be recorded and hand over; return their share's file."""
    name = f"{office}{suffix}"
    own = ("--city", "policy.bundle", "--key", office, *KEY)
    run("release", "approve", request, "--reason", "I read it.", "--out", f"{name}.answer", *own)
    desk = ("--city", "city", "--key", "custodian", "--passphrase-file", "passphrase")
    run("release", "record", request, f"{name}.answer", "--out", f"{name}.recorded", *desk)
    run("release", "hand-over", request, f"{name}.recorded", "--out", f"{name}.share", *own)
    return f"{name}.share"


OPEN = ("--place", "footage", "--city", "city", "--key", "custodian", "--vault", "vault", *KEY)


def test_a_release_from_the_first_word_to_the_picture(run: Run) -> None:
    told = run(*ASK, "--out", "q.request", *KEY)
    assert "2 segments; send it to city-manager, custodian, police-chief" in told
    page = dict(run("release", "show", "q.request", "--city", "policy.bundle", "--json")["lines"])
    assert page["Case"] == "2026-CR-118"
    shares = [cause(run, office, "q.request") for office in HOLDERS]

    with pytest.raises(SharesError, match="2 of 3"):
        run("release", "open", "q.request", *shares[:2], "--out", "released", *OPEN)
    told = run("release", "open", "q.request", *shares, "--out", "released", *OPEN)

    assert "2 segments, sealed to Jo Vega alone" in told
    assert run("footage", "list", "released", "--json")["segments"][0]["layer"] == "sealed"
    opened = run(
        "footage", "open", "released", "--identity", "jo.key", "--layer", "sealed", "--out", "jo.mp4", "--json"
    )
    assert opened["segments"] == 2
    with pytest.raises(UsageError, match="is over"):
        run("release", "open", "q.request", *shares, "--out", "again", *OPEN)
    (one,) = [each for each in run("release", "list", "--city", "city", "--json") if each["handed_over"]]
    assert one["approved"] == sorted(HOLDERS)
    counted = run("release", "list", "--city", "city", "--public", "--json")
    assert counted["opened_by_basis"] == {"warrant": 1}
    assert "Jo Vega" not in json.dumps(counted)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("--basis", "curiosity", ClauseViolationError),
        ("--for", "it-administration=jo", ClauseViolationError),
        ("--for", "investigator", UsageError),
        ("--from", "yesterday", UsageError),
        pytest.param("--to", SPAN[0], UsageError, id="an end at the beginning"),
        ("--camera", "cam-99", ClauseViolationError),
        ("--reason", "", UsageError),
        ("--recipient", "passphrase", KeyFormatError),
        ("--recipient", "jo.key", KeyFormatError),
        ("--recipient", "nowhere", StorageError),
        ("--vault", "nowhere", UsageError),
        ("--key", "nowhere", LamppostError),
    ],
)
def test_a_request_that_will_not_do_is_refused_and_writes_no_letter(
    run: Run, option: str, value: str, error: type[LamppostError]
) -> None:
    with pytest.raises(error):
        run(*changed(ASK, option, value), "--out", "never.request", *KEY)

    assert not Path("never.request").exists()


@pytest.mark.parametrize("words", [("show",), ("approve", "--reason", "x", "--out", "x"), ("list",)])
def test_what_is_no_letter_is_said_to_be_none(run: Run, words: tuple[str, ...]) -> None:
    command, *more = words
    key = () if command == "show" else ("--key", "police-chief", *KEY)
    if command == "list":
        with pytest.raises(UsageError, match="whose requests"):
            run("release", "list")
        return
    for path, error in (("passphrase", DocumentFormatError), ("nowhere", StorageError), ("footage", StorageError)):
        with pytest.raises(error):
            run("release", command, path, *more, "--city", "policy.bundle", *key)


def test_an_official_refuses_and_it_is_counted(run: Run) -> None:
    before = run("release", "list", "--city", "city", "--public", "--json")["refused"]
    run(*ASK, "--out", "no.request", *KEY)
    own = ("--city", "policy.bundle", "--key", "police-chief", *KEY)
    run("release", "approve", "no.request", "--refuse", "--reason", "Too wide.", "--out", "no.answer", *own)

    told = run(
        "release", "record", "no.request", "no.answer", "--out", "no.recorded", "--city", "city", "--key", "custodian"
    )

    assert "refused" in told
    assert run("release", "list", "--city", "city", "--public", "--json")["refused"] == before + 1
    with pytest.raises(LamppostError, match="release-refused, expected release-approved"):
        run("release", "hand-over", "no.request", "no.recorded", "--out", "no.share", *own)
    with pytest.raises(SharesError, match="no share"):
        run(
            "release", "approve", "no.request", "--reason", "x", "--out", "it.answer", "--city", "policy.bundle",
            "--key", "it-director", *KEY,
        )  # fmt: skip


def test_nothing_is_written_over(run: Run) -> None:
    Path("taken").write_text("mine")

    with pytest.raises(UsageError, match="exists already"):
        run(*ASK, "--out", "taken", *KEY)

    assert Path("taken").read_text() == "mine"


# --- epochs ---------------------------------------------------------------------


def test_keys_of_both_layers_and_of_others_are_published_once(run: Run, desks: Releasing) -> None:
    """Of days that have none yet: tomorrow and before are there already."""
    offer = ("epochs", "offer", "--vault", "theirs", "--role", "investigator", "--holder", "jo-vega", "--days", "4")
    run(*offer, "--out", "jo.offer", "--passphrase-file", "passphrase")
    desk = ("--city", "city", "--key", "custodian", "--vault", "vault", "--days", "4", "--publish", *KEY)
    cards = [word for office in HOLDERS for word in ("--share-card", f"{office}.card")]
    for office in HOLDERS:
        run("release", "join", "--key", office, "--out", f"{office}.card", "--passphrase-file", "passphrase")

    run("epochs", "create", "--with", "jo.offer", *desk)
    with pytest.raises(SharesError, match="no share card"):
        run("epochs", "create", "--layer", "originals", *desk)
    run("epochs", "create", "--layer", "originals", *cards, *desk)
    again = run("epochs", "create", "--layer", "originals", *cards, *desk)

    assert "nothing to do" in again
    documents = [one for one in documents_of(read_city(desks.city).documents).values() if isinstance(one, EpochKeys)]
    holders = {(one.layer, each.holder) for one in documents for day in one.days for each in day.recipients}
    assert holders == {
        ("masked", "jun-okafor"),
        ("masked", "custodian"),
        ("masked", "jo-vega"),
        ("originals", "quorum"),
    }
    found = run("epochs", "status", "--city", "city", "--vault", "vault", "--json")
    assert {(one["layer"], one["ending"]) for one in found["published"]} == {("masked", True), ("originals", True)}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("create", "--layer", "both"), UsageError),
        (("create", "--recipient", "custodian"), UsageError),
        (("create", "--recipient", "custodian=a", "--recipient", "custodian=b"), ClauseViolationError),
        (("create", "--approved", "jun=yesterday"), UsageError),
        (("create", "--with", "passphrase"), DocumentFormatError),
        (("create", "--with", "nowhere"), StorageError),
    ],
)
def test_keys_that_will_not_do_are_not_made(run: Run, words: tuple[str, ...], error: type[LamppostError]) -> None:
    before = sorted(Path("vault").rglob("*"))

    with pytest.raises(error):
        run(
            "epochs",
            *words,
            "--days",
            "9",
            "--city",
            "city",
            "--key",
            "custodian",
            "--vault",
            "vault",
            "--publish",
            *KEY,
        )

    assert sorted(Path("vault").rglob("*")) == before


def test_minutes_are_held_and_their_neighbours_die(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = ("--city", "city", "--key", "custodian", "--vault", "vault", *KEY)
    hold = ("hold", CAMERA, "--case", "OVS-1", "--from", SPAN[0], "--until", SPAN[1], "--reason", "Oversight asked.")
    run(*hold, "--city", "city", "--key", "custodian", "--publish", *KEY)
    name = f"h-custodian-{NOW.year}-001"
    before = f"{NOW + timedelta(days=1):%Y-%m-%d}"
    with pytest.raises(ClauseViolationError, match="JC-25"):
        run("epochs", "destroy", "--before", before, "--early", "A test.", *desk)
    with pytest.raises(UsageError, match="no hold"):
        run("epochs", "hold", "h-nobody-1", "footage", *desk)

    told = run("epochs", "hold", name, "footage", *desk)
    run("epochs", "open", "--hold", name, "--vault", "vault", "--out", "hold.key", "--passphrase-file", "passphrase")
    with pytest.raises(ClauseViolationError, match="is kept until"):
        run("epochs", "destroy", "--before", before, *desk)
    run("epochs", "destroy", "--before", before, "--early", "A test.", *desk)

    assert f"{name} keeps 2 segments" in told
    assert "of the sealed layer are in the span" in told
    held = ("--headers", f"vault/held/{name}", "--identity", "hold.key", "--out", "held.mp4")
    assert run("footage", "open", "footage", *held, "--json")["segments"] == 2
    with pytest.raises(WrongIdentityError):
        run("footage", "open", "footage", "--identity", "hold.key", "--out", "all.mp4")
    day = f"{NOW:%Y-%m-%d}"
    with pytest.raises(StorageError, match="has no identity"):
        run("epochs", "open", "--day", day, "--vault", "vault", "--out", "day.key", "--passphrase-file", "passphrase")
    assert run("epochs", "status", "--city", "city", "--vault", "vault", "--json")["holds"] == [
        {"hold": name, "case": "OVS-1", "stands": True, "segments": 2, "key": True}
    ]
    receipts = run("epochs", "receipts", "vault/receipts", "--city", "city", "--json")
    assert receipts["missing"] == []
    assert receipts["receipts"][0]["early"] == "A test."

    # Forty days later only what was destroyed early has a receipt.
    monkeypatch.setattr("provisioning.commands.epochs.utc_now", lambda: NOW + timedelta(days=40))
    with pytest.raises(EvidenceGapError, match="no receipt names them"):
        run("epochs", "receipts", "vault/receipts", "--city", "city")
    with pytest.raises(UsageError, match="no receipts here"):
        run("epochs", "receipts", "footage", "--city", "city")


@pytest.mark.parametrize("words", [(), ("--day", "2026-11-28", "--hold", "h-1"), ("--hold", "h-1")])
def test_one_thing_is_opened_at_a_time(run: Run, words: tuple[str, ...]) -> None:
    with pytest.raises((UsageError, StorageError)):
        run("epochs", "open", *words, "--vault", "vault", "--out", "x.key", "--passphrase-file", "passphrase")

    assert not Path("x.key").exists()


def test_who_the_city_does_not_know_destroys_nothing(run: Run) -> None:
    with pytest.raises(LamppostError, match="police-chief"):
        run(
            "epochs", "destroy", "--before", f"{NOW + timedelta(days=9):%Y-%m-%d}", "--early", "x", "--city", "city",
            "--key", "police-chief", "--vault", "vault", "--despite", f"h-custodian-{NOW.year}-001", *KEY,
        )  # fmt: skip

    assert list(Path("vault/days").iterdir())
