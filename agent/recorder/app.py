"""The recorder, put together: what is plugged into what, and in which order it starts and stops."""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.adapters.aiming_socket import AimingSocket
from agent.adapters.allocator import return_large_blocks
from agent.adapters.atomic_files import make_folders
from agent.adapters.clock import SystemClock
from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.adapters.process_hardening import harden_process
from agent.adapters.reference_view import ReferenceView
from agent.adapters.ring import Ring, RingSettings
from agent.adapters.start_count import count_start
from agent.adapters.status_file import StatusFile
from agent.adapters.systemd_notify import SystemdNotify
from agent.adapters.tile_log import TileLog
from agent.adapters.tuf_client import check_trusted_root
from agent.config import MIB, Config, commissioning_folder
from agent.core.masking.masker import Caption, Masker
from agent.core.policy.decision import Decision
from agent.core.video import Layer, RawFrame, StreamMode
from agent.errors import ConfigurationError, PolicyError, StorageError
from agent.ports import Clock, Encoder, EventLog, Fact
from agent.recorder import pipeline
from agent.recorder.aiming import Aiming, RenewableStage
from agent.recorder.beginning import WaitingStatus, begin_patiently
from agent.recorder.caretaker import SOFTWARE_VERSION, Caretaker
from agent.recorder.counting_watch import CountingWatch, counting_places
from agent.recorder.detectors import detector_factory
from agent.recorder.device_log import open_device_log
from agent.recorder.drift_stage import DriftStage
from agent.recorder.narrowing import Narrowing
from agent.recorder.people_stage import PeopleStage
from agent.recorder.policy_watch import PolicyWatch
from agent.recorder.publishing import Publisher
from agent.recorder.segment import SegmentMaker
from agent.recorder.snapshots import Snapshots
from agent.recorder.sources import camera_factory
from agent.recorder.storage import PatientStore
from agent.recorder.supervision import CameraEvent, SupervisedCamera
from agent.recorder.tally import Tally

# The sealed layer holds what the people mask hid, a fifth of a busy street; the rest of it is one flat colour.
_SEALED_BITRATE_RATIO = 0.35
_LEAST_KBIT = 200

_log = logging.getLogger(__name__)

