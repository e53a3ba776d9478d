"""The backend as witness: what a camera's log says it is, against the leaves that came through here.

Every leaf passes through the backend's hands, so it needs no proof from the camera: it hashes what it
has, up to where the checkpoint goes, and compares. What fits is cosigned and sent back. What does not
is an incident of the camera that names what is wrong, and the camera gets nothing.

A log's key is taken from the log itself, once: the leaf with which a recorder starts says it, and the
name of the key holds the camera and a digest of the key. From then on only that key speaks for that log.
"""

from datetime import datetime

from agent.core.log.checkpoint import log_key, open_checkpoint
from agent.core.log.leaf import parse_leaf
from agent.core.log.merkle import Frontier
from agent.core.log.note import VerifierKey, parse_verifier_key
from agent.core.messages.log import CosignedCheckpoint, SignedCheckpoint
from agent.core.topics import Leaf, Topic
from agent.errors import (
    CheckpointFormatError,
    CheckpointSignatureError,
    LeafFormatError,
    LogForkedError,
    LogGapError,
    LogRewoundError,
)
from provisioning.backend.collector import Outgoing
from provisioning.backend.store import Transaction
from provisioning.backend.witness import Witness, Witnessed, add_leaves

CHUNK_LEAVES = 4096  # at 16 KiB a leaf at worst, 64 MiB
KEY_WITHIN_LEAVES = 256  # a recorder's first leaf says it; one that set a log aside says that first

_INCIDENTS = {LogForkedError: "log-forked", LogRewoundError: "log-rewound", LogGapError: "log-gap"}


def vouch(fleet: Transaction, told: SignedCheckpoint, witness: Witness, *, now: datetime) -> Outgoing | None:
    """Return the cosigned checkpoint for the camera, or None if there is nothing to vouch for, or a reason not to.

    Args:
        fleet: The transaction of this turn.
        told: What the camera sent.
        witness: Who cosigns.
        now: Current UTC time.

    Raises:
        StorageError: The witness cannot keep what it cosigns.
    """
    camera_id, log_id = told.camera_id, told.log_id
    log = fleet.logs.get(camera_id, log_id)
    known = fleet.frontiers.get(camera_id, log_id)
    key = _key(fleet, camera_id, log_id) if known is None else known[0]
    if log is None or key is None:
        return None  # nothing of it has arrived: a store from an older backup, which asks for it by itself
    content = told.note.encode()
    try:
        checkpoint = open_checkpoint(content, key)
        if checkpoint.size > log.next:
            return None  # likewise
        before = witness.seen(key)
        if before is not None and before.checkpoint == checkpoint:
            return _cosigned(told, before)
        frontier = Frontier() if known is None or known[1].size > checkpoint.size else known[1]
        frontier = _grown(fleet, told, frontier, checkpoint.size)
        witnessed = witness.cosign_by_leaves(content, key, frontier=frontier, now=now)
    except (CheckpointFormatError, CheckpointSignatureError) as error:
        fleet.incidents.note(camera_id, "malformed-checkpoint", str(error), now=now)
        return None
    except (LogForkedError, LogRewoundError, LogGapError) as error:
        fleet.incidents.note(camera_id, _INCIDENTS[type(error)], str(error), now=now)
        return None
    fleet.frontiers.keep(camera_id, log_id, key, frontier)
    return _cosigned(told, witnessed)


def _key(fleet: Transaction, camera_id: str, log_id: str) -> VerifierKey | None:
    """Return the key that the first leaves of a log name for it, if it is this camera's."""
    for leaf in fleet.logs.leaves(camera_id, log_id, 0, KEY_WITHIN_LEAVES).values():
        if b'"log_key"' not in leaf:
            continue
        try:
            key = parse_verifier_key(str(parse_leaf(leaf).facts["log_key"]))
        except (LeafFormatError, CheckpointFormatError, KeyError):
            continue
        if key == log_key(camera_id, key.public):
            return key
    return None


def _grown(fleet: Transaction, told: SignedCheckpoint, frontier: Frontier, size: int) -> Frontier:
    while frontier.size < size:
        first = frontier.size
        leaves = fleet.logs.leaves(told.camera_id, told.log_id, first, min(size, first + CHUNK_LEAVES))
        for number, leaf in leaves.items():
            frontier = add_leaves(frontier, [leaf], first=number)
        if frontier.size == first:
            raise LogGapError(f"leaf {first} of log {told.log_id} never arrived")
    return frontier


def _cosigned(told: SignedCheckpoint, witnessed: Witnessed) -> Outgoing:
    message = CosignedCheckpoint(camera_id=told.camera_id, log_id=told.log_id, note=witnessed.note.decode())
    return Outgoing(topic=Topic(camera_id=told.camera_id, leaf=Leaf.COSIGNED), payload=message.to_bytes())
