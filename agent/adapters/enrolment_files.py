"""What enrolling leaves on the disk between two steps, and where its orders come from.

    FOLDER/order.json      what is being carried out: claim, and the order's key while it is needed (0600)
    FOLDER/request.pem     the certificate request that goes with the key that waits
    FOLDER/seen.claim      the code that was taken over last: the recorder's file is not ours to remove
    FOLDER/stage.json      how far it is, for the cable and for people

An order comes from the cable (it lies in the folder), from the card (`lamppost card
prepare` left it there) or from the recorder, which saw a code.
"""

import json
import logging
from datetime import datetime
from pathlib import Path

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.adapters.identity import FOUND_FILE, MAX_REFUSAL_BYTES, REFUSED_FILE
from agent.core.enrolment.claim import MAX_CLAIM_BYTES
from agent.core.enrolment.exchange import MAX_ORDER_BYTES, Order
from agent.core.enrolment.signs import Stage
from agent.errors import MessageFormatError, StorageError

ORDER_FILE = "order.json"
REQUEST_FILE = "request.pem"
STAGE_FILE = "stage.json"
SEEN_FILE = "seen.claim"
_MAX_REQUEST_BYTES = 8 * 1024

_log = logging.getLogger(__name__)


class EnrolmentFiles:
    """One camera's.

    Args:
        folder: The enrolment's own.
        card: Where a prepared card has its order.
        outbox: Where the recorder puts what it saw.
    """

    def __init__(self, folder: Path, card: Path, outbox: Path) -> None:
        make_folders(folder)
        self._folder = folder
        self._card = card
        self._found = outbox / FOUND_FILE
        self._refused = outbox / REFUSED_FILE
        self._told = b""
        self._said: dict[str, str] = {}
        self._complained: set[Path] = set()

    def order(self) -> Order | None:
        """Return what is to be carried out, or None.

        A code that was shown now beats what was there before: who stands before the camera has a reason.

        Raises:
            StorageError: It cannot be read or kept.
        """
        if self.news() and (found := _claim_in(self._found)) is not None:
            self.keep_order(Order(claim=found))
            write_atomically(self._folder / SEEN_FILE, found)
        if (order := self._read(self._folder / ORDER_FILE)) is not None:
            return order
        if (order := self._read(self._card)) is not None:
            self.keep_order(order)
        return order

    def news(self) -> bool:
        """Return whether the recorder saw a code that was not taken over yet. Raises StorageError."""
        found = _claim_in(self._found)
        return found is not None and found != _claim_in(self._folder / SEEN_FILE)

    def refused_code(self) -> str | None:
        """Return why a code that was just shown is no use here, once; else None. Raises StorageError."""
        try:
            said = read_capped(self._refused, max_bytes=MAX_REFUSAL_BYTES)
        except FileNotFoundError:
            return None
        if said == self._told:
            return None
        self._told = said
        return said.decode("utf-8", "replace").splitlines()[0]

    def keep_order(self, order: Order) -> None:
        """Make `order` the one that is carried out. Raises StorageError."""
        write_atomically(self._folder / ORDER_FILE, order.to_bytes(), mode=0o600)

    def request(self) -> str | None:
        """Return the certificate request that was made, or None. Raises StorageError."""
        try:
            return read_capped(self._folder / REQUEST_FILE, max_bytes=_MAX_REQUEST_BYTES).decode("ascii", "replace")
        except FileNotFoundError:
            return None

    def keep_request(self, pem: str) -> None:
        """Keep the request: asked again with the same one, the service gives the same answer. Raises StorageError."""
        write_atomically(self._folder / REQUEST_FILE, pem.encode("ascii"), mode=0o600)

    def clear(self) -> None:
        """Forget everything that was secret or is done. Raises StorageError if a secret cannot be removed here."""
        for path in (self._folder / REQUEST_FILE, self._folder / SEEN_FILE, self._folder / ORDER_FILE):
            _remove(path)
        try:
            _remove(self._card)
        except StorageError as error:  # it is used up: no certificate will be made under it again
            _log.warning("the order stays on the card: %s", error)

    def tell(self, stage: Stage, *, at: datetime, **words: str) -> None:
        """Say how far it is, and since when. Raises StorageError."""
        said = {"stage": stage.value, **{key: value for key, value in words.items() if value}}
        if said != self._said:  # it is asked twice a second, and a card wears
            dated = json.dumps({**said, "at": at.isoformat()}, indent=1)
            write_atomically(self._folder / STAGE_FILE, dated.encode() + b"\n", mode=0o640)
            self._said = said

    def _read(self, path: Path) -> Order | None:
        try:
            return Order.from_bytes(read_capped(path, max_bytes=MAX_ORDER_BYTES))
        except FileNotFoundError:
            return None
        except MessageFormatError as error:
            if path not in self._complained:
                self._complained.add(path)
                _log.error("%s is no order: %s", path, error)
            return None


def _claim_in(path: Path) -> bytes | None:
    try:
        return read_capped(path, max_bytes=MAX_CLAIM_BYTES)
    except FileNotFoundError:
        return None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error.strerror}") from error
