"""What is played: simulated streets, whose every pixel is known, and labelled films where they are at hand."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from agent.adapters.analysis import shrink
from agent.adapters.clock import SystemClock
from agent.adapters.streetscene import Box, Scenario, Street, StreetSceneCamera, preset
from agent.adapters.videofile import VideoFileCamera
from agent.core.masking.drift import Commissioning, Fingerprint
from agent.core.video import FrameSize
from agent.core.zones import View
from agent.ports import Camera
from tests.privacy.scoring import Mask, Seen

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
RATE_HZ = 10
REFERENCE_FRAMES = 20
WIDE = View(16, 9)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is in one frame: people, plates, and where there is nothing to hide."""

    people: list[Seen]
    plates: list[Mask]
    elsewhere: Mask


@dataclass(frozen=True, slots=True)
class Film:
    """Something to play.

    Attributes:
        name: In the table.
        camera: Makes it.
        view: Its shape.
        rate_hz: Its rate.
        frames: How many it has, or None for any number.
        truth: What is in the n-th frame, or None where that is not known.
        reference: Makes the reference view, as a technician would have: on a day without people, where that can be had.
    """

    name: str
    camera: Callable[[], Camera]
    view: View
    rate_hz: float
    frames: int | None
    truth: Callable[[int], Truth | None]
    reference: Callable[[], Fingerprint]


def films(size: FrameSize) -> list[Film]:
    """Return all that can be played here."""
    busy = preset("busy")
    streets = {name: preset(name) for name in ("busy", "cyclists", "empty", "standing", "night", "rain")}
    streets["shaking"] = replace(busy, name="shaking", conditions=replace(busy.conditions, shake_px=1.5))
    found = [_street(name, scenario, size) for name, scenario in streets.items()]
    if (SHARED / "vtest.avi").exists():
        found.append(_pets())
    return found


def _street(name: str, scenario: Scenario, size: FrameSize) -> Film:
    street = Street(size, scenario)

    def truth(number: int) -> Truth:
        now = street.truth(int(number * 1_000_000 / RATE_HZ) / 1_000_000)
        people = []
        elsewhere = ~now.spill
        for figure in now.figures:
            pixels = figure.visible.on(size)
            elsewhere &= ~pixels
            people.append(Seen(figure.id, pixels, _head(pixels, figure.box), pixels))
        plates = []
        for vehicle in now.vehicles:
            pixels = vehicle.visible.on(size)
            elsewhere &= ~pixels
            if vehicle.plate_box is not None:
                plates.append(_boxed(vehicle.plate_box, pixels))
        return Truth(people, plates, elsewhere)

    def camera() -> Camera:
        return StreetSceneCamera(
            clock=SystemClock(), size=size, rate_hz=Fraction(RATE_HZ), scenario=scenario, paced=False
        )

    def reference() -> Fingerprint:
        commissioning, empty = Commissioning(), Street(size, preset("empty"))
        for second in range(REFERENCE_FRAMES):
            commissioning.add(shrink(empty.draw(float(second)).y))
        return commissioning.finish()

    return Film(name, camera, WIDE, RATE_HZ, None, truth, reference)


def _head(pixels: Mask, box: Box) -> Mask:
    """Return the topmost seventh of the figure, as far as it is seen: proportions of an adult, hat included."""
    head = np.zeros_like(pixels)
    end = box.top + max((box.bottom - box.top) // 7, 1)
    head[box.top : end] = pixels[box.top : end]
    return head


def _boxed(box: Box, within: Mask) -> Mask:
    area = np.zeros_like(within)
    area[box.top : box.bottom, box.left : box.right] = within[box.top : box.bottom, box.left : box.right]
    return area


def _pets() -> Film:
    labels = json.loads((SHARED / "vtest_pseudo_boxes.json").read_text(encoding="utf-8"))
    height, width = 576, 768

    def truth(number: int) -> Truth | None:
        if str(number) not in labels:
            return None
        people = []
        elsewhere = np.ones((height, width), np.bool_)
        for index, (x1, y1, x2, y2) in enumerate(labels[str(number)]):
            left, right, top, bottom = max(int(x1), 0), int(x2), max(int(y1), 0), int(y2)
            body, head, whole = (np.zeros((height, width), np.bool_) for _ in range(3))
            # A box is not a person: of its width the middle three fifths are, at the head the middle third.
            body[top:bottom, left + (right - left) // 5 : right - (right - left) // 5] = True
            third = (right - left) // 3
            head[top : top + max((bottom - top) // 7, 1), left + third : right - third] = True
            whole[top:bottom, left:right] = True
            elsewhere &= ~whole
            people.append(Seen(f"box-{index}", body, head, body))
        return Truth(people, [], elsewhere)

    def reference() -> Fingerprint:
        """Return it from twenty frames over the whole film: nobody stays in one place so long."""
        commissioning = Commissioning()
        camera = VideoFileCamera(SHARED / "vtest.avi", SystemClock(), paced=False)
        camera.open()
        with closing(camera):
            for frame in islice(camera.frames(), 0, None, 795 // REFERENCE_FRAMES):
                assert frame.analysis is not None
                commissioning.add(frame.analysis)
        return commissioning.finish()

    return Film(
        "vtest.avi",
        lambda: VideoFileCamera(SHARED / "vtest.avi", SystemClock(), paced=False),
        View(4, 3),
        10.0,
        795,
        truth,
        reference,
    )
