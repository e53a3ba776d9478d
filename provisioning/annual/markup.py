"""The few shapes that the report's pages are made of: tables, blanks, what people entered, where a number is from.

Text is escaped here; what is HTML already is marked as such. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from provisioning.annual.notes import Entered, Notes

INSTANT = timedelta(microseconds=1)
FROM_CAMERAS = "the cameras' logs"
FROM_CITY = "the city's own log"
FROM_DOCUMENTS = "signed documents"
_HOUR = timedelta(hours=1)
_TERABYTE = 1e12
_KEPT_WHOLE = 9  # rows of a table that no page break cuts


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(words: object) -> str:
    """Return words as HTML; a number with its thousands apart."""
    if isinstance(words, Html):
        return words
    return escape(f"{words:,}" if isinstance(words, int) else str(words))


def heading(words: str, clause: str = "") -> str:
    """Return a section's heading, with the clauses that ask for it."""
    asked = f' <span class="clause">{escape(clause)}</span>' if clause else ""
    return f"<h2>{escape(words)}{asked}</h2>"


@dataclass(frozen=True, slots=True)
class Group:
    """A row that is the heading of those that follow it."""

    words: str


def table(heads: Sequence[str], rows: Iterable[Sequence[object] | Group], *, label: str) -> str:
    """Return a table, of which the first cell of a row names the row.

    Args:
        heads: One for each column; those that end with # hold numbers, those that end with ~ are not broken.
        rows: Their cells.
        label: What the table is, for those who do not see it.
    """
    classes = [_CLASS.get(head[-1:], "") for head in heads]
    head = "".join(
        f'<th scope="col"{look}>{escape(words.rstrip("#~"))}</th>' for words, look in zip(heads, classes, strict=True)
    )
    listed = list(rows)
    body = "".join(_row(row, classes) for row in listed)
    whole = " keep" if len(listed) <= _KEPT_WHOLE else ""
    return (
        f'<div class="wide{whole}" tabindex="0" role="group" aria-label="{escape(label)}"><table class="list">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


_CLASS = {"#": ' class="number"', "~": ' class="when"'}


def _row(row: Sequence[object] | Group, classes: Sequence[str]) -> str:
    if isinstance(row, Group):
        return f'<tr class="group"><th colspan="{len(classes)}" scope="rowgroup">{escape(row.words)}</th></tr>'
    first, *others = zip(row, classes, strict=True)
    cells = "".join(f"<td{look}>{text(cell)}</td>" for cell, look in others)
    return f'<tr><th scope="row"{first[1]}>{text(first[0])}</th>{cells}</tr>'


def paragraph(words: str) -> str:
    """Return a paragraph of plain words."""
    return f"<p>{escape(words)}</p>"


def source(words: str) -> str:
    """Return where the numbers above it are from."""
    return f'<p class="from">From {escape(words)}.</p>'


def blank(what: str) -> str:
    """Return a place that nobody has filled in, with room for a pen."""
    return (
        f'<div class="blank"><b>To be entered by the city</b>{escape(what)}<span class="rule"></span>'
        '<span class="rule"></span></div>'
    )


def small_blank() -> Html:
    """Return the same within a table."""
    return Html('<span class="blank">to be entered</span>')


def entered(notes: Notes | None, found: Entered | None, *, none: str, some: tuple[str, str], ask: str) -> str:
    """Return what people entered, or a blank.

    Args:
        notes: Who entered it, and when.
        found: What, if they did.
        none: What a zero says, as a sentence.
        some: What follows the number, of one and of several, such as "complaint was received".
        ask: What the blank asks for.
    """
    if notes is None or found is None:
        return blank(ask)
    lead = f"{found.count:,} {some[found.count != 1]}." if found.count else none
    return said(notes, lead if found.words is None else f"{lead} {found.words}")


def said(notes: Notes, words: str) -> str:
    """Return words that people entered, and who answers for them."""
    return f'<div class="entered">{paragraph(words)}{entered_source(notes)}</div>'


def entered_source(notes: Notes) -> str:
    """Return who entered what stands above."""
    return source(f"what {notes.entered_by} entered on {notes.entered_on.day} {notes.entered_on:%B %Y}")


# --- words --------------------------------------------------------------------


def hours(duration: timedelta) -> str:
    """Return a duration in whole hours."""
    return f"{duration // _HOUR:,} h"


def ratio(part: int, whole: int) -> str:
    """Return a part in percent, with as many digits as it takes to be more than nothing."""
    if not whole or not part:
        return "none" if whole else "—"
    percent = 100 * part / whole
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"


def days(since: datetime, until: datetime) -> str:
    """Return the days of a half-open span; the year is the report's."""
    first, last = since, until - INSTANT
    if first.date() == last.date():
        return f"{first.day} {first:%B}"
    if first.month == last.month:
        return f"{first.day} to {last.day} {last:%B}"
    return f"{first.day} {first:%B} to {last.day} {last:%B}"


def size_words(size: int) -> str:
    """Return a number of bytes, decimal."""
    return f"{size / _TERABYTE:,.1f} TB" if size >= _TERABYTE else f"{size / 1e9:,.1f} GB"


def times(number: int) -> str:
    """Return how often something happened."""
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number:,} times")


def was(number: int) -> str:
    """Return the verb for a number of things."""
    return "was" if number == 1 else "were"
