"""`lamppost city`: found a city, keep it fresh, change who speaks for it.

The root ceremony takes as many machines as there are officials: each makes a key
at home (`key`), one person collects the cards (`init`), the draft goes round
(`sign`), and whoever runs the backend publishes it. No command holds all keys.
"""

from pathlib import Path
from typing import Annotated

import typer

from agent.core.policy.charter import canonical_charter, read_charter_toml
from agent.core.policy.words import write_instant
from agent.errors import UsageError
from provisioning.authority import desk
from provisioning.authority.city import CityFolder, prepare_city, read_city
from provisioning.authority.city import refresh as refresh_city
from provisioning.authority.draft_signing import check_draft
from provisioning.authority.drafting import draft_succession
from provisioning.authority.keys import KeyCard, adopt_token, make_key
from provisioning.authority.summary import pages_of
from provisioning.authority.trust import root_fingerprint, trust_city, trusted_root
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)

CardsOption = Annotated[list[Path], typer.Option("--card", help="A key card, or a key folder; once for each office.")]


@app.command()
def key(
    office: Annotated[str, typer.Option(help="Id of the office in the charter, such as police-chief.")],
    name: Annotated[str, typer.Option(help="Your name, as it will be published.")],
    out: Annotated[Path, typer.Option(help="The key folder to make.")],
    *,
    token: Annotated[
        str | None, typer.Option(help="Use a hardware token or key service instead of a file: hsm:, gcpkms:…, …")
    ] = None,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Make your own key, on your own machine; send its card.json to whoever founds the city."""
    if token is None:
        passphrase = desk.passphrase_from(passphrase_file, twice=True)()
        card = make_key(out, office=office, name=name, passphrase=passphrase)
    else:
        card = adopt_token(out, office=office, name=name, uri=token)
    desk.say(f"made a key for {card.name} ({card.office})")
    desk.say(f"fingerprint: {card.fingerprint}")
    desk.say(f"send {out / 'card.json'} to whoever founds the city; never send anything else from that folder")


@app.command()
def init(
    charter: Annotated[Path, typer.Option(help="The city's charter, as TOML.")],
    card: CardsOption,
    out: Annotated[Path, typer.Option(help="The city's folder to make, at the backend.")],
    *,
    draft: Annotated[
        Path | None, typer.Option(help="Where to write the founding draft; OUT.draft if not given.")
    ] = None,
) -> None:
    """Prepare a city: its backend's own keys, and the founding draft for the officials to sign."""
    target = draft or out.with_name(f"{out.name}.draft")
    if target.exists():
        raise UsageError(f"{target} exists already", hint="choose another name, or move the old one away first")
    law = read_charter_toml(desk.read_text(charter))
    proposed = prepare_city(CityFolder(path=out), law, tuple(KeyCard.read(path) for path in card), now=utc_now())
    checked = check_draft(proposed, None, now=utc_now())
    desk.show_pages(pages_of(checked))
    desk.say(f"fingerprint of the city: {root_fingerprint(proposed.metadata['root'])}")
    desk.write_draft(target, proposed)
    desk.show_standings(checked)


app.command("show")(desk.show)
app.command("sign")(desk.sign)
app.command("publish")(desk.publish_draft)


@app.command()
def trust(
    city: desk.CityOption,
    key: desk.KeyOption,
    *,
    fingerprint: Annotated[
        str | None, typer.Option(help="What you were told; it must be this, digit for digit.")
    ] = None,
    yes: desk.YesOption = False,
) -> None:
    """Let your key folder trust a city that you did not found; compare the fingerprint with someone who did."""
    root = read_city(CityFolder(path=city)).first_root
    found = root_fingerprint(root)
    if fingerprint is not None and fingerprint.replace(" ", "") != found.replace(" ", ""):
        raise UsageError(f"the city has fingerprint {found}, you were told {fingerprint}")
    if trusted_root(key) is None:
        desk.say(f"fingerprint of the city: {found}")
        if fingerprint is None:
            desk.confirm("Is this what you were told?", yes=yes)
    trust_city(key, root)
    desk.say(f"{key} trusts this city")


@app.command()
def succeed(
    city: desk.CityOption,
    out: Annotated[Path, typer.Option(help="Where to write the draft; must not exist yet.")],
    *,
    card: Annotated[list[Path] | None, typer.Option(help="Key card of a new holder of an office.")] = None,
    charter: Annotated[Path | None, typer.Option(help="The revised charter, as TOML.")] = None,
) -> None:
    """Draft a change of who holds an office, or of the charter, for the old and new officials to sign.

    With neither, it renews what root and targets say before they expire.
    """
    if not card and charter is None:
        desk.say("nobody and nothing changes: root and targets are signed anew, for another three years")
    law = None if charter is None else canonical_charter(read_charter_toml(desk.read_text(charter)))
    cards = tuple(KeyCard.read(path) for path in card or ())
    proposed = draft_succession(read_city(CityFolder(path=city)), cards, law, now=utc_now())
    checked = check_draft(proposed, None, now=utc_now())
    desk.show_pages(pages_of(checked))
    desk.write_draft(out, proposed)
    desk.show_standings(checked)


@app.command()
def refresh(city: desk.CityOption) -> None:
    """Vouch anew for what is published; run it daily, for cameras go dark when they hear nothing."""
    folder = CityFolder(path=city)
    renewed = refresh_city(folder, now=utc_now())
    desk.say(f"{folder.bundle_path} is fresh until {write_instant(renewed.timestamp.signed.expires)}")
