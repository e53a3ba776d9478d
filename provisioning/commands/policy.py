"""`lamppost policy`: what is in force, what a camera may do and why, and what a draft would change."""

import json
from typing import Annotated

import typer

from agent.core.policy.words import write_instant
from provisioning.authority import desk
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.compose import read_instant
from provisioning.authority.cross_check import AnyDocument
from provisioning.authority.draft_signing import check_draft
from provisioning.authority.outlook import cameras_in, charter_of, documents_in, simulate
from provisioning.authority.outlook import explain as explain_at
from provisioning.authority.published import delegations
from provisioning.authority.summary import page_of
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)


@app.command()
def status(city: desk.CityOption, *, as_json: desk.JsonOption = False) -> None:
    """List the documents of a city: who signed them, from when until when."""
    published = read_city(CityFolder(path=city))
    charter = charter_of(published)
    documents = documents_in(published)
    fresh_until = published.timestamp.signed.expires
    if as_json:
        desk.write_json(
            {
                "city": charter.city,
                "charter_revision": charter.revision,
                "signed_at": write_instant(published.signed_at),
                "fresh_until": write_instant(fresh_until),
                "cameras": cameras_in(documents),
                "documents": [
                    {
                        "path": path,
                        "signed_by": [holder.office for holder in published.signers(path)],
                        "document": json.loads(published.documents[path]),
                    }
                    for path in documents
                ],
            }
        )
        return
    now = utc_now()
    desk.say(f"{charter.city}, charter revision {charter.revision}")
    stale = "" if now < fresh_until else "; STALE: cameras are dark until lamppost city refresh"
    desk.say(f"vouched for at {write_instant(published.signed_at)}, fresh until {write_instant(fresh_until)}{stale}")
    desk.show_table(
        "Documents",
        ("document", "signed by", "from", "until"),
        (
            (
                page_of(document, charter).title,
                ", ".join(str(holder) for holder in published.signers(path)),
                write_instant(document.starts_at),
                _until(document, lapsed=document.ends_at is not None and document.ends_at <= now),
            )
            for path, document in documents.items()
        ),
    )
    desk.show_table(
        "Signers",
        ("role", "needed", "holders", "metadata ends"),
        (
            (
                name,
                str(role.threshold),
                ", ".join(sorted(str(holder) for holder in published.holders() if holder.keyid in role.keyids)),
                f"{published.delegated[name].signed.expires:%Y-%m-%d}",
            )
            for name, role in delegations(published.targets.signed)[1].items()
        ),
    )


@app.command()
def explain(
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    city: desk.CityOption,
    *,
    at: Annotated[str | None, typer.Option(help="When, such as 2026-11-28T12:00:00Z; now if not given.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Suppose that it hears nothing from now on.")] = False,
    as_json: desk.JsonOption = False,
) -> None:
    """Say what a camera may do at a moment, and which document and clause says so."""
    published = read_city(CityFolder(path=city))
    charter = charter_of(published)
    moment = utc_now() if at is None else read_instant(at)
    fresh_until = published.timestamp.signed.expires
    if not offline:
        fresh_until = max(fresh_until, moment + charter.offline_for)
    decision, parts = explain_at(charter, documents_in(published), camera, moment, fresh_until)
    changes_at = None if decision.changes_at is None else write_instant(decision.changes_at)
    if as_json:
        desk.write_json(
            {
                "camera": camera,
                "at": write_instant(moment),
                "recording": decision.recording,
                "clause": decision.intended_use,
                "parts": [
                    {"label": part.label, "words": part.words, "because": part.because, "clause": part.clause}
                    for part in parts
                ],
                "sources": decision.sources,
                "changes_at": changes_at,
            }
        )
        return
    supposing = "it hears nothing from now on" if offline else "the city keeps in touch with it"
    desk.show_table(
        f"{camera} at {write_instant(moment)}, if {supposing}",
        ("", "", "because of", "clause"),
        ((part.label, part.words, ", ".join(part.because) or "default", part.clause) for part in parts),
    )
    desk.say(f"follows from {', '.join(decision.sources) or 'no document'}")
    desk.say("nothing changes by itself after that" if changes_at is None else f"changes by itself at {changes_at}")


@app.command("simulate")
def simulate_draft(draft: desk.DraftArgument, city: desk.CityOption, *, as_json: desk.JsonOption = False) -> None:
    """Show what a draft would change in the city as it is, camera by camera."""
    proposed = desk.read_draft(draft)
    check_draft(proposed, None, now=utc_now())
    published = read_city(CityFolder(path=city))
    changes = list(simulate(published, proposed, now=utc_now()))
    if as_json:
        desk.write_json(
            [
                {
                    "camera": change.camera_id,
                    "at": write_instant(change.at),
                    "permits": change.direction,
                    "differences": [
                        {"label": label, "before": before, "after": after}
                        for label, before, after in change.differences()
                    ],
                }
                for change in changes
            ]
        )
        return
    if not changes:
        desk.say("this draft changes nothing for any camera of this city")
    for change in changes:
        desk.show_table(
            f"{change.camera_id} from {write_instant(change.at)}: permits {change.direction}",
            ("", "as things are", "with the draft"),
            change.differences(),
        )


def _until(document: AnyDocument, *, lapsed: bool) -> str:
    if document.ends_at is None:
        return "lifted by name"
    return f"{write_instant(document.ends_at)}{' (over)' if lapsed else ''}"
