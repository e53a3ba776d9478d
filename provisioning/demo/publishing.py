"""The demo's public register: what the demo's officials signed and its cameras did, for everyone."""

import importlib.metadata
from pathlib import Path

from agent.core.policy.release import TIMESTAMP
from provisioning.authority.city import CityFolder, online_signer, read_city
from provisioning.authority.extract import Precision
from provisioning.backend.installation import BackendFolder
from provisioning.clock import utc_now
from provisioning.demo.city import DemoCity
from provisioning.evidence.city_log import CityLog
from provisioning.register.building import build_register
from provisioning.register.gathering import Sources, Wanted
from provisioning.register.placing import read_register
from provisioning.register.verifying import verify

OUTLINE = Path(__file__).with_name("outline.geojson")


def publish_register(city: DemoCity, backend: Path, city_log: Path, out: Path) -> Path:
    """Build the register in `out`, verify it as a visitor would, and return its first page.

    Raises:
        LamppostError: It could not be made, or does not hold.
    """
    folder = CityFolder(path=city.folder)
    software = importlib.metadata.version("lamppost")
    wanted = Wanted(precision=Precision.EXACT, now=utc_now(), software=software, outline=OUTLINE.read_bytes())
    sources = Sources(city=folder, backend=BackendFolder(path=backend), city_log=CityLog(city_log))
    build_register(out, sources, wanted, online_signer(folder, TIMESTAMP))
    verify(read_register(str(out)), software=software, now=utc_now(), city=read_city(folder, city.trusted_root))
    return out / "index.html"
