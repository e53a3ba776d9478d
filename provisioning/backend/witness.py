"""The witness: vouches for a camera's log only if it goes on from where it was.

A *cosignature* says: on this day I saw this log, with so many leaves and this root, and it
contained everything I had seen before. From then on the camera, and whoever holds its card
and its key, can only add. Three things make a witness refuse, and each is an alarm:

- *rewound*: the log is shorter than it was. An earlier state of the card was put back.
- *forked*: there are two logs of one name and key. One of them was shown to somebody else.
- *gap*: leaves that it signed for never arrived.

There are two ways to see that a log goes on: by a consistency proof, which any witness can
check that gets nothing else; or from the leaves themselves, which is how the backend does
it, because every leaf passes through its hands.

A witness that the operator of the backend runs proves less than one that somebody else
runs with a key of their own. Both may cosign the same checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.core.log.checkpoint import Checkpoint, cosign_checkpoint, open_checkpoint, witnessed_at
from agent.core.log.merkle import Frontier, leaf_hash, verify_consistency
from agent.core.log.note import MAX_NOTE_BYTES, KeyKind, VerifierKey
from agent.errors import LogForkedError, LogGapError, LogRewoundError
from provisioning.authority import files, pkcs8

MAX_KEY_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What a witness saw of a log.

    Attributes:
        checkpoint: What the log said it was.
        at: When, to the second; aware UTC.
        note: The checkpoint with the log's signature and the cosignature.
    """

    checkpoint: Checkpoint
    at: datetime
    note: bytes


# --- to judge: pure -------------------------------------------------------------


def follows_by_proof(
    content: bytes, log: VerifierKey, *, before: Witnessed | None, proof: Sequence[bytes] = ()
) -> Checkpoint:
    """Return the checkpoint in `content` if it is shown to go on from what was witnessed before.

    Args:
        content: A note, signed by the log.
        log: The log's key.
        before: What was witnessed last, or None if the log is met for the first time: then it is taken as it is.
        proof: Consistency proof from there.

    Raises:
        CheckpointFormatError: It is no checkpoint.
        CheckpointSignatureError: The log did not sign it.
        LogRewoundError: It is shorter than it was.
        LogForkedError: It is another tree of the same size.
        ProofError: The proof does not show that it goes on; from the leaves one could tell why.
    """
    checkpoint = open_checkpoint(content, log)
    _check_not_rewound(checkpoint, before)
    if before is not None and before.checkpoint.size and before.checkpoint != checkpoint:
        old = before.checkpoint
        verify_consistency(old=old.size, new=checkpoint.size, old_root=old.root, new_root=checkpoint.root, proof=proof)
    return checkpoint


def follows_by_leaves(content: bytes, log: VerifierKey, *, before: Witnessed | None, frontier: Frontier) -> Checkpoint:
    """Return the checkpoint in `content` if it is the tree of the leaves that arrived.

    Args:
        content: A note, signed by the log.
        log: The log's key.
        before: What was witnessed last, or None.
        frontier: Of the leaves that arrived, as many as the checkpoint covers.

    Raises:
        CheckpointFormatError: It is no checkpoint.
        CheckpointSignatureError: The log did not sign it.
        LogRewoundError: It is shorter than it was.
        LogGapError: Leaves that it covers have not arrived.
        LogForkedError: It is not the tree of the leaves that arrived.
    """
    checkpoint = open_checkpoint(content, log)
    _check_not_rewound(checkpoint, before)
    if frontier.size < checkpoint.size:
        raise LogGapError(
            f"{log.name} signed for {checkpoint.size} leaves: {_range(frontier.size, checkpoint.size)} never arrived"
        )
    if frontier.size > checkpoint.size:
        raise ValueError(f"a frontier of {frontier.size} leaves says nothing about a tree of {checkpoint.size}")
    if frontier.root != checkpoint.root:
        raise LogForkedError(
            f"{log.name} signed a tree of {checkpoint.size} leaves that is not the tree of the leaves it sent"
        )
    return checkpoint


def add_leaves(frontier: Frontier, leaves: Sequence[bytes], *, first: int) -> Frontier:
    """Return the frontier with more leaves; those that are in it already are passed over.

    Args:
        frontier: Of the leaves before.
        leaves: Their bytes.
        first: Index of the first of them.

    Raises:
        LogGapError: There is a hole before them.
    """
    if first > frontier.size:
        raise LogGapError(f"{_range(frontier.size, first)} never arrived")
    for leaf in leaves[frontier.size - first :]:
        frontier = frontier.append(leaf_hash(leaf))
    return frontier


