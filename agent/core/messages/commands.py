"""Commands and their replies: `down/cmd/{name}` and `up/rsp/{name}`.

A command says who it is for, its own id, until when it may be begun, and its
arguments. The reply goes to `up/rsp/{name}` with the same correlation data (MQTT 5)
and the command's id; the command's response topic is ignored, because a broker
must not be able to send a reply elsewhere. Neither is ever retained.

A long command answers ACCEPTED first, and DONE or FAILED in the end.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, JsonValue, PositiveInt, StringConstraints

from agent.core.messages.presence import BoardStatus
from agent.core.messages.wire import KIB, CameraId, Digest, Index, Message, Part, Text, Token
from agent.core.policy.strict_json import canonical

SIGNING_CONTEXT = b"lamppost command v1\n"  # what is signed as a command can be nothing else
MAX_LIFE = timedelta(seconds=120)  # from `issued_at` to `expires_at`
MAX_FILES = 32
MAX_PARTS = 64
MAX_LISTED = 256
MAX_CHAIN_CHARACTERS = 16 * KIB

Url = Annotated[str, StringConstraints(max_length=4 * KIB, pattern=r"^https?://[!-~]+$")]
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]  # Ed25519, hex
SegmentFile = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][A-Za-z0-9.-]{1,150}\.mp4\.age$")]


class CommandName(StrEnum):
    """Every command there is."""

    PING = "ping"
    SELFTEST = "selftest"
    SNAPSHOT = "snapshot"
    FOOTAGE_LIST = "footage.list"
    FOOTAGE_UPLOAD = "footage.upload"
    LOG_SEND = "log.send"
    CREDENTIAL_RENEW = "credential.renew"
    REBOOT = "reboot"
    DIAGNOSTICS = "diagnostics"


class Command(Message):
    """What the camera is asked to do. On `down/cmd/{name}`, expires with the message.

    Attributes:
        camera_id: Who is asked: a command copied to another camera's topic is refused.
        name: What to do; the topic says so too, and both agree.
        id: Its own; a second one with the same id is a replay and refused.
        issued_at: When it was made.
        expires_at: It is refused from then on; at most MAX_LIFE after `issued_at`.
        args: What the command's own model says.
        signature: Ed25519, hex, over `signed_bytes`, by an operator key the camera knows. Only where the
            command's authority asks for one.
    """

    MAX_BYTES: ClassVar[int] = 256 * KIB  # 32 files of presigned addresses

    camera_id: CameraId
    name: Annotated[str, StringConstraints(max_length=41)]
    id: Token
    issued_at: AwareDatetime
    expires_at: AwareDatetime
    args: dict[str, JsonValue] = Field(default_factory=dict)
    signature: Signature | None = None

    def signed_bytes(self) -> bytes:
        """Return what an operator signs: all of the command but the signature, in the one way to write it."""
        return SIGNING_CONTEXT + canonical(self.model_dump(mode="json", exclude={"signature"}))


class Outcome(StrEnum):
    """What became of a command."""

    ACCEPTED = "accepted"  # begun; another reply follows
    DONE = "done"
    REFUSED = "refused"  # not begun; nothing changed
    FAILED = "failed"  # begun, and it did not work


class Refusal(StrEnum):
    """Why a command was not begun, for programs."""

    UNKNOWN = "unknown"  # no such command
    MALFORMED = "malformed"
    OVERSIZED = "oversized"
    RETAINED = "retained"  # commands never are
    MISADDRESSED = "misaddressed"  # for another camera, or name and topic differ
    EXPIRED = "expired"
    CLOCK = "clock"  # issued in the future by more than clocks may differ, or lives too long
    REPLAYED = "replayed"
    UNAUTHORISED = "unauthorised"  # needs a signature it does not have
    UNSUPPORTED = "unsupported"  # this recorder or board cannot
    NOT_CONFIGURED = "not-configured"
    BUSY = "busy"
    DARK = "dark"  # nothing permits recording; the reason is the decision's


class Reply(Message):
    """What became of a command. On `up/rsp/{name}`, gone after five minutes.

    Attributes:
        camera_id: Who answers.
        name: The command's name as the topic had it.
        command_id: Its id; empty if it could not be read.
        at: When.
        outcome: What became of it.
        refusal: Why it was not begun, if it was not.
        reason: The same for people; empty when done.
        result: What the command's own result model says; null unless DONE.
    """

    MAX_BYTES: ClassVar[int] = 128 * KIB

    camera_id: CameraId
    name: Annotated[str, StringConstraints(max_length=64)]
    command_id: Token | Literal[""] = ""
    at: AwareDatetime
    outcome: Outcome
    refusal: Refusal | None = None
    reason: Text = ""
    result: dict[str, JsonValue] | None = None


class Nothing(Part):
    """No arguments, or no result."""


class PingResult(Part):
    """The link answers."""

    uptime_s: int


class SelftestFinding(Part):
    """What trying one part showed."""

    part: Text
    passed: bool
    found: Text
    hint: Text | None = None


class SelftestResult(Part):
    """What the camera found about itself, worst first."""

    passed: bool
    findings: Annotated[tuple[SelftestFinding, ...], Field(max_length=32)]


class SnapshotResult(Part):
    """Where the picture lies: a masked segment of one frame, sealed to the recipients of the decision.

    Attributes:
        file: Its name; `footage.upload` takes it away.
        size_bytes: Its length.
        digest: SHA-256 of the sealed bytes, as in the log.
    """

    file: SegmentFile
    size_bytes: PositiveInt
    digest: Digest


class FootageListArgs(Part):
    """Which footage: a half-open span.

    Attributes:
        start: From here.
        end: Up to here.
        after: Leave out segments up to this file, for the next page.
    """

    start: AwareDatetime
    end: AwareDatetime
    after: SegmentFile | None = None


class ListedSegment(Part):
    """One sealed segment on the camera."""

    file: SegmentFile
    started_at: AwareDatetime
    layer: Literal["masked", "sealed"]
    size_bytes: int
    truncated: bool = False


class FootageListResult(Part):
    """Segments in order of their start.

    Attributes:
        segments: At most MAX_LISTED.
        more: Whether there are more; ask again with `after` = the last file.
    """

    segments: Annotated[tuple[ListedSegment, ...], Field(max_length=MAX_LISTED)]
    more: bool = False


class UploadFile(Part):
    """One sealed segment and where to put it.

    Attributes:
        file: As `footage.list` named it.
        urls: One presigned PUT address, or one for each part of a multipart upload, in order.
        part_bytes: Length of every part but the last; null with one address.
    """

    file: SegmentFile
    urls: Annotated[tuple[Url, ...], Field(min_length=1, max_length=MAX_PARTS)]
    part_bytes: Annotated[int, Field(ge=64 * KIB)] | None = None


class FootageUploadArgs(Part):
    """What to upload.

    Attributes:
        files: At most MAX_FILES.
        until: When the addresses stop working: the upload is resumed over restarts until then.
        max_bytes_per_s: Bandwidth it may take; the camera's own limit holds too.
    """

    files: Annotated[tuple[UploadFile, ...], Field(min_length=1, max_length=MAX_FILES)]
    until: AwareDatetime
    max_bytes_per_s: PositiveInt | None = None


class UploadedFile(Part):
    """One sealed segment that was taken.

    Attributes:
        file: Which one.
        size_bytes: Its length.
        digest: SHA-256 of the sealed bytes that were sent.
        etags: What the store answered to each part; a multipart upload is completed with them.
    """

    file: SegmentFile
    size_bytes: int
    digest: Digest
    etags: tuple[Annotated[str, StringConstraints(max_length=256)], ...]


class FootageUploadResult(Part):
    """What was taken, in the order asked for."""

    files: tuple[UploadedFile, ...]


class LogSendArgs(Part):
    """Which leaves to send (again): a half-open range. They come on `up/log` with `requested: true`."""

    first: Index
    end: Index


class LogSendResult(Part):
    """What is being sent: the part of the range that the camera has."""

    first: Index
    end: Index


class CredentialRenewArgs(Part):
    """One of two steps.

    Without a chain, the camera makes a new P-256 key (the old one keeps working) and answers with
    a certificate request. With one, it checks that the first certificate is for that key, for this
    camera and from the fleet's authority, and changes over at the next connection.

    Attributes:
        chain: PEM certificates, the device's first; null in the first step.
    """

    chain: Annotated[str, StringConstraints(max_length=MAX_CHAIN_CHARACTERS)] | None = None


class CredentialRenewResult(Part):
    """The answer to either step.

    Attributes:
        request: PEM certificate request, after the first step.
        expires_at: When the new certificate ends, after the second.
    """

    request: str | None = None
    expires_at: AwareDatetime | None = None


class DiagnosticsResult(Part):
    """What a technician asks first; no secret, no address of footage, no picture.

    Attributes:
        board: The machine.
        versions: Of the software and the libraries it stands on.
        memory_bytes: What the link takes.
        threads: Names of the link's threads.
        recent: The last lines of the link's own diagnostic log.
        settings: The configuration, as far as it is no secret.
    """

    board: BoardStatus
    versions: dict[str, Text]
    memory_bytes: int | None = None
    threads: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    recent: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    settings: dict[str, Text] = Field(default_factory=dict)


# name → (arguments, result), for the contract's generator and for whoever reads replies
SCHEMAS: dict[CommandName, tuple[type[Part], type[Part]]] = {
    CommandName.PING: (Nothing, PingResult),
    CommandName.SELFTEST: (Nothing, SelftestResult),
    CommandName.SNAPSHOT: (Nothing, SnapshotResult),
    CommandName.FOOTAGE_LIST: (FootageListArgs, FootageListResult),
    CommandName.FOOTAGE_UPLOAD: (FootageUploadArgs, FootageUploadResult),
    CommandName.LOG_SEND: (LogSendArgs, LogSendResult),
    CommandName.CREDENTIAL_RENEW: (CredentialRenewArgs, CredentialRenewResult),
    CommandName.REBOOT: (Nothing, Nothing),
    CommandName.DIAGNOSTICS: (Nothing, DiagnosticsResult),
}
