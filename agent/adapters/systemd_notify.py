"""Tell systemd how the service is: ready, alive, what it is doing.

sd_notify(3) is one datagram to the socket that `NOTIFY_SOCKET` names. systemd-python
would send the same one, but it has no wheels: a desk or a test without Debian's
package would then run other code than the camera does.
"""

import os
import socket
from collections.abc import Mapping
from datetime import timedelta


class SystemdNotify:
    """Sends the service's state, or nothing when systemd did not start it.

    Nothing here raises: a camera must not stop because nobody listens, and a
    watchdog that hears nothing acts by itself.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # sd_notify(3): an absolute path, or "@" for a name in the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_us = _watchdog_us(environment)

    @property
    def watchdog_interval(self) -> timedelta | None:
        """How often `alive` is due: half of what systemd waits for (sd_watchdog_enabled(3)); None without one."""
        return timedelta(microseconds=self._watchdog_us // 2) if self._watchdog_us else None

    def ready(self) -> None:
        """Say that the start is complete."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Say that the service is on its way out."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Keep the watchdog quiet for another interval."""
        self._send("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """Show `sentence` in `systemctl status`."""
        self._send(f"STATUS={' '.join(sentence.split())}")  # a line feed would start another field

    def _send(self, field: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                # A full queue must not hold up a frame.
                sender.sendto(field.encode(), socket.MSG_DONTWAIT, self._address)
        except OSError:
            return  # see the class: systemd's own watchdog is the answer to silence


def _watchdog_us(environment: Mapping[str, str]) -> int:
    """Return WATCHDOG_USEC if it is meant for this process, else 0."""
    meant_for = environment.get("WATCHDOG_PID", "")
    if meant_for and meant_for != str(os.getpid()):
        return 0
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) if text.isdecimal() else 0
