"""Measure two things side by side, so that a machine that drifts drifts for both.

Each pair runs A then B, or B then A in every second pair; a ratio is that of one pair,
and what is told is the median. A control compares A with itself by the same method:
if that is not 1 within `CONTROL_TOLERANCE`, the machine was too noisy to tell.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

PAIRS = 7
CONTROL_TOLERANCE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the table.

    Attributes:
        key: Letter of the measurement.
        what: What was compared.
        value: The median ratio, or a plain number with `unit`.
        target: What it should be, in words such as "≥ 0.96".
        met: Whether it is.
        spread: Lowest and highest ratio of a pair; None for a plain number.
        control: The same for A against A; None where there is none.
        unit: Of `value`; empty for a ratio.
        note: What else a reader should know.
    """

    key: str
    what: str
    value: float
    target: str
    met: bool
    spread: tuple[float, float] | None = None
    control: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def void(self) -> bool:
        """Whether the control says that the machine was too noisy."""
        return self.control is not None and abs(self.control - 1) > CONTROL_TOLERANCE


def ratios(a: Callable[[], float], b: Callable[[], float], *, pairs: int = PAIRS) -> list[float]:
    """Return cost(a) / cost(b) of each of `pairs` interleaved pairs, after one run of each that is not counted."""
    a(), b()
    found = []
    for number in range(pairs):
        if number % 2:
            cost_b, cost_a = b(), a()
        else:
            cost_a, cost_b = a(), b()
        found.append(cost_a / cost_b)
    return found


def compare(  # noqa: PLR0913 - a line of the table has that many sides
    key: str,
    what: str,
    a: Callable[[], float],
    b: Callable[[], float],
    *,
    target: str,
    met: Callable[[float], bool],
    pairs: int = PAIRS,
    invert: bool = False,
    note: str = "",
) -> Result:
    """Measure `a` against `b`, and `b` against itself.

    Args:
        key: Letter of the measurement.
        what: What is compared.
        a: Returns the cost of one run of what is judged.
        b: Returns the cost of one run of what it is judged by.
        target: In words.
        met: Whether a median ratio meets it.
        pairs: How many.
        invert: Tell cost(b) / cost(a) instead: work for the same cost.
        note: What else to say.
    """
    found = ratios(a, b, pairs=pairs)
    if invert:
        found = [1 / one for one in found]
    control = median(ratios(b, b, pairs=pairs))
    value = median(found)
    return Result(
        key=key,
        what=what,
        value=value,
        target=target,
        met=met(value),
        spread=(min(found), max(found)),
        control=control,
        note=note,
    )


def cpu_of(work: Callable[[], None]) -> float:
    """Return the CPU seconds that `work` takes in this process, all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def wall_of(work: Callable[[], None]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def child(command: Sequence[str], environment: dict[str, str] | None = None) -> resource.struct_rusage:
    """Run a command to its end and return what it cost.

    Raises:
        RuntimeError: It failed.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {said.decode(errors='replace')[-500:]}")
    return usage


_PEAK_OF = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def peak_mib_of_child(command: Sequence[str], environment: dict[str, str] | None = None) -> float:
    """Return the peak RSS of a command, MiB.

    A process counts the memory of the one it was forked from until it executes its own program, so a
    small one starts it.
    """
    told = subprocess.run(
        [sys.executable, "-c", _PEAK_OF, *command],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    ).stdout
    return int(told) / 1024


def cpu_of_child(command: Sequence[str], environment: dict[str, str] | None = None) -> float:
    """Return the CPU seconds of a command."""
    usage = child(command, environment)
    return usage.ru_utime + usage.ru_stime
