"""What this camera can say about itself for whoever has to mend it: no secret, no picture, no person.

Each half tells what its user may read; what it may not is told as that. Everything is
chosen here by name: nothing is copied because it lay in some folder.
"""

import importlib.metadata
import json
import platform
import stat
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import JsonValue

from agent.adapters.atomic_files import read_capped
from agent.adapters.board import Board
from agent.adapters.clock import SystemClock
from agent.adapters.identity import kept_claim
from agent.adapters.log_files import read_leaves
from agent.config import Config
from agent.core.enrolment.exchange import fingerprint, key_digest
from agent.errors import LamppostError

MOST_EVENTS = 300
MOST_FILES = 500
_MAX_BYTES = 64 * 1024

Facts: TypeAlias = dict[str, JsonValue]


def diagnose(config: Config) -> Facts:
    """Return everything, part by part; a part that fails says why and stops no other."""
    clock = SystemClock()
    parts: dict[str, Callable[[], JsonValue]] = {
        "versions": _versions,
        "clock": lambda: {"now": clock.now().isoformat(), "quality": clock.quality().value},
        "settings": lambda: config.model_dump(mode="json"),
        "board": lambda: Board(config.storage.footage).status().model_dump(mode="json"),
        "status": lambda: _json_in(config.state.runtime / "status.json"),
        "enrolment": lambda: _json_in(config.enrolment.folder / "stage.json"),
        "policy": lambda: _json_in(config.policy.outbox / "policy-verdict.json"),
        "claims": lambda: {
            half: None if (sealed := kept_claim(folder)) is None else len(sealed)
            for half, folder in (("recorder", config.state.folder), ("link", config.link.folder))
        },
        "credential": lambda: _certificate(config.link.credential),
        "log": lambda: _events(config.state.folder / "log"),
        "footage": lambda: _footage(config.storage.footage),
        "files": lambda: [*_files(config.state.folder), *_files(config.link.folder), *_files(config.policy.inbox)],
    }
    return {name: _told(tell) for name, tell in parts.items()}


def _told(tell: Callable[[], JsonValue]) -> JsonValue:
    try:
        return tell()
    except (LamppostError, OSError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _versions() -> JsonValue:
    return {
        "lamppost": importlib.metadata.version("lamppost"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }


def _json_in(path: Path) -> JsonValue:
    said: JsonValue = json.loads(read_capped(path, max_bytes=_MAX_BYTES))
    return said


def _certificate(path: Path) -> JsonValue:
    """Return what the certificate says; the key before it in the same file is not looked at."""
    device = x509.load_pem_x509_certificates(read_capped(path, max_bytes=_MAX_BYTES))[0]
    key = device.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "subject": device.subject.rfc4514_string(),
        "issuer": device.issuer.rfc4514_string(),
        "serial": f"{device.serial_number:x}",
        "ends_at": device.not_valid_after_utc.isoformat(),
        "key": fingerprint(key_digest(key)),
    }


def _events(folder: Path) -> JsonValue:
    last = deque(read_leaves(folder), maxlen=MOST_EVENTS)
    return [leaf.decode("utf-8", "replace") for _, leaf in last]


def _footage(folder: Path) -> JsonValue:
    sizes = {path.name: path.stat().st_size for path in folder.rglob("*.age*")}
    first, last = min(sizes, default=""), max(sizes, default="")
    return {"segments": len(sizes), "bytes": sum(sizes.values()), "first": first, "last": last}


def _files(folder: Path) -> list[JsonValue]:
    return [_file(path) for path in islice(sorted(folder.rglob("*")), MOST_FILES)]


def _file(path: Path) -> JsonValue:
    found = path.lstat()
    return f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid} {found.st_size} {path}"
