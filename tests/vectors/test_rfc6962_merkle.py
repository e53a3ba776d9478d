"""Every transparency-dev Merkle vector has exactly the outcome it names, except the kinds we refuse on purpose.

The vectors (transparency-dev/merkle, testdata) lie beside the checkout.

A *subtree* is part of a tree. A proof that leads to one is an inclusion proof in a tree of its
own, so the inclusion vectors are all held. What is refused, and why:

- consistency from a subtree that does not begin at the first leaf: a camera signs one tree, whole;
- consistency from an empty subtree: it holds with every tree, so it shows nothing about this one;
- two equal roots of twelve bytes: a root is a SHA-256.
"""

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent.core.log.merkle import HASH_BYTES, verify_consistency, verify_inclusion
from agent.errors import ProofError

TESTDATA = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "rfc6962-merkle"

pytestmark = pytest.mark.skipif(not TESTDATA.is_dir(), reason="needs the vectors beside the checkout")


def vectors(kind: str) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(TESTDATA).as_posix(): json.loads(path.read_text())
        for path in sorted((TESTDATA / kind).rglob("*.json"))
    }


def raw(encoded: str | None) -> bytes:
    return base64.b64decode(encoded or "")


def proof(vector: dict[str, Any]) -> list[bytes]:
    return [raw(each) for each in vector["proof"] or ()]


def check_inclusion(vector: dict[str, Any], *, start: int, end: int) -> None:
    verify_inclusion(
        index=vector["leafIdx"] - start,
        size=end - start,
        leaf=raw(vector["leafHash"]),
        proof=proof(vector),
        root=raw(vector["root"]),
    )


def check_consistency(vector: dict[str, Any], *, old: int, new: int) -> None:
    verify_consistency(
        old=old, new=new, old_root=raw(vector["root1"]), new_root=raw(vector["root2"]), proof=proof(vector)
    )


def no_hashes(vector: dict[str, Any]) -> bool:
    """Return whether a vector that others accept has roots that no SHA-256 makes."""
    return not vector["wantErr"] and vector["proof"] == [] and len(raw(vector["root1"])) != HASH_BYTES


def outcome(check: Any, vector: dict[str, Any], **sizes: int) -> bool:
    """Return whether the vector was refused."""
    try:
        check(vector, **sizes)
    except ProofError:
        return True
    return False


def test_inclusion() -> None:
    found = vectors("inclusion")

    refused = {name: outcome(check_inclusion, each, start=0, end=each["treeSize"]) for name, each in found.items()}

    assert refused == {name: each["wantErr"] for name, each in found.items()}
    assert Counter(refused.values()) == {True: 92, False: 6}


def test_consistency() -> None:
    found = vectors("consistency")

    refused = {
        name: outcome(check_consistency, each, old=each["size1"], new=each["size2"]) for name, each in found.items()
    }

    assert refused == {name: each["wantErr"] or no_hashes(each) for name, each in found.items()}
    assert Counter(refused.values()) == {True: 93, False: 5}


def test_inclusion_in_a_subtree() -> None:
    found = vectors("subtreeinclusion")

    refused = {
        name: outcome(check_inclusion, each, start=each["start"], end=each["end"]) for name, each in found.items()
    }

    assert refused == {name: each["wantErr"] for name, each in found.items()}
    assert Counter(refused.values()) == {True: 192, False: 12}


def test_consistency_with_a_subtree_that_is_the_beginning_of_the_tree() -> None:
    found = {
        name: each for name, each in vectors("subtreeconsistency").items() if each["start"] == 0 and each["end"] > 0
    }

    refused = {
        name: outcome(check_consistency, each, old=each["end"], new=each["size"]) for name, each in found.items()
    }

    assert refused == {name: each["wantErr"] or no_hashes(each) for name, each in found.items()}
    assert Counter(refused.values()) == {True: 86, False: 5}


def test_what_is_refused_on_purpose_is_all_there_is_besides() -> None:
    found = vectors("subtreeconsistency").values()

    elsewhere = [each for each in found if each["start"] > 0]
    empty = [each for each in found if each["start"] == each["end"] == 0]

    assert (len(elsewhere), len(empty)) == (16, 11)
    assert all(outcome(check_consistency, each, old=0, new=each["size"]) for each in empty)
    assert sum(map(no_hashes, vectors("consistency").values())) == sum(map(no_hashes, found)) == 1
