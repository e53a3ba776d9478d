"""A PostgreSQL of one's own, on a Unix socket in a private folder, for as long as a test run needs it."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE_S = 60
SUPERUSER = "postgres"


def programs() -> Path:
    """Return where PostgreSQL's own programs are, or skip the test; Debian keeps them out of everybody's way."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    place = found[-1] if found else shutil.which("initdb")
    if place is None:
        pytest.skip("PostgreSQL is not installed: the package postgresql")
    return Path(place).parent


@contextlib.contextmanager
def running_postgresql() -> Iterator[str]:
    """Yield the address of a server without databases of ours; `{}` in it stands for a database's name.

    Nothing is synced: what a power cut does to PostgreSQL is not ours to test.
    """
    place = programs()  # first: where PostgreSQL is not, its user is not either
    folder = Path(tempfile.mkdtemp(prefix="lamppost-pg-"))  # short: a socket's path has 107 bytes
    as_whom: dict[str, object] = {}
    if os.geteuid() == 0:  # it does not run as root
        shutil.chown(folder, SUPERUSER, SUPERUSER)
        as_whom = {"user": SUPERUSER, "group": SUPERUSER, "extra_groups": []}
    data, log = folder / "data", folder / "log"
    control = [str(place / "pg_ctl"), "--pgdata", str(data), "--log", str(log), "--wait", "-t", str(PATIENCE_S)]
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c synchronous_commit=off -c shared_buffers=8MB"

    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **as_whom)  # type: ignore[call-overload]
        said = log.read_text(encoding="utf-8") if log.exists() else ""
        assert done.returncode == 0, done.stdout + done.stderr + said

    run(
        str(place / "initdb"),
        "--pgdata",
        str(data),
        "--username",
        SUPERUSER,
        "--auth=trust",
        "--no-sync",
        "-E",
        "UTF8",
    )
    try:
        run(*control[:5], "--options", options, *control[5:], "start")
        yield f"postgresql+psycopg://{SUPERUSER}@/{{}}?host={folder}"
    finally:
        run(*control, "--mode=immediate", "stop")
        shutil.rmtree(folder)
