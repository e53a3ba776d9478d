"""`make bench`: speed and memory as ratios, measured side by side in one run.

python -m tests.bench [--json FILE] [--only a,c,g]
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import hiding, log_of_ninety_days, network, people, recorder, storage, storm
from tests.bench.measuring import Result


def main() -> None:
    """Measure, tell, and exit with 0 whatever came out: a bench is not a test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--only", default="", help="letters, such as a,c,g")
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.only.split(",")))
    console = Console(stderr=True)
    results = []
    with tempfile.TemporaryDirectory(prefix="lamppost-bench-") as folder:
        scratch = Path(folder)
        measurements: dict[str, Callable[[], Result]] = {
            "a": recorder.masks_seal_and_store,
            "b": lambda: recorder.against_ffmpeg(scratch),
            "c": recorder.mask_against_memcpy,
            "d": lambda: recorder.first_sealed_byte(scratch),
            "e": lambda: recorder.peak_memory(scratch),
            "f": storage.device_bytes,
            "g": lambda: recorder.obedience(scratch),
            "h": lambda: network.obedience_over_the_network(scratch),
            "i": lambda: storm.reconnecting(scratch),
            "j": people.against_encoding,
            "k": people.against_memcpy,
            "l": lambda: network.seen_after_a_week_offline(scratch),
            "m": lambda: log_of_ninety_days.append(scratch),
            "n": lambda: log_of_ninety_days.proof(scratch),
            "p": hiding.of_a_large_frame,
            "q": hiding.with_a_net_against_encoding,
            "r": lambda: hiding.against_deface(scratch),
            "s": lambda: hiding.against_motion(scratch),
            "t": lambda: hiding.memory_with_a_net(scratch),
            "u": lambda: hiding.sealed_layer_cpu(scratch),
            "v": lambda: hiding.sealed_layer_bytes(scratch),
        }
        for key, measure in measurements.items():
            if wanted and key not in wanted:
                continue
            with console.status(f"measuring {key}"):
                results.append(measure())
    console.print(f"{platform.machine()}, {_processor()}, Python {platform.python_version()}")
    console.print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(markdown(results))


def table(results: list[Result]) -> Table:
    """Return the results for people."""
    shown = Table("", "what", "measured", "spread", "control", "target", "", box=None)
    for one in results:
        shown.add_row(one.key, one.what, *_cells(one))
    return shown


def markdown(results: list[Result]) -> str:
    """Return the results as the README's table."""
    lines = ["| | what | measured | spread | control | target | |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| {one.key} | {one.what}{f' ({one.note})' if one.note else ''} | {' | '.join(_cells(one))} |"
        for one in results
    ]
    return "\n".join(lines) + "\n"


def _cells(one: Result) -> tuple[str, str, str, str, str]:
    unit = f" {one.unit}" if one.unit else ""
    digits = 0 if one.unit in {"MiB", "ms"} else 3 if one.value < 0.1 or one.unit else 2
    spread = "" if one.spread is None else f"{one.spread[0]:.{digits}f} to {one.spread[1]:.{digits}f}"
    control = "" if one.control is None else f"{one.control:.3f}"
    verdict = "void: noisy machine" if one.void else "met" if one.met else "missed"
    return f"{one.value:.{digits}f}{unit}", spread, control, one.target, verdict


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
