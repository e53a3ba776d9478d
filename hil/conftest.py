"""One camera for all tests, brought where each wants it; pictures and findings go into the report."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from labgrid import Target

from hil.strategy import CameraStrategy

REPORT = Path(__file__).resolve().parents[1] / "build" / "hil" / "report"


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
