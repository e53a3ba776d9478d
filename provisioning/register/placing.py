"""Write a register into a folder, whole or not at all; read one from a folder or from the web."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

from agent.core.bundle import decode_bundle
from agent.errors import RegisterError, StorageError, UsageError
from provisioning.authority import files
from provisioning.authority.published import first_root_of, verify_metadata
from provisioning.register.claims import REGISTER, SIGNATURE, open_register
from provisioning.register.made_of import timestamp_keys
from provisioning.register.making import BUNDLE, Files

MAX_FILE_BYTES = 16 * 1024 * 1024  # the list of files of a city with 10,000 sites
MAX_FILES = 100_000
_PATIENCE_S = 60


def place_register(out: Path, made: Files) -> None:
    """Make `out` hold exactly a register's files; an older register there is replaced in one step.

    Raises:
        UsageError: Something else is there.
        StorageError: The disk refuses.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is no folder")
    if out.is_dir() and any(out.iterdir()) and not (out / REGISTER).exists():
        raise UsageError(f"{out} holds something else than a register", hint="choose another folder")
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    old = out.with_name(f".{out.name}.{secrets.token_hex(4)}.old")
    try:
        for name, content in made.items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if out.exists():
            out.rename(old)
        part.rename(out)
        files.sync_folder(out.absolute().parent)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def read_register(place: str) -> dict[str, bytes]:
    """Return the files of the register at `place`, a folder or an address, by path; nothing is verified but their list.

    Raises:
        RegisterError: There is none.
        StorageError: It cannot be read.
    """
    if urlsplit(place).scheme in {"http", "https"}:
        return dict(_from_web(place.removesuffix("index.html")))
    folder = Path(place)
    if not (folder / REGISTER).is_file():
        raise RegisterError(f"{place} holds no register", hint="lamppost register build OUT makes one")
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): files.read_capped(path, max_bytes=MAX_FILE_BYTES) for path in found}


def _from_web(address: str) -> Iterator[tuple[str, bytes]]:
    base = address if address.endswith("/") else f"{address}/"
    raw, signature, packed = (_fetch(base, name) for name in (REGISTER, SIGNATURE, BUNDLE))
    release = decode_bundle(packed)
    walked = verify_metadata(release, first_root_of(release))
    register = open_register(raw, signature, timestamp_keys(walked))
    if len(register.files) > MAX_FILES:
        raise RegisterError(f"the register lists {len(register.files)} files, expected at most {MAX_FILES}")
    yield from {REGISTER: raw, SIGNATURE: signature, BUNDLE: packed}.items()
    for name in register.files:
        if name != BUNDLE:
            yield name, _fetch(base, name)


def _fetch(base: str, name: str) -> bytes:
    address = urljoin(base, name)
    try:
        with urlopen(address, timeout=_PATIENCE_S) as answer:  # noqa: S310 - http(s) alone gets here, and is verified
            content: bytes = answer.read(MAX_FILE_BYTES + 1)
    except (URLError, OSError) as error:
        raise RegisterError(f"cannot fetch {address}: {error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise RegisterError(f"{address} has more than {MAX_FILE_BYTES} bytes")
    return content
