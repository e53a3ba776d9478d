"""What a page draws: the city with its sites, private areas on a neutral outline, small plots. Inline SVG, no pixels.

Colours are the style sheet's, by class, so that a drawing is as good in the dark and on paper. Whatever a
drawing says is also said in words beside it. Pure.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import TypeAlias

from agent.core.zones import View, Zone
from agent.errors import UsageError
from provisioning.register.sentences import MAY_RECORD

Point: TypeAlias = tuple[float, float]

MAX_OUTLINE_BYTES = 4 * 1024 * 1024
MAX_POINTS = 4_000  # of an outline, as drawn: 40 KB at worst
_MAP_WIDTH, _MAP_HEIGHT = 720, 560  # at most
_MARGIN = 16
_CLOSER_THAN_PX = 1.2  # two points of an outline that nobody could tell apart
_DEEPEST = 8
_VIEW_WIDTH = 480
_PLOT_WIDTH, _PLOT_HEIGHT, _PLOT_FOOT = 480, 96, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One site on the map.

    Attributes:
        name: What it is called.
        link: Its page.
        state: As `sentences.state_of`.
        latitude: Degrees.
        longitude: Degrees.
        precision_m: How exactly it is told.
    """

    name: str
    link: str
    state: str
    latitude: float
    longitude: float
    precision_m: int


def read_outline(raw: bytes) -> tuple[tuple[Point, ...], ...]:
    """Return the lines and rings of a GeoJSON file, each a run of (longitude, latitude).

    Raises:
        UsageError: It is none, or draws nothing.
    """
    try:
        lines = tuple(_lines(json.loads(raw)))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError("the outline is no GeoJSON", hint="polygons or lines in WGS 84, RFC 7946") from error
    if not lines:
        raise UsageError("the outline draws nothing", hint="polygons or lines in WGS 84, RFC 7946")
    return lines


def draw_map(outline: Sequence[Sequence[Point]], pins: Sequence[Pin], more: Sequence[Point] = (), *, label: str) -> str:
    """Return the city with its sites.

    Args:
        outline: Lines and rings, from `read_outline`.
        pins: Sites that lead to their pages.
        more: Where others are, as dots: a link for each of a thousand would be too heavy for an old phone.
        label: What the map shows, for those who do not see it.
    """
    placed = [(pin.longitude, pin.latitude) for pin in pins]
    project = _projection([*(point for line in outline for point in line), *placed, *more])
    land = "".join(_path(line, project) for line in outline if line[0] == line[-1])
    lines = "".join(_path(line, project) for line in outline if line[0] != line[-1])
    dots = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in map(project, more))
    linked = "".join(_pin(pin, project) for pin in pins)
    box = f"0 0 {project.width:.0f} {project.height:.0f}"
    return (
        f'<svg class="map" viewBox="{box}" role="group" aria-label="{escape(label)}">'
        f'<path class="land" d="{land}"/><path class="line" d="{lines}"/>'
        f'<path class="dots" d="{dots}"/>{linked}</svg>'
    )


def draw_areas(zones: Sequence[Zone], view: View, *, label: str) -> str:
    """Return private areas, drawn coarsely, over an outline of what the camera sees."""
    width, height = _VIEW_WIDTH, round(_VIEW_WIDTH * view.aspect_height / view.aspect_width)
    horizon, vanishing = round(height * 0.38), round(width * 0.46)
    street = (
        f"M0 {horizon}H{width}M{round(width * 0.08)} {height}L{vanishing} {horizon}L{round(width * 0.92)} {height}"
        f"M{round(width * 0.46)} {height}L{vanishing} {horizon}"
    )
    shapes = []
    for zone in zones:
        across, down = zip(*zone.polygon, strict=True)
        left, top = min(across) * width, min(down) * height
        shapes.append(
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{(max(across) - min(across)) * width:.0f}"'
            f' height="{(max(down) - min(down)) * height:.0f}"/>'
        )
    return (
        f'<svg class="areas" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f'<rect class="frame" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}"/>'
        f'<path class="street" d="{street}"/><g class="zones">{"".join(shapes)}</g></svg>'
    )


