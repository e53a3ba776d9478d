"""One picture on request, between the link and the recorder: what is asked, and what became of it.

Two small files, each replaced whole: `snapshot.request` in the recorder's inbox and
`snapshot.answer` in its outbox. The request carries no authority and needs none. It does
not ask for a picture to be shown: it asks for the next frame that the decision allows to
be stored anyway to get a segment of its own, sealed as all others are.
"""

from typing import ClassVar

from pydantic import AwareDatetime

from agent.core.messages.commands import Outcome, Refusal, SnapshotResult
from agent.core.messages.wire import KIB, Message, Text, Token


class SnapshotRequest(Message):
    """What the link asks.

    Attributes:
        id: The command's; the answer repeats it.
        until: Nobody waits for an answer from then on.
    """

    MAX_BYTES: ClassVar[int] = 1 * KIB

    id: Token
    until: AwareDatetime


class SnapshotAnswer(Message):
    """What the recorder made of it.

    Attributes:
        id: As in the request.
        outcome: DONE, REFUSED or FAILED.
        refusal: Why it was refused, if it was.
        reason: The same for people; empty when done.
        result: Where the picture lies; null unless done.
    """

    MAX_BYTES: ClassVar[int] = 4 * KIB

    id: Token
    outcome: Outcome
    refusal: Refusal | None = None
    reason: Text = ""
    result: SnapshotResult | None = None
