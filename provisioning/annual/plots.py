"""Small drawings of numbers: bars that a printer and an old browser draw alike, as SVG within the page.

Colours are attributes and no style, because what sets the PDF does not look for styles in drawings. Each
drawing names its numbers for those who do not see it, and stands beside them in a table or in words. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

HAVE, GAP, CLOSED, GOOD = "#2c6e8f", "#b3372f", "#d29a2c", "#3f7d4f"
SOFT, INK, GROUND, FAINT = "#59636b", "#1b2126", "#e8ecef", "#b9c7d0"
FONT = "Liberation Sans, DejaVu Sans, sans-serif"
MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_BAR_WIDTH, _BAR_HEIGHT = 300, 14
_STEP, _SPARK_HEIGHT = 13, 26
_COLUMN_WIDTH, _COLUMN_HEIGHT, _FOOT, _HEAD, _LEFT = 230, 118, 32, 14, 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What one month of a column chart shows.

    Attributes:
        value: Its height; None where nothing is known.
        untold_ratio: Which part of what it is made of may not be told, 0 to 1.
    """

    value: int | None
    untold_ratio: float = 0.0


def bar(value: float, most: float, *, colour: str = HAVE) -> str:
    """Return one bar, `most` being the full width; the number stands beside it, so it has no label of its own."""
    width = _share(value, most) * _BAR_WIDTH
    return (
        f'<svg class="bar" viewBox="0 0 {_BAR_WIDTH} {_BAR_HEIGHT}" aria-hidden="true" preserveAspectRatio="none">'
        f'<rect width="{_BAR_WIDTH}" height="{_BAR_HEIGHT}" fill="{GROUND}"/>'
        f'<rect width="{width:.1f}" height="{_BAR_HEIGHT}" fill="{colour}"/></svg>'
    )


def bullet(value: int, asked: int, *, colour: str, at_least: bool) -> str:
    """Return a bar with a mark where its target is; what is asked for lies to the right of the mark, or to its left."""
    most = max(value, asked, 1) * 1.15
    mark, width = (_share(each, most) * _BAR_WIDTH for each in (asked, value))
    wanted = f'x="{mark:.1f}" width="{_BAR_WIDTH - mark:.1f}"' if at_least else f'x="0" width="{mark:.1f}"'
    return (
        f'<svg class="bar" viewBox="0 0 {_BAR_WIDTH} {_BAR_HEIGHT}" aria-hidden="true" preserveAspectRatio="none">'
        f'<rect {wanted} height="{_BAR_HEIGHT}" fill="{GROUND}"/>'
        f'<rect y="3" width="{max(width, 1.5):.1f}" height="8" fill="{colour}"/>'
        f'<rect x="{max(mark - 1, 0):.1f}" width="2" height="{_BAR_HEIGHT}" fill="{INK}"/></svg>'
    )


def months_in_a_row(values: Sequence[float], most: float, *, label: str, unit: str) -> str:
    """Return twelve small columns; a month without anything is a thin line."""
    columns = "".join(
        f'<rect x="{number * _STEP + 1}" y="{_SPARK_HEIGHT - tall:.1f}" width="{_STEP - 3}" height="{tall:.1f}"'
        f' fill="{HAVE if value else FAINT}"><title>{MONTH_NAMES[number]}: {value:,.0f} {escape(unit)}</title></rect>'
        for number, value in enumerate(values)
        for tall in (max(_share(value, most) * _SPARK_HEIGHT, 1.0),)
    )
    width = len(values) * _STEP
    return (
        f'<svg class="spark" viewBox="0 0 {width} {_SPARK_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<rect width="{width}" height="{_SPARK_HEIGHT}" fill="{GROUND}" fill-opacity="0.6"/>{columns}</svg>'
    )


def month_columns(months: Sequence[Month], *, colour: str, label: str) -> str:
    """Return a column a month; below each, how much of it may not be told."""
    most = _round_up(max((month.value or 0 for month in months), default=0))
    base, step = _COLUMN_HEIGHT - _FOOT, (_COLUMN_WIDTH - _LEFT) / max(len(months), 1)
    columns = "".join(
        _month(number, month, base=base, step=step, most=most, colour=colour) for number, month in enumerate(months)
    )
    lines = "".join(
        f'<line x1="{_LEFT}" x2="{_COLUMN_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GROUND}"/>'
        f'<text x="{_LEFT - 5}" y="{y + 3.5:.1f}" font-size="10" fill="{SOFT}" text-anchor="end">'
        f"{_short(number)}</text>"
        for number, y in ((most, float(_HEAD)), (most // 2, (base + _HEAD) / 2))
    )
    return (
        f'<svg class="columns" viewBox="0 0 {_COLUMN_WIDTH} {_COLUMN_HEIGHT}" role="img" font-family="{FONT}"'
        f' aria-label="{escape(label)}">{lines}{columns}'
        f'<line x1="{_LEFT}" x2="{_COLUMN_WIDTH}" y1="{base}" y2="{base}" stroke="{SOFT}"/></svg>'
    )


def _month(number: int, month: Month, *, base: float, step: float, most: int, colour: str) -> str:
    left, width = _LEFT + number * step + step * 0.2, step * 0.6
    tall = _share(month.value or 0, most) * (base - _HEAD)
    untold = month.untold_ratio * width
    name = MONTH_NAMES[number]
    said = "nothing was counted" if month.value is None else f"at least {month.value:,}"
    return (
        f'<rect x="{left:.1f}" y="{base - tall:.1f}" width="{width:.1f}" height="{tall:.1f}" fill="{colour}">'
        f"<title>{name}: {said}; {month.untold_ratio:.0%} of its numbers are too small to tell</title></rect>"
        f'<text x="{left + width / 2:.1f}" y="{base + 13:.1f}" font-size="10" fill="{SOFT}" text-anchor="middle">'
        f"{name[:1]}</text>"
        f'<rect x="{left:.1f}" y="{base + 20:.1f}" width="{width:.1f}" height="5" fill="{GROUND}"/>'
        f'<rect x="{left:.1f}" y="{base + 20:.1f}" width="{untold:.1f}" height="5" fill="{CLOSED}"/>'
    )


def _short(number: int) -> str:
    """Return a number of an axis in little room."""
    return f"{number // 1000:,} k" if number >= 10_000 and number % 1000 == 0 else f"{number:,}"  # noqa: PLR2004 - 10 k


def _share(value: float, most: float) -> float:
    return min(max(value / most, 0.0), 1.0) if most > 0 else 0.0


def _round_up(number: int) -> int:
    """Return the next number with one digit that is not 0, at least 10: what an axis ends with."""
    if number <= 10:  # noqa: PLR2004 - below it, two lines of an axis would be one
        return 10
    power = int("1" + "0" * (len(str(number)) - 1))
    return -(-number // power) * power
