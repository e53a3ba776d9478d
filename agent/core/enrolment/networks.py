"""A wireless network as NetworkManager takes it: one keyfile (nm-settings-keyfile(5)).

Pure: a network in, the file's text out, and back.
"""

import re

from agent.core.enrolment.claim import Wifi
from agent.errors import ClaimFormatError

KEYFILE_NAME = "lamppost.nmconnection"
MAX_KEYFILE_BYTES = 1024
_SSID = re.compile(r"^ssid=((?:\d{1,3};)+)$", re.ASCII | re.MULTILINE)
_PSK = re.compile(r"^psk=(.+)$", re.MULTILINE)


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


def read_keyfile(text: str) -> Wifi:
    """Return the network that `text` is the keyfile of.

    A keyfile can name programs and files that root opens; this one comes from a process with a
    network. So nothing is believed but what is written again in the same words.

    Raises:
        ClaimFormatError: It is not, to the letter, what `keyfile` writes.
    """
    ssid, psk = _SSID.search(text), _PSK.search(text)
    if ssid is not None and psk is not None:
        try:
            name = bytes(int(number) for number in ssid[1].split(";")[:-1]).decode()
        except ValueError as error:
            raise ClaimFormatError("the network's name is not text") from error
        wifi = Wifi(ssid=name, secret=_read_back(psk[1]))
        if keyfile(wifi) == text:
            return wifi
    raise ClaimFormatError("this is no keyfile that enrolment writes")


def _escaped(text: str) -> str:
    r"""Return `text` as GLib reads it back: a backslash is `\\`, a space at the front `\s`."""
    text = text.replace("\\", "\\\\")
    return f"\\s{text[1:]}" if text.startswith(" ") else text


def _read_back(text: str) -> str:
    text = f" {text[2:]}" if text.startswith("\\s") else text
    return text.replace("\\\\", "\\")
