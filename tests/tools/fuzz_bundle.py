"""Fuzz the whole way of a bundle: decode, verify, admit, on mutations of a valid one.

    python tests/tools/fuzz_bundle.py --inputs 1000000 --seed 1

Three kinds of mutation, so that each layer is reached: of the packed bytes, of one
entry inside a well-formed bundle, and of one entry signed again by the keys of the
city (a hostile official or server). Every input must be accepted or refused with a
`PolicyError`; anything else is printed with its seed and ends the run with status 1.

The second and third kind are one input in `--deep-every`: each costs five hundred
times what refusing a broken package does. Of the first kind, one in five is still a
package; `--verify-every 20` verifies one in twenty of those, and parses them all.
"""

import argparse
import json
import random
import sys
from collections import Counter

from securesystemslib.formats import encode_canonical

from agent.adapters.tuf_client import verify_bundle
from agent.core.bundle import decode_bundle, encode_bundle
from agent.core.policy.admission import admit
from agent.core.policy.floors import Floors
from agent.errors import PolicyError
from tests.fakes.city import City, recording_city
from tests.fakes.documents import NOON, clock, restriction

FIRST_ROOT = "metadata/1.root.json"  # nobody reads it: trust starts at the copy in the image
WORDS = (
    *(b"", b"{}", b"[]", b"null", b"NaN", b"1e999", b"-1", b"true", b'""', b"[[[[[[", b"\xff", b"\x00", b"\xbf\xa1"),
    *(b"9" * 400, b'{"a":' * 500, b"\xef\xbb\xbf", b"\\ud800", b"sha256", b"version", b"signed", b"__class__"),
)
VALUES: tuple[object, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, 10**30, 1.5, float("nan"), float("inf"), "", "x", "\x00", "\ud800", [], {}),
    *([[]], {"": {}}, "2026-11-28T12:00:00Z", "9999-99-99T99:99:99Z", "0" * 64, ["a", "a"], {"a": {"version": "1"}}),
)


def mutated(raw: bytes, chance: random.Random) -> bytes:
    """Return `raw` with a few small changes."""
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at:at] = chance.choice(WORDS)
            case 2:
                del changed[at : at + chance.choice((1, 2, 8, 64, 4096))]
            case 3:
                changed[at:] = b""
            case 4:
                other = chance.randrange(len(changed) + 1)
                changed[at:at] = changed[other : other + chance.choice((1, 16, 256))]
            case _:
                changed[at : at + 1] = bytes([chance.randrange(256)])
    return bytes(changed)


def signed_again(city: City, entries: dict[str, bytes], chance: random.Random) -> dict[str, bytes]:
    """Return `entries` with one value of one role's metadata replaced, and that role's signatures made anew."""
    name = chance.choice([name for name in entries if name.startswith("metadata/") and name != FIRST_ROOT])
    role = name.removesuffix(".json").rpartition("/")[2].rpartition(".")[2]
    metadata = json.loads(entries[name])
    parent, key = chance.choice(list(_places(metadata["signed"])))
    parent[key] = chance.choice(VALUES)
    try:
        payload = encode_canonical(metadata["signed"]).encode("utf-8", "surrogatepass")
    except Exception:  # noqa: BLE001 - the canonical form knows no floats; an attacker's signature needs none either
        payload = b"?"
    metadata["signatures"] = [
        {"keyid": signer.public_key.keyid, "sig": signer.sign(payload).signature} for signer in city.signers[role]
    ]
    return {**entries, name: json.dumps(metadata).encode("utf-8", "surrogatepass")}


def _places(value: object) -> list[tuple[dict[str, object] | list[object], str | int]]:
    """Return every place in a JSON value that something else could be put in."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]  # type: ignore[index]


def deep_input(city: City, entries: dict[str, bytes], chance: random.Random) -> bytes:
    """Return a hostile bundle that is a well-formed package."""
    if chance.random() < 0.5:
        return encode_bundle(signed_again(city, entries, chance))
    name = chance.choice([name for name in entries if name != FIRST_ROOT])
    return encode_bundle({**entries, name: mutated(entries[name], chance)})


def main() -> int:
    """Run, print what came of it, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--deep-every", type=int, default=10)
    parser.add_argument("--verify-every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    city = recording_city()
    city.put(restriction())
    city.publish()
    # Without these hashes, which TUF makes optional, a mutation gets past the metadata that names it.
    for metafile in (*city.snapshot.meta.values(), city.timestamp.snapshot_meta):
        metafile.hashes = metafile.length = None
    city.entries[f"metadata/{city.snapshot.version}.snapshot.json"] = city._sign("snapshot", city.snapshot)
    city.entries["metadata/timestamp.json"] = city._sign("timestamp", city.timestamp)
    valid, entries = city.bundle(), dict(city.entries)
    chance = random.Random(options.seed)
    outcomes: Counter[str] = Counter()
    for number in range(options.inputs):
        try:
            deep = number % options.deep_every == 0
            packed = deep_input(city, entries, chance) if deep else mutated(valid, chance)
        except PolicyError:
            outcomes["too large to pack"] += 1
            continue
        try:
            decoded = decode_bundle(packed)
            outcomes["packages"] += 1
            if not deep and outcomes["packages"] % options.verify_every:
                continue
            release = verify_bundle(decoded, trusted_root=city.trusted_root, now=NOON)
            admit(release, floors=Floors(), ledger=(), clock=clock())
            outcomes["accepted"] += 1
        except PolicyError as error:
            outcomes[type(error).__name__ if str(error).isprintable() else "not one line"] += 1
        except BaseException:
            sys.stderr.write(f"input {number} of seed {options.seed}: {packed.hex()}\n")
            raise
    sys.stdout.write(json.dumps({"inputs": options.inputs, "seed": options.seed, **outcomes}, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
