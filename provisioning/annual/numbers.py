"""The report as JSON: every number of it, and where it is from, for programs and for whoever recomputes it.

Times are in UTC; durations are whole seconds, rounded down. Pure.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from agent.core.counting import adds_up
from agent.core.policy.documents import Grant, Waiver
from agent.core.policy.words import write_instant
from provisioning.annual.camera_year import CameraYear, LogPart
from provisioning.annual.effect import Effect
from provisioning.annual.law_year import InForce
from provisioning.annual.report import AnnualReport

FORMAT = "lamppost-annual-report"
VERSION = 1
SPEED = "_kmh"  # how a cell ends that tells a mean speed, as a fact of the log

Json = dict[str, object]


def numbers(report: AnnualReport) -> Json:
    """Return all that the report says, as JSON."""
    year, law = report.year, report.law
    return {
        "format": FORMAT,
        "version": VERSION,
        "city": law.charter.city,
        "year": year.number,
        "since": write_instant(year.since),
        "until": _at(year.until),
        "year_is_over": year.is_over,
        "missing": [{"camera": one.camera, "words": one.words} for one in report.missing],
        "sources": {
            "logs": [_log(camera, part) for camera in report.cameras for part in camera.parts],
            "city_log": {"first": report.city.first, "last": report.city.last, "size": report.city.size},
            "documents": report.documents,
        },
        "totals": _totals(report),
        "cameras": [_camera(one, report) for one in report.cameras],
        "frames_failed_closed_by_reason": report.failed_closed(),
        "counts": [row for camera in report.cameras for row in counted_by_month(camera)],
        "sharing": _sharing(report),
        "law": _law(report),
        "effects": [_effect(one) for one in report.effects],
        "entered": None if report.notes is None else report.notes.model_dump(mode="json"),
    }


def as_text(report: AnnualReport) -> str:
    """Return the JSON as text."""
    return json.dumps(numbers(report), indent=2, ensure_ascii=False) + "\n"


def counted_by_month(camera: CameraYear) -> Iterator[Json]:
    """Yield what one camera counted, by place, what and month, as far as it may be told: sums, and mean speeds."""
    rows: dict[tuple[str, str, int], dict[str, int]] = {}
    for day in camera.account.counted:
        if adds_up(day.what) or day.what.endswith(SPEED):
            row = rows.setdefault((day.place, day.what, day.day.month), {"at_least": 0, "suppressed": 0, "told": 0})
            row["at_least"] += day.total.at_least
            row["suppressed"] += day.total.suppressed
            row["told"] += day.told
    for (place, what, month), row in sorted(rows.items()):
        where: Json = {"camera": camera.camera, "place": place, "what": what, "month": month}
        if what.endswith(SPEED):
            mean = round(row["at_least"] / row["told"]) if row["told"] else None
            yield {**where, "mean": mean, "suppressed": row["suppressed"], "told": row["told"]}
        else:
            yield {**where, **row}


def _totals(report: AnnualReport) -> Json:
    return {
        "cameras": len(report.cameras),
        "sites": len({one.document.site.id for one in report.law.grants}),
        "recorded_s": _seconds(report.recorded),
        "segments": report.total("segments"),
        "frames_stored": report.total("frames_stored"),
        "frames_failed_closed": report.total("frames_failed_closed"),
        "exports": report.city.exports,
        "opened": report.city.releases.opened,
    }


def _log(camera: CameraYear, part: LogPart) -> Json:
    origin = part.origin
    return {
        "camera": camera.camera,
        "log": origin.name,
        "leaves": origin.size,
        "first": part.first,
        "last": part.last,
        "begins_at": _at(part.begins_at),
        "ends_at": _at(part.ends_at),
        "key_known": origin.key_known,
        "witnessed": origin.witnessed,
        "lost": [[hole.first, hole.end - 1] for hole in part.holes],
    }


def _camera(camera: CameraYear, report: AnnualReport) -> Json:
    account = camera.account
    return {
        "camera": camera.camera,
        "leaves": account.leaves,
        "ran_s": _seconds(account.ran),
        "recorded_s": _seconds(account.recorded),
        "recorded_by_month_s": [_seconds(month) for month in camera.recorded_by_month],
        "recorded_under_s": _by_name(camera.recorded_under),
        "segments": account.segments,
        "truncated": account.truncated,
        "sealed_segments": account.sealed_segments,
        "frames_stored": account.frames_stored,
        "frames_dropped": account.frames_dropped,
        "frames_failed_closed": account.frames_failed_closed,
        "frames_failed_closed_by_reason": dict(camera.failed_closed),
        "removed": dict(account.removed),
        "removed_bytes": dict(camera.removed_bytes),
        "starts": account.starts,
        "policies_applied": account.policies_applied,
        "policies_refused": dict(camera.refused),
        "views_drifted": camera.count("view-drifted"),
        "commissioning_windows": camera.count("commissioning-opened"),
        "models_refused": camera.count("model-refused"),
        "exports": report.city.exports_by_camera.get(camera.camera, 0),
        "opened": report.city.releases.opened_by_camera.get(camera.camera, 0),
    }


def _sharing(report: AnnualReport) -> Json:
    city = report.city
    return {
        "exports": [
            {"row": one.row, "clause": report.clause_of_row(one.row), "basis": one.basis, "exports": one.exports}
            for one in city.shared
        ],
        "given_up": city.given_up,
        "refused": dict(city.refused),
        "releases": asdict(city.releases),
        "releases_against_law": dict(city.released_against),
        "keys_destroyed": city.keys_destroyed,
        "destroyed_early": city.destroyed_early,
    }


def _law(report: AnnualReport) -> Json:
    law = report.law
    return {
        "charter_revision": law.charter.revision,
        "revisions": [
            {"revision": one.revision, "at": _at(one.at), "changes": dict(one.changes)} for one in law.revisions
        ],
        "grants": [
            {
                **_in_force(one),
                "site": one.document.site.id,
                "intended_use": one.document.intended_use,
                "cameras": list(one.document.cameras),
            }
            for one in law.grants
        ],
        "waivers": [
            {
                **_in_force(one),
                "basis": one.document.basis,
                "what": one.document.widens.what,
                "cameras": list(one.document.cameras),
            }
            for one in law.waivers
        ],
        "restrictions": [
            {"id": one.id, "by": one.issued_by, "what": [narrow.what for narrow in one.narrows]}
            for one in law.restrictions
        ],
        "revocations": dict(law.revocations),
        "holds_placed": law.holds_placed,
    }


def _in_force(one: InForce[Grant] | InForce[Waiver]) -> Json:
    return {"id": one.document.id, "signed_by": list(one.offices), "since": _at(one.since), "until": _at(one.until)}


def _effect(one: Effect) -> Json:
    return {
        "grant": one.grant,
        "metric": one.metric,
        "value": one.value,
        "source": one.source,
        "at_least": None if one.target is None else one.target.at_least,
        "at_most": None if one.target is None else one.target.at_most,
        "asked": one.asked,
        "partial": one.partial,
        "verdict": one.verdict.value,
    }


def _by_name(durations: Mapping[str, timedelta]) -> dict[str, int]:
    return {name: _seconds(duration) for name, duration in durations.items()}


def _seconds(duration: timedelta) -> int:
    return duration // timedelta(seconds=1)


def _at(at: datetime | None) -> str | None:
    return None if at is None else write_instant(at)
