"""Every C2SP CCTV age vector has exactly the outcome it names, except the kinds we refuse on purpose."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.core.sealing.age_file import open_stream
from agent.core.sealing.recipients import Identity, parse_identities
from agent.errors import HeaderError, HeaderMacError, PayloadError, SealError, UnsupportedSealError, WrongIdentityError

TESTDATA = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "cctv-age" / "testdata"
NAMES = sorted(path.name for path in TESTDATA.iterdir()) if TESTDATA.is_dir() else []

OUTCOMES = {
    "header failure": HeaderError,
    "HMAC failure": HeaderMacError,
    "no match": WrongIdentityError,
    "payload failure": PayloadError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    expect: str
    payload_sha256: str
    identities: tuple[Identity, ...]
    passphrase: bool
    armored: bool
    file: bytes

    @property
    def refused(self) -> str | None:
        """Why we refuse what another implementation may open; FORMAT.md lists the same."""
        if self.armored:
            return "armor: footage is binary, and a second spelling of every file is a second parser to attack"
        if self.passphrase:
            return "scrypt: footage is sealed to keys; a passphrase is weaker and costs the reader's memory"
        return None


def read(name: str) -> Vector:
    head, _, file = (TESTDATA / name).read_bytes().partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.decode().splitlines():
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    if fields.get("compressed") == ["zlib"]:
        file = zlib.decompress(file)
    identities = fields.get("identity", [])
    return Vector(
        expect=fields["expect"][0],
        payload_sha256=fields.get("payload", [""])[0],
        identities=parse_identities("\n".join(identities)) if identities else (),
        passphrase="passphrase" in fields,
        armored=fields.get("armored") == ["yes"],
        file=file,
    )


def blocks(file: bytes, size: int) -> Iterator[bytes]:
    return (file[at : at + size] for at in range(0, len(file), size))


@pytest.mark.skipif(not NAMES, reason="the CCTV age vectors are not beside the checkout")
def test_the_whole_suite_is_here_and_only_armor_and_scrypt_are_refused() -> None:
    vectors = [read(name) for name in NAMES]

    assert len(vectors) == 143
    refused = {name for name, vector in zip(NAMES, vectors, strict=True) if vector.refused}
    assert refused == {name for name in NAMES if name.startswith(("armor_", "scrypt"))}
    assert len(refused) == 58


@pytest.mark.parametrize("block_bytes", [4093, 1 << 30])
@pytest.mark.parametrize("name", NAMES)
def test_a_vector_has_the_outcome_it_names(name: str, block_bytes: int) -> None:
    vector = read(name)
    released = hashlib.sha256()
    outcome: SealError | None = None

    try:
        for clear in open_stream(blocks(vector.file, block_bytes), vector.identities):
            released.update(clear)
    except SealError as error:
        outcome = error

    if vector.refused is not None:
        assert isinstance(outcome, SealError), vector.refused
        assert released.digest() == hashlib.sha256().digest()
        return
    if vector.expect == "success":
        assert outcome is None
    else:
        assert type(outcome) is not UnsupportedSealError
        assert isinstance(outcome, OUTCOMES[vector.expect])
        assert (vector.expect == "HMAC failure") == isinstance(outcome, HeaderMacError)
    if vector.payload_sha256:
        assert released.hexdigest() == vector.payload_sha256
