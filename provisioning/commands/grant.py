"""`lamppost grant`: draft, show, sign and publish what a camera may do.

The draft is a file that travels by mail. Each official signs on their own machine,
offline if they like, with nothing but the file and their own key folder.
"""

from pathlib import Path
from typing import Annotated

import typer

from agent.core.policy.roles import GRANTS
from provisioning.authority import desk
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.compose import compose_grant
from provisioning.authority.drafts import check_draft, draft_renewal
from provisioning.authority.summary import pages_of
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)


@app.command()
def draft(
    spec: Annotated[Path, typer.Argument(help="What to permit, as TOML; see provisioning/README.md.")],
    city: desk.CityOption,
    out: Annotated[Path, typer.Option(help="Where to write the draft; must not exist yet.")],
    *,
    replaces: Annotated[list[str] | None, typer.Option(help="Id of a grant that this one takes the place of.")] = None,
    issued_by: Annotated[str | None, typer.Option(help="The office that drafts it, if the file does not say.")] = None,
) -> None:
    """Draft a grant from a file, cross-checked against the charter."""
    published = read_city(CityFolder(path=city))
    grant = compose_grant(desk.read_text(spec), published, now=utc_now(), issued_by=issued_by)
    withdrawn = tuple(f"{GRANTS}/{replaced}.json" for replaced in replaces or ())
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
