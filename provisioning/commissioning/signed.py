"""A statement with one technician's signature: proposals and commissioning records.

The file is JSON: `kind`, `version`, `statement`, the signer's key `card` and `signature`. What is
signed is the kind, the version, a line feed, and the canonical bytes of the statement. FORMAT.md.

The signature says who drew or did it, and that nobody changed it since. It gives no right: what
a camera may do, officials sign. Pure.
"""

import json
from dataclasses import dataclass
from typing import Any, Self

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signature

from agent.core.policy.strict_json import MAX_DOCUMENT_BYTES, canonical, check
from agent.errors import CommissioningFormatError, KeyFormatError, SignatureError
from provisioning.authority.keys import KeyCard, OfficialKey

VERSION = 1
MAX_BYTES = MAX_DOCUMENT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedStatement:
    """A statement whose signature was verified with the key on its own card.

    Attributes:
        kind: What it is, such as "lamppost-proposal".
        statement: What it states, as strict JSON values.
        card: Who signed.
        signature: Hex.
    """

    kind: str
    statement: dict[str, Any]
    card: KeyCard
    signature: str

    @classmethod
    def sign(cls, kind: str, statement: dict[str, Any], key: OfficialKey) -> Self:
        """Return `statement` signed with `key`."""
        signature = key.signer.sign(_signed_bytes(kind, statement)).signature
        return cls(kind=kind, statement=statement, card=key.card, signature=signature)

    def dump(self) -> bytes:
        """Return the file.

        Raises:
            CommissioningFormatError: It would be larger than its readers take.
        """
        content = {
            "kind": self.kind,
            "version": VERSION,
            "statement": self.statement,
            "card": json.loads(self.card.dump()),
            "signature": self.signature,
        }
        dumped = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
        if len(dumped) > MAX_BYTES:
            raise CommissioningFormatError(f"the {self.kind} has {len(dumped)} bytes, expected at most {MAX_BYTES}")
        return dumped

    @classmethod
    def parse(cls, raw: bytes, kind: str) -> Self:
        """Return the statement of `kind` in `raw`, its signature verified.

        Raises:
            CommissioningFormatError: It is no such file.
            SignatureError: It was changed after it was signed.
        """
        stated = check(raw)
        if not isinstance(stated, dict) or stated.get("kind") != kind or stated.get("version") != VERSION:
            raise CommissioningFormatError(f"this is no {kind} of version {VERSION}")
        statement, card, signature = stated.get("statement"), stated.get("card"), stated.get("signature")
        if not isinstance(statement, dict) or not isinstance(card, dict) or not isinstance(signature, str):
            raise CommissioningFormatError(f"the {kind} lacks its statement, card or signature")
        try:
            signer = KeyCard.parse(json.dumps(card).encode())
        except KeyFormatError as error:
            raise CommissioningFormatError(f"the {kind} has no readable card: {error}") from error
        parsed = cls(kind=kind, statement=statement, card=signer, signature=signature)
        parsed.verify()
        return parsed

    def verify(self) -> None:
        """Pass if the signature is the card's over the statement.

        Raises:
            SignatureError: It is not.
        """
        try:
            self.card.key.verify_signature(
                Signature(self.card.key.keyid, self.signature), _signed_bytes(self.kind, self.statement)
            )
        except (UnverifiedSignatureError, VerificationError, ValueError) as error:
            raise SignatureError(
                f"the {self.kind} does not carry the signature of {self.card.name}",
                hint="it was changed after it was signed; ask for it again",
            ) from error

    def by(self, card: KeyCard) -> None:
        """Pass if `card` is who signed.

        Raises:
            SignatureError: It is somebody else.
        """
        if card.key.keyid != self.card.key.keyid:
            raise SignatureError(
                f"signed with the key {self.card.fingerprint}, expected that of {card.name}: {card.fingerprint}"
            )


def _signed_bytes(kind: str, statement: dict[str, Any]) -> bytes:
    return f"{kind} {VERSION}\n".encode() + canonical(statement)
