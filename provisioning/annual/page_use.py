"""What cameras were for, what was approved, what they hid; see `page`. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from html import escape

from provisioning.annual import plots
from provisioning.annual.camera_year import CameraYear
from provisioning.annual.law_year import CharterRevision
from provisioning.annual.markup import (
    FROM_CAMERAS,
    FROM_DOCUMENTS,
    INSTANT,
    Html,
    days,
    heading,
    hours,
    paragraph,
    ratio,
    source,
    table,
    times,
    was,
)
from provisioning.annual.report import AnnualReport
from provisioning.authority.summary import narrowing_words, widening_words
from provisioning.register.sentences import count, day, listed, sentence, words

_HOUR = timedelta(hours=1)
_MONTH_HOURS = 31 * 24


# --- use ------------------------------------------------------------------------


def use(report: AnnualReport) -> str:
    """Return where the cameras are, what for, and how much they recorded."""
    rows = [_use_row(camera, report) for camera in report.cameras]
    heads = ("camera~", "where", "what for", "recorded#", "January to December", "ran#")
    return (
        heading("Use: where, what for, how much", "SL-2.5, RB-5, SL-T1")
        + table(heads, rows, label="Cameras, their use, and for how long they recorded")
        + source(
            f"{FROM_CAMERAS} (hours: the time that stored segments cover; ran: the part of the year in which the"
            f" recorder ran) and {FROM_DOCUMENTS}; a full column is a month without a break"
        )
        + _sites(report)
    )


def _use_row(camera: CameraYear, report: AnnualReport) -> tuple[object, ...]:
    grants = [one.document for one in report.law.granted_to(camera.camera)]
    sites = listed(dict.fromkeys(one.site.public_name for one in grants)) if grants else "no grant"
    uses = Html(listed(dict.fromkeys(_use_words(report, one.intended_use) for one in grants)) if grants else "—")
    months = [month / _HOUR for month in camera.recorded_by_month]
    label = f"Hours recorded by {camera.camera} in each month: {', '.join(f'{month:.0f}' for month in months)}"
    spark = Html(plots.months_in_a_row(months, _MONTH_HOURS, label=label, unit="hours"))
    ran = f"{camera.account.uptime_ratio:.0%}"
    return camera.camera, sites, uses, hours(camera.account.recorded), spark, ran


def _use_words(report: AnnualReport, use_id: str) -> str:
    found = report.law.charter.use(use_id)
    return escape(use_id) if found is None else f'{escape(found.title)} <span class="when">({found.clause})</span>'


def _sites(report: AnnualReport) -> str:
    sites = {one.document.site.id: one.document.site for one in report.law.grants}
    rows = [
        (one.public_name, sentence(words(one.basis)), one.statement, one.purchase_reference or "none")
        for one in sorted(sites.values(), key=lambda site: site.public_name)
    ]
    return (
        "<h3>Why there is a camera (RB-2, RB-3)</h3>"
        + table(("where", "basis", "documented reason", "purchase~"), rows, label="Sites and their reasons")
        + source(FROM_DOCUMENTS)
    )


# --- law ------------------------------------------------------------------------


def law(report: AnnualReport) -> str:
    """Return what was approved, widened, narrowed and changed."""
    charter = report.law.charter
    grants = [
        (
            one.document.id,
            one.document.site.public_name,
            f"{listed(one.document.cameras)}, {words(one.document.intended_use)}",
            days(one.since, one.until),
        )
        for one in sorted(report.law.grants, key=lambda one: (one.document.site.public_name, one.since))
    ]
    signed = dict.fromkeys(
        listed(f"the {charter.title_of(office)}" for office in one.offices) for one in report.law.grants
    )
    heads = ("grant~", "where", "cameras and use", "in force~")
    return (
        heading("What was approved, widened and narrowed", "RB-1, SL-2.4, SL-5.1, JC-12")
        + paragraph(f"Every grant was signed by {' or by '.join(signed)}.")
        + table(heads, grants, label="Grants in force")
        + _waivers(report)
        + _restrictions(report)
        + paragraph(_holds(report))
        + _revisions(report)
        + source(FROM_DOCUMENTS)
    )


def _waivers(report: AnnualReport) -> str:
    charter = report.law.charter
    rows = [
        (
            days(one.since, one.until),
            listed(one.document.cameras),
            widening_words(one.document, charter),
            f"{charter.title_of(one.document.issued_by)}, for {words(one.document.basis)}: {one.document.reason}",
        )
        for one in report.law.waivers
    ]
    if not rows:
        return "<h3>Waivers (SL-5.1)</h3><p>None was in force.</p>"
    return "<h3>Waivers (SL-5.1)</h3>" + table(("when~", "camera~", "it", "by whom, and why"), rows, label="Waivers")


def _restrictions(report: AnnualReport) -> str:
    charter = report.law.charter
    rows = [
        (
            days(one.starts_at, one.starts_at + INSTANT),
            one.cameras if one.cameras == "all" else listed(one.cameras),
            listed(narrowing_words(narrow, charter) for narrow in one.narrows),
            f"{charter.title_of(one.issued_by)}: {one.reason}",
        )
        for one in report.law.restrictions
    ]
    if not rows:
        return "<h3>Restrictions by one office alone</h3><p>None was issued.</p>"
    heads = ("since~", "camera~", "it", "by whom, and why")
    return "<h3>Restrictions by one office alone</h3>" + table(heads, rows, label="Restrictions")


def _holds(report: AnnualReport) -> str:
    placed = report.law.holds_placed
    orders = [f"{count(number, 'order')} to {action}" for action, number in report.law.revocations.items()]
    told = f"{listed(orders)} {was(sum(report.law.revocations.values()))} given" if orders else "no camera was stopped"
    return f"{count(placed, 'hold')} on footage {was(placed)} placed (JC-25), and {told} (SL-3.5)."


def _revisions(report: AnnualReport) -> str:
    if not report.law.revisions:
        return paragraph("The city's law on cameras, its charter, did not change (SL-2.4).")
    told = [
        f"On {day(one.at)} revision {one.revision} of the charter was published, which {listed(_changed(one))}."
        for one in report.law.revisions
    ]
    return paragraph(" ".join(told) + " The public register shows each change (SL-2.4).")


def _changed(revision: CharterRevision) -> Iterator[str]:
    return (f"{effect} {count(number, 'provision')}" for effect, number in revision.changes.items())


# --- hidden ---------------------------------------------------------------------


def hidden(report: AnnualReport) -> str:
    """Return what the cameras hid, and why they hid everything."""
    reasons = report.failed_closed()
    most = max(reasons.values(), default=0)
    rows = [
        (sentence(reason), frames, Html(plots.bar(frames, most, colour=plots.CLOSED)))
        for reason, frames in reasons.items()
    ]
    closed, stored = report.total("frames_failed_closed"), report.total("frames_stored")
    drifted = sum(one.count("view-drifted") for one in report.cameras)
    moved = f"A camera noticed {times(drifted)} that its view had moved." if drifted else "No camera's view moved."
    shown = (
        table(("why a camera hid everything", "pictures#", "compared"), rows, label="Pictures hidden whole, by reason")
        + source(f"{FROM_CAMERAS}; by reason, pictures count of which nothing was stored, too")
        if rows
        else ""
    )
    return (
        heading("What the cameras hid", "JC-11, JC-12")
        + paragraph(
            "People and private areas are hidden before anything is recorded. Where a camera cannot be sure, it hides"
            f" the whole picture: {closed:,} of {stored:,} stored pictures ({ratio(closed, stored)}). {moved} No"
            " camera computed biometric data: this software has none."
        )
        + shown
    )
