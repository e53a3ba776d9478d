"""Which city an official's key folder signs for: its first root, remembered when it was first trusted.

A first root is trusted by founding the city (its official signs it), or by
comparing its fingerprint with someone who did. From then on every draft must
descend from it.
"""

import hashlib
from pathlib import Path

from tuf.api.metadata import Root

from agent.core.policy.release import ROOT
from agent.errors import SignatureError
from provisioning.authority import files
from provisioning.authority.keys import fingerprint
from provisioning.authority.published import parse_metadata

TRUSTED_ROOT_FILE = "trusted-root.json"
MAX_ROOT_BYTES = 512 * 1024


def root_fingerprint(root: bytes) -> str:
    """Return what officials compare before they trust a city: the digest of what its first root says.

    Who has signed it so far does not count, so that all who sign a founding see the same.
    """
    return fingerprint(hashlib.sha256(parse_metadata(root, Root, ROOT).signed_bytes).hexdigest())


def trust_city(folder: Path, root: bytes) -> None:
    """Remember in a key folder which city its owner signs for.

    Raises:
        SignatureError: The folder trusts another city already.
    """
    known = trusted_root(folder)
    if known is None:
        files.write_new(folder / TRUSTED_ROOT_FILE, root)
    elif root_fingerprint(known) != root_fingerprint(root):
        raise SignatureError(
            f"{folder} trusts the city with fingerprint {root_fingerprint(known)}, "
            f"this one has {root_fingerprint(root)}",
            hint="one key folder serves one city; ask who sent you this",
        )


def trusted_root(folder: Path) -> bytes | None:
    """Return the first root of the city that this key folder trusts, if it has one."""
    path = folder / TRUSTED_ROOT_FILE
    return files.read_capped(path, max_bytes=MAX_ROOT_BYTES) if path.exists() else None
