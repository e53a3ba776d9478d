"""A power cut at any step of applying a bundle leaves the old policy or the new one, and never a camera that is stuck.

The file system is the real one; a fault layer counts each write, fsync, rename and
unlink, cuts the power at the n-th, and then undoes what a file system may forget:
the content of files that were not yet synced, and the renames and removals of
folders that were not. Every n is tried, each with and without forgetting.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.adapters.policy_store import PolicyStore
from agent.core.policy.clock import ClockQuality
from agent.recorder.policy_intake import PolicyInForce, PolicyIntake
from tests.fakes.city import City, recording_city
from tests.fakes.clock import FakeClock
from tests.fakes.documents import DAY, NOON, restriction

ENOUGH_STEPS = 200


class PowerCutError(BaseException):
    """The machine is off; no handler of the program's runs any more."""


class Power:
    """Counts what reaches the disk below `folder`, and fails at a chosen step."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.steps = 0
        self.cut_at: int | None = None
        self.off = False
        self._unsynced: set[Path] = set()
        self._undo: list[tuple[Path, bytes | None]] = []
        self._paths: dict[int, Path] = {}
        for name in ("open", "write", "fsync", "close"):
            patch.setattr(os, name, self._around(getattr(os, name), getattr(self, f"_{name}")))
        for name in ("rename", "unlink"):
            patch.setattr(Path, name, self._around(getattr(Path, name), getattr(self, f"_{name}")))

    def forget(self) -> None:
        """Lose what was never synced, as a file system may; latest first."""
        for path, content in reversed(self._undo):
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        for path in self._unsynced:
            if path.exists():
                path.write_bytes(b"")

    def _around(self, real: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **named: ours(real, *arguments, **named)

    def _step(self) -> None:
        if self.off:
            raise PowerCutError
        self.steps += 1
        if self.steps == self.cut_at:
            self.off = True
            raise PowerCutError

    def _mine(self, path: object) -> bool:
        return isinstance(path, str | Path) and Path(path).is_relative_to(self.folder)

    def _open(self, real: Callable[..., int], path: object, flags: int, *rest: Any, **named: Any) -> int:
        if self._mine(path) and flags & os.O_CREAT:
            self._step()
            self._unsynced.add(Path(str(path)))
        descriptor = real(path, flags, *rest, **named)
        if self._mine(path):
            self._paths[descriptor] = Path(str(path))
        return descriptor

    def _write(self, real: Callable[..., int], descriptor: int, content: bytes) -> int:
        if descriptor in self._paths:
            with contextlib.suppress(PowerCutError):
                self._step()
                return real(descriptor, content)
            real(descriptor, bytes(content)[: len(content) // 2])
            raise PowerCutError
        return real(descriptor, content)

    def _fsync(self, real: Callable[..., None], descriptor: int) -> None:
        path = self._paths.get(descriptor)
        if path is not None:
            self._step()
            self._unsynced.discard(path)
            self._undo = [] if path == self.folder else self._undo
        real(descriptor)

    def _close(self, real: Callable[..., None], descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        real(descriptor)

    def _rename(self, real: Callable[..., Path], path: Path, target: Path) -> Path:
        if self._mine(path):
            self._step()
            self._undo.append((target, target.read_bytes() if target.exists() else None))
            if path in self._unsynced:
                self._unsynced.remove(path)
                self._unsynced.add(target)
        return real(path, target)

    def _unlink(self, real: Callable[..., None], path: Path, **named: Any) -> None:
        if self._mine(path) and path.exists():
            self._step()
            self._undo.append((path, path.read_bytes()))
        real(path, **named)


class Bench:
    """One camera's folder at the moment a newer bundle arrives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.city = recording_city()
        self.clock = FakeClock(NOON)
        folder.mkdir()
        self.start().offer(self.city.publish())
        self.old = self.start().in_force
        self.city.put(restriction())
        self.bundle = self.city.publish()

    def start(self) -> PolicyIntake:
        return PolicyIntake(PolicyStore(self.folder), trusted_root=self.city.trusted_root, clock=self.clock)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("policy") / "before")


