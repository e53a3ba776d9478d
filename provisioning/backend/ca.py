"""The fleet's certificate authority: who may connect to the broker, and as whom.

Two keys. The *root* is made once, under a passphrase, in a folder of its own that is
then put away; cameras pin its certificate. The *issuing key* lies at the backend and
signs what is needed every day: devices, the broker, the backend, the revocation list.
Losing the backend costs a new issuing key from the root, not a visit to every pole.

    AUTHORITY/root.pem                    what cameras and the broker trust
    AUTHORITY/issuing.pem, issuing.key    the issuing certificate and key (0600)
    AUTHORITY/crl.pem                     the revocation list, as the broker takes it
    AUTHORITY/former.crl                  the last list of the issuing key before, while its certificates live
    AUTHORITY/issued/{name}/{serial}.pem  every certificate ever issued

A device's key is made on the device; all that comes here is a request. Of a request
only the public key is taken: name, purpose and dates are the authority's to say.
"""

import contextlib
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.core.topics import CAMERA_ID
from agent.errors import KeyFormatError, SignatureError, UsageError
from provisioning.authority import files, pkcs8
from provisioning.authority.keys import check_passphrase

# No camera id has a dot, so that no camera can be enrolled under these names.
BACKEND_NAME = "backend.lamppost"
BROKER_NAME = "broker.lamppost"

ROOT_LIFE = timedelta(days=20 * 365)
ISSUING_LIFE = timedelta(days=5 * 365)
DEVICE_LIFE = timedelta(days=30)
SERVER_LIFE = timedelta(days=90)
# A camera that has just renewed can be out of reach for the 20 days that are left before anybody must climb.
RENEWED_AFTER_RATIO = 1 / 3
# OpenSSL refuses everybody once the list is past its date, so it outlives a backend that is down over the holidays.
CRL_LIFE = timedelta(days=30)
# The broker's clock may be behind ours by this.
CLOCKS_DIFFER_BY = timedelta(minutes=10)

MAX_REQUEST_BYTES = 8 * 1024
MAX_PEM_BYTES = 64 * 1024
MAX_CRL_BYTES = 16 * 1024 * 1024

ROOT_FILE = "root.pem"
ROOT_KEY_FILE = "root.key"
ISSUING_FILE = "issuing.pem"
ISSUING_KEY_FILE = "issuing.key"
CRL_FILE = "crl.pem"
FORMER_CRL_FILE = "former.crl"
ISSUED_FOLDER = "issued"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCredential:
    """One certificate, and the chain under which the broker accepts it.

    Attributes:
        name: Its common name.
        serial: Its serial number.
        expires_at: When it ends.
        chain: PEM: the certificate, then the issuing certificate.
    """

    name: str
    serial: int
    expires_at: datetime
    chain: bytes


