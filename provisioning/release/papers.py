"""What is in each letter of a release, in the order in which they travel.

| letter | by | to | says |
|---|---|---|---|
| share card | an official | the custodian | what shares for this office are sealed to |
| request | the custodian | the officials | what is asked, for which case and whom; every share, sealed |
| answer | an official | the custodian | approved or refused, and why |
| recorded | the custodian | that official | the answer is in the city's log; the proof |
| share | that official | the custodian | the share, sealed to the request's opener |
| released | the custodian | the investigator | which segments were sealed to them |

Pure.
"""

from typing import Annotated, Literal

from pydantic import Field

from agent.core.policy.words import Instant, Sha256, Slug, Strict, Text
from provisioning.evidence.statement import Moment, RelativePath, StatedEntry, StatedSpan
from provisioning.release.shares import SplitEpoch
from provisioning.release.sharing_out import MAX_SHARES

MAX_SEGMENTS = 8_640  # a day at ten seconds each: more is no longer a case but surveillance
_BASE64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=32 * 1024)]


class ShareCard(Strict):
    """What shares for one office are sealed to."""

    office: Slug
    name: Text
    recipient: str
    made_at: Instant


class Investigator(Strict):
    """For whom the segments are to be sealed."""

    name: Text
    role: Slug
    holder: Slug
    recipient: str


class NamedSegment(Strict):
    """One segment of the sealed layer."""

    file: RelativePath
    starts_at: Moment
    size_bytes: Annotated[int, Field(ge=1)]
    sha256: Sha256


class SealedShare(Strict):
    """One share in an age file, in base64."""

    office: Slug
    sealed: _BASE64


class RequestedEpoch(Strict):
    """One day's key: who holds shares of it, and the shares, each sealed to its holder."""

    epoch: SplitEpoch
    shares: Annotated[tuple[SealedShare, ...], Field(min_length=2, max_length=MAX_SHARES)]


class Request(Strict):
    """A request that the sealed layer of one camera be opened, for one span, case and person.

    Attributes:
        id: "q-" and the number of its entry in the city's log.
        city: Digest of what the city's first root says.
        basis: Of those the charter names.
        reference: Which one: a warrant's number, a court's.
        opener: What shares travel to; its identity dies with the request.
        entry: The entry in the city's log, written before any key was used.
    """

    id: Slug
    made_at: Instant
    city: Sha256
    case: Text
    basis: Slug
    reference: Text
    reason: Text
    camera: Slug
    span: StatedSpan
    investigator: Investigator
    opener: str
    segments: Annotated[tuple[NamedSegment, ...], Field(min_length=1, max_length=MAX_SEGMENTS)]
    epochs: Annotated[tuple[RequestedEpoch, ...], Field(min_length=1, max_length=8)]
    entry: StatedEntry


class Answer(Strict):
    """What one office says to a request."""

    request: Slug
    request_sha256: Sha256
    office: Slug
    answer: Literal["approved", "refused"]
    reason: Text
    answered_at: Instant


class Recorded(Strict):
    """The custodian's word, with its proof, that an answer is in the city's log."""

    request_sha256: Sha256
    answer_sha256: Sha256
    office: Slug
    entry: StatedEntry


class HandedShare(Strict):
    """One office's share of one epoch, sealed to the opener."""

    recipient_sha256: Sha256
    sealed: _BASE64


class HandedShares(Strict):
    """What one office hands over for a request."""

    request_sha256: Sha256
    office: Slug
    shares: Annotated[tuple[HandedShare, ...], Field(min_length=1, max_length=8)]


class ReleasedSegment(Strict):
    """One segment as the investigator gets it: its payload as the camera wrote it, its header for them alone."""

    file: RelativePath
    sha256: Sha256
    was_sha256: Sha256


class Released(Strict):
    """What was sealed to whom."""

    request: Slug
    request_sha256: Sha256
    released_at: Instant
    investigator: Investigator
    offices: Annotated[tuple[Slug, ...], Field(min_length=2)]
    segments: Annotated[tuple[ReleasedSegment, ...], Field(min_length=1)]
    entry: StatedEntry
