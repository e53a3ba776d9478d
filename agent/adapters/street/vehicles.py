"""Vehicles: a side profile extruded across its width, with glass, wheels, lamps and a plate one can read.

Vehicle axes: a forward, b to its right, u up, in metres from the middle of its footprint.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from agent.adapters.street.brush import Bgr, Brush, Pixels, Sprite, as_pixels, shade
from agent.adapters.street.scenario import Body, Placement, Vehicle
from agent.adapters.street.view import Floats, View

_PLATE_M = (0.56, 0.15)
_PLATE_PX = (168, 46)
_GLASS: Bgr = (86, 74, 60)
_PANEL_M = 0.55  # a strip of bodywork longer than this shows a pressed panel
_DETAILED_FROM_PX = 24.0  # per metre
_TYRE: Bgr = (38, 36, 36)
_RIM = tuple((math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 18, endpoint=False).tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One body.

    Attributes:
        profile: Its outline from the side, (a, u), front bumper first, over the roof to the rear.
        glass: Indices of profile edges that are windscreen or rear window.
        windows: Side windows, each (a, u) corners.
        half_width_m: Half its width.
        axles_m: Where the wheels are, along a.
        wheel_m: Radius of a wheel.
        lamp_u: Height of the lamps.
        plate_u: Height of the plates.
    """

    profile: tuple[tuple[float, float], ...]
    glass: tuple[int, ...]
    windows: tuple[tuple[tuple[float, float], ...], ...]
    half_width_m: float
    axles_m: tuple[float, float]
    wheel_m: float
    lamp_u: float
    plate_u: float


SHAPES = {
    Body.CAR: Shape(
        profile=(
            (2.1, 0.28),
            (2.15, 0.58),
            (2.0, 0.74),
            (1.05, 0.93),
            (0.35, 1.42),
            (-1.05, 1.46),
            (-1.75, 1.02),
            (-2.1, 0.94),
            (-2.15, 0.5),
            (-2.1, 0.28),
        ),
        glass=(3, 5),
        windows=(
            ((0.93, 0.95), (0.32, 1.36), (-0.3, 1.38), (-0.3, 0.96)),
            ((-0.38, 0.96), (-0.38, 1.38), (-1.0, 1.38), (-1.55, 1.0)),
        ),
        half_width_m=0.88,
        axles_m=(1.35, -1.3),
        wheel_m=0.32,
        lamp_u=0.66,
        plate_u=0.42,
    ),
    Body.VAN: Shape(
        profile=(
            (2.35, 0.3),
            (2.45, 0.7),
            (2.3, 1.0),
            (1.75, 1.2),
            (1.1, 2.05),
            (-2.4, 2.15),
            (-2.5, 0.6),
            (-2.45, 0.3),
        ),
        glass=(3,),
        windows=(((1.62, 1.22), (1.02, 1.92), (0.5, 1.94), (0.5, 1.22)),),
        half_width_m=0.97,
        axles_m=(1.6, -1.5),
        wheel_m=0.36,
        lamp_u=0.82,
        plate_u=0.5,
    ),
    Body.BUS: Shape(
        profile=(
            (5.6, 0.35),
            (5.75, 0.9),
            (5.7, 1.1),
            (5.45, 2.85),
            (5.2, 3.0),
            (-5.6, 3.0),
            (-5.75, 2.8),
            (-5.75, 0.35),
        ),
        glass=(2,),
        windows=tuple(
            ((a, 1.15), (a, 2.4), (a - 1.45, 2.4), (a - 1.45, 1.15)) for a in (5.2, 3.6, 2.0, 0.4, -1.2, -2.8, -4.1)
        ),
        half_width_m=1.25,
        axles_m=(3.4, -3.1),
        wheel_m=0.48,
        lamp_u=0.72,
        plate_u=0.5,
    ),
}


