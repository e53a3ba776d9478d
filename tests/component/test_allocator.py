"""Both halves give back what they free: a large block is a mapping of its own, and goes with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# In processes of their own: how memory is handed out is settled once for each. Left alone, glibc takes the first
# freed mapping as a sign to keep blocks of that size in its heap from then on. Neither half gets far: the one
# finds no root, the other no broker.
PROBE = """
import ctypes, importlib, json, pathlib, sys, threading
from agent.config import load
from agent.errors import ConfigurationError

class Totals(ctypes.Structure):  # mallinfo2(3)
    _fields_ = [(name, ctypes.c_size_t) for name in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Totals
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

if len(sys.argv) > 2:
    try:
        importlib.import_module(sys.argv[2]).run(load(pathlib.Path(sys.argv[1])), stop=threading.Event())
    except ConfigurationError:
        pass
mapped = []
for _ in range(2):
    before = libc.mallinfo2().hblks
    block = libc.malloc(24 << 20)  # more than anything that was freed before
    mapped.append(libc.mallinfo2().hblks - before)
    libc.free(block)
print(json.dumps(mapped))
"""
CONFIGURATION = """
[camera]
id = "cam-07"
source = "streetscene"
[storage]
footage = "{0}/footage"
[state]
folder = "{0}/state"
runtime = "{0}/run"
[policy]
root = "{0}/root.json"
inbox = "{0}/inbox"
outbox = "{0}/outbox"
"""


def mapped_blocks(folder: Path, *half: str) -> object:
    """Return how many mappings a large block is, and how many the next one like it, after `half` began."""
    config = folder / "lamppost.toml"
    config.write_text(CONFIGURATION.format(folder))
    told = subprocess.run(
        [sys.executable, "-c", PROBE, str(config), *half], capture_output=True, check=True, timeout=120
    )
    return json.loads(told.stdout)


@pytest.mark.parametrize("half", ["agent.recorder.app", "agent.link.app"])
def test_a_large_block_goes_when_it_is_freed(tmp_path: Path, half: str) -> None:
    assert mapped_blocks(tmp_path, half) == [1, 1]


def test_a_process_that_does_not_ask_for_it_keeps_the_second(tmp_path: Path) -> None:
    assert mapped_blocks(tmp_path) == [1, 0]
