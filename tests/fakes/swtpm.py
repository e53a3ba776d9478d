"""A TPM 2.0 in software: IBM's and Stefan Berger's swtpm, on a free port of this machine."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 60


@contextmanager
def started_tpm(state: Path) -> Iterator[str]:
    """Start a TPM whose seeds lie in the folder `state`, and lend how the TSS reaches it; skip where there is none."""
    pytest.importorskip(
        "tpm2_pytss", reason="needs the extra tpm: pip install 'lamppost[tpm]' with Debian's libtss2-dev"
    )
    if shutil.which("swtpm") is None:
        pytest.skip("swtpm is not installed: apt-get install swtpm libtss2-tcti-swtpm0")
    state.mkdir(exist_ok=True)
    port = _two_free_ports()
    ports = [f"type=tcp,port={each},bindaddr=127.0.0.1" for each in (port, port + 1)]
    where = ["--tpmstate", f"dir={state}", "--server", ports[0], "--ctrl", ports[1]]
    process = subprocess.Popen(
        ["swtpm", "socket", "--tpm2", *where, "--flags", "not-need-init,startup-clear"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, port + 1)
        yield f"swtpm:host=127.0.0.1,port={port}"
    finally:
        process.kill()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    # Its control port is asked: the other takes one connection, and ends with it.
    for _ in range(PATIENCE_S * 20):
        assert process.poll() is None, "swtpm ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    raise AssertionError("swtpm does not listen")


def _two_free_ports() -> int:
    """Return the first of two ports that follow each other, which the TSS expects, and are free."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
