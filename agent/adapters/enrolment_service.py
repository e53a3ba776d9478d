"""The enrolment service over HTTPS: TLS 1.3, and one authority, known by its pin.

The first connection trusts nobody and carries nothing secret: it fetches the root
certificate, which counts only if the claim's pin says so. Everything after it is
verified up to that root and nothing else.
"""

import http.client
import socket
import ssl
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.core.enrolment.claim import Address
from agent.core.enrolment.exchange import ENROL_PATH, ROOT_PATH, Answer, Request, key_digest
from agent.errors import EnrolmentUnreachableError, MessageFormatError

PATIENCE_S = 20.0
MAX_ROOT_BYTES = 16 * 1024
_OK = 200
# X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h); Python does not name it.
_NO_CHECK_TIME: Final = 0x200000


class EnrolmentService:
    """One service.

    Args:
        address: Where it is.
        pin: SHA-256 of the root's SubjectPublicKeyInfo, from the claim.
    """

    def __init__(self, address: Address, pin: bytes) -> None:
        self._address = address
        self._pin = pin

    def fetch_root(self) -> bytes:
        """Return the fleet's root certificate (PEM), which is the one of the pin.

        Raises:
            EnrolmentUnreachableError: It cannot be had, or what answers is somebody else (a captive portal, say).
        """
        context = _context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # see the top: the pin is the check, and it is made below
        pem = self._exchange(context, "GET", ROOT_PATH, b"", MAX_ROOT_BYTES)
        if pin_of(pem) != self._pin:
            raise EnrolmentUnreachableError(
                f"what answers at {self._address} is not the city's enrolment service",
                hint="a network that asks for a login first? use another one",
            )
        return pem

    def ask(self, request: Request, root: bytes, *, clock_known: bool) -> Answer:
        """Return what the service says to `request`.

        Args:
            request: What is asked.
            root: What `fetch_root` returned.
            clock_known: Whether this board's clock can be held against certificates; signature and name always are.

        Raises:
            EnrolmentUnreachableError: No answer, or none that can be believed; trying again may help.
        """
        context = _context()
        context.load_verify_locations(cadata=root.decode("ascii"))
        if not clock_known:
            context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
        body = self._exchange(context, "POST", ENROL_PATH, request.to_bytes(), Answer.MAX_BYTES)
        try:
            return Answer.from_bytes(body)
        except MessageFormatError as error:
            raise EnrolmentUnreachableError(f"{self._address} answers something else: {error}") from error

    def _exchange(self, context: ssl.SSLContext, method: str, path: str, body: bytes, most: int) -> bytes:
        connection = http.client.HTTPSConnection(
            self._address.host, self._address.port, timeout=PATIENCE_S, context=context
        )
        try:
            connection.request(method, path, body=body or None, headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read(most + 1)
        except ssl.SSLCertVerificationError as error:
            raise EnrolmentUnreachableError(
                f"{self._address} does not prove that it is the city's: {error.verify_message}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            words = "no such name" if isinstance(error, socket.gaierror) else getattr(error, "strerror", None) or error
            raise EnrolmentUnreachableError(f"no answer from {self._address}: {words}".lower()) from None
        finally:
            connection.close()
        if response.status != _OK or len(answer) > most:
            raise EnrolmentUnreachableError(f"{self._address} answered {response.status}")
        return answer


def pin_of(pem: bytes) -> bytes:
    """Return what a claim calls the certificate in `pem`; empty if it is none."""
    try:
        key = x509.load_pem_x509_certificate(pem).public_key()
    except ValueError:
        return b""
    return key_digest(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