def copies(bench: Bench, folder: Path) -> Iterator[tuple[Path, Bench]]:
    """Yield fresh copies of what `bench` has on disk, for as long as asked."""
    for n in range(ENOUGH_STEPS):
        copy = Bench.__new__(Bench)
        vars(copy).update(vars(bench))
        copy.folder = folder / str(n)
        copy.folder.mkdir(parents=True)
        for path in bench.folder.iterdir():
            (copy.folder / path.name).write_bytes(path.read_bytes())
        yield copy.folder, copy


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps", "forgets"])
def test_applying_a_bundle_happens_wholly_or_not_at_all(tmp_path: Path, before: Bench, forgetful: bool) -> None:
    new: PolicyInForce | None = None
    seen: list[str] = []
    for step, (folder, bench) in enumerate(copies(before, tmp_path), start=1):
        intake = bench.start()
        with pytest.MonkeyPatch.context() as patch:
            power = Power(folder, patch)
            power.cut_at = step
            try:
                intake.offer(bench.bundle)
            except PowerCutError:
                pass
            else:
                new = intake.in_force
        if forgetful:
            power.forget()

        after = bench.start()
        seen.append("old" if after.in_force == bench.old else "new")
        again = bench.start()
        again.offer(bench.bundle)  # the link still has it

        assert after.in_force == bench.old or restriction() in after.in_force.documents.restrictions
        assert not after.in_force.suspended
        assert restriction() in again.in_force.documents.restrictions
        assert again.in_force.documents.grants == bench.old.documents.grants
        assert len(list(folder.iterdir())) == 2, "a power cut leaves no litter"
        if new is not None:
            break
    assert new is not None, "there were more steps than were tried"
    assert seen == sorted(seen, reverse=True), "once new, it stays new"
    assert seen[0] == "old"
    assert len(seen) > 10


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps", "forgets"])
def test_a_first_bundle_is_applied_wholly_or_not_at_all(tmp_path: Path, before: Bench, forgetful: bool) -> None:
    done = False
    for step in range(1, ENOUGH_STEPS):
        folder = tmp_path / str(step)
        folder.mkdir()
        start = _starter(folder, before.city, FakeClock(before.city.now))
        intake = start()
        with pytest.MonkeyPatch.context() as patch:
            power = Power(folder, patch)
            power.cut_at = step
            try:
                intake.offer(before.bundle)
                done = True
            except PowerCutError:
                pass
        if forgetful:
            power.forget()

        after = start()
        grants_at_once = after.in_force.documents.grants
        after.offer(before.bundle)

        # Not a loss: dark until all officials sign again would be a brick on a ladder.
        assert after.in_force.documents.grants
        assert not after.in_force.suspended
        assert bool(grants_at_once) or not done
        if done:
            break
    assert done


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps", "forgets"])
def test_saving_the_time_happens_wholly_or_not_at_all(tmp_path: Path, before: Bench, forgetful: bool) -> None:
    for step, (folder, bench) in enumerate(copies(before, tmp_path), start=1):
        bench.clock = FakeClock(NOON, quality=ClockQuality.UNKNOWN)
        intake = bench.start()
        bench.clock.advance(DAY)
        with pytest.MonkeyPatch.context() as patch:
            power = Power(folder, patch)
            power.cut_at = step
            saved = False
            with contextlib.suppress(PowerCutError):
                intake.save_time()
                saved = True
        if forgetful:
            power.forget()

        after = bench.start()

        assert after.in_force == bench.old
        assert after.floors.proven in {NOON, NOON + DAY}
        if saved:
            assert after.floors.proven == NOON + DAY
            return
    raise AssertionError("there were more steps than were tried")


def _starter(folder: Path, city: City, clock: FakeClock) -> Callable[[], PolicyIntake]:
    return lambda: PolicyIntake(PolicyStore(folder), trusted_root=city.trusted_root, clock=clock)
