"""The conformance command and the fuzzer drive the camera's own client."""

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.city import City, recording_city

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tests" / "tools"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and its address on loopback."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOLS / tool, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def current_city() -> City:
    """Return a city of today; the tool has the machine's clock."""
    from agent.adapters.clock import SystemClock  # noqa: PLC0415 - the one test that needs the real time

    return recording_city(now=SystemClock().now().replace(microsecond=0))


def serve(city: City, folder: Path) -> None:
    for name, content in city.entries.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_init_refresh_download(tmp_path: Path, served: tuple[Path, str]) -> None:
    folder, address = served
    city = current_city()
    city.publish()
    serve(city, folder)
    old_timestamp = city.entries["metadata/timestamp.json"]
    (tmp_path / "root.json").write_bytes(city.trusted_root)
    base = ("--metadata-dir", tmp_path / "metadata", "--metadata-url", f"{address}/metadata")
    target = (
        "--target-name",
        "charter.json",
        "--target-base-url",
        f"{address}/targets",
        "--target-dir",
        tmp_path / "t",
    )

    assert run("tuf_client.py", *base, "init", tmp_path / "root.json").returncode == 0
    refreshed = run("tuf_client.py", *base, "refresh")
    assert refreshed.returncode == 0, refreshed.stderr
    downloaded = run("tuf_client.py", *base, *target, "download")
    assert downloaded.returncode == 0, downloaded.stderr
    assert (tmp_path / "t" / "charter.json").read_bytes() == city.documents["targets"]["charter.json"]

    # a newer release, then the old one with the library's own cache wiped: our floors remain
    city.publish()
    serve(city, folder)
    assert run("tuf_client.py", *base, "refresh").returncode == 0
    (folder / "metadata" / "timestamp.json").write_bytes(old_timestamp)
    for name in ("timestamp.json", "snapshot.json", "targets.json"):
        (tmp_path / "metadata" / name).unlink()
    refused = run("tuf_client.py", *base, "refresh")
    assert refused.returncode == 1
    assert refused.stderr.startswith("RollbackError: role timestamp is at version 1, accepted before: 2")


def test_a_repository_that_is_not_there_is_status_1(tmp_path: Path, served: tuple[Path, str]) -> None:
    _, address = served
    (tmp_path / "root.json").write_bytes(current_city().trusted_root)
    base = ("--metadata-dir", tmp_path / "metadata", "--metadata-url", f"{address}/metadata")
    run("tuf_client.py", *base, "init", tmp_path / "root.json")

    assert run("tuf_client.py", *base, "refresh").returncode == 1


def test_a_hundred_hostile_bundles_are_each_accepted_or_refused() -> None:
    done = run("fuzz_bundle.py", "--inputs", "100", "--deep-every", "4", "--seed", "3")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["inputs"] == 100
    assert "not one line" not in json.loads(done.stdout)
