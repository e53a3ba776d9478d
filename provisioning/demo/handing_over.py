"""The last act: the custodian hands what was kept to a prosecutor, who verifies it and opens the report."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.log.note import MAX_NOTE_BYTES, VerifierKey, parse_verifier_key
from agent.core.sealing.age_file import open_stream
from agent.core.sealing.recipients import PostQuantumIdentity
from agent.errors import EvidenceError
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.files import make_folder, read_capped
from provisioning.backend.witness import Witness
from provisioning.clock import utc_now
from provisioning.demo.camera import DemoCamera
from provisioning.demo.city import CAMERA, DemoCity
from provisioning.demo.look import KeptSegment
from provisioning.evidence.authority import Authority
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.credentials import make_credential
from provisioning.evidence.exhibit import SEALED_PAPER, SEALED_REPORT, Exhibit
from provisioning.evidence.export import export
from provisioning.evidence.judging import judge, verdict
from provisioning.evidence.order import Custodian, Order, Sources
from provisioning.evidence.statement import Statement
from provisioning.footage.private_file import private_file

CASE = "2026-CR-118"
CITY_LOG = "city-log"  # its folder, beside the other things of the demo


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """What the prosecutor got.

    Attributes:
        statement: What the custodian signed.
        report: The report with pictures, opened by the prosecutor; beside it, the same as a PDF.
        holds: What was verified.
    """

    statement: Statement
    report: Path
    holds: tuple[str, ...]


def hand_over(
    city: DemoCity, camera: DemoCamera, kept: Sequence[KeptSegment], out: Path, report: Path, scratch: Path
) -> HandedOver:
    """Export all that was kept into `out`, verify it as the prosecutor, and open the report.

    Raises:
        LamppostError: It could not be exported, or does not hold.
    """
    prosecutor = PostQuantumIdentity.generate()
    published = read_city(CityFolder(path=city.folder), city.trusted_root)
    now = utc_now()
    authority = Authority(published)
    credential = make_credential(
        scratch / "certificate", city=authority.charter.city, passphrase=secrets.token_hex(16), now=now
    )
    statement = export(
        Order(
            case=CASE,
            reason="The robbery at the bus stop.",
            camera_id=CAMERA,
            starts_at=min(one.starts_at for one in kept),
            ends_at=max(one.ends_at for one in kept),
            row="law-enforcement",
            basis="prosecution",
            reference=f"Circuit Court, {CASE}",
            party="Circuit Attorney",
            recipient=prosecutor.recipient,
            terms="Only for this case; destroyed when it ends.",
            expires_at=now + timedelta(days=90),
        ),
        authority=authority,
        custodian=Custodian(
            card=city.custodian.card,
            unlock=lambda: city.custodian,
            identities=lambda: [city.identity],
            credential=lambda: credential,
        ),
        city_log=CityLog(scratch / CITY_LOG),
        sources=_sources(camera, scratch / "witness"),
        out=out,
        now=now,
    )
    judgement = judge(Exhibit(out), identities=[prosecutor], trusted_root=city.trusted_root, now=now)
    if (no := verdict(judgement)) is not None:
        raise EvidenceError(f"the demo's evidence does not hold: {no}")
    for sealed in sorted(Exhibit(out).names() & {SEALED_REPORT, SEALED_PAPER}):
        opened = report.with_suffix(Path(sealed.removesuffix(".age")).suffix)
        with private_file(opened, replace=True) as file:
            for part in open_stream(Exhibit(out).blocks(sealed), [prosecutor]):
                file.write(part)
    return HandedOver(statement=statement, report=report, holds=tuple(judgement.holds))


def _sources(camera: DemoCamera, folder: Path) -> Sources:
    """Return the card, and what a witness of the demo's own says of its log."""
    log_key = _log_key(camera)
    make_folder(folder)
    witness = Witness(folder, "witness.example.org/demo", Ed25519PrivateKey.generate())
    note = read_capped(camera.log / "checkpoint", max_bytes=MAX_NOTE_BYTES)
    seen = witness.cosign_by_proof(note, log_key, now=utc_now())
    return Sources(place=camera.footage, log=camera.log, log_key=log_key, witnessed=seen.note, witnesses=(witness.key,))


def _log_key(camera: DemoCamera) -> VerifierKey:
    """Return the key that the camera says is its log's; a city knows it from when the camera was enrolled."""
    return parse_verifier_key(next(event["log_key"] for event in camera.events() if event["kind"] == "started"))
