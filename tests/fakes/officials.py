"""Officials of Example City with a key each in memory: what scrypt would cost a test is saved.

A test that is about the key folder itself makes one with `make_key`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.core.policy.documents import Document, canonical_document
from provisioning.authority.city import CityFolder, prepare_city, publish, read_city
from provisioning.authority.cross_check import path_of
from provisioning.authority.draft import Draft
from provisioning.authority.draft_signing import sign_draft
from provisioning.authority.drafting import draft_documents
from provisioning.authority.keys import KeyCard, OfficialKey
from provisioning.authority.published import PublishedCity
from tests.fakes.city import key_of
from tests.fakes.documents import NOON, example_charter

OFFICES = ("city-manager", "custodian", "it-director", "police-chief")
FOUNDED_AT = NOON - timedelta(days=30)


def official(office: str, *, who: str | None = None) -> OfficialKey:
    """Return the key of the holder of `office`; `who` makes it another person's."""
    signer = key_of(who or office)
    return OfficialKey(
        card=KeyCard(office=office, name=f"Holder of {who or office}", key=signer.public_key), signer=signer
    )


def cards(offices: Iterable[str] = OFFICES) -> tuple[KeyCard, ...]:
    """Return a key card for each office."""
    return tuple(official(office).card for office in offices)


def signed_by(draft: Draft, *offices: str, root: bytes | None, now: datetime = NOON) -> Draft:
    """Return `draft` with the signatures of `offices`."""
    for office in offices:
        draft = sign_draft(draft, official(office), root, now=now)
    return draft


def found(path: Path, *, now: datetime = FOUNDED_AT) -> CityFolder:
    """Found Example City in `path`, as its officials would; the ceremony itself is held once for each `now`."""
    folder = CityFolder(path=path)
    folder.online.mkdir(parents=True, mode=0o700)
    for name, content in _founded(now).items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o600 if file.parent == folder.online else 0o644)
    return folder


@lru_cache
def _founded(now: datetime) -> dict[str, bytes]:
    with TemporaryDirectory() as made:
        folder = CityFolder(path=Path(made) / "city")
        draft = prepare_city(folder, example_charter(), cards(), now=now)
        publish(folder, signed_by(draft, *OFFICES, root=None, now=now), now=now)
        files = (path for path in folder.path.rglob("*") if path.is_file())
        return {str(path.relative_to(folder.path)): path.read_bytes() for path in files}


def propose(folder: CityFolder, *documents: Document, now: datetime = NOON) -> Draft:
    """Return an unsigned draft of `documents`."""
    return draft_documents(
        read_city(folder), {path_of(document): canonical_document(document) for document in documents}, now=now
    )


def enact(folder: CityFolder, document: Document, *offices: str, now: datetime = NOON) -> PublishedCity:
    """Draft, sign and publish one document."""
    root = read_city(folder).first_root
    return publish(folder, signed_by(propose(folder, document, now=now), *offices, root=root, now=now), now=now)
