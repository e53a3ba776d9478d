"""`lamppost evidence`: hand footage to those the law names, and verify what was handed over.

`export` makes a folder for a court; `verify` says, offline and without keys, whether such
a folder is what it says, and if not, which kind of no; each kind has an exit status.
`open` writes what is sealed in it, for who it is sealed to.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from agent.core.log.note import MAX_NOTE_BYTES, VerifierKey, parse_verifier_key
from agent.core.policy.words import write_instant
from agent.core.sealing.age_file import open_stream
from agent.core.sealing.recipients import Recipient, parse_recipient
from agent.errors import EvidenceError, UsageError
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.keys import check_passphrase, open_key
from provisioning.authority.trust import trusted_root
from provisioning.clock import precise_now, utc_now
from provisioning.evidence import exhibit as layout
from provisioning.evidence.authority import Authority
from provisioning.evidence.chain import merge_cosignatures
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.credentials import LIFE, ROOT, Credential, make_credential, open_credential
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.export import export as make_export
from provisioning.evidence.judging import Judgement, judge, kind_of, verdict
from provisioning.evidence.order import Custodian, Order, Sources
from provisioning.evidence.paper import printed
from provisioning.evidence.statement import Statement
from provisioning.footage.private_file import private_file
from provisioning.identity_file import read_identities

app = typer.Typer(no_args_is_help=True)

MAX_KEY_FILE_BYTES = 16 * 1024
DEFAULT_DAYS = 90  # the longest any footage is kept without a hold (SL-3.11): what was shared does not outlive it
TERMS = "Only for this case, by the party named here; not to be passed on; destroyed when the case or the term ends."
_CERTIFICATE_KEY = "the certificate's key"

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that was handed over.")]
WitnessOption = Annotated[list[str] | None, typer.Option("--witness", help="A witness's key: name+id+key, or a file.")]


@app.command()
def export(  # noqa: PLR0913 - what, why, for whom, under which rule, and where everything lies
    place: Annotated[Path, typer.Argument(metavar="PLACE", help="A folder or a card with sealed segments.")],
    *,
    camera: Annotated[str, typer.Option("--camera", help="Whose footage.")],
    case: Annotated[str, typer.Option("--case", help="The case's number.")],
    start: Annotated[str, typer.Option("--from", help="Beginning of the span, such as 2026-11-28T12:00:00Z.")],
    end: Annotated[str, typer.Option("--to", help="End of the span.")],
    to_party: Annotated[str, typer.Option("--to-party", help="The row of the table of sharing.")],
    party: Annotated[str, typer.Option("--party", help="Who receives it, by name (JC-1).")],
    reason: desk.ReasonOption,
    recipient: Annotated[str, typer.Option("--recipient", help="The party's age recipient: a file, or age1….")],
    identity: Annotated[Path, typer.Option("--identity", help="What opens the footage of that day.")],
    city: desk.CityOption,
    key: desk.KeyOption,
    log_key: Annotated[str, typer.Option("--log-key", help="The key of the camera's log: name+id+key, or a file.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to make; must not exist yet.")],
    basis: Annotated[str | None, typer.Option("--basis", help="What the row asks for, such as subpoena.")] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Which one; the case if not given.")] = None,
    log: Annotated[Path | None, typer.Option("--log", help="The camera's log; PLACE/log if not given.")] = None,
    witnessed: Annotated[
        list[Path] | None, typer.Option("--witnessed", help="A checkpoint that a witness cosigned; more of the same.")
    ] = None,
    witness: WitnessOption = None,
    city_log: Annotated[Path | None, typer.Option("--city-log", help="The city's log; CITY/log if not given.")] = None,
    terms: Annotated[str, typer.Option("--terms", help="What the party may do with it.")] = TERMS,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="For how long.")] = DEFAULT_DAYS,
    credential: Annotated[
        Path | None,
        typer.Option("--credential", help="The folder of `certificate`: put content credentials on the video."),
    ] = None,
    credential_passphrase_file: Annotated[
        Path | None, typer.Option(help="As --passphrase-file, for the certificate's key.")
    ] = None,
    pdf: Annotated[bool, typer.Option(help="The report as a PDF too.")] = True,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
) -> None:
    """Make a folder for a court: the video, the sealed segments, the proofs, a signed statement, a report."""
    published, card = desk.city_trusted_by(key, city)
    now = utc_now()
    order = Order(
        case=case,
        reason=reason,
        camera_id=camera,
        starts_at=_moment(start, "--from"),
        ends_at=_moment(end, "--to"),
        row=to_party,
        basis=basis,
        reference=reference or case,
        party=party,
        recipient=_recipient(recipient),
        terms=terms,
        expires_at=now + timedelta(days=days),
    )
    if order.starts_at >= order.ends_at:
        raise UsageError(f"--from {start} is not before --to {end}")
    sources = Sources(
        place=place,
        log=log or place / "log",
        log_key=_verifier_key(log_key),
        witnessed=merge_cosignatures([files.read_capped(each, max_bytes=MAX_NOTE_BYTES) for each in witnessed])
        if witnessed
        else None,
        witnesses=tuple(map(_verifier_key, witness or ())),
    )
    desk.say(f"hands {camera}, {start} to {end}, to {party} as {to_party}, for case {case}")
    desk.say("the city's own log will say so, also if this is not finished")
    desk.confirm("Export this?", yes=yes)
    statement = make_export(
        order,
        authority=Authority(published),
        custodian=Custodian(
            card=card,
            unlock=lambda: open_key(key, desk.passphrase_from(passphrase_file)),
            identities=lambda: read_identities(identity),
            credential=None if credential is None else partial(_credential, credential, credential_passphrase_file),
        ),
        city_log=CityLog(city_log or _log_beside(city)),
        sources=sources,
        out=out,
        now=now,
        paper=printed if pdf else None,
        say=desk.say,
    )
    _tell_export(out, statement)


@app.command()
def certificate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make; must not exist yet.")],
    *,
    city: desk.CityOption,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Make the city's evidence certificate, which signs content credentials (C2PA) on exported video."""
    name = Authority(read_city(CityFolder(path=city))).charter.city
    passphrase = desk.passphrase_from(passphrase_file, of=_CERTIFICATE_KEY, twice=True)()
    check_passphrase(passphrase)
    made = make_credential(folder, city=name, passphrase=passphrase, now=utc_now())
    desk.say(f"wrote {folder}: publish {folder / ROOT}, so that others can tell that a video is from {name}")
    desk.say(f"it signs for {LIFE.days // 365} years; its SHA-256 is {made.fingerprint}")


