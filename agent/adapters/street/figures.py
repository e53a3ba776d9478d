"""People: a small skeleton in metres, posed by gait, turned to the camera, dressed and drawn.

Body axes: r to the body's right, f forward, u up from the ground. The figure is
projected upright (it is small against its distance); what turns with its heading is
the skeleton itself, and the face on the head.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from agent.adapters.street import bicycle
from agent.adapters.street.brush import Bgr, Brush, Sprite, shade
from agent.adapters.street.scenario import Kind, Person, Placement
from agent.adapters.street.view import View

Joint = tuple[float, float, float]  # r, f, u in metres

_ADULT_M = 1.75
_STRIDE_M = 1.45  # one full cycle of both legs
_MARGIN_M = 0.95
_HEADROOM_M = 0.55
_SHADED_FROM_PX = 6.0  # a thinner limb shows no light side
_EAR_FROM = 0.25  # sine of the turn from which one ear stands free of the face
_FEATURES_FROM_PX = 24.0  # per metre: a smaller face shows skin and hair only
_FACE_TURNED_AWAY = math.radians(98)  # beyond this no eye or cheek of the face shows

_SKINS = ((150, 178, 226), (132, 166, 214), (98, 138, 190), (66, 98, 148), (48, 70, 108), (36, 52, 84))
_HAIRS = ((28, 32, 40), (30, 46, 72), (40, 74, 120), (90, 150, 196), (150, 152, 156), (34, 52, 110))
_TOPS = (
    (58, 62, 168),
    (138, 92, 44),
    (72, 128, 66),
    (206, 206, 202),
    (56, 50, 48),
    (60, 168, 214),
    (150, 80, 120),
    (120, 130, 40),
    (96, 110, 190),
    (180, 150, 92),
)
_TROUSERS = ((96, 66, 44), (48, 44, 42), (66, 84, 104), (110, 100, 92), (80, 52, 36), (120, 148, 170))
_SHOES = ((36, 36, 40), (44, 60, 92), (222, 222, 220), (60, 48, 170))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one person looks like."""

    height_m: float
    girth_ratio: float
    skin: Bgr
    hair: Bgr
    hair_style: str
    top: Bgr
    coat: bool
    trousers: Bgr
    shoes: Bgr
    accent: Bgr

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, person: Person) -> "Look":
        """Return the look that `look_seed` picks."""
        rng = np.random.default_rng([person.look_seed, 7])

        def pick(palette: tuple[Bgr, ...]) -> Bgr:
            return palette[int(rng.integers(len(palette)))]

        child = person.kind is Kind.CHILD
        return cls(
            height_m=float(rng.uniform(1.12, 1.3) if child else rng.uniform(1.6, 1.88)),
            girth_ratio=float(rng.uniform(0.92, 1.14)),
            skin=pick(_SKINS),
            hair=pick(_HAIRS),
            hair_style=str(rng.choice(("short", "long", "bob", "cap", "short", "bun"))),
            top=pick(_TOPS),
            coat=bool(rng.random() < 0.3) and person.kind not in (Kind.RUNNER, Kind.CHILD, Kind.SEATED, Kind.CYCLIST),  # noqa: PLR2004 - three in ten
            trousers=pick(_TROUSERS),
            shoes=pick(_SHOES),
            accent=pick(_TOPS),
        )


@dataclass(frozen=True, slots=True)
class Pose:
    """Joints in metres of an adult; index 0 is the left side, 1 the right."""

    hips: tuple[Joint, Joint]
    knees: tuple[Joint, Joint]
    ankles: tuple[Joint, Joint]
    toes: tuple[Joint, Joint]
    shoulders: tuple[Joint, Joint]
    elbows: tuple[Joint, Joint]
    hands: tuple[Joint, Joint]
    neck: Joint
    head: Joint


