"""`lamppost grant`: draft, show, sign and publish what a camera may do.

The draft is a file that travels by mail. Each official signs on their own machine,
offline if they like, with nothing but the file and their own key folder.
"""

from pathlib import Path
from typing import Annotated

import typer

from agent.core.policy.roles import GRANTS
from agent.errors import UsageError
from provisioning.authority import desk
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.compose import Act, compose_grant
from provisioning.authority.draft_signing import check_draft
from provisioning.authority.drafting import draft_renewal
from provisioning.authority.summary import pages_of
from provisioning.clock import utc_now
from provisioning.commissioning.amending import amended_grant
from provisioning.commissioning.reading import read_proposal

app = typer.Typer(no_args_is_help=True)


@app.command()
def draft(
    city: desk.CityOption,
    out: Annotated[Path, typer.Option(help="Where to write the draft; must not exist yet.")],
    spec: Annotated[
        Path | None, typer.Argument(help="What to permit, as TOML; see provisioning/README.md.", show_default=False)
    ] = None,
    *,
    from_proposal: Annotated[
        Path | None,
        typer.Option(help="Private areas that a technician drew; without SPEC the grant in force is amended."),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why the grant is amended; without SPEC.")] = None,
    replaces: Annotated[list[str] | None, typer.Option(help="Id of a grant that this one takes the place of.")] = None,
    issued_by: Annotated[str | None, typer.Option(help="The office that drafts it, if the file does not say.")] = None,
) -> None:
    """Draft a grant from a file, or from what a technician drew, cross-checked against the charter."""
    published = read_city(CityFolder(path=city))
    replaced = tuple(replaces or ())
    if spec is not None:
        drawn = "" if from_proposal is None else read_proposal(from_proposal).zones_toml()
        # Before it, because what follows a table belongs to the table.
        grant = compose_grant(drawn + desk.read_text(spec), published, now=utc_now(), issued_by=issued_by)
    elif from_proposal is not None and issued_by is not None and reason is not None:
        act = Act(office=issued_by, reason=reason, now=utc_now())
        grant, amended = amended_grant(published, read_proposal(from_proposal), act)
        replaced = (*replaced, amended)
    else:
        raise UsageError("what is to be permitted?", hint="a SPEC, or --from-proposal with --issued-by and --reason")
    withdrawn = tuple(f"{GRANTS}/{one}.json" for one in dict.fromkeys(replaced))
    proposed = desk.draft_of(published, [grant], withdrawn)
    checked = check_draft(proposed, None, now=utc_now())
    desk.show_pages(pages_of(checked))
    desk.write_draft(out, proposed)
    desk.show_standings(checked)


@app.command()
def renew(
    city: desk.CityOption,
    out: Annotated[Path, typer.Option(help="Where to write the draft; must not exist yet.")],
    *,
    role: Annotated[list[str] | None, typer.Option(help="A role to renew; grants if not given.")] = None,
) -> None:
    """Draft a renewal: those in office sign anew what is in force, and nothing changes."""
    proposed = draft_renewal(read_city(CityFolder(path=city)), role or [GRANTS], now=utc_now())
    checked = check_draft(proposed, None, now=utc_now())
    desk.show_pages(pages_of(checked))
    desk.write_draft(out, proposed)
    desk.show_standings(checked)


app.command("show")(desk.show)
app.command("sign")(desk.sign)
app.command("publish")(desk.publish_draft)
