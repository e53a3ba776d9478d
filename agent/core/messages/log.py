"""The camera's log on its way to the backend: `up/log` and `down/ack`, `up/checkpoint` and `down/cosigned`.

A *leaf* is one entry of the log: an index that rises by one, and bytes. Delivery is
at least once; the index makes duplicates harmless. A leaf leaves the camera's queue
when `down/ack` says that the backend has it, never because the broker took it.

The *log id* tells one log from the next: a camera whose card was replaced begins at
index 0 again, under a new log id.
"""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from agent.core.messages.wire import KIB, CameraId, Index, Message, Token

MAX_LEAF_BYTES = 16 * KIB
MAX_LEAVES = 256
MAX_SKIPPED = 64
MAX_NOTE_CHARACTERS = 4 * KIB  # a checkpoint of 200, and a signature of 150 for each witness

LeafBytes = Annotated[
    bytes,
    Field(
        max_length=MAX_LEAF_BYTES,
        # As it is on the wire. Not WithJsonSchema: importing that costs the link 2 MB.
        json_schema_extra={"contentEncoding": "base64url", "maxLength": -(-MAX_LEAF_BYTES // 3) * 4},
    ),
]


class LogBatch(Message):
    """Consecutive leaves. On `up/log`.

    Attributes:
        camera_id: Whose they are.
        log_id: Which log of the camera.
        at: When they were sent.
        first: Index of the first of `leaves`.
        leaves: Their bytes, base64; leaf k has index `first + k`.
        oldest: Lowest index that the camera still has. If the backend lacks leaves below it, they are
            lost: it notes the gap and acknowledges past it.
        next: Index that the camera's next leaf will get; what is still to come is `next - first - len(leaves)`.
        skipped: Leaves below `first` that the broker refuses to carry, each for itself: the backend notes
            the gap and acknowledges past it. They stay on the camera.
        requested: True if `log.send` asked for them; an acknowledgement does not wait for these.
    """

    MAX_BYTES: ClassVar[int] = 96 * KIB

    camera_id: CameraId
    log_id: Token
    at: AwareDatetime
    first: Index
    leaves: Annotated[tuple[LeafBytes, ...], Field(max_length=MAX_LEAVES)]
    oldest: Index
    next: Index
    skipped: Annotated[tuple[Index, ...], Field(max_length=MAX_SKIPPED)] = ()
    requested: bool = False


class Ack(Message):
    """How much of the log the backend has. On `down/ack`.

    A backend sends one for each batch, also for one it had already: a camera that lost its cursor
    then finds it again. It only ever rises: a backend that lost leaves asks with `log.send`.

    Attributes:
        camera_id: Whom it is for.
        log_id: Which log of the camera; one for another log is ignored.
        next: Everything below this index is stored, or is known to be lost.
    """

    MAX_BYTES: ClassVar[int] = 1 * KIB

    camera_id: CameraId
    log_id: Token
    next: Index


NoteText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NOTE_CHARACTERS)]


class SignedCheckpoint(Message):
    """What the camera's log says it is, signed by the log. On `up/checkpoint`.

    Sent with each connection and then every ten minutes, and only when the backend has acknowledged every
    leaf that it covers. The log's key is in the log: the fact `log_key` of a leaf with which a recorder starts.

    Attributes:
        camera_id: Whose log it is.
        log_id: Which log of the camera, as on `up/log`.
        note: A checkpoint (C2SP tlog-checkpoint) as the log signed it.
    """

    MAX_BYTES: ClassVar[int] = 8 * KIB

    camera_id: CameraId
    log_id: Token
    note: NoteText


class CosignedCheckpoint(Message):
    """The same checkpoint with the cosignature of a witness. On `down/cosigned`.

    The witness saw every leaf under it, and every earlier checkpoint that it cosigned is a beginning of it
    (C2SP tlog-cosignature). A backend that is no witness sends none; the camera asks again with its next checkpoint.

    Attributes:
        camera_id: Whom it is for.
        log_id: Which log of the camera.
        note: The checkpoint, with the log's signature and the witness's.
    """

    MAX_BYTES: ClassVar[int] = 8 * KIB

    camera_id: CameraId
    log_id: Token
    note: NoteText