def draw_days(values: Mapping[date, float], first: date, last: date, *, most: float, label: str, unit: str) -> str:
    """Return one bar a day from `first` to `last`; days without a value have none.

    Args:
        values: By day.
        first: The first day.
        last: The last day.
        most: What the full height stands for, above 0.
        label: What is plotted, for those who do not see it.
        unit: What the values are, such as "hours".
    """
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    step = _PLOT_WIDTH / len(days)
    base = _PLOT_HEIGHT - _PLOT_FOOT
    bars = []
    for number, day in enumerate(days):
        value = values.get(day)
        if value is not None:
            tall = max(1.0, min(value / most, 1.0) * (base - 14))
            bars.append(
                f'<rect x="{number * step + step * 0.12:.1f}" y="{base - tall:.1f}" width="{step * 0.76:.1f}"'
                f' height="{tall:.1f}"><title>{day.day} {day:%B}: {_number(value)} {escape(unit)}</title></rect>'
            )
    return (
        f'<svg class="plot" viewBox="0 0 {_PLOT_WIDTH} {_PLOT_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<path class="axis" d="M0 {base}.5H{_PLOT_WIDTH}M0 14.5H{_PLOT_WIDTH}"/><g class="bars">{"".join(bars)}</g>'
        f'<text x="0" y="10">{_number(most)} {escape(unit)}</text>'
        f'<text x="0" y="{_PLOT_HEIGHT - 4}">{first.day} {first:%B}</text>'
        f'<text class="end" x="{_PLOT_WIDTH}" y="{_PLOT_HEIGHT - 4}">{last.day} {last:%B}</text></svg>'
    )


# --- geography ------------------------------------------------------------------


def _lines(shape: object, depth: int = 0) -> Iterator[tuple[Point, ...]]:
    """Yield every run of points in a GeoJSON object, whatever it is."""
    if not isinstance(shape, dict) or depth > _DEEPEST:
        raise TypeError("no GeoJSON object")
    match shape["type"]:
        case "FeatureCollection" | "GeometryCollection" as kind:
            for inner in shape["features" if kind == "FeatureCollection" else "geometries"]:
                yield from _lines(inner, depth + 1)
        case "Feature":
            yield from _lines(shape["geometry"], depth + 1)
        case "LineString":
            yield _run(shape["coordinates"])
        case "Polygon" | "MultiLineString":
            yield from map(_run, shape["coordinates"])
        case "MultiPolygon":
            for polygon in shape["coordinates"]:
                yield from map(_run, polygon)
        case _:
            return  # a point is no outline


def _run(positions: Iterable[Sequence[float]]) -> tuple[Point, ...]:
    run = tuple((float(longitude), float(latitude)) for longitude, latitude, *_ in positions)
    if not all(math.isfinite(each) for point in run for each in point):
        raise ValueError("a coordinate is no number")
    return run


@dataclass(frozen=True, slots=True)
class _Projection:
    """Plate carrée around the city's own latitude: true to a per mille at the size of a city."""

    west: float
    north: float
    shrink: float
    scale: float
    width: float
    height: float

    def __call__(self, point: Point) -> Point:
        longitude, latitude = point
        x = _MARGIN + (longitude - self.west) * self.shrink * self.scale
        return (x, _MARGIN + (self.north - latitude) * self.scale)


def _projection(points: Sequence[Point]) -> _Projection:
    longitudes, latitudes = zip(*points, strict=True)
    west, east, south, north = min(longitudes), max(longitudes), min(latitudes), max(latitudes)
    shrink = math.cos(math.radians((south + north) / 2))
    wide, tall = max((east - west) * shrink, 1e-4), max(north - south, 1e-4)
    room_x, room_y = _MAP_WIDTH - 2 * _MARGIN, _MAP_HEIGHT - 2 * _MARGIN
    scale = min(room_x / wide, room_y / tall)
    return _Projection(west, north, shrink, scale, wide * scale + 2 * _MARGIN, tall * scale + 2 * _MARGIN)


def _path(line: Sequence[Point], project: _Projection) -> str:
    drawn: list[Point] = []
    for point in map(project, line[:: max(1, len(line) // MAX_POINTS)]):
        if not drawn or math.dist(point, drawn[-1]) >= _CLOSER_THAN_PX:
            drawn.append(point)
    if len(drawn) < 2:  # noqa: PLR2004 - one point is no line
        return ""
    closed = "Z" if line[0] == line[-1] else ""
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in drawn) + closed


def _pin(pin: Pin, project: _Projection) -> str:
    x, y = project((pin.longitude, pin.latitude))
    kind = "pin on" if pin.state == MAY_RECORD else "pin"
    named = f"{escape(pin.name)}: {escape(pin.state)}"
    return (
        f'<a href="{escape(pin.link)}" class="{kind}" aria-label="{named}"><circle cx="{x:.0f}" cy="{y:.0f}" r="6"/>'
        f"<title>{named}</title></a>"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004 - two digits say enough
