"""Fuzz the document and charter parsers, and the decision over what they accept.

    python -m tests.tools.fuzz_documents --inputs 1000000 --seed 1

Mutates valid documents: bytes flipped, cut, doubled and swapped in; and, inside well-formed JSON,
values replaced, removed, moved and nested. Every input must be parsed or refused with a
`PolicyError` in one short line; what is accepted must survive writing and reading, and the
camera must have a decision with it. Anything else is printed with its input and ends the run
with status 1.
"""

import argparse
import json
import random
import sys
from collections import Counter
from copy import deepcopy
from typing import Any

from agent.core.policy.charter import canonical_charter, parse_charter
from agent.core.policy.clauses import Signed as AnyOne
from agent.core.policy.clauses import check_document
from agent.core.policy.decide import decide
from agent.core.policy.documents import Grant, Waiver, canonical_document, parse_document
from agent.core.policy.verified import VerifiedDocuments
from agent.errors import PolicyError
from tests.fakes.documents import (
    CAMERA,
    DAY,
    NOON,
    clock,
    epoch_day,
    epochs,
    example_charter,
    grant,
    hold,
    restriction,
    revocation,
    waiver,
)
from tests.fakes.generated_cities import ALLEY

CHARTER = example_charter()
KEYS = epochs(days=(epoch_day(NOON.date()),))  # one day: a short document is mutated more densely
SEEDS = [canonical_document(one) for one in (grant(), restriction(), waiver(), hold(), KEYS, revocation())]
WORDS = (
    *(b"", b"{}", b"[]", b"null", b"NaN", b"-Infinity", b"1e999", b"-0", b"true", b'""', b"[[[[[[", b"\xff", b"\x00"),
    *(b"9" * 400, b'{"a":' * 40, b"\xef\xbb\xbf", b"\\ud800", b"\\u202e", b'"kind":"grant",', b"\xed\xa0\x80", b"all"),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**31,
        2**53,
        10**30,
        0.5,
        1.5,
        -0.0,
        1e-300,
        "",
        " ",
        "x",
        "\x00",
        "\ud800",
        [],
        {},
    ),
    *([[]], {"": {}}, "all", ["all"], [CAMERA], "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-11-28T12:00:00Z"),
    *("9999-99-99T99:99:99Z", "0" * 64, "scene", "heads", "sealed", "erase", "dark", ALLEY.model_dump(mode="json")),
)


def mutate_bytes(raw: bytes, chance: random.Random) -> bytes:
    """Return `raw` with one to four accidents."""
    changed = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at:at] = chance.choice(WORDS)
            case 2:
                del changed[at : at + chance.randint(1, 40)]
            case 3:
                changed[at:at] = changed[at : at + chance.randint(1, 200)]
            case _:
                other = chance.choice(SEEDS)
                start = chance.randrange(len(other))
                changed[at : at + 20] = other[start : start + 20]
    return bytes(changed)


def mutate_values(raw: bytes, chance: random.Random) -> bytes:
    """Return `raw` with one to three values changed; still JSON, as a hostile signer would write it."""
    document = json.loads(raw)
    for _ in range(chance.randint(1, 3)):
        at: Any = document
        while True:
            if not at:
                break
            key = chance.choice(list(at)) if isinstance(at, dict) else chance.randrange(len(at))
            if isinstance(at[key], dict | list) and at[key] and chance.random() < 0.7:
                at = at[key]
                continue
            match chance.randrange(6):
                case 0 if isinstance(at, dict):
                    del at[key]
                case 1 if isinstance(at, dict):
                    at[chance.choice(["extra", "kind", "what", "version", "lifts"])] = deepcopy(chance.choice(VALUES))
                case 2 if isinstance(at, list):
                    at.append(deepcopy(at[key]))
                case 3:
                    at[key] = [at[key]]
                case _:
                    at[key] = deepcopy(chance.choice(VALUES))
            break
    return json.dumps(document).encode()


def judge(raw: bytes, *, is_charter: bool) -> str:
    """Return what became of `raw`.

    Raises:
        AssertionError: A refusal is long or unprintable, or what was accepted is not what it seems.
    """
    try:
        if is_charter:
            charter = parse_charter(raw)
            assert parse_charter(canonical_charter(charter)) == charter
            return "charter accepted"
        document = parse_document(raw)
    except PolicyError as error:
        refusal = error
    else:
        return judge_accepted(document)
    assert len(str(refusal)) < 500, "a refusal of more than a line"
    assert str(refusal).isprintable(), "a refusal that is not plain text"
    return type(refusal).__name__


def judge_accepted(document: AnyOne) -> str:
    """Return what the charter says of `document`, and let the camera decide with it."""
    assert parse_document(canonical_document(document)) == document
    verdict = "accepted"
    try:
        check_document(CHARTER, document)
    except PolicyError:
        verdict = "accepted, against the charter"
    kinds = {"grants": (), "epochs": (KEYS,), "restrictions": (), "waivers": (), "holds": (), "revocations": ()}
    where = "epochs" if document.kind == "epochs" else f"{document.kind}s"
    documents = VerifiedDocuments(**({"grants": (grant(),)} | kinds | {where: (document,)}))
    decision = decide(CHARTER, documents, clock(), camera_id=CAMERA, fresh_until=NOON + DAY)
    if verdict != "accepted" and isinstance(document, Grant | Waiver):
        assert not decision.recording or document.id not in decision.sources, "an unlawful document permits"
    return verdict


def main() -> int:
    """Run and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    charter = canonical_charter(CHARTER)
    seen: Counter[str] = Counter()
    for number in range(options.inputs):
        is_charter = chance.random() < 0.1
        seed = charter if is_charter else chance.choice(SEEDS)
        raw = (mutate_values if chance.random() < 0.5 else mutate_bytes)(seed, chance)
        try:
            seen[judge(raw, is_charter=is_charter)] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            sys.stderr.write(f"input {number} of seed {options.seed}: {type(error).__name__}: {error}\n{raw!r}\n")
            return 1
    for verdict, count in seen.most_common():
        sys.stdout.write(f"{count:>9}  {verdict}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
