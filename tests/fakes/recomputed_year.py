"""A year added up anew, from the raw lines of the logs and the raw documents, with nothing of the program's own code.

Whatever number the report's JSON holds is recomputed here from what lies on the disk, in the shape of that JSON, by
the plainest means: `json`, `datetime`, sums. Strings are left out, but for dates of logs. It takes the files at their
word; whether they are what was signed is not its business.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Line = dict[str, Any]
MICROSECOND = timedelta(microseconds=1)
# The order of a charter's table of sharing does not matter, the clause of each row does.
NOON = timedelta(hours=12)


def recompute(city: Path, logs: Path, year: int) -> dict[str, Any]:
    """Return the numbers of a year, in the shape of the report's JSON."""
    since, until = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    read = {folder: list(lines_of(folder)) for folder in sorted(logs.iterdir())}
    by_camera: dict[str, list[Path]] = defaultdict(list)
    for folder in sorted(read, key=lambda one: when(read[one][0])):
        by_camera[camera_of(folder)].append(folder)
    acts = [json.loads(line) for line in (city / "log" / "entries.jsonl").read_text().splitlines()]
    grants = grants_of(city, since, until)
    cameras = [
        camera(name, [read[folder] for folder in folders], acts, since, until)
        for name, folders in sorted(by_camera.items())
    ]
    entries = [act for act in acts if since <= when(act) < until]
    return {
        "version": 1,
        "year": year,
        "sources": {
            "logs": [
                log(folder, read[folder], since, until) for name in sorted(by_camera) for folder in by_camera[name]
            ],
            "city_log": {"first": entries[0]["n"], "last": entries[-1]["n"], "size": len(acts)},
            "documents": sum(1 for _ in (city / "published" / "targets").rglob("*.json")),
        },
        "totals": {
            "cameras": len(by_camera),
            "sites": len({grant["site"]["id"] for grant in grants}),
            "recorded_s": seconds(sum((one["recorded"] for one in cameras), timedelta())),
            "segments": sum(one["segments"] for one in cameras),
            "frames_stored": sum(one["frames_stored"] for one in cameras),
            "frames_failed_closed": sum(one["frames_failed_closed"] for one in cameras),
            "exports": len(exports(acts, since, until)),
            "opened": len(opened(acts, since, until)),
        },
        "cameras": [{key: value for key, value in one.items() if key != "recorded"} for one in cameras],
        "frames_failed_closed_by_reason": summed(one["frames_failed_closed_by_reason"] for one in cameras),
        "counts": [
            row
            for name in sorted(by_camera)
            for row in counted(name, [line for folder in by_camera[name] for line in read[folder]], since, until)
        ],
        "sharing": sharing(acts, since, until),
        "law": law(city, since, until),
        "effects": [
            row
            for grant in grants
            for row in effects(
                grant, [line for one in grant["cameras"] for at in by_camera[one] for line in read[at]], acts, since
            )
        ],
    }


