"""The simulated street as PNG files, for demos and for people who want to look at it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from agent.adapters.street.picture import Street
from agent.adapters.street.scenario import PRESET_NAMES, preset
from agent.core.video import FrameSize
from agent.errors import StorageError, UsageError


def draw_stills(folder: Path, *, seconds: Sequence[float], scenario: str, size: FrameSize) -> Iterator[Path]:
    """Draw the street at each of `seconds` of scene time into `folder`, and yield each file's path.

    Raises:
        UsageError: There is no such scenario.
        StorageError: A file cannot be written.
    """
    if scenario not in PRESET_NAMES:
        raise UsageError(f"no scenario {scenario!r}", hint=f"one of {', '.join(PRESET_NAMES)}")
    street = Street(size, preset(scenario, 0), seed=0)
    for second in seconds:
        path = folder / f"street-{second:08.3f}.png"
        encoded, data = cv2.imencode(".png", street.draw_bgr(second))
        if not encoded:
            raise StorageError(f"cannot encode {path} as PNG")
        try:
            path.write_bytes(data.tobytes())
        except OSError as error:
            raise StorageError(f"cannot write {path}: {(error.strerror or '').lower()}") from error
        yield path
