"""What hiding people costs in milliseconds, with a net, in memory, in a second layer, and against the usual tools.

The usual tools are used where they are at hand: `deface` (PyPI) is looked for at $LAMPPOST_DEFACE or in the path,
`motion` (Debian) in the path. A line without one says that it was not measured.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

from agent.adapters.analysis import shrink
from agent.adapters.clock import SystemClock
from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.adapters.street.picture import Street
from agent.adapters.street.scenario import preset
from agent.core.masking.masker import Masker
from agent.core.policy.decision import ApprovedModel, Decision, Originals, PeopleMode
from agent.core.policy.documents import ListedModel
from agent.core.video import I420, FrameSize, Layer, MaskedFrame, RawFrame, StreamMode
from agent.recorder.detectors import detector_factory
from agent.recorder.people_stage import PeopleStage
from provisioning.net_weights import SHA256
from tests.bench.measuring import Result, child, compare, cpu_of, cpu_of_child, peak_mib_of_child
from tests.bench.people import TAGS, commissioned
from tests.bench.recorder import (
    ALLOWED,
    FULL_HD,
    HD,
    MODE,
    NOON,
    RATE_HZ,
    SETTINGS,
    agent_command,
    recorder_on,
    write_clip,
)
from tests.fakes.desk import Desk

NETS = Path(__file__).resolve().parents[2] / "models"
NET = ApprovedModel(SHA256, ("boxes", "classes"))
LISTED = ListedModel(sha256=SHA256, name="people and vehicles", outputs=("boxes", "classes"))
UNAIDED = replace(ALLOWED, people=PeopleMode.PEOPLE)
WITH_NET = replace(ALLOWED, people=PeopleMode.SCENE, models=(NET,))
FRAMES = 100
RUNS_TO_LEARN = 2
CLIP_S, SHORT_CLIP_S = 30, 2
SEALED_KBIT = 1400  # as the recorder does: 0.35 of the masked layer's


class Filmed:
    """Frames of a simulated street, drawn once and copied for each run."""

    def __init__(self, size: FrameSize, scenario: str = "busy", *, frames: int = FRAMES) -> None:
        street = Street(size, preset(scenario))
        self._drawn = [street.draw(number / RATE_HZ).packed for number in range(frames)]

    def frames(self, *, after: int = 0) -> Iterator[RawFrame]:
        """Yield fresh copies with their analysis planes, as if `after` runs of them had gone before."""
        for number, packed in enumerate(self._drawn, start=after * len(self._drawn)):
            assert packed is not None
            pixels = I420.from_packed(packed.copy())
            at = number * timedelta(seconds=1) / RATE_HZ
            yield RawFrame(
                pixels=pixels,
                pts_us=at // timedelta(microseconds=1),
                captured_at=NOON + at,
                analysis=shrink(pixels.y),
            )


def _stage(filmed: Filmed) -> PeopleStage:
    reference = commissioned(islice(filmed.frames(), 0, None, 10))
    nets = detector_factory(NETS, SystemClock(), threads=1, in_step=True)
    return PeopleStage(nets, read_reference=lambda: reference)


def _learned(filmed: Filmed, mode: StreamMode, decision: Decision) -> Masker:
    masker = Masker(mode, [_stage(filmed)])
    for after in range(RUNS_TO_LEARN):
        for raw in filmed.frames(after=after):
            masker.mask(raw, decision)
    return masker


def of_a_large_frame() -> Result:
    """(p) CPU of a 1080p frame without its encoding: small plane, mask, fill."""
    filmed = Filmed(FULL_HD, frames=50)
    masker = _learned(filmed, replace(MODE, size=FULL_HD), UNAIDED)
    runs = []
    for after in range(RUNS_TO_LEARN, RUNS_TO_LEARN + 5):
        copies = [replace(raw, analysis=None) for raw in filmed.frames(after=after)]

        def work(copies: list[RawFrame] = copies) -> None:
            for raw in copies:
                masker.mask(replace(raw, analysis=shrink(raw.pixels.y)), UNAIDED)

        runs.append(cpu_of(work) * 1000 / len(copies))
    value = min(runs)
    return Result(
        key="p",
        what="CPU of a 1080p frame without encoding: small plane, people mask, fill",
        value=value,
        unit="ms",
        target="≤ 12 ms",
        met=value <= 12,
        spread=(min(runs), max(runs)),
        note="the least of five runs, for other work only adds to it",
    )


def with_a_net_against_encoding() -> Result:
    """(q) People masks with a look of the net every half second, and encoding, against encoding alone."""
    if not any(NETS.glob("*.tflite")):
        return _not_measured("q", "people masks with the net every 0.5 s, and encoding", "the net, see `make models`")
    filmed = Filmed(HD)

    def encode_only() -> float:
        copies = list(filmed.frames())
        return cpu_of(
            lambda: _encode(MaskedFrame(pixels=r.pixels, pts_us=r.pts_us, captured_at=r.captured_at) for r in copies)
        )

    def masked() -> float:
        masker = _learned(filmed, MODE, WITH_NET)
        copies = list(filmed.frames(after=RUNS_TO_LEARN))
        return cpu_of(lambda: _encode(masker.mask(raw, WITH_NET) for raw in copies))

    return compare(
        "q",
        "people masks with the net every 0.5 s and encoding against encoding alone, frames per CPU second",
        masked,
        encode_only,
        target="none",
        met=lambda _: True,
        pairs=5,
        invert=True,
    )


def _encode(frames: Iterator[MaskedFrame], settings: EncoderSettings = SETTINGS) -> None:
    encoder = LibavEncoder(settings).start(MODE, TAGS)
    for frame in frames:
        encoder.push(frame)
    encoder.finish()


def against_deface(scratch: Path) -> Result:
    """(r) The whole process with the net against the usual face blurring tool on the same clip."""
    what = "whole process with the net against `deface` (PyPI) on the same two seconds, CPU seconds"
    deface = os.environ.get("LAMPPOST_DEFACE") or shutil.which("deface")
    if deface is None:
        return _not_measured("r", what, "the command deface")
    clip = write_clip(scratch / "short-hd.mp4", HD, seconds=SHORT_CLIP_S)
    ours = _cpu_of_recording(clip, scratch / "r")
    theirs = cpu_of_child([deface, str(clip), "--output", str(scratch / "deface.mp4"), "--replacewith", "solid"])
    return _once("r", what, ours / theirs, "≤ 0.05", 0.05, f"{ours:.1f} s against {theirs:.1f} s, start-up included")


def against_motion(scratch: Path) -> Result:
    """(s) The whole process with the net against Debian's motion on the same clip, both in real time."""
    what = "whole process with the net against `motion` (Debian) that detects and records, same clip, CPU seconds"
    motion = shutil.which("motion")
    if motion is None:
        return _not_measured("s", what, "the command motion")
    clip = write_clip(scratch / "hd.mkv", HD, seconds=CLIP_S)
    ours = _cpu_of_recording(clip, scratch / "s", paced=True)
    settings = scratch / "motion.conf"
    (scratch / "motion").mkdir()
    settings.write_text(
        f"daemon off\nsetup_mode off\nlog_level 4\nnetcam_url file://{clip}\nwidth {HD.width_px}\n"
        f"height {HD.height_px}\nframerate {RATE_HZ}\nmovie_output on\npicture_output off\nwebcontrol_port 0\n"
        f"stream_port 0\ntarget_dir {scratch / 'motion'}\n",
        encoding="utf-8",
    )
    stopped = ["timeout", "--preserve-status", "--signal=INT", str(CLIP_S), motion, "-n", "-c", str(settings)]
    theirs = cpu_of_child(stopped)
    if not any((scratch / "motion").iterdir()):
        return _not_measured("s", what, "motion recorded nothing of a file")
    return _once("s", what, ours / theirs, "≤ 0.8", 0.8, f"{ours:.1f} s against {theirs:.1f} s")