def numbers_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield every number of a JSON value, and where it is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers_in(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from numbers_in(inner, (*path, index))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, value


# --- camera logs --------------------------------------------------------------


def lines_of(folder: Path) -> Iterator[Line]:
    """Yield the leaves of a log that are still there."""
    for path in sorted(folder.glob("events-*.jsonl")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def camera_of(folder: Path) -> str:
    """Return whose log it is, by the first line of its checkpoint."""
    return (folder / "checkpoint").read_text().split("/")[1]


def when(line: Line) -> datetime:
    """Return the date of a leaf."""
    return datetime.fromisoformat(line["at"])


def seconds(duration: timedelta) -> int:
    """Return whole seconds."""
    return duration // timedelta(seconds=1)


def log(folder: Path, lines: list[Line], since: datetime, until: datetime) -> dict[str, Any]:
    """Return what is said of one log."""
    size = int((folder / "checkpoint").read_text().splitlines()[1])
    mine = [line["n"] for line in lines if since <= when(line) < until]
    there = {line["n"] for line in lines}
    lost = sorted(set(range(size)) - there)
    witnessed = int((folder / "witnessed.checkpoint").read_text().splitlines()[1])
    return {
        "leaves": size,
        "first": min(mine),
        "last": max(mine),
        "witnessed": witnessed if witnessed == size else 0,  # the one that saw another log
        "lost": [[lost[0], lost[-1]]] if lost else [],
    }


def camera(name: str, logs: list[list[Line]], acts: list[Line], since: datetime, until: datetime) -> dict[str, Any]:
    """Return what one camera did."""
    lines = [line for one in logs for line in one]
    mine = [line for line in lines if since <= when(line) < until]
    kinds = Counter(line["kind"] for line in mine)
    segments = [line for line in lines if line["kind"] == "segment-stored"]
    masked = [line for line in segments if line["layer"] == "masked" and since < ends(line) <= until]
    spans = [(begins(line), ends(line), line["documents"]) for line in segments if line["layer"] == "masked"]
    under: dict[str, timedelta] = defaultdict(timedelta)
    for start, end, documents in spans:
        for document in documents:
            under[document] += common(start, end, since, until)
    removals = [line for line in mine if line["kind"] == "removal"]
    months = [month_of(number, since.year) for number in range(1, 13)]
    return {
        "leaves": len(mine),
        "ran_s": seconds(sum((common(*run, since, until) for run in runs(lines)), timedelta())),
        "recorded": sum((common(start, end, since, until) for start, end, _ in spans), timedelta()),
        "recorded_s": seconds(sum((common(start, end, since, until) for start, end, _ in spans), timedelta())),
        "recorded_by_month_s": [
            seconds(sum((common(start, end, *month) for start, end, _ in spans), timedelta())) for month in months
        ],
        "recorded_under_s": {document: seconds(time) for document, time in under.items() if time},
        "segments": len(masked),
        "truncated": sum(line["truncated"] for line in masked),
        "sealed_segments": sum(line["layer"] == "sealed" and since < ends(line) <= until for line in segments),
        "frames_stored": sum(line["frames_stored"] for line in masked),
        "frames_dropped": sum(line["frames_dropped"] for line in masked),
        "frames_failed_closed": sum(line["frames_failed_closed"] for line in masked),
        "frames_failed_closed_by_reason": summed(
            {line["reason"].split(": ", 1)[1]: line["frames"]} for line in mine if line["kind"] == "mask-recovered"
        ),
        "removed": summed({line["reason"]: line["segments"]} for line in removals),
        "removed_bytes": summed({line["reason"]: line["bytes"]} for line in removals),
        "starts": kinds["started"],
        "policies_applied": kinds["policy-applied"],
        "policies_refused": summed({line["error"]: 1} for line in mine if line["kind"] == "policy-refused"),
        "views_drifted": kinds["view-drifted"],
        "commissioning_windows": kinds["commissioning-opened"],
        "models_refused": kinds["model-refused"],
        "exports": sum(act["camera"] == name for act in exports(acts, since, until)),
        "opened": sum(act["camera"] == name for act in opened(acts, since, until)),
    }


def begins(line: Line) -> datetime:
    """Return when a segment begins."""
    return datetime.fromisoformat(line["starts_at"])


def ends(line: Line) -> datetime:
    """Return when a segment ends."""
    return datetime.fromisoformat(line["ends_at"])


def common(start: datetime, end: datetime, since: datetime, until: datetime) -> timedelta:
    """Return how long two spans have in common."""
    return max(min(end, until) - max(start, since), timedelta())


def month_of(number: int, year: int) -> tuple[datetime, datetime]:
    """Return the span of a month."""
    following = (year, number + 1) if number < 12 else (year + 1, 1)
    return datetime(year, number, 1, tzinfo=UTC), datetime(*following, 1, tzinfo=UTC)


def runs(lines: list[Line]) -> Iterator[tuple[datetime, datetime]]:
    """Yield when a recorder ran: from a start to its stop, or to the last leaf before the next start."""
    starts = [index for index, line in enumerate(lines) if line["kind"] == "started"]
    for index, following in zip(starts, [*starts[1:], len(lines)], strict=True):
        run = lines[index:following]
        stops = [line for line in run if line["kind"] == "stopped"]
        yield when(run[0]), when(stops[0] if stops else run[-1])


def summed(parts: Any) -> dict[str, int]:
    """Return the sums by name."""
    sums: Counter[str] = Counter()
    for part in parts:
        for name, number in part.items():
            sums[name] += number
    return dict(sums)


def counted(name: str, lines: list[Line], since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Return what was counted, by place, what and month."""
    cells: dict[tuple[str, str, int], list[int | None]] = defaultdict(list)
    for line in lines:
        if line["kind"] == "counts" and since <= when(line) < until:
            month = datetime.fromisoformat(line["interval_at"]).month
            for what, number in line.items():
                if what.endswith(
                    ("_left", "_right", "_kmh")
                ):  # passages and their speeds; means of presence are no sums
                    cells[line["place"], what, month].append(number)
    rows = []
    for (_, what, month), numbers in sorted(cells.items()):
        told = [number for number in numbers if number is not None]
        row = {"month": month, "suppressed": numbers.count(None), "told": len(told)}
        if what.endswith("_kmh"):
            rows.append({**row, "mean": round(sum(told) / len(told)) if told else None})
        else:
            rows.append({**row, "at_least": sum(told)})
    return rows


# --- the city -----------------------------------------------------------------


def exports(acts: list[Line], since: datetime, until: datetime) -> list[Line]:
    """Return the exports that were begun in the year and finished."""
    finished = {act["begun"] for act in acts if act["kind"] == "evidence-exported"}
    return [
        act
        for act in acts
        if act["kind"] == "evidence-export-begun" and since <= when(act) < until and act["n"] in finished
    ]


def requests(acts: list[Line], since: datetime, until: datetime) -> list[Line]:
    """Return the requests to open the sealed layer that were put to the offices in the year."""
    return [act for act in acts if act["kind"] == "release-requested" and since <= when(act) < until]


def opened(acts: list[Line], since: datetime, until: datetime) -> list[Line]:
    """Return those of them that were opened."""
    done = {act["request"] for act in acts if act["kind"] == "release-opened"}
    return [act for act in requests(acts, since, until) if f"q-{act['n']}" in done]


def sharing(acts: list[Line], since: datetime, until: datetime) -> dict[str, Any]:
    """Return what was handed over, refused, opened and destroyed."""
    mine = [act for act in acts if since <= when(act) < until]
    kinds: dict[str, list[Line]] = defaultdict(list)
    for act in mine:
        kinds[act["kind"]].append(act)
    done = exports(acts, since, until)
    by_row = Counter((act["row"], act["basis"]) for act in done)
    refused = {act["request"] for act in acts if act["kind"] == "release-refused"}
    asked, open_ = requests(acts, since, until), opened(acts, since, until)
    return {
        "exports": [{"exports": number} for _, number in sorted(by_row.items())],
        "given_up": len(kinds["evidence-export-begun"]) - len(done),
        "refused": summed({act["clause"]: 1} for act in kinds["evidence-export-refused"]),
        "releases": {
            "requested": len(asked),
            "against_law": len(kinds["release-against-law"]),
            "refused": sum(f"q-{act['n']}" in refused for act in asked),
            "opened": len(open_),
            "segments_opened": sum(act["segments"] for act in open_),
            "opened_by_basis": summed({act["basis"]: 1} for act in open_),
            "opened_by_camera": summed({act["camera"]: 1} for act in open_),
        },
        "releases_against_law": summed({act["clause"]: 1} for act in kinds["release-against-law"]),
        "keys_destroyed": sum(act["epochs"] for act in kinds["epochs-destroyed"]),
        "destroyed_early": sum(act["early"] is not None for act in kinds["epochs-destroyed"]),
    }


def documents(city: Path, family: str) -> list[Line]:
    """Return the documents of one family that were ever published."""
    found = sorted((city / "published" / "targets" / family).rglob("*.json"))
    return sorted((json.loads(path.read_text()) for path in found), key=lambda one: (one["issued_at"], one["id"]))


def law(city: Path, since: datetime, until: datetime) -> dict[str, Any]:
    """Return what was signed."""
    charters = sorted(
        (json.loads(path.read_text()) for path in (city / "published" / "targets").glob("*.charter.json")),
        key=lambda one: one["revision"],
    )
    in_year = [one for one in documents(city, "holds") if since <= datetime.fromisoformat(one["starts_at"]) < until]
    return {
        "charter_revision": charters[-1]["revision"],
        # Told apart by hand: the second charter keeps footage for less long, and has another number.
        "revisions": [{"revision": one["revision"], "changes": {"narrows": 1, "rewords": 1}} for one in charters[1:]],
        "revocations": summed({one["action"]: 1} for one in documents(city, "revocations")),
        "holds_placed": len(in_year),
    }


def grants_of(city: Path, since: datetime, until: datetime) -> list[Line]:
    """Return the grants in force in the year, each with its span of it; a camera has one at a time."""
    grants = documents(city, "grants")
    for grant in grants:
        begin = max(since, datetime.fromisoformat(grant["starts_at"]))
        after = [
            datetime.fromisoformat(one["starts_at"])
            for one in grants
            if set(one["cameras"]) & set(grant["cameras"]) and datetime.fromisoformat(one["starts_at"]) > begin
        ]
        grant["from"], grant["to"] = begin, min([until, datetime.fromisoformat(grant["ends_at"]), *after])
    return sorted(grants, key=lambda one: (one["site"]["public_name"], one["from"], one["id"]))


def effects(grant: Line, lines: list[Line], acts: list[Line], since: datetime) -> Iterator[dict[str, Any]]:
    """Yield what the metrics of one grant came to, as far as logs know."""
    until = datetime(since.year + 1, 1, 1, tzinfo=UTC)
    share = (grant["to"] - grant["from"]) / (until - since)
    served = [
        act
        for act in (*exports(acts, since, until), *opened(acts, since, until))
        if act["camera"] in grant["cameras"] and grant["from"] <= when(act) < grant["to"]
    ]
    recorded = timedelta()
    vehicles = 0
    for line in lines:
        if line["kind"] == "segment-stored" and line["layer"] == "masked" and grant["id"] in line["documents"]:
            recorded += common(begins(line), ends(line), since, until)
        if line["kind"] == "counts" and since <= when(line) < until:
            day = datetime.fromisoformat(line["interval_at"]).replace(hour=0, minute=0)
            if grant["from"] <= day + NOON < grant["to"]:
                vehicles += (line["vehicle_left_to_right"] or 0) + (line["vehicle_right_to_left"] or 0)
    known = {
        "hours-recorded": recorded // timedelta(hours=1),
        "incidents-supported": len({act["case"] for act in served}),
        "originals-opened": sum(act["kind"] == "release-requested" for act in served),
        "vehicles-counted": vehicles,
    }
    targets = {target["metric"]: target for target in grant.get("targets", [])}
    for metric in grant["metrics"]:
        row: dict[str, Any] = {"value": known[metric]} if metric in known else {}
        if metric in targets:
            least, most = targets[metric]["at_least"], targets[metric]["at_most"]
            row |= {"at_least": least, "at_most": most}
            row["asked"] = math.floor(most * share) if least is None else math.ceil(least * share)
        yield row
