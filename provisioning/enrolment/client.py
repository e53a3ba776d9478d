"""Confirm a camera at the enrolment service, from wherever the work order is."""

import http.client
import ssl

from agent.core.enrolment.claim import Claim
from agent.core.enrolment.exchange import CONFIRM_PATH, Answer, Confirmation, Outcome
from agent.errors import EnrolmentError, EnrolmentUnreachableError, WrongCodeError
from provisioning.enrolment.desk import Confirmed
from provisioning.words import words

PATIENCE_S = 20.0
_OK = 200


def confirm_online(claim: Claim, confirmation: Confirmation, root: str) -> Confirmed:
    """Send a confirmation to the claim's service; return what it did.

    Args:
        claim: The work order's.
        confirmation: Signed by the order's key.
        root: The fleet's root certificate, PEM; nobody else vouches for the service.

    Raises:
        EnrolmentError: The service refuses.
        EnrolmentUnreachableError: No answer.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=root)
    connection = http.client.HTTPSConnection(claim.enrol.host, claim.enrol.port, timeout=PATIENCE_S, context=context)
    try:
        connection.request(
            "POST", CONFIRM_PATH, body=confirmation.to_bytes(), headers={"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        body = response.read(Answer.MAX_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise EnrolmentUnreachableError(
            words("enrol.unreachable", service=claim.enrol, why=getattr(error, "strerror", None) or error),
            hint=words("enrol.unreachable_hint"),
        ) from error
    finally:
        connection.close()
    if response.status != _OK:
        raise EnrolmentUnreachableError(words("enrol.answered", service=claim.enrol, status=response.status))
    answer = Answer.from_bytes(body)
    if answer.outcome is not Outcome.ISSUED:
        misread = answer.error == WrongCodeError.__name__
        raise EnrolmentError(answer.reason, hint=words("enrol.misread_hint") if misread else None)
    return Confirmed(camera_id=claim.camera_id, others=answer.others)
