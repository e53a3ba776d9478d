"""`lamppost epochs`: make, publish, open, hold and destroy the daily keys of footage.

Footage of a day is sealed to that day's recipients. The custodian makes them ahead,
keeps the identities in a vault, and destroys a day's when its retention has ended:
then every copy of that day is closed for ever. The key of the sealed layer is kept by
nobody: it is split among the releasing offices as it is made (`lamppost release`).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated

import typer

from agent.core.policy.documents import Document, EpochKeys, parse_document
from agent.core.policy.strict_json import MAX_DOCUMENT_BYTES
from agent.core.policy.words import write_instant
from agent.errors import EvidenceGapError, UsageError
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.compose import Act, compose, next_id
from provisioning.authority.cross_check import documents_of
from provisioning.authority.keys import KeyCard, open_key
from provisioning.authority.published import PublishedCity
from provisioning.authority.vault import DayKey, open_vault
from provisioning.clock import utc_now
from provisioning.epochs.destroying import Doomed, Receipt, plan, read_receipt, resume
from provisioning.epochs.destroying import destroy as destroy_keys
from provisioning.epochs.holding import HELD_FOLDER, find_hold, rewrap_held
from provisioning.epochs.making import (
    Maker,
    check_approvals,
    day_of,
    offered_makers,
    own_makers,
    portions,
    quorum_maker,
)
from provisioning.epochs.offering import MAX_OFFER_BYTES, dump_offer, parse_offer
from provisioning.epochs.standing import Standing, published_recipients, standing, without_receipt
from provisioning.evidence.authority import Authority
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.order import Custodian
from provisioning.release.asking import Clerk
from provisioning.release.letters import MAX_LETTER_BYTES, Letter

app = typer.Typer(no_args_is_help=True)

VaultOption = Annotated[Path, typer.Option("--vault", help="The custodian's vault.")]
DayOption = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="A day, such as 2026-11-28.")]
DaysOption = Annotated[int, typer.Option(min=1, max=366, help="For this many days from today.")]
ExtendedOption = Annotated[bool, typer.Option("--extended", help="For footage that is kept longer than usual.")]
LogOption = Annotated[Path | None, typer.Option("--city-log", help="The city's own log; CITY/log if not given.")]
LayerOption = Annotated[str, typer.Option(help="masked or originals (the sealed layer).")]

RECIPIENT_BYTES = 2_100  # a post-quantum recipient is 1,959 characters; role, holder and JSON around it
ONE_DAY = timedelta(days=1)
LAYERS = ("masked", "originals")


@app.command()
def create(  # noqa: PLR0913 - what is made, for whom, and where it goes
    city: desk.CityOption,
    key: desk.KeyOption,
    vault: Annotated[Path, typer.Option("--vault", help="The custodian's vault; made the first time.")],
    *,
    days: DaysOption = 60,
    layer: LayerOption = "masked",
    extended: ExtendedOption = False,
    recipient: Annotated[
        list[str] | None, typer.Option(help="ROLE=HOLDER with a key in this vault; custodian=custodian if not given.")
    ] = None,
    offer: Annotated[
        list[Path] | None, typer.Option("--with", help="Somebody else's recipients (lamppost epochs offer).")
    ] = None,
    approved: Annotated[
        list[str] | None,
        typer.Option(help="HOLDER=DAY: when they were approved in writing; where the charter asks for it (SL-3.4)."),
    ] = None,
    share_card: Annotated[
        list[Path] | None, typer.Option(help="A releasing official's card (lamppost release join); sealed layer only.")
    ] = None,
    city_log: LogOption = None,
    out: desk.OutOption = None,
    publish: desk.PublishOption = False,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Make the identities of the days ahead that have none yet, and publish their recipients."""
    published, card = desk.city_trusted_by(key, city)
    now = utc_now()
    keeps = "extended" if extended else "default"
    wanted = [now.date() + n * ONE_DAY for n in range(days)]
    missing = [day for day in wanted if day not in _published_days(published, _layer(layer), keeps)]
    if not missing:
        desk.say(f"recipients of the {layer} layer are published up to {wanted[-1]}; nothing to do")
        return
    authority, approvals = Authority(published), _approvals(approved or ())
    if layer == "masked":
        makers = _makers(recipient, offer, keeps, missing, vault, passphrase_file)
        check_approvals(authority.charter, makers, approvals, missing)
    else:
        cards = [files.read_capped(path, max_bytes=MAX_LETTER_BYTES) for path in share_card or ()]
        clerk = _clerk_of(published, card, city, key, vault, city_log, passphrase_file)
        makers = [quorum_maker(clerk, cards, keeps, now)]
    act = Act(office=card.office, reason=f"Recipients of the {layer} layer.", now=now)
    documents: list[EpochKeys] = []
    for portion in portions(missing, MAX_DOCUMENT_BYTES // (RECIPIENT_BYTES * len(makers))):
        taken = [document.id for document in documents]
        fields = {
            "id": next_id("epochs", published.documents, office=card.office, taken=taken, now=now),
            "starts_at": datetime.combine(portion[0], time(), UTC),
            "ends_at": datetime.combine(portion[-1] + ONE_DAY, time(), UTC),
            "layer": layer,
            "keeps": keeps,
            "days": [day_of(day, makers, approvals) for day in portion],
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


@app.command("offer")
def offer_(
    vault: Annotated[Path, typer.Option("--vault", help="Your vault; made the first time.")],
    role: Annotated[str, typer.Option(help="Your recipient role.")],
    holder: Annotated[str, typer.Option(help="Your name as a slug, such as jo-vega.")],
    out: Annotated[Path, typer.Option(help="Where to write the offer; must not exist yet.")],
    *,
    days: DaysOption = 60,
    extended: ExtendedOption = False,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Make keys in a vault of your own, and write their recipients for the custodian to publish."""
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another name")
    opened = open_vault(vault, desk.passphrase_from(passphrase_file, of="the vault", twice=not vault.exists())())
    keeps = "extended" if extended else "default"
    today = utc_now().date()
    recipients = {
        day: str(opened.identity(DayKey(day=day, layer="masked", role=role, keeps=keeps)).recipient)
        for day in (today + n * ONE_DAY for n in range(days))
    }
    files.write_new(out, dump_offer(role, holder, keeps, recipients))
    desk.say(f"wrote {out}: send it to the custodian; the keys stay in {vault}, and you destroy them there")


@app.command("open")
def open_day(
    vault: VaultOption,
    out: Annotated[Path, typer.Option(help="Where to write the identity; must not exist yet.")],
    *,
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day, such as 2026-11-28.")] = None,
    hold: Annotated[str | None, typer.Option(help="Or a hold: what opens the segments it keeps.")] = None,
    role: Annotated[str, typer.Option(help="The role it is for.")] = "custodian",
    extended: ExtendedOption = False,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Write the identity that opens one day of footage, or what a hold keeps, for `lamppost footage open`."""
    if (day is None) == (hold is None):
        raise UsageError("open what?", hint="either --day DAY or --hold HOLD")
    opened = open_vault(_existing(vault), desk.passphrase_from(passphrase_file, of="the vault")())
    if day is not None:
        wanted = DayKey(day=day.date(), layer="masked", role=role, keeps="extended" if extended else "default")
        what, identity = str(wanted), opened.stored(wanted)
    else:
        what, identity = f"what {hold} keeps", opened.stored_hold(str(hold))
    files.write_new(out, f"# {what}\n{identity.reveal()}\n".encode(), mode=files.PRIVATE)
    desk.say(f"wrote {out}: {what}; remove it when you are done")


@app.command()
def hold(  # noqa: PLR0913 - which hold, and where everything lies
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.")],
    place: Annotated[Path, typer.Argument(metavar="PLACE", help="A folder or a card with the sealed segments.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    vault: VaultOption,
    *,
    city_log: LogOption = None,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Seal the headers of exactly the held segments to the hold's own key, before their day's key dies (JC-25)."""
    clerk, documents = _clerk(city, key, vault, city_log, passphrase_file)
    now = utc_now()
    found = find_hold(documents, hold_id, now)
    spans = "; ".join(f"{span.starts_at:%Y-%m-%d %H:%M:%S} to {span.ends_at:%Y-%m-%d %H:%M:%S}" for span in found.spans)
    cameras = "all cameras" if found.cameras == "all" else ", ".join(found.cameras)
    desk.say(f"keeps {spans} UTC of {cameras} open for {found.case}; nothing beside it")
    desk.confirm("Make the headers?", yes=yes)
    done = rewrap_held(
        found, place=place, folder=clerk.vault_folder, vault=clerk.vault, city_log=clerk.city_log, now=now
    )
    desk.say(f"made {done.made} headers; {hold_id} keeps {done.kept} segments, in {vault / HELD_FOLDER / hold_id}")
    if done.already_dead:
        desk.say(f"warning: {done.already_dead} held segments are of days whose keys are destroyed; they open no more")
    if done.sealed_layer:
        desk.say(
            f"{done.sealed_layer} segments of the sealed layer are in the span: they die on time, unless the offices "
            "release them for the case (lamppost release)"
        )


@app.command()
def destroy(  # noqa: PLR0913 - what, whether early, and where everything lies
    city: desk.CityOption,
    key: desk.KeyOption,
    vault: VaultOption,
    *,
    before: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only days before this one; all that are due if not given."),
    ] = None,
    early: Annotated[str | None, typer.Option(metavar="REASON", help="Before retention ended; say why.")] = None,
    despite: Annotated[
        list[str] | None, typer.Option(metavar="HOLD", help="A hold that needs no header of this vault; repeat it.")
    ] = None,
    city_log: LogOption = None,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Destroy the keys of all days whose retention has ended: that footage opens for nobody any more."""
    clerk, documents = _clerk(city, key, vault, city_log, passphrase_file)
    now = utc_now()
    if (receipt := resume(clerk, now=now)) is not None:
        desk.say(f"finished what was cut off; receipt: {receipt}")
    doomed = plan(
        vault,
        clerk.authority.charter,
        documents,
        now=now,
        before=None if before is None else before.date(),
        early=early is not None,
        despite=despite or (),
    )
    if doomed.nothing:
        desk.say("nothing in the vault is due; nothing to do")
        return
    _tell_doomed(doomed)
    desk.confirm("Destroy them?", yes=yes)
    receipt = destroy_keys(doomed, clerk, early=early, now=now)
    desk.say(f"destroyed; signed receipt: {receipt}")


@app.command()
def status(
    city: desk.CityOption,
    vault: Annotated[Path | None, typer.Option("--vault", help="Also say what a vault holds.")] = None,
    *,
    as_json: desk.JsonOption = False,
) -> None:
    """Say until when recipients are published, what the vault keeps, what is due, what is held."""
    published = read_city(CityFolder(path=city))
    documents = tuple(documents_of(published.documents).values())
    now = utc_now()
    found = standing(None if vault is None else _existing(vault), Authority(published).charter, documents, now)
    if as_json:
        desk.write_json(_told(found))
        return
    _show(found, now)


@app.command()
def receipts(
    place: Annotated[list[Path], typer.Argument(metavar="RECEIPT…", help="Receipts, or folders of them.")],
    city: desk.CityOption,
    *,
    as_json: desk.JsonOption = False,
) -> None:
    """Verify receipts of destroyed keys; with the city's folder, also that none is missing."""
    authority = Authority(read_city(CityFolder(path=city)))
    read = [
        (path, read_receipt(files.read_capped(path, max_bytes=MAX_LETTER_BYTES), authority)) for path in _each(place)
    ]
    if not read:
        raise UsageError("there are no receipts here")
    ever = published_recipients(_ever_published(city, authority.city))
    lacking = without_receipt(ever, [letter.says for _, letter in read], authority.charter, utc_now())
    if as_json:
        desk.write_json(
            {
                "receipts": [_told_receipt(path, letter) for path, letter in read],
                "missing": [{"key": str(key), "holder": holder} for key, holder in lacking],
            }
        )
    else:
        for path, letter in read:
            desk.say(f"holds: {path}: {_receipt_in_words(letter)}")
        for key, holder in lacking:
            desk.say(f"missing: no receipt for the {key}, held by {holder}")
    if lacking:
        raise EvidenceGapError(
            f"{len(lacking)} keys are due and no receipt names them",
            hint="each holder runs lamppost epochs destroy on their own vault",
        )
    desk.say(f"{len(read)} receipts hold, and none that is due is missing")


# --- what the commands share --------------------------------------------------


def _makers(
    recipient: Sequence[str] | None,
    offers: Sequence[Path] | None,
    keeps: str,
    days: Sequence[date],
    vault: Path,
    passphrase_file: Path | None,
) -> list[Maker]:
    offered = [parse_offer(files.read_capped(path, max_bytes=MAX_OFFER_BYTES)) for path in offers or ()]
    makers = offered_makers(offered, keeps, days)
    if recipient is None and offered and not vault.exists():
        raise UsageError("you would publish others' recipients only", hint="say yours too: --recipient ROLE=HOLDER")
    holders = _pairs(recipient or ["custodian=custodian"], "ROLE=HOLDER")
    opened = open_vault(vault, desk.passphrase_from(passphrase_file, of="the vault", twice=not vault.exists())())
    return own_makers(opened, holders, keeps) + makers


def _pairs(words: Iterable[str], form: str) -> list[tuple[str, str]]:
    pairs = []
    for word in words:
        first, _, second = word.partition("=")
        if not first or not second:
            raise UsageError(f"{word!r} will not do, expected {form}")
        pairs.append((first, second))
    return pairs


def _approvals(words: Iterable[str]) -> dict[str, date]:
    approvals = {}
    for holder, day in _pairs(words, "HOLDER=DAY"):
        try:
            approvals[holder] = date.fromisoformat(day)
        except ValueError as error:
            raise UsageError(f"{day!r} is not a day, expected one like 2026-11-28") from error
    return approvals


def _layer(words: str) -> str:
    if words not in LAYERS:
        raise UsageError(f"{words!r} is no layer, expected {' or '.join(LAYERS)}")
    return words


def _existing(vault: Path) -> Path:
    if not vault.is_dir():
        raise UsageError(f"{vault} is no vault", hint="lamppost epochs create makes one")
    return vault


def _published_days(city: PublishedCity, layer: str, keeps: str) -> set[date]:
    return {
        day.day
        for document in documents_of(city.documents).values()
        if isinstance(document, EpochKeys) and document.layer == layer and document.keeps == keeps
        for day in document.days
    }


def _over(city: PublishedCity, now: datetime) -> tuple[str, ...]:
    """Return what no camera needs any more; it would fill the bundle."""
    return tuple(
        path
        for path, document in documents_of(city.documents).items()
        if isinstance(document, EpochKeys) and document.ends_at <= now
    )


def _clerk(
    city: Path, key: Path, vault: Path, city_log: Path | None, passphrase_file: Path | None
) -> tuple[Clerk, tuple[Document, ...]]:
    published, card = desk.city_trusted_by(key, city)
    clerk = _clerk_of(published, card, city, key, _existing(vault), city_log, passphrase_file)
    return clerk, tuple(documents_of(published.documents).values())


def _clerk_of(
    published: PublishedCity,
    card: KeyCard,
    city: Path,
    key: Path,
    vault: Path,
    city_log: Path | None,
    passphrase_file: Path | None,
) -> Clerk:
    ask = desk.passphrase_from(passphrase_file, of="the vault", twice=not vault.exists())
    return Clerk(
        authority=Authority(published),
        custodian=Custodian(
            card=card, unlock=lambda: open_key(key, desk.passphrase_from(passphrase_file)), identities=tuple
        ),
        city_log=CityLog(city_log or _log_beside(city)),
        vault_folder=vault,
        vault=lambda: open_vault(vault, ask()),
    )


def _log_beside(city: Path) -> Path:
    if city.is_file():
        raise UsageError("a bundle has no log beside it", hint="say where the city's own log is: --city-log FOLDER")
    return city / "log"


def _each(places: Iterable[Path]) -> list[Path]:
    """Return the receipts that are named, or lie in folders that are."""
    found: list[Path] = []
    for place in places:
        found += sorted(place.glob("*.json")) if place.is_dir() else [place]
    return found


def _ever_published(city: Path, published: PublishedCity) -> list[Document]:
    """Return every document about recipients that the city ever published, as far as its folder is here."""
    folder = CityFolder(path=city).published / "targets" / "epochs"
    if not folder.is_dir():
        return list(documents_of(published.documents).values())
    return [parse_document(files.read_capped(path, max_bytes=MAX_DOCUMENT_BYTES)) for path in sorted(folder.iterdir())]


def _tell_doomed(doomed: Doomed) -> None:
    epochs = doomed.epochs
    if epochs:
        desk.say(f"destroys {len(epochs)} keys, of {epochs[0].day} to {epochs[-1].day}; no copy of that footage")
        desk.say("will ever open again.")
    if doomed.held:
        desk.say(f"what {', '.join(doomed.held)} holds of those days stays open with the key of the hold")
    if doomed.holds:
        desk.say(f"destroys the keys of holds that ended: {', '.join(doomed.holds)}; what they kept opens no more")


def _show(found: Standing, now: datetime) -> None:
    desk.show_table(
        "Recipients published",
        ("layer", "for footage kept", "until", ""),
        (
            (
                one.layer,
                "longer" if one.keeps == "extended" else "as usual",
                "none today" if one.until is None else str(one.until),
                "cameras warn: publish more" if one.ending else "",
            )
            for one in found.published
        ),
    )
    if found.kept:
        desk.show_table("Keys in the vault", ("key", "days", "of", "first due"), _grouped(found, now))
    if found.holds:
        desk.show_table(
            "Holds",
            ("hold", "case", "stands", "segments kept", "key"),
            (
                (
                    one.hold,
                    one.case or "-",
                    "yes" if one.stands else "no: destroy its key",
                    str(one.headers),
                    "here" if one.has_key else "none yet",
                )
                for one in found.holds
            ),
        )


def _grouped(found: Standing, now: datetime) -> Iterator[tuple[str, str, str, str]]:
    """Yield one line for all keys of one kind: a city has some hundred, one for each day."""
    kinds: dict[tuple[str, str, str], list[tuple[DayKey, datetime]]] = {}
    for key, at in found.kept:
        kinds.setdefault((key.layer, key.role, key.keeps), []).append((key, at))
    for (layer, role, keeps), keys in sorted(kinds.items()):
        due = sum(at <= now for _, at in keys)
        first = f"{keys[0][1]:%Y-%m-%d}" if not due else f"{due} are due: lamppost epochs destroy"
        longer = ", kept longer" if keeps == "extended" else ""
        yield f"{layer} as {role}{longer}", str(len(keys)), f"{keys[0][0].day} to {keys[-1][0].day}", first


def _told(found: Standing) -> dict[str, object]:
    return {
        "published": [
            {
                "layer": one.layer,
                "keeps": one.keeps,
                "until": None if one.until is None else str(one.until),
                "ending": one.ending,
            }
            for one in found.published
        ],
        "kept": [
            {"day": str(key.day), "layer": key.layer, "role": key.role, "keeps": key.keeps, "due": f"{at:%Y-%m-%d}"}
            for key, at in found.kept
        ],
        "due": len(found.due),
        "holds": [
            {
                "hold": one.hold,
                "case": one.case or None,
                "stands": one.stands,
                "segments": one.headers,
                "key": one.has_key,
            }
            for one in found.holds
        ],
    }


def _receipt_in_words(letter: Letter[Receipt]) -> str:
    says = letter.says
    parts = [f"{letter.name} ({letter.office}) destroyed {len(says.epochs)} keys at {write_instant(says.destroyed_at)}"]
    if says.epochs:
        parts.append(f"of {says.epochs[0].day} to {says.epochs[-1].day}")
    if says.holds:
        parts.append(f"and those of {', '.join(one.hold for one in says.holds)}")
    if says.early:
        parts.append(f"early: {says.early}")
    return " ".join([*parts, f"(entry {says.entry.index} of the city's log)"])


def _told_receipt(path: Path, letter: Letter[Receipt]) -> dict[str, object]:
    return {
        "file": str(path),
        "office": letter.office,
        "name": letter.name,
        "keyid": letter.keyid,
        **letter.says.model_dump(mode="json", exclude={"entry"}),
        "entry": letter.says.entry.index,
    }
