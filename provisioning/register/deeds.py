"""Gather what cameras' logs add up to and say of themselves, and how often footage was handed over."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.core.log.leaf import Event, parse_leaf
from agent.core.log.merkle import Frontier, inclusion_proof, leaf_hash, verify_inclusion
from agent.core.log.note import VerifierKey
from agent.errors import LeafFormatError
from provisioning.backend.installation import BackendFolder
from provisioning.backend.records import CameraRecord
from provisioning.backend.store import Store, Transaction
from provisioning.backend.witness import Witness, open_witness
from provisioning.evidence.city_log import WholeTree
from provisioning.register.account import CameraAccount, account_of
from provisioning.register.claims import Attestation, ClaimedAccount, claim

CHUNK_LEAVES = 4096
MARGIN_LEAVES = 256  # a clock that was set back leaves some out of order
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


@dataclass(frozen=True, slots=True)
class _Log:
    """One log in the store. Of years of leaves only the latest are read."""

    fleet: Transaction
    camera_id: str
    log_id: str
    end: int

    def leaf(self, number: int) -> bytes | None:
        """Return one leaf, or None if it never arrived."""
        return self.fleet.logs.leaves(self.camera_id, self.log_id, number, number + 1).get(number)

    def leaves(self, first: int, end: int) -> Iterator[bytes]:
        """Yield what has arrived of a half-open range."""
        for at in range(first, end, CHUNK_LEAVES):
            yield from self.fleet.logs.leaves(self.camera_id, self.log_id, at, min(end, at + CHUNK_LEAVES)).values()

    def event(self, number: int) -> Event | None:
        """Return one event, or None if it never arrived or is none."""
        leaf = self.leaf(number)
        with contextlib.suppress(LeafFormatError):
            return None if leaf is None else parse_leaf(leaf)
        return None

    def events(self, first: int) -> Iterator[Event]:
        """Yield what has arrived from number `first` on; what is no event adds nothing to an account."""
        for leaf in self.leaves(first, self.end):
            with contextlib.suppress(LeafFormatError):
                yield parse_leaf(leaf)

    def first_since(self, since: datetime) -> int:
        """Return a number at or a little before the first leaf that was written at `since` or later."""
        low, high = 0, self.end
        while low < high:
            middle = (low + high) // 2
            event = self.event(middle)
            if event is not None and event.at >= since:
                high = middle
            else:
                low = middle + 1
        return max(0, low - MARGIN_LEAVES)


def _deeds(fleet: Transaction, record: CameraRecord, witness: Witness | None, now: datetime) -> Deeds:
    if record.log_id is None or not record.log_next:
        return Deeds()
    log = _Log(fleet, record.camera_id, record.log_id, record.log_next)
    known = fleet.frontiers.get(record.camera_id, record.log_id)
    attestation = None
    if known is not None and witness is not None:
        attestation = _attestation(log, *known, witness)
    return Deeds(account=claim(_account(log, now)), attestation=attestation)


def _account(log: _Log, now: datetime) -> CameraAccount:
    begun = log.event(0)
    since = now - ACCOUNTED
    if begun is not None:
        # A span without a length has no share in which it ran.
        since = min(max(since, begun.at.replace(microsecond=0)), now - timedelta(seconds=1))
    first = log.first_since(since)
    before = log.event(first - 1) if first else None
    # Only a recorder that runs writes leaves: one before these says that it ran, unless it says that it stopped.
    running = before is not None and before.kind != "stopped"
    return account_of(log.events(first), since=since, until=now, running_since=since if running else None)


def _attestation(log: _Log, key: VerifierKey, frontier: Frontier, witness: Witness) -> Attestation | None:
    """Return what shows that the last leaf is in the tree that the camera signed; None if that cannot be shown."""
    seen = witness.seen(key)
    if seen is None or not seen.checkpoint.size or frontier.size != seen.checkpoint.size:
        return None
    size, root = seen.checkpoint.size, seen.checkpoint.root
    # The last whole subtree holds the last leaf; beside it, upwards, are the other ones of the frontier.
    width = size & -size
    last = log.leaf(size - 1)
    hashes = [leaf_hash(leaf) for leaf in log.leaves(size - width, size)]
    if last is None or len(hashes) < width:
        return None
    within = inclusion_proof(WholeTree(hashes), width - 1, width)
    proof = (*within, *reversed(frontier.hashes[:-1]))
    verify_inclusion(index=size - 1, size=size, leaf=hashes[-1], proof=proof, root=root)
    event = parse_leaf(last)
    return Attestation(
        log_key=str(key),
        checkpoint=seen.note.decode(),
        witnesses=(str(witness.key),),
        last_at=event.at.replace(microsecond=0),
        last_kind=event.kind,
        leaf=last.decode() if event.kind in TELLING else None,
        leaf_hash=hashes[-1].hex(),
        proof=tuple(one.hex() for one in proof),
    )
