"""Who is on the street, from when to when, and along which path.

A *scenario* is data: the same scenario, seed and instant always give the same
picture. Times are seconds of scene time, positions metres of `street.view`.
"""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

PAVEMENT_LEFT_M = -9.0
KERB_LEFT_M = -4.4
BUS_LANE_RIGHT_M = -0.9
KERB_RIGHT_M = 4.9
PAVEMENT_RIGHT_M = 7.4


class Kind(StrEnum):
    """What a figure does, for scoring by kind."""

    WALKER = "walker"
    RUNNER = "runner"
    CHILD = "child"
    STANDING = "standing"
    TURNING = "turning"
    SEATED = "seated"
    CYCLIST = "cyclist"


class Body(StrEnum):
    """What a vehicle is."""

    CAR = "car"
    VAN = "van"
    BUS = "bus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Light, weather and what is wrong with the camera.

    Attributes:
        night: Lamps and windows are lit, the sky is not.
        rain: Streaks fall and the ground mirrors.
        noise_sigma: Sensor noise, standard deviation in luma steps; 0 for none.
        shake_px: Largest shift of the picture by wind on the pole, pixels at 720 rows.
        flare: Headlights bloom in the lens.
    """

    night: bool = False
    rain: bool = False
    noise_sigma: float = 1.6
    shake_px: float = 0.0
    flare: bool = False


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Where something is at one instant of its own path.

    Attributes:
        at_s: Seconds since the path began.
        x_m: Across the street.
        z_m: Along the street.
        facing_deg: Heading while it does not move: 0 looks along +z, 90 along +x, 180 towards the camera.
    """

    at_s: float
    x_m: float
    z_m: float
    facing_deg: float = 180.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where something is and which way it faces, at one instant.

    Attributes:
        x_m: Across the street.
        z_m: Along the street.
        heading: Unit vector (x, z).
        speed_m_s: How fast it moves; 0 while it stands.
        travelled_m: Along the path so far; the phase of the gait comes from it, so feet do not slide.
    """

    x_m: float
    z_m: float
    heading: tuple[float, float]
    speed_m_s: float
    travelled_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A timed path, walked once or again and again.

    Attributes:
        waypoints: In rising `at_s`; the thing exists from the first to the last.
        starts_at_s: Scene time at which `at_s` is 0; may be negative.
        repeats_after_s: The path starts again after this long; 0 for never.
    """

    waypoints: tuple[Waypoint, ...]
    starts_at_s: float = 0.0
    repeats_after_s: float = 0.0

    def at(self, t: float) -> Placement | None:
        """Return the placement at scene time `t`, or None while not on the street."""
        local = t - self.starts_at_s
        if self.repeats_after_s > 0:
            local %= self.repeats_after_s
        if not self.waypoints[0].at_s <= local < self.waypoints[-1].at_s:
            return None
        travelled = 0.0
        for a, b in zip(self.waypoints, self.waypoints[1:], strict=False):
            dx, dz = b.x_m - a.x_m, b.z_m - a.z_m
            leg = math.hypot(dx, dz)
            if local < b.at_s:
                part = (local - a.at_s) / (b.at_s - a.at_s)
                if leg > 0:
                    heading, speed = (dx / leg, dz / leg), leg / (b.at_s - a.at_s)
                else:
                    angle = math.radians(a.facing_deg + (b.facing_deg - a.facing_deg) * part)
                    heading, speed = (math.sin(angle), math.cos(angle)), 0.0
                return Placement(a.x_m + dx * part, a.z_m + dz * part, heading, speed, travelled + leg * part)
            travelled += leg
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One figure.

    Attributes:
        id: Name in the truth.
        kind: What it does.
        path: Where it is when.
        look_seed: Picks clothes, hair, skin and build.
        carries: "", "bag", "backpack", "box" or "umbrella".
    """

    id: str
    kind: Kind
    path: Path
    look_seed: int
    carries: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """One vehicle.

    Attributes:
        id: Name in the truth.
        body: What it is.
        path: Where its middle is when.
        plate: The text on its number plates.
        colour: Paint, BGR.
    """

    id: str
    body: Body
    path: Path
    plate: str
    colour: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One cast under one sky."""

    name: str
    people: tuple[Person, ...] = ()
    vehicles: tuple[Vehicle, ...] = ()
    conditions: Conditions = field(default_factory=Conditions)


