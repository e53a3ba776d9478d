"""The report: one page that a clerk reads, with nothing to fetch.

Without pictures it says who, why and what, and lies in the folder in clear; with pictures it is
sealed to the receiving party. Pure.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape

from agent.core.policy.words import write_instant
from provisioning.evidence.pictures import Still
from provisioning.evidence.statement import Statement

_TIMELINE_WIDTH = 1000
_STYLE = """
:root { color-scheme: light; --ink: #1c1e20; --soft: #5f666d; --line: #d9dde1;
  --have: #2f6f4f; --gap: #b3372f; --closed: #c98a1b }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: #fff;
  margin: 0 auto; padding: 2rem; max-width: 62rem }
h1 { font-size: 1.6rem; margin: 0 }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
p { margin: .4rem 0 }
.soft { color: var(--soft) }
.mono { font-family: ui-monospace, monospace; font-size: .82rem; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: 600; width: 14rem }
thead th { width: auto; color: var(--soft); font-weight: 500 }
.timeline { width: 100%; height: auto; display: block }
.key span { margin-right: 1.4rem }
.key i { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; vertical-align: -1px }
.stills { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem }
figure { margin: 0 }
figure img { width: 100%; display: block; border: 1px solid var(--line) }
figcaption { font-size: .85rem; color: var(--soft) }
@media print {
  body { padding: 0; font-size: 11pt }
  h2 { break-after: avoid }
  tr, figure { break-inside: avoid }
}
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # nothing to fetch, nothing to run


def render(statement: Statement, stills: Sequence[Still] = ()) -> bytes:
    """Return the report about `statement`, with `stills` if there are any."""
    parts = (
        _head(statement),
        _rows("The export", _about(statement)),
        _rows("Under which rule it is shared", _sharing(statement)),
        _timeline(statement),
        _stills(stills),
        _gaps(statement),
        _closed(statement),
        _segments(statement),
        _verified(statement),
        "</body></html>\n",
    )
    return "".join(parts).encode()


def _head(statement: Statement) -> str:
    title = escape(f"Evidence from {statement.camera}, case {statement.case}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1>"
        f'<p class="soft">{escape(statement.city.name)}, {_span(statement.span.starts_at, statement.span.ends_at)}</p>'
    )


