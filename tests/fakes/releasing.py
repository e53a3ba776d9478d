"""A city whose custodian has a vault, and three officials with a share each: what a release needs.

Everybody's keys lie where they would: the vault at the custodian's, the key for shares in
each official's own folder. Tests lower the cost of scrypt before they make one.
"""

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Self

from agent.core.policy.documents import EpochKeys
from agent.core.sealing.recipients import Identity, PostQuantumIdentity, Recipient, parse_recipient
from agent.core.segment_name import SegmentName
from agent.errors import WrongIdentityError
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.compose import Act, compose, next_id
from provisioning.authority.cross_check import documents_of
from provisioning.authority.vault import DayKey, Vault, open_vault
from provisioning.epochs.making import Maker, day_of, own_makers, quorum_maker
from provisioning.evidence.authority import Authority
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.order import Custodian
from provisioning.footage.catalogue import find_segments
from provisioning.footage.opening import open_segment
from provisioning.release import answering, asking, opening
from provisioning.release.asking import Clerk, Wish
from tests.fakes.documents import CAMERA
from tests.fakes.officials import enact, official

PASSPHRASE = "four words nobody joins"
HOLDERS = ("city-manager", "police-chief", "custodian")
ONE_DAY = timedelta(days=1)


def opened(place: Path, identities: Sequence[Identity], *, headers: Path | None = None) -> list[SegmentName]:
    """Return the segments below `place` that one of `identities` opens, in order."""
    names = []
    for segment in find_segments(place, headers=headers).segments:
        try:
            open_segment(segment, identities)
        except WrongIdentityError:
            continue
        names.append(segment.name)
    return sorted(names, key=lambda name: name.sequence)


class Releasing:
    """The custodian's and the officials' machines.

    Args:
        folder: Where they all lie, as `make` made them.
        city: The city.
    """

    def __init__(self, folder: Path, city: CityFolder) -> None:
        self.city = city
        self.vault_folder = folder / "vault"
        self.homes = {office: folder / office for office in HOLDERS}
        self.investigator = PostQuantumIdentity(bytes(range(5, 37)))
        self.city_log = CityLog(city.path / "log")

    @classmethod
    def make(cls, folder: Path, city: CityFolder, *, now: datetime, days: Sequence[date]) -> Self:
        """Have every official join, and the custodian make and publish the keys of `days`."""
        desks = cls(folder, city)
        for home in desks.homes.values():
            home.mkdir(parents=True)
        cards = [answering.join(home, official(office), PASSPHRASE, now=now) for office, home in desks.homes.items()]
        masked = own_makers(desks.vault, [("custodian", "jun-okafor")], "default")
        sealed = [quorum_maker(desks.clerk(), cards, "default", now)]
        for layer, makers in (("masked", masked), ("originals", sealed)):
            enact(city, desks._keys(layer, makers, days, now), "custodian", now=now)
        return desks

    @classmethod
    def copied(cls, made: Path, folder: Path) -> Self:
        """Return copies of all machines, and of the footage beside them, for one test to work on."""
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return cls(folder, CityFolder(path=folder / "city"))

    @property
    def vault(self) -> Vault:
        """The custodian's vault, opened."""
        return open_vault(self.vault_folder, PASSPHRASE)

    @property
    def authority(self) -> Authority:
        """The city as it is now."""
        return Authority(read_city(self.city))

    def clerk(self, *, office: str = "custodian") -> Clerk:
        """Return the custodian at work."""
        key = official(office)
        return Clerk(
            authority=self.authority,
            custodian=Custodian(card=key.card, unlock=lambda: key, identities=tuple),
            city_log=self.city_log,
            vault_folder=self.vault_folder,
            vault=lambda: self.vault,
        )

    def recipient(self, day: date, layer: str) -> Recipient:
        """Return what the camera seals a layer of a day to."""
        for document in self._published():
            if document.layer == layer:
                for one in document.days:
                    if one.day == day:
                        return parse_recipient(one.recipients[0].recipient)
        raise AssertionError(f"no recipient of {day}")

    def masked_identity(self, day: date) -> Identity:
        """Return what opens the masked layer of a day."""
        return self.vault.stored(DayKey(day=day, layer="masked", role="custodian"))

    def wish(self, **changes: Any) -> Wish:
        """Return what the custodian asks for."""
        usual: dict[str, Any] = {
            "case": "2026-CR-118",
            "basis": "warrant",
            "reference": "Warrant 77 of Circuit Court 22",
            "reason": "The robbery at the corner.",
            "camera_id": CAMERA,
            "name": "Jo Vega",
            "role": "investigator",
            "holder": "jo-vega",
            "recipient": self.investigator.recipient,
        }
        return Wish(**(usual | changes))

    def ask(self, place: Path, *, now: datetime, **wish: Any) -> bytes:
        """Return the letter of a request."""
        return asking.ask(self.wish(**wish), self.clerk(), place=place, now=now)[1]

    def answer(self, request: bytes, office: str, *, now: datetime, approved: bool = True) -> bytes:
        """Return what an official signs on their machine."""
        letter = asking.read_request(request, self.authority)
        return answering.answer(letter, official(office), approved=approved, reason="I read it.", now=now)

    def record(self, request: bytes, answer: bytes, *, now: datetime) -> bytes:
        """Put an answer into the city's log and return the letter about it."""
        return opening.record(request, answer, self.clerk(), now=now)[1]

    def hand_over(self, request: bytes, recorded: bytes, office: str, *, now: datetime) -> bytes:
        """Return the share that leaves an official's machine."""
        return answering.hand_over(
            request,
            recorded,
            authority=self.authority,
            key=official(office),
            identity=lambda: self.share_identity(office),
            now=now,
        )

    def share(self, request: bytes, office: str, *, now: datetime) -> bytes:
        """Let an official approve, and hand over once the log says so."""
        recorded = self.record(request, self.answer(request, office, now=now), now=now)
        return self.hand_over(request, recorded, office, now=now)

    def share_identity(self, office: str) -> Identity:
        """Return what opens an official's shares."""
        return answering.share_identity(self.homes[office], PASSPHRASE)

    def every_identity(self) -> list[Identity]:
        """Return every identity that anybody of the city has: in the vault, and at the officials'."""
        vault = self.vault
        named = [path for path in self.vault_folder.rglob("*.age") if path.parent.name not in {"shares", "halves"}]
        opened = [vault._read(path) for path in named if path.name != "vault.age"]  # whatever it is for
        return [*opened, vault._identity, *map(self.share_identity, HOLDERS)]

    def _published(self) -> list[EpochKeys]:
        return [one for one in documents_of(read_city(self.city).documents).values() if isinstance(one, EpochKeys)]

    def _keys(self, layer: str, makers: Sequence[Maker], days: Sequence[date], now: datetime) -> EpochKeys:
        city = read_city(self.city)
        fields = {
            "id": next_id("epochs", city.documents, office="custodian", now=now),
            "starts_at": datetime.combine(days[0], time(), UTC),
            "ends_at": datetime.combine(days[-1] + ONE_DAY, time(), UTC),
            "layer": layer,
            "keeps": "default",
            "days": [day_of(day, makers, {}) for day in days],
        }
        return compose("epochs", EpochKeys, Act(office="custodian", reason="Keys.", now=now), city, fields)