def _check_not_rewound(checkpoint: Checkpoint, before: Witnessed | None) -> None:
    if before is None:
        return
    old = before.checkpoint
    if checkpoint.size < old.size:
        raise LogRewoundError(
            f"{checkpoint.origin} has {checkpoint.size} leaves and had {old.size} at "
            f"{before.at:%Y-%m-%d %H:%M:%S} UTC; missing: {_range(checkpoint.size, old.size)}",
            hint="an earlier state of the camera's card was put back, or its log was cut; what was seen is kept here",
        )
    if checkpoint.size == old.size and checkpoint.root != old.root:
        raise LogForkedError(
            f"{checkpoint.origin} signed two different trees of {old.size} leaves, the first seen at "
            f"{before.at:%Y-%m-%d %H:%M:%S} UTC"
        )


def _range(first: int, end: int) -> str:
    return f"leaf {first}" if end - first == 1 else f"leaves {first} to {end - 1}"


# --- to vouch -------------------------------------------------------------------


class Witness:
    """Cosigns, and keeps what it cosigned last of each log; two processes over one folder wait for each other.

    Args:
        folder: Where it keeps that; must exist.
        name: Its name, a URL without scheme by custom.
        key: Its own, used for nothing else: a cosignature does not say whose name it is under.
    """

    def __init__(self, folder: Path, name: str, key: Ed25519PrivateKey) -> None:
        self._folder = folder
        self._key = key
        self.key = VerifierKey(name=name, kind=KeyKind.COSIGNATURE, public=key.public_key().public_bytes_raw())

    def seen(self, log: VerifierKey) -> Witnessed | None:
        """Return what was cosigned last of a log, or None.

        Raises:
            CheckpointFormatError: What is kept is no checkpoint.
            CheckpointSignatureError: It is not what this witness cosigned.
            StorageError: It cannot be read.
        """
        path = self._path(log)
        if not path.exists():
            return None
        note = files.read_capped(path, max_bytes=MAX_NOTE_BYTES)
        return Witnessed(checkpoint=open_checkpoint(note, log), at=witnessed_at(note, self.key), note=note)

    def cosign_by_proof(
        self, content: bytes, log: VerifierKey, *, proof: Sequence[bytes] = (), now: datetime
    ) -> Witnessed:
        """Cosign a checkpoint that is shown to follow, and keep it; raises as `follows_by_proof`."""
        with files.locked(self._folder / "lock"):
            checkpoint = follows_by_proof(content, log, before=self.seen(log), proof=proof)
            return self._cosign(content, log, checkpoint, now=now)

    def cosign_by_leaves(self, content: bytes, log: VerifierKey, *, frontier: Frontier, now: datetime) -> Witnessed:
        """Cosign a checkpoint that is the tree of the leaves that arrived; raises as `follows_by_leaves`."""
        with files.locked(self._folder / "lock"):
            checkpoint = follows_by_leaves(content, log, before=self.seen(log), frontier=frontier)
            return self._cosign(content, log, checkpoint, now=now)

    def _cosign(self, content: bytes, log: VerifierKey, checkpoint: Checkpoint, *, now: datetime) -> Witnessed:
        note = cosign_checkpoint(content, self.key, self._key.sign, now=now)
        files.write_whole(self._path(log), note)  # before anybody gets it: what is out must not be forgotten
        return Witnessed(checkpoint=checkpoint, at=witnessed_at(note, self.key), note=note)

    def _path(self, log: VerifierKey) -> Path:
        return self._folder / f"{sha256(str(log).encode()).hexdigest()[:32]}.checkpoint"


def open_witness(place: Path) -> Witness:
    """Return the witness that lives in a folder; folder and key are made if there are none yet.

    Raises:
        StorageError: The disk refuses.
        SignatureError: The key is not one.
    """
    files.make_folder(place, mode=files.PRIVATE_FOLDER)
    with files.locked(place / ".lock"):
        key_file = place / "witness.key"
        if not key_file.exists():
            made = Ed25519PrivateKey.generate()
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            files.write_new(key_file, pem, mode=files.PRIVATE)
        key = pkcs8.open_private_key(files.read_capped(key_file, max_bytes=MAX_KEY_BYTES), None)
    name = f"lamppost/witness/{sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]}"
    witness = Witness(place, name, key)
    files.write_whole(place / "witness.vkey", f"{witness.key}\n".encode())
    return witness
