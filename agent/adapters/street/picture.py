"""The street at one instant: the picture, and the truth about every pixel of it.

Nothing here keeps time or state that shows: `draw(t)` is the same bytes for the
same size, scenario, seed and t, whatever was drawn before.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.adapters.street import scenery
from agent.adapters.street.brush import OPAQUE, Bgr, Pixels, Sprite, as_pixels
from agent.adapters.street.figures import Drawn, cast_shadow, draw_person
from agent.adapters.street.light import Lighting
from agent.adapters.street.plan import SUN_SHADOW
from agent.adapters.street.scenario import Body, Kind, Person, Placement, Scenario, Vehicle, preset
from agent.adapters.street.vehicles import DrawnVehicle, draw_vehicle
from agent.adapters.street.view import View, depth_of
from agent.core.video import I420, FrameSize

Mask = NDArray[np.bool_]

_NOISE_SLACK_PX = 128  # the pool is this much larger than the frame, so each frame cuts another piece of it
_SHADOW, _SHADOW_UNDER_CAR = 0.46, 0.62
_SHADOW_FADES_PX = (26.0, 48.0)  # per metre: far figures cast none, near ones a full one
_ADULT_M = 1.75
# People farther than this move in steps: at forty pixels of height nobody sees it, and it halves what they cost.
_FAR_M, _FAR_HZ = 15.0, 7.5
_ROUNDING = 1e-6
_AMBER: Bgr = (60, 176, 255)


@dataclass(frozen=True, slots=True)
class Box:
    """Whole pixels from (left, top) up to but not including (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Cutout:
    """A pixel mask, cropped.

    Attributes:
        left: Column of its crop in the frame.
        top: Row of its crop in the frame.
        mask: (h, w) bool.
    """

    left: int
    top: int
    mask: Mask

    def on(self, size: FrameSize) -> Mask:
        """Return the mask over a whole frame, (height, width) bool."""
        whole = np.zeros((size.height_px, size.width_px), np.bool_)
        height, width = self.mask.shape
        whole[self.top : self.top + height, self.left : self.left + width] = self.mask
        return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureTruth:
    """One person in one frame.

    Attributes:
        id: As in the scenario.
        kind: What the person does.
        visible: Every pixel the person has any part in.
        box: Around the whole figure, hidden parts too, within the frame.
        face_box: Around the face, hidden or not, within the frame; None when turned away.
    """

    id: str
    kind: Kind
    visible: Cutout
    box: Box
    face_box: Box | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleTruth:
    """One vehicle in one frame.

    Attributes:
        id: As in the scenario.
        visible: Every pixel the vehicle has any part in.
        box: Around the whole vehicle, hidden parts too, within the frame.
        plate_box: Around the number plate that faces the camera, or None.
        plate: What is written on it.
    """

    id: str
    visible: Cutout
    box: Box
    plate_box: Box | None
    plate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreetTruth:
    """What is where in one frame.

    Attributes:
        t: Scene time, seconds.
        size: Of the frame.
        figures: People with at least one visible pixel, far to near.
        vehicles: Likewise.
        spill: Pixels that shadows and headlights of moving things may have changed, (height, width) bool.
    """

    t: float
    size: FrameSize
    figures: tuple[FigureTruth, ...]
    vehicles: tuple[VehicleTruth, ...]
    spill: Mask

    def people(self) -> Mask:
        """Return the union of all figures, (height, width) bool."""
        union = np.zeros((self.size.height_px, self.size.width_px), np.bool_)
        for figure in self.figures:
            union |= figure.visible.on(self.size)
        return union


@dataclass(frozen=True, slots=True)
class _Staged:
    """One person or vehicle, drawn, with what stands before it taken away."""

    depth_m: float
    who: Person | Vehicle
    drawn: Drawn | DrawnVehicle
    placement: Placement
    whole: Sprite
    shown: Sprite
    shadows: tuple[tuple[Sprite, float], ...]


class Street:
    """A street of one size with one cast.

    Args:
        size: Of the frames; the composition is made for 16:9.
        scenario: Who is there and under which sky; "busy" if not given.
        seed: Of everything random: bricks, leaves, noise, and the cast if no scenario is given.
    """

    def __init__(self, size: FrameSize, scenario: Scenario | None = None, *, seed: int = 0) -> None:
        self.size = size
        self.scenario = scenario if scenario is not None else preset("busy", seed)
        self.seed = seed
        self._view = View.of(size)
        conditions = self.scenario.conditions
        self._lighting = Lighting(conditions)
        self._scenery = scenery.build(size, seed, night=conditions.night, rain=conditions.rain)
        self._still: dict[str, tuple[Placement, _Staged | None]] = {}
        rng = np.random.default_rng([seed, 9])
        shape = (size.height_px + _NOISE_SLACK_PX, size.width_px + _NOISE_SLACK_PX)
        noise = np.round(rng.normal(0, max(conditions.noise_sigma, 1e-9), shape)).clip(-60, 60)
        self._brighter, self._darker = np.maximum(noise, 0).astype(np.uint8), np.maximum(-noise, 0).astype(np.uint8)
        self._rain = _streaks(rng, size) if conditions.rain else None

    def draw(self, t: float) -> I420:
        """Return the picture at scene time `t` in fresh, packed planes, noise and rain included."""
        return self._as_i420(self.draw_bgr(t), t)

    def draw_empty(self, t: float) -> I420:
        """Return the picture at `t` with nobody and no vehicle on the street."""
        return self._as_i420(self.draw_empty_bgr(t), t)

    def draw_bgr(self, t: float) -> Pixels:
        """Return the picture at `t` before noise and rain, (height, width, 3) BGR."""
        frame = self._background(t)
        staged = list(self._staged(t))
        for thing in staged:
            for shadow, strength in thing.shadows:
                _darken(frame, shadow, strength)
        for glow in self._beams(staged):
            _brighten(frame, glow)
        for thing in staged:
            thing.shown.lay_over(frame)
        for glow in self._flares(staged):
            _brighten(frame, glow)
        return _shifted(frame, self._shake(t))

    def draw_empty_bgr(self, t: float) -> Pixels:
        """Return the empty street at `t` before noise and rain, (height, width, 3) BGR."""
        return _shifted(self._background(t), self._shake(t))

    def truth(self, t: float) -> StreetTruth:
        """Return what `draw(t)` shows, pixel by pixel."""
        staged = list(self._staged(t))
        shift = self._shake(t)
        figures, vehicles = [], []
        for index, thing in enumerate(staged):
            mask = thing.shown.coverage > 0
            for nearer in staged[index + 1 :]:
                _hide(mask, thing.shown, nearer.shown)
            visible = self._cutout(thing.shown, mask, shift)
            if visible is None:
                continue
            box = self._box(_extent(thing.whole), shift)
            if box is None:
                continue
            if isinstance(thing.who, Person) and isinstance(thing.drawn, Drawn):
                face = self._box(thing.drawn.face_px, shift)
                figures.append(
                    FigureTruth(id=thing.who.id, kind=thing.who.kind, visible=visible, box=box, face_box=face)
                )
            elif isinstance(thing.who, Vehicle) and isinstance(thing.drawn, DrawnVehicle):
                plate_box = self._box(thing.drawn.plate_px, shift)
                vehicles.append(
                    VehicleTruth(id=thing.who.id, visible=visible, box=box, plate_box=plate_box, plate=thing.who.plate)
                )
        spill = np.zeros((self.size.height_px, self.size.width_px), np.uint8)
        for thing in staged:
            for shadow, _ in thing.shadows:
                spill[shadow.area] |= shadow.coverage
        for glow in (*self._beams(staged), *self._flares(staged)):
            spill[glow.area] |= glow.bgra.max(axis=2)
        moved = _shifted(spill, shift, border=0)
        return StreetTruth(t=t, size=self.size, figures=tuple(figures), vehicles=tuple(vehicles), spill=moved > 0)

    # --- the layers, far to near ---------------------------------------------------

    def _background(self, t: float) -> Pixels:
        frame = self._scenery.picture.copy()
        left, top, width, height = self._scenery.display_px
        display = frame[top : top + height, left : left + width]
        if display.size:
            text = np.zeros((22, 66, 3), np.uint8)
            text[:] = (26, 24, 22)
            cv2.putText(text, f"{t % 1000:05.1f}", (3, 18), cv2.FONT_HERSHEY_DUPLEX, 0.66, _AMBER, 1, cv2.LINE_AA)
            display[:] = cv2.resize(text, (width, height), interpolation=cv2.INTER_AREA)[
                : display.shape[0], : display.shape[1]
            ]
        return frame

    def _staged(self, t: float) -> Iterator[_Staged]:
        """Yield who is on the street at `t`, far to near."""
        things = []
        cast: tuple[Person | Vehicle, ...] = (*self.scenario.people, *self.scenario.vehicles)
        for who in cast:
            placement = who.path.at(t)
            if placement is None:
                continue
            if isinstance(who, Person) and depth_of(placement.x_m, placement.z_m) > _FAR_M:
                placement = who.path.at(math.floor(t * _FAR_HZ + _ROUNDING) / _FAR_HZ) or placement
            known = self._still.get(who.id)
            thing = known[1] if known is not None and known[0] == placement else self._stage(who, placement)
            self._still[who.id] = (placement, thing)
            if thing is not None:
                things.append(thing)
        things.sort(key=lambda thing: (-thing.depth_m, thing.who.id))
        yield from things

    def _stage(self, who: Person | Vehicle, placement: Placement) -> _Staged | None:
        depth = depth_of(placement.x_m, placement.z_m)
        if depth < 2.0:  # noqa: PLR2004 - under the camera, out of its picture
            return None
        light = self._lighting.at(placement.x_m, placement.z_m)
        drawn: Drawn | DrawnVehicle
        if isinstance(who, Person):
            drawn = draw_person(who, placement, self._view, light)
        else:
            driven = placement.speed_m_s > 0 or who.body is Body.BUS
            lamps_on = driven and self.scenario.conditions.night
            drawn = draw_vehicle(who, placement, self._view, light, lamps_on=lamps_on)
        inside = drawn.sprite.clipped((self.size.height_px, self.size.width_px))
        whole = inside.cropped() if inside is not None else None
        if whole is None:
            return None
        through = self._scenery.through(depth)
        shown = whole if through is None else whole.behind(through)
        shadows = tuple(
            (cut if through is None else cut.behind(through), strength)
            for shadow, strength in self._shadows(drawn, placement)
            if (cut := shadow.clipped((self.size.height_px, self.size.width_px))) is not None
        )
        return _Staged(depth, who, drawn, placement, whole, shown, shadows)

    def _shadows(self, drawn: Drawn | DrawnVehicle, placement: Placement) -> Iterator[tuple[Sprite, float]]:
        """Yield soft shadows and how dark each is."""
        conditions = self.scenario.conditions
        sunny = not (conditions.night or conditions.rain)
        if isinstance(drawn, DrawnVehicle):
            yield _footprint(drawn, sunny=sunny), _SHADOW_UNDER_CAR
            return
        s = drawn.height_px / _ADULT_M
        yield _soft_ellipse(drawn.feet_px, (0.36 * s, 0.1 * s)), _SHADOW
        fade = min((s - _SHADOW_FADES_PX[0]) / (_SHADOW_FADES_PX[1] - _SHADOW_FADES_PX[0]), 1.0)
        if sunny and fade > 0:
            rise = drawn.height_px / self._view.scale(placement.x_m, placement.z_m)
            sun_x, sun_z = SUN_SHADOW
            head = self._view.pixel(placement.x_m + sun_x * rise, 0.0, placement.z_m + sun_z * rise)
            yield cast_shadow(drawn, head), _SHADOW * fade

    def _beams(self, staged: list[_Staged]) -> Iterator[Sprite]:
        """Yield the light that headlights throw on the road."""
        if not self.scenario.conditions.night:
            return
        for thing in staged:
            if isinstance(thing.drawn, DrawnVehicle) and thing.drawn.lamps_px:
                placement = thing.placement
                if placement.speed_m_s == 0:
                    continue
                ahead = (placement.x_m + placement.heading[0] * 6.0, 0.0, placement.z_m + placement.heading[1] * 6.0)
                if depth_of(ahead[0], ahead[2]) < 4.0:  # noqa: PLR2004 - the pool has left the picture
                    continue
                pool, s = self._view.pixel(*ahead), self._view.scale(ahead[0], ahead[2])
                glow = _glow(pool, (2.0 * s, 0.75 * s), (62, 84, 92))
                cut = glow.clipped((self.size.height_px, self.size.width_px))
                if cut is not None:
                    yield cut

    def _flares(self, staged: list[_Staged]) -> Iterator[Sprite]:
        """Yield how headlights bloom in the lens."""
        if not (self.scenario.conditions.night and self.scenario.conditions.flare):
            return
        for thing in staged:
            if not isinstance(thing.drawn, DrawnVehicle) or thing.placement.speed_m_s == 0:
                continue
            for lamp in thing.drawn.lamps_px:
                s = thing.drawn.scale
                glow = _glow(lamp, (0.95 * s, 0.8 * s), (150, 180, 190))
                cut = glow.clipped((self.size.height_px, self.size.width_px))
                if cut is not None:
                    yield cut

    # --- what the camera adds --------------------------------------------------------

    def _shake(self, t: float) -> tuple[int, int]:
        reach = self.scenario.conditions.shake_px * self.size.height_px / 720
        if reach <= 0:
            return (0, 0)
        dx = math.sin(t * 7.1) * 0.6 + math.sin(t * 17.3 + 1.0) * 0.4
        dy = math.sin(t * 9.7 + 2.0) * 0.6 + math.sin(t * 21.1) * 0.4
        return round(dx * reach), round(dy * reach * 0.6)

    def _as_i420(self, frame: Pixels, t: float) -> I420:
        packed = cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420)
        luma = packed[: self.size.height_px]
        if self._rain is not None:
            fallen = round(t * 2.6 * self.size.height_px) % self.size.height_px
            start = self.size.height_px - fallen
            cv2.add(luma, self._rain[start : start + self.size.height_px], dst=luma)
        if self.scenario.conditions.noise_sigma > 0:
            dice = np.random.default_rng([self.seed, 11, round(abs(t) * 1e6)])
            top, left = (int(n) for n in dice.integers(0, _NOISE_SLACK_PX, 2))
            piece = (slice(top, top + self.size.height_px), slice(left, left + self.size.width_px))
            cv2.add(luma, self._brighter[piece], dst=luma)
            cv2.subtract(luma, self._darker[piece], dst=luma)
        return I420.from_packed(as_pixels(packed))

    # --- truth -----------------------------------------------------------------------

    def _cutout(self, sprite: Sprite, mask: Mask, shift: tuple[int, int]) -> Cutout | None:
        left, top = sprite.left + shift[0], sprite.top + shift[1]
        y0, x0 = max(-top, 0), max(-left, 0)
        y1 = min(mask.shape[0], self.size.height_px - top)
        x1 = min(mask.shape[1], self.size.width_px - left)
        inner = mask[y0:y1, x0:x1]
        if not inner.any():
            return None
        return Cutout(left + x0, top + y0, inner)

    def _box(self, edges: tuple[float, float, float, float] | None, shift: tuple[int, int]) -> Box | None:
        if edges is None:
            return None
        left, top = math.floor(edges[0]) + shift[0], math.floor(edges[1]) + shift[1]
        right, bottom = math.ceil(edges[2]) + shift[0], math.ceil(edges[3]) + shift[1]
        box = Box(max(left, 0), max(top, 0), min(right, self.size.width_px), min(bottom, self.size.height_px))
        return box if box.left < box.right and box.top < box.bottom else None


