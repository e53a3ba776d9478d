"""`lamppost keys`: make the keys that open footage.

An identity file is what age-keygen writes: two comment lines, then the secret. It is
readable by its owner only from the moment it exists, and is never overwritten: the key
in it may be the only one that opens a day of footage.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.core.sealing.recipients import Identity, PostQuantumIdentity, X25519Identity
from agent.errors import KeyFileError
from provisioning.identity_file import read_identities

app = typer.Typer(no_args_is_help=True)


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Where to write the identity; must not exist yet.")],
    *,
    x25519: Annotated[
        bool, typer.Option("--x25519", help="Make an X25519 key, for tools older than age 1.3; not post-quantum.")
    ] = False,
) -> None:
    """Make an identity file and print its recipient."""
    identity = X25519Identity.generate() if x25519 else PostQuantumIdentity.generate()
    _write_identity(out, identity)
    sys.stdout.write(f"{identity.recipient}\n")
    sys.stderr.write(f"wrote {out}: keep it off every camera; whoever has it opens what is sealed to its recipient\n")


@app.command()
def recipient(
    file: Annotated[
        Path, typer.Argument(help="An identity file, as `lamppost keys generate` or age-keygen writes it.")
    ],
) -> None:
    """Print the recipient of each identity in a file."""
    for identity in read_identities(file):
        sys.stdout.write(f"{identity.recipient}\n")


def _write_identity(path: Path, identity: Identity) -> None:
    """Create the file with its final permissions, fill it, and leave nothing behind on failure."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise KeyFileError(
            f"{path} is already there and is not overwritten",
            hint="name another file, or `lamppost keys recipient` to see whose key it is",
        ) from error
    except OSError as error:
        raise KeyFileError(f"cannot create {path}: {error.strerror}") from error
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib opens no descriptors
            # The file system has just said what time it is; a second clock is not needed.
            created_at = datetime.fromtimestamp(os.fstat(descriptor).st_mtime, UTC)
            file.write(f"# created: {created_at:%Y-%m-%dT%H:%M:%SZ}\n")
            file.write(f"# public key: {identity.recipient}\n")
            file.write(f"{identity.reveal()}\n")
            file.flush()
            os.fsync(descriptor)
        # Footage is about to be sealed to this key: the name must survive a power cut as well.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFileError(f"cannot write {path}: {error.strerror}") from error
