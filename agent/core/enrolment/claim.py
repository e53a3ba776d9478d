"""A claim: the city's word to one camera who it is, where, and whom to ask for a certificate.

An office signs it ahead; it reaches the camera as a QR code, on the card or over the
cable. See FORMAT.md beside this file for the bytes and for who can do what with a
claim that was photographed.

A claim names a key, the *order's key*. Whoever holds its private half (the work order
does, the QR code does not) can say which camera is meant; so the public half is also
what makes a claim one of a kind: it is used up once a certificate was issued under it.

Pure: bytes in, values out, and back. Nothing is parsed before its signature is
verified, and one claim has one spelling.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.core.policy.strict_json import check_text
from agent.core.topics import CAMERA_ID
from agent.errors import ClaimElsewhereError, ClaimExpiredError, ClaimFormatError, ClaimSignatureError

MAGIC = b"LPC1"
SIGNATURE_BYTES = 64
MAX_CLAIM_BYTES = 400  # QR version 13 at level L holds 425; larger ones are hard to read across a street
CONTEXT = b"lamppost enrolment claim, version 1\n"  # signed before it: no other document of an office begins so
LONGEST_LIFE = timedelta(days=92)  # work orders are made ahead, by the quarter

KEY_BYTES = PIN_BYTES = 32
ID_CHARACTERS = 16
_MAX_CITY = 40
_MAX_SSID_BYTES = 32  # IEEE 802.11 9.4.2.2
_SECRET = re.compile(r"[\x20-\x7e]{8,63}")  # WPA2/WPA3 passphrase, IEEE 802.11 J.4.1
_SITE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_BOARD = re.compile(r"[0-9a-f]{8,32}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
_MOST_PORT = 65_535
_MAP = 5  # CBOR major type
_YEAR_2242_S = 2**33

# Keys of the map; small integers, because every byte is four modules of a code.
_CAMERA, _SITE_KEY, _CITY, _BOARD_KEY, _ISSUED, _EXPIRES, _ORDER, _PIN, _BROKER, _ENROL, _NETWORK, _REPLACES = range(
    1, 13
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host) or not 0 < self.port <= _MOST_PORT:
            raise ClaimFormatError(f"{self.host!r}:{self.port} is no address, expected a name or IPv4 and a port")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Return the address written as `host:port`. Raises ClaimFormatError."""
        host, _, port = text.rpartition(":")
        if not re.fullmatch(r"[1-9][0-9]{0,4}", port, re.ASCII):
            raise ClaimFormatError(f"{text!r} is no address, expected host:port")
        return cls(host=host, port=int(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wifi:
    """A wireless network to join.

    Attributes:
        ssid: Its name.
        secret: Its passphrase. None: the camera gets it another way (card, cable), and no photograph of a code
            gives it away.
    """

    ssid: str
    secret: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.ssid.encode()) <= _MAX_SSID_BYTES or not _shows(self.ssid):
            raise ClaimFormatError(f"a network's name of 1 to {_MAX_SSID_BYTES} bytes was expected")
        if self.secret is not None and not _SECRET.fullmatch(self.secret):
            raise ClaimFormatError("a network's passphrase has 8 to 63 printable ASCII characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an office says to one camera.

    Attributes:
        camera_id: Who it is from now on.
        site: Where it hangs.
        city: What its fleet is called.
        board: The one board that may use it, as the board itself spells its serial number; None for any.
        issued_at: When the office made it; no clock that is earlier is right.
        expires_at: When it can no longer be used.
        order_key: Ed25519 public key, 32 bytes: whose private half the work order holds.
        authority_pin: SHA-256 of the SubjectPublicKeyInfo of the fleet's root certificate.
        broker: Where it reports from then on.
        enrol: Where it asks for a certificate.
        wifi: The network to join; None for a cable.
        replaces: Whether it takes the place of a camera of the same name, whose certificates end with that.
    """

    camera_id: str
    site: str
    city: str
    board: str | None = None
    issued_at: datetime
    expires_at: datetime
    order_key: bytes
    authority_pin: bytes
    broker: Address
    enrol: Address
    wifi: Wifi | None = None
    replaces: bool = False

    def __post_init__(self) -> None:
        for what, held in (
            (f"{self.camera_id!r} is no camera id", CAMERA_ID.fullmatch(self.camera_id)),
            (f"{self.site!r} is no site id", _SITE.fullmatch(self.site)),
            ("a city's name has 1 to 40 characters", 0 < len(self.city) <= _MAX_CITY and _shows(self.city)),
            (f"{self.board!r} is no board's serial number", self.board is None or _BOARD.fullmatch(self.board)),
            ("an order's key has 32 bytes", len(self.order_key) == KEY_BYTES),
            ("an authority's pin has 32 bytes", len(self.authority_pin) == PIN_BYTES),
            ("times are whole seconds", not self.issued_at.microsecond and not self.expires_at.microsecond),
            (
                f"a claim lives up to {LONGEST_LIFE.days} days",
                timedelta() < self.expires_at - self.issued_at <= LONGEST_LIFE,
            ),
        ):
            if not held:
                raise ClaimFormatError(f"claim: {what}")

    @property
    def id(self) -> str:
        """What people and file names call it."""
        return self.order_key.hex()[:ID_CHARACTERS]


def pack_claim(claim: Claim) -> bytes:
    """Return the canonical spelling of `claim`, which an office signs under `CONTEXT`."""
    said: dict[int, object] = {
        _CAMERA: claim.camera_id,
        _SITE_KEY: claim.site,
        _CITY: claim.city,
        _ISSUED: int(claim.issued_at.timestamp()),
        _EXPIRES: int(claim.expires_at.timestamp()),
        _ORDER: claim.order_key,
        _PIN: claim.authority_pin,
        _BROKER: str(claim.broker),
        # The port alone if the host is the broker's: the usual case, and 20 bytes less.
        _ENROL: claim.enrol.port if claim.enrol.host == claim.broker.host else str(claim.enrol),
    }
    if claim.board is not None:
        said[_BOARD_KEY] = claim.board
    if claim.wifi is not None:
        said[_NETWORK] = [claim.wifi.ssid] if claim.wifi.secret is None else [claim.wifi.ssid, claim.wifi.secret]
    if claim.replaces:
        said[_REPLACES] = True
    return cbor2.dumps(said, canonical=True)


def seal_claim(packed: bytes, signature: bytes) -> bytes:
    """Return the claim as it travels.

    Raises:
        ClaimFormatError: It is larger than a code that can be read across a street.
    """
    sealed = MAGIC + packed + signature
    if len(sealed) > MAX_CLAIM_BYTES:
        raise ClaimFormatError(
            f"the claim has {len(sealed)} bytes, expected at most {MAX_CLAIM_BYTES}",
            hint="shorter names, or one host for the broker and the enrolment service",
        )
    return sealed


def verify_claim(sealed: bytes, offices: Iterable[Ed25519PublicKey]) -> Claim:
    """Return what one of `offices` signed.

    Args:
        sealed: What was read from a code, a card or a cable.
        offices: Whose claims this image obeys; none means that it obeys nobody.

    Raises:
        ClaimFormatError: It is no claim, or not in its one spelling.
        ClaimSignatureError: None of `offices` signed it.
    """
    if not sealed.startswith(MAGIC):
        raise ClaimFormatError("this is no claim")
    if not len(MAGIC) + SIGNATURE_BYTES < len(sealed) <= MAX_CLAIM_BYTES:
        raise ClaimFormatError(f"a claim of {len(sealed)} bytes, expected at most {MAX_CLAIM_BYTES}")
    packed, signature = sealed[len(MAGIC) : -SIGNATURE_BYTES], sealed[-SIGNATURE_BYTES:]
    for office in offices:
        try:
            office.verify(signature, CONTEXT + packed)
        except InvalidSignature:
            continue
        return _unpack(packed)
    raise ClaimSignatureError("the claim is not signed by an office that this camera's image names")


def check_claim(claim: Claim, *, board: str | None, now: datetime, clock_known: bool) -> None:
    """Pass if this board may use `claim` now.

    Args:
        claim: A verified claim.
        board: This board's serial number, or None if it does not say.
        now: What this board's clock says.
        clock_known: Whether that can be believed. A fresh board has no clock; then the backend alone judges the date.

    Raises:
        ClaimElsewhereError: It is for another board.
        ClaimExpiredError: Its time is over.
    """
    if claim.board is not None and board != claim.board:
        raise ClaimElsewhereError(
            f"the claim is for board {claim.board}, this is {board or 'a board without a number'}"
        )
    if clock_known and now >= claim.expires_at:
        raise ClaimExpiredError(f"the claim ended at {claim.expires_at:%Y-%m-%d %H:%M} UTC")


def read_offices(text: str) -> tuple[Ed25519PublicKey, ...]:
    """Return the keys of a file that says whose claims count: 64 hex digits a line; `#` begins a remark.

    Raises:
        ClaimFormatError: A line is something else.
    """
    keys = []
    for line in text.splitlines():
        word = line.partition("#")[0].strip()
        if word:
            try:
                keys.append(Ed25519PublicKey.from_public_bytes(bytes.fromhex(word)))
            except ValueError as error:
                raise ClaimFormatError(f"not an office's key: {word[:70]!r}, expected 64 hex digits") from error
    return tuple(keys)


def _unpack(packed: bytes) -> Claim:
    if not packed or packed[0] >> 5 != _MAP:
        raise ClaimFormatError("the claim is not a CBOR map")
    try:
        said: dict[int, object] = cbor2.loads(packed, max_depth=2, allow_indefinite=False, allow_duplicate_keys=False)
        claim = _claim_of(said)
    except (cbor2.CBORError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise ClaimFormatError(f"the claim is not what a claim is: {type(error).__name__}") from error
    if pack_claim(claim) != packed:
        raise ClaimFormatError("the claim is not in its one spelling")
    return claim


def _claim_of(said: dict[int, object]) -> Claim:
    broker = Address.parse(_text(said[_BROKER]))
    enrol = said[_ENROL]
    board, network = said.get(_BOARD_KEY), said.get(_NETWORK)
    return Claim(
        camera_id=_text(said[_CAMERA]),
        site=_text(said[_SITE_KEY]),
        city=_text(said[_CITY]),
        board=None if board is None else _text(board),
        issued_at=_instant(said[_ISSUED]),
        expires_at=_instant(said[_EXPIRES]),
        order_key=_bytes(said[_ORDER]),
        authority_pin=_bytes(said[_PIN]),
        broker=broker,
        enrol=Address(host=broker.host, port=enrol) if type(enrol) is int else Address.parse(_text(enrol)),
        wifi=None if network is None else _wifi(network),
        replaces=_REPLACES in said,
    )


def _wifi(network: object) -> Wifi:
    match network:
        case [str(ssid)]:
            return Wifi(ssid=ssid)
        case [str(ssid), str(secret)]:
            return Wifi(ssid=ssid, secret=secret)
        case _:
            raise ClaimFormatError("the claim's network is not a name and a passphrase")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ClaimFormatError("the claim holds something else where text belongs")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ClaimFormatError("the claim holds something else where bytes belong")
    return value


def _instant(value: object) -> datetime:
    if type(value) is not int or not 0 <= value < _YEAR_2242_S:
        raise ClaimFormatError("the claim holds something else where a time belongs")
    return datetime.fromtimestamp(value, UTC)


def _shows(text: str) -> bool:
    try:
        check_text(text)
    except ValueError:
        return False
    return text == text.strip()
