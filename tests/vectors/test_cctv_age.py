"""Every C2SP CCTV age vector has exactly the outcome it names, except the kinds we refuse on purpose.

The vectors lie beside the checkout, or come from npm.
"""

import base64
import hashlib
import json
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.core.sealing.age_file import open_stream, read_header
from agent.core.sealing.recipients import Identity, parse_identities
from agent.errors import HeaderError, HeaderMacError, PayloadError, SealError, WrongIdentityError
from tests.tools.npm_package import install

TESTDATA = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "cctv-age" / "testdata"
PACKAGE = "cctv-age@0.2.0"
AS_JSON = """
import * as vectors from "cctv-age";
const texts = {};
for (const [name, file] of Object.entries(vectors.default ?? vectors)) {
    texts[name] = Buffer.from(file).toString("base64");
}
console.log(JSON.stringify(texts));
"""

OUTCOMES: dict[str, type[SealError] | None] = {
    "success": None,
    "header failure": HeaderError,
    "HMAC failure": HeaderMacError,
    "no match": WrongIdentityError,
    "payload failure": PayloadError,
}

# What another implementation may open and we refuse; agent/core/sealing/FORMAT.md says the same.
REFUSED = {
    "armor_": "footage is binary; a second spelling of every file is a second parser to attack",
    "scrypt": "footage is sealed to keys; a passphrase is guessed offline and spends the reader's memory",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    expect: str
    payload_sha256: str | None
    identities: tuple[Identity, ...]
    file: bytes


def parse(vector: bytes) -> Vector:
    head, _, file = vector.partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.decode().splitlines():
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    if fields.get("compressed") == ["zlib"]:
        file = zlib.decompress(file)
    identities = fields.get("identity")
    return Vector(
        expect=fields["expect"][0],
        payload_sha256=fields["payload"][0] if "payload" in fields else None,
        identities=parse_identities("\n".join(identities)) if identities else (),
        file=file,
    )


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Vector]:
    if TESTDATA.is_dir():
        return {path.name: parse(path.read_bytes()) for path in sorted(TESTDATA.iterdir())}
    folder = tmp_path_factory.mktemp("cctv-age")
    install(PACKAGE, folder)
    (folder / "vectors.mjs").write_text(AS_JSON)
    printed = subprocess.run(["node", str(folder / "vectors.mjs")], capture_output=True, timeout=120, check=True)
    return {name: parse(base64.b64decode(text)) for name, text in json.loads(printed.stdout).items()}


def blocks(file: bytes, size: int) -> Iterator[bytes]:
    return (file[at : at + size] for at in range(0, len(file), size))


def outcome(vector: Vector, block_bytes: int) -> tuple[type[SealError] | None, str]:
    """Return the error that opening raises, and the digest of what is released before it."""
    released = hashlib.sha256()
    try:
        for clear in open_stream(blocks(vector.file, block_bytes), vector.identities):
            released.update(clear)
    except SealError as error:
        return type(error), released.hexdigest()
    return None, released.hexdigest()


def matches(error: type[SealError] | None, expect: str) -> bool:
    expected = OUTCOMES[expect]
    if error is None or expected is None:
        return error is expected
    if expected is HeaderError:  # for us a broken MAC is a kind of it, for the vectors it is not
        return error is HeaderError
    return issubclass(error, expected)


def is_refused(name: str) -> bool:
    return name.startswith(tuple(REFUSED))


def test_all_vectors_are_here_and_most_are_not_refused(vectors: dict[str, Vector]) -> None:
    assert len(vectors) == 143
    assert sum(map(is_refused, vectors)) == 33 + 25


@pytest.mark.parametrize("block_bytes", [4093, 1 << 30])
def test_a_vector_has_the_outcome_it_names_and_releases_what_it_names(
    vectors: dict[str, Vector], block_bytes: int
) -> None:
    wrong = {}
    for name, vector in vectors.items():
        if is_refused(name):
            continue
        error, released = outcome(vector, block_bytes)
        if not matches(error, vector.expect) or vector.payload_sha256 not in (None, released):
            wrong[name] = (vector.expect, error, released)

    assert wrong == {}


def test_what_we_refuse_is_refused_as_a_header_and_releases_nothing(vectors: dict[str, Vector]) -> None:
    refused = {name: outcome(vector, 1 << 30) for name, vector in vectors.items() if is_refused(name)}

    nothing = hashlib.sha256().hexdigest()
    assert {
        name: (error, released)
        for name, (error, released) in refused.items()
        if error is None or not issubclass(error, HeaderError) or released != nothing
    } == {
        # One names no passphrase type we know ("Scrypt"), so that nobody opens it.
        "scrypt_uppercase": (WrongIdentityError, nothing),
    }


def test_a_header_that_parses_prints_as_the_same_bytes(vectors: dict[str, Vector]) -> None:
    whole = {
        name: vector.file
        for name, vector in vectors.items()
        if vector.expect != "header failure" and not name.startswith("armor_")
    }

    assert len(whole) == 50
    assert [name for name, file in whole.items() if not file.startswith(bytes(read_header([file])))] == []
