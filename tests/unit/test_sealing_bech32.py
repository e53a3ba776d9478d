"""Bech32 has one spelling for each key, and says nothing about a key it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.sealing import bech32
from agent.errors import KeyFormatError

# BIP 173, "Test vectors", without those that only test the length limit age lifts.
VALID = [
    "A12UEL5L",
    "a12uel5l",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
]
INVALID = {
    "no separator": "pzry9x0s0muk",
    "an empty prefix": "1pzry9x0s0muk",
    "a space in the prefix": " 1nwldj5",
    "a letter outside ASCII in the prefix": "é1nwldj5",
    "a character that is not in the alphabet": "x1b4n0q5v",
    "a checksum that is too short": "li1dgmt3",
    "a control character in the checksum": "de1lg7wt\x7f",
    "a checksum over the other case": "A1G7SGD8",
    "mixed case": "A12uEL5L",
    "a swapped character": "a12ule5l",
}


@pytest.mark.parametrize("text", VALID)
def test_what_bip173_calls_valid_prints_as_it_was_in_lower_case(text: str) -> None:
    prefix, payload = bech32.decode(text)

    assert bech32.encode(prefix.lower(), payload) == text.lower()


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID.keys())
def test_a_misspelled_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(KeyFormatError) as refusal:
        bech32.decode(text)

    assert text not in str(refusal.value)


@pytest.mark.parametrize("values", [[0], [0, 1], [0, 0, 0], [31, 31, 31, 31, 31, 31]], ids=str)
def test_padding_that_is_not_the_fewest_zero_bits_is_refused_although_the_checksum_is_right(values: list[int]) -> None:
    # No encoder makes these, so the checksum is put together from the parts of ours.
    residue = bech32._polymod([*bech32._expand("age"), *values, *[0] * 6]) ^ 1
    checksum = [residue >> 5 * (5 - place) & 31 for place in range(6)]
    text = "age1" + "".join(bech32._ALPHABET[value] for value in values + checksum)

    with pytest.raises(KeyFormatError, match="padded"):
        bech32.decode(text)


@given(st.binary(max_size=1300))
def test_what_is_encoded_decodes_to_the_same_bytes_in_either_case(payload: bytes) -> None:
    text = bech32.encode("age1pq", payload)

    assert bech32.decode(text) == ("age1pq", payload)
    assert bech32.decode(text.upper()) == ("AGE1PQ", payload)


@given(st.binary(min_size=1, max_size=64), st.data())
def test_one_changed_character_is_always_noticed(payload: bytes, data: st.DataObject) -> None:
    text = bech32.encode("age", payload)
    place = data.draw(st.integers(len("age1"), len(text) - 1))
    other = data.draw(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l").filter(lambda c: c != text[place]))

    with pytest.raises(KeyFormatError):
        bech32.decode(text[:place] + other + text[place + 1 :])


@given(st.text(max_size=90))
def test_no_text_at_all_makes_the_decoder_fail_otherwise(text: str) -> None:
    try:
        prefix, payload = bech32.decode(text)
    except KeyFormatError:
        return
    assert bech32.encode(prefix.lower(), payload) == text.lower()
