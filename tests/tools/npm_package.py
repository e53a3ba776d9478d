"""Fetch one npm package for a test, or skip the test and say why."""

import shutil
import subprocess
from pathlib import Path

import pytest


def install(package: str, folder: Path, *more: str) -> None:
    """Install `name@version`, and more of them, under `folder`; none of their scripts run."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip(f"{package} needs node and npm, which are not installed")
    command = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", package, *more]
    try:
        done = subprocess.run(command, capture_output=True, timeout=150, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not fetch {package}: it waited in vain")
    if done.returncode != 0:
        pytest.skip(f"npm could not fetch {package}: {done.stderr.decode(errors='replace')[-300:]}")
