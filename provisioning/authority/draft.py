"""A draft: one file that travels between officials until enough of them have signed.

It carries the city it was made against (the *base*, a release of public files),
the proposed documents, and the role metadata that would make them part of the
city, with the signatures so far. So each official needs nothing but the file and
their own key folder, may be offline, and can check everything before signing.

Pure: no files, no clock.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from tuf.api.metadata import Metadata, Root, Targets

from agent.core.bundle import MAX_BUNDLE_BYTES, decode_bundle, encode_bundle
from agent.core.policy.release import ROOT
from agent.core.policy.words import write_instant
from agent.errors import DocumentFormatError
from provisioning.authority.published import ReleaseFiles, parse_metadata

DRAFT_KIND = "lamppost-draft"
DRAFT_VERSION = 1
MAX_DRAFT_BYTES = 2 * MAX_BUNDLE_BYTES  # the base in base64, and as much again
SignedRole = Metadata[Root] | Metadata[Targets]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One proposal and its signatures so far.

    Attributes:
        created_at: When it was drafted, aware UTC.
        base: The release it was made against; empty for the founding of a city.
        documents: Proposed documents by target path.
        metadata: Role metadata by role name, as TUF JSON.
        withdrawn: Target paths of documents that leave the city.
    """

    created_at: datetime
    base: ReleaseFiles
    documents: Mapping[str, bytes]
    metadata: Mapping[str, bytes]
    withdrawn: tuple[str, ...] = ()

    @property
    def founding(self) -> bool:
        """Whether this draft founds a city."""
        return not self.base

    def dump(self) -> bytes:
        """Return the draft as the file that is mailed."""
        return (
            json.dumps(
                {
                    "kind": DRAFT_KIND,
                    "version": DRAFT_VERSION,
                    "created_at": write_instant(self.created_at),
                    "documents": {path: content.decode() for path, content in self.documents.items()},
                    "withdrawn": list(self.withdrawn),
                    "metadata": {role: json.loads(raw) for role, raw in self.metadata.items()},
                    "base": base64.b64encode(encode_bundle(self.base)).decode() if self.base else "",
                },
                indent=1,
                ensure_ascii=False,
            )
            + "\n"
        ).encode()

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the draft in `raw`; nothing in it is verified yet.

        Raises:
            DocumentFormatError: It is no draft of this version.
        """
        if len(raw) > MAX_DRAFT_BYTES:
            raise DocumentFormatError(f"the draft has {len(raw)} bytes, expected at most {MAX_DRAFT_BYTES}")
        try:
            stated = json.loads(raw, object_pairs_hook=_without_duplicates)
            kind, version = stated["kind"], stated["version"]
            if kind != DRAFT_KIND or version != DRAFT_VERSION:
                raise DocumentFormatError(f"this is {kind!r} version {version!r}, expected {DRAFT_KIND} 1")
            packed = base64.b64decode(stated["base"], validate=True)
            draft = cls(
                created_at=datetime.strptime(stated["created_at"], "%Y-%m-%dT%H:%M:%S%z"),
                base=decode_bundle(packed) if packed else {},
                documents={str(path): content.encode() for path, content in stated["documents"].items()},
                metadata={str(role): json.dumps(value).encode() for role, value in stated["metadata"].items()},
                withdrawn=tuple(str(path) for path in stated["withdrawn"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
            raise DocumentFormatError("this is not a draft", hint="lamppost grant draft makes one") from error
        if not draft.metadata:
            raise DocumentFormatError("the draft proposes nothing")
        return draft


def parse_role(raw: bytes, role: str) -> SignedRole:
    """Return metadata of a role that officials sign; nobody has looked at its signatures yet."""
    return parse_metadata(raw, Root, role) if role == ROOT else parse_metadata(raw, Targets, role)


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found
