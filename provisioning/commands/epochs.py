"""`lamppost epochs`: make, publish, open and destroy the daily keys of footage.

Footage of a day is sealed to that day's recipients. The custodian makes them ahead,
keeps the identities in a vault, and destroys a day's when its retention has ended:
then every copy of that day is closed for ever.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated

import typer

from agent.core.policy.documents import EpochKeys
from agent.core.policy.strict_json import MAX_DOCUMENT_BYTES
from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.authority.compose import Act, compose, next_id
from provisioning.authority.cross_check import documents_of
from provisioning.authority.published import PublishedCity
from provisioning.authority.vault import DayKey, Vault, open_vault
from provisioning.authority.vault import destroy as destroy_keys
from provisioning.authority.vault import kept as kept_keys
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)

VaultOption = Annotated[Path, typer.Option("--vault", help="The custodian's vault; made the first time.")]
DayOption = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="A day, such as 2026-11-28.")]

RECIPIENT_BYTES = 2_100  # a post-quantum recipient is 1,959 characters; role, holder and JSON around it
ONE_DAY = timedelta(days=1)


@app.command()
def create(  # noqa: PLR0913 - what is made, for whom, and where it goes
    city: desk.CityOption,
    key: desk.KeyOption,
    vault: VaultOption,
    *,
    days: Annotated[int, typer.Option(min=1, max=366, help="Publish recipients for this many days from today.")] = 60,
    layer: Annotated[str, typer.Option(help="masked or originals.")] = "masked",
    recipient: Annotated[
        list[str] | None, typer.Option(help="ROLE=HOLDER, once for each; custodian=custodian if not given.")
    ] = None,
    out: desk.OutOption = None,
    publish: desk.PublishOption = False,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Make the identities of the days ahead that have none yet, and publish their recipients."""
    published, card = desk.city_trusted_by(key, city)
    now = utc_now()
    wanted = [now.date() + n * ONE_DAY for n in range(days)]
    missing = [day for day in wanted if day not in _published_days(published, layer)]
    if not missing:
        desk.say(f"recipients of the {layer} layer are published up to {wanted[-1]}; nothing to do")
        return
    opened = open_vault(vault, desk.passphrase_from(passphrase_file, of="the vault", twice=not vault.exists())())
    holders = _holders(recipient or ["custodian=custodian"])
    act = Act(office=card.office, reason=f"Recipients of the {layer} layer.", now=now)
    documents: list[EpochKeys] = []
    for portion in _portions(missing, MAX_DOCUMENT_BYTES // (RECIPIENT_BYTES * len(holders))):
        taken = [document.id for document in documents]
        fields = {
            "id": next_id("epochs", published.documents, office=card.office, taken=taken, now=now),
            "starts_at": datetime.combine(portion[0], time(), UTC),
            "ends_at": datetime.combine(portion[-1] + ONE_DAY, time(), UTC),
            "layer": layer,
            "keeps": "default",
            "days": [_day(opened, day, layer, holders) for day in portion],
        }
        documents.append(compose("epochs", EpochKeys, act, published, fields))
    desk.enact(
        published,
        documents,
        withdrawn=_over(published, now),
        city_path=city,
        key=key,
        passphrase_file=passphrase_file,
        out=out,
        publish_now=publish,
        yes=yes,
    )


@app.command("open")
def open_day(
    day: DayOption,
    vault: VaultOption,
    out: Annotated[Path, typer.Option(help="Where to write the identity; must not exist yet.")],
    *,
    role: Annotated[str, typer.Option(help="The role it is for.")] = "custodian",
    layer: Annotated[str, typer.Option(help="masked or originals.")] = "masked",
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Write the identity that opens one day of footage, for `lamppost footage open`."""
    opened = open_vault(_existing(vault), desk.passphrase_from(passphrase_file, of="the vault")())
    identity = opened.stored(DayKey(day=day.date(), layer=layer, role=role))
    text = f"# {layer} footage of {day.date()} as {role}\n{identity.reveal()}\n"
    files.write_new(out, text.encode(), mode=files.PRIVATE)
    desk.say(f"wrote {out}: remove it when you are done")


@app.command()
def destroy(
    before: DayOption,
    vault: VaultOption,
    *,
    yes: desk.YesOption = False,
) -> None:
    """Destroy the identities of all days before one: that footage opens for nobody any more."""
    doomed = sorted(key for key in kept_keys(_existing(vault)) if key.day < before.date())
    if not doomed:
        desk.say(f"the vault holds nothing from before {before.date()}; nothing to do")
        return
    desk.say(f"destroys {len(doomed)} identities, of {doomed[0].day} to {doomed[-1].day}; no copy of that footage")
    desk.say("will ever open again. Footage under a hold must have been sealed to the hold's key before.")
    desk.confirm("Destroy them?", yes=yes)
    destroy_keys(vault, doomed)
    desk.say(f"destroyed {len(doomed)} identities")


def _existing(vault: Path) -> Path:
    if not vault.is_dir():
        raise UsageError(f"{vault} is no vault", hint="lamppost epochs create makes one")
    return vault


def _published_days(city: PublishedCity, layer: str) -> set[date]:
    return {
        day.day
        for document in documents_of(city.documents).values()
        if isinstance(document, EpochKeys) and document.layer == layer
        for day in document.days
    }


def _over(city: PublishedCity, now: datetime) -> tuple[str, ...]:
    """Return what no camera needs any more; it would fill the bundle."""
    return tuple(
        path
        for path, document in documents_of(city.documents).items()
        if isinstance(document, EpochKeys) and document.ends_at <= now
    )


def _holders(words: Iterable[str]) -> list[tuple[str, str]]:
    holders = []
    for word in words:
        role, _, holder = word.partition("=")
        if not role or not holder:
            raise UsageError(f"{word!r} names no recipient, expected ROLE=HOLDER")
        holders.append((role, holder))
    return holders


def _portions(days: list[date], most: int) -> Iterable[list[date]]:
    """Yield `days` in portions that fit one document each."""
    if most < 1:
        raise UsageError("there are more recipients than one day's document can hold")
    for start in range(0, len(days), most):
        yield days[start : start + most]


def _day(vault: Vault, day: date, layer: str, holders: list[tuple[str, str]]) -> dict[str, object]:
    return {
        "day": day,
        "recipients": [
            {
                "role": role,
                "holder": holder,
                "recipient": str(vault.identity(DayKey(day=day, layer=layer, role=role)).recipient),
            }
            for role, holder in holders
        ],
    }
