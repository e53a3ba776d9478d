"""`lamppost release`: open the sealed layer, several offices together, for one case and one person.

    join      each official, once: make the key that their shares are sealed to
    request   the custodian asks; the city's log says so
    approve   each official, on their own machine: read it, sign yes (or --refuse)
    record    the custodian: put the answer into the city's log
    hand-over the official: the share leaves, now that the log says so
    open      the custodian: seal the named segments to the investigator

What travels are letters: files, signed, with nothing in them that a stranger could use.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import typer

from agent.core.log.leaf import Event
from agent.core.policy.words import write_instant
from agent.core.sealing.recipients import Recipient, parse_recipients
from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.keys import open_key
from provisioning.authority.vault import open_vault
from provisioning.clock import utc_now
from provisioning.evidence.authority import Authority
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.order import Custodian
from provisioning.release import answering, asking, opening
from provisioning.release.asking import Clerk, Wish
from provisioning.release.letters import MAX_LETTER_BYTES
from provisioning.release.page import page_of
from provisioning.release.register import Standing, counts, standings

app = typer.Typer(no_args_is_help=True)

MAX_KEY_FILE_BYTES = 16 * 1024

RequestArgument = Annotated[Path, typer.Argument(metavar="REQUEST", help="The custodian's request.")]
VaultOption = Annotated[Path, typer.Option("--vault", help="The custodian's vault.")]
LogOption = Annotated[Path | None, typer.Option("--city-log", help="The city's own log; CITY/log if not given.")]
LetterOption = Annotated[Path, typer.Option("--out", help="The letter to write; must not exist yet.")]


@app.command()
def join(
    key: desk.KeyOption,
    out: LetterOption,
    *,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Make the key that shares for your office are sealed to, and the card that says so; once, on your own machine."""
    passphrase = _once(passphrase_file)
    card = answering.join(key, open_key(key, passphrase), passphrase(), now=utc_now())
    files.write_new(out, card)
    desk.say(f"wrote {out}: send it to the custodian; {key / answering.RELEASE_FILE} opens your shares and stays here")


