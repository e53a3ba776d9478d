"""Who got footage and on which basis, what was destroyed, and what went wrong; see `page`. Pure."""

from provisioning.annual import plots
from provisioning.annual.markup import (
    FROM_CAMERAS,
    FROM_CITY,
    FROM_DOCUMENTS,
    Html,
    blank,
    entered,
    heading,
    paragraph,
    said,
    size_words,
    source,
    table,
    times,
    was,
)
from provisioning.annual.report import AnnualReport
from provisioning.register.sentences import count, listed, sentence, words

# --- sharing --------------------------------------------------------------------


def sharing(report: AnnualReport) -> str:
    """Return to whom footage was handed, on which legal basis, and what was refused."""
    charter, city, notes = report.law.charter, report.city, report.notes
    most = max((one.exports for one in city.shared), default=0)
    rows = []
    for one in city.shared:
        row = charter.row(one.row)
        shared_with = words(one.row) if row is None else sentence(row.shared_with)
        clause = "" if row is None else row.clause
        rows.append((shared_with, clause, words(one.basis), one.exports, Html(plots.bar(one.exports, most))))
    heads = ("with whom", "clause~", "legal basis", "exports#", "compared")
    refused = [f"{clause}: {number:,}" for clause, number in city.refused.items()]
    given_up = f" {count(city.given_up, 'export')} {was(city.given_up)} begun and given up." if city.given_up else ""
    live = [one.document.site.public_name for one in report.law.grants if one.document.live.value == "public"]
    return (
        heading("Sharing, with its legal basis", "SL-T2, JC-1, JC-23")
        + (
            table(heads, rows, label="Exports by row of the table of sharing")
            if rows
            else paragraph("No footage was handed over.")
        )
        + paragraph(
            f"The law refused {count(sum(city.refused.values()), 'export')}"
            f"{f' ({listed(refused)})' if refused else ''}.{given_up}"
            " Every export was sealed to the one who received it, with terms and an end."
        )
        + paragraph(
            f"Live pictures, masked, were open to the public at {listed(dict.fromkeys(live))} (SL-T2-5)."
            if live
            else "No live picture was shown to the public."
        )
        + source(f"{FROM_CITY}, which is written before an export is made; live view from {FROM_DOCUMENTS}")
        + (
            blank("The names of the bodies that received footage, where the city's law asks for them (CCOPS).")
            if notes is None or notes.recipients is None
            else said(notes, notes.recipients)
        )
    )


def released(report: AnnualReport) -> str:
    """Return what became of requests to open what was hidden (JC-8)."""
    counts = report.city.releases
    rows = [
        ("asked of the offices", counts.requested),
        ("refused by an office, whatever it said later", counts.refused),
        ("opened", counts.opened),
        *((f"opened on the basis of a {words(basis)}", number) for basis, number in counts.opened_by_basis.items()),
        ("segments opened", counts.segments_opened),
        *((f"refused by the law, {clause}", number) for clause, number in report.city.released_against.items()),
    ]
    return (
        "<h3>Opening what was hidden, for a case (JC-8)</h3>"
        + table(("requests", "number#"), rows, label="Requests to open the sealed layer")
        + source(FROM_CITY)
    )


# --- kept and destroyed ---------------------------------------------------------


def kept(report: AnnualReport) -> str:
    """Return what was removed, and which keys were destroyed."""
    removed: dict[str, tuple[int, int]] = {}
    for camera in report.cameras:
        for reason, segments in camera.account.removed.items():
            before = removed.get(reason, (0, 0))
            removed[reason] = (before[0] + segments, before[1] + camera.removed_bytes.get(reason, 0))
    why = {"expired": "its time was over", "evicted": "room was needed", "erased": "an office ordered it"}
    rows = [
        (why.get(reason, reason), segments, size_words(size)) for reason, (segments, size) in sorted(removed.items())
    ]
    city = report.city
    early = f" {times(city.destroyed_early).capitalize()} before the time was over." if city.destroyed_early else ""
    return (
        heading("What was kept, and destroyed", "SL-3.11, RB-4")
        + table(("removed, because", "segments#", "size#"), rows, label="Footage removed")
        + source(FROM_CAMERAS)
        + paragraph(
            f"The custodian destroyed the keys of {count(city.keys_destroyed, 'day')}; with each, every copy of that"
            f" day's footage is closed for ever.{early}"
        )
        + source(FROM_CITY)
    )


# --- audits, and what people entered --------------------------------------------


# What a camera's log says of a policy that it did not take: agent/errors.py.
_WHY_REFUSED = {
    "BundleFormatError": "damaged on its way",
    "ClauseViolationError": "against the city's law",
    "DocumentFormatError": "not a document it knows",
    "FreshnessError": "out of date",
    "RollbackError": "older than what it had",
    "SignatureError": "not signed by whom it must be",
}


def audits(report: AnnualReport) -> str:
    """Return what was found when the logs were verified, what was refused, and what people found."""
    logs = sum(len(one.parts) for one in report.cameras)
    refused: dict[str, int] = {}
    for camera in report.cameras:
        for error, number in camera.refused.items():
            refused[error] = refused.get(error, 0) + number
    rows = [
        ("logs verified for this report, leaf by leaf", logs, ""),
        ("of them, logs of which something is missing", len({one.camera for one in report.missing}), "page 1"),
        ("starts of a recorder", sum(one.account.starts for one in report.cameras), ""),
        ("segments that an error or a power cut ended", report.total("truncated"), ""),
        *(
            (f"policies that a camera refused: {_WHY_REFUSED.get(error, error)}", number, "SL-3.10")
            for error, number in sorted(refused.items())
        ),
        ("models that a camera refused", sum(one.count("model-refused") for one in report.cameras), "RB-6"),
        ("commissioning windows opened", sum(one.count("commissioning-opened") for one in report.cameras), "SL-3.9"),
    ]
    notes = report.notes
    return (
        heading("Audits and violations", "SL-3.5, SL-5.2, JC-28")
        + table(("what was found", "number#", "clause~"), rows, label="What verification found")
        + source(FROM_CAMERAS)
        + entered(
            notes,
            None if notes is None else notes.audits,
            none="No audit was made.",
            some=("audit was made", "audits were made"),
            ask="Audits: by whom, of what, with what result.",
        )
        + entered(
            notes,
            None if notes is None else notes.violations,
            none="No wilful unauthorised access or abuse is known.",
            some=("violation is known", "violations are known"),
            ask="Wilful unauthorised access or abuse: its nature, and the corrective action (SL-5.2).",
        )
    )


def entered_sections(report: AnnualReport) -> str:
    """Return breaches, complaints and requests for records, as people entered them."""
    notes = report.notes
    return (
        heading("Breaches", "SL-3.10, RB-8")
        + entered(
            notes,
            None if notes is None else notes.breaches,
            none="No breach is known.",
            some=("breach is known", "breaches are known"),
            ask="Breaches of footage, or of the systems that hold it.",
        )
        + heading("Complaints and requests for records", "JC-28, JC-25")
        + entered(
            notes,
            None if notes is None else notes.complaints,
            none="No complaint was received.",
            some=("complaint was received", "complaints were received"),
            ask="Complaints and concerns of the public, and what was done.",
        )
        + entered(
            notes,
            None if notes is None else notes.records_requests,
            none="Nobody asked for public records about the cameras.",
            some=("request for public records was received", "requests for public records were received"),
            ask="Requests for public records about the cameras, and what was given.",
        )
    )
