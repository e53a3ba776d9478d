"""Requests for a picture and the answers to them, as files: one of each, whole or not at all."""

import contextlib
from pathlib import Path

from agent.adapters.atomic_files import read_capped, storage_error, write_atomically
from agent.core.messages.snapshot import SnapshotAnswer, SnapshotRequest

REQUEST_FILE = "snapshot.request"
TAKEN_FILE = ".snapshot.taken"
ANSWER_FILE = "snapshot.answer"


def put_request(inbox: Path, request: SnapshotRequest) -> None:
    """Leave a request; one that still lies there is replaced. Raises StorageError."""
    write_atomically(inbox / REQUEST_FILE, request.to_bytes(), mode=0o640)  # the recorder's group may read it


def take_request(inbox: Path) -> SnapshotRequest | None:
    """Take the request away, if there is one.

    Raises:
        MessageFormatError: It is none; it is gone.
        StorageError: What lies there cannot be read or taken.
    """
    taken = inbox / TAKEN_FILE
    try:
        (inbox / REQUEST_FILE).rename(taken)  # first, so that what arrives meanwhile is not thrown away unread
        try:
            raw = read_capped(taken, max_bytes=SnapshotRequest.MAX_BYTES)
        finally:
            taken.unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error("take", taken, error) from error
    return SnapshotRequest.from_bytes(raw)


def put_answer(outbox: Path, answer: SnapshotAnswer) -> None:
    """Leave an answer where the link looks for it. Raises StorageError."""
    write_atomically(outbox / ANSWER_FILE, answer.to_bytes(), mode=0o640)  # the link is of the recorder's group


def read_answer(outbox: Path) -> SnapshotAnswer | None:
    """Return the answer given last, whichever request it was to.

    Raises:
        MessageFormatError: It is none.
        StorageError: It cannot be read.
    """
    with contextlib.suppress(FileNotFoundError):
        return SnapshotAnswer.from_bytes(read_capped(outbox / ANSWER_FILE, max_bytes=SnapshotAnswer.MAX_BYTES))
    return None
