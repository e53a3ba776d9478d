"""A camera takes a city's policy into force, keeps it over restarts, and forgets nothing that narrows."""

import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.policy_store import FLOORS_FILE, PolicyStore
from agent.adapters.tuf_client import check_trusted_root, verify_bundle
from agent.core.bundle import decode_bundle
from agent.core.policy.clock import SIGNING_SLACK, ClockQuality
from agent.core.policy.documents import Document, canonical_document
from agent.errors import FreshnessError, PolicyError, RollbackError
from agent.recorder.policy_intake import PolicyIntake
from tests.fakes.city import City, foreign_root, recording_city
from tests.fakes.clock import FakeClock
from tests.fakes.documents import DAY, NOON, grant, hold, restriction, revocation

HOUR = timedelta(hours=1)


def camera(folder: Path, city: City, clock: FakeClock | None = None) -> PolicyIntake:
    """Return a camera with `city`'s first root in its image, started over what `folder` holds."""
    return PolicyIntake(PolicyStore(folder), trusted_root=city.trusted_root, clock=clock or FakeClock(city.now))


def everything(intake: PolicyIntake) -> list[Document]:
    documents = intake.in_force.documents
    return [
        *documents.grants,
        *documents.restrictions,
        *documents.waivers,
        *documents.holds,
        *documents.epochs,
        *documents.revocations,
    ]


def ids(intake: PolicyIntake) -> list[str]:
    return sorted(document.id for document in everything(intake))


def test_a_fresh_camera_has_no_policy(tmp_path: Path) -> None:
    intake = camera(tmp_path, City())

    assert intake.in_force.charter is None
    assert everything(intake) == []
    assert intake.in_force.suspended
    assert list(tmp_path.iterdir()) == []


def test_what_officials_signed_comes_into_force(tmp_path: Path) -> None:
    city = recording_city()
    intake = camera(tmp_path, city)

    assert intake.offer(city.publish())

    assert intake.in_force.charter == city.charter
    assert ids(intake) == ["e-2026-001", "g-2026-001"]
    assert intake.in_force.fresh_until == NOON + city.charter.offline_for
    assert not intake.in_force.suspended


def test_it_is_in_force_again_after_a_restart(tmp_path: Path) -> None:
    city = recording_city()
    before = camera(tmp_path, city)
    before.offer(city.publish())

    after = camera(tmp_path, city)

    assert after.in_force == before.in_force
    assert after.floors == before.floors


def test_it_is_verified_again_at_the_time_it_was_accepted_at(tmp_path: Path) -> None:
    city = recording_city()
    before = camera(tmp_path, city)
    before.offer(city.publish())

    a_year_later = camera(tmp_path, city, FakeClock(NOON + 365 * DAY))

    assert a_year_later.in_force == before.in_force  # that it is stale is the decision's business


