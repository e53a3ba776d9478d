"""A day's key dies on time with a receipt; what is held stays open, exactly that, and dies with the hold."""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.core.policy.charter import AccessRule
from agent.core.policy.documents import Grant, Hold, Span
from agent.core.sealing.recipients import Identity, PostQuantumIdentity
from agent.core.video import Layer
from agent.errors import (
    ClauseViolationError,
    DocumentFormatError,
    FootageError,
    KeyFormatError,
    OtherSignerError,
    SharesError,
    SignatureError,
    StorageError,
    UsageError,
)
from provisioning.authority import vault as vaults
from provisioning.authority.city import read_city, refresh
from provisioning.authority.cross_check import documents_of
from provisioning.authority.vault import DayKey, open_vault, recipient_of
from provisioning.epochs import destroying
from provisioning.epochs.destroying import Doomed, destroy, due_at, everything_kept, plan, read_receipt, resume
from provisioning.epochs.holding import HELD_FOLDER, find_hold, held_segments, rewrap_held
from provisioning.epochs.making import Maker, check_approvals, offered_makers, own_makers, portions, quorum_maker
from provisioning.epochs.offering import dump_offer, parse_offer
from provisioning.epochs.standing import published_recipients, standing, without_receipt
from provisioning.evidence.order import Custodian
from provisioning.release.asking import Clerk
from provisioning.release.letters import write_letter
from tests.fakes import releasing
from tests.fakes.documents import CAMERA, DAY, NOON, charter, grant, hold
from tests.fakes.exhibits import APPROVING, city_with_sharing
from tests.fakes.footage import file_segment
from tests.fakes.officials import enact, official
from tests.fakes.releasing import HOLDERS, PASSPHRASE, Releasing

pytestmark = pytest.mark.usefixtures("cheap_scrypt")

