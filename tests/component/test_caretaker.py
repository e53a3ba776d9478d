"""Beside recording, the caretaker makes room and tells the status, at a pace that costs the pictures nothing."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.ring import Ring, RingSettings
from agent.adapters.status_file import StatusFile
from agent.adapters.systemd_notify import SystemdNotify
from agent.core.policy.clock import ClockQuality, ClockState
from agent.core.policy.decision import Decision, HeldSpan, Revocation
from agent.core.status import CameraStatus, RecorderStatus, StorageState
from agent.core.video import Layer
from agent.recorder.caretaker import TIDY_EVERY_US, Caretaker
from agent.recorder.narrowing import Narrowing
from agent.recorder.storage import PatientStore
from agent.recorder.tally import Tally
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.event_log import MemoryLog
from tests.fakes.failing_disk import FailingDisk
from tests.fakes.sealed import sealed_fragments

FRAME = timedelta(milliseconds=40)
TIDY_EVERY = timedelta(microseconds=TIDY_EVERY_US)
SEGMENT_BYTES = len(sealed_fragments(0)[0].sealed)
FOUR_SEGMENTS = RingSettings(capacity_bytes=4 * SEGMENT_BYTES, keep_free_bytes=0, segment_bytes=SEGMENT_BYTES)
PERMITTED = Decision(recording=True, reason="grant g-1", retention=timedelta(days=30))
ERASED = replace(Decision.dark("revoked"), revocation=Revocation.ERASE)


class Bench:
    """A caretaker over a real ring of four segments, on a disk that can fail."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.disk = FailingDisk()
        self.log = MemoryLog()
        self.decision = PERMITTED
        self.footage = folder / "footage"
        self.store = PatientStore(lambda: Ring(self.footage, "pole-7", FOUR_SEGMENTS, disk=self.disk), lambda _: None)
        self._status_file = StatusFile(folder / "status.json")
        self.caretaker = Caretaker(
            camera_id="pole-7",
            clock=self.clock,
            policy_heard=lambda: True,
            clock_state=lambda: ClockState(
                now=self.clock.now(), quality=ClockQuality.SYNCHRONISED, proven=self.clock.now()
            ),
            camera_status=CameraStatus,
            store=self.store,
            log=self.log,
            narrowing=Narrowing(lambda: self.decision),
            tally=Tally(self.log),
            status_file=self._status_file,
            notifier=SystemdNotify({}),
        )

    def record(self, count: int) -> None:
        for _ in range(count):
            self.store.start(Layer.MASKED, self.clock.now()).finish(sealed_fragments(0)[0])

    def tick(self, times: int) -> None:
        for _ in range(times):
            self.caretaker.tick()
            self.clock.advance(FRAME)

    def status(self) -> RecorderStatus:
        return self._status_file.read()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()


def test_a_crowded_ring_is_given_room_at_once(bench: Bench) -> None:
    bench.tick(1)
    bench.record(4)

    bench.tick(1)

    assert len(bench.store.segments()) == 2
    bench.record(1)


def test_a_disk_that_lets_nothing_be_removed_is_asked_again_now_and_then(bench: Bench) -> None:
    bench.tick(1)
    bench.record(4)
    bench.disk.fail(errno.EROFS, "remove")

    bench.tick(100)

    assert bench.log.kinds.count("removal") == 1
    assert bench.status().storage.state is StorageState.FAILED
    bench.disk.heal()
    bench.clock.advance(TIDY_EVERY)
    bench.tick(1)
    assert len(bench.store.segments()) == 2
    assert bench.status().storage.state is StorageState.OK


def test_holds_that_fill_the_ring_are_told_and_removed_by_nobody(bench: Bench) -> None:
    bench.record(4)
    bench.decision = replace(PERMITTED, holds=(HeldSpan("h-1", NOON, NOON + timedelta(hours=1)),))

    bench.tick(100)

    assert len(bench.store.segments()) == 4
    assert bench.status().storage.state is StorageState.HELD
    assert bench.log.kinds.count("removal") == 0


def test_nothing_outlives_its_retention_by_more_than_an_hour_nor_goes_before(bench: Bench) -> None:
    bench.record(2)
    bench.clock.advance(PERMITTED.retention - timedelta(minutes=1))
    bench.tick(1)
    before = bench.status().storage.segments

    bench.clock.advance(timedelta(hours=1))
    bench.tick(1)

    assert before == 2
    assert bench.status().storage.segments == 0
    assert bench.status().storage.evicted == 0
    assert bench.log.kinds == ["removal"]


def test_what_goes_before_its_time_is_counted_for_all_to_see(bench: Bench) -> None:
    bench.record(4)

    bench.tick(1)
    bench.record(2)
    bench.tick(2)
    bench.clock.advance(TIDY_EVERY)
    bench.tick(1)

    assert bench.status().storage.evicted > 0
    assert all(facts["reason"] == "evicted" for kind, facts in bench.log.events if kind == "removal")


def test_keys_that_end_within_a_fortnight_are_warned_of_once_a_day(bench: Bench) -> None:
    bench.decision = replace(PERMITTED, keys_until=(NOON + timedelta(days=13)).date())

    bench.tick(3)
    for _ in range(3):
        bench.clock.advance(TIDY_EVERY)
        bench.tick(1)
    warned_today = bench.log.kinds.count("keys-ending")
    bench.clock.advance(timedelta(days=1))
    bench.tick(1)

    assert warned_today == 1
    assert bench.log.kinds.count("keys-ending") == 2
    assert bench.status().decision.keys_until == (NOON + timedelta(days=13)).date()


def test_keys_for_longer_are_not_warned_of(bench: Bench) -> None:
    bench.decision = replace(PERMITTED, keys_until=(NOON + timedelta(days=14)).date())

    bench.tick(3)

    assert "keys-ending" not in bench.log.kinds


def test_a_lifted_hold_makes_room_at_once(bench: Bench) -> None:
    bench.record(4)
    bench.decision = replace(PERMITTED, holds=(HeldSpan("h-1", NOON, NOON + timedelta(hours=1)),))
    bench.tick(1)
    bench.decision = PERMITTED

    bench.tick(1)

    assert len(bench.store.segments()) == 2


def test_what_was_running_when_erasure_was_ordered_goes_when_it_is_over(bench: Bench) -> None:
    bench.record(1)
    running = bench.store.start(Layer.MASKED, NOON)
    bench.decision = ERASED
    bench.tick(1)
    running.finish(sealed_fragments(0)[0])

    bench.tick(1)

    assert bench.store.segments() == []
    assert bench.log.kinds == ["erasure-done"] * 2


def test_an_erasure_that_the_disk_refuses_is_tried_now_and_then(bench: Bench) -> None:
    bench.record(1)
    bench.decision = ERASED
    bench.disk.fail(errno.EROFS, "remove")
    bench.tick(100)
    assert bench.disk.calls.count("remove") == 1
    assert bench.log.kinds == []

    bench.disk.heal()
    bench.clock.advance(TIDY_EVERY)
    bench.tick(1)

    assert bench.store.segments() == []
    assert bench.log.kinds == ["erasure-done"]


def test_a_card_that_comes_late_is_erased_although_nothing_is_recorded(bench: Bench) -> None:
    bench.record(1)
    bench.store.close()
    bench.decision = ERASED
    bench.disk.fail(errno.EIO, "free_bytes")
    bench.tick(1)
    assert len(list(bench.footage.rglob("*.age"))) == 1

    bench.disk.heal()
    bench.clock.advance(TIDY_EVERY)
    bench.tick(1)

    assert list(bench.footage.rglob("*.age")) == []
