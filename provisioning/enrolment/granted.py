"""Which site signed policy puts a camera at, and which cameras at a site."""

from collections.abc import Iterator

from agent.core.policy.documents import Grant
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.cross_check import documents_of


def granted_sites(city: CityFolder, camera_id: str) -> frozenset[str]:
    """Return the sites that grants put `camera_id` at; empty if none names it yet.

    Raises:
        PolicyError: The city's publication does not add up.
        StorageError: It cannot be read.
    """
    return frozenset(one.site.id for one in _grants(city) if camera_id in one.cameras)


def granted_cameras(city: CityFolder, site: str) -> frozenset[str]:
    """Return the cameras that grants put at `site`; raises as `granted_sites` does."""
    return frozenset(camera for one in _grants(city) if one.site.id == site for camera in one.cameras)


def _grants(city: CityFolder) -> Iterator[Grant]:
    return (one for one in documents_of(read_city(city).documents).values() if isinstance(one, Grant))
