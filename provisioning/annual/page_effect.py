"""Whether it was worth it: metrics against targets, what passed, cost, what follows; see `page`. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

from agent.core.counting import adds_up
from provisioning.annual import plots
from provisioning.annual.effect import COMPUTED, Effect, Verdict
from provisioning.annual.markup import (
    FROM_CAMERAS,
    Group,
    Html,
    blank,
    days,
    entered_source,
    heading,
    paragraph,
    said,
    small_blank,
    source,
    table,
    was,
)
from provisioning.annual.notes import Cost
from provisioning.annual.numbers import SPEED
from provisioning.annual.report import AnnualReport
from provisioning.register.account import CountedDay
from provisioning.register.sentences import count, sentence, words

# --- effect ---------------------------------------------------------------------


def effect(report: AnnualReport) -> str:
    """Return whether each camera serves its purpose."""
    heads = ("metric~", "came to#", "target#", "held against it", "verdict~", "from")
    return (
        heading("Effect: whether each camera serves its purpose", "SL-2.5")
        + paragraph(
            "Targets are those that the grant set, for a whole year; of a grant that was in force for a part of the"
            " year, that part is asked. The mark in a bar is what was asked. Where a log lacks something, nothing is"
            " called missed that may have been reached."
        )
        + table(heads, _effect_rows(report), label="Metrics and their targets")
    )


def _effect_rows(report: AnnualReport) -> Iterator[Sequence[object] | Group]:
    grants = {one.document.id: one for one in report.law.grants}
    for grant, metrics in groupby(report.effects, key=lambda one: one.grant):
        it = grants[grant]
        use = report.law.charter.use(it.document.intended_use)
        title = words(it.document.intended_use) if use is None else f"{use.title} ({use.clause})"
        yield Group(f"{it.document.site.public_name}: {title}, {days(it.since, it.until)}, grant {grant}")
        yield from map(_effect_row, metrics)


def _effect_row(one: Effect) -> tuple[object, ...]:
    value: object = one.value
    if one.value is None:
        value = "—" if one.metric in COMPUTED else small_blank()
    elif one.partial:
        value = f"at least {one.value:,}"
    drawn: object = ""
    if one.value is not None and one.target is not None and one.asked is not None:
        colour = _COLOURS.get(one.verdict, plots.CLOSED)
        drawn = Html(plots.bullet(one.value, one.asked, colour=colour, at_least=one.target.at_least is not None))
    return (
        sentence(words(one.metric)).rstrip("."),
        value,
        _target(one),
        drawn,
        _VERDICTS[one.verdict],
        one.source or "—",
    )


def _target(one: Effect) -> str:
    """Return what was asked, and what of a whole year where that is more."""
    if one.target is None or one.asked is None:
        return "none"
    least = one.target.at_least
    bound = least if least is not None else one.target.at_most
    asked = f"at {'most' if least is None else 'least'} {one.asked:,}"
    return asked if bound == one.asked else f"{asked} ({bound:,} a year)"


_COLOURS = {Verdict.REACHED: plots.GOOD, Verdict.MISSED: plots.GAP}
_VERDICTS: Mapping[Verdict, object] = {
    Verdict.REACHED: Html('<span class="reached">reached</span>'),
    Verdict.MISSED: Html('<span class="missed">missed</span>'),
    Verdict.UNKNOWN: "not known",
    Verdict.NO_TARGET: "",
}


def counted(report: AnnualReport) -> str:
    """Return what passed, by month, with what may not be told left out."""
    rows = [day for camera in report.cameras for day in camera.account.counted]
    figures = [
        _figure(rows, kind, plural, colour)
        for kind, plural, colour in (
            ("vehicle", "vehicles", plots.HAVE),
            ("cyclist", "cyclists", plots.CLOSED),
            ("person", "people on foot", plots.GOOD),
        )
    ]
    shown = [figure for figure in figures if figure]
    if not shown:
        return ""
    return (
        '<div class="keep"><h3>What passed, as far as it may be told</h3>'
        f'<div class="pair">{"".join(shown)}</div>'
        + source(
            f"{FROM_CAMERAS}: sums of quarters of an hour. A camera tells each in steps of five, downwards, and not at"
            " all where fewer passed. The small bar below a month is the part of its numbers that may not be told"
        )
        + "</div>"
    )


def _figure(rows: Iterable[CountedDay], kind: str, plural: str, colour: str) -> str:
    mine = [row for row in rows if row.what.startswith(f"{kind}_")]
    by_month: dict[int, list[CountedDay]] = {}
    for row in mine:
        if adds_up(row.what):
            by_month.setdefault(row.day.month, []).append(row)
    if not by_month:
        return ""
    months = [_month(by_month.get(number, ())) for number in range(1, 13)]
    told, untold = (sum(of) for of in zip(*map(_told, by_month.values()), strict=True))
    total = sum(month.value or 0 for month in months)
    caption = f"At least {total:,} {plural}. {untold:,} of {told + untold:,} numbers are too small to tell."
    speeds = [row for row in mine if row.what.endswith(SPEED) and row.told]
    if speeds:
        mean = sum(row.total.at_least for row in speeds) / sum(row.told for row in speeds)
        caption += f" {mean:.0f} km/h on average, where it may be told."
    named = zip(plots.MONTH_NAMES, months, strict=True)
    label = ", ".join(f"{name} {month.value:,}" for name, month in named if month.value is not None)
    drawn = plots.month_columns(months, colour=colour, label=f"{plural} by month: {label}")
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def _month(rows: Sequence[CountedDay]) -> plots.Month:
    if not rows:
        return plots.Month(value=None)
    told, untold = _told(rows)
    return plots.Month(value=sum(row.total.at_least for row in rows), untold_ratio=untold / max(told + untold, 1))


def _told(rows: Iterable[CountedDay]) -> tuple[int, int]:
    """Return how many numbers were told, and how many were too small."""
    numbers = [(row.told, row.total.suppressed) for row in rows]
    return sum(told for told, _ in numbers), sum(untold for _, untold in numbers)


# --- cost, and what follows -----------------------------------------------------


def cost(report: AnnualReport) -> str:
    """Return what it cost, as people entered it."""
    notes = report.notes
    expected = paragraph("RB-7 expects 3,000 to 5,000 dollars a location, for the four together.")
    if notes is None or notes.cost is None:
        return heading("Cost", "RB-7") + expected + blank("Hardware, licences, installation and storage, in the year.")
    sites = len({one.document.site.id for one in report.law.grants})
    told = heading("Cost", "RB-7") + expected + _cost_table(notes.cost, sites) + entered_source(notes)
    return f'<section class="keep">{told}</section>'


def _cost_table(told: Cost, sites: int) -> str:
    rows: list[tuple[object, object]] = [
        (part, small_blank() if amount is None else f"{amount:,} {told.currency}")
        for part, amount in told.parts.items()
    ]
    if told.total is None:
        rows.append(("together", small_blank()))
    else:
        rows.append(("together", f"{told.total:,} {told.currency}"))
        if sites:
            rows.append((f"a location, of {sites}", f"{round(told.total / sites):,} {told.currency}"))
    return table(("what", "amount#"), rows, label="Cost")


def outlook(report: AnnualReport) -> str:
    """Return what follows from the numbers."""
    missed = [one for one in report.effects if one.verdict is Verdict.MISSED]
    told = f"{count(len(missed), 'target')} {was(len(missed))} missed." if report.effects else ""
    notes = report.notes
    ask = "What follows: what is ended, changed or asked for. Investment follows impact."
    body = blank(ask) if notes is None or notes.outlook is None else said(notes, notes.outlook)
    return heading("What follows", "SL-2.5") + paragraph(told) + body
