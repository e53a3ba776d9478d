"""`lamppost waive`: widen one named thing for less than 30 days (SL-5.1); a waiver official may, alone.

A waiver ends by itself, to the second, also on a camera that hears nothing.
"""

from collections.abc import Iterator
from typing import Annotated

import typer

from agent.core.policy.decision import PeopleMode
from agent.core.policy.documents import Waiver
from agent.errors import UsageError
from provisioning.authority import desk
from provisioning.authority.compose import Act, compose, read_duration, read_instant, read_schedule
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)


@app.command()
def waive(  # noqa: PLR0913 - one option for each thing that can be widened
    cameras: Annotated[list[str], typer.Argument(help="Camera ids.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    reason: desk.ReasonOption,
    basis: Annotated[str, typer.Option(help="One of the charter's bases, such as life.")],
    lasts: Annotated[str, typer.Option("--for", help="How long, such as 36h or 10d; less than 30 days.")],
    *,
    people: Annotated[PeopleMode | None, typer.Option(help="Hide this much of people.")] = None,
    hours: Annotated[list[str] | None, typer.Option(help="Record then too, such as 'mon-fri 07:00-19:00'.")] = None,
    use: Annotated[str | None, typer.Option(help="Permit this use too, as INTENDED/PERMISSIBLE.")] = None,
    retention_days: Annotated[int | None, typer.Option(help="Keep footage this long.")] = None,
    picture: Annotated[str | None, typer.Option(help="Record this fine, as LINES@RATE, such as 1080@25.")] = None,
    starts_at: desk.StartsOption = None,
    out: desk.OutOption = None,
    publish: desk.PublishOption = False,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Draft and sign a waiver in one step."""

    def widenings() -> Iterator[dict[str, object]]:
        if people is not None:
            yield {"what": "people", "people": people}
        if hours:
            yield {"what": "schedule", "schedule": read_schedule(hours)}
        if use is not None:
            intended, _, permissible = use.partition("/")
            yield {"what": "permissible-use", "intended_use": intended, "permissible_use": permissible}
        if retention_days is not None:
            yield {"what": "retention", "days": retention_days}
        if picture is not None:
            yield {"what": "picture", **desk.read_picture(picture)}

    widens = list(widenings())
    if len(widens) != 1:
        raise UsageError(f"a waiver widens one thing, this one {len(widens)}", hint="one waiver for each (SL-5.1)")
    published, card = desk.city_trusted_by(key, city)
    now = utc_now()
    starts = now if starts_at is None else read_instant(starts_at)
    fields = {"cameras": cameras, "basis": basis, "widens": widens[0], "ends_at": starts + read_duration(lasts)}
    act = Act(office=card.office, reason=reason, now=now, starts_at=starts)
    document = compose("waiver", Waiver, act, published, fields)
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