HOW_PEOPLE_ARE_HIDDEN = (
    "people are hidden as signed policy says; where it asks for 'people' and lists no detector, and no reference view "
    "was made, who stands still from the first frame on for half a minute is NOT hidden"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What must be there before the first frame, and what closes it."""

    log: TileLog
    publisher: Publisher
    start: int
    watch: PolicyWatch
    closing: ExitStack


def run(config: Config, *, stop: threading.Event, stop_after: timedelta | None = None, patiently: bool = False) -> None:
    """Record, as far as signed policy allows, until `stop` is set, `stop_after` is over, or a file ends.

    Args:
        config: Everything that is decided on this device.
        stop: Set from another thread, or a signal's handler.
        stop_after: How long to record.
        patiently: Whether to wait for a card that cannot be written, as a daemon must, or to say so and end.

    Raises:
        LamppostError: The recorder cannot even start: configuration, key, and without patience the state folder.
    """
    return_large_blocks()
    for warning in (*harden_process(), HOW_PEOPLE_ARE_HIDDEN):
        _log.warning(warning)
    clock = SystemClock()
    notifier = SystemdNotify()
    status_file = StatusFile(config.state.runtime / "status.json")
    begun = (
        begin_patiently(
            lambda: _begin(config, clock), WaitingStatus(config.camera.id, clock, status_file, notifier), stop=stop
        )
        if patiently
        else _begin(config, clock)
    )
    if begun is None:
        return
    with begun.closing as running:
        log, publisher, start, watch = begun.log, begun.publisher, begun.start, begun.watch
        tally = Tally(
            log, lambda: {"software": SOFTWARE_VERSION, "start": start, "clock": watch.clock_now().quality.value}
        )
        narrowing = Narrowing(watch.decision_now)
        store = PatientStore(lambda: open_ring(config), lambda ring: _tell_recovery(ring, log, clock.now()))
        running.callback(store.close)
        if (missing := store.try_to_open()) is not None:
            _log.error("%s", missing)
            tally.storage_failed(missing, clock.now())

        factory, vigilance = camera_factory(config.camera, clock)
        camera = SupervisedCamera(factory, clock, _Reporter(log), vigilance=vigilance, on_wait=lambda: caretaker.tick())  # noqa: PLW0108 - made below; it must know the camera
        caretaker = Caretaker(
            camera_id=config.camera.id,
            clock=clock,
            clock_state=watch.clock_now,
            policy_heard=lambda: watch.alive,
            camera_status=camera.status,
            store=store,
            log=log,
            narrowing=narrowing,
            tally=tally,
            status_file=status_file,
            notifier=notifier,
            log_key=log.key_kind,
        )
        caption = _caption(config)
        counting = CountingWatch(
            counting_places(config.counting),
            detector_factory(
                config.detector.models, clock, threads=config.detector.threads, in_step=not config.camera.paced
            ),
            _CalmLog(log),
        )
        running.callback(counting.close)
        reference = ReferenceView(config.state.folder)
        people = RenewableStage(
            lambda: PeopleStage(
                counting.tapped,
                lambda error, frame: _CalmLog(log).append("model-refused", frame.captured_at, reason=str(error)),
                read_reference=reference.read,
                tell=lambda kind, at, facts: _CalmLog(log).append(kind, at, **facts),
            ),
            PeopleStage.close,
        )
        running.callback(people.close)
        drift = RenewableStage(lambda: DriftStage(reference.read, _tell_view(log)))

        snapshots = Snapshots(config.policy.inbox, config.policy.outbox, clock, log)

        aiming = Aiming(
            camera_id=config.camera.id,
            software=SOFTWARE_VERSION,
            folder=commissioning_folder(config),
            clock=clock,
            log=log,
            reference=reference,
            renewed=(drift.renew, people.renew),
            open_outlet=AimingSocket,
        )
        running.callback(aiming.close)

        def between_frames() -> None:
            caretaker.tick()
            publisher.tick()
            snapshots.tick()
            aiming.tick()

        def make_masker(mode: StreamMode) -> Masker:
            aiming.begin_session(mode)
            return Masker(mode, [drift, people], caption)

        def glance(frame: RawFrame, decision: Decision) -> None:
            counting.glance(frame, decision)
            aiming.glance(frame, decision)

        encoders = make_encoders(config)
        running.enter_context(_closing(camera, stop, stop_after))
        notifier.ready()
        pipeline.run(
            camera,
            narrowing,
            SegmentMaker(
                config.camera.id, {**encoders, Layer.MASKED: aiming.tapped(encoders[Layer.MASKED])}, store, tally
            ),
            tally,
            make_masker=make_masker,
            length=timedelta(seconds=config.segments.length_s),
            between_frames=between_frames,
            glance=glance,
            snapshots=snapshots,
        )
        notifier.stopping()
        caretaker.tell()


def _begin(config: Config, clock: Clock) -> _Begun:
    """Open the log and say in it that this is a start; bring kept policy back in force.

    Raises:
        LamppostError: Something is not there, not ours or not writable; nothing is left open.
    """
    with ExitStack() as running:
        # In memory first: that the card fails must be said somewhere.
        for folder in (config.state.runtime, config.state.folder, config.policy.inbox, config.policy.outbox):
            make_folders(folder)
        log = running.enter_context(open_log(config))
        publisher = Publisher(log, clock)
        running.callback(publisher.publish)
        start = count_start(config.state.folder)
        log.append(
            "started",
            clock.now(),
            start=start,
            software=SOFTWARE_VERSION,
            camera=config.camera.id,
            nonce=secrets.token_hex(16),  # two copies of one card part here, whatever else they do alike
            log_key=str(log.key),
            log_key_kept_in=log.key_kind,
        )
        running.callback(lambda: _CalmLog(log).append("stopped", clock.now()))
        watch = running.enter_context(open_policy(config, clock, log))
        return _Begun(log=log, publisher=publisher, start=start, watch=watch, closing=running.pop_all())


class _closing:  # noqa: N801 - reads as what it does at its one use
    """A context in which a thread closes the camera when it is time to stop."""

    def __init__(self, camera: SupervisedCamera, stop: threading.Event, stop_after: timedelta | None) -> None:
        self._camera = camera
        self._stop = stop
        self._timeout_s = None if stop_after is None else stop_after.total_seconds()
        self._thread = threading.Thread(target=self._wait, name="stop", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _wait(self) -> None:
        self._stop.wait(self._timeout_s)
        self._camera.close()


class _CalmLog:
    """A log that cannot be written stops neither the camera's events nor the end of the process."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def append(self, kind: str, at: datetime, **facts: Fact) -> None:
        """Record one act, or say on the diagnostic log that it could not be."""
        try:
            self._log.append(kind, at, **facts)
        except StorageError as error:
            _log.error("%s was not recorded: %s", kind, error)


def _tell_view(log: EventLog) -> Callable[[str, RawFrame, Mapping[str, Fact]], None]:
    """Return what records that the view drifted or came back."""
    calm = _CalmLog(log)
    return lambda kind, frame, facts: calm.append(kind, frame.captured_at, **facts)


class _Reporter:
    """Writes camera events to both logs."""

    def __init__(self, log: EventLog) -> None:
        self._log = _CalmLog(log)

    def __call__(self, event: CameraEvent) -> None:
        _log.info("camera %s: %s", event.kind, event.reason)
        self._log.append(f"camera-{event.kind}", event.at, reason=event.reason, session=event.session)


def open_log(config: Config) -> TileLog:
    """Open the log that `config` describes; see `agent.recorder.device_log`."""
    state = config.state
    return open_device_log(state.folder, config.camera.id, kept_in=state.log_key, now=SystemClock().now())


def open_policy(config: Config, clock: Clock, log: EventLog) -> PolicyWatch:
    """Return the watch over signed policy, with what was kept back in force.

    Raises:
        ConfigurationError: There is no root to verify from, or it is none.
        StorageError: The store cannot be read.
    """
    try:
        root = config.policy.root.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the city's root {config.policy.root}: {error.strerror}",
            hint="it belongs in the device's image; without it no policy can be verified and nothing is recorded",
        ) from error
    try:
        check_trusted_root(root)
    except PolicyError as error:
        raise ConfigurationError(
            f"{config.policy.root} is not a city's root: {error}",
            hint="the city's publication has it as metadata/1.root.json",
        ) from error
    return PolicyWatch(
        camera_id=config.camera.id,
        trusted_root=root,
        inbox=config.policy.inbox,
        outbox=config.policy.outbox,
        store_folder=config.state.folder / "policy",
        clock=clock,
        log=log,
    )