def memory_with_a_net(scratch: Path) -> Result:
    """(t) Peak RSS with the net loaded."""
    what = "peak RSS at 1080p with the net loaded, software encoder, from a file"
    if not any(NETS.glob("*.tflite")):
        return _not_measured("t", what, "the net, see `make models`")
    clip = write_clip(scratch / "full-hd.mp4", FULL_HD, seconds=12)
    desk = _desk(clip, scratch / "t")
    value = peak_mib_of_child(agent_command(desk.camera), desk.camera.environment)
    return Result(key="t", what=what, value=value, unit="MiB", target="≤ 180 MB", met=value <= 180 * 1e6 / 2**20)


def _desk(clip: Path, folder: Path, *, paced: bool = False) -> Desk:
    settings = {"LAMPPOST_DETECTOR__MODELS": str(NETS), "LAMPPOST_CAMERA__PACED": str(paced).lower()}
    desk = recorder_on(clip, folder, models=(LISTED,), **settings)
    desk.camera.commission()
    desk.publish()
    return desk


def _cpu_of_recording(clip: Path, folder: Path, *, paced: bool = False) -> float:
    desk = _desk(clip, folder, paced=paced)
    usage = child(agent_command(desk.camera), desk.camera.environment)
    return usage.ru_utime + usage.ru_stime