def _extent(sprite: Sprite) -> tuple[float, float, float, float] | None:
    columns, rows = np.flatnonzero(sprite.coverage.any(axis=0)), np.flatnonzero(sprite.coverage.any(axis=1))
    if not len(columns):
        return None
    left, top = sprite.left, sprite.top
    return (left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1)


def _hide(mask: Mask, sprite: Sprite, nearer: Sprite) -> None:
    """Clear from `mask`, over `sprite`, what `nearer` covers completely."""
    top, left = max(sprite.top, nearer.top), max(sprite.left, nearer.left)
    bottom = min(sprite.top + mask.shape[0], nearer.top + nearer.bgra.shape[0])
    right = min(sprite.left + mask.shape[1], nearer.left + nearer.bgra.shape[1])
    if top >= bottom or left >= right:
        return
    cover = nearer.coverage[top - nearer.top : bottom - nearer.top, left - nearer.left : right - nearer.left]
    mask[top - sprite.top : bottom - sprite.top, left - sprite.left : right - sprite.left] &= cover < OPAQUE


def _darken(frame: Pixels, shadow: Sprite, strength: float) -> None:
    under = frame[shadow.area]
    kept = cv2.bitwise_not(cv2.convertScaleAbs(np.ascontiguousarray(shadow.coverage), alpha=strength))
    under[:] = cv2.multiply(np.ascontiguousarray(under), cv2.merge([kept] * 3), scale=1 / 255)


