"""`lamppost restrict`: narrow what a camera may do; any one official may, alone and at once.

A restriction never ends by itself: a grant lifts it by name (`lamppost lift`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from agent.core.policy.decision import PeopleMode
from agent.core.policy.documents import Restriction
from agent.errors import UsageError
from provisioning.authority import desk
from provisioning.authority.compose import Act, compose, read_instant, read_schedule, read_zones
from provisioning.clock import utc_now
from provisioning.commissioning.reading import drawn_for

app = typer.Typer(no_args_is_help=True)


@app.command()
def restrict(  # noqa: C901, PLR0913 - one option, and one branch, for each thing that can be narrowed
    cameras: Annotated[list[str], typer.Argument(help="Camera ids, or all.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    reason: desk.ReasonOption,
    *,
    dark: Annotated[bool, typer.Option("--dark", help="Record nothing.")] = False,
    no_live: Annotated[bool, typer.Option("--no-live", help="Show nothing live.")] = False,
    no_originals: Annotated[bool, typer.Option("--no-originals", help="Keep no originals.")] = False,
    no_biometrics: Annotated[bool, typer.Option("--no-biometrics", help="Lock no-biometrics mode on.")] = False,
    zones: Annotated[Path | None, typer.Option(help="Mask these areas too: TOML with [view] and [[zones]].")] = None,
    from_proposal: Annotated[Path | None, typer.Option(help="Mask the areas that a technician drew, too.")] = None,
    people: Annotated[PeopleMode | None, typer.Option(help="Hide at least this much of people.")] = None,
    hours: Annotated[list[str] | None, typer.Option(help="Record only then, such as 'mon-fri 07:00-19:00'.")] = None,
    retention_days: Annotated[int | None, typer.Option(help="Keep footage no longer.")] = None,
    picture: Annotated[str | None, typer.Option(help="Record no finer, as LINES@RATE, such as 720@10.")] = None,
    suspend_role: Annotated[str | None, typer.Option(help="Seal nothing more to this role.")] = None,
    suspend_holder: Annotated[str | None, typer.Option(help="Seal nothing more to this holder of a key.")] = None,
    suspend_model: Annotated[str | None, typer.Option(help="SHA-256 of a net that may not run.")] = None,
    starts_at: desk.StartsOption = None,
    out: desk.OutOption = None,
    publish: desk.PublishOption = False,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Draft and sign a restriction in one step."""
    plain = {"dark": dark, "no-live": no_live, "no-originals": no_originals, "no-biometrics": no_biometrics}

    def narrowings() -> Iterator[dict[str, object]]:
        for what in (what for what, wanted in plain.items() if wanted):
            yield {"what": what}
        if zones is not None:
            yield {"what": "zones", **read_zones(desk.read_text(zones))}
        if from_proposal is not None:
            yield {"what": "zones", **drawn_for(cameras, from_proposal)}
        if people is not None:
            yield {"what": "people", "people": people}
        if hours:
            yield {"what": "schedule", "schedule": read_schedule(hours)}
        if retention_days is not None:
            yield {"what": "retention", "days": retention_days}
        if picture is not None:
            yield {"what": "picture", **desk.read_picture(picture)}
        if suspend_role is not None or suspend_holder is not None:
            yield {"what": "recipient", "role": suspend_role, "holder": suspend_holder}
        if suspend_model is not None:
            yield {"what": "model", "sha256": suspend_model}

    narrows = list(narrowings())
    if not narrows:
        raise UsageError("nothing is narrowed", hint="say what: --dark, --zones FILE, --people scene, …")
    published, card = desk.city_trusted_by(key, city)
    act = Act(
        office=card.office,
        reason=reason,
        now=utc_now(),
        starts_at=None if starts_at is None else read_instant(starts_at),
    )
    named = desk.cameras_named(cameras)
    document = compose("restriction", Restriction, act, published, {"cameras": named, "narrows": narrows})
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
