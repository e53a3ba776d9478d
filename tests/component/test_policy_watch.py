"""What arrives in the inbox is in force by the next frame, or is refused and said so; the frame never waits for it."""

import json
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.atomic_files import write_atomically
from agent.core.bundle import MAX_BUNDLE_BYTES
from agent.core.policy.clock import ClockQuality
from agent.core.policy.decision import PeopleMode, Revocation
from agent.errors import StorageError
from agent.recorder.policy_watch import BUNDLE_FILE, TAKEN_FILE, VERDICT_FILE, PolicyWatch
from tests.fakes.city import City, foreign_root, recording_city
from tests.fakes.clock import FakeClock
from tests.fakes.documents import CAMERA, DAY, NOON, grant, hold, restriction, revocation, waiver
from tests.fakes.event_log import MemoryLog

GENEROUS_S = 60
SECOND = timedelta(seconds=1)


class Device:
    """The folders, clock and log of one camera, and a watch over them."""

    def __init__(self, folder: Path, city: City) -> None:
        self.folder = folder
        self.city = city
        self.clock = FakeClock(NOON)
        self.log = MemoryLog()
        self.inbox = folder / "inbox"
        self.outbox = folder / "outbox"
        self.inbox.mkdir()
        self.outbox.mkdir()
        self.watch = self.start()

    def start(self) -> PolicyWatch:
        self.watch = PolicyWatch(
            camera_id=CAMERA,
            trusted_root=self.city.trusted_root,
            inbox=self.inbox,
            outbox=self.outbox,
            store_folder=self.folder / "policy",
            clock=self.clock,
            log=self.log,
        )
        return self.watch

    def arrives(self, bundle: bytes) -> None:
        write_atomically(self.inbox / BUNDLE_FILE, bundle)

    def receives(self, bundle: bytes) -> bool:
        """Let `bundle` arrive and the watch look; return whether it was accepted."""
        self.arrives(bundle)
        return not self.watch.look()

    @property
    def verdict(self) -> dict[str, object]:
        return json.loads((self.outbox / VERDICT_FILE).read_text())

    @property
    def inbox_is_empty(self) -> bool:
        return not list(self.inbox.iterdir())


@pytest.fixture
def city() -> City:
    return recording_city()


@pytest.fixture
def device(tmp_path: Path, city: City) -> Device:
    return Device(tmp_path, city)


def test_a_camera_without_policy_is_dark(device: Device) -> None:
    decision = device.watch.decision_now()

    assert not decision.recording
    assert decision.reason == "no policy has arrived yet"


def test_a_signed_grant_lets_the_camera_record(device: Device, city: City) -> None:
    assert device.receives(city.publish())

    assert device.watch.decision_now().recording
    assert device.inbox_is_empty
    assert device.log.kinds == ["policy-applied"]
    assert device.verdict["verdict"] == "accepted"


def test_a_refused_bundle_changes_no_decision_and_is_answered_for(device: Device, city: City) -> None:
    device.receives(city.publish())
    before = device.watch.decision_now()

    assert not device.receives(b"not a bundle")

    assert device.watch.decision_now() is before
    assert device.inbox_is_empty
    assert device.log.kinds == ["policy-applied", "policy-refused"]
    assert device.verdict["verdict"] == "refused"
    assert device.verdict["error"] == "BundleFormatError"
    assert "CBOR map" in str(device.verdict["reason"])


def test_the_same_refusal_is_recorded_once(device: Device) -> None:
    for _ in range(5):
        device.receives(b"not a bundle")

    assert device.log.kinds == ["policy-refused"]


def test_a_restriction_narrows_the_next_frame(device: Device, city: City) -> None:
    device.receives(city.publish())
    assert device.watch.decision_now().recording
    city.put(restriction())

    device.receives(city.publish())

    assert not device.watch.decision_now().recording


def test_a_revocation_survives_a_restart(device: Device, city: City) -> None:
    city.put(revocation())
    device.receives(city.publish())

    device.start()

    assert device.watch.decision_now().revocation is Revocation.STOP


def test_a_decision_is_the_same_object_while_nothing_changes(device: Device, city: City) -> None:
    device.receives(city.publish())
    first = device.watch.decision_now()

    for _ in range(100):
        device.clock.advance(timedelta(milliseconds=40))
        assert device.watch.decision_now() is first