def found_authority(folder: Path, root_folder: Path, *, city: str, passphrase: str, now: datetime) -> "FleetAuthority":
    """Make the root in `root_folder`, the issuing key and an empty revocation list in `folder`.

    Args:
        folder: The backend's; must not hold an authority yet.
        root_folder: Where the root's key goes, under `passphrase`: a stick that is put away afterwards.
        city: What the certificates call the fleet.
        passphrase: At least ten characters.
        now: Current UTC time.

    Raises:
        UsageError: There is an authority already, or the passphrase protects nothing.
        StorageError: The disk refuses.
    """
    if (folder / ROOT_FILE).exists():
        raise UsageError(f"{folder} holds a fleet authority already", hint="choose another folder")
    check_passphrase(passphrase)
    root_key = generate_private_key(SECP256R1())
    name = _name(f"{city} camera fleet root")
    root = (
        _builder(name, name, root_key.public_key(), now=now, life=ROOT_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(root_key, SHA256())
    )
    files.make_folder(root_folder, mode=files.PRIVATE_FOLDER)
    files.make_folder(folder, mode=0o755)
    sealed_root = pkcs8.seal_private_key(root_key, passphrase)
    files.write_new(root_folder / ROOT_KEY_FILE, sealed_root, mode=files.PRIVATE)
    files.write_new(root_folder / ROOT_FILE, root.public_bytes(Encoding.PEM))
    _renew_issuer(folder, root, root_key, city=city, now=now)
    authority = FleetAuthority(folder)
    authority.renew_crl(now=now)
    files.write_new(folder / ROOT_FILE, root.public_bytes(Encoding.PEM))  # last: with it the authority is there
    return authority


def renew_issuer(
    folder: Path, root_folder: Path, *, passphrase: str, now: datetime, compromised: bool = False
) -> "FleetAuthority":
    """Replace the issuing key by a new one from the root.

    Args:
        folder: The backend's.
        root_folder: Where the root's key lies.
        passphrase: What opens it.
        now: Current UTC time.
        compromised: Somebody else may have the former key: everything it signed is refused from
            now on, and every camera needs a new certificate. Otherwise what it signed lives on to its end.

    Raises:
        SignatureError: The passphrase does not open the root.
        StorageError: The disk refuses, or the root is not there.
    """
    root = x509.load_pem_x509_certificate(files.read_capped(root_folder / ROOT_FILE, max_bytes=MAX_PEM_BYTES))
    sealed = files.read_capped(root_folder / ROOT_KEY_FILE, max_bytes=MAX_PEM_BYTES)
    root_key = pkcs8.open_certificate_key(sealed, passphrase)
    former = FleetAuthority(folder)
    former.renew_crl(now=now)
    with files.locked(folder / ".lock"):
        if compromised:
            # Without a list of the former issuer the broker can vouch for none of its certificates: all are refused.
            (folder / FORMER_CRL_FILE).unlink(missing_ok=True)
        else:
            former.crl_file.replace(folder / FORMER_CRL_FILE)
        former.crl_file.unlink(missing_ok=True)
        _renew_issuer(folder, root, root_key, city=common_name(root).removesuffix(" camera fleet root"), now=now)
    authority = FleetAuthority(folder)
    authority.renew_crl(now=now)
    return authority


class FleetAuthority:
    """The issuing key at work. Several processes may use one folder.

    Args:
        folder: What `found_authority` made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / ISSUING_FILE).exists():
            raise UsageError(f"{folder} holds no fleet authority", hint="lamppost backend init")

    @property
    def root_file(self) -> Path:
        """What cameras pin."""
        return self._folder / ROOT_FILE

    @property
    def crl_file(self) -> Path:
        """What the broker asks about each client."""
        return self._folder / CRL_FILE

    @property
    def issuing_file(self) -> Path:
        """The issuing certificate."""
        return self._folder / ISSUING_FILE

    def issue_device(self, camera_id: str, request: bytes, *, now: datetime) -> DeviceCredential:
        """Return a credential for the key in a camera's PEM request.

        Raises:
            UsageError: `camera_id` is no camera id.
            KeyFormatError: The request is no request, or for another kind of key.
            SignatureError: It is not signed by its key, or is for another name.
        """
        if not CAMERA_ID.fullmatch(camera_id):
            raise UsageError(f"{camera_id!r} is not a camera id, expected small letters, digits and hyphens")
        public_key = _requested_key(request, camera_id)
        return self._issue(camera_id, public_key, ExtendedKeyUsageOID.CLIENT_AUTH, now=now, life=DEVICE_LIFE)

    def issue_backend(self, public_key: EllipticCurvePublicKey, *, now: datetime) -> DeviceCredential:
        """Return the credential with which the backend connects."""
        return self._issue(BACKEND_NAME, public_key, ExtendedKeyUsageOID.CLIENT_AUTH, now=now, life=SERVER_LIFE)

    def issue_reader(self, name: str, public_key: EllipticCurvePublicKey, *, now: datetime) -> DeviceCredential:
        """Return the credential of somebody who hears a part of what cameras say.

        Raises:
            UsageError: It is a camera's name.
        """
        if CAMERA_ID.fullmatch(name):
            raise UsageError(f"{name!r} could be a camera's name")
        return self._issue(name, public_key, ExtendedKeyUsageOID.CLIENT_AUTH, now=now, life=SERVER_LIFE)

    def issue_server(
        self, hosts: Sequence[str], public_key: EllipticCurvePublicKey, *, now: datetime
    ) -> DeviceCredential:
        """Return the broker's certificate.

        Args:
            hosts: Names and addresses that cameras reach it under.
            public_key: The broker's.
            now: Current UTC time.
        """
        if not hosts:
            raise UsageError("the broker needs a name or an address that cameras reach it under")
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._issue(BROKER_NAME, public_key, usage, now=now, life=SERVER_LIFE, names=names)

    def revoke(self, name: str, *, now: datetime) -> int:
        """Put every live certificate of `name` on the revocation list; return how many were not on it yet.

        Raises:
            UsageError: None was ever issued.
        """
        with files.locked(self._folder / ".lock"):
            issued = tuple(self._issued(name))
            if not issued:
                raise UsageError(f"no certificate was ever issued to {name}")
            listed = self._revoked_serials()
            fresh = [one for one in issued if one.serial_number not in listed and one.not_valid_after_utc > now]
            if fresh:
                self._write_crl([one.serial_number for one in fresh], now=now)
            return len(fresh)

    def renew_crl(self, *, now: datetime) -> None:
        """Sign the revocation list anew; what has expired by itself leaves it."""
        with files.locked(self._folder / ".lock"):
            self._write_crl([], now=now)

    def crl_signed_at(self) -> datetime:
        """Return when the revocation list was signed, or a moment later."""
        crl = self._crl()
        if crl is None or crl.next_update_utc is None:
            raise UsageError(f"{self._folder} has lost its revocation list", hint="restore the folder")
        return crl.next_update_utc - CRL_LIFE

    def names(self) -> tuple[str, ...]:
        """Return every camera that a certificate was ever issued to."""
        issued = self._folder / ISSUED_FOLDER
        found = (path.name for path in issued.iterdir()) if issued.exists() else ()
        return tuple(sorted(name for name in found if CAMERA_ID.fullmatch(name)))

    def barred(self) -> tuple[str, ...]:
        """Return the cameras whose newest certificate is revoked: they may not even go on with an open connection."""
        listed = self._revoked_serials()
        if not listed:
            return ()  # the usual case: no certificate of a large fleet need be read
        return tuple(name for name in self.names() if self._newest(name).serial_number in listed)

    def expires_at(self, name: str) -> datetime | None:
        """Return when the newest certificate of `name` ends, or None if it never had one."""
        return self._newest(name).not_valid_after_utc if any(self._issued(name)) else None

    def _issue(
        self,
        name: str,
        public_key: EllipticCurvePublicKey,
        usage: x509.ObjectIdentifier,
        *,
        now: datetime,
        life: timedelta,
        names: x509.SubjectAlternativeName | None = None,
    ) -> DeviceCredential:
        with files.locked(self._folder / ".lock"):
            issuer, key = self._issuer()
            life = min(life, issuer.not_valid_after_utc - now)
            if life <= timedelta():
                raise SignatureError("the issuing certificate has ended", hint="lamppost backend issuer, with the root")
            builder = (
                _builder(_name(name), issuer.subject, public_key, now=now, life=life)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(_SIGNS_HANDSHAKES, critical=True)
                .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                .add_extension(_authority_key(issuer), critical=False)
            )
            if names is not None:
                builder = builder.add_extension(names, critical=False)
            certificate = builder.sign(key, SHA256())
            pem = certificate.public_bytes(Encoding.PEM)
            folder = self._folder / ISSUED_FOLDER / name
            files.make_folder(folder)
            files.write_new(folder / f"{certificate.serial_number:040x}.pem", pem)
            return DeviceCredential(
                name=name,
                serial=certificate.serial_number,
                expires_at=certificate.not_valid_after_utc,
                chain=pem + issuer.public_bytes(Encoding.PEM),
            )

    def _issuer(self) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
        pem = files.read_capped(self._folder / ISSUING_FILE, max_bytes=MAX_PEM_BYTES)
        key = files.read_capped(self._folder / ISSUING_KEY_FILE, max_bytes=MAX_PEM_BYTES)
        return x509.load_pem_x509_certificate(pem), pkcs8.open_certificate_key(key, None)

    def _issued(self, name: str) -> Iterator[x509.Certificate]:
        for path in (self._folder / ISSUED_FOLDER / name).glob("*.pem"):
            yield x509.load_pem_x509_certificate(files.read_capped(path, max_bytes=MAX_PEM_BYTES))

    def _newest(self, name: str) -> x509.Certificate:
        listed = self._revoked_serials()  # of two made in the same second, the one that still counts
        return max(self._issued(name), key=lambda one: (one.not_valid_after_utc, one.serial_number not in listed))

    def _crl(self) -> x509.CertificateRevocationList | None:
        if not self.crl_file.exists():
            return None
        return x509.load_pem_x509_crl(files.read_capped(self.crl_file, max_bytes=MAX_CRL_BYTES))

    def _revoked_serials(self) -> frozenset[int]:
        crl = self._crl()
        return frozenset() if crl is None else frozenset(entry.serial_number for entry in crl)

    def _write_crl(self, fresh: Sequence[int], *, now: datetime) -> None:
        issuer, key = self._issuer()
        previous = self._crl()
        starts_at = now.replace(microsecond=0) - CLOCKS_DIFFER_BY
        number = 1
        entries: list[x509.RevokedCertificate] = []
        if previous is not None:
            # Of two lists a broker that was only asked to reload has both, and OpenSSL takes the later one.
            starts_at = max(starts_at, previous.last_update_utc + timedelta(seconds=1))
            number = previous.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1
            entries = [entry for entry in previous if self._still_matters(entry, now=now)]
        entries += [
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now.replace(microsecond=0)).build()
            for serial in fresh
        ]
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(starts_at)
            .next_update(now.replace(microsecond=0) + CRL_LIFE)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(_authority_key(issuer), critical=False)
        )
        for entry in entries:
            builder = builder.add_revoked_certificate(entry)
        signed = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
        files.write_whole(self.crl_file, signed + self._former_crl(now=now))

    def _former_crl(self, *, now: datetime) -> bytes:
        path = self._folder / FORMER_CRL_FILE
        if not path.exists():
            return b""
        former = files.read_capped(path, max_bytes=MAX_CRL_BYTES)
        ends_at = x509.load_pem_x509_crl(former).next_update_utc
        return former if ends_at is not None and ends_at > now else b""

    @staticmethod
    def _still_matters(entry: x509.RevokedCertificate, *, now: datetime) -> bool:
        # No certificate to a client lives longer than this, so that what is older is refused for its date.
        return entry.revocation_date_utc + max(DEVICE_LIFE, SERVER_LIFE) + CLOCKS_DIFFER_BY > now


def renewal_due(expires_at: datetime, *, now: datetime) -> bool:
    """Return whether a device certificate that ends at `expires_at` has a third of its life behind it."""
    return expires_at - now <= DEVICE_LIFE * (1 - RENEWED_AFTER_RATIO)


def make_private_key() -> tuple[EllipticCurvePrivateKey, bytes]:
    """Return a new P-256 key, and the same as clear PEM for a file that only its owner reads."""
    key = generate_private_key(SECP256R1())
    return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_request(name: str, key: EllipticCurvePrivateKey) -> bytes:
    """Return a PEM certificate request for `name`, as a device makes it."""
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(name)).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM)


def common_name(certificate: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """Return the one common name of a certificate or request, or nothing."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
_SIGNS_HANDSHAKES = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _renew_issuer(
    folder: Path, root: x509.Certificate, root_key: EllipticCurvePrivateKey, *, city: str, now: datetime
) -> None:
    key, pem = make_private_key()
    # A subject of its own for each issuer: the broker looks a revocation list up by its issuer's name.
    subject = _name(f"{city} camera fleet {now:%Y-%m-%d %H:%M:%S}")
    certificate = (
        _builder(subject, root.subject, key.public_key(), now=now, life=ISSUING_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(_authority_key(root), critical=False)
        .sign(root_key, SHA256())
    )
    files.write_whole(folder / ISSUING_KEY_FILE, pem, mode=files.PRIVATE)
    files.write_whole(folder / ISSUING_FILE, certificate.public_bytes(Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePublicKey, *, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    now = now.replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER_BY)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _requested_key(request: bytes, name: str) -> EllipticCurvePublicKey:
    if len(request) > MAX_REQUEST_BYTES:
        raise KeyFormatError(f"a certificate request of {len(request)} bytes, expected at most {MAX_REQUEST_BYTES}")
    try:
        parsed = x509.load_pem_x509_csr(request)
        key = parsed.public_key()
        signed = parsed.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFormatError("this is not a PEM certificate request") from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise KeyFormatError("the request is for another kind of key, expected P-256")
    if not signed:
        raise SignatureError("the request is not signed by the key it asks for")
    if common_name(parsed) != name:
        raise SignatureError(f"the request is for {common_name(parsed)!r}, expected {name!r}")
    return key


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)
