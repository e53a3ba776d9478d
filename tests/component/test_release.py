"""The sealed layer opens for enough officials together, for one case and one person, and for nobody else."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from agent.core.policy.decision import Originals
from agent.core.policy.documents import SuspendRecipient
from agent.core.sealing.recipients import PostQuantumIdentity
from agent.core.video import Layer
from agent.errors import (
    ClauseViolationError,
    DocumentFormatError,
    FootageError,
    LamppostError,
    LogError,
    OtherSignerError,
    SharesError,
    SignatureError,
    StorageError,
    UsageError,
)
from provisioning.footage.catalogue import find_segments
from provisioning.release.asking import read_request
from provisioning.release.letters import Letter, read_letter, write_letter
from provisioning.release.opening import open_release, record
from provisioning.release.page import page_of
from provisioning.release.papers import Released, Request
from provisioning.release.register import PublicCounts, counts, standings
from provisioning.release.shares import destroy_epochs, kept_epochs, open_share
from provisioning.release.sharing_out import Share, join
from tests.fakes.documents import CAMERA, DAY, NOON, restriction
from tests.fakes.exhibits import city_with_sharing
from tests.fakes.footage import file_segment
from tests.fakes.officials import enact, official
from tests.fakes.releasing import HOLDERS, Releasing, opened

pytestmark = pytest.mark.usefixtures("cheap_scrypt")

SECOND = timedelta(seconds=1)
SPAN: dict[str, Any] = {"starts_at": NOON + 3 * SECOND, "ends_at": NOON + 5 * SECOND}
LATER = NOON + timedelta(minutes=10)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four segments of two seconds in both layers, and everybody's keys: made once, copied for each test."""
    folder = tmp_path_factory.mktemp("made")
    city = city_with_sharing(
        folder / "city",
        originals=Originals.SEALED,
        originals_recipients=("quorum",),
        recipients=("custodian", "investigator"),
    )
    desks = Releasing.make(folder, city, now=NOON - DAY, days=[NOON.date()])
    for number in range(4):
        for layer, name in ((Layer.MASKED, "masked"), (Layer.SEALED, "originals")):
            file_segment(
                folder / "footage",
                [desks.recipient(NOON.date(), name)],
                started_at=NOON + 2 * number * SECOND,
                sequence=2 * number + (layer is Layer.SEALED) + 1,
                camera_id=CAMERA,
                layer=layer,
            )
    return folder


@pytest.fixture
def desks(made: Path, tmp_path: Path) -> Releasing:
    return Releasing.copied(made, tmp_path)


@pytest.fixture
def footage(desks: Releasing, tmp_path: Path) -> Path:
    return tmp_path / "footage"


@pytest.fixture
def request_letter(desks: Releasing, footage: Path) -> bytes:
    return desks.ask(footage, now=NOON, **SPAN)


def kinds(desks: Releasing) -> list[str]:
    return [event.kind for event in desks.city_log.read() if event.kind != "epoch-split"]


def says(desks: Releasing, letter: bytes) -> Letter[Request]:
    return read_request(letter, desks.authority)


def opens(folder: Path, identities: list[Any]) -> set[str]:
    """Return the files below `folder` that one of `identities` opens."""
    return {name.file for name in opened(folder, identities)}


# --- enough of them -------------------------------------------------------------


def test_three_officials_open_the_named_segments_for_the_investigator_alone(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    shares = [desks.share(request_letter, office, now=LATER) for office in HOLDERS]

    released = open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)

    named = {segment.file for segment in says(desks, request_letter).says.segments}
    assert len(named) == 2  # 2 to 4 s and 4 to 6 s hold the span from 3 to 5 s
    assert opens(tmp_path / "out", [desks.investigator]) == named == {one.file for one in released.segments}
    assert opens(footage, [desks.investigator]) == set()
    assert opens(tmp_path / "out", desks.every_identity()) == set()


def test_what_is_handed_over_is_what_the_camera_wrote_but_for_the_header(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    shares = [desks.share(request_letter, office, now=LATER) for office in HOLDERS]
    open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)

    for segment in find_segments(tmp_path / "out").segments:
        original = footage / segment.name.path
        assert (
            segment.path.read_bytes().partition(b"\n--- ")[2][43:] == original.read_bytes().partition(b"\n--- ")[2][43:]
        )
    letter = (tmp_path / "out" / "released.json").read_bytes()
    told = read_letter(letter, "released", Released, desks.authority).says
    assert told.offices == tuple(sorted(HOLDERS))
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("few", [few for count in range(3) for few in combinations(HOLDERS, count)])
def test_fewer_yield_nothing(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path, few: tuple[str, ...]
) -> None:
    shares = [desks.share(request_letter, office, now=LATER) for office in few]
    before = kinds(desks)

    with pytest.raises(SharesError, match=f"{len(few)} of 3 shares"):
        open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)

    assert kinds(desks) == before
    assert not list(tmp_path.glob("*out*"))


