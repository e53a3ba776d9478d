"""How often the recorder was started on this card; with the log's own numbers it tells one run from the next."""

from pathlib import Path

from agent.adapters.atomic_files import read_capped, write_atomically

_FILE = "starts"


def count_start(folder: Path) -> int:
    """Count one more start, durably, and return which it is, from 1.

    A file that holds no number counts as none: the log tells of the starts before, and a camera records all the same.

    Raises:
        StorageError: It cannot be read or written.
    """
    path = folder / _FILE
    try:
        text = read_capped(path, max_bytes=32).strip()
    except FileNotFoundError:
        text = b""
    count = int(text) + 1 if text.isdigit() else 1
    write_atomically(path, b"%d\n" % count)
    return count
