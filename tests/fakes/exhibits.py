"""A camera that recorded half a minute, the city it stands in, a witness, and a case: all that an export needs.

The camera's log is written by the recorder's own adapter; what is put in is what a recorder puts in.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.adapters.tile_log import TileLog
from agent.core.log.checkpoint import cosign_checkpoint
from agent.core.log.note import KeyKind, VerifierKey
from agent.core.policy.documents import Sharing
from agent.core.sealing.recipients import Recipient, X25519Identity
from provisioning.authority.city import CityFolder, read_city
from provisioning.evidence.authority import Authority
from provisioning.evidence.chain import merge_cosignatures
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.credentials import Credential
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.export import export
from provisioning.evidence.order import Custodian, Order, Sources
from provisioning.evidence.statement import Statement, sign_statement
from tests.fakes.city import key_of
from tests.fakes.documents import CAMERA, NOON, grant
from tests.fakes.footage import RATE_HZ, file_segment
from tests.fakes.officials import enact, found, official

SECOND = timedelta(seconds=1)
DIGEST = "d" * 64
CUSTODIAN = X25519Identity(bytes(range(1, 33)))
PARTY = X25519Identity(bytes(range(2, 34)))
STRANGER = X25519Identity(bytes(range(3, 35)))
WITNESS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
WITNESS_KEY = VerifierKey(
    name="witness.example.org/w1", kind=KeyKind.COSIGNATURE, public=WITNESS.public_key().public_bytes_raw()
)
SECOND_WITNESS = Ed25519PrivateKey.from_private_bytes(b"v" * 32)
SECOND_KEY = VerifierKey(
    name="auditor.example.net/w2", kind=KeyKind.COSIGNATURE, public=SECOND_WITNESS.public_key().public_bytes_raw()
)
APPROVING = ("city-manager", "it-director", "police-chief")


class MemoryKeyring:
    """A device's log key in memory."""

    kind = "file"

    def __init__(self, seed: bytes = b"c" * 32) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return a signature."""
        return self._key.sign(message)


@dataclass(frozen=True)
class Take:
    """One segment to record: when, how many frames, how many of them hidden whole."""

    at: datetime
    frames: int = 20
    failed_closed: int = 0
    size: Any = None


# Three segments end to end, four seconds of nothing while the camera was lost, one more, and one after the span.
TAKES = (
    Take(NOON),
    Take(NOON + 2 * SECOND, failed_closed=3),
    Take(NOON + 4 * SECOND),
    Take(NOON + 10 * SECOND),
    Take(NOON + 12 * SECOND),
)
SPAN = (NOON + 1 * SECOND, NOON + 12 * SECOND)


class Pole:
    """A camera that recorded, as its card shows it."""

    def __init__(
        self,
        folder: Path,
        *,
        camera_id: str = CAMERA,
        takes: Sequence[Take] = TAKES,
        recipients: Sequence[Recipient] = (CUSTODIAN.recipient,),
        first_luma: int = 40,
    ) -> None:
        self.folder = folder
        self.camera_id = camera_id
        self.keyring = MemoryKeyring(sha256(camera_id.encode()).digest())
        self.paths: list[Path] = []
        self.witnessed: bytes | None = None
        with TileLog(folder / "log", camera_id, self.keyring) as log:
            self.log_key = log.key
            log.append("boot", NOON - 5 * SECOND, version="0.1.0")
            for sequence, take in enumerate(takes, 1):
                if sequence > 1 and take.at - takes[sequence - 2].at > 3 * SECOND:
                    log.append("mask-recovered", takes[sequence - 2].at, reason="Stale", frames=3)
                    log.append("camera-lost", takes[sequence - 2].at + 2 * SECOND, reason="unplugged")
                path = file_segment(
                    folder,
                    recipients,
                    started_at=take.at,
                    sequence=sequence,
                    camera_id=camera_id,
                    frames=take.frames,
                    first_luma=first_luma + 10 * sequence,
                )
                self.paths.append(path)
                if take.failed_closed:
                    log.append("mask-failed-closed", take.at, reason="Stale: the detector is late")
                log.append("segment-stored", take.at + 2 * SECOND, **segment_facts(path, sequence, take))
            log.publish()
        self.witness()

    def witness(self) -> None:
        """Have the witness cosign the checkpoint as it is."""
        note = (self.folder / "log" / "checkpoint").read_bytes()
        self.witnessed = cosign_checkpoint(note, WITNESS_KEY, WITNESS.sign, now=NOON + 20 * SECOND)

    def append(self, kind: str, at: datetime, **facts: Any) -> None:
        """Add an event to the log and sign it."""
        with TileLog(self.folder / "log", self.camera_id, self.keyring) as log:
            log.append(kind, at, **facts)
            log.publish()

    def sources(self) -> Sources:
        """Return where the evidence comes from."""
        return Sources(
            place=self.folder,
            log=self.folder / "log",
            log_key=self.log_key,
            witnessed=self.witnessed,
            witnesses=(WITNESS_KEY,),
        )


def cosigned_by_the_second(pole: Pole) -> bytes:
    """Return the pole's checkpoint with the cosignature of a second witness, run by somebody else."""
    note = (pole.folder / "log" / "checkpoint").read_bytes()
    return cosign_checkpoint(note, SECOND_KEY, SECOND_WITNESS.sign, now=NOON + 50 * SECOND)