def sealed_layer_cpu(_: Path) -> Result:
    """(u) What the second layer costs: CPU of both against CPU of the masked one, on the busy street."""
    filmed = Filmed(HD)
    return compare(
        "u",
        "masks and two encoded layers against masks and one, busy street, CPU",
        lambda: _layers(filmed, Originals.SEALED)[0],
        lambda: _layers(filmed, Originals.NONE)[0],
        target="≤ 1.25",
        met=lambda value: value <= 1.25,
        pairs=5,
    )


def sealed_layer_bytes(_: Path) -> Result:
    """(v) The same in bytes, busy and empty."""
    shares = {}
    for scenario in ("busy", "empty"):
        sizes = _layers(Filmed(HD, scenario), Originals.SEALED)[1]
        shares[scenario] = sizes[Layer.SEALED] / sizes[Layer.MASKED]
    return Result(
        key="v",
        what="bytes of the sealed layer as a share of the masked one's, busy street",
        value=shares["busy"],
        target="≤ 0.40",
        met=shares["busy"] <= 0.4,
        note=f"empty street {shares['empty']:.3f}",
    )


def _layers(filmed: Filmed, originals: Originals) -> tuple[float, dict[Layer, int]]:
    """Return the CPU seconds of masking and encoding a run in layers, and the bytes of each."""
    decision = replace(UNAIDED, originals=originals)
    masker = _learned(filmed, MODE, decision)
    copies = list(filmed.frames(after=RUNS_TO_LEARN))
    sizes: dict[Layer, int] = {}

    def work() -> None:
        settings = {Layer.MASKED: SETTINGS, Layer.SEALED: replace(SETTINGS, bitrate_kbit=SEALED_KBIT)}
        kept = list(Layer) if originals is Originals.SEALED else [Layer.MASKED]
        encoders = {layer: LibavEncoder(settings[layer]).start(MODE, TAGS) for layer in kept}
        for raw in copies:
            for layer, frame in masker.layers(raw, decision).items():
                fragment = encoders[layer].push(frame)
                sizes[layer] = sizes.get(layer, 0) + (len(fragment.clear) if fragment else 0)
        for layer, encoder in encoders.items():
            fragment = encoder.finish()
            sizes[layer] = sizes.get(layer, 0) + (len(fragment.clear) if fragment else 0)

    return cpu_of(work), sizes


def _once(key: str, what: str, value: float, target: str, limit: float, note: str) -> Result:
    return Result(key=key, what=what, value=value, target=target, met=value <= limit, note=f"one run; {note}")


def _not_measured(key: str, what: str, missing: str) -> Result:
    return Result(key=key, what=f"{what}: not measured, {missing} is missing", value=0.0, target="none", met=False)
