"""The report as pages: what a clerk prints and a council reads; nothing to fetch, nothing to run.

The first page says what is missing and what each number rests on. The same HTML is the page of a browser
and the source of the PDF. Pure.
"""

from datetime import datetime
from html import escape
from importlib import resources

from provisioning.annual import page_effect, page_sharing, page_use
from provisioning.annual.camera_year import CameraYear, LogPart
from provisioning.annual.markup import INSTANT, Html, hours, ratio, table, times
from provisioning.annual.report import AnnualReport
from provisioning.register.sentences import count, day

# One look for all that the city prints: the evidence report's.
_STYLE = "".join(
    resources.files(package).joinpath(name).read_text(encoding="utf-8")
    for package, name in (("provisioning.evidence", "report.css"), ("provisioning.annual", "annual.css"))
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render(report: AnnualReport) -> bytes:
    """Return the report as HTML."""
    parts = (
        _head(report),
        _lead(report),
        _glance(report),
        _missing(report),
        _rests_on(report),
        page_use.use(report),
        page_use.law(report),
        page_use.hidden(report),
        page_sharing.sharing(report),
        page_sharing.released(report),
        page_sharing.kept(report),
        page_sharing.audits(report),
        page_sharing.entered_sections(report),
        page_effect.effect(report),
        page_effect.counted(report),
        page_effect.cost(report),
        page_effect.outlook(report),
        _check(report),
        _signatures(),
        "</main></body></html>\n",
    )
    return "".join(parts).encode()


def _head(report: AnnualReport) -> str:
    year, city = report.year, report.law.charter.city
    title = f"Surveillance cameras: annual report {year.number}"
    so_far = "" if year.is_over else f" <b>The year is not over: this is a draft of it until {day(year.until)}.</b>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}, {escape(city)}</title>'
        f'<meta name="author" content="{escape(city)}">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f'<header><p class="city">{escape(city)}</p><h1 class="subject">{escape(title)}</h1>'
        f'<p class="soft">{day(year.since)} to {day(_within(year.until))}, in UTC. Drafted on {day(year.as_of)} from'
        f" what cameras logged and what officials signed; what nobody could know but people is marked.{so_far}</p>"
        "</header><main>"
    )


def _lead(report: AnnualReport) -> str:
    sites = len({one.document.site.id for one in report.law.grants})
    city = report.city
    refused = sum(city.refused.values()) + sum(city.released_against.values())
    return (
        f'<p class="lead">In {report.year.number} the city had {count(len(report.cameras), "camera")} at'
        f" {count(sites, 'site')}. Together they recorded for"
        f" {hours(report.recorded).replace(' h', ' hours')}. Footage was handed over {times(city.exports)}, each time"
        " under a row of the city's table of sharing. What cameras had hidden was opened"
        f" {times(city.releases.opened)}, by several offices together, for a case. The law refused"
        f" {times(refused)}.</p>"
    )


def _glance(report: AnnualReport) -> str:
    stored, closed = report.total("frames_stored"), report.total("frames_failed_closed")
    cells = (
        ("have", hours(report.recorded), "recorded, all cameras together"),
        ("", f"{report.city.exports:,}", "times footage was handed over"),
        ("", f"{report.city.releases.opened:,}", "times what was hidden was opened"),
        ("closed" if closed else "", ratio(closed, stored), "of all pictures were hidden whole"),
    )
    row = "".join(f'<td class="{kind}"><b>{number}</b>{what}</td>' for kind, number, what in cells)
    return f'<table class="glance" role="presentation"><tr>{row}</tr></table>'


def _missing(report: AnnualReport) -> str:
    if not report.missing:
        return (
            '<div class="whole"><p><b>Nothing of the year is missing.</b> The log of every camera covers all of the'
            " time that it was granted, without a hole, and no witness contradicts it.</p></div>"
        )
    items = "".join(f"<li><b>{escape(one.camera)}</b>: {escape(one.words)}.</li>" for one in report.missing)
    return (
        '<div class="alert"><p><b>Not all of the year is known.</b> Where something is missing, the true number may'
        f" be higher than the one printed here.</p><ul>{items}</ul></div>"
    )


def _rests_on(report: AnnualReport) -> str:
    rows = [_log_row(camera, part) for camera in report.cameras for part in camera.parts]
    city, law = report.city, report.law
    entries = "none of them of this year" if city.first is None else f"{city.first:,} to {city.last:,} of this year"
    believed = [part.origin.name for one in report.cameras for part in one.parts if not part.origin.key_known]
    word = "" if not believed else " Where the key is “its own word”, nobody but the log said which key signs it."
    heads = ("camera~", "log~", "leaves of the year~", "dated~", "a witness vouches for", "key")
    return (
        '<section class="rests"><h2>What this report rests on</h2>'
        + table(heads, rows, label="The logs of the cameras")
        + '<p class="from">Every log was verified, leaf by leaf, against what its camera signed.'
        f"{word} The city's own log has {city.size:,} entries, {entries}."
        f" {count(report.documents, 'document')} of the city were verified from its root;"
        f" {count(len(law.grants), 'grant')} were in force.</p></section>"
    )


def _log_row(camera: CameraYear, part: LogPart) -> tuple[object, ...]:
    origin = part.origin
    leaves = "none" if part.first is None or part.last is None else f"{part.first:,} to {part.last:,}"
    dates = [at for at in (part.begins_at, part.ends_at) if at is not None]
    return (
        camera.camera,
        Html(f'<span class="mono">{escape(origin.name.rpartition("/")[2])}</span>'),
        leaves,
        " to ".join(f"{at:%Y-%m-%d}" for at in dates) or "no leaf is left",
        _vouched(part),
        "known" if origin.key_known else "its own word",
    )


def _vouched(part: LogPart) -> str:
    if part.origin.faults:
        return "contradicted: see above"
    if part.last is None or part.origin.witnessed > part.last:
        return "all of it" if part.origin.witnessed else "nothing of it"
    return f"leaves below {part.origin.witnessed:,}" if part.origin.witnessed else "nothing of it"


def _check(report: AnnualReport) -> str:
    return (
        "<h2>How to check this report</h2><p>Every number here is also in the file"
        f' <span class="mono">annual-{report.year.number}.json</span> beside it, with where it is from. Whoever has a'
        " copy of the logs makes the same file again:</p>"
        f'<p class="check mono">lamppost report annual --year {report.year.number} --city CITY --logs LOGS --json</p>'
        "<p>Under “camera log” and “city log” stands what a machine added up; nobody typed it. A leaf is one signed"
        " entry of a camera's log. Counts are in steps of five; a quarter of an hour in which fewer passed is not told,"
        " and counts as none in a sum (SL-2.5).</p>"
    )


def _signatures() -> str:
    cells = "".join(f"<td>{words}</td>" for words in ("Name and office", "Signature", "Date"))
    return f'<table class="rows signed keep" role="presentation"><tr>{cells}</tr></table>'


def _within(until: datetime) -> datetime:
    return until - INSTANT
