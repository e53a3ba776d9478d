"""The demo: a city in a minute, and pictures of each moment of it.

Three officials sign, a camera records, one official restricts, the power fails, a
waiver lapses, one official revokes. Then the custodian, whose key never was on the
camera, opens everything, and hands it to a prosecutor.
"""

import hashlib
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import av
import cv2
from rich.console import RenderableType

from agent.core.sealing.recipients import PostQuantumIdentity
from agent.core.status import RecorderStatus, RecordingState
from agent.errors import StorageError
from provisioning.authority.files import write_whole
from provisioning.backend.records import CameraRecord
from provisioning.clock import precise_now, utc_now, wait
from provisioning.demo.camera import CameraDidNotError, DemoCamera, Usage, children_usage
from provisioning.demo.city import CAMERA, OTHER_CAMERA, WIDE, DemoCity
from provisioning.demo.fleet import HOST, DemoFleet
from provisioning.demo.handing_over import CITY_LOG, HandedOver, hand_over
from provisioning.demo.look import KeptSegment, frame_at, open_all
from provisioning.demo.publishing import publish_register
from provisioning.demo.sheet import Moment, Picture, contact_sheet
from provisioning.evidence.exhibit import STATEMENT
from provisioning.footage.joining import Joiner
from provisioning.footage.opening import cut, open_segment
from provisioning.footage.private_file import private_file
from provisioning.net_weights import NAME, SHA256

TAKE = timedelta(seconds=5)  # between two moments: enough for a few fragments
WAIVER = timedelta(seconds=12)
ON_THE_WAY = 3  # times what the restriction took to be obeyed: a waiver must not end before it arrives
STREET = "streetscene"
SECOND_OF_FRAMES = 15
LEARNING = timedelta(seconds=90)
AGAIN = 9  # times
OTHER_SOURCE = "streetscene:night"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One moment of the demo.

    Attributes:
        headline: What happened.
        words: What it means for the picture.
        at: The instant to look at.
        why_dark: Why nothing is kept then, if nothing is expected to be.
    """

    headline: str
    words: str
    at: datetime
    why_dark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the demo leaves and can say about itself.

    Attributes:
        sheet: The contact sheet, PNG.
        movie: All that was kept, MP4.
        evidence: The folder that was handed over.
        report: What its receiver reads, HTML.
        register: The first page of the city's public register.
        rows: Label and value, for a table.
    """

    sheet: Path
    movie: Path
    evidence: Path
    report: Path
    register: Path
    rows: tuple[tuple[str, str], ...]


def play(out: Path, *, source: str, say: Callable[[RenderableType], None], nets: Path | None = None) -> Told:
    """Play the demo and leave its pictures in `out`.

    Args:
        out: Folder for the results; made if missing.
        source: What the first camera looks at, as in `lamppost.toml`.
        say: Told of each step, and shown the fleet after it.
        nets: Folder of the net that finds people, where it was fetched.

    Raises:
        LamppostError: Something did not go as it must.
    """
    began = precise_now()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lamppost-demo-") as scratch:
        say("founding a city: four people, each with a key of their own")
        city = DemoCity(Path(scratch) / "people", precise_now)
        city.publish_keys()
        say("a broker, and the backend beside it; two cameras enrol")
        with ExitStack() as running:
            fleet = running.enter_context(DemoFleet(Path(scratch) / "fleet", city.folder, utc_now))
            source = _long_enough(source, Path(scratch))
            net = _net_in(nets, say)
            settings = {"LAMPPOST_DETECTOR__MODELS": str(nets.resolve())} if net and nets else {}
            camera = running.enter_context(_camera(Path(scratch), CAMERA, source, city, fleet, settings, say))
            running.enter_context(_camera(Path(scratch), OTHER_CAMERA, OTHER_SOURCE, city, fleet, settings, say))
            acts, lost = _perform(city, camera, fleet, say, net, _shape_of(source))
        say("opening what the card holds, with a key that never was on the camera")
        kept = open_all(camera.footage, [city.identity])
        moments = _look(acts, kept, city.identity, camera, source, Path(scratch))
        sheet, movie = out / "contact-sheet.png", out / "footage.mp4"
        _write_png(
            sheet,
            contact_sheet(
                "What the street was, and what the camera kept",
                "Above: the street. Below: the sealed footage, opened by the custodian. Nothing else was kept.",
                moments,
            ),
        )
        _join(movie, kept, city.identity)
        say("handing it to a prosecutor, who verifies it and opens the report")
        evidence, report = _fresh(out / "evidence"), out / "evidence-report.html"
        handed = hand_over(city, camera, kept, evidence, report, Path(scratch))
        say("publishing what everyone may know, and verifying it")
        register = publish_register(city, fleet.backend, Path(scratch) / CITY_LOG, out / "register")
        account = _account(camera, kept, lost, children_usage(), precise_now() - began)
        return Told(
            sheet=sheet,
            movie=movie,
            evidence=evidence,
            report=report,
            register=register,
            rows=(*account, ("evidence", _evidence(handed))),
        )


