"""Verify a register: what it is made of, who signed it, and every file of it.

1. its metadata, from the first root on; which root that is, is for the reader to compare
2. the claims, signed with a key that this root gives the city's backend
3. each extract by the digest that the offices signed, each place by its commitment
4. each camera's attestation: the camera's signature, the witness's, the last entry's place in the tree
5. each file by the digest in the claims, and none beside them
6. each page and file, made again from 1 to 4 and compared byte for byte

What does not hold is refused with the file and, in a page, the sentence. Pure: files in, what was found out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from agent.core.log.checkpoint import log_key, open_checkpoint, witnessed_at
from agent.core.log.leaf import parse_leaf
from agent.core.log.merkle import leaf_hash, verify_inclusion
from agent.core.log.note import parse_verifier_key
from agent.core.policy.documents import Grant
from agent.errors import RegisterError
from provisioning.authority.cross_check import documents_of
from provisioning.authority.extract import Precision, digest_of, place_of, public_extract
from provisioning.authority.keys import fingerprint
from provisioning.authority.published import PublishedCity, first_root_of, verify_metadata
from provisioning.register.claims import REGISTER, SIGNATURE, Attestation, Claims, SignedRegister, digest, open_register
from provisioning.register.frame import texts
from provisioning.register.made_of import city_name, register_of, timestamp_keys
from provisioning.register.making import Files, ingredients_in, refuse_other_files, render
from provisioning.register.sentences import count, day_and_time

MOST_SHOWN = 300  # characters of a sentence that differs


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found of a register that holds.

    Attributes:
        claims: What it claims.
        root: Fingerprint of the city's first root, to be compared with one that is known.
        holds: What was verified, a sentence each.
        remarks: What a reader should know besides.
    """

    claims: Claims
    root: str
    holds: tuple[str, ...]
    remarks: tuple[str, ...]


def verify(
    files: Files, *, software: str, now: datetime, root: str | None = None, city: PublishedCity | None = None
) -> Verified:
    """Return what was found of the register in `files`, by path.

    Args:
        files: All of them.
        software: Version of this program: another one may word a page otherwise.
        now: Current UTC time.
        root: Fingerprint that the city's first root must have; None for any.
        city: The city itself, for whoever has it; then extracts are compared with the documents.

    Raises:
        RegisterError: Something does not hold.
        PolicyError: What officials signed does not hold.
        LogError: What a camera attested does not hold.
    """
    try:
        register = _signed_register(files, root)
    except KeyError as error:
        raise RegisterError(f"{error.args[0]} is missing") from error
    refuse_other_files(register, set(files))
    claims = register.claims
    same_words = claims.software == software
    ingredients = ingredients_in(files, register)
    found = register_of(ingredients)
    made = _made(files, register, again=render(found, ingredients) if same_words else None)
    attested = [one for one in claims.cameras if one.attestation is not None]
    for one in attested:
        if one.attestation is not None:
            _verify_attestation(one.camera, one.attestation)
    if city is not None:
        _compare(city, ingredients.extracts, claims)
    in_force, past = len(found.policy.documents), len(found.publications)
    holds = [
        f"{claims.city} signed this register on {day_and_time(claims.made_at)}",
        f"{count(in_force, 'document')} in force, each signed by its offices; {count(past, 'publication')} of history",
        *([] if city is None else ["each public extract is what the document says"]),
        f"{count(len(attested), 'camera')} signed a log whose last entry is shown, and a witness saw it",
        f"{count(made, 'file')}, byte for byte what was signed" + (", and made again from it" if same_words else ""),
    ]
    return Verified(
        claims=claims,
        root=fingerprint(claims.root),
        holds=tuple(holds),
        remarks=tuple(_remarks(found.fresh_until, claims, software, now)),
    )


