"""The ledger: every restriction, hold and revocation this camera has ever accepted.

What narrows does not depend on being repeated. An official may drop a restriction
from their role, the role may expire or be removed, a bundle may come without it:
the camera has seen it, so it stays in force until a grant lifts it by name. Two
texts under one path are two entries, so that the second cannot soften the first.

Pure: the store keeps what this module returns.
"""

from collections import Counter
from collections.abc import Iterable

from agent.core.policy.release import SignedDocument
from agent.errors import PolicyError

# A city with 50 officials who each narrow once a week for ten years has 26,000 documents in all, and a
# camera is concerned by few. What would not fit is refused, not forgotten.
MAX_LEDGER_BYTES = 8 * 1024 * 1024

# One official who signs without end fills what is theirs and no more: the others can still
# narrow, and revoke. Ten years of one restriction a week take 400 KiB.
MAX_ROLE_BYTES = 512 * 1024


def remember(ledger: Iterable[SignedDocument], seen: Iterable[SignedDocument]) -> tuple[SignedDocument, ...]:
    """Return `ledger` with the narrowing documents in `seen` that it does not have yet, in order of arrival.

    Raises:
        PolicyError: It would grow beyond what a camera keeps; the caller accepts nothing.
    """
    entries = {(document.path, document.raw): document for document in ledger}
    for document in sorted(seen):
        entries.setdefault((document.path, document.raw), document)
    taken = Counter[str]()
    for document in entries.values():
        taken[document.role] += len(document.raw)
    for role, size in taken.items():
        if size > MAX_ROLE_BYTES:
            raise PolicyError(
                f"what {role} ever narrowed would take {size} bytes, allowed: {MAX_ROLE_BYTES}",
                hint="publish without the newest version of that role; what it said before stays in force",
            )
    if (size := taken.total()) > MAX_LEDGER_BYTES:
        raise PolicyError(f"restrictions, holds and revocations would take {size} bytes, allowed: {MAX_LEDGER_BYTES}")
    return tuple(entries.values())
