"""The register for machines: GeoJSON, CSV, one JSON a site, a DTPR data chain a site, a feed of changes.

Fields of the GeoJSON are named as Amsterdam's sensor register names them (`reference`, `type`, `datastream`,
`observation_goals`, `themes`, `contains_pi_data`, `active_until`, `location_description`, `owner`), so that what reads
that one reads this; what it has no name for begins with `lamppost_`. The data chain uses the device taxonomy of
DTPR (Digital Trust for Places and Routines), version 1. `schemas/` has a schema for each.

Pure.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from agent.core.policy.decision import Originals, PeopleMode
from agent.core.policy.words import write_instant
from provisioning.register.frame import said
from provisioning.register.history import Publication
from provisioning.register.made_of import Register
from provisioning.register.sentences import may, may_not, sentence, standing_words, state_of, words
from provisioning.register.site_page import site_link
from provisioning.register.standing import CameraStanding, SiteStanding

COLUMNS = (
    *(
        "site",
        "name",
        "camera",
        "latitude",
        "longitude",
        "precision_m",
        "state",
        "intended_use",
        "clause",
        "approved_by",
    ),
    *("starts_at", "ends_at", "retention_days", "people", "originals", "biometrics", "biometrics_locked", "waivers"),
    *("restrictions", "holds", "since", "until", "recorded_s", "uptime_ratio", "frames_stored", "frames_failed_closed"),
    *("exports", "sealed_layer_opened", "attested_at"),
)
_CAMERA_TYPE = "Optische / camera sensor"  # the register's own name of this kind
# DTPR, device taxonomy: intended use → purpose. What no charter of ours names yet is for planning.
_PURPOSE = {
    **dict.fromkeys(("public-safety", "crime-prevention", "asset-protection"), "safety_security"),
    **dict.fromkeys(("public-buildings", "vacant-properties"), "safety_security"),
    **dict.fromkeys(("traffic", "traffic-management"), "mobility"),
    "vulnerable-people": "health",
    "registered-individuals": "enforcement",
}


def machine_files(register: Register, pages: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return every file for machines, by path.

    Args:
        register: The register.
        pages: The sites' pages, by path.
    """
    files = {
        "register.geojson": _json(geojson(register)),
        "register.csv": csv_file(register),
        "changes.atom": atom(register),
    }
    for site in register.city.sites:
        page = pages[site_link(site.site.id)]
        files[f"sites/{site.site.id}.json"] = _json(site_json(register, site, said(page)))
        files[f"sites/{site.site.id}.dtpr.json"] = _json(data_chain(register, site))
    for path, page in pages.items():
        if not path.startswith("sites/"):
            files[f"{path.removesuffix('.html')}.json"] = _json({"version": 1, "page": path, "sentences": said(page)})
    return files


def geojson(register: Register) -> dict[str, Any]:
    """Return a feature for each camera (RFC 7946)."""
    return {
        "type": "FeatureCollection",
        "lamppost_made_at": write_instant(register.claims.made_at),
        "lamppost_precision": register.claims.precision.value,
        "features": [_feature(register, site, camera) for site in register.city.sites for camera in site.cameras],
    }


def csv_file(register: Register) -> bytes:
    """Return a line for each camera (RFC 4180), for the open-data portal (SL-2.6)."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(COLUMNS)
    for site in register.city.sites:
        for camera in site.cameras:
            lines.writerow(_row(register, site, camera))
    return text.getvalue().encode()


def site_json(register: Register, site: SiteStanding, sentences: Sequence[str]) -> dict[str, Any]:
    """Return all that a site's page says, as values."""
    record = site.site
    return {
        "version": 1,
        "page": site_link(record.id),
        "city": register.claims.city,
        "made_at": write_instant(register.claims.made_at),
        "site": {
            "id": record.id,
            "name": record.public_name,
            "kind": record.site_kind,
            "basis": record.basis,
            "statement": record.statement,
            "purchase_reference": record.purchase_reference,
            "latitude": record.location.latitude,
            "longitude": record.location.longitude,
            "precision_m": record.location.public_precision_m,
        },
        "permissions": [
            {
                "id": grant.id,
                "path": register.path_of(grant),
                "signed_by": list(register.policy.signed_by[register.path_of(grant)]),
                "issued_at": write_instant(grant.issued_at),
                "starts_at": write_instant(grant.starts_at),
                "ends_at": write_instant(grant.ends_at),
                "reason": grant.reason,
            }
            for grant in site.grants
        ],
        "cameras": [_camera(register, camera) for camera in site.cameras],
        "changes": [_change(one, site) for one in register.history_of(site)],
        "sentences": list(sentences),
    }


