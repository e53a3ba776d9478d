"""Who this camera is: what the configuration says, or the claim that it accepted.

Recorder and link each keep their own copy of the claim and verify it at every start.
The recorder's is written once: whoever is in the network process later cannot make the
camera another one.
"""

import logging
from pathlib import Path

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.config import UNENROLLED, Config
from agent.core.enrolment.claim import MAX_CLAIM_BYTES, Claim, read_offices, verify_claim
from agent.errors import ConfigurationError, EnrolmentError, StorageError

ENROLLED_FILE = "enrolled.claim"
FOUND_FILE = "found.claim"  # what the recorder saw, for the network process
REFUSED_FILE = "refused-code.txt"  # why what it saw is no use here, and when
MAX_REFUSAL_BYTES = 1024
_MAX_OFFICES_BYTES = 16 * 1024

_log = logging.getLogger(__name__)


class Offices:
    """Whose claims count.

    Args:
        path: The image's file of keys.

    Raises:
        ConfigurationError: It is not there, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._keys = read_offices(read_capped(path, max_bytes=_MAX_OFFICES_BYTES).decode("utf-8", "replace"))
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"there is no {path}", hint="it belongs in the device's image; without it no claim counts"
            ) from error
        except (StorageError, EnrolmentError) as error:
            raise ConfigurationError(f"{path}: {error}") from error

    def verify(self, sealed: bytes) -> Claim:
        """Return what one of them signed. Raises EnrolmentError."""
        return verify_claim(sealed, self._keys)


def identify(config: Config, folder: Path) -> Config | None:
    """Return the configuration with the camera's name and broker in it; None if nobody has told it yet.

    Args:
        config: As it was written.
        folder: Where this process keeps its copy of the claim.

    Raises:
        ConfigurationError: What is kept is no claim that counts, or contradicts what is written.
    """
    if config.enrolment.offices is None:
        return config
    sealed = kept_claim(folder)
    if sealed is None:
        return None
    try:
        claim = Offices(config.enrolment.offices).verify(sealed)
    except EnrolmentError as error:
        raise ConfigurationError(f"{folder / ENROLLED_FILE}: {error}") from error
    if config.camera.id not in {UNENROLLED, claim.camera_id}:
        raise ConfigurationError(
            f"camera.id is {config.camera.id}, the claim is for {claim.camera_id}", hint="leave camera.id out"
        )
    return config.model_copy(
        update={
            "camera": config.camera.model_copy(update={"id": claim.camera_id}),
            "link": config.link.model_copy(update={"host": claim.broker.host, "port": claim.broker.port}),
        }
    )


def take_name(config: Config) -> bool:
    """Keep the claim that the network process brought, for the recorder, if it counts; return whether there is one.

    The first one stays: nothing that arrives later changes who this camera is.

    Raises:
        ConfigurationError: There is no file that says whose claims count.
        StorageError: It cannot be kept.
    """
    folder = config.state.folder
    if config.enrolment.offices is None or kept_claim(folder) is not None:
        return True
    arriving = config.policy.inbox / ENROLLED_FILE
    try:
        sealed = read_capped(arriving, max_bytes=MAX_CLAIM_BYTES)
    except FileNotFoundError:
        return False
    try:
        claim = Offices(config.enrolment.offices).verify(sealed)
    except EnrolmentError as error:
        _log.error("%s: %s", arriving, error)
        _remove(arriving)
        return False
    make_folders(folder)
    write_atomically(folder / ENROLLED_FILE, sealed)
    for path in (arriving, config.policy.outbox / FOUND_FILE, config.policy.outbox / REFUSED_FILE):
        _remove(path)
    _log.info("this camera is %s from now on", claim.camera_id)
    return True


def kept_claim(folder: Path) -> bytes | None:
    """Return the claim that was accepted, as it was signed, or None. Raises ConfigurationError."""
    try:
        return read_capped(folder / ENROLLED_FILE, max_bytes=MAX_CLAIM_BYTES)
    except FileNotFoundError:
        return None
    except StorageError as error:
        raise ConfigurationError(str(error)) from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error.strerror}") from error
