"""A disk whose power is cut at a chosen call, and which then holds no more than a disk must.

Files are real, so that whoever reads sees what a running system would. Beside them the
disk remembers what was synced. When the power goes, every byte that was not synced may be
lost, torn, replaced by zeros or kept, and every name that was not synced may be undone,
newest first, as a journal would; chance decides.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from agent.adapters.disk import Disk


class PowerCut(BaseException):
    """The machine is off. Nothing may catch it on the way out."""


@dataclass(slots=True)
class _File:
    """What of one file would survive."""

    synced: bytes = b""


@dataclass(slots=True)
class _Change:
    """One change of a folder that was not synced: `path` came, went, or took the place of `before`."""

    path: Path
    file: _File | None = None  # what came
    moved_from: Path | None = None
    before: tuple[bytes, _File] | None = None  # what was there


@dataclass
class PowerCutDisk(Disk):
    """A disk for one folder, used by one process after another.

    Attributes:
        chance: What decides.
        calls_left: How many calls go through before the cut; None for no cut.
    """

    chance: random.Random
    calls_left: int | None = None
    _files: dict[Path, _File] = field(default_factory=dict)
    _open: dict[int, Path] = field(default_factory=dict)
    _pending: dict[Path, list[_Change]] = field(default_factory=dict)

    def switch_off(self) -> None:
        """Leave in the folder what survives."""
        for changes in self._pending.values():
            for change in reversed(changes[self.chance.randint(0, len(changes)) :]):
                self._undo(change)
        self._pending.clear()
        for path, file in self._files.items():
            self._settle(path, file)
        self.restart()

    def restart(self) -> None:
        """Let the next process begin; what was not synced still is not."""
        self._open.clear()
        self.calls_left = None

    def adopt(self, path: Path) -> None:
        """Take a file that lies there as one that survives."""
        self._files[path] = _File(path.read_bytes())

    # --- the calls ------------------------------------------------------------------

    def create(self, path: Path) -> int:
        self._call()
        descriptor = super().create(path)
        file = self._files[path] = _File()
        self._changes(path).append(_Change(path=path, file=file))
        self._open[descriptor] = path
        return descriptor

    def reopen(self, path: Path) -> int:
        self._call()
        descriptor = super().reopen(path)
        self._open[descriptor] = path
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        if self.calls_left == 0:
            super().write(descriptor, data[: self.chance.randint(0, len(data))])
        self._call()
        super().write(descriptor, data)

    def release(self, descriptor: int, length: int) -> None:
        self._call()
        super().release(descriptor, length)

    def sync(self, descriptor: int) -> None:
        path = self._open[descriptor]
        if self.calls_left == 0 and self.chance.random() < 0.5:  # it was done, and nobody was told
            self._files[path].synced = path.read_bytes()
        self._call()
        self._files[path].synced = path.read_bytes()

    def rename(self, old: Path, new: Path) -> None:
        self._call()
        before = (new.read_bytes(), self._files[new]) if new.exists() else None
        new.unlink(missing_ok=True)  # to the same effect, and without the flush of ext4's auto_da_alloc
        super().rename(old, new)
        file = self._files[new] = self._files.pop(old)
        for descriptor in [one for one, path in self._open.items() if path == old]:
            self._open[descriptor] = new
        # A journal commits creation and renaming in order; the file under its first name counts as one change.
        self._changes(new).append(_Change(path=new, file=file, moved_from=old, before=before))

    def remove(self, path: Path) -> None:
        self._call()
        before = (path.read_bytes(), self._files.pop(path)) if path.exists() else None
        super().remove(path)
        self._changes(path).append(_Change(path=path, before=before))

    def sync_directory(self, folder: Path) -> None:
        if self.calls_left == 0 and self.chance.random() < 0.5:
            self._pending.pop(folder, None)
        self._call()
        self._pending.pop(folder, None)

    # --- what survives --------------------------------------------------------------

    def _call(self) -> None:
        if self.calls_left is None:
            return
        if self.calls_left == 0:
            raise PowerCut
        self.calls_left -= 1

    def _changes(self, path: Path) -> list[_Change]:
        return self._pending.setdefault(path.parent, [])

    def _undo(self, change: _Change) -> None:
        if change.moved_from is not None:
            change.path.rename(change.moved_from)
            self._files[change.moved_from] = self._files.pop(change.path)
        elif change.file is not None:
            change.path.unlink()
            del self._files[change.path]
        if change.before is not None:
            content, self._files[change.path] = change.before
            change.path.write_bytes(content)

    def _settle(self, path: Path, file: _File) -> None:
        content = path.read_bytes()
        if content != file.synced:
            path.write_bytes(self._survivor(content, file.synced))
        file.synced = path.read_bytes()

    def _survivor(self, content: bytes, synced: bytes) -> bytes:
        match self.chance.choice(["lost", "kept", "torn", "holed"]):
            case "kept":
                return content
            case "torn" if content.startswith(synced):
                return content[: self.chance.randint(len(synced), len(content))]
            case "holed" if content.startswith(synced):
                hole = self.chance.randint(len(synced), len(content))
                return synced + bytes(hole - len(synced)) + content[hole:]
            case _:
                return synced
