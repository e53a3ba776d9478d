"""`lamppost hold`: stop the removal of named footage (JC-25); a custodian of records may, alone."""

from typing import Annotated

import typer

from agent.core.policy.documents import Hold
from provisioning.authority import desk
from provisioning.authority.compose import Act, compose, read_instant
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)


@app.command()
def hold(  # noqa: PLR0913 - what a hold is about, and where it goes
    cameras: Annotated[list[str], typer.Argument(help="Camera ids, or all.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    reason: desk.ReasonOption,
    case: Annotated[str, typer.Option(help="The case or request it is for.")],
    since: Annotated[str, typer.Option("--from", help="First instant to keep, such as 2026-11-28T12:00:00Z.")],
    until: Annotated[str, typer.Option("--until", help="First instant no longer to keep.")],
    *,
    out: desk.OutOption = None,
    publish: desk.PublishOption = False,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Draft and sign a hold in one step."""
    published, card = desk.city_trusted_by(key, city)
    span = {"starts_at": read_instant(since), "ends_at": read_instant(until)}
    fields = {"cameras": desk.cameras_named(cameras), "case": case, "spans": [span]}
    act = Act(office=card.office, reason=reason, now=utc_now())
    document = compose("hold", Hold, act, published, fields)
    desk.enact(
        published,
        [document],
        city_path=city,
        key=key,
        passphrase_file=passphrase_file,
        out=out,
        publish_now=publish,
        yes=yes,
    )