def test_the_same_bundle_again_changes_nothing_and_writes_nothing(tmp_path: Path) -> None:
    city = recording_city()
    intake = camera(tmp_path, city)
    bundle = city.publish()
    intake.offer(bundle)
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    assert not intake.offer(bundle)

    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_a_newer_release_replaces_the_older_one_and_leaves_two_files(tmp_path: Path) -> None:
    city = recording_city()
    intake = camera(tmp_path, city)
    intake.offer(city.publish())
    city.put(restriction())

    intake.offer(city.publish())

    assert ids(intake) == ["e-2026-001", "g-2026-001", "r-2026-001"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("document", [restriction(), hold(), revocation()], ids=lambda one: one.kind)
def test_what_narrows_stays_when_its_official_drops_it(tmp_path: Path, document: Document) -> None:
    city = recording_city()
    path = city.put(document)
    intake = camera(tmp_path, city)
    intake.offer(city.publish())
    city.drop(next(role for role, kept in city.documents.items() if path in kept), path)

    intake.offer(city.publish())

    assert document in everything(intake)
    assert camera(tmp_path, city).in_force == intake.in_force


def test_what_narrows_stays_when_its_role_is_removed(tmp_path: Path) -> None:
    city = recording_city()
    city.put(restriction())
    intake = camera(tmp_path, city)
    intake.offer(city.publish())
    del city.targets.delegations.roles["restrictions-police-chief"]
    city.targets.version += 1

    intake.offer(city.publish())

    assert "r-2026-001" in ids(intake)


def test_what_narrows_stays_when_its_role_has_expired(tmp_path: Path) -> None:
    city = recording_city()
    city.put(restriction())
    city.roles["restrictions-police-chief"].expires = NOON - DAY
    intake = camera(tmp_path, city)

    intake.offer(city.publish())

    assert "r-2026-001" in ids(intake)
    assert restriction().sha256 not in intake.in_force.documents.lapses_at


def test_what_widens_lapses_with_its_role(tmp_path: Path) -> None:
    city = recording_city()
    city.roles["grants"].expires = NOON + HOUR
    intake = camera(tmp_path, city)

    intake.offer(city.publish())

    assert intake.in_force.documents.lapses_at[grant().sha256] == NOON + HOUR


def test_a_softer_text_under_the_same_name_does_not_replace_the_harder_one(tmp_path: Path) -> None:
    city = recording_city()
    city.put(restriction())
    intake = camera(tmp_path, city)
    intake.offer(city.publish())
    softer = restriction(cameras=("cam-99",))
    city.put(softer)

    intake.offer(city.publish())

    assert set(intake.in_force.documents.restrictions) == {restriction(), softer}


def test_a_root_may_have_been_replaced_several_times(tmp_path: Path) -> None:
    city = recording_city()
    intake = camera(tmp_path, city)
    intake.offer(city.publish())
    for n in range(2, 6):
        city.rotate("timestamp", f"timestamp-{n}")

    intake.offer(city.publish())

    assert intake.floors.versions["root"] == 5
    assert camera(tmp_path, city).in_force == intake.in_force


def test_a_newer_image_starts_from_a_newer_root(tmp_path: Path) -> None:
    city = recording_city()
    intake = camera(tmp_path, city)
    city.rotate("timestamp", "timestamp-2")
    intake.offer(city.publish())
    city.trusted_root = city.entries["metadata/2.root.json"]

    reflashed = camera(tmp_path, city)

    assert reflashed.in_force == intake.in_force


def test_new_online_keys_forget_how_far_stolen_ones_had_counted(tmp_path: Path) -> None:
    city = recording_city()
    intake = camera(tmp_path, city)
    intake.offer(city.publish())
    thief = city.twin()
    thief.timestamp.version = 2**31 - 1
    thief.sign_online()
    intake.offer(thief.bundle())
    with pytest.raises(RollbackError):
        intake.offer(city.publish())

    city.rotate("timestamp", "timestamp-2")
    intake.offer(city.publish())

    assert intake.floors.versions["timestamp"] == city.timestamp.version


def test_another_citys_image_obeys_nothing_that_was_kept(tmp_path: Path) -> None:
    city = recording_city()
    city.put(restriction())
    camera(tmp_path, city).offer(city.publish())
    city.trusted_root = foreign_root()

    intake = camera(tmp_path, city)

    assert "does not verify" in intake.in_force.suspended
    assert ids(intake) == ["r-2026-001"]


# --- time -------------------------------------------------------------------------


def test_a_clock_of_1970_is_lifted_to_what_was_signed(tmp_path: Path) -> None:
    city = recording_city()
    clock = FakeClock(NOON.replace(year=1970), quality=ClockQuality.UNKNOWN)
    intake = camera(tmp_path, city, clock)
    assert intake.clock_state().quality is ClockQuality.UNKNOWN

    intake.offer(city.publish())
    clock.advance(HOUR)

    assert intake.clock_state().now == NOON + HOUR - SIGNING_SLACK
    assert intake.clock_state().quality is ClockQuality.FLOOR


def test_a_saved_floor_goes_on_from_where_it_was(tmp_path: Path) -> None:
    city = recording_city()
    clock = FakeClock(NOON.replace(year=1970), quality=ClockQuality.UNKNOWN)
    intake = camera(tmp_path, city, clock)
    intake.offer(city.publish())
    clock.advance(3 * HOUR)
    intake.save_time()

    rebooted = camera(tmp_path, city, FakeClock(NOON.replace(year=1970), quality=ClockQuality.UNKNOWN))

    assert rebooted.clock_state().now == NOON + 3 * HOUR - SIGNING_SLACK


def test_a_forged_time_source_poisons_the_floor_for_no_longer_than_a_release_is_fresh(tmp_path: Path) -> None:
    city = recording_city()
    clock = FakeClock(NOON)
    intake = camera(tmp_path, city, clock)
    intake.offer(city.publish())
    clock.step(3650 * DAY)
    intake.save_time()
    clock.step(-3650 * DAY)
    intake.offer(city.publish(after=HOUR))

    clock.advance(3 * DAY)
    city.now = clock.now()
    intake.offer(city.publish())

    assert intake.floors.seen == NOON + city.charter.offline_for
    assert intake.in_force.fresh_until > intake.clock_state().now


def test_a_wall_clock_that_nobody_vouches_for_is_not_saved(tmp_path: Path) -> None:
    city = recording_city()
    clock = FakeClock(NOON, quality=ClockQuality.UNKNOWN)
    intake = camera(tmp_path, city, clock)
    intake.offer(city.publish())
    clock.step(3 * DAY)

    intake.save_time()

    assert intake.floors.time == NOON


def test_nothing_is_saved_when_no_time_is_proven(tmp_path: Path) -> None:
    intake = camera(tmp_path, City())

    intake.save_time()

    assert list(tmp_path.iterdir()) == []


# --- loss -------------------------------------------------------------------------


def accepted_file(folder: Path) -> Path:
    (path,) = folder.glob("accepted-*.cbor")
    return path


def lose_floors(folder: Path) -> None:
    (folder / FLOORS_FILE).unlink()


def zero_floors(folder: Path) -> None:
    path = folder / FLOORS_FILE
    path.write_bytes(bytes(path.stat().st_size))


def truncate_floors(folder: Path) -> None:
    path = folder / FLOORS_FILE
    path.write_bytes(path.read_bytes()[:100])


def flip_a_bit_of_the_floors(folder: Path) -> None:
    path = folder / FLOORS_FILE
    path.write_bytes(path.read_bytes().replace(b'"timestamp": 2', b'"timestamp": 0'))


def lose_policy(folder: Path) -> None:
    accepted_file(folder).unlink()


def zero_policy(folder: Path) -> None:
    path = accepted_file(folder)
    path.write_bytes(bytes(path.stat().st_size))


def truncate_policy(folder: Path) -> None:
    path = accepted_file(folder)
    path.write_bytes(path.read_bytes()[:1000])


def lose_floors_and_zero_policy(folder: Path) -> None:
    lose_floors(folder)
    zero_policy(folder)


def zero_floors_and_lose_policy(folder: Path) -> None:
    zero_floors(folder)
    lose_policy(folder)


LOSSES = [
    lose_floors,
    zero_floors,
    truncate_floors,
    flip_a_bit_of_the_floors,
    lose_policy,
    zero_policy,
    truncate_policy,
    lose_floors_and_zero_policy,
    zero_floors_and_lose_policy,
]


@pytest.mark.parametrize("damage", LOSSES, ids=lambda one: one.__name__)
def test_after_a_loss_grants_wait_for_all_approving_officials(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    city = recording_city()
    intake = camera(tmp_path, city)
    old = city.publish()
    intake.offer(old)
    city.put(restriction())
    current = city.publish()
    intake.offer(current)

    damage(tmp_path)
    for _ in range(2):  # the second start finds what the first one wrote
        intake = camera(tmp_path, city)
        assert intake.in_force.suspended

    with contextlib.suppress(PolicyError):  # what was current then proves nothing about what was lost
        intake.offer(current)
    assert intake.in_force.suspended
    assert camera(tmp_path, city).in_force.suspended

    city.roles["grants"].version += 1  # all three sign again
    intake.offer(city.publish())
    assert not intake.in_force.suspended
    assert ids(intake) == ["e-2026-001", "g-2026-001", "r-2026-001"]
    assert camera(tmp_path, city).in_force == intake.in_force


@pytest.mark.parametrize("damage", [lose_floors, zero_floors, truncate_floors, lose_policy, zero_policy])
def test_an_old_chain_is_refused_after_a_loss(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    city = recording_city()
    old = city.publish()
    city.put(restriction())
    camera(tmp_path, city).offer(city.publish())
    damage(tmp_path)
    intake = camera(tmp_path, city)
    before = intake.in_force

    with pytest.raises(RollbackError):
        intake.offer(old)

    assert intake.in_force == before


def test_a_policy_swapped_for_an_older_one_is_a_loss(tmp_path: Path) -> None:
    city = recording_city()
    intake = camera(tmp_path, city)
    intake.offer(city.publish())
    older = accepted_file(tmp_path)
    kept = older.read_bytes()
    city.put(restriction())
    intake.offer(city.publish())
    accepted_file(tmp_path).write_bytes(kept)

    swapped = camera(tmp_path, city)

    assert swapped.in_force.suspended
    assert swapped.floors.versions == intake.floors.versions


# --- the library ------------------------------------------------------------------


def test_the_librarys_clock_is_ours() -> None:
    city = recording_city()
    entries = decode_bundle(city.publish())

    verify_bundle(entries, trusted_root=city.trusted_root, now=NOON)
    with pytest.raises(FreshnessError):
        verify_bundle(entries, trusted_root=city.trusted_root, now=NOON + city.charter.offline_for)


def test_documents_arrive_byte_for_byte() -> None:
    city = recording_city()

    release = verify_bundle(decode_bundle(city.publish()), trusted_root=city.trusted_root, now=NOON)

    assert canonical_document(grant()) in [document.raw for document in release.documents]


# --- the root in the image --------------------------------------------------------


def test_a_root_in_the_image_is_known_for_one_before_a_bundle_comes() -> None:
    city = recording_city()
    city.publish()
    unsigned = json.dumps({**json.loads(city.trusted_root), "signatures": []}).encode()

    check_trusted_root(city.trusted_root)

    for raw in (b"", b'{"signed":{}}', unsigned, city.entries["metadata/timestamp.json"]):
        with pytest.raises(PolicyError):
            check_trusted_root(raw)