def _brighten(frame: Pixels, glow: Sprite) -> None:
    under = frame[glow.area]
    under[:] = cv2.add(np.ascontiguousarray(under), cv2.cvtColor(glow.bgra, cv2.COLOR_BGRA2BGR))


def _radial() -> Pixels:
    axis = np.linspace(-1, 1, 64, dtype=np.float32)
    reach = np.clip(1 - np.sqrt(np.add.outer(axis**2, axis**2)), 0, 1) ** 1.6
    return as_pixels(np.round(reach * 255).astype(np.uint8))


_RADIAL = _radial()


def _soft_ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> Sprite:
    width, height = max(round(radii[0] * 2), 2), max(round(radii[1] * 2), 2)
    spot = cv2.resize(_RADIAL, (width, height), interpolation=cv2.INTER_LINEAR)
    return Sprite.of_coverage(round(centre[0] - width / 2), round(centre[1] - height / 2), spot)


def _glow(centre: tuple[float, float], radii: tuple[float, float], colour: Bgr) -> Sprite:
    spot = _soft_ellipse(centre, radii)
    cover = np.ascontiguousarray(spot.coverage)
    channels = [cv2.convertScaleAbs(cover, alpha=c / 255) for c in colour]
    return Sprite(spot.left, spot.top, as_pixels(cv2.merge([*channels, np.zeros_like(cover)])))


