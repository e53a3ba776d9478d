"""The fleet's authority certifies cameras by name, for 30 days, and can take it back."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from agent.errors import KeyFormatError, LamppostError, SignatureError, UsageError
from provisioning.backend.ca import (
    BACKEND_NAME,
    DEVICE_LIFE,
    FleetAuthority,
    common_name,
    found_authority,
    make_private_key,
    make_request,
    renew_issuer,
    renewal_due,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PASSPHRASE = "four words nobody joins"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and its root, to be copied: scrypt takes its time."""
    place = tmp_path_factory.mktemp("founded")
    found_authority(place / "authority", place / "root", city="Example City", passphrase=PASSPHRASE, now=NOW)
    return place


@pytest.fixture
def authority(founded: Path, tmp_path: Path) -> FleetAuthority:
    shutil.copytree(founded, tmp_path, dirs_exist_ok=True)
    return FleetAuthority(tmp_path / "authority")


def enrol(authority: FleetAuthority, name: str, *, now: datetime = NOW) -> x509.Certificate:
    key, _ = make_private_key()
    return x509.load_pem_x509_certificate(authority.issue_device(name, make_request(name, key), now=now).chain)


def listed(authority: FleetAuthority) -> set[int]:
    crl = x509.load_pem_x509_crl(authority.crl_file.read_bytes())
    return {entry.serial_number for entry in crl}


def test_a_device_certificate_carries_the_cameras_name_for_thirty_days(authority: FleetAuthority) -> None:
    key, _ = make_private_key()

    issued = authority.issue_device("cam-07", make_request("cam-07", key), now=NOW)

    device, issuer = x509.load_pem_x509_certificates(issued.chain)
    assert common_name(device) == "cam-07"
    assert device.not_valid_after_utc == NOW + DEVICE_LIFE == issued.expires_at
    usage = device.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    device.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.root_file.read_bytes()))


def test_the_brokers_certificate_satisfies_a_strict_verifier(authority: FleetAuthority) -> None:
    key, _ = make_private_key()
    root = x509.load_pem_x509_certificate(authority.root_file.read_bytes())

    issued = authority.issue_server(["broker.example", "192.0.2.7"], key.public_key(), now=NOW)

    server, issuer = x509.load_pem_x509_certificates(issued.chain)
    verifier = PolicyBuilder().store(Store([root])).time(NOW).build_server_verifier(x509.DNSName("broker.example"))
    assert verifier.verify(server, [issuer])[-1] == root


def test_the_roots_key_opens_with_its_passphrase_only(authority: FleetAuthority, tmp_path: Path) -> None:
    sealed = (tmp_path / "root" / "root.key").read_bytes()

    assert sealed.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert load_pem_private_key(sealed, PASSPHRASE.encode())
    with pytest.raises(ValueError, match="password"):
        load_pem_private_key(sealed, b"another passphrase")
    assert not list((tmp_path / "authority").rglob("root.key"))
    assert (tmp_path / "authority" / "issuing.key").stat().st_mode & 0o777 == 0o600


def requests() -> dict[str, tuple[str, bytes, type[LamppostError]]]:
    key, _ = make_private_key()
    good = make_request("cam-07", key)
    other_curve = make_request("cam-07", generate_private_key(SECP384R1()))
    broken = bytearray(x509.load_pem_x509_csr(good).public_bytes(Encoding.DER))
    broken[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(broken)).public_bytes(Encoding.PEM)
    return {
        "another camera's": ("cam-08", good, SignatureError),
        "the backend's name": (BACKEND_NAME, make_request(BACKEND_NAME, key), UsageError),
        "a wildcard": ("+", make_request("+", key), UsageError),
        "a path": ("../x", make_request("../x", key), UsageError),
        "another curve": ("cam-07", other_curve, KeyFormatError),
        "not signed by its key": ("cam-07", forged, SignatureError),
        "no request": ("cam-07", b"-----BEGIN NOTHING-----", KeyFormatError),
        "endless": ("cam-07", good * 100, KeyFormatError),
    }


