"""A camera that was moved hides everything and says so once, until its approved view is back or approved anew."""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from agent.adapters.reference_view import ReferenceView
from agent.core.masking.blocks import FILL_Y
from agent.core.masking.drift import EVERY_US, Commissioning, Fingerprint
from agent.core.masking.masker import Masker
from agent.core.policy.decision import Decision
from agent.core.video import I420, FrameSize, MaskedFrame, RawFrame, StreamMode
from agent.core.zones import View, Zone
from agent.errors import (
    CameraStalledError,
    FeaturelessError,
    FingerprintFormatError,
    StorageError,
    UsageError,
)
from agent.ports import Fact
from agent.recorder.commissioning import EVERY_US as TAKEN_EVERY_US
from agent.recorder.commissioning import FRAMES, approve, digest_in_force, look_at
from agent.recorder.drift_stage import DriftStage
from tests.fakes.clock import FakeClock
from tests.fakes.event_log import MemoryLog
from tests.fakes.view_of_blocks import HEIGHT, WIDTH, Luma, view

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SIZE = FrameSize(WIDTH, HEIGHT)
MODE = StreamMode(size=SIZE, rate_hz=Fraction(5))
WINDOW = Zone(name="window", polygon=((0, 0), (0.2, 0), (0.2, 0.2)))
DRAWN = Decision(recording=True, reason="test", view=View(16, 9), zones=(WINDOW,))
UNDRAWN = replace(DRAWN, zones=())
SAME, ASIDE = view(grain=50), view(across=0.03, grain=51)


def reference() -> Fingerprint:
    commissioning = Commissioning()
    for n in range(6):
        commissioning.add(view(grain=n))
    return commissioning.finish()


REFERENCE = reference()


def raw(analysis: Luma | None, pts_us: int) -> RawFrame:
    pixels = I420.blank(SIZE)
    for plane in (pixels.y, pixels.u, pixels.v):
        plane[...] = 128
    # A plane of its own for each frame, as from a camera: the masker fills it when it is done.
    own = None if analysis is None else analysis.copy()
    return RawFrame(pixels=pixels, pts_us=pts_us, captured_at=NOON, analysis=own)


class Rig:
    """A masker with the stage and nothing else."""

    def __init__(self, fingerprint: Fingerprint | None = REFERENCE) -> None:
        self.events: list[tuple[str, Mapping[str, Fact]]] = []
        self.masker = Masker(MODE, [DriftStage(lambda: self.read(fingerprint), self.tell)])
        self.pts_us = 0

    def read(self, fingerprint: Fingerprint | None) -> Fingerprint | None:
        return fingerprint

    def tell(self, kind: str, frame: RawFrame, facts: Mapping[str, Fact]) -> None:
        self.events.append((kind, facts))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    def show(self, analysis: Luma | None, *, seconds: float = 0.0, decision: Decision = DRAWN) -> list[MaskedFrame]:
        frames = []
        for _ in range(max(int(seconds * 1_000_000 / EVERY_US * 2), 1)):
            self.pts_us += EVERY_US // 2
            frames.append(self.masker.mask(raw(analysis, self.pts_us), decision))
        return frames


def hidden(frame: MaskedFrame) -> bool:
    return bool((frame.pixels.y == FILL_Y).all())


def test_the_approved_view_is_shown() -> None:
    rig = Rig()

    assert not any(hidden(frame) for frame in rig.show(SAME, seconds=8))
    assert rig.events == []


def test_a_moved_camera_hides_all_and_is_logged_once_and_so_is_its_return() -> None:
    rig = Rig()
    rig.show(SAME, seconds=4)

    moved = rig.show(ASIDE, seconds=20)
    first_hidden = next(n for n, frame in enumerate(moved) if hidden(frame))
    back = rig.show(SAME, seconds=20)

    assert first_hidden * EVERY_US / 2 <= 4 * EVERY_US  # within the frames that one comparison averages
    assert all(hidden(frame) for frame in moved[first_hidden:])
    assert "not the one the zones were drawn over" in str(moved[-1].failed_closed)
    assert not hidden(back[-1])
    assert rig.kinds == ["view-drifted", "view-returned"]
    facts = rig.events[0][1]
    assert facts["found"] == "moved"
    assert facts["shift_across_permille"] == pytest.approx(30, abs=7)
    assert facts["reference"] == REFERENCE.digest
    assert "moved_gain_permille" in facts


def test_without_zones_a_moved_camera_is_logged_and_hides_nothing() -> None:
    rig = Rig()

    frames = rig.show(ASIDE, seconds=8, decision=UNDRAWN)

    assert not any(hidden(frame) for frame in frames)
    assert rig.kinds == ["view-drifted"]


