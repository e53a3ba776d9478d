"""Which site signed policy puts a camera at."""

from agent.core.policy.documents import Grant
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.cross_check import documents_of


def granted_sites(city: CityFolder, camera_id: str) -> frozenset[str]:
    """Return the sites that grants put `camera_id` at; empty if none names it yet.

    Raises:
        PolicyError: The city's publication does not add up.
        StorageError: It cannot be read.
    """
    documents = documents_of(read_city(city).documents).values()
    return frozenset(one.site.id for one in documents if isinstance(one, Grant) and camera_id in one.cameras)
