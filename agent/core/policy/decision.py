"""What a camera may do right now: one immutable value.

`agent.core.policy.decide` computes it from verified documents and the clock;
the recorder obeys it and nothing else. Two frames with unequal decisions never
share a segment.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self

from agent.core.zones import View, Zone


class PeopleMode(StrEnum):
    """How far people are hidden, from most to least."""

    COUNTS_ONLY = "counts-only"  # no picture is stored at all
    SCENE = "scene"  # hide all but proven background
    PEOPLE = "people"  # people and vehicles
    HEADS = "heads"


class Originals(StrEnum):
    """Whether what the people mask hid may be kept, sealed to a quorum."""

    NONE = "none"
    SEALED = "sealed"


class LiveView(StrEnum):
    """Who may watch the masked layer as it happens."""

    NONE = "none"
    PUBLIC = "public"  # SL-T2-5, SL-3.8: traffic cameras only


class Revocation(StrEnum):
    """What a signed revocation asks for, from least to most."""

    NONE = "none"
    PAUSE = "pause"
    STOP = "stop"
    ERASE = "erase"


@dataclass(frozen=True, slots=True, order=True)
class ApprovedModel:
    """A net that may run, by the SHA-256 of its file (RB-6)."""

    sha256: str
    outputs: tuple[str, ...] = ("boxes",)


@dataclass(frozen=True, slots=True, order=True)
class HeldSpan:
    """A half-open span of footage that must not be removed."""

    hold_id: str
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is permitted from now until `changes_at`.

    Attributes:
        recording: Whether frames may be stored; False is *dark*. Counts-only is dark with models.
        reason: Why, in words a person understands; also when recording.
        intended_use: Charter clause of the use recorded for; empty when dark.
        permissible_uses: What the footage may be used for, as "use/permissible-use", sorted; empty when dark.
        zones: Private areas, filled in every layer.
        view: The picture the zones were drawn over (a field of the grant); a stream of another
            shape fails closed.
        people: How far people are hidden.
        originals: Whether the sealed layer is written.
        recipients: age recipients of the masked layer, sorted, of today's epoch.
        originals_recipients: age recipients of the sealed layer, sorted.
        retention: How long footage may be kept; when dark, what was stored before.
        max_height_px: Most lines a stored picture may have.
        max_rate_hz: Most frames a second that may be stored.
        live: Who may watch.
        biometrics_locked: Whether an official locked no-biometrics mode on.
        models: Nets that may run, sorted.
        waivers: Ids of the waivers in force, sorted.
        holds: Spans that must not be removed, sorted.
        revocation: The strongest revocation in force.
        sources: Ids of the documents this follows from, sorted.
        policy_digest: SHA-256 (hex) over the documents in force; empty before any.
        changes_at: When the decision next changes by itself, or None. No part of equality: two decisions
            that permit the same share a segment, whenever the next one is due.
        keys_until: Last day up to which recipients are published without a gap, or None. No part of equality either.
    """

    recording: bool
    reason: str
    intended_use: str = ""
    permissible_uses: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = ()
    view: View | None = None
    people: PeopleMode = PeopleMode.SCENE
    originals: Originals = Originals.NONE
    recipients: tuple[str, ...] = ()
    originals_recipients: tuple[str, ...] = ()
    retention: timedelta = timedelta(0)
    max_height_px: int = 0
    max_rate_hz: int = 0
    live: LiveView = LiveView.NONE
    biometrics_locked: bool = False
    models: tuple[ApprovedModel, ...] = ()
    waivers: tuple[str, ...] = ()
    holds: tuple[HeldSpan, ...] = ()
    revocation: Revocation = Revocation.NONE
    sources: tuple[str, ...] = ()
    policy_digest: str = ""
    changes_at: datetime | None = field(default=None, compare=False)
    keys_until: date | None = field(default=None, compare=False)

    @classmethod
    def dark(cls, reason: str) -> Self:
        """Return the decision that permits nothing."""
        return cls(recording=False, reason=reason)
