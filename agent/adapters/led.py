"""The board's LED, through the kernel's LED class (Documentation/leds/leds-class.rst)."""

import logging
from pathlib import Path

_log = logging.getLogger(__name__)

LEDS = Path("/sys/class/leds")


class SysfsLamp:
    """Implements `ports.Lamp` with one LED.

    Args:
        name: Of its folder, such as ACT.
        leds: Where LEDs are; another folder in tests.
    """

    def __init__(self, name: str, leds: Path = LEDS) -> None:
        self._brightness = leds / name / "brightness"
        self._works = True
        # Whatever made it flicker (card access, a heartbeat) lets go of it.
        self._write(leds / name / "trigger", "none")

    def light(self, *, lit: bool) -> None:
        """Light it, or not."""
        self._write(self._brightness, "1" if lit else "0")

    def _write(self, path: Path, word: str) -> None:
        if not self._works:
            return
        try:
            path.write_text(word, encoding="ascii")
        except OSError as error:  # said once: a camera whose LED cannot be lit enrols all the same
            self._works = False
            _log.warning("the LED cannot be used: %s: %s", path, error.strerror)


class NoLamp:
    """Implements `ports.Lamp` where there is none."""

    def light(self, *, lit: bool) -> None:
        """Do nothing."""
