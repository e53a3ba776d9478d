"""Which claims were used, by which key, and who else asked.

    BACKEND/enrolment/{order key}.json     one claim, from its first request on
    BACKEND/enrolment/.lock                held while one is read and written

One file a claim, replaced whole: a power cut leaves what was before. A record is
written *before* the certificate is made, so that whatever happens in between, the
same key finds its way on and no other key does.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path

from agent.core.enrolment.claim import Claim
from agent.core.enrolment.exchange import Code, Pem, Sealed, fingerprint
from agent.core.messages.wire import KIB, CameraId, Digest, Message, Part, Text
from agent.errors import StorageError
from provisioning.authority import files

MAX_RECORD_BYTES = 256 * KIB


class State(Enum):
    """How far a claim is."""

    OPEN = "open"
    ISSUING = "issuing"
    ISSUED = "issued"
    SPOILT = "spoilt"


class Ask(Part):
    """One key that asked for a certificate under a claim.

    Attributes:
        digest: SHA-256 of the key.
        request: Its PEM certificate request.
        board: What its sender says its board is.
        code: What its sender was told to show; None if it came with a proof.
        asked_at: When it came first.
    """

    digest: Digest
    request: Pem
    board: Text | None
    code: Code | None
    asked_at: datetime


class Record(Message):
    """What became of one claim.

    Attributes:
        claim: As it was shown.
        camera_id: Whose it is.
        site: Where that hangs.
        state: How far it is.
        asks: Who asked, in order.
        wrong_codes: How often a code was confirmed that nobody was given.
        digest: The key that got the certificate.
        chain: The certificate and its issuer.
        confirmed_by: Who said that this is the camera: "proof", "order" or an operator.
        issued_at: When.
    """

    MAX_BYTES = MAX_RECORD_BYTES

    claim: Sealed
    camera_id: CameraId
    site: Text
    state: State = State.OPEN
    asks: tuple[Ask, ...] = ()
    wrong_codes: int = 0
    digest: Digest | None = None
    chain: Pem = ""
    confirmed_by: Text = ""
    issued_at: datetime | None = None


class Journal:
    """The folder of records.

    Args:
        folder: Made if missing; the backend's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the journal; whoever comes second waits. Raises StorageError."""
        files.make_folder(self._folder, mode=files.PRIVATE_FOLDER)
        with files.locked(self._folder / ".lock"):
            yield

    def record(self, claim: Claim, sealed: bytes) -> Record:
        """Return what is known of a claim; a new record if nothing is. Raises StorageError."""
        path = self._path(claim)
        if not path.exists():
            return Record(claim=sealed, camera_id=claim.camera_id, site=claim.site)
        return Record.from_bytes(files.read_capped(path, max_bytes=MAX_RECORD_BYTES))

    def keep(self, claim: Claim, record: Record) -> None:
        """Make `record` durable. Raises StorageError."""
        files.write_whole(self._path(claim), record.to_bytes(), mode=files.PRIVATE)

    def all(self) -> tuple[Record, ...]:
        """Return every record, in no order. Raises StorageError."""
        if not self._folder.exists():
            return ()
        try:
            paths = sorted(self._folder.glob("*.json"))
        except OSError as error:
            raise StorageError(f"cannot read {self._folder}: {error.strerror}") from error
        return tuple(Record.from_bytes(files.read_capped(path, max_bytes=MAX_RECORD_BYTES)) for path in paths)

    def enrolled_keys(self) -> dict[str, str]:
        """Return the fingerprint of the key that each camera was enrolled with last, by camera. Raises StorageError."""
        issued = [one for one in self.all() if one.state is State.ISSUED and one.issued_at is not None and one.digest]
        issued.sort(key=lambda one: one.issued_at or one.asks[0].asked_at)
        return {one.camera_id: fingerprint(bytes.fromhex(one.digest or "")) for one in issued}

    def _path(self, claim: Claim) -> Path:
        return self._folder / f"{claim.order_key.hex()}.json"
