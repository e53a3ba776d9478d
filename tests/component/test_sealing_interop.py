"""Three foreign implementations of age open what we seal, and we open what they seal.

Debian's `age` (Go) and `pyrage` (Rust) know X25519; `age-encryption` (JavaScript) knows
both profiles, and so does `age` from 1.3 on.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pyrage
import pytest

from agent.core.sealing.age_file import Sealer, open_stream, rewrap
from agent.core.sealing.chunks import CHUNK_BYTES
from agent.core.sealing.recipients import (
    Identity,
    PostQuantumIdentity,
    Profile,
    X25519Identity,
    parse_identities,
    parse_recipients,
)
from agent.core.sealing.segment import SegmentSealer
from agent.core.video import Fragment
from tests.tools.npm_package import install

CLEAR = os.urandom(3 * CHUNK_BYTES)
SIZES = [0, CHUNK_BYTES, 2 * CHUNK_BYTES + 1]
GENERATE: dict[Profile, Callable[[], Identity]] = {
    Profile.X25519: X25519Identity.generate,
    Profile.POST_QUANTUM: PostQuantumIdentity.generate,
}


class Stranger(Protocol):
    """An implementation of age that is not ours."""

    profiles: frozenset[Profile]

    def generate(self, profile: Profile) -> tuple[str, str]:
        """Return an identity and its recipient."""
        ...

    def seal(self, clear: bytes, recipient: str) -> bytes: ...

    def open(self, file: bytes, identity: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class DebianAge:
    """The `age` and `age-keygen` programs."""

    folder: Path
    profiles: frozenset[Profile]

    def generate(self, profile: Profile) -> tuple[str, str]:
        option = ["-pq"] if profile is Profile.POST_QUANTUM else []
        made = run(["age-keygen", *option]).decode()
        recipient = next(line for line in made.splitlines() if line.startswith("# public key: "))
        return made, recipient.removeprefix("# public key: ")

    def seal(self, clear: bytes, recipient: str) -> bytes:
        return run(["age", "--encrypt", "--recipient", recipient], clear)

    def open(self, file: bytes, identity: str) -> bytes:
        key = self.folder / "identity.txt"
        key.write_text(identity)
        return run(["age", "--decrypt", "--identity", str(key)], file)


@dataclass(frozen=True, slots=True)
class Pyrage:
    """The `pyrage` package."""

    profiles: frozenset[Profile] = frozenset({Profile.X25519})

    def generate(self, profile: Profile) -> tuple[str, str]:
        identity = pyrage.x25519.Identity.generate()
        return str(identity), str(identity.to_public())

    def seal(self, clear: bytes, recipient: str) -> bytes:
        return pyrage.encrypt(clear, [pyrage.x25519.Recipient.from_str(recipient)])

    def open(self, file: bytes, identity: str) -> bytes:
        return pyrage.decrypt(file, [pyrage.x25519.Identity.from_str(identity)])


# Reads one JSON line that says what to do, then the bytes to do it to.
BRIDGE = """
import { Buffer } from "node:buffer";
import * as age from "age-encryption";

