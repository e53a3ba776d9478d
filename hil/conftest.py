"""One camera for all tests, brought where each wants it; pictures and findings go into the report."""

import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from labgrid import Target

from hil.strategy import CameraStrategy

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "build/hil/report"


@pytest.fixture(scope="session", autouse=True)
def tried(request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]) -> None:
    """Write into the report what was tried, and on what."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    record_testsuite_property("tier", Path(request.config.getoption("lg_env") or "").stem)
    record_testsuite_property("commit", commit.stdout.strip())
    record_testsuite_property("machine", f"{platform.platform()}, {os.cpu_count()} processors")
    package = os.environ.get("HIL_PACKAGE")  # by run.sh
    if package:
        digest = sha256(Path(package).read_bytes()).hexdigest()
        record_testsuite_property("package", f"{Path(package).name}, SHA-256 {digest}")
    for name in sorted(os.environ):
        if name.startswith("HIL_") and name != "HIL_PACKAGE":
            record_testsuite_property(name, os.environ[name])


@pytest.fixture(scope="module")
def camera(target: Target) -> Iterator[CameraStrategy]:
    """Yield a camera that remembers nothing of the tests of another file."""
    strategy = target.get_driver("CameraStrategy")
    target.activate(strategy.power)
    if hasattr(strategy.power, "fresh"):
        strategy.power.fresh()
    strategy.transition("off")
    yield strategy
    strategy.transition("off")


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path:
    """Return the folder whose PNG files the report shows beside this test."""
    folder = REPORT / "pictures" / request.node.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
