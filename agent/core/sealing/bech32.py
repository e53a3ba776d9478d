"""Bech32 (BIP 173) as age uses it: no limit on length, all lower or all upper case.

Nothing here puts the text or the bytes into an error: either may be a secret.
"""

from collections.abc import Iterable

from agent.errors import KeyFormatError

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)  # BIP 173
_CHECKSUM_LENGTH = 6

# What the five bits that leave the checksum add to it. BIP 173 loops over them; a
# post-quantum recipient has two thousand characters, so they are added up once.
_CARRY = tuple(
    (_GENERATOR[0] if top & 1 else 0)
    ^ (_GENERATOR[1] if top & 2 else 0)
    ^ (_GENERATOR[2] if top & 4 else 0)
    ^ (_GENERATOR[3] if top & 8 else 0)
    ^ (_GENERATOR[4] if top & 16 else 0)
    for top in range(32)
)


def encode(prefix: str, payload: bytes) -> str:
    """Return `payload` in Bech32 under a lower-case human-readable `prefix`."""
    values = list(_regroup(payload, 8, 5))
    residue = _polymod([*_expand(prefix), *values, *([0] * _CHECKSUM_LENGTH)]) ^ 1
    checksum = [(residue >> 5 * (_CHECKSUM_LENGTH - 1 - place)) & 31 for place in range(_CHECKSUM_LENGTH)]
    return f"{prefix}1{''.join(_ALPHABET[value] for value in values + checksum)}"


def decode(text: str) -> tuple[str, bytes]:
    """Return the human-readable prefix, in the case it was written in, and the bytes.

    Raises:
        KeyFormatError: Mixed case, a character outside the alphabet, a wrong checksum,
            or padding that is not zero bits.
    """
    lower = text.lower()
    if text not in (lower, text.upper()):
        raise KeyFormatError("a key mixes upper and lower case")
    separator = lower.rfind("1")
    if separator < 1:
        raise KeyFormatError("a key has no prefix that ends in the character 1")
    prefix, rest = lower[:separator], lower[separator + 1 :]
    if not all("!" <= character <= "~" for character in prefix):
        raise KeyFormatError("a key's prefix holds a character that cannot be printed")
    if len(rest) < _CHECKSUM_LENGTH:
        raise KeyFormatError("a key is too short to hold a checksum")
    try:
        values = [_VALUES[character] for character in rest]
    except KeyError:
        place = next(place for place, character in enumerate(rest) if character not in _VALUES)
        raise KeyFormatError(f"character {separator + 2 + place} of a key is not one Bech32 uses") from None
    if _polymod([*_expand(prefix), *values]) != 1:
        raise KeyFormatError(
            "the checksum of a key is wrong", hint="copy the key again; part of it was changed or lost"
        )
    payload = _payload(values[:-_CHECKSUM_LENGTH])
    return text[:separator], payload


def _payload(values: list[int]) -> bytes:
    bits = len(values) * 5
    padding = bits % 8
    if padding >= 5 or (padding and values[-1] & ((1 << padding) - 1)):  # noqa: PLR2004 - a whole unused character
        raise KeyFormatError("a key is padded with something other than the fewest zero bits")
    return bytes(_regroup(values, 5, 8))[: bits // 8]


def _regroup(values: Iterable[int], source_bits: int, target_bits: int) -> Iterable[int]:
    """Yield the same bits in groups of another width, the last filled up with zeros."""
    accumulator = held = 0
    for value in values:
        accumulator = (accumulator << source_bits | value) & 0xFFF
        held += source_bits
        while held >= target_bits:
            held -= target_bits
            yield accumulator >> held & ((1 << target_bits) - 1)
    if held:
        yield accumulator << (target_bits - held) & ((1 << target_bits) - 1)


def _expand(prefix: str) -> list[int]:
    codes = prefix.encode("ascii")
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def _polymod(values: Iterable[int]) -> int:
    residue = 1
    for value in values:
        residue = (residue & 0x1FFFFFF) << 5 ^ value ^ _CARRY[residue >> 25]
    return residue
