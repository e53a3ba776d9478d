"""A hardened process leaves no core, makes private files, and says when swap is on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own: limits, the dumpable flag and the umask are not this test run's to change.
HARDEN = """
import ctypes, json, os, pathlib, resource, sys
from agent.adapters.process_hardening import harden_process
warnings = harden_process(swaps=pathlib.Path(sys.argv[1]))
print(json.dumps({
    "warnings": warnings,
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    "umask": os.umask(0),
}))
"""
HEADING = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def harden(swaps: Path) -> dict[str, object]:
    result = subprocess.run([sys.executable, "-c", HARDEN, str(swaps)], capture_output=True, check=True, timeout=120)
    told: dict[str, object] = json.loads(result.stdout)
    return told


def test_no_core_and_private_files(tmp_path: Path) -> None:
    told = harden(tmp_path / "swaps")

    assert told == {"warnings": [], "core": [0, 0], "dumpable": 0, "umask": 0o077}


@pytest.mark.parametrize(
    ("areas", "warned"),
    [("", 0), ("/dev/zram0 partition 512 0 100\n", 0), ("/var/swap file 102396 0 -2\n", 1)],
)
def test_swap_on_storage_is_warned_about(tmp_path: Path, areas: str, warned: int) -> None:
    (tmp_path / "swaps").write_text(HEADING + areas)

    told = harden(tmp_path / "swaps")

    warnings = told["warnings"]
    assert isinstance(warnings, list)
    assert len(warnings) == warned
    assert all("/var/swap" in warning for warning in warnings)