_PAINTS = ((60, 60, 196), (148, 96, 40), (200, 200, 204), (64, 58, 54), (92, 128, 70), (52, 150, 214), (168, 160, 150))


def _stroll(rng: np.random.Generator, lane_m: float, *, away: bool, speed: float, phase_s: float) -> Path:
    """Return an endless walk along one pavement, between near and far."""
    near, far = 6.2, 38.0
    a, b = (near, far) if away else (far, near)
    drift = float(rng.uniform(-0.25, 0.25))
    takes = (far - near) / speed
    ways = (Waypoint(0, lane_m, a), Waypoint(takes / 2, lane_m + drift, (a + b) / 2), Waypoint(takes, lane_m, b))
    return Path(waypoints=ways, starts_at_s=-phase_s, repeats_after_s=takes + 1.5)


def _still(x_m: float, z_m: float, facing_deg: float, until_s: float = 1e9) -> Path:
    return Path(waypoints=(Waypoint(0, x_m, z_m, facing_deg), Waypoint(until_s, x_m, z_m, facing_deg)))


def _busy_people(rng: np.random.Generator) -> tuple[Person, ...]:
    looks = iter(rng.permutation(1000).tolist())
    people = [
        Person(
            id=f"walker-{n}",
            kind=Kind.WALKER,
            path=_stroll(rng, lane, away=away, speed=speed, phase_s=phase),
            look_seed=next(looks),
            carries=carries,
        )
        for n, (lane, away, speed, phase, carries) in enumerate(
            (
                (-6.1, False, 1.35, 24.5, "bag"),
                (-7.4, True, 1.25, 4.5, "backpack"),
                (-5.4, True, 1.45, 14.0, ""),
                (-7.0, False, 1.15, 12.5, ""),
                (-6.5, False, 1.15, 12.2, "bag"),  # beside the one before
                (-7.6, False, 1.15, 12.9, ""),  # and a third: a group
                (6.2, False, 1.3, 17.0, ""),
                (5.8, True, 1.2, 10.0, "backpack"),
            )
        )
    ]
    across = (
        Waypoint(0, 5.4, 13.5),
        Waypoint(2, 5.4, 13.5, -90),
        Waypoint(10, -4.9, 11.5),
        Waypoint(11, -4.9, 11.5, -100),
        Waypoint(16, -5.3, 5.6),
    )
    spin = tuple(Waypoint(n * 2.5, -6.4, 10.6, 150 + n * 45) for n in range(9))
    people += [
        Person(
            id="crossing",
            kind=Kind.WALKER,
            path=Path(waypoints=across, starts_at_s=-3, repeats_after_s=23),
            look_seed=next(looks),
            carries="box",
        ),
        Person(
            id="runner",
            kind=Kind.RUNNER,
            path=_stroll(rng, -4.9, away=False, speed=3.1, phase_s=3.5),
            look_seed=next(looks),
        ),
        Person(
            id="child",
            kind=Kind.CHILD,
            path=_stroll(rng, -6.9, away=True, speed=2.3, phase_s=0.8),
            look_seed=next(looks),
        ),
        Person(id="turning", kind=Kind.TURNING, path=Path(waypoints=spin, repeats_after_s=20), look_seed=next(looks)),
        Person(id="waiting", kind=Kind.STANDING, path=_still(-5.2, 16.6, 130), look_seed=next(looks), carries="bag"),
        Person(id="seated", kind=Kind.SEATED, path=_still(-5.75, 18.6, 110), look_seed=next(looks)),
        Person(id="gardener", kind=Kind.STANDING, path=_still(9.3, 27.0, 215), look_seed=next(looks)),
    ]
    return tuple(people)


