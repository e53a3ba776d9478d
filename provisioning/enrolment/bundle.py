"""What a camera says about itself, in one file that may be sent to whoever mends it.

The camera chooses what it tells, by name (`lamppost-agent diagnose`). Here all of it is
searched once more for what must never travel, because somebody's mistake on the camera
would otherwise be everybody's.
"""

import io
import re
import zipfile
from datetime import datetime

from agent.errors import SealError
from provisioning.enrolment.transport import Half, Transport
from provisioning.words import words

# What secrets and pictures begin with. Base64 and hex of a key cannot be told from a digest; the camera's
# choice is what keeps those out, and the tests hold it to that.
_SECRETS = re.compile(
    rb"PRIVATE KEY-----|AGE-SECRET-KEY-|age-secret-key-|(?:^|\W)(?:psk|password|passphrase)\s*[=:]\s*\S|://[^/\s:@]+:[^/\s@]+@",
    re.IGNORECASE,
)
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"ftypisom", b"ftypiso5", b"moof", b"data:image/")


class SecretFoundError(SealError):
    """Something that must not travel is in what a camera tells; nothing was written."""


def collect(transport: Transport, *, now: datetime) -> bytes:
    """Return the bundle, a ZIP file.

    Raises:
        TransportError: The camera cannot be reached.
        SecretFoundError: It tells something that it must not.
    """
    told = {f"{half.value}.json": transport.agent(half, ["diagnose"]).out for half in Half}
    told["journal.txt"] = transport.journal().encode()
    told["about.txt"] = f"{transport.name}\n{now.isoformat()}\n".encode()
    for name, content in told.items():
        check(name, content)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in told.items():
            bundle.writestr(name, content)
    return packed.getvalue()


def check(name: str, content: bytes) -> None:
    """Pass if nothing in `content` looks like a secret or a picture. Raises SecretFoundError."""
    found = _SECRETS.search(content)
    if found is not None:
        line = content.count(b"\n", 0, found.start()) + 1
        raise SecretFoundError(words("diagnose.secret", name=name, line=line), hint=words("diagnose.found_hint"))
    if any(sign in content for sign in _PICTURES):
        raise SecretFoundError(words("diagnose.picture", name=name), hint=words("diagnose.found_hint"))
