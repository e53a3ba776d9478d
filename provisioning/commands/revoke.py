"""`lamppost revoke`: pause, stop or erase a camera; one official of an office that the charter names may.

What each does, in words a technician understands, is in SECURITY.md.
"""

from enum import StrEnum
from typing import Annotated

import typer

from agent.core.policy.documents import Revocation
from provisioning.authority import desk
from provisioning.authority.compose import Act, compose
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)


class Action(StrEnum):
    """What a revocation orders, from least to most."""

    PAUSE = "pause"
    STOP = "stop"
    ERASE = "erase"


@app.command()
def revoke(  # noqa: PLR0913 - what a revocation is about, and where it goes
    cameras: Annotated[list[str], typer.Argument(help="Camera ids, or all.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    reason: desk.ReasonOption,
    action: Annotated[Action, typer.Option(help="pause and stop: a grant lifts them; erase: nothing can undo it.")],
    *,
    out: desk.OutOption = None,
    publish: desk.PublishOption = False,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Draft and sign a revocation in one step."""
    published, card = desk.city_trusted_by(key, city)
    fields = {"cameras": desk.cameras_named(cameras), "action": action}
    act = Act(office=card.office, reason=reason, now=utc_now())
    document = compose("revocation", Revocation, act, published, fields)
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
