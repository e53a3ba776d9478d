"""What each camera is told its policy is, as messages.

Every camera gets the whole release as one bundle, retained, on `down/desired`: it can
check alone that nothing was left out for it. A camera that a revocation names gets the
same bundle on `down/revoke` first, a topic of its own that a large bundle on its way
to a slow camera does not block. The backend adds no authority to either: what counts
is signed, and the camera checks it.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.core.bundle import MAX_BUNDLE_BYTES
from agent.core.policy.documents import Revocation
from agent.core.topics import Leaf, Topic
from provisioning.authority import files
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.cross_check import documents_of
from provisioning.backend.collector import Outgoing

EVERY_CAMERA = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release as it goes out.

    Attributes:
        packed: The bundle.
        digest: Its SHA-256.
        revoked: Cameras that a revocation in it names.
        revokes_all: Whether one of them names every camera.
    """

    packed: bytes
    digest: str
    revoked: frozenset[str] = frozenset()
    revokes_all: bool = False

    def revokes(self, camera_id: str) -> bool:
        """Return whether a revocation in it is about this camera."""
        return self.revokes_all or camera_id in self.revoked


def read_release(folder: CityFolder) -> Release:
    """Return the city's release in force, verified before it is sent anywhere.

    Raises:
        PolicyError: Its files do not add up.
        UsageError: There is no city yet.
        StorageError: It cannot be read.
    """
    city = read_city(folder)
    packed = files.read_capped(folder.bundle_path, max_bytes=MAX_BUNDLE_BYTES)
    orders = [one for one in documents_of(city.documents).values() if isinstance(one, Revocation)]
    named = frozenset(name for order in orders if order.cameras != EVERY_CAMERA for name in order.cameras)
    return Release(
        packed=packed,
        digest=hashlib.sha256(packed).hexdigest(),
        revoked=named,
        revokes_all=any(order.cameras == EVERY_CAMERA for order in orders),
    )


def messages_for(release: Release, camera_ids: Iterable[str], *, before: Release | None = None) -> Iterator[Outgoing]:
    """Yield what to publish so that the broker keeps `release` for each camera, revocations of all cameras first.

    Args:
        release: What is in force.
        camera_ids: For whom.
        before: What was published for them last, by this process; a revocation that is no longer
            in the release is taken back from the broker.
    """
    camera_ids = tuple(camera_ids)
    for camera_id in camera_ids:
        if release.revokes(camera_id):
            yield Outgoing(topic=Topic(camera_id=camera_id, leaf=Leaf.REVOKE), payload=release.packed)
        elif before is None or before.revokes(camera_id):
            yield Outgoing(topic=Topic(camera_id=camera_id, leaf=Leaf.REVOKE), payload=b"")
    for camera_id in camera_ids:
        yield Outgoing(topic=Topic(camera_id=camera_id, leaf=Leaf.DESIRED), payload=release.packed)


class ReleaseWatch:
    """Notices that the bundle was replaced: publishing renames a new file into its place.

    Args:
        folder: The city's.
    """

    def __init__(self, folder: CityFolder) -> None:
        self._folder = folder
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> Release | None:
        """Return the release if it is another than at the last call.

        Raises:
            PolicyError: It does not add up; it is not looked at again until it is replaced.
        """
        mark = _mark(self._folder.bundle_path)
        if mark is None or mark == self._seen:
            return None
        self._seen = mark
        return read_release(self._folder)


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - many times a second
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