def _leg(side: float, thigh: float, bend: float) -> tuple[Joint, Joint, Joint]:
    """Return knee, ankle and toe below a hip at u = 0."""
    knee = (side * 0.1, 0.43 * math.sin(thigh), -0.43 * math.cos(thigh))
    shin = thigh - bend
    ankle = (side * 0.1, knee[1] + 0.42 * math.sin(shin), knee[2] - 0.42 * math.cos(shin))
    pitch = max(min(shin, 0.0), -0.9)  # the heel lifts behind the body
    toe = (side * 0.12, ankle[1] + 0.17 * math.cos(pitch), ankle[2] - 0.045 + 0.17 * math.sin(pitch) * 0.8)
    return knee, ankle, toe


def _arm(shoulder: Joint, swing: float, bend: float, out: float) -> tuple[Joint, Joint]:
    """Return elbow and hand; `out` spreads the elbow away from the body."""
    side = math.copysign(1.0, shoulder[0])
    elbow = (
        shoulder[0] + side * (0.03 + out),
        shoulder[1] + 0.28 * math.sin(swing),
        shoulder[2] - 0.28 * math.cos(swing),
    )
    fore = swing + bend
    hand = (elbow[0] - side * out * 0.6, elbow[1] + 0.25 * math.sin(fore), elbow[2] - 0.25 * math.cos(fore))
    return elbow, hand


def pose_of(person: Person, placement: Placement) -> Pose:
    """Return the pose of somebody who rides, walks, stands or sits."""
    return _riding(placement.travelled_m) if person.kind is Kind.CYCLIST else _on_foot(person, placement)


def _on_foot(person: Person, placement: Placement) -> Pose:
    """Return the pose: gait by distance covered, arms by what is carried."""
    moving = placement.speed_m_s > 0
    running = moving and person.kind in (Kind.RUNNER, Kind.CHILD)
    seated = person.kind is Kind.SEATED
    stride = _STRIDE_M * (1.5 if running else 1.0) * (0.72 if person.kind is Kind.CHILD else 1.0)
    phase = 2 * math.pi * placement.travelled_m / stride
    swing = (0.62 if running else 0.44) if moving else 0.0
    lean = 0.13 if running else (-0.06 if seated else 0.02)
    legs, swings = [], []
    for side, offset in ((-1.0, 0.0), (1.0, math.pi)):
        turn = math.sin(phase + offset)
        lift = max(0.0, math.cos(phase + offset))  # the leg on its way forward bends at the knee
        if seated:
            legs.append(_leg(side, 1.45 + side * 0.03, 1.45))
        else:
            bend = ((1.35 if running else 0.85) * lift + (0.3 if running else 0.06)) * moving
            legs.append(_leg(side, swing * turn + (0.1 if running else 0.0), bend))
        swings.append(-swing * turn)
    lowest = min(min(ankle[2] - 0.06, toe[2] - 0.025) for _, ankle, toe in legs)
    pelvis = -lowest

    def raised(joint: Joint) -> Joint:
        return (joint[0], joint[1], joint[2] + pelvis)

    shoulders = tuple((side * 0.195, lean * 0.9, pelvis + 0.51) for side in (-1.0, 1.0))
    arms = []
    for index, shoulder in enumerate(shoulders):
        angle, bend, out = swings[index] * 0.9, 0.22 + 0.3 * max(0.0, swings[index]), 0.02
        if running:
            angle, bend, out = swings[index] * 1.3 - 0.15, 1.55, 0.05
        if seated:
            angle, bend, out = 0.35, 0.9, 0.02
        if person.carries == "box":
            angle, bend, out = 0.35, 1.15, 0.03
        if person.carries == "umbrella" and index == 1:
            angle, bend, out = 0.5, 1.9, 0.03
        if person.kind is Kind.STANDING and not person.carries and index == 1:
            angle, bend, out = 0.25, 2.2, 0.07  # looks at a phone
        arms.append(_arm(shoulder, angle, bend, out))
    return Pose(
        hips=((-0.1, 0.0, pelvis), (0.1, 0.0, pelvis)),
        knees=(raised(legs[0][0]), raised(legs[1][0])),
        ankles=(raised(legs[0][1]), raised(legs[1][1])),
        toes=(raised(legs[0][2]), raised(legs[1][2])),
        shoulders=(shoulders[0], shoulders[1]),
        elbows=(arms[0][0], arms[1][0]),
        hands=(arms[0][1], arms[1][1]),
        neck=(0.0, lean, pelvis + 0.56),
        head=(0.0, lean * 1.25 + 0.015, pelvis + 0.725),
    )