def test_a_waiver_ends_to_the_second_without_news(device: Device, city: City) -> None:
    end = NOON + timedelta(hours=2)
    city.put(waiver(ends_at=end))
    device.receives(city.publish())
    device.clock.advance(end - NOON - SECOND)
    assert device.watch.decision_now().people is PeopleMode.HEADS

    device.clock.advance(SECOND)

    assert device.watch.decision_now().people is PeopleMode.PEOPLE


def test_a_grant_ends_with_the_freshness_of_the_policy(device: Device, city: City) -> None:
    device.receives(city.publish())
    device.clock.advance(city.charter.offline_for - SECOND)
    assert device.watch.decision_now().recording

    device.clock.advance(SECOND)

    assert not device.watch.decision_now().recording


def test_a_grant_ends_with_its_role(device: Device, city: City) -> None:
    city.roles["grants"].expires = NOON + timedelta(hours=1)
    device.receives(city.publish())
    assert device.watch.decision_now().recording

    device.clock.advance(timedelta(hours=1))

    assert not device.watch.decision_now().recording


def test_a_step_of_the_clock_is_a_new_look(device: Device, city: City) -> None:
    device.receives(city.publish())
    assert device.watch.decision_now().recording

    device.clock.step(100 * DAY)
    device.clock.advance(timedelta(milliseconds=250))

    assert not device.watch.decision_now().recording


def test_a_step_back_does_not_bring_a_waiver_back(device: Device, city: City) -> None:
    city.put(waiver(ends_at=NOON + DAY))
    device.receives(city.publish())
    device.clock.advance(2 * DAY)
    assert device.watch.decision_now().people is PeopleMode.PEOPLE

    device.clock.step(-3 * DAY)
    device.clock.advance(SECOND)

    assert device.watch.decision_now().people is PeopleMode.PEOPLE


def test_a_clock_that_was_never_told_the_time_permits_nothing_until_a_release_tells_it(
    device: Device, city: City
) -> None:
    device.clock.become(ClockQuality.UNKNOWN)
    device.clock.step(NOON.replace(year=1970) - NOON)
    assert not device.watch.decision_now().recording

    device.receives(city.publish())

    assert device.watch.clock_now().quality is ClockQuality.FLOOR
    assert device.watch.decision_now().recording


def test_a_clock_below_its_floor_delays_no_revocation(device: Device, city: City) -> None:
    device.clock.become(ClockQuality.UNKNOWN)
    device.clock.step(NOON.replace(year=1970) - NOON)
    device.receives(city.publish())
    assert device.watch.decision_now().recording
    city.put(revocation(starts_at=city.now))

    device.receives(city.publish(after=SECOND))

    assert device.watch.decision_now().revocation is Revocation.STOP


def test_a_synchronised_clock_that_lags_delays_no_restriction(device: Device, city: City) -> None:
    device.receives(city.publish())
    city.put(restriction(starts_at=city.now + 60 * SECOND))

    device.receives(city.publish(after=61 * SECOND))

    assert not device.watch.decision_now().recording


def test_what_is_to_forbid_later_does_so_when_that_is_proven(device: Device, city: City) -> None:
    device.clock.become(ClockQuality.UNKNOWN)
    device.clock.step(NOON.replace(year=1970) - NOON)
    city.put(restriction(starts_at=city.now + 60 * SECOND))
    device.receives(city.publish())
    device.clock.advance(59 * SECOND)
    assert device.watch.decision_now().recording

    device.clock.advance(SECOND)

    assert not device.watch.decision_now().recording


def test_holds_stand_when_the_policy_no_longer_verifies(device: Device, city: City) -> None:
    city.put(hold())
    device.receives(city.publish())
    city.trusted_root = foreign_root()

    device.start()

    decision = device.watch.decision_now()
    assert not decision.recording
    assert "does not verify" in decision.reason
    assert [span.hold_id for span in decision.holds] == ["h-2026-001"]


def test_a_release_that_only_a_doubtful_clock_calls_stale_waits_for_a_better_clock(device: Device, city: City) -> None:
    device.clock.become(ClockQuality.UNKNOWN)
    device.clock.step(3650 * DAY)
    assert not device.receives(city.publish())

    device.clock.step(-3650 * DAY)
    device.clock.become(ClockQuality.SYNCHRONISED)
    device.watch.look()

    assert device.watch.decision_now().recording
    assert device.inbox_is_empty


def test_a_release_that_a_good_clock_calls_stale_is_thrown_away(device: Device, city: City) -> None:
    bundle = city.publish()
    device.clock.advance(30 * DAY)

    assert not device.receives(bundle)

    assert device.inbox_is_empty