def data_chain(register: Register, site: SiteStanding) -> dict[str, Any]:
    """Return what DTPR calls a data chain, of what a site's cameras do at their least private."""
    return {
        "id": f"{register.claims.root[:16]}-{site.site.id}",
        "schema_version": "device@v1",
        "created_at": write_instant(register.claims.made_at),
        "name": site.site.public_name,
        "accountable": register.claims.city,
        "elements": [
            {"element_id": element, "priority": number, "variables": []}
            for number, element in enumerate(dict.fromkeys(_elements(site)))
        ],
    }


def atom(register: Register) -> bytes:
    """Return the publications that changed something, the latest first (RFC 4287)."""
    claims = register.claims
    base = claims.address or ""
    name = f"urn:lamppost:{claims.root[:32]}"
    changed = [one for one in reversed(register.publications) if one.changed or one.charter_changes]
    entries = "".join(_entry(one, name, base) for one in changed)
    here = f'<link rel="self" href="{escape(base)}changes.atom"/>' if base else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
        f"<id>{name}</id><title>{escape(claims.city)}: what cameras may do</title>{here}"
        f"<updated>{write_instant(claims.made_at)}</updated><author><name>{escape(claims.city)}</name></author>"
        f"{entries}</feed>\n"
    ).encode()


# --- one camera -----------------------------------------------------------------


def shows_people(camera: CameraStanding) -> bool:
    """Return whether somebody can be made visible in what a camera keeps, by its grant or by what counts now."""
    permitted, grant = camera.permitted, camera.grant
    originals = Originals.SEALED in {grant.originals, permitted.originals}
    return originals or PeopleMode.HEADS in {grant.people, permitted.people}


def _elements(site: SiteStanding) -> Iterator[str]:
    """Yield DTPR elements, a category at a time."""
    grants = [camera.grant for camera in site.cameras]
    if any(map(shows_people, site.cameras)):
        yield "identifiable_video"
    elif all(grant.people is PeopleMode.COUNTS_ONLY for grant in grants):
        yield "non_identifiable_video"
    else:
        yield "de_identified_video"
    for grant in grants:
        yield _PURPOSE.get(grant.intended_use, "planning_decision_making")
        yield "data_retained" if grant.people is not PeopleMode.COUNTS_ONLY else "no_data_retained"
        yield from ("available_to_3rd_parties",) if grant.sharing else ()
    yield from ("stored_primarily_locally", "available_to_the_accountable_organization", "not_available_to_vendor")
    yield from ("not_available_to_me", "privacy-preserving")


def _feature(register: Register, site: SiteStanding, camera: CameraStanding) -> dict[str, Any]:
    grant, place = camera.grant, site.site.location
    use = register.charter.use(grant.intended_use)
    page = f"{register.claims.address or ''}{site_link(site.site.id)}"
    return {
        "type": "Feature",
        "id": camera.camera_id,
        "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "properties": {
            "reference": camera.camera_id,
            "type": _CAMERA_TYPE,
            "datastream": "counts" if grant.people is PeopleMode.COUNTS_ONLY else "video, masked before it is stored",
            "observation_goals": [
                {
                    "observation_goal": words(one),
                    "legal_ground": "" if use is None else use.clause,
                    "privacy_declaration": page,
                }
                for one in grant.permissible_uses
            ],
            "themes": [grant.intended_use if use is None else use.title],
            # A street in which somebody was missed is personal data, too; only counts are none.
            "contains_pi_data": grant.people is not PeopleMode.COUNTS_ONLY,
            "active_until": f"{grant.ends_at:%Y-%m-%d}",
            "location_description": site.site.public_name,
            "owner": {"organisation": register.claims.city},
            "lamppost_site": site.site.id,
            "lamppost_page": page,
            "lamppost_state": state_of(camera),
            "lamppost_precision_m": place.public_precision_m,
            "lamppost_retention_days": camera.permitted.retention.days,
            "lamppost_people": grant.people.value,
            "lamppost_originals": grant.originals.value,
            "lamppost_biometrics_locked": camera.permitted.biometrics_locked,
        },
    }


