"""A wireless network is written as NetworkManager reads it, whatever its name and passphrase hold."""

import pytest

from agent.core.enrolment.claim import Wifi
from agent.core.enrolment.networks import keyfile, read_keyfile
from agent.errors import ClaimFormatError


def test_a_name_is_bytes_and_a_passphrase_is_escaped() -> None:
    written = keyfile(Wifi(ssid="Ö;x", secret=" back\\slash "))

    assert "ssid=195;150;59;120;\n" in written
    assert "psk=\\sback\\\\slash \n" in written


def test_a_passphrase_is_written_as_it_is_where_nothing_needs_escaping() -> None:
    assert "psk=correct horse\n" in keyfile(Wifi(ssid="City", secret="correct horse"))


def test_a_network_without_its_passphrase_is_not_written() -> None:
    with pytest.raises(ClaimFormatError) as refused:
        keyfile(Wifi(ssid="City"))

    assert "City" in str(refused.value)


@pytest.mark.parametrize("secret", ["correct horse", " back\\slash ", "\\s\\\\s\\s\\s", "=;[wifi]#x"])
@pytest.mark.parametrize("ssid", ["City", "Ö;x", "\\s;"])
def test_what_is_written_reads_back(ssid: str, secret: str) -> None:
    wifi = Wifi(ssid=ssid, secret=secret)

    assert read_keyfile(keyfile(wifi)) == wifi


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("[ipv6]", "[vpn]\nservice-type=org.example\n[ipv6]"),
        ("type=wifi", "type=vpn"),
        ("key-mgmt=wpa-psk", "key-mgmt=wpa-eap\nphase2-ca-cert=/etc/shadow"),
        ("ssid=67;", "ssid=300;"),
        ("ssid=67;", "ssid=255;"),
        ("psk=", "psk=\x00"),
        ("\n", "\r\n"),
        ("psk=correct horse\n", ""),
    ],
)
def test_what_somebody_else_wrote_is_no_network(written: str, instead: str) -> None:
    keyed = keyfile(Wifi(ssid="City", secret="correct horse"))
    assert written in keyed

    with pytest.raises(ClaimFormatError):
        read_keyfile(keyed.replace(written, instead))
