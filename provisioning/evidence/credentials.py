"""Content credentials (C2PA) on an exported video: who made the file, of what, in the form that other tools read.

The manifest lies in the MP4 itself and covers its pictures. It holds one assertion of ours, `org.lamppost.proof`:
the camera's checkpoint, the witness's, and the leaves of the segments with what leads from them to the checkpoint. So
a video that was parted from its folder still shows where it is from.

It is signed, ES256, by the evidence certificate of the city:

    CREDENTIAL/root.pem           what a city publishes, and who checks takes as trust anchor
    CREDENTIAL/certificate.pem    the certificate that signs, and the root
    CREDENTIAL/private.pem        its key, under a passphrase

C2PA accepts no self-signed certificate, so there is a root. Its key signs this one certificate and is forgotten: nobody
can make a second in the city's name. A new certificate is a new root to publish. A city with a certificate of an
authority on C2PA's own list puts it here in their place.

The library comes with the extra `export`. It is told to fetch nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.errors import EvidenceError, KeyFormatError, MissingExtraError, UsageError
from provisioning.authority import files, pkcs8

ROOT, CERTIFICATE, PRIVATE = "root.pem", "certificate.pem", "private.pem"
PROOF = "org.lamppost.proof"
LIFE = timedelta(days=3 * 365)

_HINT = "pip install 'lamppost[export]'"
_FORMAT = "video/mp4"
_MAX_PEM_BYTES = 64 * 1024
_NUMBER_BYTES = 32  # of each half of a P-256 signature, as COSE has it
_CLOCKS_DIFFER_BY = timedelta(minutes=10)
# IPTC's word for "a camera took this", which C2PA asks of everything that is created.
_CAPTURED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
_UNTRUSTED = "signingCredential.untrusted"

State = Literal["Valid", "Trusted", "Invalid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What signs content credentials.

    Attributes:
        chain: The certificate and its root, in PEM.
        key: Of the certificate.
    """

    chain: str
    key: EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hex."""
        return x509.load_pem_x509_certificates(self.chain.encode())[0].fingerprint(SHA256()).hex()

    def sign(self, message: bytes) -> bytes:
        """Return a signature as COSE has it: both numbers, one after the other."""
        numbers = decode_dss_signature(self.key.sign(message, ECDSA(SHA256())))
        return b"".join(number.to_bytes(_NUMBER_BYTES) for number in numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The content credentials found in a video.

    Attributes:
        state: "Valid": it is what was signed; "Trusted": and by a certificate under a root the reader knows.
        issuer: Who signed, as its certificate has it.
        proof: Our assertion; empty if there is none.
        problems: What does not hold, in the words of C2PA.
    """

    state: State
    issuer: str
    proof: Mapping[str, Any]
    problems: tuple[str, ...]


# --- the certificate ----------------------------------------------------------