def _caption(config: Config) -> Caption | None:
    if not config.encoder.caption:
        return None
    from agent.adapters.caption import Caption as DrawnCaption  # noqa: PLC0415 - OpenCV costs 40 MB

    return DrawnCaption(config.camera.id)


def open_ring(config: Config) -> Ring:
    """Open the ring that `config` describes. Raises StorageError."""
    bytes_a_second = config.encoder.bitrate_kbit * 1000 // 8
    return Ring(
        config.storage.footage,
        config.camera.id,
        RingSettings(
            capacity_bytes=config.storage.capacity_mib * MIB,
            keep_free_bytes=config.storage.keep_free_mib * MIB,
            segment_bytes=bytes_a_second * config.segments.length_s,
            separate_file_system=config.storage.separate_file_system,
        ),
    )


def _tell_recovery(ring: Ring, log: EventLog, now: datetime) -> None:
    found = ring.recovery
    for segment in found.truncated:
        log.append(
            "segment-recovered",
            now,
            file=segment.path.rpartition("/")[2],
            sha256=ring.digest(segment),
            size_bytes=segment.size_bytes,
            layer=segment.layer.value,
            sequence=segment.sequence,
            starts_at=segment.started_at.isoformat(),
            truncated=True,
        )
    if found.truncated or found.discarded:
        log.append(
            "recovered",
            now,
            truncated=[segment.path for segment in found.truncated],
            discarded=found.discarded,
        )


def make_encoders(config: Config) -> Mapping[Layer, Encoder]:
    """Return the encoder of each layer; the sealed one in software: it has no picture the hardware could read."""
    bitrate_kbit = max(_LEAST_KBIT, round(config.encoder.bitrate_kbit * _SEALED_BITRATE_RATIO))
    sealed = EncoderSettings(bitrate_kbit=bitrate_kbit, preset=config.encoder.preset, threads=config.encoder.threads)
    return {Layer.MASKED: make_encoder(config), Layer.SEALED: LibavEncoder(sealed)}


def make_encoder(config: Config) -> Encoder:
    """Return the encoder that `config` names."""
    section = config.encoder
    if section.codec == "picamera":
        from agent.adapters.pi_encoder import PiHardwareEncoder  # noqa: PLC0415 - needed on a Pi only

        return PiHardwareEncoder(bitrate_kbit=section.bitrate_kbit)
    return LibavEncoder(
        EncoderSettings(
            codec=section.codec, bitrate_kbit=section.bitrate_kbit, preset=section.preset, threads=section.threads
        )
    )
