"""Follow boxes from look to look, so that somebody who walks counts once.

A *track* is a box, its last place, what it has crossed and, on calibrated ground, where it was in the
last seconds. It lives in memory for as long as it is seen; it has no number, and nothing of it leaves
`agent.core.counting` but sums.

Where the ground is calibrated, a box that is seen for the second time may have leapt as far as something fast
goes in that time; the track is *doubted* until a third look finds it where it must be by then.

Pure.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from agent.core.ground import Ground
from agent.core.masking.sightings import Kind, Look, Region, Sighting
from agent.core.places import Way
from agent.core.zones import Point

COUNTED_FROM_SCORE = 0.5  # surer than what hides: a mask too many costs a patch, a count too many is false
FASTEST_KMH = {Kind.PERSON: 40.0, Kind.VEHICLE: 100.0}  # what a track may begin with; faster ones are not followed
LONGEST_STEP_US = 2_000_000  # between looks that still count as watching
ABOUT_US = 3_000_000  # before and after a passage, in which its speed is taken: a bus that waits there is not slow
KMH = 3.6  # kilometres an hour, of one metre a second

_FORGET_US = 2_000_000  # a track not seen for so long is over
_SAME_OVERLAP = 0.5  # of two boxes of one look: the same thing seen in two tiles
_ABOARD = 0.9  # of a person's box, within a vehicle's: who looks out of a window does not walk
# How far a foot may be from where it was expected, in heights of its box, across (of the picture's width: at 16:9
# about one body's length) and down: who begins to run, or was seen once only, is still the same half a second later.
_REACH_ACROSS, _REACH_DOWN = 0.6, 0.5
_EDGE = 0.005  # of the picture: a box that touches the edge does not show where it stands
# Over which a speed is taken: a box's lower edge trembles by a foot's length, which is much for who walks. Who is gone
# sooner was fast, and two looks must do.
_STRIDE_US = 900_000
_LEAST_STRIDE_US = 400_000
_REMEMBERED = 64  # looks of one track


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One crossing of a line.

    Attributes:
        place: Name of the line.
        way: Which way.
        at_us: When.
    """

    place: str
    way: Way
    at_us: int


