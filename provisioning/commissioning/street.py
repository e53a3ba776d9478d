"""What a technician measured on the street: where the ground is, and the areas in which it is counted how many are.

Without measured points the ground follows from how the camera hangs. Points are better: a tilt that is wrong by a
degree makes twenty metres eighteen or twenty-three (at four metres' height), and every speed there with them. What
follows from a mounting is a flat street, square to the camera.
"""

import math
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from agent.core.ground import FARTHEST_M, MOST_POINTS, Ground, GroundPoint
from agent.core.places import overlap
from agent.core.policy.documents import Coordinate
from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Strict
from agent.core.video import FrameSize
from agent.core.zones import Zone
from agent.errors import CommissioningFormatError
from provisioning.authority import files
from provisioning.commissioning.density import Mounting

MAX_AREAS = 16
MAX_FILE_BYTES = 16 * 1024
_LEAST_DEPTH_M = 2.0  # along the ground; less says nothing about a speed

Metres = Annotated[float, Field(ge=-FARTHEST_M, le=FARTHEST_M)]


class MeasuredPoint(Strict):
    """A point that can be found in the picture, and where on the ground it lies."""

    at: tuple[Coordinate, Coordinate]
    metres: tuple[Metres, Metres]

    def point(self) -> GroundPoint:
        """Return it as the camera has it."""
        return GroundPoint(at=self.at, metres=self.metres)


class CountingArea(Strict):
    """Where it is counted how many people and vehicles are present."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    polygon: tuple[tuple[Coordinate, Coordinate], ...]

    def zone(self) -> Zone:
        """Return it as the camera has it."""
        return Zone(name=self.name, polygon=self.polygon)


def _is_empty(things: tuple[object, ...]) -> bool:
    return not things


class MeasuredStreet(Strict):
    """A file: `[[points]]`, each with `at` and `metres`, and `[[areas]]`, each with `name` and `polygon`.

    Neither is spelled where there are none.
    """

    points: Annotated[tuple[MeasuredPoint, ...], Field(max_length=MOST_POINTS, exclude_if=_is_empty)] = ()
    areas: Annotated[tuple[CountingArea, ...], Field(max_length=MAX_AREAS, exclude_if=_is_empty)] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.points:
            Ground([each.point() for each in self.points])
        zones = [each.zone() for each in self.areas]
        for one, other in combinations(zones, 2):
            if one.name == other.name or overlap(one, other):
                raise ValueError(f"areas {one.name!r} and {other.name!r} overlap or have one name")
        return self


NOTHING_MEASURED = MeasuredStreet()


def read_street(path: Path) -> MeasuredStreet:
    """Return what a file says.

    Raises:
        CommissioningFormatError: It says no ground, or areas that are none.
        StorageError: It cannot be read.
    """
    raw = files.read_capped(path, max_bytes=MAX_FILE_BYTES)
    try:
        return MeasuredStreet.model_validate(tomllib.loads(raw.decode()), strict=False)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommissioningFormatError(f"{path.name} is not TOML: {error}") from error
    except ValidationError as error:
        raise CommissioningFormatError(f"{path.name}: {first_problem(error)}") from error


def ground_of(mounting: Mounting, size: FrameSize) -> tuple[GroundPoint, ...]:
    """Return four points at the sides of the picture, where people first and last walk; none if that is no ground.

    Args:
        mounting: How the camera hangs.
        size: Of the picture.
    """
    focal_px = size.width_px / 2 / math.tan(math.radians(mounting.lens_degrees) / 2)
    tilt = math.radians(mounting.tilt_degrees)
    half_down = math.atan(size.height_px / 2 / focal_px)
    lowest, highest = tilt + half_down, tilt - half_down  # lines of sight at the picture's edges, below the horizon
    near_m = max(mounting.nearest_m, 0.0 if lowest >= math.pi / 2 else mounting.height_m / math.tan(lowest))
    far_m = min(mounting.farthest_m, math.inf if highest <= 0 else mounting.height_m / math.tan(highest))
    if far_m - near_m < _LEAST_DEPTH_M:
        return ()
    points = []
    for ahead_m in (near_m, far_m):
        along_m = ahead_m * math.cos(tilt) + mounting.height_m * math.sin(tilt)
        down_m = mounting.height_m * math.cos(tilt) - ahead_m * math.sin(tilt)
        y = min(max(0.5 + focal_px * down_m / along_m / size.height_px, 0.0), 1.0)
        aside_m = along_m * size.width_px / 2 / focal_px
        points += [
            GroundPoint(at=(x, round(y, 4)), metres=(round(across_m, 2), round(ahead_m, 2)))
            for x, across_m in ((0.0, -aside_m), (1.0, aside_m))
        ]
    try:
        Ground(points)
    except ValueError:
        return ()
    return tuple(points)
