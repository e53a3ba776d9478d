"""A detector looks beside the frames, runs only what is approved, and keeps no picture longer than a look."""

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.adapters import detector
from agent.adapters.detector import InStepDetector, ThreadedDetector, approved_model, load_net
from agent.core.masking.sightings import Kind, Look
from agent.core.policy.decision import ApprovedModel
from agent.core.video import I420, FrameSize, RawFrame
from agent.errors import ModelRefusedError
from tests.fakes.clock import FakeClock
from tests.fakes.nets import PERSON, FakeNet, HangingNet, failing, in_turn, raw

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SIZE = FrameSize(640, 360)
PATIENCE_S = 60


def frame(pts_us: int, size: FrameSize = SIZE) -> RawFrame:
    pixels = I420.blank(size)
    pixels.y[...], pixels.u[...], pixels.v[...] = 90, 128, 128
    return RawFrame(pixels=pixels, pts_us=pts_us, captured_at=NOON)


def wait_for_look(threaded: ThreadedDetector) -> Look:
    for _ in range(PATIENCE_S * 100):
        if looks := threaded.looks():
            return looks[0]
        threading.Event().wait(0.01)
    pytest.fail("no look came")


# --- which net may run --------------------------------------------------------


def model(folder: Path, content: bytes, name: str = "net.tflite") -> ApprovedModel:
    (folder / name).write_bytes(content)
    return ApprovedModel(hashlib.sha256(content).hexdigest(), ("boxes", "classes"))


def test_the_model_on_the_list_is_read_whatever_else_lies_there(tmp_path: Path) -> None:
    model(tmp_path, b"another", "a.tflite")
    listed = model(tmp_path, b"the one", "b.tflite")

    assert approved_model(tmp_path, [listed]) == b"the one"


def test_a_model_with_one_wrong_byte_is_refused_and_named(tmp_path: Path) -> None:
    listed = model(tmp_path, b"the one")
    (tmp_path / "net.tflite").write_bytes(b"the 0ne")

    with pytest.raises(ModelRefusedError, match=r"net\.tflite is [0-9a-f]{12}"):
        approved_model(tmp_path, [listed])


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    listed = model(tmp_path, b"the one")
    (tmp_path / "net.tflite").write_bytes(b"the")

    with pytest.raises(ModelRefusedError):
        approved_model(tmp_path, [listed])


def test_a_missing_model_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError) as refused:
        approved_model(tmp_path / "nowhere", [ApprovedModel("a" * 64, ("boxes", "classes"))])

    assert refused.value.hint is not None


def test_the_right_file_that_is_not_on_the_list_is_refused(tmp_path: Path) -> None:
    model(tmp_path, b"the one")

    with pytest.raises(ModelRefusedError):
        approved_model(tmp_path, [])
    with pytest.raises(ModelRefusedError):
        approved_model(tmp_path, [ApprovedModel("b" * 64, ("boxes", "classes"))])


def test_a_model_listed_for_other_outputs_is_refused(tmp_path: Path) -> None:
    listed = model(tmp_path, b"the one")

    with pytest.raises(ModelRefusedError, match="has outputs boxes and classes"):
        approved_model(tmp_path, [ApprovedModel(listed.sha256, ("boxes",))])


def test_an_absurdly_large_file_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "MOST_MODEL_BYTES", 3)
    listed = model(tmp_path, b"the one")

    with pytest.raises(ModelRefusedError, match="larger than any model"):
        approved_model(tmp_path, [listed])


@pytest.mark.parametrize("content", [b"", b"no flatbuffer at all", b"\x1c\x00\x00\x00TFL3" + b"\x00" * 200])
def test_a_listed_file_that_is_no_net_is_refused(content: bytes) -> None:
    with pytest.raises(ModelRefusedError):
        load_net(content)


# --- looks --------------------------------------------------------------------


def test_in_step_a_look_is_taken_at_once_and_every_half_second_of_the_film() -> None:
    net = FakeNet(raw((600, PERSON, 2.0)))
    in_step = InStepDetector(net)

    for n in range(20):
        in_step.offer(frame(n * 100_000))

    looks = in_step.looks()
    assert [look.pts_us for look in looks] == [0, 500_000, 1_000_000, 1_500_000]
    assert looks[0].sightings[0].kind is Kind.PERSON
    assert in_step.looks() == []


