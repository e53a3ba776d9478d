"""The recorder's log as the link reads it: leaves by index, without knowing what they say.

Reads the files that `agent.adapters.log_files` writes, one leaf a line, while they are
written, begun, dropped and repaired by another process. Reading on costs what is new,
not what is there: a day's backlog goes out in one pass over the files.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.atomic_files import storage_error
from agent.core.messages.log import MAX_LEAF_BYTES

_FILE = re.compile(r"events-([0-9]{12})\.jsonl")
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Extent:
    """Which leaves the log has: from `oldest` up to `following`, half-open."""

    oldest: int
    following: int


@dataclass(slots=True)
class _Place:
    """A place in one file: at `offset`, leaf `index` begins."""

    path: Path
    index: int
    offset: int = 0


class LogLeaves:
    """A reader of one log; it never writes. For one thread.

    Args:
        folder: Where the files lie. It need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._end: _Place | None = None
        self._next: _Place | None = None

    def extent(self) -> Extent:
        """Return which leaves there are now; a torn last line is none.

        Raises:
            StorageError: A file cannot be read.
        """
        files = self._files()
        if not files:
            self._end = self._next = None
            return Extent(0, 0)
        newest = files[-1]
        end = self._end
        if end is None or end.path != newest or _size(newest) < end.offset:  # begun anew, or another log
            end = _Place(newest, _first_index(newest))
        self._end = _skip(end, count=None)
        return Extent(_first_index(files[0]), self._end.index)

    def read(self, first: int, *, most: int, most_bytes: int) -> tuple[bytes, ...]:
        """Return at most `most` leaves from `first` on, of at most `most_bytes` together but at least one.

        Fewer, or none, if the log ends, or no longer begins, there.

        Raises:
            StorageError: A file cannot be read.
        """
        place = self._next
        if place is None or place.index != first or not place.path.exists():
            place = self._find(first)
            if place is None:
                return ()
        leaves: list[bytes] = []
        taken_bytes = 0
        while len(leaves) < most:
            lines = _lines(place)
            for line in lines[: most - len(leaves)]:
                if leaves and taken_bytes + len(line) > most_bytes:
                    self._next = place
                    return tuple(leaves)
                leaves.append(line)
                taken_bytes += len(line)
                place = _Place(place.path, place.index + 1, place.offset + len(line) + 1)
            if not lines:
                following = self._file_at(place.index)
                if following is None or following == place.path:
                    break
                place = _Place(following, place.index)
        self._next = place
        return tuple(leaves)

    def _find(self, index: int) -> _Place | None:
        files = [path for path in self._files() if _first_index(path) <= index]
        if not files:
            return None
        place = _Place(files[-1], _first_index(files[-1]))
        found = _skip(place, count=index - place.index)
        return found if found.index == index else None

    def _file_at(self, index: int) -> Path | None:
        path = self._folder / f"events-{index:012d}.jsonl"
        return path if path.exists() else None

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if _FILE.fullmatch(path.name))
        except FileNotFoundError:  # the recorder has not begun one
            return []
        except OSError as error:
            raise storage_error("read the log in", self._folder, error) from error


def _first_index(path: Path) -> int:
    return int(path.stem.removeprefix("events-"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _lines(place: _Place) -> list[bytes]:
    """Return the whole lines of the next chunk; a longer one than a leaf may be is read whole all the same."""
    try:
        with place.path.open("rb") as file:
            file.seek(place.offset)
            chunk = file.read(_CHUNK_BYTES)
    except FileNotFoundError:  # dropped by the recorder meanwhile
        return []
    except OSError as error:
        raise storage_error("read", place.path, error) from error
    return chunk.split(b"\n")[:-1]


def _skip(place: _Place, *, count: int | None) -> _Place:
    """Return the place `count` lines further, or behind the last whole line."""
    at = _Place(place.path, place.index, place.offset)
    while count is None or count > 0:
        lines = _lines(at)[:count]
        if not lines:
            break
        at.index += len(lines)
        at.offset += sum(map(len, lines)) + len(lines)
        if count is not None:
            count -= len(lines)
    return at


assert _CHUNK_BYTES > MAX_LEAF_BYTES  # noqa: S101 - or a leaf could hide the rest of the log for ever
