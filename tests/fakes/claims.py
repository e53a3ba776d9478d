"""Claims of an office that tests make up."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.core.enrolment.claim import CONTEXT, Address, Claim, pack_claim, seal_claim

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def seal(claim: Claim, office: Ed25519PrivateKey) -> bytes:
    """Return `claim` as `office` signs it."""
    packed = pack_claim(claim)
    return seal_claim(packed, office.sign(CONTEXT + packed))


@dataclass
class Office:
    """An office that signs claims."""

    key: Ed25519PrivateKey = field(default_factory=lambda: Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))

    @property
    def public(self) -> Ed25519PublicKey:
        return self.key.public_key()

    def sign(self, claim: Claim) -> bytes:
        return seal(claim, self.key)


def order_key(number: int = 1) -> bytes:
    """Return the private half of a work order's key."""
    return number.to_bytes(4, "big") * 8


def public_half(private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def claim(number: int = 1, *, now: datetime = NOW, **other: Any) -> Claim:
    """Return a usual claim, changed as said."""
    usual: dict[str, Any] = {
        "camera_id": "market-street-1",
        "site": "market-street",
        "city": "Demo",
        "issued_at": now - timedelta(days=1),
        "expires_at": now + timedelta(days=30),
        "order_key": public_half(order_key(number)),
        "authority_pin": b"\x11" * 32,
        "broker": Address(host="broker.city.example", port=8883),
        "enrol": Address(host="broker.city.example", port=8884),
    }
    return Claim(**{**usual, **other})
