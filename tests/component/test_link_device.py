"""The board says what it can measure; a credential changes over whole or not at all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from agent.adapters.board import Board
from agent.adapters.credential import DeviceCredential
from agent.core.messages.presence import BoardStatus
from agent.errors import CredentialError
from tests.fakes.pki import FakeAuthority

CAMERA = "pole-7"


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


def test_a_board_that_measures_nothing_says_nothing(tmp_path: Path) -> None:
    board = Board(tmp_path / "absent", root=tmp_path)

    assert board.status() == BoardStatus()
    assert board.route() is None
    assert board.memory_bytes() is None


def test_a_raspberry_pi_tells_heat_power_wear_and_network(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "proc/uptime": "4139.22 8000.01\n",
            "proc/meminfo": "MemTotal: 900000 kB\nMemAvailable:     512 kB\n",
            "proc/loadavg": "0.00 0.00 0.00 1/100 99\n",
            "proc/self/statm": "100 50 3 0 0 0 0\n",
            "proc/net/route": "Iface Destination\neth0 0000A8C0 x\nwlan0 00000000 0100A8C0\n",
            "proc/net/wireless": "a\nb\n wlan0: 0000   54.  -56.  -256 0\n",
            "sys/class/thermal/thermal_zone0/temp": "61830\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
            "sys/block/mmcblk0/device/life_time": "0x02 0x03\n",
        },
    )

    board = Board(tmp_path, root=tmp_path)
    status, route = board.status(), board.route()

    assert status.temperature_celsius == 61.83
    assert (status.under_voltage, status.throttled) == (True, True)
    assert (status.under_voltage_since_boot, status.throttled_since_boot) == (True, True)
    assert (status.uptime_s, status.memory_available_bytes) == (4139, 512 * 1024)
    assert status.disk_life_used_ratio == 0.3
    assert status.disk_read_only is False
    assert route is not None
    assert (route.interface, route.signal_dbm) == ("wlan0", -56)


@pytest.fixture
def authority(tmp_path: Path) -> FakeAuthority:
    made = FakeAuthority()
    (tmp_path / "authority.pem").write_bytes(made.pem)
    made.credential(tmp_path / "credential.pem", CAMERA, ends=timedelta(days=3))
    return made


def credential(tmp_path: Path) -> DeviceCredential:
    return DeviceCredential(tmp_path / "credential.pem", tmp_path / "authority.pem", CAMERA)


def issued(authority: FakeAuthority, request: str, **more: timedelta) -> str:
    asked = x509.load_pem_x509_csr(request.encode())
    key = asked.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return authority.issue(CAMERA, key, **more).public_bytes(Encoding.PEM).decode()


def test_a_renewal_asks_with_a_new_key_and_changes_both_at_once(tmp_path: Path, authority: FakeAuthority) -> None:
    device, before = credential(tmp_path), (tmp_path / "credential.pem").read_bytes()
    request = device.request()
    assert (tmp_path / "credential.pem").read_bytes() == before
    assert x509.load_pem_x509_csr(request.encode()).is_signature_valid

    expires_at = device.install(issued(authority, request), now=datetime.now(UTC))

    assert device.expires_at() == expires_at
    assert (tmp_path / "credential.pem").read_bytes() != before
    assert (tmp_path / "credential.pem").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "credential.pem.pending").exists()


@pytest.mark.parametrize(
    "what", ["another key", "another camera", "another authority", "expired", "rubbish", "nothing asked"]
)
def test_a_certificate_that_is_not_the_one_asked_for_changes_nothing(
    tmp_path: Path, authority: FakeAuthority, what: str
) -> None:
    device, before = credential(tmp_path), (tmp_path / "credential.pem").read_bytes()
    request = device.request()
    key = x509.load_pem_x509_csr(request.encode()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    match what:
        case "another key":
            chain = issued(authority, credential(tmp_path / ".").request())
            device.request()
        case "another camera":
            chain = authority.issue("pole-8", key).public_bytes(Encoding.PEM).decode()
        case "another authority":
            chain = issued(FakeAuthority(), request)
        case "expired":
            chain = issued(authority, request, begins=timedelta(days=-9), ends=timedelta(days=-8))
        case "rubbish":
            chain = "-----BEGIN CERTIFICATE-----\n"
        case _:
            chain = issued(authority, request)
            (tmp_path / "credential.pem.pending").unlink()

    with pytest.raises(CredentialError):
        device.install(chain, now=datetime.now(UTC))

    assert (tmp_path / "credential.pem").read_bytes() == before


def test_a_missing_credential_has_no_end(tmp_path: Path) -> None:
    assert credential(tmp_path).expires_at() is None