def test_one_share_three_times_is_one_share(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    share = desks.share(request_letter, "police-chief", now=LATER)

    with pytest.raises(SharesError, match="1 of 3"):
        open_release(request_letter, [share] * 3, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)


def test_no_identity_that_anybody_has_opens_the_sealed_layer(desks: Releasing, footage: Path) -> None:
    opened = opens(footage, desks.every_identity())

    assert opened == {one.name.file for one in find_segments(footage).segments if one.name.layer is Layer.MASKED}


def test_the_key_is_nowhere_written(desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path) -> None:
    shares = [desks.share(request_letter, office, now=LATER) for office in HOLDERS]
    joined: list[bytes] = []

    def watched(shares: Iterable[Share], half: bytes, **expected: Any) -> PostQuantumIdentity:
        key = join(shares, half, **expected)
        joined.append(key.secret_bytes)
        return key

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("provisioning.release.opening.join", watched)
        open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)

    (secret,) = joined
    ways = [secret, secret.hex().encode(), base64.b64encode(secret)]
    ways += [PostQuantumIdentity(secret).reveal().encode()]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert not any(way in path.read_bytes() for path in files for way in ways)


def test_what_shares_travelled_to_dies_with_the_request(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    shares = [desks.share(request_letter, office, now=LATER) for office in HOLDERS]
    open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)
    before = kinds(desks)

    with pytest.raises(UsageError, match="is over"):
        open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "again", now=LATER)

    assert kinds(desks) == before
    assert list((desks.vault_folder / "requests").iterdir()) == []


# --- the log first --------------------------------------------------------------


def test_request_and_approvals_are_in_the_log_before_a_share_leaves(desks: Releasing, footage: Path) -> None:
    request = desks.ask(footage, now=NOON, **SPAN)
    assert kinds(desks) == ["release-requested"]

    answer = desks.answer(request, "police-chief", now=LATER)
    assert kinds(desks) == ["release-requested"]  # nothing but the answer has left the machine
    recorded = desks.record(request, answer, now=LATER)

    assert kinds(desks) == ["release-requested", "release-approved"]
    assert desks.hand_over(request, recorded, "police-chief", now=LATER)


@pytest.mark.parametrize("wrong", ["another office", "a refusal", "another request", "the answer itself", "not signed"])
def test_a_share_does_not_leave_without_the_logs_word_for_it(
    desks: Releasing, footage: Path, request_letter: bytes, wrong: str
) -> None:
    answer = desks.answer(request_letter, "police-chief", now=LATER)
    recorded = {
        "another office": lambda: desks.record(
            request_letter, desks.answer(request_letter, "city-manager", now=LATER), now=LATER
        ),
        "a refusal": lambda: desks.record(
            request_letter, desks.answer(request_letter, "police-chief", now=LATER, approved=False), now=LATER
        ),
        "another request": lambda: _of_another_request(desks, footage),
        "the answer itself": lambda: answer,
        "not signed": lambda: _altered(desks.record(request_letter, answer, now=LATER)),
    }[wrong]()

    with pytest.raises((SignatureError, LogError, DocumentFormatError)):
        desks.hand_over(request_letter, recorded, "police-chief", now=LATER)


def _of_another_request(desks: Releasing, footage: Path) -> bytes:
    other = desks.ask(footage, now=NOON, **SPAN, case="Another")
    return desks.record(other, desks.answer(other, "police-chief", now=LATER), now=LATER)


def _altered(letter: bytes) -> bytes:
    envelope = json.loads(letter)
    envelope["payload"] = envelope["payload"].replace("police-chief", "city-manager")
    return json.dumps(envelope).encode()


def test_an_answer_is_recorded_once_however_often_it_arrives(desks: Releasing, request_letter: bytes) -> None:
    answer = desks.answer(request_letter, "police-chief", now=LATER)
    desks.record(request_letter, answer, now=LATER)

    again = desks.record(request_letter, answer, now=LATER)

    assert kinds(desks).count("release-approved") == 1
    assert desks.hand_over(request_letter, again, "police-chief", now=LATER)


def test_shares_without_approvals_in_this_log_open_nothing(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    """The custodian's log was rolled back behind what it had proved to the officials."""
    entries = desks.city.path / "log" / "entries.jsonl"
    before = entries.read_bytes()
    shares = [desks.share(request_letter, office, now=LATER) for office in HOLDERS]
    entries.write_bytes(before)

    with pytest.raises(SharesError, match="holds no approval"):
        open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)

    assert entries.read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_who_said_no_later_does_not_count(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    shares = [desks.share(request_letter, office, now=LATER) for office in HOLDERS]
    desks.record(request_letter, desks.answer(request_letter, "custodian", now=LATER, approved=False), now=LATER)

    with pytest.raises(SharesError, match="no approval of custodian"):
        open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)