@app.command()
def verify(  # noqa: PLR0913 - what a reader may know from elsewhere
    folder: FolderArgument,
    *,
    identity: Annotated[
        Path | None, typer.Option("--identity", help="Also open it, with the party's identity.")
    ] = None,
    city: Annotated[Path | None, typer.Option("--city", help="The city as you know it: its folder or bundle.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The city that this key folder trusts.")] = None,
    witness: WitnessOption = None,
    witnesses_needed: Annotated[
        int, typer.Option(min=1, help="How many of the witnesses must have seen the camera's log.")
    ] = 1,
    log_key: Annotated[
        str | None, typer.Option("--log-key", help="The key of the camera's log, as you know it.")
    ] = None,
    as_json: desk.JsonOption = False,
) -> None:
    """Say whether a folder is the evidence it claims to be, and if not, which kind of no; offline."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    judgement = judge(
        Exhibit(folder),
        identities=() if identity is None else read_identities(identity),
        trusted_root=_trusted_root(city, key),
        witnesses=tuple(map(_verifier_key, witness or ())),
        witnesses_needed=witnesses_needed,
        log_key=None if log_key is None else _verifier_key(log_key),
        now=precise_now(),
    )
    if as_json:
        desk.write_json(_told(judgement))
    else:
        for holds in judgement.holds:
            desk.say(f"holds: {holds}")
        for remark in judgement.remarks:
            desk.say(f"remark: {remark}")
        for finding in judgement.findings:
            desk.say(f"{kind_of(finding)}: {finding}")
    if (no := verdict(judgement)) is not None:
        refusal = EvidenceError(f"{folder} is not what it claims to be: {kind_of(no)}: {no}", hint=no.hint)
        refusal.exit_status = no.exit_status
        raise refusal
    desk.say(f"{folder} is what it claims to be")


@app.command("open")
def open_(
    folder: FolderArgument,
    *,
    identity: Annotated[Path, typer.Option("--identity", help="The receiving party's identity.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the video and the report; made if missing.")],
) -> None:
    """Open the video and the report with pictures, as who received the folder; `age -d` does the same."""
    identities = read_identities(identity)
    files.make_folder(out, mode=files.PRIVATE_FOLDER)
    there = Exhibit(folder).names()
    for sealed in (layout.FOOTAGE, layout.SEALED_REPORT, *({layout.SEALED_PAPER} & there)):
        path = out / sealed.removesuffix(".age")
        with private_file(path, replace=False) as file:
            for part in open_stream(Exhibit(folder).blocks(sealed), identities):
                file.write(part)
        desk.say(f"wrote {path}")


def _credential(folder: Path, passphrase_file: Path | None) -> Credential:
    return open_credential(folder, desk.passphrase_from(passphrase_file, of=_CERTIFICATE_KEY)())


def _told(judgement: Judgement) -> dict[str, object]:
    no = verdict(judgement)
    return {
        "verdict": "holds" if no is None else kind_of(no),
        "findings": [
            {"kind": kind_of(finding), "message": str(finding), "exit_status": finding.exit_status}
            for finding in judgement.findings
        ],
        "remarks": judgement.remarks,
        "holds": judgement.holds,
        "city_root": judgement.root,
    }


def _tell_export(out: Path, statement: Statement) -> None:
    footage = statement.footage
    desk.say(
        f"wrote {out}: {statement.camera}, {footage.starts_at:%Y-%m-%d %H:%M:%S} to {footage.ends_at:%H:%M:%S} UTC,"
        f" {footage.frames} pictures from {len(statement.segments)} segments,"
        f" for {statement.party.name} until {write_instant(statement.terms.expires_at)}"
    )
    for gap in statement.gaps:
        length = (gap.ends_at - gap.starts_at).total_seconds()
        desk.say(f"gap: {length:.0f} s without footage from {gap.starts_at:%Y-%m-%d %H:%M:%S} UTC; {gap.why}")
    if statement.log.witnessed_leaves <= statement.log.last_leaf:
        desk.say("remark: no witness has seen all of the log that this rests on; `verify` will say so")


def _log_beside(city: Path) -> Path:
    if city.is_file():
        raise UsageError("a bundle has no log beside it", hint="say where the city's own log is: --city-log FOLDER")
    return city / "log"


def _trusted_root(city: Path | None, key: Path | None) -> bytes | None:
    if city is not None:
        return read_city(CityFolder(path=city)).first_root
    return None if key is None else trusted_root(key)


def _moment(words: str, option: str) -> datetime:
    try:
        at = datetime.fromisoformat(words)
    except ValueError as error:
        raise UsageError(f"{option} {words!r} is not a time, expected one like 2026-11-28T12:00:00Z") from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _recipient(words: str) -> Recipient:
    return parse_recipient(_text_or_file(words, "age1"))


def _verifier_key(words: str) -> VerifierKey:
    text = words if "+" in words and not Path(words).exists() else _text_or_file(words, "")
    return parse_verifier_key(text)


def _text_or_file(words: str, prefix: str) -> str:
    """Return `words` if they begin with `prefix`, else the first line of the file they name that says something."""
    if prefix and words.startswith(prefix):
        return words
    text = files.read_capped(Path(words), max_bytes=MAX_KEY_FILE_BYTES).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise UsageError(f"{words} holds {len(lines)} keys, expected one")
    return lines[0]
