"""`lamppost lift`: draft the grant that lifts a restriction, hold or revocation.

Only all who approve a grant can lift. The draft renews every grant in force for
the cameras concerned, with the lifted id in it, and goes round like any other. A
lift lasts as long as the grant that states it; the grant after it must state it
again.
"""

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import UsageError
from provisioning.authority import desk
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.compose import Act, renew_lifting
from provisioning.authority.draft_signing import check_draft
from provisioning.authority.summary import pages_of
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)


@app.command()
def lift(
    lifted: Annotated[str, typer.Argument(help="Id of what is lifted; lamppost policy status lists it.")],
    city: desk.CityOption,
    reason: desk.ReasonOption,
    issued_by: Annotated[str, typer.Option(help="The approving office that drafts it.")],
    out: Annotated[Path, typer.Option(help="Where to write the draft; must not exist yet.")],
) -> None:
    """Draft the grant that lifts a restriction, hold or revocation by name."""
    if not reason.strip():
        raise UsageError("a lift needs a written reason (JC-12)")
    published = read_city(CityFolder(path=city))
    act = Act(office=issued_by, reason=reason, now=utc_now())
    renewed, replaced = renew_lifting(published, lifted, act)
    proposed = desk.draft_of(published, renewed.values(), replaced)
    checked = check_draft(proposed, None, now=utc_now())
    desk.show_pages(pages_of(checked))
    desk.write_draft(out, proposed)
    desk.show_standings(checked)
