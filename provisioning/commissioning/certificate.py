"""A certificate for one page and one window, where the page leaves the machine.

Nobody vouches for it. The command prints its fingerprint, and the technician, who holds both
devices, compares it with what the browser shows.
"""

import ipaddress
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provisioning.authority import files


def make_certificate(path: Path, address: str, *, now: datetime, until: datetime) -> str:
    """Write a key and its certificate for `address` to `path` (0600); return the SHA-256 fingerprint, as browsers do.

    Args:
        path: A new file.
        address: An IP address.
        now: When it begins to hold.
        until: When it ends.

    Raises:
        UsageError: Something is there already.
        StorageError: The disk refuses.
    """
    key = ec.generate_private_key(ec.SECP256R1())  # browsers take no Ed25519 yet
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lamppost commissioning")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a phone's clock
        .not_valid_after(until + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    files.write_new(path, pem, mode=files.PRIVATE)
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
