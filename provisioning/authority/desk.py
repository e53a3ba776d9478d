"""What every command at an official's or operator's desk does: ask, show, confirm, read and write drafts.

People read stderr; stdout is for programs. A secret comes from a file or is typed
without echo; it is never an argument, because arguments show in `ps` and histories.
"""

import getpass
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.core.policy.documents import Document, canonical_document
from agent.core.policy.words import write_instant
from agent.errors import SignatureError, UsageError
from provisioning.authority import files
from provisioning.authority.city import CityFolder, publish, read_city
from provisioning.authority.cross_check import documents_of, path_of
from provisioning.authority.draft import MAX_DRAFT_BYTES, Draft
from provisioning.authority.draft_signing import CheckedDraft, check_draft, sign_draft
from provisioning.authority.drafting import draft_documents
from provisioning.authority.keys import KeyCard, open_key
from provisioning.authority.published import PublishedCity
from provisioning.authority.summary import Page, drawn_zones, pages_of, zones_svg
from provisioning.authority.trust import root_fingerprint, trust_city, trusted_root
from provisioning.clock import utc_now
from provisioning.words import words

MAX_PASSPHRASE_BYTES = 4096
MAX_SPEC_BYTES = 1024 * 1024

CityOption = Annotated[Path, typer.Option("--city", help="The city's folder, or a copy of its policy.bundle.")]
KeyOption = Annotated[Path, typer.Option("--key", help=words("options.key"))]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(help=words("options.passphrase_file")),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help=words("options.yes"))]
JsonOption = Annotated[bool, typer.Option("--json", help=words("options.json"))]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=words("options.dry_run"))]
DraftArgument = Annotated[Path, typer.Argument(help="The draft file.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Where to write the draft; must not exist yet.")]
PublishOption = Annotated[bool, typer.Option("--publish", help="Publish at once; the city's folder must be here.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in writing; it is published (JC-12).")]
StartsOption = Annotated[str | None, typer.Option("--starts-at", help="When it takes effect; at once if not given.")]


def say(words: str) -> None:
    """Tell a person something."""
    sys.stderr.write(f"{words}\n")


def write_json(value: object) -> None:
    """Tell a program something."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def passphrase_from(file: Path | None, *, of: str = "your key", twice: bool = False) -> Callable[[], str]:
    """Return what asks for a passphrase: a file's first line, or a person, who types a new one twice."""

    def ask() -> str:
        if file is not None:
            lines = files.read_capped(file, max_bytes=MAX_PASSPHRASE_BYTES).decode("utf-8", "replace").splitlines()
            return lines[0] if lines else ""
        if not sys.stdin.isatty():
            raise UsageError("there is nobody to ask for the passphrase", hint="--passphrase-file FILE")
        first = getpass.getpass(f"Passphrase of {of}: ", stream=sys.stderr)
        if twice and getpass.getpass("Again: ", stream=sys.stderr) != first:
            raise UsageError("the two passphrases differ")
        return first

    return ask


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if a person wants to.

    Raises:
        UsageError: They do not, or nobody is there to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(words("ask.nobody"), hint=words("ask.nobody_hint"))
    if not typer.confirm(question, err=True):
        raise UsageError(words("ask.nothing_done"))


def show_pages(pages: Iterable[Page]) -> None:
    """Show plain language to a person."""
    console = _console()
    for page in pages:
        table = Table(title=page.title, title_justify="left", title_style="bold", show_header=False, box=None)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for label, said in page.lines:
            table.add_row(label, said)
        console.print(table)


def show_standings(checked: CheckedDraft) -> None:
    """Show who has signed a draft and who is missing."""
    table = Table(title="Signatures", title_justify="left", title_style="bold", box=None)
    for heading in ("part", "needed", "signed", "missing"):
        table.add_column(heading, overflow="fold")
    for standing in checked.standings:
        missing = "" if standing.complete else ", ".join(map(str, standing.missing))
        signed = ", ".join(map(str, standing.signed))
        table.add_row(standing.role, str(standing.threshold), signed or "nobody yet", missing or "nobody")
    _console().print(table)


