"""What a leaf of a camera's log says about one stored segment.

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.core.log.leaf import Event, Fact
from agent.core.retention import LONGEST_SEGMENT
from agent.errors import LeafFormatError

STORED = "segment-stored"
RECOVERED = "segment-recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One segment, as its camera logged it.

    Attributes:
        index: Of the leaf.
        file: The name of the segment's file.
        sha256: Of the whole sealed file, in hex.
        size_bytes: Of the same.
        layer: "masked" or "sealed".
        sequence: The how-manieth segment of the camera.
        starts_at: Capture time of its first frame.
        ends_at: End of its last.
        frames: How many frames it holds.
        failed_closed: How many of them are hidden whole, because the masker could not vouch for its mask.
        decision: Digest of what permitted it.
        documents: Ids of the documents that the decision follows from.
        truncated: Whether an error, a crash or a power cut ended it.
        recovered: Whether it was found after a crash: what its camera counted was lost then, and `ends_at` is the
            latest that it can have ended.
    """

    index: int
    file: str
    sha256: str
    size_bytes: int
    layer: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    frames: int
    failed_closed: int
    decision: str
    documents: tuple[str, ...]
    truncated: bool
    recovered: bool = False

    def overlaps(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Tell whether it holds a moment of the half-open span."""
        return self.starts_at < ends_at and self.ends_at > starts_at


def stored_of(event: Event) -> Stored | None:
    """Return what `event` says about a segment, or None if it is about something else.

    Raises:
        LeafFormatError: It is about a segment, and leaves out what must be said.
    """
    facts = event.facts
    if event.kind == RECOVERED:
        return _recovered(event)
    if event.kind != STORED or facts.get("starts_at") is None:  # a disk that failed at once leaves no frame
        return None
    return Stored(
        index=event.number,
        file=_text(facts, "file"),
        sha256=_text(facts, "sha256"),
        size_bytes=_number(facts, "size_bytes"),
        layer=_text(facts, "layer"),
        sequence=_number(facts, "sequence"),
        starts_at=_time(facts, "starts_at"),
        ends_at=_time(facts, "ends_at"),
        frames=_number(facts, "frames_stored"),
        failed_closed=_number(facts, "frames_failed_closed"),
        decision=_text(facts, "decision"),
        documents=_texts(facts, "documents"),
        truncated=facts.get("truncated") is True,
    )


def _recovered(event: Event) -> Stored:
    facts = event.facts
    starts_at = _time(facts, "starts_at")
    return Stored(
        index=event.number,
        file=_text(facts, "file"),
        sha256=_text(facts, "sha256"),
        size_bytes=_number(facts, "size_bytes"),
        layer=_text(facts, "layer"),
        sequence=_number(facts, "sequence"),
        starts_at=starts_at,
        ends_at=starts_at + LONGEST_SEGMENT,
        frames=0,
        failed_closed=0,
        decision="",
        documents=(),
        truncated=True,
        recovered=True,
    )


def _text(facts: Mapping[str, Fact], name: str) -> str:
    fact = facts.get(name)
    if not isinstance(fact, str):
        raise LeafFormatError(f"a segment's leaf does not say its {name}")
    return fact


def _texts(facts: Mapping[str, Fact], name: str) -> tuple[str, ...]:
    fact = facts.get(name)
    if not isinstance(fact, list | tuple):
        raise LeafFormatError(f"a segment's leaf does not say its {name}")
    return tuple(fact)


def _number(facts: Mapping[str, Fact], name: str) -> int:
    fact = facts.get(name)
    if type(fact) is not int:
        raise LeafFormatError(f"a segment's leaf does not say its {name}")
    return fact


def _time(facts: Mapping[str, Fact], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(_text(facts, name))
    except ValueError as error:
        raise LeafFormatError(f"a segment's leaf has no time for its {name}") from error
    if at.utcoffset() != timedelta(0):
        raise LeafFormatError(f"the {name} of a segment's leaf is not UTC")
    return at
