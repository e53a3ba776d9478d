"""A work order: all that a technician needs for one camera, in one file.

It holds two secrets while it is open: the order's key, whose word makes a request count,
and a Wi-Fi passphrase that is not in the claim. Once it is carried out both are taken
out of the file; the rest stays as a record.
"""

from datetime import datetime
from typing import Annotated, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field

from agent.core.enrolment.claim import CONTEXT, Claim, pack_claim, seal_claim, verify_claim
from agent.core.enrolment.exchange import Order, Pem, Place, Sealed
from agent.core.messages.wire import KIB, CameraId, Message, Text
from agent.core.policy.documents import Site
from agent.errors import UsageError
from provisioning.authority.keys import OfficialKey
from provisioning.words import words

MAX_WORK_ORDER_BYTES = 64 * KIB


class WorkOrder(Message):
    """One camera's.

    Attributes:
        camera_id: Its name.
        site: Where, and why there.
        mounting: Where exactly, for whoever climbs.
        claim: Signed by an office.
        office: Ed25519 public key of that office, hex.
        key: Private half of the order's key; None once it is carried out.
        wifi: A network whose passphrase is not in the claim; likewise.
        root: The fleet's root certificate, PEM: a cable brings it along.
        made_at: When.
        done_at: When it was carried out.
    """

    MAX_BYTES: ClassVar[int] = MAX_WORK_ORDER_BYTES

    camera_id: CameraId
    site: Site
    mounting: Text
    claim: Sealed
    office: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    key: Annotated[bytes, Field(min_length=32, max_length=32)] | None
    wifi: Place | None = None
    root: Pem
    made_at: datetime
    done_at: datetime | None = None

    def claimed(self) -> Claim:
        """Return the claim, verified with the office's key that came with it. Raises EnrolmentError."""
        return verify_claim(self.claim, [Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.office))])

    def for_camera(self) -> Order:
        """Return what card and cable bring to the camera.

        Raises:
            UsageError: It was carried out before.
        """
        if self.key is None:
            raise UsageError(
                words("work-order.carried_out", camera=self.camera_id), hint=words("work-order.carried_out_hint")
            )
        return Order(claim=self.claim, key=self.key, wifi=self.wifi)

    def done(self, *, now: datetime) -> "WorkOrder":
        """Return it without its secrets."""
        return self.model_copy(update={"key": None, "wifi": None, "done_at": self.done_at or now})


def new_order_key() -> tuple[bytes, bytes]:
    """Return the private and the public half of a new order's key."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()


def sign_claim(claim: Claim, key: OfficialKey) -> tuple[bytes, str]:
    """Return `claim` signed by an office, and the office's public key in hex.

    Raises:
        ClaimFormatError: It is too large for a code.
        SignatureError: The office's key does not sign.
    """
    packed = pack_claim(claim)
    signature = bytes.fromhex(key.signer.sign(CONTEXT + packed).signature)
    sealed = seal_claim(packed, signature)
    public = key.card.key.keyval["public"]
    verify_claim(sealed, [Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))])
    return sealed, public