const parts = [];
for await (const part of process.stdin) parts.push(part);
const input = Buffer.concat(parts);
const end = input.indexOf(10);
const { act, key } = JSON.parse(input.subarray(0, end));
const bytes = new Uint8Array(input.subarray(end + 1));
if (act === "generate") {
    const identity = await (key === "X25519" ? age.generateX25519Identity() : age.generateHybridIdentity());
    process.stdout.write(identity + "\\n" + (await age.identityToRecipient(identity)) + "\\n");
} else if (act === "seal") {
    const encrypter = new age.Encrypter();
    encrypter.addRecipient(key);
    process.stdout.write(await encrypter.encrypt(bytes));
} else {
    const decrypter = new age.Decrypter();
    decrypter.addIdentity(key);
    process.stdout.write(await decrypter.decrypt(bytes));
}
"""
JAVASCRIPT_PACKAGE = "age-encryption@0.3.1"


@dataclass(frozen=True, slots=True)
class JavaScriptAge:
    """The `age-encryption` package on Node."""

    folder: Path
    profiles: frozenset[Profile] = frozenset(Profile)

    def generate(self, profile: Profile) -> tuple[str, str]:
        identity, recipient = self._ask("generate", profile, b"").decode().split()
        return identity, recipient

    def seal(self, clear: bytes, recipient: str) -> bytes:
        return self._ask("seal", recipient, clear)

    def open(self, file: bytes, identity: str) -> bytes:
        return self._ask("open", identity.strip(), file)

    def _ask(self, act: str, key: str, content: bytes) -> bytes:
        request = json.dumps({"act": act, "key": key}).encode() + b"\n"
        return run(["node", str(self.folder / "bridge.mjs")], request + content)


def run(command: list[str], given: bytes = b"") -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.fixture(scope="module")
def debian_age(tmp_path_factory: pytest.TempPathFactory) -> DebianAge:
    if not (shutil.which("age") and shutil.which("age-keygen")):
        pytest.skip("the programs age and age-keygen are not installed")
    knows_post_quantum = subprocess.run(["age-keygen", "-pq"], capture_output=True, check=False).returncode == 0
    profiles = Profile if knows_post_quantum else [Profile.X25519]
    return DebianAge(tmp_path_factory.mktemp("age"), frozenset(profiles))


@pytest.fixture(scope="module")
def javascript_age(tmp_path_factory: pytest.TempPathFactory) -> JavaScriptAge:
    folder = tmp_path_factory.mktemp("javascript-age")
    install(JAVASCRIPT_PACKAGE, folder)
    (folder / "bridge.mjs").write_text(BRIDGE)
    return JavaScriptAge(folder)


CASES = [
    pytest.param("debian_age", Profile.X25519, id="age-x25519"),
    pytest.param("debian_age", Profile.POST_QUANTUM, id="age-post-quantum"),
    pytest.param("pyrage", Profile.X25519, id="pyrage-x25519"),
    pytest.param("javascript_age", Profile.X25519, id="javascript-x25519"),
    pytest.param("javascript_age", Profile.POST_QUANTUM, id="javascript-post-quantum"),
]


@pytest.fixture
def stranger(request: pytest.FixtureRequest, name: str, profile: Profile) -> Stranger:
    chosen: Stranger = Pyrage() if name == "pyrage" else request.getfixturevalue(name)
    if profile not in chosen.profiles:
        pytest.skip(f"this version of {name} does not know the {profile} profile yet")
    return chosen


def seal(clear: bytes, *recipients: str) -> bytes:
    sealer = Sealer(parse_recipients(recipients))
    return sealer.header + sealer.push(clear) + sealer.finish()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "profile"), CASES)
def test_a_stranger_opens_what_we_seal(stranger: Stranger, profile: Profile, size: int) -> None:
    ours, other = GENERATE[profile](), GENERATE[profile]()

    file = seal(CLEAR[:size], str(other.recipient), str(ours.recipient))

    assert stranger.open(file, ours.reveal()) == CLEAR[:size]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "profile"), CASES)
def test_we_open_what_a_stranger_seals(stranger: Stranger, profile: Profile, size: int) -> None:
    ours = GENERATE[profile]()

    file = stranger.seal(CLEAR[:size], str(ours.recipient))

    assert b"".join(open_stream([file], [ours])) == CLEAR[:size]


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_a_strangers_key_is_spelled_as_ours_and_works_both_ways(stranger: Stranger, profile: Profile) -> None:
    identity, recipient = stranger.generate(profile)
    (parsed,) = parse_identities(identity)

    assert str(parsed.recipient) == recipient
    assert stranger.open(seal(CLEAR, recipient), identity) == CLEAR
    assert b"".join(open_stream([stranger.seal(CLEAR, recipient)], [parsed])) == CLEAR


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_a_stranger_opens_a_padded_segment_under_a_new_header(stranger: Stranger, profile: Profile) -> None:
    day, hold = GENERATE[profile](), GENERATE[profile]()
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    sealer = SegmentSealer([day.recipient])
    boxes = [size.to_bytes(4, "big") + b"mdat" + bytes(size - 8) for size in (1000, 2000, 70_000, 500)]
    *fragments, last = [Fragment(clear=box, frames=1, first_captured_at=noon, last_captured_at=noon) for box in boxes]
    stored = [*(sealer.push(fragment) for fragment in fragments), sealer.finish(last)]

    moved = b"".join(rewrap((piece.sealed for piece in stored), [day], [hold.recipient]))

    clear = stranger.open(moved, hold.reveal())
    assert clear.startswith(boxes[0] + boxes[1])
    assert clear.endswith(boxes[2] + boxes[3])
    assert b"free" in clear