def _about(statement: Statement) -> Iterable[tuple[str, str]]:
    by = statement.by
    yield "Case", statement.case
    yield "Reason", statement.reason
    yield "Exported by", f"{by.name} ({by.office})"
    yield "Exported at", f"{write_instant(statement.exported_at)}; entry {statement.entry.index} of the city's log"
    yield "Handed to", statement.party.name
    yield "May be used", statement.terms.text
    yield "Until", write_instant(statement.terms.expires_at)
    yield "Camera", statement.camera
    yield "Asked for", _span(statement.span.starts_at, statement.span.ends_at)
    footage = statement.footage
    yield (
        "The video",
        f"{_span(footage.starts_at, footage.ends_at)}, {footage.frames} pictures, coded as the camera did",
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
    body = "".join(f"<tr><th>{escape(label)}</th><td>{escape(words)}</td></tr>" for label, words in rows)
    return f"<h2>{escape(title)}</h2><table>{body}</table>"


def _timeline(statement: Statement) -> str:
    span = statement.span
    length = span.ends_at - span.starts_at

    def bar(starts_at: datetime, ends_at: datetime, colour: str, what: str) -> str:
        left = max(starts_at - span.starts_at, timedelta(0)) / length * _TIMELINE_WIDTH
        right = min((ends_at - span.starts_at) / length, 1.0) * _TIMELINE_WIDTH
        return (
            f'<rect x="{left:.2f}" y="8" width="{max(right - left, 1.5):.2f}" height="34" fill="var({colour})">'
            f"<title>{escape(what)}: {_span(starts_at, ends_at)}</title></rect>"
        )

    bars = [
        bar(one.starts_at, one.ends_at, "--closed" if one.failed_closed else "--have", f"segment {one.sequence}")
        for one in statement.segments
    ] + [bar(gap.starts_at, gap.ends_at, "--gap", f"no footage, {gap.why}") for gap in statement.gaps]
    return (
        "<h2>Timeline</h2>"
        f'<svg class="timeline" viewBox="0 0 {_TIMELINE_WIDTH} 66" role="img" aria-label="What of the span is covered">'
        f'<rect x="0" y="8" width="{_TIMELINE_WIDTH}" height="34" fill="#eef0f2"/>{"".join(bars)}'
        f'<text x="0" y="60" font-size="13">{_clock(span.starts_at)}</text>'
        f'<text x="{_TIMELINE_WIDTH}" y="60" font-size="13" text-anchor="end">{_clock(span.ends_at)} UTC</text></svg>'
        '<p class="key soft"><span><i style="background:var(--have)"></i>footage</span>'
        '<span><i style="background:var(--closed)"></i>footage in which whole pictures are hidden</span>'
        '<span><i style="background:var(--gap)"></i>no footage</span></p>'
    )


def _stills(stills: Sequence[Still]) -> str:
    if not stills:
        return (
            '<p class="soft">This copy shows no pictures. The one that does is sealed to the receiving party:'
            " report.html.age.</p>"
        )
    figures = "".join(
        f'<figure><img alt="" src="{still.link}"><figcaption>{_clock(still.captured_at)} UTC</figcaption></figure>'
        for still in stills
    )
    return f'<h2>Pictures</h2><div class="stills">{figures}</div>'


def _gaps(statement: Statement) -> str:
    rows = [
        (gap.starts_at, gap.ends_at, f"{(gap.ends_at - gap.starts_at).total_seconds():.0f} s", gap.why)
        for gap in statement.gaps
    ]
    rows += [(one.starts_at, one.ends_at, f"segment {one.sequence}", one.why) for one in statement.absent]
    if not rows:
        return "<h2>What is missing</h2><p>Nothing: the footage covers the whole span.</p>"
    body = "".join(
        f"<tr><td>{_clock(starts)}</td><td>{_clock(ends)}</td><td>{escape(what)}</td><td>{escape(why)}</td></tr>"
        for starts, ends, what, why in sorted(rows)
    )
    head = "<thead><tr><th>from</th><th>to</th><th></th><th>why</th></tr></thead>"
    return f"<h2>What is missing</h2><table>{head}{body}</table>"


def _closed(statement: Statement) -> str:
    closed = [one for one in statement.segments if one.failed_closed]
    if not closed and not statement.hidden:
        return ""
    frames = sum(one.failed_closed for one in closed)
    body = "".join(
        f"<tr><td>{_clock(one.starts_at)}</td><td>{_clock(one.ends_at)}</td>"
        f"<td>{one.failed_closed} of {one.frames}</td></tr>"
        for one in closed
    )
    spans = "".join(
        f"<tr><td>{_clock(one.starts_at)}</td><td>{_clock(one.ends_at) if one.ends_at else 'no leaf tells'}</td>"
        f"<td>{escape(one.why)}</td></tr>"
        for one in statement.hidden
    )
    return (
        f"<h2>Pictures that are hidden whole</h2><p>In {frames} pictures the camera could not tell people from the"
        " scene, and hid everything.</p>"
        "<table><thead><tr><th>from</th><th>to</th><th>pictures, or why</th></tr></thead>"
        f"{spans}{body}</table>"
    )


def _segments(statement: Statement) -> str:
    digests = {file.path: file.sha256 for file in statement.files}
    body = "".join(
        f"<tr><td>{one.sequence}</td><td>{_clock(one.starts_at)}</td><td>{one.frames}</td><td>{one.leaf}</td>"
        f'<td class="mono">{digests.get(one.path, "")}</td></tr>'
        for one in statement.segments
    )
    decided = dict.fromkeys((one.documents, one.decision) for one in statement.segments)
    decisions = "".join(
        f"<p>{escape(', '.join(documents) or 'a crash took the account of it')}"
        f' <span class="mono">{escape(digest)}</span></p>'
        for documents, digest in decided
    )
    return (
        "<h2>Segments, as the camera sealed them</h2><table><thead><tr><th>number</th><th>begins</th><th>pictures</th>"
        f"<th>leaf</th><th>SHA-256</th></tr></thead>{body}</table>"
        "<p>People and private areas were hidden before recording. What was hidden followed from these documents, by"
        f" the decision with this digest:</p>{decisions}"
    )


def _verified(statement: Statement) -> str:
    items = "".join(f"<li>{escape(each)}</li>" for each in statement.verified)
    return (
        f"<h2>What was verified when it was exported</h2><ul>{items}</ul>"
        "<p>Anyone can verify it again, without a network and without a key:"
        ' <span class="mono">lamppost evidence verify FOLDER</span></p>'
    )


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _span(starts_at: datetime, ends_at: datetime) -> str:
    same_day = starts_at.date() == ends_at.date()
    return f"{_clock(starts_at)} to {f'{ends_at:%H:%M:%S}' if same_day else _clock(ends_at)} UTC"