def test_letters_that_officials_kept_open_nothing_when_the_day_is_destroyed(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    """All officials, with their keys, a request that brought them their shares, and the shares in the clear."""
    shares = [desks.share(request_letter, office, now=LATER) for office in HOLDERS]
    one = says(desks, request_letter).says.epochs[0]
    sealed = {share.office: base64.b64decode(share.sealed) for share in one.shares}
    clear = [open_share(sealed[office], [desks.share_identity(office)], one.epoch.holder(office)) for office in HOLDERS]
    destroy_epochs(desks.vault_folder, list(kept_epochs(desks.vault_folder)))

    with pytest.raises(StorageError, match="no half"):
        open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)
    with pytest.raises(SharesError):
        join(clear, bytes(32), threshold=3, recipient=one.epoch.recipient)

    assert list((desks.vault_folder / "halves").iterdir()) == []
    assert not (tmp_path / "out").exists()


# --- the law --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"basis": "curiosity"}, "EX-1"),
        ({"role": "it-administration"}, "SL-3.2"),
        ({"role": "neighbour"}, "SL-3.3"),
        ({"role": "traffic-engineer"}, "SL-3.4"),
        ({"camera_id": "cam-99"}, "SL-3.4"),
    ],
)
def test_what_the_law_does_not_allow_is_refused_and_stays_in_the_log(
    desks: Releasing, footage: Path, changes: dict[str, str], clause: str
) -> None:
    with pytest.raises(ClauseViolationError, match=clause):
        desks.ask(footage, now=NOON, **SPAN, **changes)

    assert kinds(desks) == ["release-against-law"]
    assert not (desks.vault_folder / "requests").exists()