def seen_by_two(pole: Pole) -> Sources:
    """Return where the evidence comes from, with both witnesses."""
    assert pole.witnessed is not None
    return replace(
        pole.sources(),
        witnessed=merge_cosignatures([pole.witnessed, cosigned_by_the_second(pole)]),
        witnesses=(WITNESS_KEY, SECOND_KEY),
    )


def segment_facts(path: Path, sequence: int, take: Take) -> dict[str, Any]:
    """Return what a recorder logs about a segment."""
    content = path.read_bytes()
    return {
        "file": path.name,
        "sha256": sha256(content).hexdigest(),
        "size_bytes": len(content),
        "layer": "masked",
        "sequence": sequence,
        "starts_at": moment(take.at),
        "ends_at": moment(take.at + take.frames * SECOND / RATE_HZ),
        "frames_stored": take.frames,
        "frames_failed_closed": take.failed_closed,
        "decision": DIGEST,
        "documents": ["g-2026-001"],
        "truncated": False,
    }


def moment(at: datetime) -> str:
    """Return `at` as the recorder spells it in a leaf."""
    return at.isoformat()


def city_with_sharing(path: Path, *, founded_at: datetime = NOON - timedelta(days=2), **changes: Any) -> CityFolder:
    """Found Example City and let it share footage of the camera with law enforcement, for prosecutions."""
    folder = found(path, now=founded_at)
    permitted = grant(
        **{
            "issued_at": founded_at,
            "starts_at": founded_at,
            "ends_at": founded_at + timedelta(days=30),
            "sharing": (Sharing(row="law-enforcement", basis="prosecution"),),
        }
        | changes
    )
    enact(folder, permitted, *APPROVING, now=founded_at)
    return folder


def order(**changes: Any) -> Order:
    """Return an order to export the span for a prosecution."""
    usual: dict[str, Any] = {
        "case": "2026-CR-118",
        "reason": "The robbery at the corner.",
        "camera_id": CAMERA,
        "starts_at": SPAN[0],
        "ends_at": SPAN[1],
        "row": "law-enforcement",
        "basis": "prosecution",
        "reference": "Circuit Court 22, 2026-CR-118",
        "party": "Circuit Attorney of Example County",
        "recipient": PARTY.recipient,
        "terms": "For this case only.",
        "expires_at": NOON + timedelta(days=90),
    }
    return Order(**(usual | changes))


def restate(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None, *, who: str = "custodian") -> None:
    """Change what an export states, list its files as they are now, and sign it: what a dishonest custodian can do."""
    path = folder / "statement.json"
    stated = json.loads(path.read_text())
    change(stated)
    exhibit = Exhibit(folder)
    stated["files"] = [
        {"path": name, **asdict(exhibit.digest(name))}
        for name in sorted(exhibit.names() - {"statement.json", "statement.sig"})
    ]
    path.write_text(json.dumps(stated, indent=2))
    (folder / "statement.sig").write_bytes(sign_statement(path.read_bytes(), key_of(who)))


def make_exhibit(  # noqa: PLR0913 - as export
    out: Path,
    pole: Pole,
    city: CityFolder,
    *,
    ordered: Order | None = None,
    office: str = "custodian",
    sources: Sources | None = None,
    now: datetime = NOON + timedelta(minutes=5),
    say: Callable[[str], None] = lambda _: None,
    credential: Credential | None = None,
    paper: Callable[[bytes], bytes] | None = None,
) -> Statement:
    """Export into `out`, as the holder of `office`; without a PDF, which takes longer than all the rest."""
    key = official(office)
    return export(
        ordered or order(),
        authority=Authority(read_city(city)),
        custodian=Custodian(
            card=key.card,
            unlock=lambda: key,
            identities=lambda: [CUSTODIAN],
            credential=None if credential is None else lambda: credential,
        ),
        city_log=CityLog(city.path / "log"),
        sources=sources or pole.sources(),
        out=out,
        now=now,
        paper=paper,
        say=say,
    )
