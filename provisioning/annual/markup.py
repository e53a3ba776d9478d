"""The few shapes that the report's pages are made of: tables, blanks, what people entered, where a number is from.

Text is escaped here; what is HTML already is marked as such. Pure.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from html import escape

from provisioning.annual.notes import Entered, Notes

INSTANT = timedelta(microseconds=1)
FROM_CAMERAS = "the cameras' logs"
FROM_CITY = "the city's own log"
FROM_DOCUMENTS = "signed documents"
_HOUR = timedelta(hours=1)
_TERABYTE = 1e12


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


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, label: str) -> str:
    """Return a table; columns whose head ends with # hold numbers, the first cell of a row names it.

    Args:
        heads: One for each column.
        rows: Their cells.
        label: What the table is, for those who do not see it.
    """
    numeric = [head.endswith("#") for head in heads]
    head = "".join(
        f'<th scope="col"{_CLASS[number]}>{escape(words.removesuffix("#"))}</th>'
        for words, number in zip(heads, numeric, strict=True)
    )
    body = "".join(f"<tr>{_cells(row, numeric)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table class="list" aria-label="{escape(label)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


_CLASS = {True: ' class="number"', False: ""}


def _cells(row: Sequence[object], numeric: Sequence[bool]) -> str:
    first, *others = zip(row, numeric, strict=True)
    return f'<th scope="row"{_CLASS[first[1]]}>{text(first[0])}</th>' + "".join(
        f"<td{_CLASS[number]}>{text(cell)}</td>" for cell, number in others
    )


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


def entered(notes: Notes | None, found: Entered | None, *, none: str, some: str, ask: str) -> str:
    """Return what people entered, or a blank.

    Args:
        notes: Who entered it, and when.
        found: What, if they did.
        none: What a zero says, as a sentence.
        some: What a number counts, such as "complaints were received".
        ask: What the blank asks for.
    """
    if notes is None or found is None:
        return blank(ask)
    lead = f"{found.count:,} {some}." if found.count else none
    return said(notes, lead if found.words is None else f"{lead} {found.words}")


def said(notes: Notes, words: str) -> str:
    """Return words that people entered, and who answers for them."""
    on = f"{notes.entered_on.day} {notes.entered_on:%B %Y}"
    return f'<div class="entered">{paragraph(words)}{source(f"what {notes.entered_by} entered on {on}")}</div>'


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


def size_words(size: int) -> str:
    """Return a number of bytes, decimal."""
    return f"{size / _TERABYTE:,.1f} TB" if size >= _TERABYTE else f"{size / 1e9:,.1f} GB"


def times(number: int) -> str:
    """Return how often something happened."""
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number:,} times")


def was(number: int) -> str:
    """Return the verb for a number of things."""
    return "was" if number == 1 else "were"