@dataclass(frozen=True, slots=True)
class DrawnVehicle:
    """One drawn vehicle.

    Attributes:
        sprite: The pixels; may reach beyond the frame.
        plate_px: left, top, right, bottom of the plate in frame pixels, or None when it faces away.
        lamps_px: Centres of the headlights that face the camera.
        footprint_px: The four ground corners, (4, 2).
        scale: Pixels per metre.
    """

    sprite: Sprite
    plate_px: tuple[float, float, float, float] | None
    lamps_px: tuple[tuple[float, float], ...]
    footprint_px: Floats
    scale: float


@lru_cache(maxsize=32)
def plate_texture(text: str) -> Pixels:
    """Return a plate as a picture, (46, 168, 3) uint8."""
    width, height = _PLATE_PX
    plate = np.full((height, width, 3), (222, 232, 232), np.uint8)
    cv2.rectangle(plate, (1, 1), (width - 2, height - 2), (60, 60, 60), 2)
    cv2.rectangle(plate, (3, 3), (16, height - 4), (150, 70, 30), -1)
    (text_px, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.05, 2)
    squeeze = min(1.05, 1.05 * (width - 30) / text_px)
    cv2.putText(plate, text, (21, 35), cv2.FONT_HERSHEY_DUPLEX, squeeze, (30, 26, 24), 3, cv2.LINE_AA)
    return plate


