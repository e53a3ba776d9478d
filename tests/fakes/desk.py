"""A camera on a desk, under the policy of a city in memory: what the system tests start from."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from agent.core.policy.documents import (
    DrawnOver,
    EpochDay,
    EpochKeys,
    EpochRecipient,
    Grant,
    PrivateZone,
    Retention,
)
from agent.core.sealing.recipients import PostQuantumIdentity
from provisioning.clock import precise_now
from provisioning.demo.camera import DemoCamera
from tests.fakes.city import City
from tests.fakes.documents import DAY, epochs, grant

CAMERA = "cam-07"
WIDE = DrawnOver(aspect_width=16, aspect_height=9, rotation_degrees=0)
LEFT = PrivateZone(name="left edge", polygon=((0.0, 0.0), (0.2, 0.0), (0.2, 1.0), (0.0, 1.0)))


class Desk:
    """A city that granted one camera everything the charter allows, and that camera.

    Attributes:
        identity: Opens what the camera records; it never is on the camera.
        city: The city, to sign more.
        camera: The camera; start it, deliver to it.
    """

    def __init__(self, folder: Path, *, source: str, settings: Mapping[str, str] | None = None, **granted: Any) -> None:
        now = precise_now().replace(microsecond=0)
        self.identity = PostQuantumIdentity.generate()
        self.city = City(now=now - timedelta(minutes=1))
        self.city.put(keys_now(now, str(self.identity.recipient)))
        self.granted = granted_now(now, **granted)
        self.city.put(self.granted)
        self.camera = DemoCamera(
            folder, camera=CAMERA, source=source, root=self.city.trusted_root, now=precise_now, settings=settings
        )

    def publish(self) -> None:
        """Bring what the city says now to the camera."""
        self.camera.deliver(self.city.publish(after=timedelta(seconds=1)))


def keys_now(now: datetime, recipient: str, *, ahead: int = 2) -> EpochKeys:
    """Return the custodian's keys from yesterday to `ahead` days from now: one recipient for all."""
    one = EpochRecipient(role="custodian", holder="jun-okafor", recipient=recipient)
    days = tuple(EpochDay(day=(now + n * DAY).date(), recipients=(one,)) for n in range(-1, ahead + 1))
    return epochs(issued_at=now - DAY, starts_at=now - DAY, ends_at=now + 30 * DAY, days=days)


def granted_now(now: datetime, **changes: Any) -> Grant:
    """Return a grant in force for thirty days around `now`."""
    usual = {
        "cameras": (CAMERA,),
        "issued_at": now - DAY,
        "starts_at": now - DAY,
        "ends_at": now + 30 * DAY,
        "max_rate_hz": 30,
        "recipients": ("custodian",),
        "view": WIDE,
        "zones": (LEFT,),
        "retention": Retention(days=30),
    }
    return grant(**(usual | changes))