def test_nothing_is_released_to_who_is_suspended(desks: Releasing, footage: Path) -> None:
    suspended = restriction(
        issued_by="police-chief",
        issued_at=NOON - DAY,
        starts_at=NOON - DAY,
        narrows=(SuspendRecipient(what="recipient", holder="jo-vega"),),
    )
    enact(desks.city, suspended, "police-chief", now=NOON - DAY)

    with pytest.raises(ClauseViolationError, match="JC-28"):
        desks.ask(footage, now=NOON, **SPAN)


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": " "},
        {"case": ""},
        {"reference": "\n"},
        {"starts_at": NOON + 9 * SECOND},
        {"starts_at": NOON - 2 * DAY},
    ],
)
def test_a_request_that_says_too_little_or_asks_too_much_is_none(
    desks: Releasing, footage: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        desks.ask(footage, now=NOON, **(SPAN | changes))

    assert kinds(desks) == []


def test_only_who_exports_asks_records_and_opens(desks: Releasing, footage: Path, request_letter: bytes) -> None:
    answer = desks.answer(request_letter, "police-chief", now=LATER)

    with pytest.raises(OtherSignerError, match="police-chief"):
        record(request_letter, answer, desks.clerk(office="police-chief"), now=LATER)


def test_an_office_without_a_share_is_not_asked(desks: Releasing, request_letter: bytes) -> None:
    with pytest.raises(SharesError, match="it-director has no share"):
        desks.answer(request_letter, "it-director", now=LATER)


def test_a_day_whose_key_is_destroyed_cannot_be_asked_for(desks: Releasing, footage: Path) -> None:
    destroy_epochs(desks.vault_folder, list(kept_epochs(desks.vault_folder)))

    with pytest.raises(FootageError, match="is not here"):
        desks.ask(footage, now=NOON, **SPAN)

    assert list((desks.vault_folder / "shares").iterdir()) == []


# --- what is altered on the way ---------------------------------------------------


def test_a_request_that_asks_more_than_the_log_says_is_refused(desks: Releasing, request_letter: bytes) -> None:
    """The custodian's own key signed it, but not what the log holds."""
    said = says(desks, request_letter).says
    more = said.model_copy(update={"case": "Another case"})

    with pytest.raises(DocumentFormatError, match="not the one that the city's log tells of"):
        says(desks, write_letter("release-request", more, official("custodian").signer))


def test_an_official_who_asks_themself_is_refused(desks: Releasing, request_letter: bytes) -> None:
    said = says(desks, request_letter).says

    with pytest.raises(OtherSignerError, match="police-chief"):
        says(desks, write_letter("release-request", said, official("police-chief").signer))


def test_a_segment_that_is_not_the_named_one_is_not_opened(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    shares = [desks.share(request_letter, office, now=LATER) for office in HOLDERS]
    first, second = says(desks, request_letter).says.segments
    paths = {one.name.file: one.path for one in find_segments(footage).segments}
    paths[first.file].write_bytes(paths[second.file].read_bytes())
    before = kinds(desks)

    with pytest.raises(FootageError, match="not the file that was named"):
        open_release(request_letter, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)

    assert kinds(desks) == before
    assert not (tmp_path / "out").exists()


def test_a_share_of_another_official_in_ones_own_letter_is_noticed(
    desks: Releasing, footage: Path, request_letter: bytes, tmp_path: Path
) -> None:
    from provisioning.release.papers import HandedShares  # noqa: PLC0415 - for this alone

    shares = {office: desks.share(request_letter, office, now=LATER) for office in HOLDERS}
    mine = read_letter(shares["city-manager"], "release-share", HandedShares, desks.authority).says
    copied = write_letter(
        "release-share", mine.model_copy(update={"office": "police-chief"}), official("police-chief").signer
    )

    with pytest.raises(SharesError, match="not the one that was made"):
        open_release(
            request_letter,
            [shares["city-manager"], copied, shares["custodian"]],
            desks.clerk(),
            place=footage,
            out=tmp_path / "out",
            now=LATER,
        )

    assert not list(tmp_path.glob("*out*"))


def test_a_request_cannot_bring_an_official_the_wrong_share(desks: Releasing, request_letter: bytes) -> None:
    """Else the custodian could have somebody's share resealed by another official, and count them twice."""
    said = says(desks, request_letter).says
    one = said.epochs[0]
    swapped = tuple(
        share.model_copy(update={"sealed": base64.b64encode(b"age").decode()})
        if share.office == "police-chief"
        else share
        for share in one.shares
    )
    forged = said.model_copy(update={"epochs": (one.model_copy(update={"shares": swapped}),)})
    letter = write_letter("release-request", forged, official("custodian").signer)
    recorded = desks.record(letter, desks.answer(letter, "police-chief", now=LATER), now=LATER)

    with pytest.raises(LamppostError):
        desks.hand_over(letter, recorded, "police-chief", now=LATER)


# --- what is told -----------------------------------------------------------------


def test_the_page_tells_everything_that_is_asked(desks: Releasing, request_letter: bytes) -> None:
    letter = says(desks, request_letter)
    words = " ".join(f"{label} {said}" for label, said in page_of(letter, desks.authority.charter).lines)

    for expected in (
        CAMERA,
        "2026-CR-118",
        "warrant: Warrant 77",
        "The robbery at the corner.",
        "Jo Vega (jo-vega), Investigator",
        "2026-11-28 12:00:03 to 2026-11-28 12:00:05 UTC",
        "2 segments",
        "3 of Holder of city-manager",
        f"entry {letter.says.entry.index}",
    ):
        assert expected in words, expected


def test_requests_refusals_and_openings_are_counted_without_a_name(
    desks: Releasing, footage: Path, tmp_path: Path
) -> None:
    with pytest.raises(ClauseViolationError):
        desks.ask(footage, now=NOON, **SPAN, basis="curiosity")
    refused = desks.ask(footage, now=NOON, **SPAN)
    desks.record(refused, desks.answer(refused, "custodian", now=LATER, approved=False), now=LATER)
    opened = desks.ask(footage, now=NOON + SECOND, **SPAN)
    shares = [desks.share(opened, office, now=LATER) for office in HOLDERS]
    open_release(opened, shares, desks.clerk(), place=footage, out=tmp_path / "out", now=LATER)
    log = desks.city_log.read()

    assert counts(log) == PublicCounts(
        requested=2,
        against_law=1,
        refused=1,
        opened=1,
        segments_opened=2,
        opened_by_basis={"warrant": 1},
        opened_by_camera={CAMERA: 1},
    )
    assert counts(log, since=NOON + DAY) == replace(counts(()), opened_by_basis={}, opened_by_camera={})
    assert [one.state for one in standings(log)] == ["against the law (EX-1)", "refused", "handed over"]
    assert standings(log)[2].approved == tuple(sorted(HOLDERS))


def test_a_refusal_that_was_taken_back_still_counts(desks: Releasing, request_letter: bytes) -> None:
    for approved in (False, True):
        answer = desks.answer(request_letter, "custodian", now=LATER, approved=approved)
        desks.record(request_letter, answer, now=LATER)
    log = desks.city_log.read()

    assert counts(log).refused == 1
    assert standings(log)[0].refused == ()
    assert standings(log)[0].state == "asked"


@pytest.fixture(autouse=True)
def nothing_left_over(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob("*.part"))
