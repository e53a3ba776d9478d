"""Only the work order can say which key, or which code, is the camera's; and the lamp says it so that it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.enrolment.exchange import (
    Confirmation,
    fingerprint,
    key_digest,
    sign_confirmation,
    sign_proof,
    verify_confirmation,
    verify_proof,
)
from agent.core.enrolment.signs import PATTERNS, Stage, lit_at, pattern_of
from agent.errors import ClaimFormatError, ClaimSignatureError
from tests.fakes.claims import Office, claim, order_key, public_half

PUBLIC = public_half(order_key())
DIGEST = key_digest(b"a key")
SEALED = Office().sign(claim())


def test_an_orders_proof_holds_for_its_key_alone() -> None:
    proof = sign_proof(order_key(), DIGEST)

    verify_proof(PUBLIC, DIGEST, proof)
    with pytest.raises(ClaimSignatureError):
        verify_proof(PUBLIC, key_digest(b"another key"), proof)
    with pytest.raises(ClaimSignatureError):
        verify_proof(public_half(order_key(2)), DIGEST, proof)


def test_a_confirmation_holds_for_its_code_alone() -> None:
    said = sign_confirmation(order_key(), SEALED, "123456")

    verify_confirmation(PUBLIC, said)
    with pytest.raises(ClaimSignatureError):
        verify_confirmation(PUBLIC, said.model_copy(update={"code": "123457"}))


def test_a_confirmation_is_no_proof() -> None:
    said = sign_confirmation(order_key(), SEALED, "123456")

    with pytest.raises(ClaimSignatureError):
        verify_proof(PUBLIC, b"123456", said.signature)


def test_a_claim_whose_order_key_is_none_is_told_so() -> None:
    with pytest.raises(ClaimFormatError):
        verify_proof(b"short", DIGEST, b"\x00" * 64)


def test_messages_come_back_as_they_were() -> None:
    said = sign_confirmation(order_key(), SEALED, "000000")

    assert Confirmation.from_bytes(said.to_bytes()) == said


def test_a_fingerprint_is_read_out_in_fours() -> None:
    assert fingerprint(bytes(range(32))) == "0001 0203 0405 0607"


@given(code=st.from_regex(r"[0-9]{6}", fullmatch=True))
def test_who_counts_the_flashes_always_reads_the_code(code: str) -> None:
    pattern = pattern_of(Stage.PENDING, code)

    groups, flashes = [], 0
    for _, dark in pattern.flashes:
        flashes += 1
        if dark > 1000:
            groups.append(flashes % 10)
            flashes = 0
    assert groups == [int(digit) for digit in code]


@pytest.mark.parametrize("code", [None, "12345", "abcdef"])
def test_a_pending_camera_without_a_code_has_nothing_to_show(code: str | None) -> None:
    with pytest.raises(ValueError, match="6 digits"):
        pattern_of(Stage.PENDING, code)


def test_every_stage_has_a_pattern_of_its_own() -> None:
    shown = [pattern_of(stage, "123456").flashes for stage in Stage]

    assert len(set(shown)) == len(Stage)
    assert set(PATTERNS) | {Stage.PENDING} == set(Stage)


def test_the_lamp_is_lit_and_dark_in_turn_and_begins_again() -> None:
    pattern = PATTERNS[Stage.LOOKING]

    assert [lit_at(pattern, ms) for ms in (0, 699, 700, 900, 1000, 1999, 2000)] == [
        (True, 700), (True, 1), (False, 200), (True, 100), (False, 1000), (False, 1), (True, 700),
    ]  # fmt: skip
    assert lit_at(PATTERNS[Stage.ENROLLED], 123_456)[0]
