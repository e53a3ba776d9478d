"""Example City with two sites, a history, a camera whose log a backend has, and exports: what a register is made of.

Everything that a register must withhold is planted in it: `SECRETS`.
"""

import atexit
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.log.checkpoint import Checkpoint, log_key, sign_checkpoint
from agent.core.log.leaf import Event, encode_leaf
from agent.core.log.merkle import Frontier, leaf_hash
from agent.core.policy.decision import Originals, PeopleMode
from agent.core.policy.documents import (
    Grant,
    ListedModel,
    NarrowPlainly,
    NarrowZones,
    PrivateZone,
    Sharing,
    SuspendRecipient,
)
from agent.core.policy.release import TIMESTAMP
from provisioning.authority.city import CityFolder, online_signer
from provisioning.authority.extract import Precision
from provisioning.backend.installation import BackendFolder
from provisioning.backend.records import LogRecord
from provisioning.backend.store import Store
from provisioning.backend.witness import open_witness
from provisioning.evidence.city_log import CityLog
from provisioning.register.building import build_register
from provisioning.register.gathering import Sources, Wanted
from tests.fakes.documents import (
    DAY,
    NOON,
    SITE,
    WIDE,
    WINDOWS,
    epoch_day,
    epochs,
    grant,
    hold,
    restriction,
    waiver,
)
from tests.fakes.officials import enact, found

SOFTWARE = "0.0.0"
APPROVERS = ("city-manager", "it-director", "police-chief")
CASE = "2026-CR-118"
SERIAL = "10000000a1b2c3d4"
GARDEN = PrivateZone(name="garden of Mrs Vega", polygon=((0.6137, 0.5229), (0.7841, 0.5229), (0.7006, 0.7113)))
LIBRARY = SITE.model_copy(
    update={
        "id": "public-library",
        "public_name": "Public Library, west entrance",
        "location": SITE.location.model_copy(update={"latitude": 38.633141, "longitude": -90.210773}),
        "site_kind": "public-building",
        "basis": "high-value-assets",
        "statement": "Two break-ins and a fire in the collection's store since 2024.",
    }
)
OUTLINE = (Path(__file__).resolve().parents[2] / "provisioning/demo/outline.geojson").read_bytes()
# None of these may stand anywhere in a register. The party and the person asked for by name are in the city's own log.
SECRETS = (
    *(CASE, "OVS-2026-31", SERIAL, "192.0.2.77", "No. 14", "Mrs Vega", "custodian-1", "investigator-1", "jo-vega"),
    *(
        "Circuit Attorney Doe",
        "Tess Technician",
        "0.6137",
        "0.7113",
        "38.627037",
        "-90.199412",
        "38.633141",
        "-90.210773",
    ),
)
MODEL = ListedModel(sha256="5f" * 32, name="people and vehicles, nano", outputs=("boxes",))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredCity:
    """Where everything of the city lies: the city's folder with its own log, and the backend's."""

    path: Path

    @property
    def city(self) -> CityFolder:
        """The city's folder."""
        return CityFolder(path=self.path / "city")

    @property
    def backend(self) -> BackendFolder:
        """The backend's folder."""
        return BackendFolder(path=self.path / "backend")

    @property
    def log(self) -> CityLog:
        """The city's own log."""
        return CityLog(self.path / "city/log")

    @property
    def sources(self) -> Sources:
        """What a builder gathers from."""
        return Sources(
            city=self.city, backend=self.backend, city_log=self.log, label_keys={"cam-07": "abcd 1234 abcd 1234"}
        )

    def build(self, out: Path, *, now: datetime = NOON, precision: Precision = Precision.BLOCK) -> Path:
        """Make a register and return its folder."""
        wanted = Wanted(
            precision=precision,
            now=now,
            software=SOFTWARE,
            address="https://cameras.example.city/",
            outline=OUTLINE,
        )
        build_register(out, self.sources, wanted, online_signer(self.city, TIMESTAMP))
        return out


def corner(**changes: object) -> Grant:
    """Return the grant for the corner, with everything in it that must stay in."""
    usual = {
        "zones": (WINDOWS, GARDEN),
        "site": SITE.model_copy(
            update={"location": SITE.location.model_copy(update={"latitude": 38.627037, "longitude": -90.199412})}
        ),
        "permissible_uses": ("detect-crime", "criminal-investigation"),
        "case": CASE,
        "reason": f"Robberies at this corner, among them {CASE}.",
        "originals": Originals.SEALED,
        "originals_recipients": ("quorum",),
        "sharing": (Sharing(row="law-enforcement", basis="prosecution"),),
        "models": (MODEL,),
    }
    return grant(**{**usual, **changes})


def registered_city(path: Path) -> RegisteredCity:
    """Return the city in the folder `path`, which is made: its officials and cameras acted, and it is `NOON`."""
    shutil.copytree(_acted(), path)
    return RegisteredCity(path=path)


@lru_cache
def _acted() -> Path:
    """Let them act once for all tests of a run; everybody gets a copy."""
    kept = TemporaryDirectory(prefix="lamppost-registered-")
    atexit.register(kept.cleanup)
    path = Path(kept.name) / "made"
    _act(path)
    return path