def make_credential(folder: Path, *, city: str, passphrase: str, now: datetime) -> Credential:
    """Make the city's evidence certificate in a new folder.

    Args:
        folder: Must not exist yet.
        city: Its name, as whoever checks will read it.
        passphrase: What will open the private key.
        now: Current UTC time.

    Raises:
        UsageError: The folder is there already.
        StorageError: It cannot be written.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already", hint="a certificate is never overwritten; choose another name")
    root_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    root_name, name = _name(city, "Evidence root"), _name(city, "Evidence")
    root = (
        _certificate(root_name, root_name, root_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign"), critical=True)
        .sign(root_key, SHA256())
    )
    certificate = (
        _certificate(name, root_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        # What c2pa-rs asks for by default. It knows document signing too, yet only by a setting of who checks.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, SHA256())
    )
    anchor = root.public_bytes(Encoding.PEM)
    chain = certificate.public_bytes(Encoding.PEM) + anchor
    files.make_folder(folder, mode=files.PRIVATE_FOLDER)
    files.write_whole(folder / PRIVATE, pkcs8.seal_private_key(key, passphrase), mode=0o600)
    files.write_whole(folder / CERTIFICATE, chain)
    files.write_whole(folder / ROOT, anchor)
    return Credential(chain=chain.decode(), key=key)


def open_credential(folder: Path, passphrase: str) -> Credential:
    """Return what lies in `folder`.

    Raises:
        KeyFormatError: It is no certificate with its key.
        SignatureError: The passphrase does not open the key.
        StorageError: It cannot be read.
    """
    chain = files.read_capped(folder / CERTIFICATE, max_bytes=_MAX_PEM_BYTES)
    key = pkcs8.open_certificate_key(files.read_capped(folder / PRIVATE, max_bytes=_MAX_PEM_BYTES), passphrase)
    try:
        certificate = x509.load_pem_x509_certificates(chain)[0]
    except (ValueError, IndexError) as error:
        raise KeyFormatError(f"{folder / CERTIFICATE} is no certificate in PEM") from error
    if certificate.public_key() != key.public_key():
        raise KeyFormatError(f"{folder / PRIVATE} is not the key of the certificate beside it")
    return Credential(chain=chain.decode(), key=key)


def _name(city: str, what: str) -> x509.Name:
    # C2PA's tools show the organisation; X.509 caps both at 64 characters.
    city = city[:64]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, city),
            x509.NameAttribute(NameOID.COMMON_NAME, what),
        ]
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER_BY)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(only: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name == only for name in names})


# --- in a video ---------------------------------------------------------------


def require_library() -> None:
    """Return if content credentials can be made here.

    Raises:
        MissingExtraError: They cannot.
    """
    _library()


def attach(video: bytes, credential: Credential, *, title: str, software: str, proof: Mapping[str, Any]) -> bytes:
    """Return `video` with content credentials in it; its coded pictures stay as they are.

    Args:
        video: An MP4.
        credential: What signs.
        title: What the manifest calls the video.
        software: Version of this software.
        proof: What our assertion holds.

    Raises:
        MissingExtraError: The library is not installed.
        EvidenceError: It refuses; the certificate may be one that C2PA does not accept.
    """
    manifest = {
        "claim_generator_info": [{"name": "Lamppost", "version": software}],
        "title": title,
        "format": _FORMAT,
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": _CAPTURED}]},
            },
            {"label": PROOF, "data": dict(proof)},
        ],
    }
    signed, c2pa = BytesIO(), _library()
    try:
        signer = c2pa.Signer.from_callback(credential.sign, c2pa.C2paSigningAlg.ES256, credential.chain)
        # Signing ends with reading back, for which the chain's own last certificate is the anchor.
        with signer, _context(c2pa, _last(credential.chain)) as context, c2pa.Builder(manifest, context) as builder:
            builder.sign(signer, _FORMAT, BytesIO(video), signed)
    except c2pa.C2paError as error:
        raise EvidenceError(f"the video takes no content credentials: {error}") from error
    return signed.getvalue()


def read_claim(video: bytes, *, root: str | None = None) -> Claim | None:
    """Return the content credentials of `video`; None if it has none.

    Args:
        video: An MP4.
        root: The city's root in PEM, as the reader knows it.

    Raises:
        MissingExtraError: The library is not installed.
        EvidenceError: What is there cannot be read.
    """
    c2pa = _library()
    try:
        with _context(c2pa, root) as context, c2pa.Reader(_FORMAT, BytesIO(video), context=context) as reader:
            state = cast("State", reader.get_validation_state())
            told: dict[str, Any] = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        raise EvidenceError(f"the video's content credentials cannot be read: {error}") from error
    manifest = told["manifests"][told["active_manifest"]]
    assertions = {each["label"]: each["data"] for each in manifest.get("assertions", ())}
    return Claim(
        state=state,
        issuer=manifest.get("signature_info", {}).get("issuer", ""),
        proof=assertions.get(PROOF, {}),
        # That a reader knows no root is no fault of the video.
        problems=tuple(
            each["code"] for each in told.get("validation_status", ()) if root is not None or each["code"] != _UNTRUSTED
        ),
    )


def _library() -> Any:  # noqa: ANN401 - it has no types
    try:
        import c2pa  # noqa: PLC0415 - an extra
    except (ImportError, OSError) as error:
        raise MissingExtraError("no content credentials: c2pa-python is not installed", hint=_HINT) from error
    return c2pa


def _context(c2pa: Any, root: str | None) -> Any:  # noqa: ANN401 - as above
    trust = {} if root is None else {"trust": {"trust_anchors": root}}
    return c2pa.Context.from_dict({"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}} | trust)


def _last(chain: str) -> str:
    return x509.load_pem_x509_certificates(chain.encode())[-1].public_bytes(Encoding.PEM).decode()