@dataclass(slots=True, kw_only=True, eq=False)
class Track:
    """Something that is seen.

    Attributes:
        kind: What the net takes it for.
        where: Its last box.
        seen_us: When that was.
        pace: Of its foot, each microsecond; None while it was seen once only.
        doubted: Whether it leapt, and no further look has borne it out yet.
        crossed: Names of the lines it crossed.
        uncounted: Passages that are in no sum yet.
        trail: When and where on the ground it was, in metres.
    """

    kind: Kind
    where: Region
    seen_us: int
    pace: Point | None = None
    doubted: bool = False
    crossed: set[str] = field(default_factory=set)
    uncounted: list[Passage] = field(default_factory=list)
    trail: deque[tuple[int, Point]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def expected(self, now_us: int, ground: Ground | None) -> Region:
        """Return where it is now if it went on as it did, on the ground where that is known, or else in the picture."""
        x, y = foot(self.where)
        pace_x, pace_y = self.pace or (0.0, 0.0)
        ahead_us = now_us - self.seen_us
        to_x, to_y = x + pace_x * ahead_us, y + pace_y * ahead_us
        if ground is not None and len(self.trail) > 1 and self.trail[-1][0] == self.seen_us:
            # What comes nearer grows faster and faster in the picture, and goes as fast as before on the ground.
            (before_us, (a_x, a_y)), (_, (b_x, b_y)) = self.trail[-2], self.trail[-1]
            ratio = ahead_us / (self.seen_us - before_us)
            to_x, to_y = ground.at((b_x + (b_x - a_x) * ratio, b_y + (b_y - a_y) * ratio))
        across, down, where = to_x - x, to_y - y, self.where
        return Region(where.left + across, where.top + down, where.right + across, where.bottom + down)

    def move(self, to: Region, now_us: int) -> None:
        """Take in where it was seen."""
        (x, y), (before_x, before_y) = foot(to), foot(self.where)
        took_us = max(now_us - self.seen_us, 1)
        self.pace = ((x - before_x) / took_us, (y - before_y) / took_us)
        self.where, self.seen_us = to, now_us

    def speed_kmh(self, at_us: int) -> float | None:
        """Return the median speed over all strides about an instant, or None if none was seen on calibrated ground."""
        about = [each for each in self.trail if abs(each[0] - at_us) <= ABOUT_US]
        strides = list(_strides(about, _STRIDE_US)) or list(_strides(about, _LEAST_STRIDE_US))
        return median(strides) if strides else None


class Tracks:
    """All that is seen now.

    Args:
        ground: Where speeds can be told, or None.
    """

    def __init__(self, ground: Ground | None = None) -> None:
        self._ground = ground
        self._live: list[Track] = []

    @property
    def live(self) -> Sequence[Track]:
        """What is followed."""
        return self._live

    def drop(self) -> list[Track]:
        """Forget everybody; return who that was."""
        dropped, self._live = self._live, []
        return dropped

    def forget(self, now_us: int) -> list[Track]:
        """Forget whom nobody has seen for too long; return who that was."""
        over = [track for track in self._live if now_us - track.seen_us > _FORGET_US]
        self._live = [track for track in self._live if now_us - track.seen_us <= _FORGET_US]
        return over

    def follow(self, boxes: Sequence[Sighting], now_us: int) -> list[tuple[Track, Point, Point]]:
        """Take in the boxes of one look; return each track that goes on, and where its foot was and is."""
        steps = []
        followed = self._within_reach(boxes, now_us)
        leapt = self._leapt(boxes, followed, now_us)
        for n, box in enumerate(boxes):
            track = followed.get(n) or leapt.get(n)
            if track is None:
                track = Track(kind=box.kind, where=box.where, seen_us=now_us)
                self._live.append(track)
            else:
                track.doubted = n in leapt
                steps.append((track, foot(track.where), foot(box.where)))
                track.move(box.where, now_us)
            self._note(track, now_us)
        return steps

    def _within_reach(self, boxes: Sequence[Sighting], now_us: int) -> dict[int, Track]:
        """Return which track goes on in which box."""
        # Nearest first, over all pairs: whoever moved least is surely the same, and leaves the others to each other.
        here = [(track.kind, track.expected(now_us, self._ground)) for track in self._live]
        return _paired(
            self._live,
            sorted(
                (math.dist(foot(expected), foot(box.where)), one, other)
                for one, (kind, expected) in enumerate(here)
                for other, box in enumerate(boxes)
                if kind is box.kind and _reachable(expected, box.where)
            ),
        )

    def _leapt(self, boxes: Sequence[Sighting], followed: dict[int, Track], now_us: int) -> dict[int, Track]:
        """Return which track that was seen once only goes on in which box that is left, faster than one walks."""
        if self._ground is None:
            return {}
        fresh = [track for track in self._live if track.pace is None and track not in followed.values()]
        pairs = []
        for one, track in enumerate(fresh):
            before = self._ground.metres(foot(track.where))
            for other, box in enumerate(boxes):
                after = self._ground.metres(foot(box.where))
                if other in followed or track.kind is not box.kind or before is None or after is None:
                    continue
                away_m = math.dist(before, after)
                if away_m * KMH <= FASTEST_KMH[box.kind] * max(now_us - track.seen_us, 0) / 1e6:
                    pairs.append((away_m, one, other))
        return _paired(fresh, sorted(pairs))

    def _note(self, track: Track, now_us: int) -> None:
        """Remember where on the ground a track is, as far as that is to be seen."""
        where = track.where
        cut = where.left < _EDGE or where.right > 1 - _EDGE or where.bottom > 1 - _EDGE
        metres = None if self._ground is None or cut else self._ground.metres(foot(where))
        if metres is not None:
            track.trail.append((now_us, metres))


def foot(region: Region) -> Point:
    """Return where a box stands on the ground."""
    return ((region.left + region.right) / 2, region.bottom)


def distinct(look: Look) -> list[Sighting]:
    """Return the sure boxes, surest first, each thing once, and nobody who is aboard of something."""
    kept: list[Sighting] = []
    for box in sorted(look.sightings, key=lambda each: -each.score):
        if box.score >= COUNTED_FROM_SCORE and not any(
            box.kind is other.kind and _shared(box.where, other.where) >= _SAME_OVERLAP for other in kept
        ):
            kept.append(box)
    vehicles = [box.where for box in kept if box.kind is Kind.VEHICLE]
    return [box for box in kept if box.kind is Kind.VEHICLE or not any(_aboard(box.where, each) for each in vehicles)]


def _strides(trail: Sequence[tuple[int, Point]], least_us: int) -> Iterator[float]:
    """Yield the speed, km/h, from each place of a trail to the next that is at least so much later."""
    for n, (left_us, left) in enumerate(trail):
        for came_us, came in trail[n + 1 :]:
            if came_us - left_us >= least_us:
                yield math.dist(left, came) / (came_us - left_us) * 1e6 * KMH
                break


def _paired(tracks: Sequence[Track], pairs: Sequence[tuple[float, int, int]]) -> dict[int, Track]:
    """Return which track goes with which box, given (distance, track, box) in the order in which they are taken."""
    taken: set[int] = set()
    paired: dict[int, Track] = {}
    for _, one, other in pairs:
        if other not in paired and one not in taken:
            taken.add(one)
            paired[other] = tracks[one]
    return paired


def _reachable(before: Region, after: Region) -> bool:
    """Return whether one thing may have gone from one box to the other between two looks."""
    across, down = (abs(a - b) for a, b in zip(foot(before), foot(after), strict=True))
    width = max(before.right - before.left, after.right - after.left)
    height = max(before.bottom - before.top, after.bottom - after.top)
    return across <= max(width, _REACH_ACROSS * height) and down <= _REACH_DOWN * height


def _aboard(person: Region, vehicle: Region) -> bool:
    return _common(person, vehicle) >= _ABOARD * _extent(person) and person.bottom < vehicle.bottom


def _shared(a: Region, b: Region) -> float:
    """Return the common part of two boxes as a share of both together."""
    common = _common(a, b)
    return common / (_extent(a) + _extent(b) - common) if common > 0 else 0.0


def _common(a: Region, b: Region) -> float:
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    return across * down if across > 0 and down > 0 else 0.0


def _extent(region: Region) -> float:
    return (region.right - region.left) * (region.bottom - region.top)
