"""A throwaway city: four people with a key each, on four "machines" that are folders.

What is played here is what the commands do: each person signs with their own key
only, drafts travel as bytes, and the backend publishes what is signed.
"""

import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from agent.core.policy.charter import read_charter_toml
from agent.core.policy.documents import (
    Document,
    EpochKeys,
    Restriction,
    Revocation,
    Waiver,
    canonical_document,
)
from agent.core.sealing.recipients import PostQuantumIdentity
from provisioning.authority.city import CityFolder, prepare_city, publish, read_city
from provisioning.authority.compose import Act, compose, compose_grant
from provisioning.authority.cross_check import path_of
from provisioning.authority.draft import Draft
from provisioning.authority.draft_signing import sign_draft
from provisioning.authority.drafting import draft_documents
from provisioning.authority.keys import OfficialKey, make_key, open_key
from provisioning.authority.published import PublishedCity

CHARTER = Path(__file__).resolve().parents[1] / "charters" / "example.toml"
GRANT = Path(__file__).with_name("grant.toml")
CAMERA = "market-street-1"
OTHER_CAMERA = "market-street-2"  # covered by the same grant; nothing else happens to it
OFFICIALS = {
    "city-manager": "Ada Mayfield",
    "it-director": "Ravi Olsen",
    "police-chief": "Grace Whitlock",
    "custodian": "Jun Okafor",
}
APPROVERS = ("city-manager", "it-director", "police-chief")
WIDE = (16, 9)
GARDEN: dict[str, Any] = {
    "what": "zones",
    "view": {"aspect_width": 16, "aspect_height": 9, "rotation_degrees": 0},
    "zones": [{"name": "garden of No. 17", "polygon": [[1.0, 0.5301], [0.858, 0.427], [0.858, 0.328], [1.0, 0.3296]]}],
}


class DemoCity:
    """A city that is founded, and acts of its officials, each returning when it was published.

    Args:
        folder: Where everything of the city may lie.
        now: The wall clock.
    """

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._now = now
        self._shape = WIDE
        self._folder = CityFolder(path=folder / "city")
        self.identity = PostQuantumIdentity.generate()
        self._keys = {office: self._make_key(folder / office, office, name) for office, name in OFFICIALS.items()}
        charter = read_charter_toml(CHARTER.read_text(encoding="utf-8"))
        cards = tuple(key.card for key in self._keys.values())
        draft = prepare_city(self._folder, charter, cards, now=now())
        for key in self._keys.values():
            draft = sign_draft(draft, key, None, now=now())
        publish(self._folder, draft, now=now())
        self.trusted_root = read_city(self._folder).first_root

    @property
    def folder(self) -> Path:
        """The backend's copy of the city."""
        return self._folder.path

    @property
    def custodian(self) -> OfficialKey:
        """The custodian's key."""
        return self._keys["custodian"]

    @property
    def bundle(self) -> Path:
        """The file that cameras take."""
        return self._folder.bundle_path

    def publish_keys(self) -> None:
        """Let the custodian publish the recipients of yesterday to the week after next."""
        today = self._now().date()
        days = [
            {
                "day": str(today + timedelta(days=offset)),
                "recipients": [
                    {"role": "custodian", "holder": "jun-okafor", "recipient": str(self.identity.recipient)}
                ],
            }
            for offset in range(-1, 20)
        ]
        act = Act(office="custodian", reason="Keys of the demo.", now=self._now())
        fields = {"layer": "masked", "keeps": "default", "days": days, "ends_at": self._now() + timedelta(days=20)}
        self._alone("custodian", compose("epochs", EpochKeys, act, self._city(), fields))

    def grant(self, net: str = "", shape: tuple[int, int] = WIDE) -> None:
        """Let the police chief draft a grant, and all three approvers sign it, one after the other.

        Args:
            net: SHA-256 of the net that may look for people; none if it is empty.
            shape: Of the picture, width to height: private areas drawn over another shape would hide all of it.
        """
        self._shape = shape
        now = self._now().replace(microsecond=0)
        window = f'starts_at = "{now.isoformat()}"\nends_at = "{(now + timedelta(days=30)).isoformat()}"\n'
        text = window.replace("+00:00", "Z") + GRANT.read_text(encoding="utf-8")
        for side, length in zip(("width", "height"), shape, strict=True):
            text = re.sub(rf"aspect_{side} = \d+", f"aspect_{side} = {length}", text)
        if net:
            text += f'\n[[models]]\nsha256 = "{net}"\nname = "people and vehicles"\noutputs = ["boxes", "classes"]\n'
        document = compose_grant(text, self._city(), now=now, issued_by="police-chief")
        self._publish(self._draft(document), APPROVERS)

    def restrict(self) -> None:
        """Let the city manager alone add a private area."""
        act = Act(office="city-manager", reason="A garden is in view, and its owners asked.", now=self._now())
        width, height = self._shape
        view = {**GARDEN["view"], "aspect_width": width, "aspect_height": height}
        fields = {"cameras": [CAMERA], "narrows": [{**GARDEN, "view": view}]}
        self._alone("city-manager", compose("restriction", Restriction, act, self._city(), fields))

    def waive(self, duration: timedelta) -> datetime:
        """Let the city manager allow more frames a second for a while; return when that ends."""
        ends_at = (self._now() + duration).replace(microsecond=0)
        act = Act(office="city-manager", reason="A parade passes.", now=self._now())
        widens = {"what": "picture", "max_height_px": 1080, "max_rate_hz": 25}
        fields = {"cameras": [CAMERA], "basis": "safety", "widens": widens, "ends_at": ends_at}
        self._alone("city-manager", compose("waiver", Waiver, act, self._city(), fields))
        return ends_at

    def revoke(self) -> None:
        """Let the police chief alone stop the camera."""
        act = Act(office="police-chief", reason="The end of the demo.", now=self._now())
        fields = {"cameras": [CAMERA], "action": "stop"}
        self._alone("police-chief", compose("revocation", Revocation, act, self._city(), fields))

    def _make_key(self, folder: Path, office: str, name: str) -> OfficialKey:
        passphrase = secrets.token_urlsafe(24)
        make_key(folder, office=office, name=name, passphrase=passphrase)
        return open_key(folder, lambda: passphrase)

    def _city(self) -> PublishedCity:
        return read_city(self._folder, self.trusted_root)

    def _draft(self, document: Document) -> Draft:
        return draft_documents(self._city(), {path_of(document): canonical_document(document)}, now=self._now())

    def _alone(self, office: str, document: Document) -> None:
        self._publish(self._draft(document), (office,))

    def _publish(self, draft: Draft, offices: tuple[str, ...]) -> None:
        for office in offices:
            draft = sign_draft(draft, self._keys[office], self.trusted_root, now=self._now())
        publish(self._folder, draft, now=self._now())
