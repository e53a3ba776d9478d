"""Ask systemd to reboot the machine."""

import subprocess

from agent.errors import LinkError

_PATIENCE_S = 20


def reboot() -> None:
    """Begin a reboot. The unit's user needs the right to (polkit: org.freedesktop.login1.reboot).

    Raises:
        LinkError: systemd does not do it.
    """
    try:
        asked = subprocess.run(
            ["/usr/bin/systemctl", "reboot", "--no-ask-password"],
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LinkError(f"cannot ask systemd to reboot: {type(error).__name__}") from error
    if asked.returncode:
        raise LinkError(f"systemd does not reboot: {asked.stderr.decode(errors='replace').strip()[:200]}")
