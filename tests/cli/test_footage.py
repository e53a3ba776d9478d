"""`lamppost footage` shows, opens, plays and checks what a camera sealed, and leaves nothing clear behind."""

import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import pytest

from agent.core.sealing.header import SealedBytes, make_header, parse_header
from agent.core.sealing.recipients import PostQuantumIdentity, X25519Identity
from agent.core.segment_name import SegmentName
from agent.core.video import FrameSize, Layer
from provisioning import __main__ as program
from tests.fakes.footage import encode_segment, file_segment, seal_segment

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEY = X25519Identity.generate()
STRANGER = X25519Identity.generate()


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Lamppost = Callable[..., Outcome]


@pytest.fixture
def lamppost(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lamppost:
    """Run the program as its entry point does, in this process."""

    def run(*words: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["lamppost", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            program.main()
        told = capsys.readouterr()
        return Outcome(int(exit_.value.code or 0), told.out, told.err)

    return run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments end to end, five seconds of nothing, and a segment that a crash ended.

    Each is 20 frames at 10 Hz in fragments of 9, 9 and 2. Its first chunk holds the first
    two and padding; of the last segment, no more than that reached the disk.
    """
    folder = tmp_path_factory.mktemp("recorded")
    file_segment(folder, [KEY.recipient], started_at=NOON, sequence=1)
    file_segment(folder, [KEY.recipient], started_at=NOON + 2 * SECOND, sequence=2, first_luma=80)
    file_segment(folder, [KEY.recipient], started_at=NOON + 9 * SECOND, sequence=3, first_luma=120, lost_writes=2)
    return folder


@pytest.fixture
def footage(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "card"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "custodian.key"
    path.write_text(f"# the custodian's\n{KEY.reveal()}\n")
    return path


@pytest.fixture
def wrong_key(tmp_path: Path) -> Path:
    path = tmp_path / "stranger.key"
    path.write_text(f"{STRANGER.reveal()}\n")
    return path


def segment(footage: Path, sequence: int) -> Path:
    (path,) = footage.rglob(f"*-{sequence:08d}*")
    return path


def payload_at(path: Path) -> int:
    """Where an age file's header ends: after the line that starts with three dashes."""
    content = path.read_bytes()
    return content.index(b"\n", content.index(b"\n--- ") + 1) + 1


def lumas(clear: Path | bytes) -> list[int]:
    with av.open(BytesIO(clear) if isinstance(clear, bytes) else str(clear)) as container:
        return [
            int(np.median(frame.to_ndarray(format="yuv420p")[: frame.height])) for frame in container.decode(video=0)
        ]


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [round(float(frame.time or 0), 3) for frame in container.decode(video=0)]


def near(got: list[int], expected: list[int]) -> bool:
    return len(got) == len(expected) and all(abs(a - b) <= 2 for a, b in zip(got, expected, strict=True))


def everything_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- list ---------------------------------------------------------------------


def test_list_shows_what_is_there_without_a_key(lamppost: Lamppost, footage: Path) -> None:
    outcome = lamppost("footage", "list", footage)

    assert outcome.status == 0
    rows = [line.split() for line in outcome.out.splitlines()[1:]]
    assert [row[:3] for row in rows] == [
        ["pole-17", "masked", "2026-03-01T12:00:00.000Z"],
        ["pole-17", "masked", "2026-03-01T12:00:02.000Z"],
        ["pole-17", "masked", "2026-03-01T12:00:09.000Z"],
    ]
    assert [row[-4] for row in rows] == ["finished", "finished", "truncated"]
    assert "3 segments, 0 other files" in outcome.err


def test_list_tells_programs_all_it_knows(lamppost: Lamppost, footage: Path) -> None:
    (footage / "2026/03/01/notes.txt").write_text("a technician's")
    (footage / "README").write_text("not among the segments")

    told = lamppost("footage", "list", footage, "--json").json

    assert told["foreign"] == [str(footage / "2026/03/01/notes.txt")]
    assert [one["sequence"] for one in told["segments"]] == [1, 2, 3]
    assert [one["at_most_s"] for one in told["segments"]] == [2.0, 7.0, None]
    assert [one["bytes"] for one in told["segments"]] == [segment(footage, n).stat().st_size for n in (1, 2, 3)]
    assert {(one["profile"], one["recipients"]) for one in told["segments"]} == {("X25519", 1)}


def test_two_layers_share_their_numbers_and_nothing_is_missing_between_them(
    lamppost: Lamppost, tmp_path: Path, key: Path
) -> None:
    folder = tmp_path / "both"
    for number in range(3):
        for layer in Layer:
            file_segment(
                folder,
                [KEY.recipient],
                started_at=NOON + 2 * number * SECOND,
                sequence=2 * number + (layer is Layer.SEALED) + 1,
                layer=layer,
            )

    told = lamppost("footage", "list", folder, "--json").json
    verified = lamppost("footage", "verify", folder, "--identity", key, "--json").json

    assert [one["at_most_s"] for one in told["segments"]] == [2.0, 2.0, None] * 2
    assert verified["remarks"] == []
    assert verified["faults"] == []

    segment(folder, 3).unlink()
    (remark,) = lamppost("footage", "verify", folder, "--identity", key, "--json").json["remarks"]
    assert remark.startswith("1 segments are not here between")


def test_list_names_the_post_quantum_profile(lamppost: Lamppost, tmp_path: Path) -> None:
    recipients = [PostQuantumIdentity.generate().recipient for _ in range(2)]
    file_segment(tmp_path, recipients, started_at=NOON, sequence=1, layer=Layer.SEALED)

    (told,) = lamppost("footage", "list", tmp_path, "--json").json["segments"]

    assert (told["profile"], told["recipients"], told["layer"]) == ("mlkem768x25519", 2, "sealed")


def test_list_tells_a_file_that_was_cut_without_its_name_saying_so(lamppost: Lamppost, footage: Path) -> None:
    os.truncate(segment(footage, 1), payload_at(segment(footage, 1)) + 16 + 65_552 + 8)  # within a chunk's tag

    told = lamppost("footage", "list", footage, "--json").json

    assert [one["state"] for one in told["segments"]] == ["cut short", "finished", "truncated"]


def test_list_of_a_place_that_is_not_there_fails(lamppost: Lamppost, tmp_path: Path) -> None:
    outcome = lamppost("footage", "list", tmp_path / "nowhere")

    assert outcome.status == os.EX_IOERR
    assert outcome.out == ""
    assert "there is no folder or file" in outcome.err


def test_one_segment_is_a_place_too(lamppost: Lamppost, footage: Path) -> None:
    (told,) = lamppost("footage", "list", segment(footage, 2), "--json").json["segments"]

    assert told["sequence"] == 2


def test_one_file_that_is_no_segment_is_refused(lamppost: Lamppost, footage: Path) -> None:
    (footage / "holiday.mp4").write_bytes(b"not ours")

    outcome = lamppost("footage", "list", footage / "holiday.mp4")

    assert outcome.status == os.EX_NOINPUT
    assert "is not named like a segment" in outcome.err


def test_list_goes_on_past_a_header_that_it_cannot_read(lamppost: Lamppost, footage: Path) -> None:
    segment(footage, 1).write_bytes(b"\0" * 5000)

    outcome = lamppost("footage", "list", footage)

    assert outcome.status == 0
    assert "no readable header" in outcome.out.splitlines()[1]
    assert len(outcome.out.splitlines()) == 4


def test_a_segment_too_large_to_be_one_is_not_read(lamppost: Lamppost, footage: Path, key: Path) -> None:
    os.truncate(segment(footage, 1), 513 * 1024 * 1024)  # sparse; takes no room

    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", footage / "out.mp4")

    assert outcome.status == os.EX_DATAERR
    assert "expected at most" in outcome.err


def test_a_link_is_not_followed(lamppost: Lamppost, footage: Path) -> None:
    target = segment(footage, 1)
    target.with_name(target.name.replace("-00000001", "-00000009")).symlink_to(target)

    told = lamppost("footage", "list", footage, "--json").json

    assert len(told["segments"]) == 3
    assert len(told["foreign"]) == 1


# --- open ---------------------------------------------------------------------

ALL_LUMAS = [*range(40, 80, 2), *range(80, 120, 2), *range(120, 156, 2)]


def test_open_joins_all_there_is_up_to_the_last_whole_fragment(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"

    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", out, "--json")

    assert outcome.status == 0
    assert near(lumas(out), ALL_LUMAS)
    assert times(out) == [round(n / 10, 3) for n in range(58)]
    assert outcome.json == {
        "file": str(out),
        "camera": "pole-17",
        "starts_at": "2026-03-01T12:00:00.000Z",
        "ends_at": "2026-03-01T12:00:10.800Z",
        "seconds": 5.8,
        "frames": 58,
        "segments": 3,
        "truncated": 1,
        "gaps": [{"starts_at": "2026-03-01T12:00:04.000Z", "seconds": 5.0}],
    }


def test_open_tells_people_what_is_missing(lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path) -> None:
    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", tmp_path / "out.mp4")

    assert outcome.out == ""
    assert "58 frames from 3 segments, 1 truncated" in outcome.err
    assert "gap: 5 s without footage from 2026-03-01T12:00:04.000Z" in outcome.err


def test_a_gap_can_stay_in_the_timeline(lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"

    lamppost("footage", "open", footage, "--identity", key, "--out", out, "--keep-gaps")

    assert times(out)[39:41] == [3.9, 9.0]
    assert times(out)[-1] == 10.7


def test_open_gives_the_fragments_that_touch_the_span(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    span = ("--from", "2026-03-01T12:00:01", "--to", "2026-03-01T13:00:02.5+01:00")

    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", out, *span, "--json")

    # Fragments start at .0, .9 and 1.8 s of each segment.
    assert outcome.json["starts_at"] == "2026-03-01T12:00:00.900Z"
    assert outcome.json["ends_at"] == "2026-03-01T12:00:02.900Z"
    assert near(lumas(out), ALL_LUMAS[9:29])
    assert times(out)[0] == 0


def test_what_was_opened_is_for_its_owner_only(lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    old_umask = os.umask(0)
    try:
        lamppost("footage", "open", footage, "--identity", key, "--out", out)
    finally:
        os.umask(old_umask)

    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_open_replaces_nothing_unless_told_to(lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"the only copy of something")

    refused = lamppost("footage", "open", footage, "--identity", key, "--out", out)
    kept = out.read_bytes()
    forced = lamppost("footage", "open", footage, "--identity", key, "--out", out, "--force")

    assert (refused.status, kept) == (os.EX_USAGE, b"the only copy of something")
    assert "--force" in refused.err
    assert forced.status == 0
    assert len(lumas(out)) == 58


def test_the_wrong_identity_opens_nothing_and_leaves_nothing(
    lamppost: Lamppost, footage: Path, wrong_key: Path, tmp_path: Path
) -> None:
    before = everything_below(tmp_path)

    outcome = lamppost("footage", "open", footage, "--identity", wrong_key, "--out", tmp_path / "out.mp4")

    assert outcome.status == os.EX_NOPERM
    assert "none of 1 identities opens this file" in outcome.err
    assert "00000001.mp4.age" in outcome.err
    assert everything_below(tmp_path) == before


def test_blocks_that_a_power_cut_kept_from_being_written_end_a_segment_and_spoil_nothing_before(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path
) -> None:
    """ext4 counts what it set aside: zeros, for more than one chunk."""
    with segment(footage, 3).open("ab") as cut:
        cut.write(bytes(200_000))

    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", tmp_path / "out.mp4")

    assert outcome.status == 0
    assert "58 frames from 3 segments, 1 truncated" in outcome.err


def test_an_altered_chunk_opens_nothing_and_leaves_nothing(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path
) -> None:
    """The first segment is in the file by the time the second turns out to be altered."""
    flip(segment(footage, 2), at=-5_000)
    before = everything_below(tmp_path)

    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", tmp_path / "out.mp4")

    assert outcome.status != 0
    assert everything_below(tmp_path) == before


def test_a_foreign_file_in_a_segments_name_is_called_one(lamppost: Lamppost, footage: Path, key: Path) -> None:
    segment(footage, 2).write_bytes(b"\x89PNG not a segment at all" * 100)

    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", footage / "out.mp4")

    assert outcome.status == os.EX_DATAERR
    assert "00000002.mp4.age: this is not an age file" in outcome.err


def test_footage_of_two_cameras_is_not_mixed(lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path) -> None:
    file_segment(footage, [KEY.recipient], started_at=NOON, sequence=1, camera_id="pole-18", first_luma=180, frames=5)
    out = tmp_path / "out.mp4"

    unsaid = lamppost("footage", "open", footage, "--identity", key, "--out", out)
    said = lamppost("footage", "open", footage, "--identity", key, "--out", out, "--camera", "pole-18")

    assert (unsaid.status, said.status) == (os.EX_DATAERR, 0)
    assert "pole-17, pole-18" in unsaid.err
    assert near(lumas(out), [180, 182, 184, 186, 188])


def test_the_sealed_layer_is_opened_only_when_asked_for(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path
) -> None:
    file_segment(footage, [KEY.recipient], started_at=NOON, sequence=1, layer=Layer.SEALED, first_luma=180, frames=5)
    out = tmp_path / "out.mp4"

    lamppost("footage", "open", footage, "--identity", key, "--out", out, "--layer", "sealed")

    assert near(lumas(out), [180, 182, 184, 186, 188])


def test_pictures_of_two_sizes_do_not_fit_one_mp4(lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path) -> None:
    file_segment(footage, [KEY.recipient], started_at=NOON + 20 * SECOND, sequence=4, size=FrameSize(96, 64))
    before = everything_below(tmp_path)

    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", tmp_path / "out.mp4")

    assert outcome.status == os.EX_DATAERR
    assert "96x64" in outcome.err
    assert "--from 2026-03-01T12:00:20" in outcome.err
    assert everything_below(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--from", "noon"], os.EX_USAGE),
        (["--from", "2026-03-01T12:00:03", "--to", "2026-03-01T12:00:02"], os.EX_USAGE),
        (["--from", "2026-03-02"], os.EX_DATAERR),
        (["--from", "2026-03-01T12:00:05", "--to", "2026-03-01T12:00:06"], os.EX_DATAERR),
        (["--camera", "pole-99"], os.EX_DATAERR),
    ],
)
def test_a_span_that_holds_nothing_is_an_error_and_no_file(
    lamppost: Lamppost, footage: Path, key: Path, words: list[str], status: int
) -> None:
    out = footage / "out.mp4"

    outcome = lamppost("footage", "open", footage, "--identity", key, "--out", out, *words)

    assert outcome.status == status
    assert not out.exists()


def test_opening_a_segment_that_a_crash_ended_before_its_first_fragment_skips_it(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path
) -> None:
    whole = segment(footage, 3).read_bytes()
    for size in (0, 10, 100, 210, 2000):
        segment(footage, 3).write_bytes(whole[:size])

        outcome = lamppost("footage", "open", footage, "--identity", key, "--out", tmp_path / f"{size}.mp4", "--json")

        assert outcome.status == 0
        assert outcome.json["frames"] == 40


def test_a_full_disk_leaves_no_half_written_file(lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path) -> None:
    before = everything_below(tmp_path)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        outcome = lamppost("footage", "open", footage, "--identity", key, "--out", tmp_path / "out.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert outcome.status == os.EX_IOERR
    assert "cannot write" in outcome.err
    assert everything_below(tmp_path) == before


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
@pytest.mark.parametrize("words", [[], ["--keep-gaps"]])
def test_an_ordinary_player_reads_what_was_joined_without_a_complaint(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path, words: list[str]
) -> None:
    out = tmp_path / "out.mp4"
    lamppost("footage", "open", footage, "--identity", key, "--out", out, *words)

    told = subprocess.run(
        ["ffprobe", "-v", "warning", "-of", "csv=p=0", "-count_frames", "-show_entries", "stream=nb_read_frames", out],
        capture_output=True,
        check=True,
        text=True,
    )

    assert (told.stdout.strip(), told.stderr) == ("58", "")


# --- nothing clear anywhere else -------------------------------------------------


class Watcher:
    """Notes each file that this process opens for writing while it watches."""

    def __init__(self) -> None:
        self.watching = False
        self.written: set[str] = set()
        sys.addaudithook(self._note)  # cannot be taken out again, hence the flag

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watching and event == "open":
            path, _, flags = arguments
            # A number is a descriptor: a pipe, or a file noted when it got its name.
            if flags & (os.O_WRONLY | os.O_RDWR) and not isinstance(path, int):
                self.written.add(str(path))

    def __enter__(self) -> Self:
        self.watching = True
        return self

    def __exit__(self, *_: object) -> None:
        self.watching = False


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    watcher = Watcher()
    yield watcher
    watcher.watching = False


def test_open_writes_to_no_file_but_the_one_asked_for(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path, watcher: Watcher
) -> None:
    place = tmp_path / "evidence"
    place.mkdir()

    with watcher:
        lamppost("footage", "open", footage, "--identity", key, "--out", place / "out.mp4")

    (written,) = watcher.written
    assert Path(written).parent == place  # under a passing name, until it is whole
    assert [path.name for path in place.iterdir()] == ["out.mp4"]


# --- play ---------------------------------------------------------------------

PLAYER = """#!/bin/sh
cat > "$PLAYED"
"""


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A player whose screen is a file; the only one there is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "ffplay"
    script.write_text(PLAYER)
    script.chmod(0o755)
    monkeypatch.setenv("PLAYED", str(tmp_path / "screen"))
    monkeypatch.setenv("PATH", f"{folder}:/nowhere")
    (folder / "cat").symlink_to("/bin/cat")
    return tmp_path / "screen"


def test_play_pipes_a_playable_stream_and_writes_no_file(
    lamppost: Lamppost, footage: Path, key: Path, player: Path, watcher: Watcher
) -> None:
    with watcher:
        outcome = lamppost("footage", "play", footage, "--identity", key)

    assert outcome.status == 0
    assert near(lumas(player.read_bytes()), ALL_LUMAS)
    assert not watcher.written


def test_closing_the_players_window_is_no_error(
    lamppost: Lamppost, footage: Path, key: Path, player: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin" / "ffplay").write_text("#!/bin/sh\nexit 0\n")
    # More than a pipe holds, so that writing meets the closed end.
    for number in range(30):
        file_segment(footage, [KEY.recipient], started_at=NOON + (20 + number) * SECOND, sequence=4 + number, frames=10)

    outcome = lamppost("footage", "play", footage, "--identity", key)

    assert outcome.status == 0


def test_a_player_that_cannot_play_is_an_error(
    lamppost: Lamppost, footage: Path, key: Path, player: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin" / "ffplay").write_text("#!/bin/sh\ncat > /dev/null\nexit 1\n")

    outcome = lamppost("footage", "play", footage, "--identity", key)

    assert outcome.status == os.EX_UNAVAILABLE
    assert "ffplay could not play it" in outcome.err


def test_play_without_a_player_says_what_to_do(
    lamppost: Lamppost, footage: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    outcome = lamppost("footage", "play", footage, "--identity", key)

    assert outcome.status == os.EX_UNAVAILABLE
    assert "lamppost footage open" in outcome.err


def test_play_runs_no_program_but_a_known_player(lamppost: Lamppost, footage: Path, key: Path) -> None:
    assert lamppost("footage", "play", footage, "--identity", key, "--player", "rm").status == os.EX_USAGE


# --- verify -------------------------------------------------------------------


def flip(path: Path, *, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_verify_finds_good_footage_good(lamppost: Lamppost, footage: Path, key: Path) -> None:
    without, with_key = (
        lamppost("footage", "verify", footage),
        lamppost("footage", "verify", footage, "--identity", key),
    )

    assert (without.status, with_key.status) == (0, 0)
    assert without.out.splitlines()[-1] == "3 segments, not opened, 0 faults"
    assert with_key.out.splitlines()[-1] == "3 segments, 58 frames opened, 0 faults"
    assert "00000003.truncated.mp4.age ends where a crash or a power cut ended it" in with_key.out


def test_verify_changes_nothing(lamppost: Lamppost, footage: Path, key: Path, watcher: Watcher) -> None:
    before = everything_below(footage)

    with watcher:
        lamppost("footage", "verify", footage, "--identity", key)

    assert everything_below(footage) == before
    assert not watcher.written


@pytest.mark.parametrize("at", [30, -1, -5_000])
def test_verify_with_a_key_finds_a_single_flipped_bit(lamppost: Lamppost, footage: Path, key: Path, at: int) -> None:
    flip(segment(footage, 1), at=at)

    outcome = lamppost("footage", "verify", footage, "--identity", key)

    assert outcome.status in {os.EX_DATAERR, os.EX_IOERR, os.EX_NOPERM}
    assert "fault: " in outcome.out
    assert "00000001.mp4.age" in outcome.err


def test_verify_without_a_key_finds_a_malformed_header(lamppost: Lamppost, footage: Path) -> None:
    flip(segment(footage, 1), at=3)

    outcome = lamppost("footage", "verify", footage)

    assert outcome.status == os.EX_DATAERR
    assert "not an age file" in outcome.err


def test_verify_tells_each_kind_of_fault_by_its_exit_status(
    lamppost: Lamppost, footage: Path, key: Path, wrong_key: Path
) -> None:
    wrong = lamppost("footage", "verify", footage, "--identity", wrong_key)
    (footage / "2026/03/01/holiday.mp4").write_bytes(b"not ours")
    foreign = lamppost("footage", "verify", footage, "--identity", key)
    (footage / "2026/03/01/holiday.mp4").unlink()
    os.truncate(segment(footage, 1), segment(footage, 1).stat().st_size - 3)
    truncated = lamppost("footage", "verify", footage, "--identity", key)

    assert (wrong.status, foreign.status, truncated.status) == (os.EX_NOPERM, os.EX_NOINPUT, os.EX_IOERR)
    assert "identities" in wrong.err
    assert "is no segment" in foreign.err
    assert "cut short" in truncated.err


def test_verify_with_a_key_finds_a_cut_between_two_chunks(lamppost: Lamppost, footage: Path, key: Path) -> None:
    os.truncate(segment(footage, 1), payload_at(segment(footage, 1)) + 16 + 65_552)  # the nonce and one whole chunk

    without, with_key = (
        lamppost("footage", "verify", footage),
        lamppost("footage", "verify", footage, "--identity", key),
    )

    assert without.status == 0  # nothing outside the chunks tells how many there should be
    assert with_key.status == os.EX_IOERR


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [("pole-17", "pole-18", "camera"), ("T120000", "T130000", "start"), (".mp4.age", ".sealed.mp4.age", "layer")],
)
def test_verify_with_a_key_finds_a_renamed_segment(
    lamppost: Lamppost, footage: Path, key: Path, old: str, new: str, what: str
) -> None:
    path = segment(footage, 1)
    path.rename(path.with_name(path.name.replace(old, new)))

    outcome = lamppost("footage", "verify", footage, "--identity", key, "--json")

    assert outcome.status == os.EX_DATAERR
    (fault,) = outcome.json["faults"]
    assert f"says inside that its {what} is" in fault["message"]


def test_verify_finds_a_segment_in_another_days_folder_and_one_number_twice(lamppost: Lamppost, footage: Path) -> None:
    path = segment(footage, 1)
    (footage / "2026/03/02").mkdir()
    shutil.copy(path, footage / "2026/03/02")

    outcome = lamppost("footage", "verify", footage, "--json")

    messages = [fault["message"] for fault in outcome.json["faults"]]
    assert any("in the folder of another day" in message for message in messages)
    assert any("has the number of" in message for message in messages)


def test_verify_finds_recipients_of_two_types_in_one_header(lamppost: Lamppost, footage: Path) -> None:
    """The weaker one would decide; no camera of ours makes such a file."""
    content = segment(footage, 1).read_bytes()
    stanza = PostQuantumIdentity.generate().recipient.wrap(bytes(16))
    mixed = make_header([*parse_header(SealedBytes([content])).stanzas, stanza], bytes(16))
    segment(footage, 1).write_bytes(bytes(mixed) + content[payload_at(segment(footage, 1)) :])

    outcome = lamppost("footage", "verify", footage)

    assert outcome.status == os.EX_DATAERR
    assert "mixed recipients" in outcome.err


def test_verify_with_a_key_finds_a_finished_segment_that_ends_within_a_fragment(
    lamppost: Lamppost, tmp_path: Path, key: Path
) -> None:
    name = SegmentName(camera_id="pole-17", layer=Layer.MASKED, started_at=NOON, sequence=1)
    *whole, last = encode_segment(name, frames=20)
    path = tmp_path / "card" / name.path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(seal_segment([*whole, replace(last, clear=last.clear[:-1])], [KEY.recipient])))

    outcome = lamppost("footage", "verify", tmp_path / "card", "--identity", key)

    assert outcome.status == os.EX_DATAERR
    assert "ends within a fragment" in outcome.err


def test_verify_checks_a_sealed_layer_as_far_as_it_goes_for_who_opens_the_rest(
    lamppost: Lamppost, footage: Path, key: Path, tmp_path: Path
) -> None:
    sealed = file_segment(footage, [STRANGER.recipient], started_at=NOON, sequence=4, layer=Layer.SEALED)

    beside_the_rest = lamppost("footage", "verify", footage, "--identity", key)
    alone = lamppost("footage", "verify", sealed, "--identity", key)

    assert (beside_the_rest.status, alone.status) == (0, os.EX_NOPERM)
    assert "remark: not opened, for it is sealed to others" in beside_the_rest.out


def test_verify_counts_a_segment_that_never_began_as_no_fault(lamppost: Lamppost, footage: Path, key: Path) -> None:
    os.truncate(segment(footage, 3), 50)

    assert lamppost("footage", "verify", footage, "--identity", key).status == 0
    assert lamppost("footage", "verify", footage).status == 0


def test_verify_remarks_on_missing_segments_and_a_clock_put_back(lamppost: Lamppost, footage: Path, key: Path) -> None:
    segment(footage, 2).unlink()
    file_segment(footage, [KEY.recipient], started_at=NOON - SECOND, sequence=4, frames=5)

    outcome = lamppost("footage", "verify", footage, "--identity", key)

    assert outcome.status == 0
    assert "1 segments are not here between" in outcome.out
    assert "the camera's clock was put back before" in outcome.out
