"""The report: some pages that a clerk reads, with nothing to fetch, on a screen and on paper.

Without pictures it says who, why and what, and lies in the folder in clear; with pictures it is
sealed to the receiving party. The same HTML is the page of a browser and the source of the PDF. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from importlib import resources

from provisioning.evidence.pictures import Still
from provisioning.evidence.statement import StatedSegment, Statement

_TIMELINE_WIDTH = 1000
_HAVE, _GAP, _CLOSED = "#2c6e8f", "#b3372f", "#d29a2c"
# The digests of a day are a hundred pages of hexadecimal, and whoever compares them does so by machine.
MOST_ROWS = 60
_STYLE = resources.files("provisioning.evidence").joinpath("report.css").read_text(encoding="utf-8")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # nothing to fetch, nothing to run


def render(statement: Statement, stills: Sequence[Still] = ()) -> bytes:
    """Return the report about `statement`, with `stills` if there are any, as HTML."""
    parts = (
        _head(statement),
        _glance(statement),
        _vouched(statement),
        _timeline(statement),
        _stills(stills),
        _missing(statement),
        _closed(statement),
        _masked(statement),
        _rows("Who exported it, and for whom", _about(statement)),
        _rows("Under which rule it is shared", _sharing(statement)),
        _verified(statement),
        _check(statement),
        _limits(),
        _segments(statement),
        "</body></html>\n",
    )
    return "".join(parts).encode()


def _head(statement: Statement) -> str:
    title = escape(f"Evidence from {statement.camera}, case {statement.case}")
    footage = statement.footage
    length = words_of(footage.ends_at - footage.starts_at - _missing_in(statement))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="author" content="{escape(statement.city.name)}">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<header><p class="city">{escape(statement.city.name)}</p>'
        f'<h1 class="subject">{title}</h1>'
        f'<p class="soft">{_span(statement.span.starts_at, statement.span.ends_at)}.'
        " All times are UTC, as the camera's clock had them.</p></header>"
        f'<p class="lead">On {_day(statement.exported_at)}, {escape(statement.by.name)}, who holds the office'
        f" “{escape(statement.by.office)}”, handed {length} of video from camera {escape(statement.camera)} to"
        f" {escape(statement.party.name)}. The reason given: {escape(statement.reason)}</p>"
    )


def _glance(statement: Statement) -> str:
    asked = statement.span.ends_at - statement.span.starts_at
    missing = _missing_in(statement)
    closed = sum(one.failed_closed for one in statement.segments)
    cells = (
        ("", words_of(asked), "asked for"),
        ("have", words_of(asked - missing), "have footage"),
        ("gap" if missing else "", words_of(missing) if missing else "nothing", "is missing"),
        (
            "closed" if closed else "",
            f"{closed:,}" if closed else "none",
            f"of {statement.footage.frames:,} pictures hidden whole",
        ),
    )
    row = "".join(f'<td class="{kind}"><b>{number}</b>{what}</td>' for kind, number, what in cells)
    return f'<table class="glance" role="presentation"><tr>{row}</tr></table>'


def _vouched(statement: Statement) -> str:
    """Return in two sentences what a reader who stops here should know."""
    log = statement.log
    witness = (
        "a witness vouches for it"
        if log.witnessed_leaves > log.last_leaf
        else "<b>no witness vouches for all of it</b>"
    )
    return (
        f'<p class="check">The camera signed its log; {witness}; {len(statement.segments):,} sealed segments are, byte'
        " for byte, what that log says, and it shows that none is left out. How to check this is told below.</p>"
    )


def _about(statement: Statement) -> Iterable[tuple[str, str]]:
    by = statement.by
    yield "Case", statement.case
    yield "Reason", statement.reason
    yield "Exported by", f"{by.name} ({by.office})"
    yield (
        "On",
        f"{_clock(statement.exported_at)} UTC; before it, entry {statement.entry.index} of the city's own log was made",
    )
    yield "Handed to", statement.party.name
    yield "May be used", statement.terms.text
    yield "Until", f"{_clock(statement.terms.expires_at)} UTC"
    yield "Asked for", _span(statement.span.starts_at, statement.span.ends_at)
    footage = statement.footage
    yield (
        "The video",
        f"{_span(footage.starts_at, footage.ends_at)}; {footage.frames:,} pictures, none of them encoded again",
    )


def _sharing(statement: Statement) -> Iterable[tuple[str, str]]:
    sharing = statement.sharing
    yield (
        "Clause",
        f"{sharing.clause} of the charter of {statement.city.name}, revision {statement.city.charter_revision}",
    )
    yield "Shared with", sharing.shared_with
    yield "On the condition", sharing.condition
    yield "Basis", f"{sharing.basis}: {sharing.reference}"
    yield "Grant", ", ".join(sharing.grants)


def _rows(title: str, rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f'<tr><th scope="row">{escape(label)}</th><td>{escape(words)}</td></tr>' for label, words in rows)
    return f'<h2>{escape(title)}</h2><table class="rows">{body}</table>'


def _timeline(statement: Statement) -> str:
    span = statement.span
    length = span.ends_at - span.starts_at

    def bar(starts_at: datetime, ends_at: datetime, colour: str, what: str) -> str:
        left = max(starts_at - span.starts_at, timedelta(0)) / length * _TIMELINE_WIDTH
        right = min((ends_at - span.starts_at) / length, 1.0) * _TIMELINE_WIDTH
        return (
            f'<rect x="{left:.2f}" y="6" width="{max(right - left, 1.5):.2f}" height="36" fill="{colour}">'
            f"<title>{escape(what)}: {_span(starts_at, ends_at)}</title></rect>"
        )

    bars = [
        bar(starts_at, ends_at, _CLOSED if closed else _HAVE, "whole pictures are hidden" if closed else "footage")
        for starts_at, ends_at, closed in _stretches(statement.segments)
    ] + [bar(gap.starts_at, gap.ends_at, _GAP, f"no footage, {gap.why}") for gap in statement.gaps]
    ticks = "".join(
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="42" y2="48" stroke="#59636b"/>'
        f'<text x="{at:.1f}" y="64" font-size="14" fill="#59636b" text-anchor="{anchor}">{when:%H:%M:%S}</text>'
        for at, when, anchor in _ticks(span.starts_at, span.ends_at)
    )
    return (
        "<h2>What of the time asked for is there</h2>"
        f'<svg class="timeline" viewBox="0 0 {_TIMELINE_WIDTH} 70" role="img"'
        ' font-family="Liberation Sans, DejaVu Sans, sans-serif" aria-label="Timeline of what the span holds">'
        f'<rect x="0" y="6" width="{_TIMELINE_WIDTH}" height="36" fill="#e8ecef"/>{"".join(bars)}{ticks}</svg>'
        f'<p class="key soft"><span><i style="background:{_HAVE}"></i>footage</span>'
        f'<span><i style="background:{_CLOSED}"></i>footage in which whole pictures are hidden</span>'
        f'<span><i style="background:{_GAP}"></i>no footage</span></p>'
    )


def _stretches(segments: Sequence[StatedSegment]) -> Iterator[tuple[datetime, datetime, bool]]:
    """Yield runs of adjoining segments that are alike: a day has thousands, and a line on a page has not."""
    run: tuple[datetime, datetime, bool] | None = None
    for one in segments:
        closed = one.failed_closed > 0
        if run is not None and run[2] == closed and one.starts_at - run[1] < timedelta(seconds=1):
            run = (run[0], one.ends_at, closed)
            continue
        if run is not None:
            yield run
        run = (one.starts_at, one.ends_at, closed)
    if run is not None:
        yield run


def _ticks(starts_at: datetime, ends_at: datetime) -> Iterator[tuple[float, datetime, str]]:
    for quarter, anchor in enumerate(("start", "middle", "middle", "middle", "end")):
        yield _TIMELINE_WIDTH * quarter / 4, starts_at + (ends_at - starts_at) * quarter / 4, anchor


def _stills(stills: Sequence[Still]) -> str:
    if not stills:
        return (
            '<p class="soft">This copy shows no pictures. The one that does is sealed to the receiving party:'
            " report.html.age.</p>"
        )
    figures = "".join(
        f'<figure><img alt="What the camera recorded at {still.captured_at:%H:%M:%S}" src="{still.link}">'
        f"<figcaption>{_clock(still.captured_at)}</figcaption></figure>"
        for still in stills
    )
    return (
        f'<h2>Pictures from the video</h2><div class="stills">{figures}</div>'
        '<p class="soft">What is filled with one colour was hidden by the camera before it recorded; it is not in the'
        " video either. Of segments that are mostly hidden whole no picture is shown.</p>"
    )


def _missing(statement: Statement) -> str:
    rows = [(gap.starts_at, gap.ends_at, words_of(gap.ends_at - gap.starts_at), gap.why) for gap in statement.gaps]
    rows += [(one.starts_at, one.ends_at, f"segment {one.sequence}", one.why) for one in statement.absent]
    if not rows:
        return "<h2>What is missing</h2><p>Nothing: the footage covers all of the time asked for.</p>"
    body = "".join(
        f'<tr><td class="when">{_clock(starts)}</td><td class="when">{_clock(ends)}</td>'
        f'<td class="when">{escape(what)}</td><td>{escape(why)}</td></tr>'
        for starts, ends, what, why in sorted(rows)
    )
    return f'<h2>What is missing</h2><table class="list">{_heads("from", "to", "how long", "why")}{body}</table>'


def _closed(statement: Statement) -> str:
    closed = [one for one in statement.segments if one.failed_closed]
    if not closed and not statement.hidden:
        return ""
    frames = sum(one.failed_closed for one in closed)
    spans = "".join(
        f'<tr><td class="when">{_clock(one.starts_at)}</td>'
        f'<td class="when">{_clock(one.ends_at) if one.ends_at else "the log does not tell"}</td>'
        f"<td>{escape(one.why)}</td></tr>"
        for one in statement.hidden
    )
    table = f'<table class="list">{_heads("from", "to", "why, as the camera logged it")}{spans}</table>'
    which = ", ".join(f"{one.failed_closed} of {one.frames} in segment {one.sequence}" for one in closed[:MOST_ROWS])
    return (
        f"<h2>Pictures that are hidden whole</h2><p>In {frames:,} pictures the camera could not be sure of seeing every"
        " person, and hid everything. The scene in them was recorded nowhere.</p>"
        f'{table if spans else ""}<p class="soft">They are {which or "none is told"}.</p>'
    )


def _masked(statement: Statement) -> str:
    decided: dict[tuple[tuple[str, ...], str], list[StatedSegment]] = {}
    for one in statement.segments:
        decided.setdefault((one.documents, one.decision), []).append(one)
    body = "".join(
        f'<tr><td class="when">{_clock(under[0].starts_at)}</td>'
        f"<td>{escape(', '.join(documents) or 'a crash took the account of it')}</td>"
        f'<td class="mono">{escape(digest)}</td></tr>'
        for (documents, digest), under in decided.items()
    )
    return (
        "<h2>What was hidden in every picture, and by what decision</h2><p>People, and the areas that the city declared"
        " private, were hidden by the camera before it recorded. Nothing in the video can bring them back. What was"
        " hidden followed from these signed documents:</p>"
        f'<table class="list">{_heads("since", "documents", "decision, by its digest")}{body}</table>'
    )


def _heads(*words: str) -> str:
    cells = "".join(f'<th scope="col">{each}</th>' for each in words)
    return f"<thead><tr>{cells}</tr></thead>"


def _segments(statement: Statement) -> str:
    digests = {file.path: file.sha256 for file in statement.files}
    shown = statement.segments[:MOST_ROWS]
    body = "".join(
        f'<tr><td>{one.sequence}</td><td class="when">{_clock(one.starts_at)}</td><td>{one.frames}</td>'
        f'<td>{one.leaf}</td><td class="mono">{digests.get(one.path, "")}</td></tr>'
        for one in shown
    )
    more = len(statement.segments) - len(shown)
    rest = f'<p class="soft">And {more:,} more, which statement.json lists.</p>' if more else ""
    heads = _heads("number", "begins", "pictures", "leaf", "SHA-256 of the sealed file")
    return f'<h2>The segments, as the camera sealed them</h2><table class="list">{heads}{body}</table>{rest}'


def _verified(statement: Statement) -> str:
    items = "".join(f"<li>{escape(each)}</li>" for each in statement.verified)
    return f"<h2>What was verified when it was exported</h2><ul>{items}</ul>"


def _check(statement: Statement) -> str:
    return (
        "<h2>How to check it yourself</h2>"
        "<p>A printed report proves nothing; the folder it came with does. Without a network, and without a key:</p>"
        '<ol><li>Get the page <span class="mono">verify.html</span> from the city, not from this folder, and open it.'
        "</li>"
        "<li>Drag the whole folder onto it. It says that all holds, or which kind of no it is.</li>"
        "<li>Compare the fingerprint that it shows with the one that the city publishes. In this folder it is:</li>"
        "</ol>"
        f'<p class="check mono">{_grouped(statement.city.root)}</p>'
        '<p class="soft">At a terminal: <span class="mono">lamppost evidence verify FOLDER</span>. What is signed is'
        f" statement.json, by {escape(statement.by.name)}, with the key"
        f' <span class="mono">{statement.by.keyid}</span>.</p>'
    )


def _limits() -> str:
    return (
        "<h2>What it does not show</h2><ul>"
        "<li>That the camera saw the street itself, and not a picture held before its lens.</li>"
        "<li>That its clock was right, beyond what its log says of it.</li>"
        "<li>That the receiving party destroys its copy when the time is over.</li></ul>"
    )


# --- words --------------------------------------------------------------------


def words_of(length: timedelta) -> str:
    """Return a length as people say it, to the second."""
    seconds = round(length.total_seconds())
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def _missing_in(statement: Statement) -> timedelta:
    return sum((gap.ends_at - gap.starts_at for gap in statement.gaps), timedelta(0))


def _grouped(digest: str) -> str:
    return " ".join(digest[at : at + 4] for at in range(0, 32, 4))


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _span(starts_at: datetime, ends_at: datetime) -> str:
    if starts_at.date() == ends_at.date():
        return f"{_day(starts_at)}, {starts_at:%H:%M:%S} to {ends_at:%H:%M:%S} UTC"
    return f"{_clock(starts_at)} to {_clock(ends_at)} UTC"