def test_a_thread_looks_and_says_at_which_frame() -> None:
    threaded = ThreadedDetector(lambda: FakeNet(raw((600, PERSON, 2.0))), FakeClock())

    threaded.offer(frame(123_000))

    look = wait_for_look(threaded)
    assert look.pts_us == 123_000
    assert look.sightings
    threaded.close()


def test_a_slow_net_costs_looks_and_never_a_frame() -> None:
    net = HangingNet()
    threaded = ThreadedDetector(lambda: net, FakeClock())
    threaded.offer(frame(0))
    assert net.entered.wait(PATIENCE_S)

    for n in range(1, 50):
        threaded.offer(frame(n * 1_000_000))  # returns at once, or this test never ends

    net.release.set()
    assert wait_for_look(threaded).pts_us == 0
    threaded.close()


def test_the_copy_of_the_frame_is_wiped_when_the_look_is_over() -> None:
    threaded = ThreadedDetector(FakeNet, FakeClock())

    threaded.offer(frame(0))
    wait_for_look(threaded)

    picture = threaded._worker._picture
    assert picture is not None
    assert not picture.y.any()
    assert not picture.u.any()
    assert not picture.v.any()
    threaded.close()


def test_the_frame_itself_is_left_alone() -> None:
    given = frame(0)
    threaded = ThreadedDetector(FakeNet, FakeClock())

    threaded.offer(given)
    wait_for_look(threaded)

    assert (given.pixels.y == 90).all()
    threaded.close()


def test_a_net_that_fails_gives_no_look_and_gets_another_frame() -> None:
    net = FakeNet(failing)
    in_step = InStepDetector(net)

    in_step.offer(frame(0))
    failed = in_step.looks()
    net.answer = raw()
    in_step.offer(frame(1_000_000))

    assert failed == []
    assert len(in_step.looks()) == 1


def test_a_net_that_hangs_is_left_behind_and_another_takes_over() -> None:
    clock = FakeClock()
    hanging = HangingNet()
    threaded = ThreadedDetector(in_turn([hanging, FakeNet()]), clock)
    threaded.offer(frame(0))
    assert hanging.entered.wait(PATIENCE_S)

    clock.advance(timedelta(seconds=11))
    threaded.offer(frame(11_000_000))

    assert wait_for_look(threaded).pts_us == 11_000_000
    hanging.release.set()
    threaded.close()


def test_nets_that_hang_again_and_again_are_not_collected_without_end() -> None:
    clock = FakeClock()
    nets = [HangingNet() for _ in range(detector.MOST_RESTARTS + 3)]
    made = []

    def load() -> HangingNet:
        made.append(nets[len(made)])
        return made[-1]

    threaded = ThreadedDetector(load, clock)
    for n in range(detector.MOST_RESTARTS + 2):
        threaded.offer(frame(n * 11_000_000))
        if n <= detector.MOST_RESTARTS:
            assert nets[n].entered.wait(PATIENCE_S)
        clock.advance(timedelta(seconds=11))

    assert len(made) == 1 + detector.MOST_RESTARTS
    for net in nets:
        net.release.set()
    threaded.close()


def test_a_net_that_cannot_be_loaded_is_silence() -> None:
    tried = threading.Event()

    def load() -> FakeNet:
        tried.set()
        raise ModelRefusedError("not the detector this software reads")

    threaded = ThreadedDetector(load, FakeClock())
    threaded.offer(frame(0))

    assert tried.wait(PATIENCE_S)
    assert threaded.looks() == []
    threaded.close()


# --- the real net -------------------------------------------------------------

REAL = Path(__file__).resolve().parents[2] / "models" / "person-vehicle.tflite"
ASTRONAUT = Path(__file__).resolve().parents[3] / "shared" / "data" / "astronaut.png"


@pytest.mark.skipif(not REAL.exists(), reason="the model is not here: `make models` fetches it")
@pytest.mark.skipif(not ASTRONAUT.exists(), reason="the labelled stills are not beside this checkout")
def test_the_real_net_sees_a_real_person() -> None:
    import cv2  # noqa: PLC0415 - for this test alone

    still = cv2.imread(str(ASTRONAUT))
    assert still is not None
    packed = cv2.cvtColor(still, cv2.COLOR_BGR2YUV_I420)
    seen = InStepDetector(load_net(REAL.read_bytes()))

    seen.offer(RawFrame(pixels=I420.from_packed(np.asarray(packed, np.uint8)), pts_us=0, captured_at=NOON))

    (look,) = seen.looks()
    assert max(one.score for one in look.sightings if one.kind is Kind.PERSON) > 0.5
