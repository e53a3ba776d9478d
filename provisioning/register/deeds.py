"""Gather what cameras' logs add up to and say of themselves, and how often footage was handed over."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.core.log.checkpoint import Checkpoint
from agent.core.log.leaf import Event, parse_leaf
from agent.core.log.merkle import Frontier, leaf_hash, verify_inclusion
from agent.core.log.note import VerifierKey
from agent.errors import LeafFormatError
from provisioning.backend.installation import BackendFolder
from provisioning.backend.records import CameraRecord
from provisioning.backend.store import Store, Transaction
from provisioning.backend.witness import Witness, open_witness
from provisioning.register.account import account_of
from provisioning.register.claims import Attestation, ClaimedAccount, claim

CHUNK_LEAVES = 4096
ACCOUNTED = timedelta(days=30)  # what a page calls lately
# Leaves that say what a camera did. Others may say who asked for it, and are told by their hash alone.
TELLING = frozenset(
    {"segment-stored", "policy-applied", "policy-refused", "removal", "counts", "stopped", "mask-recovered"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """What one camera did, and what its log says of itself; None where that cannot be told."""

    account: ClaimedAccount | None = None
    attestation: Attestation | None = None


def deeds_of(cameras: Iterable[str], backend: BackendFolder, now: datetime) -> dict[str, Deeds]:
    """Return what the backend knows that each of `cameras` did lately.

    Raises:
        StorageError: The store or the witness cannot be read.
    """
    witness = open_witness(backend.witness) if (backend.witness / "witness.key").exists() else None
    store = Store(backend.store_url)
    try:
        with store.transaction() as fleet:
            known = {record.camera_id: record for record in fleet.cameras.all()}
            return {camera: _deeds(fleet, known[camera], witness, now) for camera in cameras if camera in known}
    finally:
        store.close()


def handed_over(events: Iterable[Event]) -> dict[str, Counter[str]]:
    """Return how often footage of each camera was handed over, by row of the table of sharing."""
    begun: dict[int, tuple[str, str]] = {}
    done: dict[str, Counter[str]] = {}
    for event in events:
        match event.kind:
            case "evidence-export-begun":
                begun[event.number] = (str(event.facts.get("camera")), str(event.facts.get("row")))
            case "evidence-exported":
                entry = event.facts.get("begun")
                if isinstance(entry, int) and entry in begun:
                    camera, row = begun[entry]
                    done.setdefault(camera, Counter())[row] += 1
    return done


def refused(events: Iterable[Event]) -> Counter[str]:
    """Return how often the law refused that footage of each camera be handed over."""
    return Counter(str(event.facts.get("camera")) for event in events if event.kind == "evidence-export-refused")


# --- one camera's log -------------------------------------------------------------


@dataclass(slots=True)
class _Reader:
    """Reads a log once, leaf by leaf, and keeps of it what a checkpoint needs to be shown.

    Attributes:
        frontier: Of the leaves read so far, up to the first that is missing.
        before: The frontier before the last leaf that the checkpoint covers.
        last: That leaf.
    """

    fleet: Transaction
    camera_id: str
    log_id: str
    end: int
    checkpoint: Checkpoint | None
    frontier: Frontier = Frontier()  # noqa: RUF009 - a frozen value
    before: Frontier | None = None
    last: bytes = b""

    def events(self) -> Iterator[Event]:
        """Yield every event of the log that has arrived."""
        for first in range(0, self.end, CHUNK_LEAVES):
            leaves = self.fleet.logs.leaves(self.camera_id, self.log_id, first, min(self.end, first + CHUNK_LEAVES))
            for number, leaf in leaves.items():
                if number == self.frontier.size:
                    self._grow(leaf)
                try:
                    yield parse_leaf(leaf)
                except LeafFormatError:
                    continue  # a tree may hold what is no event; it adds nothing to an account

    def attestation(self, key: VerifierKey, note: bytes, witness: VerifierKey) -> Attestation | None:
        """Return what shows that the last leaf is in the tree that the camera signed; None if leaves are missing."""
        if self.checkpoint is None or self.before is None:
            return None
        event = parse_leaf(self.last)
        # Beside the last leaf there are only whole subtrees on its left: the frontier before it, from the leaf upwards.
        proof = tuple(reversed(self.before.hashes))
        hashed, size = leaf_hash(self.last), self.checkpoint.size
        verify_inclusion(index=size - 1, size=size, leaf=hashed, proof=proof, root=self.checkpoint.root)
        return Attestation(
            log_key=str(key),
            checkpoint=note.decode(),
            witnesses=(str(witness),),
            last_at=event.at.replace(microsecond=0),
            last_kind=event.kind,
            leaf=self.last.decode() if event.kind in TELLING else None,
            leaf_hash=hashed.hex(),
            proof=tuple(one.hex() for one in proof),
        )

    def _grow(self, leaf: bytes) -> None:
        if self.checkpoint is not None and self.frontier.size == self.checkpoint.size - 1:
            self.before, self.last = self.frontier, leaf
        self.frontier = self.frontier.append(leaf_hash(leaf))


def _deeds(fleet: Transaction, record: CameraRecord, witness: Witness | None, now: datetime) -> Deeds:
    if record.log_id is None:
        return Deeds()
    known = fleet.frontiers.get(record.camera_id, record.log_id)
    seen = None if known is None or witness is None else witness.seen(known[0])
    reader = _Reader(fleet, record.camera_id, record.log_id, record.log_next, None if seen is None else seen.checkpoint)
    since = max(now - ACCOUNTED, _began(fleet, record, now))
    # A span without a length has no share in which it ran; the log is read all the same, for its checkpoint.
    account = account_of(reader.events(), since=min(since, now - timedelta(seconds=1)), until=now)
    attestation = None
    if known is not None and witness is not None and seen is not None:
        attestation = reader.attestation(known[0], seen.note, witness.key)
    return Deeds(account=claim(account), attestation=attestation)


def _began(fleet: Transaction, record: CameraRecord, now: datetime) -> datetime:
    """Return when the first leaf that has arrived was written, in whole seconds; `now` if none can be read."""
    for leaf in fleet.logs.leaves(record.camera_id, record.log_id or "", 0, 1).values():
        try:
            return parse_leaf(leaf).at.replace(microsecond=0)
        except LeafFormatError:
            break
    return now