def _footprint(drawn: DrawnVehicle, *, sunny: bool) -> Sprite:
    """Return the shadow under a vehicle, wider towards where the sun throws it."""
    ground = drawn.footprint_px
    if sunny:
        ground = np.vstack([ground, ground + np.array([0.75, -0.06]) * drawn.scale])
    hull = cv2.convexHull(ground.astype(np.float32))[:, 0]
    pad = 0.2 * drawn.scale
    # As for the vehicle itself: what has almost passed the camera must not cost without bound.
    left, top = (int(v) for v in np.floor(np.maximum(hull.min(axis=0) - pad, -400)))
    right, bottom = (int(v) for v in np.ceil(np.minimum(hull.max(axis=0) + pad, 4200)))
    cover = np.zeros((max(bottom - top, 1), max(right - left, 1)), np.uint8)
    cv2.fillPoly(cover, [np.round(hull - (left, top)).astype(np.int32)], OPAQUE)
    soft = max(3, round(0.16 * drawn.scale) | 1)
    return Sprite.of_coverage(left, top, cv2.blur(cover, (soft, soft)))


def _shifted(picture: Pixels, shift: tuple[int, int], *, border: int | None = None) -> Pixels:
    """Return the picture moved by (dx, dy), its edge repeated, or `border` where given."""
    dx, dy = shift
    if not dx and not dy:
        return picture
    height, width = picture.shape[:2]
    kind = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    wide = cv2.copyMakeBorder(picture, max(dy, 0), max(-dy, 0), max(dx, 0), max(-dx, 0), kind)
    top, left = max(-dy, 0), max(-dx, 0)
    return np.ascontiguousarray(wide[top : top + height, left : left + width])


def _streaks(rng: np.random.Generator, size: FrameSize) -> Pixels:
    """Return rain, (2 * height, width), that repeats after `height` rows."""
    height, width = size.height_px, size.width_px
    rain = np.zeros((height, width), np.uint8)
    for _ in range(420):
        x, y = rng.integers(0, width), rng.integers(0, height)
        long = int(rng.uniform(0.02, 0.07) * height)
        level = int(rng.uniform(14, 44))
        for wrap in (0, -height):
            cv2.line(rain, (int(x), int(y) + wrap), (int(x - long * 0.12), int(y) + wrap + long), level, 1, cv2.LINE_AA)
    return np.ascontiguousarray(np.vstack([rain, rain]))
