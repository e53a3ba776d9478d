"""How many pixels a metre has at the pavement, and what can be told of somebody there.

A flat street, a lens without distortion, a camera at `height_m` that looks down by `tilt_degrees`.
Density is counted across the line of sight at the height of a face, because the question
is whether a face could be known again. The bands are those of IEC 62676-4:2014 (EN 62676-4:2015): the
least pixels a metre at which an observer can do what the band is named for. The edition of 2025 has finer
levels under other names (perceive, characterise, validate, scrutinise, …); the six of 2014 are what data sheets,
tenders and technicians say, and *identify* is what matters here. A camera above it where people walk could
tell who they are; so it is aimed or limited differently, or somebody says why not.

page/density.js computes the same for the page; tests/component/test_zone_editor_modules.py holds them together.

Pure.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from agent.core.policy.words import Strict
from agent.core.video import FrameSize

BANDS = (
    ("inspect", 1000.0),
    ("identify", 250.0),
    ("recognise", 125.0),
    ("observe", 62.5),
    ("detect", 25.0),
    ("monitor", 12.5),
)
IDENTIFY_PX_PER_M = 250.0
FACE_M = 1.6  # of an adult; who stands on a step or a horse is nearer to the lens


class Mounting(Strict):
    """How a camera hangs, as the technician measured it.

    Attributes:
        height_m: Of the lens above the pavement.
        tilt_degrees: Of the line of sight below the horizon.
        lens_degrees: Horizontal angle of view.
        nearest_m: Along the ground, from below the lens to where people first walk; 0 for right below it.
        farthest_m: To where they walk last.
    """

    height_m: Annotated[float, Field(gt=FACE_M, le=60)]
    tilt_degrees: Annotated[float, Field(ge=0, le=90)]
    lens_degrees: Annotated[float, Field(ge=1, le=170)]
    nearest_m: Annotated[float, Field(ge=0, le=1000)]
    farthest_m: Annotated[float, Field(ge=0, le=1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """What the numbers come to.

    Attributes:
        highest_px_per_m: At the nearest face that is in the picture.
        lowest_px_per_m: At the farthest.
        highest_at_m: Where on the ground the nearest one stands.
        band: Of the highest; empty below all.
        horizon: Where the horizon lies, as a share of the picture's height from the top; may lie outside.
    """

    highest_px_per_m: float
    lowest_px_per_m: float
    highest_at_m: float
    band: str
    horizon: float

    @property
    def could_identify(self) -> bool:
        """Whether somebody could be known again by the face, were people not hidden."""
        return self.highest_px_per_m >= IDENTIFY_PX_PER_M


def density(mounting: Mounting, size: FrameSize) -> Density:
    """Return the density that a mounting gives a picture of `size`."""
    focal_px = size.width_px / 2 / math.tan(math.radians(mounting.lens_degrees) / 2)
    tilt = math.radians(mounting.tilt_degrees)
    half_down = math.atan(size.height_px / 2 / focal_px)
    drop_m = mounting.height_m - FACE_M
    # A face nearer than this is below the picture's lower edge.
    steepest = tilt + half_down
    visible_from_m = 0.0 if steepest >= math.pi / 2 else drop_m / math.tan(steepest)
    nearest_m = max(mounting.nearest_m, visible_from_m)
    farthest_m = max(mounting.farthest_m, nearest_m)

    def at(ground_m: float) -> float:
        along_m = ground_m * math.cos(tilt) + drop_m * math.sin(tilt)
        return focal_px / max(along_m, 0.1)

    highest = at(nearest_m)
    horizon = 0.5 - focal_px * math.tan(min(tilt, math.radians(89.9))) / size.height_px
    return Density(
        highest_px_per_m=highest,
        lowest_px_per_m=at(farthest_m),
        highest_at_m=nearest_m,
        band=band_of(highest),
        horizon=horizon,
    )


def band_of(px_per_m: float) -> str:
    """Return the name of the highest band that `px_per_m` reaches; empty below all."""
    return next((name for name, least in BANDS if px_per_m >= least), "")