def _fresh(folder: Path) -> Path:
    """Return `folder` after what an earlier demo left there is gone."""
    if (folder / STATEMENT).exists():
        shutil.rmtree(folder)
    return folder


def _evidence(handed: HandedOver) -> str:
    missing = sum((gap.ends_at - gap.starts_at for gap in handed.statement.gaps), timedelta(0))
    segments, missing_s = len(handed.statement.segments), missing.total_seconds()
    return f"{segments} segments, {missing_s:.0f} s named as missing; it holds, and the prosecutor alone opens it"


def _long_enough(source: str, scratch: Path) -> str:
    """Return a film as a source that lasts for the demo: one that ends too soon is played again and again."""
    if not source.startswith("file:"):
        return source
    film = Path(source.removeprefix("file:"))
    again = scratch / f"again-and-again{film.suffix}"
    command = ["ffmpeg", "-loglevel", "error", "-stream_loop", str(AGAIN), "-i", str(film), "-c", "copy", str(again)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - fixed words and a path
    return f"file:{again}" if done.returncode == 0 else source


def _shape_of(source: str) -> tuple[int, int]:
    """Return width to height of what a film shows, in small numbers; the simulated street is wide."""
    if not source.startswith("file:"):
        return WIDE
    with av.open(source.removeprefix("file:")) as film:
        shown = film.streams.video[0].codec_context
        width, height = shown.width // 2 * 2, shown.height // 2 * 2
    return width // math.gcd(width, height), height // math.gcd(width, height)


def _net_in(folder: Path | None, say: Callable[[RenderableType], None]) -> str:
    """Return the SHA-256 of the net that the officials may list, or an empty text where it is not at hand."""
    path = None if folder is None else folder / NAME
    if path is not None and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256:
        return SHA256
    say(
        "the net that finds people is not here (`make models` fetches it): motion and the approved view alone hide them"
    )
    return ""


@contextmanager
def _camera(
    scratch: Path,
    name: str,
    source: str,
    city: DemoCity,
    fleet: DemoFleet,
    settings: Mapping[str, str],
    say: Callable[[RenderableType], None],
) -> Iterator[DemoCamera]:
    """Yield a camera that was aimed and whose recorder and link run, and end both."""
    small = {} if name == CAMERA else {"LAMPPOST_CAMERA__WIDTH_PX": "640", "LAMPPOST_CAMERA__HEIGHT_PX": "360"}
    camera = DemoCamera(
        scratch / name,
        camera=name,
        source=source,
        root=city.trusted_root,
        now=precise_now,
        settings={**small, **settings},
    )
    if not camera.commission():
        say(f"{name} has no reference view: what it looks at is too short, or nothing in it can be known again")
    camera.connect(host=HOST, port=fleet.port, authority=fleet.authority_file, credential=fleet.credential(name))
    try:
        camera.start()
        yield camera
    finally:
        camera.kill()
        camera.disconnect()


@dataclass(slots=True)
class Loss:
    """What the power cut cost, and how many frames were counted before it."""

    captured_before: int = 0
    killed_at: datetime | None = None


def _perform(
    city: DemoCity,
    camera: DemoCamera,
    fleet: DemoFleet,
    say: Callable[[RenderableType], None],
    net: str,
    shape: tuple[int, int],
) -> tuple[list[Act], Loss]:
    """Let everything happen; return the moments to look at, in order."""
    acts: list[Act] = []
    say("both cameras report; nobody has signed anything: they are dark")
    camera.wait_for("a camera that delivers", lambda status: status.frames.captured > 0)
    fleet.wait_for("two cameras that report", _both_report)
    wait(TAKE / 2)
    say(fleet.table(precise_now()))
    acts.append(
        Act(
            headline="Nobody has signed yet",
            words="The camera runs; nothing permits recording.",
            at=precise_now(),
            why_dark="dark: nothing is granted",
        )
    )

    say("three officials sign a grant, one after the other")
    city.grant(net, shape)
    _obeyed(camera, lambda state: state is RecordingState.RECORDING)
    say("the camera learns what stands still; until then it hides the whole picture")
    _learned(camera, say)
    wait(TAKE)
    say(fleet.table(precise_now()))
    acts.append(
        Act(
            headline="Three officials signed a grant",
            words="Private windows and people are gone before anything is encoded.",
            at=precise_now() - timedelta(seconds=1),
        )
    )

    say("one official, alone, adds a private area")
    before, signing_at = _digest(camera), precise_now()
    city.restrict()
    _obeyed(camera, before=before)
    waiver = WAIVER + ON_THE_WAY * (precise_now() - signing_at)
    wait(TAKE)
    acts.append(
        Act(
            headline="One official restricts, alone",
            words="The garden on the right is masked from the next frame on.",
            at=precise_now() - timedelta(seconds=1),
        )
    )

    say("the power fails in the middle of a segment (kill -9)")
    wait(TAKE / 2)
    status = camera.wait_for("a status", lambda _: True)
    camera.kill()
    loss = Loss(captured_before=status.frames.captured, killed_at=precise_now())
    acts.append(
        Act(
            headline="The power fails (kill -9)",
            words="What had reached the disk opens: the last frame of it.",
            at=precise_now(),
        )
    )
    camera.start()
    camera.wait_for("recording after the restart", lambda status: status.state is RecordingState.RECORDING)
    _learned(camera, say)
    wait(TAKE)

    say(f"a waiver: more frames a second for {waiver.seconds} seconds, then back by itself")
    before = _digest(camera)
    ends_at = city.waive(waiver)
    _obeyed(camera, before=before)
    wait(max(timedelta(0), ends_at - precise_now()) + TAKE)
    acts.append(
        Act(headline="A waiver has lapsed", words="", at=ends_at + timedelta(seconds=2)),
    )

    say("one official, alone, revokes")
    city.revoke()
    _obeyed(camera, lambda state: state is RecordingState.DARK)
    wait(TAKE / 2)
    say(fleet.table(precise_now()))
    acts.append(
        Act(
            headline="One official revokes, alone",
            words="Dark within a second, and after every restart.",
            at=precise_now() - timedelta(seconds=1),
            why_dark="dark: revoked",
        )
    )
    camera.stop()
    return acts, loss


def _learned(camera: DemoCamera, say: Callable[[RenderableType], None]) -> None:
    """Wait until a second's frames have come and none of them failed closed: the people mask knows the scene.

    On a machine that is too busy to look for people twice a second that never happens, and the demo goes on.
    """
    hidden, since = -1, 0

    def shows_something(status: RecorderStatus) -> bool:
        nonlocal hidden, since
        if status.frames.failed_closed != hidden:
            hidden, since = status.frames.failed_closed, status.frames.captured
        return status.frames.captured >= since + SECOND_OF_FRAMES

    try:
        camera.wait_for("a scene that was learned", shows_something, within=LEARNING)
    except CameraDidNotError:
        say("this machine is too busy to look for people twice a second, so everything stays hidden")


def _both_report(cameras: tuple[CameraRecord, ...]) -> bool:
    return len(cameras) > 1 and all(camera.status is not None for camera in cameras)


def _digest(camera: DemoCamera) -> str:
    return camera.wait_for("a status", lambda _: True).decision.policy_digest


def _obeyed(
    camera: DemoCamera, expected: Callable[[RecordingState], bool] = lambda _: True, *, before: str = ""
) -> None:
    """Wait until what was published has gone over the network and the camera obeys it."""
    camera.wait_for(
        "a camera that obeys the new policy",
        lambda status: status.decision.policy_digest != before and expected(status.state),
    )


def _look(
    acts: Sequence[Act],
    kept: Sequence[KeptSegment],
    identity: PostQuantumIdentity,
    camera: DemoCamera,
    source: str,
    scratch: Path,
) -> list[Moment]:
    """Put beside each moment the street as it was, where it can be drawn again."""
    moments = []
    for act in acts:
        at = act.at
        if not act.why_dark:
            at = _nearest_kept(kept, at)
        frame = frame_at(kept, at, [identity])
        words = act.words or _rates(kept, at)
        moments.append(
            Moment(
                headline=act.headline,
                words=words,
                scene=_draw(camera, source, frame.captured_at if frame else at, scratch),
                kept=None if frame is None else frame.picture,
                why_dark=act.why_dark,
            )
        )
    return moments


def _nearest_kept(kept: Sequence[KeptSegment], at: datetime) -> datetime:
    """Return `at`, or the last instant before it of which something was kept."""
    frame = timedelta(milliseconds=150)
    ends = [min(at, segment.ends_at - frame) for segment in kept if segment.starts_at <= at]
    return max(ends, default=at)


def _rates(kept: Sequence[KeptSegment], at: datetime) -> str:
    """Say how many frames a second were kept while the waiver ran and after it."""
    after = next((segment for segment in kept if segment.starts_at <= at < segment.ends_at), None)
    if after is None:
        return ""
    ended = [segment for segment in kept if segment.ends_at <= after.starts_at + timedelta(seconds=1)]
    before = max(ended, key=_start, default=after)
    return f"{_rate(before):.0f} frames a second while it ran, {_rate(after):.0f} again since."


def _start(segment: KeptSegment) -> datetime:
    return segment.starts_at


def _rate(segment: KeptSegment) -> float:
    return segment.frames / (segment.ends_at - segment.starts_at).total_seconds()


def _draw(camera: DemoCamera, source: str, at: datetime, scratch: Path) -> Picture | None:
    """Draw the simulated street as it was at `at`; None where the camera looked at something else."""
    if not source.startswith(STREET):
        return None
    opened = [datetime.fromisoformat(event["at"]) for event in camera.events() if event["kind"] == "camera-opened"]
    began = max(one for one in opened if one <= at)
    second = (at - began).total_seconds()
    command = [sys.executable, "-m", "agent", "scene", "--out", str(scratch), "--at", f"{second:.3f}"]
    drawn = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own agent
    picture = cv2.imread(drawn.stdout.strip())
    return None if picture is None else picture.astype("uint8", copy=False)


def _join(movie: Path, kept: Sequence[KeptSegment], identity: PostQuantumIdentity) -> None:
    with private_file(movie, replace=True) as file:
        joiner = Joiner(file, title=CAMERA, seekable=True, keep_gaps=False)
        for one in kept:
            piece = cut(one.segment, open_segment(one.segment, [identity]))
            if piece is not None:
                joiner.add(piece)
        joiner.close()


def _account(
    camera: DemoCamera, kept: Sequence[KeptSegment], loss: Loss, usage: Usage, took: timedelta
) -> Iterator[tuple[str, str]]:
    status = camera.status()
    truncated = [one for one in kept if one.segment.unfinished]
    lost = "nothing was cut off"
    if truncated and loss.killed_at is not None:
        lost = f"{(loss.killed_at - truncated[0].ends_at).total_seconds():.2f} s"
    stored_bytes = sum(one.segment.size_bytes for one in kept)
    duration = sum((one.ends_at - one.starts_at for one in kept), timedelta(0))
    captured = loss.captured_before + (status.frames.captured if status else 0)
    yield "frames the camera delivered", f"{captured}"
    yield "frames kept, all of them opened", f"{sum(one.frames for one in kept)}"
    yield "frames that failed closed", f"{status.frames.failed_closed if status else 0}"
    yield "footage lost to the power cut", lost
    yield "segments", f"{len(kept)}, {len(truncated)} of them cut short"
    yield "sealed bytes", f"{stored_bytes / 1e6:.1f} MB for {duration.total_seconds():.0f} s"
    yield "sealed to", "mlkem768x25519 (post-quantum), the custodian's key of the day"
    yield "the agent's CPU and memory", f"{usage.cpu_s:.0f} s of CPU, {usage.peak_mib:.0f} MiB at most"
    yield "time taken", f"{took.total_seconds():.0f} s"


def _write_png(path: Path, picture: Picture) -> None:
    encoded, data = cv2.imencode(".png", picture)
    if not encoded:
        raise StorageError(f"cannot encode {path} as PNG")
    write_whole(path, data.tobytes())