SECOND = timedelta(seconds=1)
TODAY, TOMORROW = NOON.date(), (NOON + DAY).date()
AFTER = NOON.replace(hour=0) + 31 * DAY  # the first instant after today's retention
HELD = Span(starts_at=NOON + 4 * SECOND, ends_at=NOON + 8 * SECOND)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six segments of two seconds today and one tomorrow, in the masked layer; one of today in the sealed layer."""
    folder = tmp_path_factory.mktemp("made")
    city = city_with_sharing(folder / "city", ends_at=NOON + 60 * DAY)
    desks = Releasing.make(folder, city, now=NOON - DAY, days=[TODAY, TOMORROW])
    for number in range(7):
        at = NOON + 2 * number * SECOND if number < 6 else NOON + DAY
        day = at.date()
        file_segment(
            folder / "footage",
            [desks.recipient(day, "masked")],
            started_at=at,
            sequence=number + 1,
            camera_id=CAMERA,
        )
    file_segment(
        folder / "footage",
        [desks.recipient(TODAY, "originals")],
        started_at=NOON + 4 * SECOND,
        sequence=20,
        camera_id=CAMERA,
        layer=Layer.SEALED,
    )
    return folder


@pytest.fixture
def desks(made: Path, tmp_path: Path) -> Releasing:
    return Releasing.copied(made, tmp_path)


@pytest.fixture
def footage(desks: Releasing, tmp_path: Path) -> Path:
    return tmp_path / "footage"


def published(desks: Releasing) -> list[Any]:
    return list(documents_of(read_city(desks.city).documents).values())


def held_by(desks: Releasing, *, now: datetime = NOON, **changes: Any) -> Hold:
    """Publish a hold on 4 to 8 s."""
    made = hold(**({"issued_at": now, "starts_at": now, "spans": (HELD,)} | changes))
    enact(desks.city, made, "custodian", now=now)
    return made


def keep(desks: Releasing, held: Hold, place: Path) -> None:
    rewrap_held(
        held,
        place=place,
        folder=desks.vault_folder,
        vault=lambda: desks.vault,
        city_log=desks.city_log,
        now=NOON + DAY,
    )


def plan_at(desks: Releasing, now: datetime, **more: Any) -> Doomed:
    return plan(desks.vault_folder, desks.authority.charter, published(desks), now=now, **more)


def kill(desks: Releasing, now: datetime, *, early: str | None = None, **more: Any) -> Path:
    refresh(desks.city, now=now)
    return destroy(plan_at(desks, now, early=early is not None, **more), desks.clerk(), early=early, now=now)


def opened(place: Path, identities: Sequence[Identity], *, headers: Path | None = None) -> list[int]:
    """Return the sequence numbers of the segments that one of `identities` opens."""
    return [name.sequence for name in releasing.opened(place, identities, headers=headers)]


def kinds(desks: Releasing) -> list[str]:
    return [event.kind for event in desks.city_log.read() if event.kind != "epoch-split"]


# --- when -------------------------------------------------------------------------


def test_a_days_key_is_due_when_its_last_second_is_as_old_as_retention() -> None:
    usual = DayKey(day=TODAY, layer="masked", role="custodian")

    assert due_at(usual, charter()) == AFTER
    assert due_at(DayKey(day=TODAY, layer="masked", role="custodian", keeps="extended"), charter()) == AFTER + 60 * DAY


def test_nothing_is_due_a_second_early_and_both_layers_are_on_time(desks: Releasing) -> None:
    assert plan_at(desks, AFTER - SECOND).nothing
    assert [(key.day, key.layer) for key in plan_at(desks, AFTER).epochs] == [
        (TODAY, "masked"),
        (TODAY, "originals"),
    ]


def test_a_day_that_is_named_too_early_is_refused_with_its_clause(desks: Releasing) -> None:
    with pytest.raises(ClauseViolationError, match="is kept until 2026-12-29"):
        plan_at(desks, AFTER - SECOND, before=TOMORROW)
    with pytest.raises(UsageError, match="must be named"):
        plan_at(desks, NOON, early=True)

    assert len(everything_kept(desks.vault_folder)) == 4


# --- destroyed --------------------------------------------------------------------


def test_what_is_destroyed_opens_from_no_copy_and_the_next_day_still_does(desks: Releasing, footage: Path) -> None:
    assert opened(footage, desks.every_identity()) == [1, 2, 3, 4, 5, 6, 7]

    kill(desks, AFTER)

    assert opened(footage, desks.every_identity()) == [7]
    assert [key.day for key in everything_kept(desks.vault_folder)] == [TOMORROW, TOMORROW]
    assert not list((desks.vault_folder / "shares").glob(f"{TODAY}*"))


def test_the_receipt_says_who_destroyed_what_and_when(desks: Releasing) -> None:
    recipient = recipient_of(desks.vault_folder, DayKey(day=TODAY, layer="masked", role="custodian"))

    receipt = read_receipt(kill(desks, AFTER).read_bytes(), desks.authority)

    assert (receipt.office, receipt.says.destroyed_at, receipt.says.early) == ("custodian", AFTER, None)
    masked, sealed = receipt.says.epochs
    assert (masked.day, masked.layer, masked.shares) == (TODAY, "masked", 0)
    assert (sealed.day, sealed.layer, sealed.shares) == (TODAY, "originals", 3)
    assert masked.recipient_sha256 in published_recipients(published(desks))
    assert published_recipients(published(desks))[masked.recipient_sha256][1] == "jun-okafor"
    assert recipient.startswith("age1pq1")
    assert kinds(desks) == ["epochs-destruction-begun", "epochs-destroyed"]
    assert not (desks.vault_folder / "receipts" / "pending").exists()


def test_what_is_destroyed_early_says_why(desks: Releasing) -> None:
    receipt = read_receipt(
        kill(desks, NOON, early="A court ordered it.", before=TOMORROW).read_bytes(), desks.authority
    )

    assert receipt.says.early == "A court ordered it."
    assert desks.city_log.read()[-1].facts["early"] == "A court ordered it."


@pytest.mark.parametrize("broken", ["destroy", "destroy_epochs"])
def test_a_destruction_that_was_cut_off_is_finished(
    desks: Releasing, footage: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    where = vaults if broken == "destroy" else destroying

    def fail(*_: object) -> None:
        raise StorageError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(where, broken, fail)
        with pytest.raises(StorageError):
            kill(desks, AFTER)
    assert kinds(desks) == ["epochs-destruction-begun"]

    path = resume(desks.clerk(), now=AFTER + SECOND)

    assert path is not None
    assert len(read_receipt(path.read_bytes(), desks.authority).says.epochs) == 2
    assert opened(footage, desks.every_identity()) == [7]
    assert resume(desks.clerk(), now=AFTER + SECOND) is None
    assert kinds(desks)[-1] == "epochs-destroyed"


def test_a_wrong_passphrase_destroys_nothing_then_or_later(desks: Releasing) -> None:
    def refuse() -> Any:
        raise SignatureError("the passphrase does not open this private key")

    clerk = desks.clerk()
    clerk = Clerk(
        authority=clerk.authority,
        custodian=Custodian(card=clerk.custodian.card, unlock=refuse, identities=tuple),
        city_log=clerk.city_log,
        vault_folder=clerk.vault_folder,
        vault=clerk.vault,
    )
    with pytest.raises(SignatureError):
        destroy(plan_at(desks, AFTER), clerk, early=None, now=NOON)

    assert len(everything_kept(desks.vault_folder)) == 4
    assert resume(desks.clerk(), now=NOON) is None
    assert kinds(desks) == []


def test_only_who_publishes_keys_destroys_them(desks: Releasing) -> None:
    with pytest.raises(OtherSignerError, match="police-chief"):
        destroy(plan_at(desks, AFTER), desks.clerk(office="police-chief"), early=None, now=AFTER)

    assert len(everything_kept(desks.vault_folder)) == 4


# --- receipts ---------------------------------------------------------------------


def test_a_receipt_that_was_altered_is_refused(desks: Releasing) -> None:
    raw = kill(desks, AFTER).read_bytes()
    envelope = json.loads(raw)
    altered = {**envelope, "payload": envelope["payload"].replace(str(TODAY), str(TOMORROW))}

    with pytest.raises(SignatureError):
        read_receipt(json.dumps(altered).encode(), desks.authority)


def test_a_receipt_that_says_more_than_the_log_is_refused(desks: Releasing) -> None:
    says = read_receipt(kill(desks, AFTER).read_bytes(), desks.authority).says
    more = says.model_copy(update={"epochs": (*says.epochs, says.epochs[0])})

    with pytest.raises(DocumentFormatError, match="something else than the city's log"):
        read_receipt(write_letter("epochs-destroyed", more, official("custodian").signer), desks.authority)


def test_a_receipt_by_who_has_no_keys_is_refused(desks: Releasing) -> None:
    says = read_receipt(kill(desks, AFTER).read_bytes(), desks.authority).says

    with pytest.raises(OtherSignerError):
        read_receipt(write_letter("epochs-destroyed", says, official("police-chief").signer), desks.authority)


def test_a_key_that_is_due_and_has_no_receipt_is_named(desks: Releasing) -> None:
    ever = published_recipients(published(desks))
    law = desks.authority.charter
    assert {key.layer for key, _ in without_receipt(ever, [], law, AFTER)} == {"masked", "originals"}

    receipt = read_receipt(kill(desks, AFTER).read_bytes(), desks.authority).says

    assert without_receipt(ever, [receipt], law, AFTER) == ()
    assert len(without_receipt(ever, [receipt], law, AFTER + DAY)) == 2


# --- held -------------------------------------------------------------------------


def test_exactly_what_is_held_opens_when_its_day_is_destroyed(desks: Releasing, footage: Path) -> None:
    held = held_by(desks)
    keep(desks, held, footage)

    kill(desks, AFTER)

    headers = desks.vault_folder / HELD_FOLDER / held.id
    assert opened(footage, [desks.vault.stored_hold(held.id)], headers=headers) == [3, 4]
    assert opened(footage, desks.every_identity()) == [7]
    assert [one.starts_at for one in held_segments(desks.vault_folder, held.id)] == [
        NOON + 4 * SECOND,
        NOON + 6 * SECOND,
    ]


def test_a_hold_is_told_before_a_key_is_used_and_counts_the_sealed_layer(desks: Releasing, footage: Path) -> None:
    held = held_by(desks)

    done = rewrap_held(
        held,
        place=footage,
        folder=desks.vault_folder,
        vault=lambda: desks.vault if "hold-rewrap-begun" in kinds(desks) else pytest.fail("the log was not told"),
        city_log=desks.city_log,
        now=NOON + DAY,
    )

    assert (done.made, done.kept, done.sealed_layer, done.already_dead) == (2, 2, 1, 0)
    assert kinds(desks) == ["hold-rewrap-begun", "hold-rewrapped"]


def test_a_second_round_makes_nothing_anew(desks: Releasing, footage: Path) -> None:
    held = held_by(desks)
    keep(desks, held, footage)
    before = {path: path.read_bytes() for path in (desks.vault_folder / HELD_FOLDER).rglob("*.header")}

    keep(desks, held, footage)

    assert {path: path.read_bytes() for path in (desks.vault_folder / HELD_FOLDER).rglob("*.header")} == before
    assert kinds(desks).count("hold-rewrapped") == 1


def test_a_hold_that_was_not_served_keeps_its_day_alive(desks: Releasing, footage: Path) -> None:
    held = held_by(desks)

    with pytest.raises(ClauseViolationError, match="JC-25"):
        plan_at(desks, AFTER)
    assert not plan_at(desks, AFTER, despite=[held.id]).nothing

    keep(desks, held, footage)
    assert plan_at(desks, AFTER).held == (held.id,)


def test_a_hold_of_a_day_that_is_dead_comes_too_late_and_says_so(desks: Releasing, footage: Path) -> None:
    kill(desks, AFTER)
    held = held_by(desks, now=AFTER)

    done = rewrap_held(
        held,
        place=footage,
        folder=desks.vault_folder,
        vault=lambda: desks.vault,
        city_log=desks.city_log,
        now=AFTER,
    )

    assert (done.made, done.already_dead) == (0, 4)  # whatever may be held: nobody can look any more


def test_a_hold_on_nothing_is_told(desks: Releasing, footage: Path) -> None:
    elsewhere = held_by(desks, cameras=("cam-99",))
    before = kinds(desks)

    with pytest.raises(FootageError, match="nothing that"):
        keep(desks, elsewhere, footage)

    assert kinds(desks) == before


def test_a_holds_key_dies_with_the_hold(desks: Releasing, footage: Path) -> None:
    held = held_by(desks)
    keep(desks, held, footage)
    kill(desks, AFTER)
    key = desks.vault.stored_hold(held.id)
    lifted = grant(
        id="g-2026-009",
        issued_at=AFTER,
        starts_at=NOON + 60 * DAY,
        ends_at=NOON + 70 * DAY,
        lifts=(held.id,),
    )
    enact(desks.city, lifted, *APPROVING, now=AFTER)
    later = NOON + 61 * DAY
    assert find_hold(published(desks), held.id, AFTER) == held

    receipt = read_receipt(kill(desks, later).read_bytes(), desks.authority).says

    with pytest.raises(UsageError, match="no hold"):
        find_hold(published(desks), held.id, later)
    assert [one.hold for one in receipt.holds] == [held.id]
    with pytest.raises(StorageError, match="has no key for hold"):
        desks.vault.stored_hold(held.id)
    assert not (desks.vault_folder / HELD_FOLDER / held.id).exists()
    assert isinstance(key, PostQuantumIdentity)
    assert opened(footage, desks.every_identity()) == []


# --- several holders ----------------------------------------------------------------


def offered(tmp_path: Path, days: Sequence[date], holder: str = "jo-vega") -> bytes:
    theirs = open_vault(tmp_path / "theirs", PASSPHRASE)
    recipients = {
        day: str(theirs.identity(DayKey(day=day, layer="masked", role="investigator")).recipient) for day in days
    }
    return dump_offer("investigator", holder, "default", recipients)


def test_each_holder_keeps_their_own_keys_and_publishes_through_one_document(tmp_path: Path, desks: Releasing) -> None:
    offer = parse_offer(offered(tmp_path, [TODAY, TOMORROW]))

    makers = own_makers(desks.vault, [("custodian", "jun-okafor")], "default") + offered_makers(
        [offer], "default", [TODAY, TOMORROW]
    )

    theirs = open_vault(tmp_path / "theirs", PASSPHRASE)
    wanted = theirs.stored(DayKey(day=TODAY, layer="masked", role="investigator"))
    assert [(one.role, one.holder) for one in makers] == [("custodian", "jun-okafor"), ("investigator", "jo-vega")]
    assert makers[1].recipient_of(TODAY) == str(wanted.recipient)
    assert all("investigator" not in key.role for key in everything_kept(desks.vault_folder))


def test_two_people_never_share_a_key(desks: Releasing) -> None:
    with pytest.raises(ClauseViolationError, match="JC-19"):
        own_makers(desks.vault, [("custodian", "jun"), ("custodian", "ana")], "default")


@pytest.mark.parametrize("word", ["days", "class"])
def test_an_offer_that_does_not_fit_is_refused(tmp_path: Path, word: str) -> None:
    offer = parse_offer(offered(tmp_path, [TODAY]))

    with pytest.raises(UsageError):
        offered_makers(
            [offer], "default" if word == "days" else "extended", [TODAY, TOMORROW] if word == "days" else [TODAY]
        )


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"{}", DocumentFormatError),
        (b"\x00", DocumentFormatError),
        (dump_offer("investigator", "jo", "default", {TODAY: "age1nothing"}), KeyFormatError),
        (dump_offer("investigator", "jo", "default", {TODAY: "AGE-SECRET-KEY-1X"}), KeyFormatError),
        (dump_offer("Investigator!", "jo", "default", {TODAY: "age1"}), DocumentFormatError),
        (dump_offer("investigator", "jo", "default", {}), DocumentFormatError),
    ],
)
def test_what_is_no_offer_is_refused(raw: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_offer(raw)


def test_a_holder_whom_nobody_approved_lately_is_not_published() -> None:
    law = charter(access=AccessRule(validated_for_days=365, source=("SL-3.4",)))
    makers = [Maker(role="custodian", holder="jun", recipient_of=str)]
    until = NOON.date() + timedelta(days=365)

    check_approvals(law, makers, {"jun": NOON.date()}, [TODAY, until - timedelta(days=1)])
    check_approvals(charter(), makers, {}, [TODAY])
    for approvals in ({}, {"jun": NOON.date()}):
        with pytest.raises(ClauseViolationError, match=r"SL-3\.4"):
            check_approvals(law, makers, approvals, [TODAY, until])


def test_portions_fit_a_document() -> None:
    assert list(portions([TODAY] * 5, 2)) == [[TODAY] * 2, [TODAY] * 2, [TODAY]]
    with pytest.raises(UsageError):
        list(portions([TODAY], 0))


# --- the sealed layer's keys --------------------------------------------------------


def test_shares_are_made_for_every_releasing_office_or_not_at_all(desks: Releasing, tmp_path: Path) -> None:
    from provisioning.release import answering  # noqa: PLC0415 - for the cards alone

    cards = {office: answering.join(desks.homes[office], official(office), PASSPHRASE, now=NOON) for office in HOLDERS}
    it = tmp_path / "it"
    it.mkdir()
    stranger = answering.join(it, official("it-director"), PASSPHRASE, now=NOON)

    def maker(*chosen: bytes) -> None:
        quorum_maker(desks.clerk(), chosen, "default", NOON)

    before = sorted(desks.vault_folder.rglob("*"))
    with pytest.raises(SharesError, match="no share card of custodian"):
        maker(cards["city-manager"], cards["police-chief"])
    with pytest.raises(SharesError, match="does not release"):
        maker(*cards.values(), stranger)
    with pytest.raises(SharesError, match="two share cards"):
        maker(*cards.values(), cards["custodian"])
    assert sorted(desks.vault_folder.rglob("*")) == before


def test_the_city_log_knows_every_shares_digest_before_the_epoch_counts(desks: Releasing) -> None:
    split = [event for event in desks.city_log.read() if event.kind == "epoch-split"]

    assert [event.facts["day"] for event in split] == [str(TODAY), str(TOMORROW)]
    for event in split:
        assert event.facts["offices"] == list(HOLDERS)
        assert event.facts["threshold"] == 3
        digests = event.facts["share_sha256"]
        assert isinstance(digests, list)
        assert len(set(digests)) == 3


# --- how it stands ------------------------------------------------------------------


def test_the_standing_tells_what_is_due_and_what_is_held(desks: Releasing, footage: Path) -> None:
    held = held_by(desks)
    keep(desks, held, footage)

    found = standing(desks.vault_folder, desks.authority.charter, published(desks), AFTER)
    early = standing(None, desks.authority.charter, published(desks), NOON)

    assert [key.day for key in found.due] == [TODAY, TODAY]
    assert len(found.kept) == 4
    (one,) = found.holds
    assert (one.hold, one.stands, one.headers, one.has_key) == (held.id, True, 2, True)
    assert [(one.layer, one.until, one.ending) for one in early.published] == [
        ("masked", TOMORROW, True),
        ("originals", TOMORROW, True),
    ]
    assert all(one.until is None for one in found.published)
    assert early.kept == ()
    assert isinstance(held, Hold)
    assert any(isinstance(one, Grant) for one in published(desks))
