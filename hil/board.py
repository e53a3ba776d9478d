"""What a board on a desk has beside power and console: a screen before its lens, an eye on its LED, a card to carry.

Thin, written by the manuals of what they drive, and not yet run with a board.
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory

from provisioning.clock import precise_now, wait

LABEL = Path("/dev/disk/by-label/lamppost-data")
PATIENCE = timedelta(minutes=5)  # for a person with tweezers
_LOOK_EVERY = timedelta(milliseconds=20)


@target_factory.reg_driver
@attr.s(eq=False)
class ScreenDriver(Driver):
    """A screen of this machine that the lens sees and nothing else.

    Args:
        display: Which one, as X11 names it.
    """

    display = attr.ib(default=":0", validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._player: subprocess.Popen[bytes] | None = None
        self._place: tempfile.TemporaryDirectory[str]

    @Driver.check_active
    def show(self, clip: bytes) -> None:
        """Play a clip again and again, as large as the screen, until the driver is let go."""
        self._place = tempfile.TemporaryDirectory()
        path = Path(self._place.name) / "clip.mp4"
        path.write_bytes(clip)
        self._player = subprocess.Popen(
            ["ffplay", "-loglevel", "error", "-an", "-fs", "-loop", "0", str(path)],
            env={**os.environ, "DISPLAY": self.display},
            stdin=subprocess.DEVNULL,
        )

    def on_deactivate(self) -> None:
        """Show nothing any more."""
        if self._player is None:
            return
        self._player.kill()
        self._player.wait(10)
        self._player = None
        self._place.cleanup()


@target_factory.reg_driver
@attr.s(eq=False)
class PhotodiodeDriver(Driver):
    """A photodiode on the LED, behind an ADS1115 that the kernel reads (ti-ads1015).

    Args:
        channel: Its file, such as /sys/bus/iio/devices/iio:device0/in_voltage0_raw.
        lit_from: What it says at least while the LED is lit; half of what it says under a lamp that is steady.
    """

    channel = attr.ib(validator=attr.validators.instance_of(str))
    lit_from = attr.ib(validator=attr.validators.instance_of(int))

    @Driver.check_active
    def seen(self, span: timedelta) -> tuple[float, int]:
        """Look for so long; return for which part of it the LED was lit, and how often it went on."""
        looks = []
        until = precise_now() + span
        while precise_now() < until:
            looks.append(int(Path(self.channel).read_text()) >= self.lit_from)
            wait(_LOOK_EVERY)
        return sum(looks) / len(looks), sum(now > before for before, now in pairwise(looks))


@target_factory.reg_driver
@attr.s(eq=False)
class CardReaderDriver(Driver):
    """This machine's own card reader, and a person who carries the card; with an SDWire in between, nobody has to."""

    @Driver.check_active
    @contextlib.contextmanager
    def files(self) -> Iterator[Path]:
        """Lend what is on the card of a camera without power, below a path as on the camera."""
        self.target.interact("put the card into this machine's reader and press enter")
        until = precise_now() + PATIENCE
        while not LABEL.exists():
            if precise_now() > until:
                raise TimeoutError(f"no card with {LABEL.name} in the reader")
            wait(timedelta(seconds=1))
        with tempfile.TemporaryDirectory() as place:
            card = Path(place) / "var/lib/lamppost"
            card.mkdir(parents=True)
            # Not read-only: ext4 replays its journal, as the next start would.
            subprocess.run(["mount", "-o", "noatime,noexec", str(LABEL), str(card)], check=True)
            try:
                yield Path(place)
            finally:
                subprocess.run(["umount", str(card)], check=True)
        self.target.interact("put the card back into the board and press enter")
