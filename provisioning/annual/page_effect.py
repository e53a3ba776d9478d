"""Whether it was worth it: metrics against targets, what passed, cost, what follows; see `page`. Pure."""

from collections.abc import Iterable
from html import escape

from provisioning.annual import plots
from provisioning.annual.effect import COMPUTED, Effect, Verdict
from provisioning.annual.markup import (
    FROM_CAMERAS,
    Html,
    blank,
    heading,
    paragraph,
    said,
    small_blank,
    source,
    table,
    was,
)
from provisioning.annual.notes import Cost
from provisioning.annual.numbers import counted_by_month
from provisioning.annual.report import AnnualReport
from provisioning.authority.summary import target_words
from provisioning.register.sentences import count, words

# --- effect ---------------------------------------------------------------------


def effect(report: AnnualReport) -> str:
    """Return whether each camera serves its purpose."""
    partly = {one.camera for one in report.missing}
    grants = {one.document.id: one.document for one in report.law.grants}
    rows = [_effect_row(one, partly.intersection(grants[one.grant].cameras)) for one in report.effects]
    heads = ("where", "metric", "came to#", "target, a year", "", "", "from")
    return (
        heading("Effect: whether each camera serves its purpose", "SL-2.5")
        + paragraph(
            "Targets are those that the grant set, for a whole year; of a grant that was in force for a part of the"
            " year, that part is asked. The mark in a bar is what was asked."
        )
        + table(heads, rows, label="Metrics and their targets")
    )


def _effect_row(one: Effect, partly: Iterable[str]) -> tuple[object, ...]:
    if one.value is None:
        value: object = small_blank()
    elif one.metric in COMPUTED and any(partly):
        value = f"at least {one.value:,}"
    else:
        value = one.value
    drawn: object = ""
    if one.value is not None and one.target is not None and one.asked is not None:
        reached, at_least = one.verdict is Verdict.REACHED, one.target.at_least is not None
        drawn = Html(plots.bullet(one.value, one.asked, reached=reached, at_least=at_least))
    verdict = {
        Verdict.REACHED: Html('<span class="reached">reached</span>'),
        Verdict.MISSED: Html('<span class="missed">missed</span>'),
    }.get(one.verdict, "")
    target = "none" if one.target is None else target_words(one.target).removesuffix(" a year")
    return f"{one.site} ({one.clause})", words(one.metric), value, target, drawn, verdict, one.source or "—"


def counted(report: AnnualReport) -> str:
    """Return what passed, by month, with what may not be told left out."""
    rows = [row for camera in report.cameras for row in counted_by_month(camera)]
    figures = [
        _figure(rows, kind, plural, colour)
        for kind, plural, colour in (("vehicle", "vehicles", plots.HAVE), ("person", "people on foot", plots.GOOD))
    ]
    shown = [figure for figure in figures if figure]
    if not shown:
        return ""
    return f'<h3>What passed, as far as it may be told</h3><div class="pair">{"".join(shown)}</div>' + source(
        f"{FROM_CAMERAS}: sums of quarters of an hour, each suppressed by the camera where fewer than five"
        " passed. The small bar below a month is the part of its quarters that may not be told"
    )


def _figure(rows: Iterable[dict[str, object]], kind: str, plural: str, colour: str) -> str:
    sums: dict[int, list[int]] = {}
    for row in rows:
        what, month = str(row["what"]), row["month"]
        if what.startswith(f"{kind}_") and not what.endswith("_permille") and isinstance(month, int):
            into = sums.setdefault(month, [0, 0, 0])
            for place, name in enumerate(("at_least", "suppressed", "told")):
                into[place] += int(str(row[name]))
    if not sums:
        return ""
    months = [
        plots.Month(value=None)
        if number not in sums
        else plots.Month(value=sums[number][0], untold_ratio=sums[number][1] / max(sum(sums[number][1:]), 1))
        for number in range(1, 13)
    ]
    total = sum(one[0] for one in sums.values())
    untold, cells = sum(one[1] for one in sums.values()), sum(one[1] + one[2] for one in sums.values())
    caption = f"At least {total:,} {plural}. {untold:,} of {cells:,} numbers are too small to tell."
    label = f"{plural} by month: " + ", ".join(
        f"{name} {month.value:,}"
        for name, month in zip(plots.MONTH_NAMES, months, strict=True)
        if month.value is not None
    )
    drawn = plots.month_columns(months, colour=colour, label=label)
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


# --- cost, and what follows -----------------------------------------------------


def cost(report: AnnualReport) -> str:
    """Return what it cost, as people entered it."""
    notes = report.notes
    head = heading("Cost", "RB-7")
    asked = "Hardware, licences, installation and storage, in the year. RB-7 expects 3,000 to 5,000 dollars a location."
    if notes is None or notes.cost is None:
        return head + blank(asked)
    sites = len({one.document.site.id for one in report.law.grants})
    return head + _cost_table(notes.cost, sites) + said(notes, "RB-7 expects 3,000 to 5,000 dollars a location.")


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