def _row(register: Register, site: SiteStanding, camera: CameraStanding) -> list[object]:
    grant, record, place = camera.grant, site.site, site.site.location
    use = register.charter.use(grant.intended_use)
    claimed = register.cameras.get(camera.camera_id)
    account = None if claimed is None else claimed.account
    attested = None if claimed is None else claimed.attestation
    return [
        *(record.id, record.public_name, camera.camera_id, place.latitude, place.longitude, place.public_precision_m),
        *(state_of(camera), grant.intended_use, "" if use is None else use.clause),
        " ".join(register.policy.signed_by[register.path_of(grant)]),
        *(write_instant(grant.starts_at), write_instant(grant.ends_at), camera.permitted.retention.days),
        *(grant.people.value, grant.originals.value, grant.biometrics, str(camera.permitted.biometrics_locked).lower()),
        *(len(camera.waivers), len(camera.restrictions), len(camera.holds)),
        *(("", "") if account is None else (write_instant(account.since), write_instant(account.until))),
        "" if account is None else account.recorded_s,
        "" if account is None else f"{account.uptime_ratio:.4f}",
        *(("", "") if account is None else (account.frames_stored, account.frames_failed_closed)),
        *((0, 0) if claimed is None else (sum(claimed.exports.values()), claimed.opened)),
        "" if attested is None else write_instant(attested.last_at),
    ]


def _camera(register: Register, camera: CameraStanding) -> dict[str, Any]:
    claimed = register.cameras.get(camera.camera_id)
    permitted = camera.permitted
    told = (may(register.charter, camera), may_not(register.charter, camera), standing_words(register.charter, camera))
    return {
        "camera": camera.camera_id,
        "state": state_of(camera),
        "permission": camera.grant.id,
        "retention_days": permitted.retention.days,
        "biometrics": camera.grant.biometrics,
        "biometrics_locked": permitted.biometrics_locked,
        "private_areas": len(permitted.zones) or len(camera.grant.zones),
        "models": [one.model_dump(mode="json") for one in camera.grant.models],
        "recipients": list(camera.grant.recipients),
        "sharing": [one.model_dump(mode="json") for one in camera.grant.sharing],
        "waivers": len(camera.waivers),
        "restrictions": len(camera.restrictions),
        "holds": len(camera.holds),
        "may": [{"about": label, "sentence": text} for label, text in told[0]],
        "may_not": [{"about": label, "sentence": text} for label, text in told[1]],
        "beside": [{"about": label, "sentence": text} for label, text in told[2]],
        "account": None if claimed is None or claimed.account is None else claimed.account.model_dump(mode="json"),
        "attestation": (
            None if claimed is None or claimed.attestation is None else claimed.attestation.model_dump(mode="json")
        ),
        "exports": {} if claimed is None else claimed.exports,
        "exports_refused": 0 if claimed is None else claimed.exports_refused,
        "sealed_layer_opened": 0 if claimed is None else claimed.opened,
        "label_key": None if claimed is None else claimed.label_key,
    }


def _change(one: Publication, site: SiteStanding) -> dict[str, Any]:
    mine = {camera.camera_id for camera in site.cameras}
    return {
        "at": write_instant(one.policy.at),
        "publication": one.policy.snapshot,
        "documents": list(one.added),
        "differences": [
            {"camera": camera, "about": each.label, "before": each.before, "after": each.after}
            for camera, differences in sorted(one.changed.items())
            if camera in mine
            for each in differences
        ],
    }


def _entry(one: Publication, name: str, base: str) -> str:
    told = [
        f"{camera}, {each.label}: {each.before or '(nothing)'} → {each.after or '(nothing)'}"
        for camera, differences in sorted(one.changed.items())
        for each in differences
    ]
    told += [
        f"The law, {each.where}: {each.was or '(nothing)'} → {each.becomes or '(nothing)'}"
        for each in one.charter_changes
    ]
    about = [*sorted(one.changed), *(["the law"] if one.charter_changes else [])]
    title = sentence(f"changed: {', '.join(about)}")[:-1]
    return (
        f"<entry><id>{name}:{one.policy.snapshot}</id><title>{escape(title)}</title>"
        f"<updated>{write_instant(one.policy.at)}</updated>"
        f'<link href="{escape(base)}changes.html#p{one.policy.snapshot}"/>'
        f'<content type="text">{escape(chr(10).join(told))}</content></entry>'
    )


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
