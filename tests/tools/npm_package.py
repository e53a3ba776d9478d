"""Fetch one npm package for a test, or skip the test and say why."""

import shutil
import subprocess
from pathlib import Path

import pytest


def install(package: str, folder: Path, *more: str) -> None:
    """Install `name@version`, and more of them, under `folder`; none of their scripts run."""
    _npm(package, "install", "--prefix", str(folder), package, *more)


def clean_install(folder: Path) -> None:
    """Install what the package-lock.json in `folder` names, and nothing else; none of their scripts run."""
    _npm(str(folder / "package.json"), "ci", "--prefix", str(folder))


def _npm(what: str, command: str, *words: str) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip(f"{what} needs node and npm, which are not installed")
    line = ["npm", command, "--ignore-scripts", "--no-audit", "--no-fund", *words]
    try:
        done = subprocess.run(line, capture_output=True, timeout=150, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not fetch {what}: it waited in vain")
    if done.returncode != 0:
        pytest.skip(f"npm could not fetch {what}: {done.stderr.decode(errors='replace')[-300:]}")
