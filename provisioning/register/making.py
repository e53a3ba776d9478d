"""Make the register's files from what it is made of, and read from its files what it was made of.

    OUT/index.html, sites/<site>.html, …      pages; `render` makes them, and a verifier makes them again
    OUT/sites/<site>.json, register.csv, …    the same for machines
    OUT/check.js, proofs.js, schemas/…        the same in every register
    OUT/signed/metadata/…, targets/…          the city's metadata and charters, under the names that TUF clients ask for
    OUT/signed/city.bundle                    what of them is in force, as one file, for the browser
    OUT/signed/extracts/<sha256>.json         what the public may see of each document
    OUT/signed/outline.geojson                the city's outline, if it gave one
    OUT/register.json, register.sig           the claims, and the digest of every other file

Pure.
"""

from collections.abc import Mapping
from importlib import resources

from agent.core.bundle import encode_bundle
from agent.errors import RegisterError
from provisioning.authority.published import first_root_of, verify_metadata
from provisioning.register.claims import REGISTER, SIGNATURE, SignedRegister, digest
from provisioning.register.history import charter_url
from provisioning.register.machines import machine_files
from provisioning.register.made_of import Ingredients, Register
from provisioning.register.pages import changes_page, law_page, list_pages, proof_page
from provisioning.register.site_page import by_site

SIGNED = "signed/"
BUNDLE = f"{SIGNED}city.bundle"
EXTRACTS = f"{SIGNED}extracts/"
OUTLINE = f"{SIGNED}outline.geojson"
STATIC = (
    ("check.js", "register/check.js"),
    ("proofs.js", "evidence/proofs.js"),
    *((f"schemas/{name}", f"register/schemas/{name}") for name in ("geojson.schema.json", "site.schema.json")),
    *((f"schemas/{name}", f"register/schemas/{name}") for name in ("dtpr.schema.json", "register.schema.json")),
    ("schemas/register.csv-metadata.json", "register/schemas/register.csv-metadata.json"),
)

Files = Mapping[str, bytes]


def render(register: Register, ingredients: Ingredients) -> dict[str, bytes]:
    """Return every file of a register but its claims and their signature, by path.

    Args:
        register: What follows from the ingredients.
        ingredients: What it is made of, which lies beside the pages.
    """
    pages = {
        **list_pages(register, ingredients.outline),
        "changes.html": changes_page(register),
        "law.html": law_page(register),
        "proof.html": proof_page(register),
        **by_site(register),
    }
    return {**pages, **machine_files(register, pages), **_static(), **_signed(ingredients)}


def ingredients_in(files: Files, register: SignedRegister) -> Ingredients:
    """Return what a register was made of, from its files.

    Args:
        files: At least those below `signed/`.
        register: Its claims.
    """
    release = {
        path.removeprefix(SIGNED): raw
        for path, raw in files.items()
        if path.startswith((f"{SIGNED}metadata/", f"{SIGNED}targets/"))
    }
    extracts = {
        path.removeprefix(EXTRACTS).removesuffix(".json"): raw
        for path, raw in files.items()
        if path.startswith(EXTRACTS)
    }
    return Ingredients(release=release, extracts=extracts, claims=register.claims, outline=files.get(OUTLINE))


def listed(ingredients: Ingredients, files: Files) -> SignedRegister:
    """Return what is signed of a register: its claims, and the digest of each of its files."""
    return SignedRegister(
        claims=ingredients.claims, files={path: digest(content) for path, content in sorted(files.items())}
    )


def refuse_other_files(register: SignedRegister, names: set[str]) -> None:
    """Pass if a register has the files it lists, and no others.

    Raises:
        RegisterError: One is missing, or was added.
    """
    present = names - {REGISTER, SIGNATURE}
    for name in sorted(set(register.files) - present):
        raise RegisterError(f"{name} is missing")
    for name in sorted(present - set(register.files)):
        raise RegisterError(f"{name} was added: the city's register has no such file")


def _signed(ingredients: Ingredients) -> dict[str, bytes]:
    walked = verify_metadata(ingredients.release, first_root_of(ingredients.release))
    snapshot = walked.snapshot.signed
    in_force = [
        *(f"metadata/{root.signed.version}.root.json" for root in walked.roots),
        "metadata/timestamp.json",
        f"metadata/{snapshot.version}.snapshot.json",
        *(f"metadata/{meta.version}.{name}" for name, meta in snapshot.meta.items()),
        charter_url(walked.targets.signed),
    ]
    return {
        **{f"{SIGNED}{path}": raw for path, raw in ingredients.release.items()},
        **{f"{EXTRACTS}{name}.json": raw for name, raw in ingredients.extracts.items()},
        **({} if ingredients.outline is None else {OUTLINE: ingredients.outline}),
        BUNDLE: encode_bundle({path: ingredients.release[path] for path in in_force}),
    }


def _static() -> dict[str, bytes]:
    web = resources.files("provisioning.web")
    return {name: web.joinpath(source).read_bytes() for name, source in STATIC}
