"""A segment cut off after any append decodes to exactly the frames that were promised, padding and all."""

import io
from datetime import UTC, datetime

import av
import numpy as np
import pytest

from agent.core.sealing.age_file import open_stream
from agent.core.sealing.recipients import PostQuantumIdentity
from agent.core.sealing.segment import SegmentSealer
from agent.core.video import Fragment
from agent.errors import TruncatedError

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
FRAMES_A_FRAGMENT = 9


def film(fragments: int, noise: int) -> list[Fragment]:
    """Return a fragmented MP4; the more `noise`, the more bytes a fragment has."""
    random = np.random.default_rng(1)
    target = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(target, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = FRAMES_A_FRAGMENT
        stream.codec_context.options = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"}
        for _ in range(fragments * FRAMES_A_FRAGMENT):
            picture = random.integers(100, 101 + noise, (192, 128)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    pieces = [b""]
    for box in boxes(target.getvalue()):
        if box[4:8] == b"moof" and b"moof" in pieces[-1]:
            pieces.append(b"")
        if box[4:8] != b"mfra":  # a running segment has no index at its end
            pieces[-1] += box
    return [
        Fragment(clear=piece, frames=FRAMES_A_FRAGMENT, first_captured_at=NOON, last_captured_at=NOON)
        for piece in pieces
    ]


def boxes(file: bytes) -> list[bytes]:
    found = []
    while file:
        size = int.from_bytes(file[:4], "big")
        found.append(file[:size])
        file = file[size:]
    return found


def playable_frames(clear: bytes) -> int:
    """Return how many frames decode, up to the first that does not."""
    frames = 0
    try:
        with av.open(io.BytesIO(clear)) as container:
            for _ in container.decode(video=0):
                frames += 1
    except av.FFmpegError:
        pass
    return frames


@pytest.mark.parametrize("noise", [0, 12, 150], ids=["still scene", "quiet scene", "busy scene"])
def test_what_was_promised_at_each_append_plays(noise: int) -> None:
    identity = PostQuantumIdentity.generate()
    *fragments, last = film(fragments=5, noise=noise)
    sealer = SegmentSealer([identity.recipient])
    stored = b""
    promised = 0

    for count, fragment in enumerate(fragments, start=1):
        sealed = sealer.push(fragment)
        stored += sealed.sealed
        promised += sealed.frames
        recovered: list[bytes] = []
        with pytest.raises(TruncatedError):
            recovered.extend(open_stream([stored], [identity]))
        assert playable_frames(b"".join(recovered)) >= promised >= (count - 1) * FRAMES_A_FRAGMENT

    stored += sealer.finish(last).sealed
    whole = b"".join(open_stream([stored], [identity]))
    assert playable_frames(whole) == 5 * FRAMES_A_FRAGMENT
