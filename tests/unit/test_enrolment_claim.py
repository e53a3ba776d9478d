"""A claim is what an office signed, in its one spelling, and nothing else is looked into."""

from datetime import timedelta
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.core.enrolment.claim import (
    CONTEXT,
    MAGIC,
    MAX_CLAIM_BYTES,
    Address,
    Claim,
    Wifi,
    check_claim,
    pack_claim,
    read_offices,
    seal_claim,
    verify_claim,
)
from agent.errors import ClaimElsewhereError, ClaimExpiredError, ClaimFormatError, ClaimSignatureError
from tests.fakes.claims import NOW, Office, claim

OFFICE = Office()
OTHER = Office(key=Ed25519PrivateKey.from_private_bytes(b"\x09" * 32))


def signed(said: object) -> bytes:
    """Return what the office would sign if it were careless."""
    packed = said if isinstance(said, bytes) else cbor2.dumps(said, canonical=True)
    return MAGIC + packed + OFFICE.key.sign(CONTEXT + packed)


def as_map(of: Claim) -> dict[int, Any]:
    said: dict[int, Any] = cbor2.loads(pack_claim(of))
    return said


@pytest.mark.parametrize(
    "made",
    [
        claim(),
        claim(board="10000000abcdef01", wifi=Wifi(ssid="Stadt Licht", secret="correct horse battery"), replaces=True),
        claim(wifi=Wifi(ssid="city")),
        claim(enrol=Address(host="enrol.city.example", port=443)),
    ],
)
def test_what_is_signed_comes_back(made: Claim) -> None:
    sealed = OFFICE.sign(made)

    assert verify_claim(sealed, [OTHER.public, OFFICE.public]) == made
    assert len(made.id) == 16


def test_a_usual_claim_with_a_network_fits_a_code_that_is_read_across_a_street() -> None:
    longest = claim(
        camera_id="southside-vacant-lot-12b", site="southside-vacant-lot", city="City of St. Louis",
        board="10000000abcdef01", wifi=Wifi(ssid="STL-Street-Furniture", secret="x" * 40), replaces=True,
    )  # fmt: skip

    assert len(OFFICE.sign(longest)) <= MAX_CLAIM_BYTES


def test_a_claim_that_is_too_large_is_not_sealed() -> None:
    large = claim(
        camera_id="c" * 63, site="s" * 63, city="y" * 40, wifi=Wifi(ssid="w" * 32, secret="x" * 63),
        enrol=Address(host="h" * 63, port=1),
    )  # fmt: skip

    with pytest.raises(ClaimFormatError, match="at most 400"):
        OFFICE.sign(large)


def test_nobody_elses_signature_counts() -> None:
    with pytest.raises(ClaimSignatureError):
        verify_claim(OTHER.sign(claim()), [OFFICE.public])


def test_without_an_office_nothing_counts() -> None:
    with pytest.raises(ClaimSignatureError):
        verify_claim(OFFICE.sign(claim()), [])


@given(index=st.integers(min_value=len(MAGIC), max_value=len(OFFICE.sign(claim())) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_anywhere_never_counts(index: int, flip: int) -> None:
    sealed = bytearray(OFFICE.sign(claim()))
    sealed[index] ^= flip

    with pytest.raises(ClaimSignatureError):
        verify_claim(bytes(sealed), [OFFICE.public])


@pytest.mark.parametrize(
    "sealed",
    [b"", b"https://example.org/menu", MAGIC, MAGIC + b"\x00" * 64, MAGIC + b"\x00" * MAX_CLAIM_BYTES],
    ids=["nothing", "another code", "magic alone", "no content", "too large"],
)
def test_what_is_no_claim_is_refused_by_its_shape(sealed: bytes) -> None:
    with pytest.raises(ClaimFormatError):
        verify_claim(sealed, [OFFICE.public])


@pytest.mark.parametrize(
    "said",
    [
        b"\x80",
        b"\xa1\x01",
        {},
        as_map(claim()) | {99: 1},
        as_map(claim()) | {12: False},
        as_map(claim()) | {1: b"bytes"},
        as_map(claim()) | {1: "../etc"},
        as_map(claim()) | {5: 1.5},
        as_map(claim()) | {5: True},
        as_map(claim()) | {6: 2**60},
        as_map(claim()) | {7: "text"},
        as_map(claim()) | {7: b"short"},
        as_map(claim()) | {8: b"short"},
        as_map(claim()) | {9: "nowhere"},
        as_map(claim()) | {9: "host:99999"},
        as_map(claim()) | {10: "broker.city.example:8884"},
        as_map(claim()) | {10: 0},
        as_map(claim()) | {11: []},
        as_map(claim()) | {11: [""]},
        as_map(claim()) | {11: ["net", "short"]},
        as_map(claim()) | {3: " padded"},
        as_map(claim()) | {3: "hidden\u200b"},
        as_map(claim()) | {4: "not hex"},
    ],
)
def test_an_office_that_signs_nonsense_is_not_obeyed(said: object) -> None:
    with pytest.raises(ClaimFormatError):
        verify_claim(signed(said), [OFFICE.public])


def test_another_spelling_of_the_same_claim_is_refused() -> None:
    backwards = cbor2.dumps(dict(reversed(as_map(claim()).items())))

    with pytest.raises(ClaimFormatError, match="one spelling"):
        verify_claim(signed(backwards), [OFFICE.public])


@pytest.mark.parametrize(
    "other",
    [
        {"expires_at": NOW - timedelta(days=2)},
        {"expires_at": NOW + timedelta(days=400)},
        {"issued_at": NOW.replace(microsecond=1)},
    ],
)
def test_a_claim_with_impossible_times_cannot_be_made(other: dict[str, Any]) -> None:
    with pytest.raises(ClaimFormatError):
        claim(**other)


def test_a_claim_for_another_board_is_refused() -> None:
    bound = claim(board="10000000abcdef01")

    check_claim(bound, board="10000000abcdef01", now=NOW, clock_known=True)
    for other in ("10000000abcdef02", None):
        with pytest.raises(ClaimElsewhereError):
            check_claim(bound, board=other, now=NOW, clock_known=True)


def test_a_claim_ends_on_its_second_if_the_clock_is_known() -> None:
    made = claim()

    check_claim(made, board=None, now=made.expires_at - timedelta(seconds=1), clock_known=True)
    check_claim(made, board=None, now=made.expires_at, clock_known=False)
    with pytest.raises(ClaimExpiredError):
        check_claim(made, board=None, now=made.expires_at, clock_known=True)


def test_a_signature_of_the_wrong_length_is_no_claim() -> None:
    packed = pack_claim(claim())

    with pytest.raises(ClaimSignatureError):
        verify_claim(seal_claim(packed, b"\x00" * 64), [OFFICE.public])


def test_a_file_of_offices_has_a_key_a_line_and_remarks() -> None:
    text = f"# who may enrol\n{OFFICE.public.public_bytes_raw().hex()}  # the IT director\n\n"

    assert [key.public_bytes_raw() for key in read_offices(text)] == [OFFICE.public.public_bytes_raw()]


@pytest.mark.parametrize("line", ["zz", "00", "not a key"])
def test_a_file_of_offices_with_something_else_in_it_is_refused_whole(line: str) -> None:
    with pytest.raises(ClaimFormatError):
        read_offices(f"{OFFICE.public.public_bytes_raw().hex()}\n{line}\n")
