"""A wireless network as NetworkManager takes it: one keyfile (nm-settings-keyfile(5)).

Pure: a network in, the file's text out.
"""

from agent.core.enrolment.claim import Wifi
from agent.errors import ClaimFormatError

KEYFILE_NAME = "lamppost.nmconnection"


def keyfile(wifi: Wifi) -> str:
    """Return the keyfile for `wifi`; its mode must be 0600, or NetworkManager ignores it.

    Raises:
        ClaimFormatError: The passphrase is not there.
    """
    if wifi.secret is None:
        raise ClaimFormatError(f"the passphrase of {wifi.ssid} is missing", hint="card or cable bring it")
    return (
        "[connection]\n"
        "id=lamppost\n"
        "type=wifi\n"
        "autoconnect-priority=10\n"
        "\n"
        "[wifi]\n"
        "mode=infrastructure\n"
        # As bytes: a name may hold a semicolon, a backslash or a space at its end.
        f"ssid={''.join(f'{byte};' for byte in wifi.ssid.encode())}\n"
        "\n"
        "[wifi-security]\n"
        # sae-first with a fallback: NetworkManager offers WPA3 by itself where `wpa-psk` allows it.
        "key-mgmt=wpa-psk\n"
        f"psk={_escaped(wifi.secret)}\n"
        "\n"
        "[ipv4]\n"
        "method=auto\n"
        "\n"
        "[ipv6]\n"
        "method=auto\n"
    )


def _escaped(text: str) -> str:
    r"""Return `text` as GLib reads it back: a backslash is `\\`, a space at the front `\s`."""
    text = text.replace("\\", "\\\\")
    return f"\\s{text[1:]}" if text.startswith(" ") else text
