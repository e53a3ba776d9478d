"""The device credential: a P-256 key that never leaves the camera, and the certificate for it.

One PEM file holds both, key first, so that a renewal replaces them in one rename: there is
no moment at which key and certificate do not belong together. A key whose certificate has
not come yet waits beside it; the old pair works until then.
"""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from agent.adapters.atomic_files import read_capped, write_atomically
from agent.errors import CredentialError, StorageError

_MAX_BYTES = 64 * 1024
_CURVE = ec.SECP256R1


class DeviceCredential:
    """The credential of one camera.

    Args:
        path: The PEM file.
        authority: PEM file with the fleet's authority.
        camera_id: The camera's id: the certificate's common name.
    """

    def __init__(self, path: Path, authority: Path, camera_id: str) -> None:
        self._path = path
        self._pending = path.with_name(f"{path.name}.pending")
        self._authority = authority
        self._camera_id = camera_id

    def expires_at(self) -> datetime | None:
        """Return when the certificate ends, or None if there is none to read."""
        try:
            return x509.load_pem_x509_certificates(_read(self._path))[0].not_valid_after_utc
        except (CredentialError, ValueError):
            return None

    def request(self) -> str:
        """Make a new key, keep it beside the credential, and return a certificate request (PEM) for it.

        A request that was not answered is forgotten by the next.

        Raises:
            StorageError: The key cannot be kept.
        """
        key = ec.generate_private_key(_CURVE())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_atomically(self._pending, pem, mode=0o600)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._camera_id)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        return request.public_bytes(Encoding.PEM).decode("ascii")

    def waits_for(self, request: str) -> bool:
        """Return whether `request` (PEM) was made by the key that waits, and for this camera."""
        try:
            asked = x509.load_pem_x509_csr(request.encode())
            key = load_pem_private_key(_read(self._pending), password=None)
            names = [name.value for name in asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
            return names == [self._camera_id] and _public(asked.public_key()) == _public(key.public_key())
        except (CredentialError, ValueError, TypeError):
            return False

    def is_for(self, request: str) -> bool:
        """Return whether the credential in force is the answer to `request` (PEM)."""
        try:
            asked = x509.load_pem_x509_csr(request.encode())
            return _public(x509.load_pem_x509_certificates(_read(self._path))[0].public_key()) == _public(
                asked.public_key()
            )
        except (CredentialError, ValueError):
            return False

    def install(self, chain: str, *, now: datetime) -> datetime:
        """Change over to the certificate that `request` asked for, and return when it ends.

        Args:
            chain: PEM certificates, the device's first.
            now: Current time.

        Raises:
            CredentialError: It is not for the key that waits, not for this camera, or not from the fleet's
                authority at this time. The old credential is unchanged.
            StorageError: It cannot be written. The old credential is unchanged.
        """
        key_pem = _read(self._pending)
        try:
            key = load_pem_private_key(key_pem, password=None)
            certificates = x509.load_pem_x509_certificates(chain.encode())
            authorities = x509.load_pem_x509_certificates(_read(self._authority))
        except (ValueError, TypeError) as error:
            raise CredentialError("the new certificate, or the key for it, is not PEM") from error
        device, *between = certificates
        if _public(device.public_key()) != _public(key.public_key()):
            raise CredentialError("the new certificate is for another key than the one this camera made")
        names = [name.value for name in device.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if names != [self._camera_id]:
            raise CredentialError(f"the new certificate is for {names}, this is {self._camera_id}")
        policy = PolicyBuilder().store(Store(authorities)).time(now)
        policy = policy.extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=ExtensionPolicy.permit_all(),  # a device has no host name
        )
        try:
            policy.build_client_verifier().verify(device, between)
        except VerificationError as error:
            raise CredentialError(f"the new certificate does not verify: {error}") from error
        pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
        write_atomically(self._path, key_pem + pem, mode=0o600)
        try:
            self._pending.unlink()
        except OSError as error:
            raise StorageError(f"cannot remove {self._pending}: {error.strerror}") from error
        return device.not_valid_after_utc


def _public(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CredentialError("the new certificate is not for a P-256 key")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        return read_capped(path, max_bytes=_MAX_BYTES)
    except FileNotFoundError as error:
        raise CredentialError(f"there is no {path}") from error
    except StorageError as error:
        raise CredentialError(str(error)) from error