@pytest.mark.parametrize("case", requests())
def test_a_request_that_is_not_this_cameras_own_is_refused(authority: FleetAuthority, case: str) -> None:
    name, request, error = requests()[case]

    with pytest.raises(error):
        authority.issue_device(name, request, now=NOW)

    assert authority.names() == ()


def test_revoking_a_camera_lists_all_its_live_certificates_and_bars_it(authority: FleetAuthority) -> None:
    old, new, other = enrol(authority, "cam-07"), enrol(authority, "cam-07", now=NOW + DAY), enrol(authority, "cam-08")

    count = authority.revoke("cam-07", now=NOW + DAY)

    assert count == 2
    assert listed(authority) == {old.serial_number, new.serial_number}
    assert authority.barred() == ("cam-07",)
    assert other.serial_number not in listed(authority)


def test_revoking_twice_changes_nothing(authority: FleetAuthority) -> None:
    enrol(authority, "cam-07")
    authority.revoke("cam-07", now=NOW)
    before = authority.crl_file.read_bytes()

    assert authority.revoke("cam-07", now=NOW) == 0

    assert authority.crl_file.read_bytes() == before


def test_a_camera_that_is_enrolled_again_is_barred_no_longer(authority: FleetAuthority) -> None:
    enrol(authority, "cam-07")
    authority.revoke("cam-07", now=NOW)

    enrol(authority, "cam-07")

    assert authority.barred() == ()


def test_revoking_who_was_never_enrolled_is_an_error(authority: FleetAuthority) -> None:
    before = authority.crl_file.read_bytes()

    with pytest.raises(UsageError, match="no certificate"):
        authority.revoke("cam-07", now=NOW)

    assert authority.crl_file.read_bytes() == before


def test_each_list_is_later_than_the_one_before_also_within_a_second(authority: FleetAuthority) -> None:
    lists = []
    for _ in range(3):
        authority.renew_crl(now=NOW)
        lists.append(x509.load_pem_x509_crl(authority.crl_file.read_bytes()))

    starts = [one.last_update_utc for one in lists]
    assert starts == sorted(set(starts))
    assert all(one.last_update_utc <= NOW for one in lists)


def test_what_has_expired_by_itself_leaves_the_list(authority: FleetAuthority) -> None:
    enrol(authority, "cam-07")
    authority.revoke("cam-07", now=NOW)

    authority.renew_crl(now=NOW + 120 * DAY)

    assert listed(authority) == set()


def test_a_new_issuer_keeps_the_former_list_while_its_certificates_live(
    authority: FleetAuthority, tmp_path: Path
) -> None:
    gone = enrol(authority, "cam-07")
    authority.revoke("cam-07", now=NOW)

    renewed = renew_issuer(tmp_path / "authority", tmp_path / "root", passphrase=PASSPHRASE, now=NOW + DAY)

    pem = renewed.crl_file.read_bytes()
    assert pem.count(b"BEGIN X509 CRL") == 2
    former = x509.load_pem_x509_crl(pem[pem.rindex(b"-----BEGIN") :])
    assert [entry.serial_number for entry in former] == [gone.serial_number]
    renewed.renew_crl(now=NOW + 40 * DAY)
    assert renewed.crl_file.read_bytes().count(b"BEGIN X509 CRL") == 1


def test_after_a_compromise_nothing_vouches_for_the_former_issuer(authority: FleetAuthority, tmp_path: Path) -> None:
    renewed = renew_issuer(
        tmp_path / "authority", tmp_path / "root", passphrase=PASSPHRASE, now=NOW + DAY, compromised=True
    )

    assert renewed.crl_file.read_bytes().count(b"BEGIN X509 CRL") == 1


def test_an_authority_is_founded_once(authority: FleetAuthority, tmp_path: Path) -> None:
    before = authority.root_file.read_bytes()

    with pytest.raises(UsageError, match="already"):
        found_authority(tmp_path / "authority", tmp_path / "other", city="X", passphrase=PASSPHRASE, now=NOW)

    assert authority.root_file.read_bytes() == before
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("left", "due"), [(21 * DAY, False), (20 * DAY, True), (-DAY, True)])
def test_renewal_is_due_once_a_third_of_the_life_is_over(left: timedelta, *, due: bool) -> None:
    assert renewal_due(NOW + left, now=NOW) is due
