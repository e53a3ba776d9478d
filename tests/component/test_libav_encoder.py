"""What goes into the encoder comes out of an ordinary player: every picture, at its time, from every fragment on."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from io import BytesIO
from itertools import pairwise

import av
import numpy as np
import pytest

from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder, LibavSegmentEncoder
from agent.core.mp4 import read_movie
from agent.core.video import I420, Fragment, FrameSize, Layer, MaskedFrame, StreamMode
from agent.errors import EncoderError
from agent.ports import SegmentTags

START = datetime(2026, 3, 1, 12, 0, 0, 123_457, tzinfo=UTC)
BOOT_US = 7_654_321_000  # pts count from the boot of the machine, not from the segment
MODE = StreamMode(size=FrameSize(320, 192), rate_hz=Fraction(10))
TAGS = SegmentTags(camera_id="pole-17", layer=Layer.MASKED, first_captured_at=START)
STEP_US = 100_000
PER_FRAGMENT = 9


def picture(index: int, size: FrameSize = MODE.size) -> I420:
    """A slope of grey that moves a little with each frame, in a colour that does not."""
    pixels = I420.blank(size)
    rows = np.arange(size.height_px, dtype=np.uint16)[:, None]
    columns = np.arange(size.width_px, dtype=np.uint16)[None, :]
    pixels.y[:] = 40 + (rows + columns + 4 * index) % 160
    pixels.u[:] = 100
    pixels.v[:] = 150
    return pixels


def frame(index: int, *, at_us: int | None = None, pixels: I420 | None = None) -> MaskedFrame:
    since_start_us = index * STEP_US if at_us is None else at_us
    return MaskedFrame(
        pixels=picture(index) if pixels is None else pixels,
        pts_us=BOOT_US + since_start_us,
        captured_at=START + timedelta(microseconds=since_start_us),
    )


def encode(
    frames: Sequence[MaskedFrame], settings: EncoderSettings | None = None, mode: StreamMode = MODE
) -> list[Fragment]:
    segment = LibavEncoder(settings or EncoderSettings()).start(mode, TAGS)
    fragments = [fragment for one in frames if (fragment := segment.push(one))]
    last = segment.finish()
    return [*fragments, last] if last else fragments


def decode(clear: bytes) -> list[av.VideoFrame]:
    with av.open(BytesIO(clear)) as container:
        return list(container.decode(video=0))


def joined(fragments: Sequence[Fragment]) -> bytes:
    return b"".join(fragment.clear for fragment in fragments)


def worst_difference(decoded: av.VideoFrame, expected: I420) -> float:
    planes = I420.from_packed(decoded.to_ndarray(format="yuv420p"))
    pairs = ((planes.y, expected.y), (planes.u, expected.u), (planes.v, expected.v))
    return max(float(np.abs(a.astype(int) - b.astype(int)).mean()) for a, b in pairs)


def test_every_picture_comes_out_as_it_went_in() -> None:
    frames = [frame(n) for n in range(20)]

    decoded = decode(joined(encode(frames)))

    assert len(decoded) == 20
    for shown, given in zip(decoded, frames, strict=True):
        assert worst_difference(shown, given.pixels) < 3


def test_a_flat_fill_stays_flat_to_the_last_level() -> None:
    """Masks are flat; what a codec does to them must not look like content."""
    filled = I420.blank(MODE.size)
    filled.y[:], filled.u[:], filled.v[:] = 63, 128, 128

    decoded = decode(joined(encode([frame(n, pixels=filled) for n in range(12)])))

    for shown in decoded:
        planes = I420.from_packed(shown.to_ndarray(format="yuv420p"))
        assert np.abs(planes.y.astype(int) - 63).max() <= 1
        assert np.abs(planes.u.astype(int) - 128).max() <= 1
        assert np.abs(planes.v.astype(int) - 128).max() <= 1


def test_a_fragment_comes_out_one_frame_after_its_last() -> None:
    segment = LibavEncoder(EncoderSettings()).start(MODE, TAGS)

    came_at = [n for n in range(30) if segment.push(frame(n))]
    segment.abandon()

    assert came_at == [9, 18, 27]


def test_each_fragment_tells_its_frames_and_when_they_were_captured() -> None:
    fragments = encode([frame(n) for n in range(21)])

    assert [fragment.frames for fragment in fragments] == [9, 9, 3]
    step = timedelta(microseconds=STEP_US)
    assert [f.first_captured_at for f in fragments] == [START, START + 9 * step, START + 18 * step]
    assert [f.last_captured_at for f in fragments] == [START + 8 * step, START + 17 * step, START + 20 * step]


def test_the_file_tells_the_capture_time_of_each_fragment_to_the_microsecond() -> None:
    fragments = encode([frame(n) for n in range(21)])

    movie = read_movie(joined(fragments))

    assert [fragment.captured_at for fragment in movie.fragments] == [f.first_captured_at for f in fragments]
    assert [fragment.decode_time for fragment in movie.fragments] == [0, 9 * STEP_US, 18 * STEP_US]
    assert movie.whole_bytes == sum(len(fragment.clear) for fragment in fragments)


def test_keyframes_stand_at_the_start_of_each_fragment_and_nowhere_else() -> None:
    """Also where every second picture is a different scene."""
    scenes = [frame(n, pixels=picture(n if n % 2 else 1000 - 37 * n)) for n in range(27)]

    with av.open(BytesIO(joined(encode(scenes)))) as container:
        keyframes = [n for n, packet in enumerate(p for p in container.demux(video=0) if p.size) if packet.is_keyframe]

    assert keyframes == [0, 9, 18]


@pytest.mark.parametrize("whole", [1, 2, 3])
def test_a_file_cut_anywhere_plays_up_to_its_last_whole_fragment(whole: int) -> None:
    fragments = encode([frame(n) for n in range(27)])
    clear = joined(fragments)
    boundary = sum(len(fragment.clear) for fragment in fragments[:whole])

    at_the_boundary = clear[:boundary]
    within_the_next = clear[: boundary + 40]  # into the next prft and moof

    assert len(decode(at_the_boundary)) == whole * PER_FRAGMENT
    assert read_movie(within_the_next).whole_bytes == boundary


def test_uneven_times_are_kept_to_the_microsecond() -> None:
    at_us = [0, 33_333, 66_669, 100_001, 612_345, 612_346, 1_700_000, 5_000_007]

    decoded = decode(joined(encode([frame(n, at_us=t) for n, t in enumerate(at_us)])))

    assert [round(shown.pts * shown.time_base * 1_000_000) for shown in decoded] == at_us


def test_a_camera_that_slows_down_gets_fragments_of_fewer_frames() -> None:
    slow = [frame(n, at_us=n * 400_000) for n in range(9)]  # 2.5 Hz where 10 were agreed

    fragments = encode(slow)

    assert [fragment.frames for fragment in fragments] == [3, 3, 3]


def test_the_callers_buffer_is_free_as_soon_as_push_returns() -> None:
    """A camera with four buffers writes the next picture where the last one was."""
    buffer = I420.blank(MODE.size)
    segment = LibavEncoder(EncoderSettings(threads=2)).start(MODE, TAGS)
    fragments = []
    assert buffer.packed is not None

    for n in range(18):
        buffer.packed[:] = picture(n).packed
        fragments.append(segment.push(frame(n, pixels=buffer)))
        buffer.packed[:] = 255
    fragments.append(segment.finish())

    decoded = decode(joined([fragment for fragment in fragments if fragment]))
    assert len(decoded) == 18
    assert max(worst_difference(shown, picture(n)) for n, shown in enumerate(decoded)) < 3


def test_planes_that_lie_apart_are_encoded_like_packed_ones() -> None:
    packed = [frame(n) for n in range(10)]
    apart = [
        frame(n, pixels=I420(y=p.pixels.y.copy(), u=p.pixels.u.copy(), v=p.pixels.v.copy()))
        for n, p in enumerate(packed)
    ]

    assert joined(encode(apart)) == joined(encode(packed))


def test_a_width_that_is_no_multiple_of_sixteen_is_cropped_right() -> None:
    mode = StreamMode(size=FrameSize(322, 182), rate_hz=Fraction(10))
    frames = [frame(n, pixels=picture(n, mode.size)) for n in range(5)]

    decoded = decode(joined(encode(frames, mode=mode)))

    assert (decoded[0].width, decoded[0].height) == (322, 182)
    assert worst_difference(decoded[4], frames[4].pixels) < 3


def test_a_height_that_four_does_not_divide_keeps_its_last_lines_and_its_colours() -> None:
    mode = StreamMode(size=FrameSize(480, 270), rate_hz=Fraction(10))
    flat = I420.blank(mode.size)
    flat.y[...], flat.u[...], flat.v[...] = 60, 100, 150

    decoded = decode(joined(encode([frame(n, pixels=flat) for n in range(5)], mode=mode)))

    planes = I420.from_packed(decoded[4].to_ndarray(format="yuv420p"))
    for plane, level in ((planes.y, 60), (planes.u, 100), (planes.v, 150)):
        assert int(np.abs(plane.astype(int) - level).max()) <= 3


def test_the_same_frames_give_the_same_bytes() -> None:
    frames = [frame(n) for n in range(12)]

    assert joined(encode(frames)) == joined(encode(frames))


def test_the_file_names_its_camera_layer_and_start() -> None:
    with av.open(BytesIO(joined(encode([frame(0)])))) as container:
        tags = container.metadata

    assert tags["title"] == "pole-17"
    assert tags["comment"] == "masked"
    assert datetime.fromisoformat(tags["date"]) == START
    assert datetime.fromisoformat(tags["creation_time"]) == START.replace(microsecond=0)


@pytest.mark.parametrize(("size", "code_point"), [(FrameSize(640, 480), 6), (FrameSize(1280, 720), 1)])
def test_the_file_says_which_colours_its_numbers_mean(size: FrameSize, code_point: int) -> None:
    """SMPTE 170M (6) below 720 lines, BT.709 (1) from there on, limited range (1)."""
    mode = StreamMode(size=size, rate_hz=Fraction(10))

    with av.open(BytesIO(joined(encode([frame(0, pixels=picture(0, size))], mode=mode)))) as container:
        codec = container.streams.video[0].codec_context
        told = (codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range)

    assert told == (code_point, code_point, code_point, 1)


def test_the_bitrate_holds_over_noise() -> None:
    """Rain in the dark is noise; it must not fill the card faster than the settings say."""
    rng = np.random.default_rng(17)
    noise = [I420.from_packed(rng.integers(16, 235, (288, 320), np.uint8)) for _ in range(8)]
    frames = [frame(n, pixels=noise[n % 8]) for n in range(80)]

    fragments = encode(frames, EncoderSettings(bitrate_kbit=600))

    later = fragments[2:]  # the rate control's buffer starts full
    bits_per_second = 8 * sum(len(f.clear) for f in later) / (sum(f.frames for f in later) * STEP_US / 1e6)
    assert bits_per_second < 600_000 * 1.15


def test_a_segment_without_frames_is_nothing() -> None:
    segment = LibavEncoder(EncoderSettings()).start(MODE, TAGS)

    assert segment.finish() is None


def test_an_abandoned_segment_lets_go_twice_and_midway() -> None:
    segment = LibavEncoder(EncoderSettings()).start(MODE, TAGS)
    segment.push(frame(0))

    segment.abandon()
    segment.abandon()


def test_a_frame_of_another_size_is_refused_and_leaves_no_trace() -> None:
    segment = LibavEncoder(EncoderSettings()).start(MODE, TAGS)
    segment.push(frame(0))

    with pytest.raises(EncoderError, match=r"640x480 in a segment of 320x192"):
        segment.push(frame(1, pixels=picture(1, FrameSize(640, 480))))

    assert frames_left_in(segment) == 1


@pytest.mark.parametrize("at_us", [0, -1])
def test_a_frame_whose_time_does_not_rise_is_refused_and_leaves_no_trace(at_us: int) -> None:
    segment = LibavEncoder(EncoderSettings()).start(MODE, TAGS)
    segment.push(frame(0))

    with pytest.raises(EncoderError, match="after one at"):
        segment.push(frame(1, at_us=at_us))

    assert frames_left_in(segment) == 1


def test_a_codec_that_is_not_here_is_an_encoder_error() -> None:
    encoder = LibavEncoder(EncoderSettings(codec="h264_v4l2m2m"))

    with pytest.raises(EncoderError, match="h264_v4l2m2m cannot encode 320x192"):
        encoder.start(MODE, TAGS)


def test_a_size_beyond_the_codec_is_an_encoder_error() -> None:
    with pytest.raises(EncoderError, match="cannot encode"):
        LibavEncoder(EncoderSettings()).start(StreamMode(size=FrameSize(40_000, 40_000), rate_hz=Fraction(10)), TAGS)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_an_ordinary_player_reads_it_without_a_complaint() -> None:
    clear = joined(encode([frame(n) for n in range(21)]))

    told = subprocess.run(
        ["ffprobe", "-v", "warning", "-of", "json", "-show_streams", "-show_packets", "-i", "pipe:0"],
        input=clear,
        capture_output=True,
        check=True,
    )

    report = json.loads(told.stdout)
    assert told.stderr == b""
    assert report["streams"][0]["codec_name"] == "h264"
    assert report["streams"][0]["has_b_frames"] == 0
    times = [int(packet["pts"]) for packet in report["packets"]]
    assert len(times) == 21
    assert all(earlier < later for earlier, later in pairwise(times))


def frames_left_in(segment: LibavSegmentEncoder) -> int:
    last = segment.finish()
    return last.frames if last else 0
