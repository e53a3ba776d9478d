"""What is on a pulled card is copied, read back, and held against the camera's own log; the card is only read."""

from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.adapters.tile_log import TileLog
from agent.errors import UsageError
from provisioning import __main__ as lamppost
from provisioning.commands.log import own_word
from provisioning.enrolment.recovery import Fate, recover
from tests.fakes.cabled import all_bytes
from tests.fakes.exhibits import CAMERA, NOON, SECOND, MemoryKeyring, Pole


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card with a log and the footage that it tells of."""
    place = tmp_path / "card"
    place.mkdir()
    pole = Pole(place)
    pole.append("started", NOON + 20 * SECOND, log_key=str(pole.log_key))
    return place


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(lamppost._application("recover"), ["recover", *map(str, words)])


def test_everything_is_copied_and_the_log_vouches_for_it(card: Path, tmp_path: Path) -> None:
    before = all_bytes(card)

    done = run(card, "--out", tmp_path / "out")

    assert done.exit_code == 0, done.output
    assert "fit each other" in done.output
    assert "vouches" not in done.output  # whose log it is, only the log says
    segments = {path.name: path.read_bytes() for path in card.rglob("*.mp4.age")}
    assert segments
    assert {path.name: path.read_bytes() for path in (tmp_path / "out" / "footage").rglob("*.age")} == segments
    assert all_bytes(card) == before


def test_with_the_logs_own_key_it_is_verified_that_it_is_this_cameras(card: Path, tmp_path: Path) -> None:
    key = own_word(card / "log")

    with_it = run(card, "--out", tmp_path / "out", "--key", str(key)).output
    without = run(card, "--out", tmp_path / "out").output

    assert "verified: the camera's log vouches for all of it" in with_it
    assert "not verified" not in with_it
    assert "not verified" in without


def test_a_second_run_copies_only_what_is_missing(card: Path, tmp_path: Path) -> None:
    run(card, "--out", tmp_path / "out")
    gone = next((tmp_path / "out" / "footage").rglob("*.age"))
    gone.unlink()

    done = run(card, "--out", tmp_path / "out", "--json")

    assert '"copied": 1' in done.stdout
    assert gone.exists()


def test_to_look_is_to_copy_nothing(card: Path, tmp_path: Path) -> None:
    done = run(card, "--out", tmp_path / "out", "--dry-run")

    assert done.exit_code == 0
    assert "segments" in done.output
    assert not (tmp_path / "out").exists()


def test_footage_that_was_changed_on_the_card_is_not_vouched_for(card: Path, tmp_path: Path) -> None:
    segment = next(card.rglob("*.mp4.age"))
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)

    done = run(card, "--out", tmp_path / "out")

    assert done.exit_code == 65
    assert segment.name in done.output


@pytest.mark.parametrize(
    ("camera_id", "seed"), [("cam-2", b"2"), (CAMERA, b"another board's")], ids=["another camera", "another board"]
)
def test_a_second_card_is_not_copied_on_top_of_a_first(card: Path, tmp_path: Path, camera_id: str, seed: bytes) -> None:
    run(card, "--out", tmp_path / "out")
    before = all_bytes(tmp_path / "out")
    (tmp_path / "other").mkdir()
    with TileLog(tmp_path / "other" / "log", camera_id, MemoryKeyring(sha256(seed).digest())) as log:
        log.append("boot", NOON, version="0.1.0")

    done = run(tmp_path / "other", "--out", tmp_path / "out")

    assert isinstance(done.exception, UsageError)
    assert f"holds {CAMERA}" in str(done.exception) or f"holds lamppost/{CAMERA}/" in str(done.exception)
    assert all_bytes(tmp_path / "out") == before


def test_what_is_wrong_with_many_files_is_one_line(card: Path, tmp_path: Path) -> None:
    segments = sorted(card.rglob("*.mp4.age"))
    for path in segments:
        path.rename(path.with_name(path.name.replace(CAMERA, "cam-2")))

    done = run(card, "--out", tmp_path / "out")

    assert done.exit_code == 65
    assert " ".join(done.output.split()).count("the log does not tell of it") == 1
    assert f"{len(segments)} files: the log does not tell of it" in " ".join(done.output.split())


def test_a_file_that_was_copied_before_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"sealed")

    first, second = (recover(tmp_path / "a", tmp_path / "out" / "a").fate for _ in range(2))

    assert (first, second) == (Fate.COPIED, Fate.THERE)
