"""Which city stands behind an export, who of it may sign, and until when their key is in force.

Pure.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from securesystemslib.signer import Key
from tuf.api.metadata import Root

from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.release import ROOT
from agent.core.policy.words import write_instant
from agent.errors import ExpiredKeyError, OtherSignerError
from provisioning.authority.keys import OFFICE_FIELD
from provisioning.authority.published import PublishedCity, delegations, parse_metadata


@dataclass(frozen=True, slots=True)
class Authority:
    """One verified release of a city, as evidence needs it."""

    city: PublishedCity

    @property
    def charter(self) -> Charter:
        """The city's law."""
        return parse_charter(self.city.charter)

    @property
    def root(self) -> str:
        """Digest of what the city's first root says, in hex: its name for machines."""
        return sha256(parse_metadata(self.city.first_root, Root, ROOT).signed_bytes).hexdigest()

    def known_key(self, keyid: str) -> Key:
        """Return the key with this id.

        Raises:
            OtherSignerError: The city knows no such key.
        """
        key = delegations(self.city.targets.signed)[0].get(keyid)
        if key is None:
            raise OtherSignerError(f"the city knows no key {keyid[:16]}…")
        return key

    def exporting_key(self, keyid: str, at: datetime) -> Key:
        """Return the key with this id, if it may sign exports at `at`.

        Raises:
            OtherSignerError: The city knows no such key, or its office exports nothing.
            ExpiredKeyError: What gives the key its office had expired by then.
        """
        key = self.known_key(keyid)
        office = key.unrecognized_fields.get(OFFICE_FIELD)
        if office not in self.charter.epochs.offices:
            raise OtherSignerError(f"the key {keyid[:16]}… is of the {office}, who exports nothing")
        for name, metadata in (
            ("the city's root", self.city.root),
            ("the list of offices", self.city.targets),
            ("what the backend vouched for", self.city.timestamp),
        ):
            if metadata.signed.expires <= at:
                raise ExpiredKeyError(
                    f"{name} expired at {write_instant(metadata.signed.expires)},"
                    f" and with it the key that signed at {write_instant(at)}",
                    hint="a newer copy of the policy bundle says whether the key is still in force",
                )
        return key
