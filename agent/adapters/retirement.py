"""Make a camera nobody again: its name and its credential go, footage and log stay.

What was recorded is not this act's to remove: a hold may be on it, and retention ends by
itself. The first thing to go is the key; after a power cut in the middle the rest of it goes
at the next try.
"""

from collections.abc import Iterator
from pathlib import Path

from agent.adapters.enrolment_files import ORDER_FILE, REQUEST_FILE, SEEN_FILE, STAGE_FILE
from agent.adapters.identity import ENROLLED_FILE, FOUND_FILE, REFUSED_FILE
from agent.config import Config
from agent.errors import StorageError


def forget_link(config: Config) -> list[str]:
    """Remove what makes the network half this camera; return what was removed. Raises StorageError."""
    link, enrolment = config.link, config.enrolment.folder
    return _remove(
        link.credential,
        link.credential.with_name(f"{link.credential.name}.pending"),
        link.folder / ENROLLED_FILE,
        config.policy.inbox / ENROLLED_FILE,
        *(enrolment / name for name in (ORDER_FILE, REQUEST_FILE, SEEN_FILE, STAGE_FILE)),
    )


def forget_recorder(config: Config) -> list[str]:
    """Remove the recorder's name; return what was removed. Raises StorageError."""
    outbox = config.policy.outbox
    return _remove(config.state.folder / ENROLLED_FILE, outbox / FOUND_FILE, outbox / REFUSED_FILE)


def _remove(*paths: Path) -> list[str]:
    return list(_removed(paths))


def _removed(paths: tuple[Path, ...]) -> Iterator[str]:
    for path in paths:
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"cannot remove {path}: {error.strerror}") from error
        yield path.name