class _Bodywork:
    """One vehicle on one canvas."""

    def __init__(self, vehicle: Vehicle, placement: Placement, view: View, light: Bgr, *, lamps_on: bool) -> None:
        self.vehicle, self.shape, self.placement, self.view = vehicle, SHAPES[vehicle.body], placement, view
        self.lamps_on = lamps_on
        heading = placement.heading
        self.right = (heading[1], -heading[0])
        self.scale = view.scale(placement.x_m, placement.z_m)
        long = max(a for a, _ in self.shape.profile)
        half = self.shape.half_width_m
        tall = max(u for _, u in self.shape.profile)
        corners = [(a, b, u) for a in (-long, long) for b in (-half - 0.15, half + 0.15) for u in (0, tall)]
        box = np.array(self.pixels(corners))
        left, top = np.floor(box.min(axis=0)) - 3
        right, bottom = np.ceil(box.max(axis=0)) + 3
        # What drives past the camera grows without bound; the canvas needs no more than the frame around it.
        left, top = max(left, -64.0), max(top, -64.0)
        right, bottom = min(right, view.width_px + 64), min(bottom, view.height_px + 64)
        shape = (max(int(bottom - top), 1), max(int(right - left), 1), 4)
        self.brush = Brush(np.zeros(shape, np.uint8), (float(left), float(top)), light)
        self.plate_px: tuple[float, float, float, float] | None = None
        self.lamps: list[tuple[float, float]] = []

    def pixels(self, corners: Iterable[tuple[float, float, float]]) -> list[tuple[float, float]]:
        """Return frame pixels of (a, b, u) corners."""
        (hx, hz), (rx, rz), pixel = self.placement.heading, self.right, self.view.pixel
        x, z = self.placement.x_m, self.placement.z_m
        return [pixel(x + a * hx + b * rx, u, z + a * hz + b * rz) for a, b, u in corners]

    def towards_camera(self) -> tuple[float, float]:
        """Return where the camera is, in (a, b)."""
        dx, dz = -self.placement.x_m, -self.placement.z_m
        hx, hz = self.placement.heading
        return dx * hx + dz * hz, dx * self.right[0] + dz * self.right[1]

    def draw(self) -> DrawnVehicle:
        shape, paint = self.shape, self.vehicle.colour
        camera_a, camera_b = self.towards_camera()
        side = math.copysign(1.0, camera_b)
        half = shape.half_width_m
        front_end = camera_a > 0
        edges = list(enumerate(zip(shape.profile, shape.profile[1:], strict=False)))
        if not front_end:
            edges.reverse()
        # Far strips first; strips that face away are hidden by what follows them.
        for index, (p, q) in reversed(edges):
            steep = abs(q[1] - p[1]) > abs(q[0] - p[0])
            faces_front = p[1] < q[1]
            if steep and faces_front != front_end:
                continue
            tone = 0.9 if steep else 1.12
            colour = _GLASS if index in shape.glass else shade(paint, tone)
            self.strip(p, q, colour, glass=index in shape.glass)
        shadow_side = side * self.right[0] > 0
        flank = [(a, side * half, u) for a, u in shape.profile]
        self.brush.polygon(self.pixels(flank), shade(paint, 0.66 if shadow_side else 0.84))
        self.flank_details(side, shade(paint, 0.55 if shadow_side else 0.7))
        self.wheels(side)
        self.end(front=front_end)
        left, top = self.brush.origin
        feet = self.pixels([(a, b, 0) for a, b in ((2.1, -half), (2.1, half), (-2.1, half), (-2.1, -half))])
        stretch = max(a for a, _ in shape.profile) / 2.1
        if stretch > 1.01:  # noqa: PLR2004 - longer than a car
            long = 2.1 * stretch
            feet = self.pixels([(long, -half, 0), (long, half, 0), (-long, half, 0), (-long, -half, 0)])
        sprite = Sprite(int(left), int(top), self.brush.canvas)
        return DrawnVehicle(sprite, self.plate_px, tuple(self.lamps), np.array(feet), self.scale)

    def strip(self, p: tuple[float, float], q: tuple[float, float], colour: Bgr, *, glass: bool) -> None:
        half = self.shape.half_width_m
        quad = self.pixels([(p[0], -half, p[1]), (p[0], half, p[1]), (q[0], half, q[1]), (q[0], -half, q[1])])
        self.brush.polygon(quad, shade(self.vehicle.colour, 0.8) if glass else colour)
        if self.scale < _DETAILED_FROM_PX:
            if glass:
                self.brush.polygon(quad, _GLASS)
            return
        if not glass:
            if abs(q[0] - p[0]) > _PANEL_M:  # bonnet, roof: the sky in the paint
                a0, a1 = p[0] + (q[0] - p[0]) * 0.12, q[0] + (p[0] - q[0]) * 0.12
                u0, u1 = p[1] + (q[1] - p[1]) * 0.12, q[1] + (p[1] - q[1]) * 0.12
                panel = [(a0, -half * 0.72, u0), (a0, half * 0.72, u0), (a1, half * 0.78, u1), (a1, -half * 0.78, u1)]
                self.brush.polygon(self.pixels(panel), shade(colour, 1.1))
                sheen = [(a0, -half * 0.62, u0), (a0, -half * 0.3, u0), (a1, half * 0.05, u1), (a1, -half * 0.5, u1)]
                self.brush.polygon(self.pixels(sheen), shade(colour, 1.2))
            return
        inset = 0.1
        pane = [(p[0], -half + inset, p[1]), (p[0], half - inset, p[1])]
        pane += [(q[0], half - 1.4 * inset, q[1]), (q[0], -half + 1.4 * inset, q[1])]
        self.brush.polygon(self.pixels(pane), _GLASS)
        mid = ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2)
        glint = [(mid[0], -half * 0.55, mid[1]), (mid[0], -half * 0.1, mid[1])]
        glint += [(q[0], half * 0.25, q[1]), (q[0], -half * 0.3, q[1])]
        self.brush.polygon(self.pixels(glint), shade(_GLASS, 1.5))

    def flank_details(self, side: float, seam: Bgr) -> None:
        half = self.shape.half_width_m
        glow = self.lamps_on and self.vehicle.body is Body.BUS
        for window in self.shape.windows:
            pane = self.pixels([(a, side * half * 0.995, u) for a, u in window])
            light, self.brush.light = self.brush.light, (1.0, 1.0, 1.0) if glow else self.brush.light
            self.brush.polygon(pane, (150, 214, 236) if glow else _GLASS)
            (x0, y0), (x1, y1), (x2, y2), (x3, y3) = pane
            upper = [(x1, y1), (x2, y2), ((x2 + x3) / 2, (y2 + y3) / 2), ((x1 + x0) / 2, (y1 + y0) / 2)]
            self.brush.polygon(upper, (176, 232, 246) if glow else shade(_GLASS, 1.28))
            self.brush.light = light
        if self.vehicle.body is Body.CAR and self.scale > _DETAILED_FROM_PX:
            b = side * half
            self.brush.polygon(
                self.pixels([(2.0, b, 0.3), (-2.05, b, 0.3), (-2.05, b, 0.38), (2.0, b, 0.38)]), (52, 50, 50)
            )
            for a in (0.95, -0.34):
                line = [(a, side * half, 0.36), (a - 0.025, side * half, 0.36), (a - 0.025, side * half, 0.92)]
                self.brush.polygon(self.pixels([*line, (a, side * half, 0.92)]), seam)
        if self.vehicle.body is Body.BUS:
            band = [
                (5.6, side * half, 0.78),
                (-5.7, side * half, 0.78),
                (-5.7, side * half, 0.98),
                (5.65, side * half, 0.98),
            ]
            self.brush.polygon(self.pixels(band), (232, 232, 236))

    def wheels(self, side: float) -> None:
        shape = self.shape
        for a in shape.axles_m:
            wanted = 3 if self.scale > _DETAILED_FROM_PX else 2
            for ratio, colour in ((1.0, _TYRE), (0.62, (150, 150, 152)), (0.2, (92, 92, 94)))[:wanted]:
                radius = shape.wheel_m * ratio
                b = side * (shape.half_width_m + 0.01)
                rim = [(a + radius * c, b, shape.wheel_m + radius * s) for c, s in _RIM]
                self.brush.polygon(self.pixels(rim), colour)

    def end(self, *, front: bool) -> None:
        """Draw lamps, grille and plate on the end that faces the camera."""
        shape, half = self.shape, self.shape.half_width_m
        sign = 1.0 if front else -1.0
        a = (shape.profile[1][0] if front else shape.profile[-2][0]) + 0.01 * sign
        light = self.brush.light
        if front and self.vehicle.body is not Body.BUS:
            grille = [
                (a, -half * 0.5, 0.52),
                (a, half * 0.5, 0.52),
                (a, half * 0.45, shape.lamp_u),
                (a, -half * 0.45, shape.lamp_u),
            ]
            self.brush.polygon(self.pixels(grille), (52, 50, 50))
        low = shape.profile[0][1] if front else shape.profile[-1][1]
        bumper = [(a, -half, low), (a, half, low), (a, half * 0.98, low + 0.1), (a, -half * 0.98, low + 0.1)]
        self.brush.polygon(self.pixels(bumper), (50, 48, 48))
        if front and self.scale > _DETAILED_FROM_PX and self.vehicle.body is Body.CAR:
            for b in (-half - 0.06, half + 0.06):
                ear = [(0.82, b - 0.08, 0.93), (0.82, b + 0.08, 0.93), (0.8, b + 0.08, 1.05), (0.8, b - 0.08, 1.05)]
                self.brush.polygon(self.pixels(ear), shade(self.vehicle.colour, 0.7))
        for b in (-half * 0.76, half * 0.76):
            housing = [(a, b - 0.19, shape.lamp_u - 0.1), (a, b + 0.19, shape.lamp_u - 0.1)]
            housing += [(a, b + 0.19, shape.lamp_u + 0.08), (a, b - 0.19, shape.lamp_u + 0.08)]
            self.brush.polygon(self.pixels(housing), (62, 60, 60))
            lamp = [(a, b - 0.15, shape.lamp_u - 0.07), (a, b + 0.15, shape.lamp_u - 0.07)]
            lamp += [(a, b + 0.16, shape.lamp_u + 0.06), (a, b - 0.16, shape.lamp_u + 0.06)]
            quad = self.pixels(lamp)
            if self.lamps_on:
                self.brush.light = (1.0, 1.0, 1.0)
            bright: Bgr = (225, 250, 255) if self.lamps_on else (214, 220, 222)
            red: Bgr = (40, 40, 235) if self.lamps_on else (44, 40, 168)
            self.brush.polygon(quad, bright if front else red)
            self.brush.light = light
            if front:
                self.lamps.append(((quad[0][0] + quad[2][0]) / 2, (quad[0][1] + quad[2][1]) / 2))
        if self.vehicle.body is Body.BUS and front:
            sign_quad = [(5.47, -0.8, 2.6), (5.47, 0.8, 2.6), (5.44, 0.8, 2.86), (5.44, -0.8, 2.86)]
            self.brush.polygon(self.pixels(sign_quad), (30, 30, 32))
            self.brush.light = (1.0, 1.0, 1.0)
            for n in range(6):
                b = -0.55 + n * 0.2
                dot = [(5.48, b, 2.66), (5.48, b + 0.12, 2.66), (5.46, b + 0.12, 2.8), (5.46, b, 2.8)]
                self.brush.polygon(self.pixels(dot), (60, 170, 250))
            self.brush.light = light
        self.plate(a, sign)

    def plate(self, a: float, sign: float) -> None:
        """Warp the plate's picture onto the bodywork."""
        width, height = _PLATE_M
        u = self.shape.plate_u
        # The text reads left to right for whoever stands in front of this end.
        b0, b1 = (width / 2, -width / 2) if sign > 0 else (-width / 2, width / 2)
        corners = [(a, b0, u + height / 2), (a, b1, u + height / 2), (a, b1, u - height / 2), (a, b0, u - height / 2)]
        quad = np.array(self.pixels(corners))
        if quad[1, 0] <= quad[0, 0]:
            return
        self.plate_px = (
            float(quad[:, 0].min()),
            float(quad[:, 1].min()),
            float(quad[:, 0].max()),
            float(quad[:, 1].max()),
        )
        texture = plate_texture(self.vehicle.plate)
        retro = 1.7 if self.lamps_on else 1.0  # plates reflect
        light = np.minimum(np.array(self.brush.light) * retro, 1.0)
        texture = np.round(texture * light).astype(np.uint8)
        w, h = _PLATE_PX
        left, top = math.floor(self.plate_px[0]) - 1, math.floor(self.plate_px[1]) - 1
        size = (math.ceil(self.plate_px[2]) + 1 - left, math.ceil(self.plate_px[3]) + 1 - top)
        inside = (left - self.brush.origin[0], top - self.brush.origin[1])
        rows, columns = self.brush.canvas.shape[:2]
        if inside[0] < 0 or inside[1] < 0 or inside[0] + size[0] > columns or inside[1] + size[1] > rows:
            return
        shrink = max(1, round(w / max(size[0], 1)))
        if shrink > 1:
            texture = as_pixels(cv2.resize(texture, (w // shrink, h // shrink), interpolation=cv2.INTER_AREA))
            w, h = w // shrink, h // shrink
        source = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
        matrix = cv2.getPerspectiveTransform(source, (quad - (left, top)).astype(np.float32))
        opaque = cv2.cvtColor(texture, cv2.COLOR_BGR2BGRA)
        warped = cv2.warpPerspective(opaque, matrix, size)
        x, y = int(inside[0]), int(inside[1])
        under = self.brush.canvas[y : y + size[1], x : x + size[0]]
        through = cv2.bitwise_not(cv2.merge([np.ascontiguousarray(warped[:, :, 3])] * 4))
        under[:] = cv2.add(cv2.multiply(np.ascontiguousarray(under), through, scale=1 / 255), warped)


def draw_vehicle(vehicle: Vehicle, placement: Placement, view: View, light: Bgr, *, lamps_on: bool) -> DrawnVehicle:
    """Return `vehicle` drawn where `placement` says, under `light`."""
    return _Bodywork(vehicle, placement, view, light, lamps_on=lamps_on).draw()
