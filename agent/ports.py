"""What the recorder and the link need from the world, as protocols; adapters implement them.

A port names a technology-free promise. tests/contract runs one suite over every
implementation of a port, fakes included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from agent.core.log.leaf import Fact as LeafFact

if TYPE_CHECKING:  # the link must not load numpy: it is to fit into 60 MB, and never meets a pixel
    from datetime import datetime, timedelta

    from agent.core.layer import Layer
    from agent.core.masking.sightings import Look
    from agent.core.policy.clock import ClockQuality
    from agent.core.retention import StoredSegment
    from agent.core.sealing.segment import SealedFragment
    from agent.core.video import Fragment, MaskedFrame, RawFrame, StreamMode

Fact: TypeAlias = LeafFact  # what one event may say about one thing


class Clock(Protocol):
    """Wall and monotonic time; the only source of either outside tests."""

    def now(self) -> datetime:
        """Return the wall clock as aware UTC."""
        ...

    def monotonic_us(self) -> int:
        """Return microseconds on a clock that never steps."""
        ...

    def quality(self) -> ClockQuality:
        """Return SYNCHRONISED if a time source disciplines the wall clock, else UNKNOWN."""
        ...

    def wait(self, duration: timedelta) -> None:
        """Block for `duration`."""
        ...


class Camera(Protocol):
    """A source of pictures.

    `open`, then one iteration of `frames`, then `close`; after `close`, `open` may
    be called again. `close` is allowed at any time, from any thread, and twice.
    """

    def open(self) -> StreamMode:
        """Start the camera and return what it agreed to.

        Raises:
            CameraGoneError: There is no such device, file or address.
            CameraError: It is there but cannot be used.
        """
        ...

    def frames(self) -> Iterator[RawFrame]:
        """Yield pictures of the negotiated size until the source ends or `close`.

        Each picture's planes belong to the caller, who may write into them; `pts_us`
        rises strictly. A source with an end (a file) just ends.

        Raises:
            CameraError: The camera failed or was unplugged.
        """
        ...

    def close(self) -> None:
        """Give the device back. Never raises."""
        ...


class Detector(Protocol):
    """Something that sees people and vehicles, and can never delay a frame."""

    def offer(self, frame: RawFrame) -> None:
        """Look at a frame soon, or not; the planes are the caller's again when this returns."""
        ...

    def looks(self) -> Sequence[Look]:
        """Return the looks that ended since the last call, oldest first."""
        ...

    def close(self) -> None:
        """Stop looking. Never raises; twice is fine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTags:
    """What the MP4 says about itself, in standard boxes."""

    camera_id: str
    layer: Layer
    first_captured_at: datetime


class SegmentEncoder(Protocol):
    """One running segment of one layer: frames in, fragments out."""

    def push(self, frame: MaskedFrame) -> Fragment | None:
        """Encode one frame; return the fragment it completed, if any.

        Raises:
            EncoderError: The codec refused; the segment is lost from here on.
        """
        ...

    def finish(self) -> Fragment | None:
        """Drain the codec and return the last fragment, if any frame is left in it."""
        ...

    def abandon(self) -> None:
        """Let go of the codec without output. Never raises."""
        ...


class Encoder(Protocol):
    """Makes segment encoders that share one configuration."""

    def start(self, mode: StreamMode, tags: SegmentTags) -> SegmentEncoder:
        """Return an encoder whose first frame is a keyframe.

        Raises:
            EncoderError: The codec cannot do this size or rate here.
        """
        ...


class RunningSegment(Protocol):
    """One segment while it is written."""

    def append(self, fragment: SealedFragment) -> None:
        """Write and `fdatasync`. Raises StorageError; then the segment is over."""
        ...

    def finish(self, last: SealedFragment | None = None) -> StoredSegment:
        """Write `last`, sync, rename to the final name, `fsync` the directory.

        The closing bytes, given here, travel with the closing sync. Raises StorageError.
        """
        ...

    def abandon(self) -> StoredSegment | None:
        """Close as it is; what can be opened of it is kept, marked truncated, and returned. Never raises.

        None if nothing is kept, it cannot be settled now, or it was finished. Twice is fine.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RingUse:
    """How full a store is.

    Attributes:
        segments: How many it holds.
        stored_bytes: What they take.
        reserved_bytes: What the segments being written and the ones after them will take.
        capacity_bytes: What all of them together may take.
        oldest_at: Start of the oldest segment, or None.
        truncated: How many of them a crash or a power cut ended.
    """

    segments: int
    stored_bytes: int
    reserved_bytes: int
    capacity_bytes: int
    oldest_at: datetime | None
    truncated: int

    @property
    def crowded(self) -> bool:
        """Whether the next segments may find no room unless something is removed now."""
        return self.stored_bytes + self.reserved_bytes > self.capacity_bytes


