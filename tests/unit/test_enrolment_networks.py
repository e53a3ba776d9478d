"""A wireless network is written as NetworkManager reads it, whatever its name and passphrase hold."""

import pytest

from agent.core.enrolment.claim import Wifi
from agent.core.enrolment.networks import keyfile
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