def _signed_register(files: Files, root: str | None) -> SignedRegister:
    metadata = {path.removeprefix("signed/"): raw for path, raw in files.items() if path.startswith("signed/metadata/")}
    walked = verify_metadata(metadata, first_root_of(metadata))
    mine = city_name(walked.roots[0])
    if root is not None and root.replace(" ", "") not in {mine, fingerprint(mine).replace(" ", "")}:
        raise RegisterError(
            f"this is the register of another city: its first root has fingerprint {fingerprint(mine)}",
            hint="compare the fingerprint that you were given",
        )
    return open_register(files[REGISTER], files[SIGNATURE], timestamp_keys(walked))


def _made(files: Files, register: SignedRegister, again: Files | None) -> int:
    """Return how many files are what was signed and, where `again` is known, what follows from what was signed."""
    for name, expected in sorted(register.files.items()):
        if again is not None and name in again and files[name] != again[name]:
            raise RegisterError(
                f"{name} is not what the signed documents say{_difference(name, files[name], again[name])}"
            )
        if digest(files[name]) != expected:
            raise RegisterError(f"{name} is not the file that the city signed")
    if again is not None and (others := set(again) ^ set(register.files)):
        raise RegisterError(f"{min(others)} does not follow from the signed documents, or is not there")
    return len(register.files)


def _difference(name: str, found: bytes, expected: bytes) -> str:
    """Return in words where two pages part."""
    if not name.endswith(".html"):
        lines = zip_longest(found.splitlines(), expected.splitlines(), fillvalue=b"")
        line = next((number for number, (one, other) in enumerate(lines, 1) if one != other), 1)
        return f": line {line}"
    for one, other in zip_longest(texts(found), texts(expected), fillvalue=""):
        if one != other:
            return f": it says “{one[:MOST_SHOWN]}” where they say “{other[:MOST_SHOWN]}”"
    return ": its words are the same, something else is not"


def _verify_attestation(camera: str, attested: Attestation) -> None:
    """Return if a camera's attestation holds.

    Raises:
        LogError: It does not.
        RegisterError: It is another's.
    """
    key = parse_verifier_key(attested.log_key)
    if key != log_key(camera, key.public):
        raise RegisterError(f"the attestation of {camera} is by the key of {key.name}")
    content = attested.checkpoint.encode()
    checkpoint = open_checkpoint(content, key)
    for witness in attested.witnesses:
        witnessed_at(content, parse_verifier_key(witness))
    hashed = bytes.fromhex(attested.leaf_hash)
    verify_inclusion(
        index=checkpoint.size - 1,
        size=checkpoint.size,
        leaf=hashed,
        proof=[bytes.fromhex(one) for one in attested.proof],
        root=checkpoint.root,
    )
    if attested.leaf is None:
        return
    event = parse_leaf(attested.leaf.encode())
    if leaf_hash(attested.leaf.encode()) != hashed or event.kind != attested.last_kind:
        raise RegisterError(f"the last entry shown of {camera} is not the one that is in its log")


def _compare(city: PublishedCity, extracts: Files, claims: Claims) -> None:
    """Return if the register's extracts are those of the city's own documents.

    Raises:
        RegisterError: One is not, or is not there.
    """
    for path, document in documents_of(city.documents).items():
        raw = public_extract(city.documents[path])
        if extracts.get(digest_of(raw)) != raw:
            raise RegisterError(f"the register does not show {path} as the city has it", hint="build it again")
        if isinstance(document, Grant):
            place = place_of(document, Precision(claims.precision))
            if claims.places[path].place() != place:
                raise RegisterError(f"the register tells another place for {document.id}")


def _remarks(fresh_until: datetime, claims: Claims, software: str, now: datetime) -> Iterator[str]:
    if now >= fresh_until:
        yield f"it is old: cameras that heard nothing newer have been dark since {day_and_time(fresh_until)}"
    if claims.software != software:
        yield f"made by version {claims.software}; this is {software}, so the pages were not made again"
    if claims.city_log is None:
        yield "the city's own log was not at hand: nothing is said of footage handed over"
    silent = [one.camera for one in claims.cameras if one.attestation is None]
    if silent:
        yield f"nothing is attested by {', '.join(silent)}"