def test_what_was_taken_before_a_power_cut_is_taken_in_after_it(device: Device, city: City) -> None:
    (device.inbox / TAKEN_FILE).write_bytes(city.publish())

    device.watch.look()

    assert device.watch.decision_now().recording
    assert device.inbox_is_empty


def test_a_full_log_delays_no_restriction(device: Device, city: City) -> None:
    device.receives(city.publish())
    device.log.failing = StorageError("no room")
    city.put(restriction())

    device.receives(city.publish())

    assert not device.watch.decision_now().recording


def test_a_store_that_cannot_be_written_keeps_the_bundle_and_obeys_what_narrows_in_it(
    device: Device, city: City
) -> None:
    device.receives(city.publish())
    city.put(restriction())
    (device.folder / "policy").rename(device.folder / "gone")

    assert not device.receives(city.publish())
    assert not device.watch.decision_now().recording
    assert not device.inbox_is_empty
    (device.folder / "gone").rename(device.folder / "policy")
    device.watch.look()

    assert not device.watch.decision_now().recording
    assert device.inbox_is_empty


def test_a_store_that_cannot_be_written_lets_nothing_widen(device: Device, city: City) -> None:
    city.put(restriction())
    device.receives(city.publish())
    city.drop("grants", "grants/g-2026-001.json")
    city.put(grant(id="g-2026-002", lifts=("r-2026-001",)))
    (device.folder / "policy").rename(device.folder / "gone")

    assert not device.receives(city.publish())

    assert not device.watch.decision_now().recording


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "large", "dangling"])
def test_only_a_plain_file_of_bounded_size_is_read(device: Device, city: City, kind: str) -> None:
    path = device.inbox / BUNDLE_FILE
    secret = device.folder / "secret"
    secret.write_bytes(city.publish())
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "dangling":
        path.symlink_to(device.folder / "nowhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(bytes(MAX_BUNDLE_BYTES + 1))

    assert device.watch.look()

    assert not device.watch.decision_now().recording
    assert device.verdict["error"] == "BundleFormatError"
    assert device.inbox_is_empty
    assert secret.exists()


def test_a_full_folder_in_the_way_neither_stops_nor_floods_the_watch(device: Device, city: City) -> None:
    (device.inbox / BUNDLE_FILE).mkdir()
    (device.inbox / BUNDLE_FILE / "x").touch()

    for _ in range(3):
        assert device.watch.look()

    assert device.log.kinds == ["policy-refused"]


# --- the thread -------------------------------------------------------------------


def wait_until(condition: object) -> None:
    assert callable(condition)
    pause = threading.Event()
    for _ in range(GENEROUS_S * 100):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come true")


def test_the_thread_takes_in_what_arrives(device: Device, city: City) -> None:
    with device.watch as watch:
        assert not watch.decision_now().recording

        device.arrives(city.publish())

        wait_until(lambda: watch.decision_now().recording)


def test_the_time_floor_is_saved_when_the_watch_ends(device: Device, city: City) -> None:
    device.clock.become(ClockQuality.UNKNOWN)
    device.receives(city.publish())
    with device.watch:
        device.clock.advance(DAY)
    device.clock.step(-300 * DAY)

    device.start()

    assert device.watch.clock_now().now > NOON + DAY - timedelta(minutes=6)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_means_dark(device: Device, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    device.receives(city.publish())
    assert device.watch.decision_now().recording

    def fail() -> bool:
        raise ZeroDivisionError

    with device.watch as watch:
        monkeypatch.setattr(watch, "look", fail)
        wait_until(lambda: not watch.decision_now().recording)

        assert "has stopped" in watch.decision_now().reason


def test_a_thread_that_hangs_means_dark_until_it_looks_again(
    device: Device, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.receives(city.publish())
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> bool:
        hangs.set()
        assert goes_on.wait(GENEROUS_S)
        return False

    with device.watch as watch:
        monkeypatch.setattr(watch, "look", hang)
        assert hangs.wait(GENEROUS_S)
        assert watch.decision_now().recording

        device.clock.advance(61 * SECOND)

        assert "hangs" in watch.decision_now().reason
        assert watch.decision_now() is watch.decision_now()
        goes_on.set()
        wait_until(lambda: watch.decision_now().recording)


def test_a_city_changes_its_mind_and_the_camera_follows(device: Device, city: City) -> None:
    city.put(restriction())
    device.receives(city.publish())
    assert not device.watch.decision_now().recording
    city.put(grant(lifts=("r-2026-001",)))

    device.receives(city.publish())

    assert device.watch.decision_now().recording
