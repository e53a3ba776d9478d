"""A log's signed statement of what it is: so many leaves, with this root (C2SP tlog-checkpoint).

    lamppost/cam-07/5f0c9a1be24d7780
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — lamppost/cam-07/5f0c9a1be24d7780 Az3grlgtzPICa5OS8npVmf1Myq/5…
    — witness.example.org/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/…

Pure.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from agent.core.log.merkle import HASH_BYTES
from agent.core.log.note import (
    KeyKind,
    Note,
    Sign,
    VerifierKey,
    cosign_text,
    parse_note,
    sign_text,
    verify_cosignature,
    verify_signature,
)
from agent.errors import CheckpointFormatError, CheckpointSignatureError

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log says it is.

    Attributes:
        origin: Which log; also the name of the key that signs for it.
        size: How many leaves it has.
        root: The root of the Merkle tree over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def log_key(camera_id: str, public: bytes) -> VerifierKey:
    """Return the key by which a camera's log is known.

    The name holds the camera and the beginning of the key's digest: a camera that got a new key, because it got a
    new card, keeps another log, and is not taken for one that lies about the old.
    """
    return VerifierKey(
        name=f"lamppost/{camera_id}/{sha256(public).hexdigest()[:16]}", kind=KeyKind.ED25519, public=public
    )


def sign_checkpoint(checkpoint: Checkpoint, key: VerifierKey, sign: Sign) -> Note:
    """Return `checkpoint`, signed by the log.

    Raises:
        ValueError: `key` is another log's.
    """
    if key.name != checkpoint.origin:
        raise ValueError(f"a key of {key.name} signs nothing for {checkpoint.origin}")
    return Note(text=checkpoint.text, signatures=(sign_text(checkpoint.text, key, sign),))


def open_checkpoint(content: bytes, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in a signed note, after its log's signature was verified.

    Args:
        content: A signed note.
        key: The log's.

    Raises:
        CheckpointFormatError: It is not a note, or not one with a checkpoint.
        CheckpointSignatureError: The log did not sign it, or it speaks for another log.
    """
    note = parse_note(content)
    verify_signature(note, key)
    checkpoint = _parse_text(note.text)
    if checkpoint.origin != key.name:
        raise CheckpointSignatureError(f"{key.name} signed a checkpoint of {checkpoint.origin}")
    return checkpoint


def cosign_checkpoint(content: bytes, key: VerifierKey, sign: Sign, *, now: datetime) -> bytes:
    """Return the note with the witness's cosignature added.

    Only for a checkpoint that was opened, and found to follow on what the witness saw before.

    Args:
        content: A signed note.
        key: The witness's.
        sign: Signs with its private half.
        now: Current UTC time.
    """
    note = parse_note(content)
    return note.with_signature(cosign_text(note.text, key, sign, now=now)).to_bytes()


def witnessed_at(content: bytes, key: VerifierKey) -> datetime:
    """Return when a witness saw the checkpoint.

    Raises:
        CheckpointFormatError: It is not a note.
        CheckpointSignatureError: The witness did not cosign it.
    """
    return verify_cosignature(parse_note(content), key)


def _parse_text(text: str) -> Checkpoint:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != _LINES:  # extension lines are allowed and not recommended; ours has none, so they are refused
        raise CheckpointFormatError(f"a checkpoint of {len(lines)} lines, expected {_LINES}")
    origin, size, encoded_root = lines
    if not origin or not _SIZE.fullmatch(size):
        raise CheckpointFormatError("a checkpoint without an origin and a size")
    try:
        root = base64.b64decode(encoded_root, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointFormatError("the root of a checkpoint is not base64") from error
    checkpoint = Checkpoint(origin=origin, size=int(size), root=root)
    if len(root) != HASH_BYTES or checkpoint.text != text:
        raise CheckpointFormatError(f"the root of a checkpoint is not the canonical base64 of {HASH_BYTES} bytes")
    return checkpoint
