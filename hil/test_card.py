"""A card that fills, turns read-only and comes back: recording stops with a reason, and returns by itself."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.logged_card import LoggedCard
from hil.strategy import CameraStrategy

FOOTAGE = "/var/lib/lamppost/footage"
OPTIONS = "noatime,errors=remount-ro"  # as firmware-config/etc/fstab has them
SIZE_BYTES = 96 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Card:
    """A small disk: where the camera has it, and what this machine calls it."""

    folder: str
    device: str

    def break_down(self) -> None:
        """Let ext4 find an error, as on a card that fails: with errors=remount-ro it is read-only from then on."""
        Path(f"/sys/fs/ext4/{self.device}/trigger_fs_error").write_text("the bench says so")

    def mend(self) -> None:
        """Do what a boot does."""
        done = subprocess.run(["fsck.ext4", "-p", f"/dev/{self.device}"], capture_output=True, check=False)
        assert done.returncode < 4, done.stdout  # 1: errors corrected


@pytest.fixture(scope="module")
def card(camera: CameraStrategy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    """Yield a card with the camera recording to it."""
    if not hasattr(camera.power, "fresh"):
        pytest.skip("this tier's card is a real one: fill it by hand")
    camera.transition("enrolled")
    image = tmp_path_factory.mktemp("card") / "card.img"
    with image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True)
    device = subprocess.run(
        ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        put_in(camera, Path(device))
        camera.transition("recording")
        yield Card(FOOTAGE, Path(device).name)
        camera.transition("off")
    finally:
        subprocess.run(["losetup", "--detach", device], check=False)


def test_it_records_to_the_card(camera: CameraStrategy, card: Card) -> None:
    assert camera.shell.run_check(f"findmnt --noheadings --output SOURCE {card.folder}") == ["/dev/card"]
    status = camera.wait_for("a segment on the card", lambda status: status.storage.segments > 0)
    assert status.storage.capacity_bytes < SIZE_BYTES


def test_a_full_card_stops_recording_with_a_reason_and_it_returns(camera: CameraStrategy, card: Card) -> None:
    # As root, so that not even what ext4 keeps for root is left.
    camera.shell.run(f"dd if=/dev/zero of={card.folder}/full bs=1M 2>/dev/null; sync")

    told = camera.wait_for(
        "a full card in the status",
        lambda status: status.state.value == "failed" and "bytes free" in status.decision.reason,
    )
    assert told.decision.reason.startswith("permitted, but not possible")
    assert camera.shell.run_check("systemctl is-active lamppost-recorder") == ["active"]  # it waits, it does not die

    camera.shell.run_check(f"rm {card.folder}/full")
    camera.wait_for(
        "recording again", lambda status: status.state.value == "recording" and status.storage.state.value == "ok"
    )


def test_a_card_that_turns_read_only_is_told_and_recording_returns(camera: CameraStrategy, card: Card) -> None:
    card.break_down()

    told = camera.wait_for("a failed card in the status", lambda status: status.state.value == "failed")
    assert "read-only" in told.decision.reason

    camera.shell.run_check(f"systemctl stop lamppost-recorder && umount {card.folder}")
    card.mend()
    camera.shell.run_check(f"mount -o {OPTIONS} /dev/card {card.folder} && systemctl start lamppost-recorder")
    camera.wait_for("recording again", lambda status: status.state.value == "recording")


def test_a_card_that_is_pulled_is_told_and_another_one_takes_its_place(camera: CameraStrategy) -> None:
    camera.transition("off")
    camera.power.fresh()
    camera.transition("enrolled")
    with contextlib.ExitStack() as pulled, contextlib.ExitStack() as swapped:
        card = pulled.enter_context(LoggedCard(pulled.enter_context(in_memory()), size_bytes=SIZE_BYTES))
        other = swapped.enter_context(LoggedCard(swapped.enter_context(in_memory()), size_bytes=SIZE_BYTES))
        swapped.callback(camera.transition, "off")
        put_in(camera, Path(card.device))
        camera.transition("recording")
        camera.wait_for("a segment on the card", lambda status: status.storage.segments > 0)

        card.pull()

        told = camera.wait_for("a missing card in the status", lambda status: status.state.value == "failed")
        print(f"\n{told.decision.reason}")
        assert camera.shell.run_check("systemctl is-active lamppost-recorder") == [
            "active"
        ]  # it waits, it does not die
        policy = told.decision.policy_digest

        camera.shell.run_check(f"systemctl stop lamppost-recorder; umount --lazy {FOOTAGE}")
        put_in(camera, Path(other.device))
        now = camera.wait_for("recording to another card", lambda status: status.storage.segments > 0)
        assert now.decision.policy_digest == policy  # policy and log are not on the card that was pulled
        assert now.storage.segments < told.storage.segments + 2


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """Lend a folder in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        yield Path(place)


def put_in(camera: CameraStrategy, device: Path) -> None:
    """Put a card in, and start the recorder on it."""
    camera.power.add_device("card", device)
    camera.shell.run_check(
        f"systemctl stop lamppost-recorder && mount -o {OPTIONS} /dev/card {FOOTAGE}"
        f" && chown lamppost-recorder:lamppost {FOOTAGE} && chmod 750 {FOOTAGE}"
        " && systemctl start lamppost-recorder"
    )