class Store(Protocol):
    """A bounded ring of sealed segments."""

    def start(self, layer: Layer, started_at: datetime) -> RunningSegment:
        """Create the next running segment.

        Raises:
            StorageFullError: No room.
            StorageError: Read-only, failing, or gone.
        """
        ...

    def segments(self) -> Sequence[StoredSegment]:
        """Return all stored segments, oldest first."""
        ...

    def remove(self, segments: Sequence[StoredSegment]) -> None:
        """Unlink and `fsync` the directories.

        Raises:
            ValueError: One of them is not in the store; nothing was removed.
            StorageError: One of them could not be removed; those before it were.
        """
        ...

    def use(self) -> RingUse:
        """Return how full it is."""
        ...

    def probe(self) -> None:
        """Return if recording could start now: after a StorageError, the way to know that it is over.

        Raises:
            StorageError: It could not, and why.
        """
        ...


class EventLog(Protocol):
    """The record of acts: policy applied or refused, removals, failures, boots, clock steps."""

    def append(self, kind: str, at: datetime, **facts: Fact) -> None:
        """Make one event durable.

        Args:
            kind: What happened, such as "policy-applied".
            at: When, aware UTC.
            facts: What else is worth keeping; never a picture, never a person.

        Raises:
            StorageError: It could not be kept.
        """
        ...


class Keyring(Protocol):
    """The key with which a device signs its log. The private half stays where it is kept."""

    @property
    def kind(self) -> str:
        """What keeps it, in a word: "file", "tpm", "otp"."""
        ...

    @property
    def public(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature over `message`, 64 bytes.

        Raises:
            LogKeyError: The key cannot be used now.
        """
        ...


class Lamp(Protocol):
    """The one light that a camera without a screen has."""

    def light(self, *, lit: bool) -> None:
        """Light it, or not. Never raises: enrolment goes on in the dark."""
        ...


# --- the link -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to the broker, at QoS 1.

    Attributes:
        topic: Where to.
        payload: What.
        retained: Whether the broker keeps it.
        expiry_s: After how many seconds it drops it undelivered, or None for never.
        correlation: Correlation data of the command it answers, or empty.
    """

    topic: str
    payload: bytes
    retained: bool = False
    expiry_s: int | None = None
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message from the broker."""

    topic: str
    payload: bytes
    retained: bool = False
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the broker said to one published message.

    Attributes:
        token: What `publish` returned.
        reason: MQTT 5 reason code; below 0x80 the broker took it.
        words: The same for people.
    """

    token: int
    reason: int
    words: str = ""

    @property
    def taken(self) -> bool:
        """Whether the broker took it."""
        return self.reason < 0x80  # noqa: PLR2004 - MQTT 5 2.4


Happening: TypeAlias = Received | Answered


class BrokerSession(Protocol):
    """One connection to the broker, from CONNACK to its end. For one thread."""

    @property
    def receive_maximum(self) -> int:
        """How many unanswered messages the broker allows."""
        ...

    @property
    def largest_bytes(self) -> int:
        """How large a packet the broker takes."""
        ...

    def publish(self, message: Outgoing) -> int:
        """Begin to send `message` and return its token; the answer comes from `poll`.

        What is larger than the broker takes is not sent: `poll` answers it with 0x95.

        Raises:
            SessionLostError: The connection is over.
        """
        ...

    def poll(self, timeout: timedelta) -> Sequence[Happening]:
        """Return what happened, at once if there is something, else after at most `timeout`.

        Raises:
            SessionLostError: The connection is over, and why. What came before was returned before.
        """
        ...

    def close(self) -> None:
        """Say goodbye, so that the broker drops the will, and close. Never raises; twice is fine."""
        ...


class Broker(Protocol):
    """The way to one broker."""

    def connect(self, will: Outgoing, subscriptions: Sequence[str], *, resume: bool) -> BrokerSession:
        """Connect, subscribe, and return the session once the broker granted both.

        Args:
            will: What the broker publishes when the connection is lost.
            subscriptions: Topic filters, in the order in which retained messages should come.
            resume: Whether the broker should go on with the session of the connection before, if it still has it.

        Raises:
            BrokerUnreachableError: There is no way to it, or no answer.
            BrokerUntrustedError: It does not prove to be the city's broker.
            CredentialError: The credential cannot be read, or the broker does not accept it.
            SessionRefusedError: The broker says no.
        """
        ...