def _busy_vehicles(rng: np.random.Generator) -> tuple[Vehicle, ...]:
    def drive(lane_m: float, speed: float, phase_s: float, every_s: float, *, away: bool) -> Path:
        a, b = (3.0, 75.0) if away else (75.0, 3.0)
        ways = (Waypoint(0, lane_m, a), Waypoint(72 / speed, lane_m, b))
        return Path(waypoints=ways, starts_at_s=-phase_s, repeats_after_s=every_s)

    bus_stops = (
        Waypoint(0, -2.7, 75),
        Waypoint(7, -2.7, 24.5),
        Waypoint(13, -2.7, 24.5, 180),
        Waypoint(17, -2.7, 2.0),
    )
    letters = "ABCEFHKLMNPRSTUVXYZ"

    def plate() -> str:
        picks = "".join(letters[i] for i in rng.integers(0, len(letters), 3))
        return f"{picks} {rng.integers(100, 1000)}"

    paints = [_PAINTS[i] for i in rng.permutation(len(_PAINTS))]
    return (
        Vehicle(id="parked", body=Body.CAR, path=_still(3.75, 15.5, 0), plate=plate(), colour=paints[0]),
        Vehicle(id="parked-2", body=Body.VAN, path=_still(3.7, 24.0, 0), plate=plate(), colour=(214, 214, 210)),
        Vehicle(id="car", body=Body.CAR, path=drive(1.0, 8.0, 5.0, 13, away=False), plate=plate(), colour=paints[1]),
        Vehicle(id="car-2", body=Body.CAR, path=drive(1.0, 7.2, 1.0, 29, away=False), plate=plate(), colour=paints[2]),
        Vehicle(
            id="bus",
            body=Body.BUS,
            path=Path(waypoints=bus_stops, starts_at_s=10, repeats_after_s=48),
            plate=plate(),
            colour=(52, 58, 186),
        ),
    )


def _busy(seed: int) -> Scenario:
    rng = np.random.default_rng([seed, 1])
    return Scenario(name="busy", people=_busy_people(rng), vehicles=_busy_vehicles(rng))


def _cyclists(seed: int) -> Scenario:
    """Return the busy street with three who ride on it, none of them where a vehicle drives then."""

    def ride(lane_m: float, kmh: float, phase_s: float, every_s: float) -> Path:
        ways = (Waypoint(0, lane_m, 55.0), Waypoint(51 / kmh * 3.6, lane_m, 4.0))
        return Path(waypoints=ways, starts_at_s=-phase_s, repeats_after_s=every_s)

    paths = (ride(-0.2, 22, 6, 17), ride(-3.9, 15, 9, 31), ride(-0.6, 18, 0, 23))
    riders = (Person(id=f"rider-{n}", kind=Kind.CYCLIST, path=path, look_seed=n) for n, path in enumerate(paths))
    busy = _busy(seed)
    return replace(busy, name="cyclists", people=(*busy.people, *riders))


def _standing(seed: int) -> Scenario:
    person = Person(id="standing", kind=Kind.STANDING, path=_still(-5.6, 9.5, 165, 120.0), look_seed=seed + 5)
    return Scenario(name="standing", people=(person,))


def _night(seed: int) -> Scenario:
    busy = _busy(seed)
    return replace(busy, name="night", conditions=Conditions(night=True, noise_sigma=3.2, flare=True))


def _rain(seed: int) -> Scenario:
    busy = _busy(seed)
    people = tuple(
        replace(p, carries="umbrella" if n % 2 == 0 and p.kind is Kind.WALKER else p.carries)
        for n, p in enumerate(busy.people)
    )
    return replace(busy, name="rain", people=people, conditions=Conditions(rain=True, noise_sigma=2.2))


_PRESETS = {
    "busy": _busy,
    "cyclists": _cyclists,
    "empty": lambda _seed: Scenario(name="empty"),
    "standing": _standing,
    "night": _night,
    "rain": _rain,
}
PRESET_NAMES = tuple(_PRESETS)


def preset(name: str, seed: int = 0) -> Scenario:
    """Return a named scenario: busy, cyclists, empty, standing, night or rain.

    Raises:
        ValueError: There is no scenario of that name.
    """
    if name not in _PRESETS:
        raise ValueError(f"no scenario named {name!r}, expected one of {', '.join(PRESET_NAMES)}")
    return _PRESETS[name](seed)
