"""What a camera was told, and what it made of it: `up/reported`.

`down/desired` and `down/revoke` are not JSON: each is a policy bundle, byte for byte as
`agent.core.bundle` defines it, at most MAX_BUNDLE_BYTES. The link does not open them.
A revocation takes effect because an office signed it inside the bundle, not because
of the topic; the topic of its own lets it go out past a desired bundle that is stuck.
"""

from typing import ClassVar

from pydantic import AwareDatetime, JsonValue

from agent.core.messages.wire import KIB, CameraId, Digest, Message, Part, Text


class BundleReceipt(Part):
    """What the link did with the bundle that arrived last on one topic.

    Attributes:
        digest: SHA-256 of the bundle; of one that is too large too.
        size_bytes: Its length.
        received_at: When it arrived.
        refused: Why it was not given to the recorder; empty if it was.
    """

    digest: Digest
    size_bytes: int
    received_at: AwareDatetime
    refused: Text = ""


class Reported(Message):
    """The recorder's verdict on the bundles it was given. Retained on `up/reported`.

    Attributes:
        camera_id: Whose it is.
        at: When it was put together.
        desired: The last bundle on `down/desired`, since the link started.
        revoke: The last bundle on `down/revoke`, since the link started.
        verdict: The recorder's last verdict, as it wrote it, or null before any.
        policy_digest: SHA-256 over the documents in force; empty before any, or if the recorder is silent.
    """

    MAX_BYTES: ClassVar[int] = 32 * KIB

    camera_id: CameraId
    at: AwareDatetime
    desired: BundleReceipt | None = None
    revoke: BundleReceipt | None = None
    verdict: dict[str, JsonValue] | None = None
    policy_digest: Text = ""