def _act(path: Path) -> None:
    folder = found(path / "city")
    _keys(folder)
    enact(folder, corner(), *APPROVERS, now=NOON - 10 * DAY)
    library = {"id": "g-2026-002", "site": LIBRARY, "cameras": ("cam-12", "cam-13"), "people": PeopleMode.SCENE}
    enact(folder, grant(**library), *APPROVERS, now=NOON - 9 * DAY)
    more = (NarrowZones(what="zones", view=WIDE, zones=(GARDEN,)),)
    enact(folder, restriction(narrows=more, reason="A new balcony."), "police-chief", now=NOON - 6 * DAY)
    enact(folder, waiver(), "city-manager", now=NOON - DAY)
    enact(folder, hold(case=CASE), "custodian", now=NOON - DAY)
    dark = {"id": "r-2026-002", "issued_by": "city-manager", "cameras": ("cam-13",)}
    enact(folder, restriction(**dark, narrows=(NarrowPlainly(what="dark"),)), "city-manager", now=NOON - DAY)
    somebody = (SuspendRecipient(what="recipient", holder="jo-vega"), NarrowPlainly(what="no-biometrics"))
    suspended = {"id": "r-2026-003", "issued_by": "city-manager", "reason": "jo-vega no longer works here."}
    enact(folder, restriction(**suspended, narrows=somebody), "city-manager", now=NOON - DAY)
    make_backend(path / "backend", _deeds(str(LOG)))
    _city_log(path / "city/log")


def _keys(folder: CityFolder) -> None:
    days = tuple(epoch_day((NOON + n * DAY).date()) for n in range(-12, 16))
    starts = {"issued_at": NOON - 12 * DAY, "starts_at": NOON - 12 * DAY}
    enact(folder, epochs(**starts, days=days), "custodian", now=NOON - 12 * DAY)
    quorum = tuple(epoch_day((NOON + n * DAY).date(), ("quorum",)) for n in range(-12, 16))
    sealed = epochs(id="e-2026-002", **starts, layer="originals", days=quorum)
    enact(folder, sealed, "custodian", now=NOON - 12 * DAY)


LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
LOG = log_key("cam-07", LOG_KEY.public_key().public_bytes_raw())


def make_backend(path: Path, events: Sequence[Event]) -> BackendFolder:
    """Make a backend that has the log of one camera, and cosigned it."""
    folder = BackendFolder(path=path)
    folder.path.mkdir()
    public, key = LOG, LOG_KEY
    leaves = [encode_leaf(event) for event in events]
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf_hash(leaf))
    checkpoint = Checkpoint(origin=public.name, size=len(leaves), root=frontier.root)
    note = sign_checkpoint(checkpoint, public, key.sign).to_bytes()
    open_witness(folder.witness).cosign_by_leaves(note, public, frontier=frontier, now=NOON)
    store = Store(folder.store_url)
    try:
        with store.transaction() as fleet:
            fleet.cameras.meet("cam-07", now=NOON)
            fleet.cameras.note_log("cam-07", "log-1")
            record = LogRecord(camera_id="cam-07", log_id="log-1", next=len(leaves), camera_next=len(leaves), lost=0)
            fleet.logs.begin(record, now=NOON)
            fleet.logs.append("cam-07", "log-1", enumerate(leaves), now=NOON)
            fleet.frontiers.keep("cam-07", "log-1", public, frontier)
    finally:
        store.close()
    return folder


def _deeds(key: str) -> Sequence[Event]:
    """Return ten days of one camera: it starts, is aimed by somebody, records most of each day, counts, stops once."""
    events: list[Event] = []

    def tell(kind: str, at: datetime, **facts: object) -> None:
        events.append(Event(number=len(events), at=at, kind=kind, facts=facts))  # type: ignore[arg-type]

    start = NOON - 10 * DAY
    tell("started", start, log_key=key, camera="cam-07", serial=SERIAL, address="192.0.2.77")
    tell("commissioning-opened", start, window="w-1", who="Tess Technician", seconds=1800)
    for day in range(10):
        morning = start + day * DAY
        for hour in range(20 + day % 4):
            at = morning + hour * timedelta(hours=1)
            end = at + timedelta(minutes=58)
            span = {"starts_at": at.isoformat(), "ends_at": end.isoformat(), "layer": "masked", "truncated": False}
            frames = {"frames_stored": 52_200, "frames_failed_closed": 45 if hour == 3 else 0, "frames_dropped": 0}
            tell("segment-stored", end, file=f"{day}-{hour}.mp4.age", **span, **frames)
            busy = 8 + 6 * min(hour, 20 - hour) + 3 * day
            told = {"person_left_to_right": None if hour < 3 else busy // 5 * 5, "vehicle_left_to_right": busy * 3}
            tell("counts", end, place="crossing at No. 14", interval_at=at.isoformat(), watched_s=890, **told)
    tell("policy-applied", NOON - timedelta(minutes=3), bundle="0" * 64, release=9)
    return events


def _city_log(path: Path) -> None:
    log = CityLog(path)
    facts = {"camera": "cam-07", "row": "law-enforcement", "case": CASE, "party": "Circuit Attorney Doe"}
    begun = log.append(
        "evidence-export-begun", NOON - 2 * DAY, **facts, basis="prosecution", name="Holder of custodian"
    )
    log.append("evidence-exported", NOON - 2 * DAY, begun=begun.index, case=CASE, statement_sha256="0" * 64)
    log.append("evidence-export-refused", NOON - DAY, **facts, clause="EX-T2-1")