def show_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a table to a person."""
    table = Table(*headings, title=title, title_justify="left", title_style="bold", box=None)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def read_draft(path: Path) -> Draft:
    """Return the draft in the file at `path`; nothing in it is verified yet."""
    return Draft.parse(files.read_capped(path, max_bytes=MAX_DRAFT_BYTES))


def read_text(path: Path) -> str:
    """Return the text a person wrote in the file at `path`.

    Raises:
        UsageError: It is not UTF-8.
    """
    try:
        return files.read_capped(path, max_bytes=MAX_SPEC_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text") from error


def cameras_named(words: Sequence[str]) -> str | list[str]:
    """Return the cameras that `words` name, as documents do: "all", or ids."""
    return "all" if list(words) == ["all"] else list(words)


def read_picture(words: str) -> dict[str, object]:
    """Return the fields of a picture written as "720@10".

    Raises:
        UsageError: It is not of that form.
    """
    lines, _, rate = words.partition("@")
    if not (lines.isdecimal() and rate.isdecimal()):
        raise UsageError(f"{words!r} is no picture, expected LINES@RATE such as 720@10")
    return {"max_height_px": int(lines), "max_rate_hz": int(rate)}


def city_trusted_by(key: Path, city: Path) -> tuple[PublishedCity, KeyCard]:
    """Return the city at `city`, if it is the one that the key folder `key` trusts, and the folder's card.

    Raises:
        SignatureError: It trusts another, or none.
    """
    root = trusted_root(key)
    if root is None:
        raise SignatureError(
            f"{key} trusts no city yet", hint=f"compare the fingerprint, then: lamppost city trust --key {key}"
        )
    return read_city(CityFolder(path=city), root), KeyCard.read(key)


def draft_of(city: PublishedCity, documents: Iterable[Document], withdrawn: tuple[str, ...] = ()) -> Draft:
    """Return the unsigned draft of `documents`, cross-checked against the charter."""
    contents = {path_of(document): canonical_document(document) for document in documents}
    return draft_documents(city, contents, withdrawn, now=utc_now())


def enact(  # noqa: PLR0913 - one parameter for each word of the commands that share it
    city: PublishedCity,
    documents: Iterable[Document],
    *,
    withdrawn: tuple[str, ...] = (),
    city_path: Path,
    key: Path,
    passphrase_file: Path | None,
    out: Path | None,
    publish_now: bool,
    yes: bool,
) -> None:
    """Draft and sign what one office may do alone, then publish it or write it for the operator to publish."""
    if publish_now == (out is not None):
        raise UsageError("the signed draft must go somewhere", hint="either --out FILE or --publish")
    draft = draft_of(city, documents, withdrawn)
    root = trusted_root(key)
    show_pages(pages_of(check_draft(draft, root, now=utc_now())))
    confirm("Sign this?", yes=yes)
    signed = sign_draft(draft, open_key(key, passphrase_from(passphrase_file)), root, now=utc_now())
    if out is not None:
        write_draft(out, signed)
    if publish_now:
        publish_signed(signed, city_path)


def write_draft(path: Path, draft: Draft) -> None:
    """Write a new draft file and tell where."""
    files.write_new(path, draft.dump())
    say(f"wrote {path}")


def publish_signed(draft: Draft, city: Path) -> None:
    """Publish a draft at the backend and tell what is in force."""
    folder = CityFolder(path=city)
    published = publish(folder, draft, now=utc_now())
    say(f"published; {folder.bundle_path} vouched for at {write_instant(published.signed_at)}")


# --- commands that several command files offer under their own name ------------------


def show(
    draft: DraftArgument,
    *,
    key: Annotated[Path | None, typer.Option("--key", help="Check it against the city this key folder trusts.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a picture of the zones here, as SVG.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say on one page what a draft would do, who has signed it, and who is missing."""
    checked = check_draft(read_draft(draft), None if key is None else trusted_root(key), now=utc_now())
    pages = pages_of(checked)
    if picture is not None:
        _write_picture(picture, checked)
    if as_json:
        write_json(_told(checked, pages))
        return
    show_pages(pages)
    show_standings(checked)


def sign(
    draft: DraftArgument,
    key: KeyOption,
    *,
    passphrase_file: PassphraseOption = None,
    yes: YesOption = False,
) -> None:
    """Check a draft, show it, and put your signature into the file."""
    proposed = read_draft(draft)
    root = trusted_root(key)
    checked = check_draft(proposed, root, now=utc_now())
    card = KeyCard.read(key)
    if any(holder.keyid == card.key.keyid for holder in checked.signed) and not any(
        holder.keyid == card.key.keyid for standing in checked.standings for holder in standing.missing
    ):
        say(f"{card.name} has signed already; nothing to do")
        return
    show_pages(pages_of(checked))
    if proposed.founding:
        say(f"fingerprint of the city: {root_fingerprint(proposed.metadata['root'])}")
    confirm(f"Sign this as {card.name} ({card.office})?", yes=yes)
    signed = sign_draft(proposed, open_key(key, passphrase_from(passphrase_file)), root, now=utc_now())
    if proposed.founding:
        trust_city(key, signed.metadata["root"])
    files.write_whole(draft, signed.dump())
    again = check_draft(signed, trusted_root(key), now=utc_now())
    show_standings(again)


def publish_draft(draft: DraftArgument, city: CityOption, *, yes: YesOption = False) -> None:
    """Publish a fully signed draft at the backend and renew the bundle."""
    proposed = read_draft(draft)
    checked = check_draft(proposed, None, now=utc_now())
    show_pages(pages_of(checked))
    show_standings(checked)
    confirm("Publish this?", yes=yes)
    publish_signed(proposed, city)


def _told(checked: CheckedDraft, pages: Sequence[Page]) -> dict[str, object]:
    return {
        "created_at": write_instant(checked.draft.created_at),
        "documents": {path: json.loads(raw) for path, raw in checked.draft.documents.items()},
        "withdrawn": list(checked.draft.withdrawn),
        "pages": [{"title": page.title, "lines": [list(line) for line in page.lines]} for page in pages],
        "parts": [
            {
                "role": standing.role,
                "threshold": standing.threshold,
                "signed": [holder.office for holder in standing.signed],
                "missing": [] if standing.complete else [holder.office for holder in standing.missing],
            }
            for standing in checked.standings
        ],
        "complete": all(standing.complete for standing in checked.standings),
    }


def _write_picture(path: Path, checked: CheckedDraft) -> None:
    for document in documents_of(checked.draft.documents).values():
        drawn = drawn_zones(document)
        if drawn is not None:
            view, zones = drawn
            files.write_whole(path, zones_svg(zones, view, title=f"Private areas of {document.id}").encode())
            say(f"wrote {path}")
            return
    raise UsageError("this draft draws no zones, so there is no picture")


def _console() -> Console:
    # What a document says is shown as it is: "[red]" in a written reason is four letters and two brackets.
    return Console(stderr=True, highlight=False, markup=False, emoji=False)