def test_a_camera_that_was_moved_while_off_shows_nothing_from_the_first_frame_on() -> None:
    assert all(hidden(frame) for frame in Rig().show(ASIDE, seconds=8))


def test_without_a_reference_it_is_said_once_and_nothing_is_hidden() -> None:
    rig = Rig(None)

    assert not any(hidden(frame) for frame in rig.show(ASIDE, seconds=4))
    assert rig.kinds == ["view-without-reference"]


@pytest.mark.parametrize("error", [FingerprintFormatError("damaged"), StorageError("cannot read")])
def test_a_reference_that_cannot_be_read_hides_all(error: Exception) -> None:
    class Broken(Rig):
        def read(self, fingerprint: Fingerprint | None) -> Fingerprint | None:
            raise error

    rig = Broken()

    assert all(hidden(frame) for frame in rig.show(SAME, seconds=2))
    assert rig.kinds == ["view-reference-damaged"]


def test_a_camera_without_an_analysis_plane_shows_nothing() -> None:
    assert hidden(Rig().show(None)[0])


def test_a_plane_of_another_shape_shows_nothing() -> None:
    rig = Rig()
    rig.show(SAME, seconds=4)

    assert all(hidden(frame) for frame in rig.show(SAME[:120], seconds=2))


class Tripod:
    """A camera that shows one street, for so many frames."""

    def __init__(self, frames: int, *, analysis: bool = True, blank: bool = False) -> None:
        self._frames, self._analysis, self._blank = frames, analysis, blank
        self.closed = False

    def open(self) -> StreamMode:
        return MODE

    def frames(self) -> Iterator[RawFrame]:
        for n in range(self._frames):
            plane = np.full((HEIGHT, WIDTH), 90, np.uint8) if self._blank else view(grain=n % 4)
            yield raw(plane if self._analysis else None, n * TAKEN_EVERY_US // 2)

    def close(self) -> None:
        self.closed = True


def test_a_reference_is_made_of_what_stays_for_half_a_minute() -> None:
    camera = Tripod(3 * FRAMES)

    made = look_at(camera)

    assert made.frames == FRAMES
    assert made.edges == pytest.approx(REFERENCE.edges, rel=0.05)
    assert camera.closed


@pytest.mark.parametrize(
    ("camera", "error"),
    [
        (Tripod(FRAMES), CameraStalledError),
        (Tripod(3 * FRAMES, analysis=False), CameraStalledError),
        (Tripod(3 * FRAMES, blank=True), FeaturelessError),
    ],
)
def test_a_camera_that_shows_too_little_makes_no_reference(camera: Tripod, error: type[Exception]) -> None:
    with pytest.raises(error):
        look_at(camera)
    assert camera.closed


def test_a_reference_is_kept_for_its_owner_only_and_logged(tmp_path: Path) -> None:
    kept, log = ReferenceView(tmp_path / "state"), MemoryLog()
    assert kept.read() is None

    approve(REFERENCE, digest_in_force(kept, renew=False), kept, log, FakeClock())

    read = kept.read()
    assert read is not None
    assert read.digest == REFERENCE.digest
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert log.events == [
        ("view-approved", {"reference": REFERENCE.digest, "before": "", "edges": REFERENCE.edges, "frames": 6})
    ]


def test_an_approval_that_cannot_be_logged_is_none(tmp_path: Path) -> None:
    kept, log = ReferenceView(tmp_path), MemoryLog()
    log.failing = StorageError("no room")

    with pytest.raises(StorageError):
        approve(REFERENCE, "", kept, log, FakeClock(NOON + timedelta(hours=1)))

    assert kept.read() is None


def test_a_reference_is_replaced_on_purpose_only(tmp_path: Path) -> None:
    kept = ReferenceView(tmp_path)
    approve(REFERENCE, "", kept, MemoryLog(), FakeClock())
    before = kept.path.read_bytes()

    with pytest.raises(UsageError):
        digest_in_force(kept, renew=False)

    assert kept.path.read_bytes() == before
    assert digest_in_force(kept, renew=True) == REFERENCE.digest


def test_a_damaged_reference_is_replaced_on_purpose_only(tmp_path: Path) -> None:
    kept = ReferenceView(tmp_path)
    approve(REFERENCE, "", kept, MemoryLog(), FakeClock())
    kept.path.write_bytes(kept.path.read_bytes()[:-1])

    with pytest.raises(UsageError):
        digest_in_force(kept, renew=False)

    assert digest_in_force(kept, renew=True) == "damaged"