def _riding(travelled_m: float) -> Pose:
    (left, right) = (bicycle.pedalling(side, travelled_m) for side in (0, 1))
    return Pose(
        hips=bicycle.HIPS,
        knees=(left[0], right[0]),
        ankles=(left[1], right[1]),
        toes=(left[2], right[2]),
        shoulders=bicycle.SHOULDERS,
        elbows=bicycle.ELBOWS,
        hands=bicycle.HANDS,
        neck=bicycle.NECK,
        head=bicycle.HEAD,
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn person.

    Attributes:
        sprite: The pixels; may reach beyond the frame.
        face_px: left, top, right, bottom of the face in frame pixels, or None when turned away.
        feet_px: Where the figure stands.
        height_px: From ground to crown.
    """

    sprite: Sprite
    face_px: tuple[float, float, float, float] | None
    feet_px: tuple[float, float]
    height_px: float


class _Figure:
    """One person on one canvas: joints in, brush strokes out."""

    def __init__(self, person: Person, look: Look, placement: Placement, view: View, light: Bgr) -> None:
        self.person, self.look, self.pose = person, look, pose_of(person, placement)
        self.px = view.scale(placement.x_m, placement.z_m) * look.height_m / _ADULT_M
        self.feet = view.pixel(placement.x_m, 0.0, placement.z_m)
        away = math.hypot(placement.x_m, placement.z_m)
        vx, vz = placement.x_m / away, placement.z_m / away  # from the camera to the figure
        hx, hz = placement.heading
        self.f_across, self.f_away = hx * vz - hz * vx, hx * vx + hz * vz
        # The body's right is its heading turned by -90 degrees seen from above.
        self.r_across, self.r_away = hz * vz + hx * vx, hz * vx - hx * vz
        left = math.floor(self.feet[0] - _MARGIN_M * self.px)
        top = math.floor(self.feet[1] - (_ADULT_M + _HEADROOM_M) * self.px)
        width = math.ceil(2 * _MARGIN_M * self.px) + 2
        height = math.ceil((_ADULT_M + _HEADROOM_M + 0.2) * self.px) + 2
        self.brush = Brush(np.zeros((height, width, 4), np.uint8), (left, top), light)
        self.face_px: tuple[float, float, float, float] | None = None

    def at(self, joint: Joint) -> tuple[float, float]:
        """Return the pixel of a joint."""
        r, f, u = joint
        return (
            self.feet[0] + self.px * (r * self.r_across + f * self.f_across),
            # Seen from above, what is nearer stands a little lower in the picture.
            self.feet[1] - self.px * u + self.px * 0.16 * -(r * self.r_away + f * self.f_away),
        )

    def nearer(self, joint: Joint) -> float:
        """Return how far a joint is towards the camera."""
        return -(joint[0] * self.r_away + joint[1] * self.f_away)

    def limb(self, a: Joint, b: Joint, widths_m: tuple[float, float], colour: Bgr) -> None:
        """Draw a limb with a soft light side, so that it looks round."""
        pa, pb = self.at(a), self.at(b)
        wide = (widths_m[0] * self.px, widths_m[1] * self.px)
        if wide[0] < _SHADED_FROM_PX:
            self.brush.limb(pa, pb, wide, shade(colour, 0.92))
            return
        self.brush.limb(pa, pb, wide, shade(colour, 0.78))
        shift = -0.14 * wide[0]
        slim = (wide[0] * 0.62, wide[1] * 0.62)
        self.brush.limb((pa[0] + shift, pa[1]), (pb[0] + shift, pb[1]), slim, colour)

    def draw(self) -> Drawn:
        """Draw everything, far side first."""
        pose, look = self.pose, self.look
        near = 0 if self.nearer(pose.shoulders[0]) > self.nearer(pose.shoulders[1]) else 1
        far = 1 - near
        facing = self.f_away < 0
        if self.person.carries == "backpack" and facing:
            self.backpack()
        self.arm(far)
        if self.person.kind is Kind.CYCLIST:
            bicycle.draw_bicycle(self.limb, look.accent)
        self.legs(near, far)
        if look.hair_style == "long" and facing:
            self.long_hair()
        self.torso()
        if self.person.carries == "backpack" and not facing:
            self.backpack()
        carried_in_front = self.person.carries == "box" and facing
        if self.person.carries == "box" and not facing:
            self.box()
        self.head()
        if carried_in_front:
            self.box()
        self.arm(near)
        if self.person.carries == "umbrella":
            self.umbrella()
        left, top = self.brush.origin
        sprite = Sprite(int(left), int(top), self.brush.canvas)
        return Drawn(sprite, self.face_px, self.feet, self.px * _ADULT_M)

    def legs(self, near: int, far: int) -> None:
        pose, look, girth = self.pose, self.look, self.look.girth_ratio
        for side in (far, near):
            cloth = shade(look.trousers, 0.82 if side == far else 1.0)
            toe, ankle = pose.toes[side], pose.ankles[side]
            heel = (ankle[0], ankle[1] - 0.04, ankle[2] - 0.045)
            self.limb(heel, toe, (0.085, 0.075), look.shoes)
            self.limb(pose.knees[side], ankle, (0.135 * girth, 0.095), cloth)
            self.limb(pose.hips[side], pose.knees[side], (0.185 * girth, 0.135 * girth), cloth)

    def arm(self, side: int) -> None:
        pose, look = self.pose, self.look
        sleeve = shade(look.top, 0.92)
        self.brush.ellipse(self.at(pose.hands[side]), (0.047 * self.px, 0.052 * self.px), shade(look.skin, 0.94))
        self.limb(pose.elbows[side], pose.hands[side], (0.092, 0.066), sleeve)
        self.limb(pose.shoulders[side], pose.elbows[side], (0.12, 0.095), sleeve)
        self.brush.ellipse(self.at(pose.hands[side]), (0.042 * self.px, 0.048 * self.px), look.skin)
        if self.person.carries == "bag" and side == 1:
            self.bag(pose.hands[side])

    def torso(self) -> None:
        pose, look, px = self.pose, self.look, self.px
        girth = look.girth_ratio
        left, right = self.at(pose.shoulders[0]), self.at(pose.shoulders[1])
        lo, hi = min(left[0], right[0]), max(left[0], right[0])
        deep = 0.13 * px * girth  # a chest seen from the side still has depth
        lo, hi = min(lo - 0.02 * px, (lo + hi) / 2 - deep), max(hi + 0.02 * px, (lo + hi) / 2 + deep)
        neck, waist = self.at(pose.neck), self.at((0.0, 0.0, pose.hips[0][2] + 0.16))
        hem_drop = 0.34 if look.coat else 0.07
        hem = self.at((0.0, 0.0, pose.hips[0][2] - hem_drop))
        half = (hi - lo) / 2
        waist_half, hem_half = half * 0.84, half * (1.06 if look.coat else 0.9)
        top = (left[1] + right[1]) / 2
        outline = [
            (neck[0] - 0.07 * px, neck[1] - 0.03 * px),
            (lo + 0.05 * px, top - 0.035 * px),
            (lo - 0.005 * px, top + 0.06 * px),
            (waist[0] - waist_half, waist[1]),
            (hem[0] - hem_half, hem[1]),
            (hem[0], hem[1] + 0.02 * px),
            (hem[0] + hem_half, hem[1]),
            (waist[0] + waist_half, waist[1]),
            (hi + 0.005 * px, top + 0.06 * px),
            (hi - 0.05 * px, top - 0.035 * px),
            (neck[0] + 0.07 * px, neck[1] - 0.03 * px),
        ]
        self.limb((0.0, pose.neck[1], pose.neck[2] - 0.04), pose.head, (0.115, 0.105), shade(look.skin, 0.8))
        self.brush.polygon(outline, look.top)
        # The side away from the sun.
        dark = [
            (neck[0] + 0.055 * px, neck[1] - 0.02 * px),
            *outline[9:6:-1],
            outline[6],
            (hem[0] + hem_half * 0.25, hem[1]),
            (waist[0] + waist_half * 0.42, waist[1]),
            (hi - half * 0.62, top + 0.1 * px),
        ]
        self.brush.polygon(dark, shade(look.top, 0.76))
        self.chest(neck, hem, half)

    def chest(self, neck: tuple[float, float], hem: tuple[float, float], half: float) -> None:
        """Draw what shows from the front: collar, shirt, zip."""
        if self.f_away > -0.25:  # noqa: PLR2004 - the front has turned out of view
            return
        px, look = self.px, self.look
        middle = neck[0] + self.f_across * half * 0.55
        low = hem[0] + self.f_across * half * 0.55
        vee = [(neck[0] - 0.06 * px, neck[1] - 0.03 * px), (middle, neck[1] + 0.14 * px)]
        vee.append((neck[0] + 0.06 * px, neck[1] - 0.03 * px))
        self.brush.polygon(vee, look.accent if look.coat else shade(look.skin, 0.92))
        zip_half = max(0.008 * px, 0.4)
        line = [(middle - zip_half, neck[1] + 0.14 * px), (middle + zip_half, neck[1] + 0.14 * px)]
        line += [(low + zip_half, hem[1]), (low - zip_half, hem[1])]
        self.brush.polygon(line, shade(look.top, 0.6))

    def long_hair(self) -> None:
        head = self.at(self.pose.head)
        px = self.px
        self.brush.ellipse((head[0], head[1] + 0.09 * px), (0.125 * px, 0.2 * px), shade(self.look.hair, 0.8))

    def head(self) -> None:
        px, look = self.px, self.look
        x, y = self.at(self.pose.head)
        turn = math.atan2(self.f_across, -self.f_away)  # 0 looks at the camera, positive to the right of the picture
        wide, tall = 0.098 * px, 0.128 * px
        hair, brush = look.hair, self.brush
        away = abs(turn) > _FACE_TURNED_AWAY
        lean = math.sin(turn)
        if look.hair_style == "bun":
            brush.ellipse((x - lean * 0.1 * px, y - 0.1 * px), (0.06 * px, 0.06 * px), shade(hair, 0.85))
        brush.ellipse((x, y), (wide, tall), shade(look.skin, 0.8))
        brush.ellipse((x - 0.008 * px - lean * 0.012 * px, y - 0.022 * px), (wide * 1.1, tall * 0.96), hair)
        if away:
            nape = 0.19 if look.hair_style == "long" else (0.07 if look.hair_style == "bob" else 0.0)
            if nape:
                brush.ellipse((x, y + nape * 0.55 * px), (wide * 1.14, tall * 0.7 + nape * 0.6 * px), hair)
            brush.ellipse((x - 0.025 * px, y - 0.05 * px), (wide * 0.55, tall * 0.5), shade(hair, 1.25))
        else:
            self.face(x, y, turn)
        if look.hair_style == "cap":
            self.cap(x, y, turn)

    def face(self, x: float, y: float, turn: float) -> None:
        px, look, brush = self.px, self.look, self.brush
        wide, tall = 0.098 * px, 0.128 * px
        sine, cosine = math.sin(turn), math.cos(turn)
        cx = x + sine * wide * 0.42
        half = wide * (0.58 + 0.36 * max(cosine, 0.0))
        cy, high = y + 0.022 * px, tall * 0.83
        if look.hair_style in ("long", "bob"):
            brush.ellipse((x - sine * 0.03 * px, y + 0.035 * px), (wide * 1.16, tall * 1.05), shade(look.hair, 0.9))
        brush.ellipse((cx, cy), (half, high), shade(look.skin, 0.86))
        brush.ellipse((cx - half * 0.1, cy), (half * 0.86, high * 0.97), look.skin)
        self.face_px = (cx - half, y - tall * 0.78, cx + half, y + tall * 1.0)

        if px < _FEATURES_FROM_PX:
            return

        def spot(azimuth: float, up: float) -> tuple[float, float] | None:
            angle = turn + azimuth
            return (x + math.sin(angle) * wide * 0.93, y - up * px) if math.cos(angle) > 0.12 else None  # noqa: PLR2004

        for side in (-1, 1):
            if eye := spot(side * 0.43, -0.005):
                squeeze = max(math.cos(turn + side * 0.43), 0.3)
                brush.ellipse(eye, (0.023 * px * squeeze, 0.0135 * px), (232, 236, 238))
                brush.ellipse((eye[0] + sine * 0.004 * px, eye[1]), (0.011 * px * squeeze, 0.0125 * px), (44, 40, 38))
                brow = (eye[0], eye[1] - 0.03 * px)
                brush.ellipse(brow, (0.03 * px * squeeze, 0.007 * px), shade(look.hair, 0.9))
            if abs(sine) > _EAR_FROM and side * sine < 0:
                ear = (x + math.sin(turn + side * math.pi / 2) * wide * 0.9, y + 0.012 * px)
                brush.ellipse(ear, (0.016 * px, 0.03 * px), shade(look.skin, 0.88))
        if nose := spot(0.0, -0.035):
            tip = (nose[0] + sine * 0.016 * px, nose[1])
            brush.ellipse(tip, (0.014 * px, 0.024 * px), shade(look.skin, 0.84))
            brush.ellipse((tip[0] - 0.004 * px, tip[1] - 0.006 * px), (0.009 * px, 0.018 * px), shade(look.skin, 1.06))
        if mouth := spot(0.0, -0.078):
            brush.ellipse(mouth, (0.028 * px * max(cosine, 0.35), 0.0085 * px), (82, 76, 150))

    def cap(self, x: float, y: float, turn: float) -> None:
        px, brush, colour = self.px, self.brush, self.look.accent
        angles = np.linspace(math.pi, 2 * math.pi, 14)
        dome = np.stack([x + 0.112 * px * np.cos(angles), y - 0.035 * px + 0.112 * px * np.sin(angles)], axis=1)
        brush.polygon(dome, colour)
        if abs(turn) < _FACE_TURNED_AWAY:
            peak = (x + math.sin(turn) * 0.09 * px, y - 0.035 * px)
            brush.ellipse(peak, (0.095 * px, 0.02 * px), shade(colour, 0.72))

    def bag(self, hand: Joint) -> None:
        x, y = self.at(hand)
        px, colour = self.px, self.look.accent
        handle = [
            (x - 0.06 * px, y + 0.13 * px),
            (x - 0.008 * px, y),
            (x + 0.008 * px, y),
            (x + 0.06 * px, y + 0.13 * px),
        ]
        self.brush.polygon(handle, shade(colour, 0.6))
        sack = [(x - 0.13 * px, y + 0.12 * px), (x + 0.13 * px, y + 0.12 * px)]
        sack += [(x + 0.15 * px, y + 0.42 * px), (x - 0.15 * px, y + 0.42 * px)]
        self.brush.polygon(sack, shade(colour, 0.85))
        lit_side = [sack[0], (x + 0.03 * px, sack[1][1]), (x + 0.02 * px, sack[2][1]), sack[3]]
        self.brush.polygon(lit_side, colour)

    def backpack(self) -> None:
        px, colour = self.px, self.look.accent
        x, y = self.at((0.0, -0.17, self.pose.neck[2] - 0.24))
        half = (0.16 + 0.04 * abs(self.f_away)) * px * 0.9
        self.brush.ellipse((x, y - 0.06 * px), (half, 0.2 * px), shade(colour, 0.8))
        pack = [(x - half, y - 0.06 * px), (x + half, y - 0.06 * px), (x + half * 0.95, y + 0.24 * px)]
        self.brush.polygon([*pack, (x - half * 0.95, y + 0.24 * px)], shade(colour, 0.8))
        self.brush.ellipse((x - half * 0.15, y + 0.1 * px), (half * 0.7, 0.11 * px), colour)

    def box(self) -> None:
        px = self.px
        x, y = self.at((0.0, 0.36, self.pose.neck[2] - 0.36))
        half = 0.2 * px
        front = [
            (x - half, y - 0.12 * px),
            (x + half, y - 0.12 * px),
            (x + half, y + 0.17 * px),
            (x - half, y + 0.17 * px),
        ]
        self.brush.polygon(front, (104, 146, 186))
        lid = [
            (x - half, y - 0.12 * px),
            (x - half * 0.8, y - 0.2 * px),
            (x + half * 0.8, y - 0.2 * px),
            (x + half, y - 0.12 * px),
        ]
        self.brush.polygon(lid, (130, 172, 206))
        tape = [(x - 0.025 * px, y - 0.2 * px), (x + 0.025 * px, y - 0.2 * px), (x + 0.025 * px, y + 0.17 * px)]
        self.brush.polygon([*tape, (x - 0.025 * px, y + 0.17 * px)], (150, 190, 214))

    def umbrella(self) -> None:
        px, colour = self.px, self.look.accent
        hand = self.at(self.pose.hands[1])
        head = self.at(self.pose.head)
        x, y = (hand[0] + head[0]) / 2, head[1] - 0.3 * px
        shaft = max(0.012 * px, 0.5)
        pole = [(hand[0] - shaft, hand[1]), (hand[0] + shaft, hand[1]), (x + shaft, y), (x - shaft, y)]
        self.brush.polygon(pole, (70, 70, 74))
        angles = np.linspace(math.pi, 2 * math.pi, 25)
        rim = np.stack([x + 0.62 * px * np.cos(angles), y + 0.14 * px + 0.3 * px * np.sin(angles)], axis=1)
        self.brush.polygon(rim, colour)
        for edge in (-1.0, -0.33):
            a = np.stack([x + (edge * 0.62 + 0.41 * np.linspace(0, 1, 5)) * px, np.full(5, y + 0.14 * px)], axis=1)
            a[1:4, 1] -= 0.03 * px
            self.brush.polygon(np.vstack([a, [(x, y - 0.15 * px)]]), shade(colour, 0.8 if edge < -0.5 else 1.15))  # noqa: PLR2004


def draw_person(person: Person, placement: Placement, view: View, light: Bgr) -> Drawn:
    """Return `person` drawn where `placement` says, under `light`."""
    return _Figure(person, Look.of(person), placement, view, light).draw()


def cast_shadow(drawn: Drawn, head_px: tuple[float, float]) -> Sprite:
    """Return the soft shadow of a figure whose crown's shadow falls on `head_px`; coverage only.

    The figure's own coverage is sheared onto the ground and blurred.
    """
    coverage = np.ascontiguousarray(drawn.sprite.coverage)
    fx, fy = drawn.feet_px
    sx, sy = head_px[0] - fx, head_px[1] - fy
    height = max(drawn.height_px, 1.0)
    left = math.floor(min(fx, head_px[0]) - 0.4 * height)
    right = math.ceil(max(fx, head_px[0]) + 0.4 * height)
    top = math.floor(min(fy, head_px[1]) - 0.12 * height)
    bottom = math.ceil(max(fy, head_px[1]) + 0.12 * height)
    ox, oy = fx - drawn.sprite.left, fy - drawn.sprite.top
    # (x, y) on the figure -> feet + (x - feet) along the ground, and height along the shadow
    kx, ky = -sx / height, -sy / height
    matrix = np.array([[1.0, kx, fx - ox - kx * oy - left], [0.0, ky, fy - ky * oy - top]])
    shadow = cv2.warpAffine(coverage, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    blur = max(3, round(height * 0.02) | 1)
    return Sprite.of_coverage(left, top, cv2.blur(shadow, (blur, blur)))
