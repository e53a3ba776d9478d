"""What the network adds: from an official's publishing to the first frame under it, over broker, backend and link."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from agent.core.status import RecordingState
from provisioning.authority.city import publish
from provisioning.authority.drafts import Draft, sign_draft
from provisioning.clock import precise_now, utc_now, wait
from provisioning.demo.camera import DemoCamera
from provisioning.demo.city import CAMERA, DemoCity
from provisioning.demo.fleet import HOST, DemoFleet
from tests.bench.measuring import Result

RATE_HZ = 10  # what the demo's grant allows
TARGET_MS = 250 + 1000 / RATE_HZ
ACTS = 7
BETWEEN_ACTS = timedelta(seconds=1.1)  # signed times are whole seconds
SETTINGS = {
    "LAMPPOST_CAMERA__RATE_HZ": str(RATE_HZ),
    "LAMPPOST_CAMERA__WIDTH_PX": "640",
    "LAMPPOST_CAMERA__HEIGHT_PX": "360",
}


class TimedCity(DemoCity):
    """A city that notes when `publish` was called last, everything being signed, and how long that alone took."""

    published_at: datetime
    took: timedelta

    def _publish(self, draft: Draft, offices: tuple[str, ...]) -> None:
        for office in offices:
            draft = sign_draft(draft, self._keys[office], self.trusted_root, now=self._now())
        self.published_at = precise_now()
        publish(self._folder, draft, now=self._now())
        self.took = precise_now() - self.published_at


def obedience_over_the_network(scratch: Path) -> Result:
    """(h) From `publish` to the capture of the first frame under it, over a real broker with TLS."""
    city = TimedCity(scratch / "h" / "people", precise_now)
    city.publish_keys()
    city.grant()
    acts: list[tuple[str, datetime]] = []
    publishing_ms: list[float] = []
    with ExitStack() as running:
        fleet = running.enter_context(DemoFleet(scratch / "h" / "fleet", city.folder, utc_now))
        camera = DemoCamera(
            scratch / "h" / "card",
            camera=CAMERA,
            source="streetscene:empty",
            root=city.trusted_root,
            now=precise_now,
            settings=SETTINGS,
        )
        camera.connect(host=HOST, port=fleet.port, authority=fleet.authority_file, credential=fleet.credential(CAMERA))
        running.callback(camera.disconnect)
        running.callback(camera.stop)
        camera.start()
        status = camera.wait_for("recording", lambda status: status.state is RecordingState.RECORDING)
        for number in range(ACTS):
            wait(BETWEEN_ACTS + number * timedelta(milliseconds=37))  # at another moment of a frame each time
            before = status.decision.policy_digest
            city.restrict()
            status = camera.wait_for(
                "the new policy",
                lambda status, old=before: status.decision.policy_digest != old,  # type: ignore[misc]
            )
            acts.append((status.decision.policy_digest, city.published_at))
            publishing_ms.append(city.took / timedelta(milliseconds=1))
    began = _first_frames(camera)
    delays = [(began[digest] - published_at).total_seconds() * 1000 for digest, published_at in acts]
    value = median(delays)
    return Result(
        key="h",
        what="from publishing to the capture of the first frame under it, over broker, backend and link",
        value=value,
        unit="ms",
        target=f"≤ 250 ms + one frame = {TARGET_MS:.0f} ms",
        met=value <= TARGET_MS,
        spread=(min(delays), max(delays)),
        note=f"MQTT 5 over TLS 1.3 on loopback; {median(publishing_ms):.0f} ms of it are "
        "checking, signing and syncing at the city's desk",
    )


def _first_frames(camera: DemoCamera) -> dict[str, datetime]:
    """Return when the first frame stored under each policy was captured, as the camera's log has it."""
    began: dict[str, datetime] = {}
    for event in camera.events():
        if event["kind"] == "segment-stored":
            began.setdefault(event["policy"], datetime.fromisoformat(event["starts_at"]))
    return began
