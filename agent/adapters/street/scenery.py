"""What never moves, drawn once: painted flat in metres, seen through `View` at twice the size, reduced."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import cv2
import numpy as np

from agent.adapters.street.brush import OPAQUE, Brush, Pixels, Sprite, as_pixels
from agent.adapters.street.flat import Floats32, warp
from agent.adapters.street.furniture import fence, hedge, lamp_post, shelter_back, shelter_front, stop_sign, tree
from agent.adapters.street.ground import ground
from agent.adapters.street.houses import TERRACE, far_town, house, stand_front, terrace, town_roof
from agent.adapters.street.light import Lighting, light_cones, sky, sunlit, surfaces, wetted
from agent.adapters.street.plan import (
    EAVES_M,
    FACADE_X_M,
    GARDEN_M,
    HOUSE_Z_M,
    LAMPS_M,
    SHELTER_M,
    STOP_SIGN_M,
    TOWN,
    TREES_M,
)
from agent.adapters.street.scenario import Conditions
from agent.adapters.street.view import View, depth_of
from agent.core.video import FrameSize

SUPERSAMPLE = 2
# Stretches of ground: (right edge x, z from, z to, pixels per metre at 720 rows), far to near.
_GROUND_BANDS = ((42.0, 46.0, 130.0, 9.0), (24.0, 22.0, 46.0, 28.0), (13.0, 11.0, 22.0, 56.0), (8.0, 3.4, 11.0, 100.0))


@dataclass(frozen=True, slots=True)
class Scenery:
    """The street without anyone on it.

    Attributes:
        picture: BGR, (h, w, 3).
        curtains: What stands on the street, near to far: from which depth in metres on it hides things, and
            how much light it and all before it let through, (h, w), 0 to 255.
        display_px: left, top, width, height of the bus-stop display.
    """

    picture: Pixels
    curtains: tuple[tuple[float, Pixels], ...]
    display_px: tuple[int, int, int, int]

    def through(self, depth_m: float) -> Pixels | None:
        """Return how much of something at `depth_m` is seen at each pixel, or None if nothing stands before it."""
        before = None
        for depth, through in self.curtains:
            if depth >= depth_m:
                break
            before = through
        return before


class _Painting:
    """A picture at `SUPERSAMPLE` times the size, and what of it shines at night."""

    def __init__(self, size: FrameSize, seed: int, conditions: Conditions) -> None:
        self.size, self.seed, self.conditions = size, seed, conditions
        self.view = View.of(size, SUPERSAMPLE)
        self.rng = np.random.default_rng([seed, 2])
        shape = (size.height_px * SUPERSAMPLE, size.width_px * SUPERSAMPLE, 3)
        self.canvas, self.glow = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        self.layers: list[tuple[float, Sprite]] = []
        self.display: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def paint_flats(self) -> None:
        """Paint sky, town, ground and fronts, far to near."""
        canvas, glow, view, rng = self.canvas, self.glow, self.view, self.rng
        whole = (canvas.shape[1], canvas.shape[0])
        canvas[:] = cv2.resize(sky(self.size, rng, self.conditions), whole, interpolation=cv2.INTER_LINEAR)
        far_town(canvas, glow, view, rng)
        detail = min(max(self.size.height_px / 720, 0.3), 1.5)  # a smaller picture needs fewer bricks per pixel
        for x1, z0, z1, per_m in _GROUND_BANDS:
            stretch = ground(rng, (z0, z1), x1, per_m * detail)
            warp(canvas, stretch.pixels, view.project([(-10, 0, z1), (x1, 0, z1), (x1, 0, z0), (-10, 0, z0)]))
        for z0, z1, tone, kind, per_m in reversed(TERRACE):
            stand_front(canvas, glow, view, terrace(rng, (z0, z1), tone, kind, per_m * detail), (z0, z1))
        stand_front(canvas, glow, view, house(rng, 150.0 * detail), HOUSE_Z_M)

    def stand_furniture(self) -> None:
        """Stand trees, lamps and the rest on the street, far to near, each a layer of its own."""
        view = self.view
        things: list[tuple[float, Callable[[Brush], object]]] = []

        def stand(x: float, z: float, paint: Callable[[Brush], object]) -> None:
            things.append((depth_of(x, z), paint))

        for number, place in enumerate(TREES_M):
            leaves = np.random.default_rng([self.seed, 3, number])
            stand(place[0], place[1], partial(tree, view=view, place=place, rng=leaves))
        for x, z in LAMPS_M:
            stand(x, z, partial(lamp_post, view=view, x=x, z=z))
        stand(SHELTER_M[0], SHELTER_M[1] + 1.5, partial(shelter_back, view=view))
        stand(SHELTER_M[0] + 1.45, SHELTER_M[1], partial(shelter_front, view=view))
        stand(*STOP_SIGN_M, self._stand_sign)
        stand(*GARDEN_M[0], partial(fence, view=view))
        (x0, _), (x1, far) = GARDEN_M
        shrubs = np.random.default_rng([self.seed, 4])
        stand(x0 + 2, far, partial(hedge, view=view, rng=shrubs, box=(x0 + 0.5, x1 + 1, far, far + 1.2), tall=2.2))
        for depth, paint in sorted(things, key=lambda item: -item[0]):
            self._add_layer(depth, paint)

    def _stand_sign(self, brush: Brush) -> None:
        self.display = stop_sign(brush, self.view)

    def _add_layer(self, depth: float, paint: Callable[[Brush], object]) -> None:
        brush = Brush(np.zeros((*self.canvas.shape[:2], 4), np.uint8))
        paint(brush)
        layer = Sprite(0, 0, brush.canvas).cropped()
        if layer is None:
            return
        layer.lay_over(self.canvas)
        dark = cv2.bitwise_not(cv2.merge([layer.coverage] * 3))
        shining = np.ascontiguousarray(self.glow[layer.area])
        self.glow[layer.area] = cv2.multiply(shining, dark, scale=1 / OPAQUE)
        self.layers.append((depth, layer))

    def lit(self) -> Pixels:
        """Return the picture at its own size, under the light of day or night."""
        picture = _reduced(self.canvas, self.size).astype(np.float32)
        field = Lighting(self.conditions).field(*surfaces(self.size))
        if self.conditions.night:
            picture = self._by_night(picture, field)
        else:
            picture = (picture if self.conditions.rain else sunlit(picture, self.size)) * field
        if self.conditions.rain:
            picture = wetted(picture, self.size)
        return np.clip(picture, 0, OPAQUE).astype(np.uint8)

    def _by_night(self, picture: Floats32, field: Floats32) -> Floats32:
        size, rows = self.size, int(View.of(self.size).horizon_px) + 4
        night = picture * field
        open_sky = _reduced(_open_sky(self.canvas.shape, self.view, self.layers), size)[:rows, :, None]
        night[:rows] += (picture[:rows] - night[:rows]) * (open_sky.astype(np.float32) / OPAQUE)
        shining = _reduced(self.glow, size).astype(np.float32)
        night += shining + 0.5 * cv2.GaussianBlur(shining, (0, 0), size.height_px / 60)
        light_cones(night, View.of(size))
        return night


@lru_cache(maxsize=2)
def build(size: FrameSize, seed: int, *, night: bool, rain: bool) -> Scenery:
    """Return the scenery for frames of `size`; it takes a second or two, so the last ones are kept."""
    painting = _Painting(size, seed, Conditions(night=night, rain=rain))
    painting.paint_flats()
    painting.stand_furniture()
    picture = painting.lit()
    picture.setflags(write=False)  # shared by all who asked for it
    left, top, right, low = (edge / SUPERSAMPLE for edge in painting.display)
    box = (round(left) + 1, round(top) + 1, max(round(right - left) - 2, 4), max(round(low - top) - 2, 3))
    return Scenery(picture, _curtains(painting.layers, size), box)


def _reduced(canvas: Pixels, size: FrameSize) -> Pixels:
    return as_pixels(cv2.resize(canvas, (size.width_px, size.height_px), interpolation=cv2.INTER_AREA))


def _open_sky(shape: tuple[int, ...], view: View, layers: list[tuple[float, Sprite]]) -> Pixels:
    """Return where nothing stands between the camera and the sky, 0 to 255."""
    sky = np.zeros(shape[:2], np.uint8)
    sky[: int(view.horizon_px)] = 255
    x = FACADE_X_M
    wall = view.project([(x, 0, 4), (x, EAVES_M + 3.2, 4), (x, EAVES_M + 3.2, 75), (x, 0, 75)])
    cv2.fillPoly(sky, [np.round(wall).astype(np.int32)], 0)
    for x0, x1, z, tall, _ in TOWN:
        for outline in (
            view.project([(x0, 0, z), (x1, 0, z), (x1, tall, z), (x0, tall, z)]),
            town_roof(view, x0, x1, z, tall),
        ):
            cv2.fillPoly(sky, [np.round(outline).astype(np.int32)], 0)
    sky = as_pixels(cv2.erode(sky, np.ones((3, 3), np.uint8)))
    for _, layer in layers:
        sky[layer.area] = cv2.min(np.ascontiguousarray(sky[layer.area]), cv2.bitwise_not(layer.coverage))
    return sky


def _curtains(layers: list[tuple[float, Sprite]], size: FrameSize) -> tuple[tuple[float, Pixels], ...]:
    """Return the running product, near to far, of what the layers let through."""
    curtains = []
    through = np.full((size.height_px, size.width_px), 255, np.uint8)
    for depth, layer in sorted(layers, key=lambda item: item[0]):
        cover = np.zeros((size.height_px * SUPERSAMPLE, size.width_px * SUPERSAMPLE), np.uint8)
        cover[layer.area] = layer.coverage
        through = as_pixels(cv2.multiply(through, cv2.bitwise_not(_reduced(cover, size)), scale=1 / OPAQUE))
        curtains.append((depth, through))
    return tuple(curtains)