@app.command()
def request(  # noqa: PLR0913 - what is asked, why, for whom, and where everything lies
    place: Annotated[Path, typer.Argument(metavar="PLACE", help="A folder or a card with sealed segments.")],
    *,
    camera: Annotated[str, typer.Option("--camera", help="Whose sealed layer.")],
    start: Annotated[str, typer.Option("--from", help="Beginning of the span, such as 2026-11-28T12:00:00Z.")],
    end: Annotated[str, typer.Option("--to", help="End of the span; at most a day later.")],
    case: Annotated[str, typer.Option("--case", help="The case's number.")],
    basis: Annotated[str, typer.Option("--basis", help="The legal basis, of those the charter names (JC-8).")],
    reference: Annotated[str, typer.Option("--reference", help="Which one: the warrant's number.")],
    reason: desk.ReasonOption,
    investigator: Annotated[str, typer.Option("--investigator", help="Who is to see it, by name.")],
    holder: Annotated[str, typer.Option("--for", help="Their role and slug: ROLE=HOLDER.")],
    recipient: Annotated[Path, typer.Option("--recipient", help="File with the investigator's age recipient.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    vault: VaultOption,
    out: LetterOption,
    city_log: LogOption = None,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Ask the offices to open the sealed layer of one camera, for one span, case and person."""
    role, _, slug = holder.partition("=")
    if not role or not slug:
        raise UsageError(f"--for {holder!r} names nobody, expected ROLE=HOLDER")
    wish = Wish(
        case=case,
        basis=basis,
        reference=reference,
        reason=reason,
        camera_id=camera,
        starts_at=_moment(start, "--from"),
        ends_at=_moment(end, "--to"),
        name=investigator,
        role=role,
        holder=slug,
        recipient=_recipient(recipient),
    )
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another name")
    clerk = _clerk(city, key, vault, city_log, passphrase_file)
    desk.say(f"asks to open what was hidden of people: {camera}, {start} to {end}, case {case}, for {investigator}")
    desk.say("the city's own log will say so, and the public will read that somebody asked")
    desk.confirm("Ask?", yes=yes)
    made, letter = asking.ask(wish, clerk, place=place, now=utc_now())
    files.write_new(out, letter)
    offices = ", ".join(sorted({one.office for each in made.epochs for one in each.epoch.shares}))
    desk.say(f"wrote {out}: request {made.id}, {len(made.segments)} segments; send it to {offices}")


@app.command()
def show(request_file: RequestArgument, city: desk.CityOption, *, as_json: desk.JsonOption = False) -> None:
    """Say in plain words what a request asks."""
    authority = Authority(read_city(CityFolder(path=city)))
    letter = asking.read_request(_letter(request_file), authority)
    page = page_of(letter, authority.charter)
    if as_json:
        desk.write_json({"title": page.title, "lines": [list(line) for line in page.lines]})
        return
    desk.show_pages([page])


@app.command()
def approve(  # noqa: PLR0913 - who answers what, and where it goes
    request_file: RequestArgument,
    city: desk.CityOption,
    key: desk.KeyOption,
    reason: desk.ReasonOption,
    out: LetterOption,
    *,
    refuse: Annotated[bool, typer.Option("--refuse", help="Say no.")] = False,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Read a request, and sign your answer; your share does not leave yet."""
    published, card = desk.city_trusted_by(key, city)
    authority = Authority(published)
    letter = asking.read_request(_letter(request_file), authority)
    answering.check_mine(letter, card)
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another name")
    desk.show_pages([page_of(letter, authority.charter)])
    desk.confirm(f"{'Refuse' if refuse else 'Approve'} this as {card.name} ({card.office})?", yes=yes)
    official = open_key(key, desk.passphrase_from(passphrase_file))
    said = answering.answer(letter, official, approved=not refuse, reason=reason, now=utc_now())
    files.write_new(out, said)
    desk.say(f"wrote {out}: send it to the custodian, who puts it into the city's log")
    if not refuse:
        desk.say("then, with what the custodian sends back: lamppost release hand-over")


@app.command()
def record(
    request_file: RequestArgument,
    answer: Annotated[Path, typer.Argument(metavar="ANSWER", help="What an official answered.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    out: LetterOption,
    *,
    city_log: LogOption = None,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Put an official's answer into the city's log, and write the letter that proves it is there."""
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another name")
    clerk = _clerk(city, key, None, city_log, passphrase_file)
    letter, recorded = opening.record(_letter(request_file), _letter(answer), clerk, now=utc_now())
    files.write_new(out, recorded)
    desk.say(f"{letter.name} ({letter.office}) {letter.says.answer} {letter.says.request}: {letter.says.reason}")
    desk.say(f"wrote {out}: send it back to {letter.name}")


@app.command("hand-over")
def hand_over(
    request_file: RequestArgument,
    recorded: Annotated[Path, typer.Argument(metavar="RECORDED", help="The custodian's letter about your approval.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    out: LetterOption,
    *,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Hand your share over, sealed to the custodian's machine, now that the city's log holds your approval."""
    published, card = desk.city_trusted_by(key, city)
    authority = Authority(published)
    letter = asking.read_request(_letter(request_file), authority)
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another name")
    desk.show_pages([page_of(letter, authority.charter)])
    desk.confirm(f"Hand over your share as {card.name} ({card.office})?", yes=yes)
    passphrase = _once(passphrase_file)
    share = answering.hand_over(
        _letter(request_file),
        _letter(recorded),
        authority=authority,
        key=open_key(key, passphrase),
        identity=lambda: answering.share_identity(key, passphrase()),
        now=utc_now(),
    )
    files.write_new(out, share)
    desk.say(f"wrote {out}: send it to the custodian")


@app.command("open")
def open_(  # noqa: PLR0913 - what is opened, with whose shares, and where everything lies
    request_file: RequestArgument,
    shares: Annotated[list[Path], typer.Argument(metavar="SHARE…", help="What the officials handed over.")],
    *,
    place: Annotated[Path, typer.Option("--place", help="A folder or a card with the sealed segments.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    vault: VaultOption,
    out: Annotated[Path, typer.Option("--out", help="The folder to make for the investigator; must not exist yet.")],
    city_log: LogOption = None,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Seal the named segments to the investigator; the key that opens the day reaches nobody."""
    clerk = _clerk(city, key, vault, city_log, passphrase_file)
    letter = asking.read_request(_letter(request_file), clerk.authority)
    desk.show_pages([page_of(letter, clerk.authority.charter)])
    desk.confirm(f"Open this for {letter.says.investigator.name}?", yes=yes)
    released = opening.open_release(
        _letter(request_file), [_letter(path) for path in shares], clerk, place=place, out=out, now=utc_now()
    )
    desk.say(
        f"wrote {out}: {len(released.segments)} segments, sealed to {released.investigator.name} alone;"
        f" approved by {', '.join(released.offices)}"
    )
    desk.say(f"with the masked layer: lamppost footage compose PLACE --released {out} --identity …")


@app.command("list")
def list_(
    city: Annotated[Path | None, typer.Option("--city", help="The city's folder.")] = None,
    city_log: LogOption = None,
    *,
    public: Annotated[bool, typer.Option("--public", help="Counts only, as they may be published (JC-8).")] = False,
    as_json: desk.JsonOption = False,
) -> None:
    """Say what became of every request."""
    if city is None and city_log is None:
        raise UsageError("whose requests?", hint="--city CITY, or --city-log FOLDER")
    log = CityLog(city_log or _log_beside(city or Path())).read()
    if public:
        _show_counts(log, as_json=as_json)
        return
    made = standings(log)
    if as_json:
        desk.write_json([_told(one) for one in made])
        return
    desk.show_table(
        "Requests to open the sealed layer", ("request", "made", "camera", "case", "answers", "state"), map(_row, made)
    )


def _row(one: Standing) -> tuple[str, ...]:
    answers = [f"{office}: yes" for office in one.approved] + [f"{office}: no" for office in one.refused]
    return one.id or "-", f"{one.at:%Y-%m-%d %H:%M}", one.camera, one.case, ", ".join(answers) or "-", one.state


def _show_counts(log: tuple[Event, ...], *, as_json: bool) -> None:
    counted = counts(log)
    told: dict[str, object] = {
        "requested": counted.requested,
        "against_law": counted.against_law,
        "refused": counted.refused,
        "opened": counted.opened,
        "segments_opened": counted.segments_opened,
        "opened_by_basis": counted.opened_by_basis,
        "opened_by_camera": counted.opened_by_camera,
    }
    if as_json:
        desk.write_json(told)
        return
    desk.show_table(
        "Openings of the sealed layer", ("what", "how many"), [(name, _words(value)) for name, value in told.items()]
    )


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {number}" for name, number in value.items()) or "none"
    return str(value)


def _told(one: Standing) -> dict[str, object]:
    return {
        "request": one.id or None,
        "made_at": write_instant(one.at.replace(microsecond=0)),
        "camera": one.camera,
        "case": one.case,
        "basis": one.basis,
        "investigator": one.investigator,
        "segments": one.segments,
        "approved": list(one.approved),
        "refused": list(one.refused),
        "opened_at": None if one.opened_at is None else write_instant(one.opened_at.replace(microsecond=0)),
        "handed_over": one.handed_over,
        "against": one.against or None,
        "state": one.state,
    }


def _clerk(city: Path, key: Path, vault: Path | None, city_log: Path | None, passphrase_file: Path | None) -> Clerk:
    published, card = desk.city_trusted_by(key, city)
    if vault is not None and not vault.is_dir():
        raise UsageError(f"{vault} is no vault", hint="lamppost epochs create makes one")
    folder = vault or Path()
    return Clerk(
        authority=Authority(published),
        custodian=Custodian(
            card=card, unlock=lambda: open_key(key, desk.passphrase_from(passphrase_file)), identities=tuple
        ),
        city_log=CityLog(city_log or _log_beside(city)),
        vault_folder=folder,
        vault=lambda: open_vault(folder, desk.passphrase_from(passphrase_file, of="the vault")()),
    )


def _log_beside(city: Path) -> Path:
    if city.is_file():
        raise UsageError("a bundle has no log beside it", hint="say where the city's own log is: --city-log FOLDER")
    return city / "log"


def _once(passphrase_file: Path | None) -> Callable[[], str]:
    """Return what asks for a passphrase once, however often it is needed: one opens both of an official's keys."""
    return lru_cache(maxsize=1)(desk.passphrase_from(passphrase_file))


def _letter(path: Path) -> bytes:
    return files.read_capped(path, max_bytes=MAX_LETTER_BYTES)


def _moment(words: str, option: str) -> datetime:
    try:
        at = datetime.fromisoformat(words)
    except ValueError as error:
        raise UsageError(f"{option} {words!r} is not a time, expected one like 2026-11-28T12:00:00Z") from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _recipient(path: Path) -> Recipient:
    text = files.read_capped(path, max_bytes=MAX_KEY_FILE_BYTES).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise UsageError(f"{path} holds {len(lines)} keys, expected one")
    return parse_recipients(lines)[0]
