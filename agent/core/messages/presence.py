"""That a camera is there, and how it is: `up/birth`, its will, and `up/status`."""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, NonNegativeInt

from agent.core.messages.wire import KIB, CameraId, Index, Message, Part, Text
from agent.core.policy.clock import ClockQuality
from agent.core.status import RecorderStatus


class Birth(Message):
    """Whether the camera is connected. Retained on `up/birth`; the will is the same with `online: false`.

    The will carries the *birth sequence* of its connection. The broker may publish it long
    after a newer connection's birth; a reader drops what has a lower sequence than it has seen.

    Attributes:
        camera_id: Who it is; the topic and the certificate say so too, and all three agree.
        online: False in the will, and in the farewell of a link that is stopped.
        sequence: Rises by one with each connection, across restarts and power cuts.
        at: When the connection was begun, by the camera's clock; in a farewell, when it ended.
        clock_quality: How far `at` can be believed.
        reason: Why it is not online: "lost" in the will, "stopped" in the farewell; empty while online.
        software_version: What runs.
        booted_at: When the machine started, as far as its clock knew.
    """

    MAX_BYTES: ClassVar[int] = 2 * KIB

    camera_id: CameraId
    online: bool
    sequence: Index
    at: AwareDatetime
    clock_quality: ClockQuality = ClockQuality.UNKNOWN
    reason: Text = ""
    software_version: Text
    booted_at: AwareDatetime | None = None


class BoardStatus(Part):
    """The machine. What a board cannot measure is null, never a guess.

    Attributes:
        temperature_celsius: Of the processor.
        throttled: Whether it is slowed down right now because of heat or power.
        under_voltage: Whether its supply is too weak right now.
        throttled_since_boot: Whether it has been slowed down since it booted.
        under_voltage_since_boot: Whether its supply has been too weak since it booted.
        uptime_s: Seconds since it booted.
        memory_available_bytes: What programs could still take.
        load_ratio: Run queue over processors, one minute; above 1 it cannot keep up.
        disk_free_bytes: Free on the file system that footage goes to.
        disk_total_bytes: Its size.
        disk_read_only: Whether it is mounted read-only: a card that failed, most often.
        disk_life_used_ratio: Wear that the card itself reports (eMMC life time estimate), 0 to 1.
        disk_error: What the kernel says is wrong with it (ext4's error count), empty if nothing, null if unknown.
    """

    temperature_celsius: float | None = None
    throttled: bool | None = None
    under_voltage: bool | None = None
    throttled_since_boot: bool | None = None
    under_voltage_since_boot: bool | None = None
    uptime_s: NonNegativeInt | None = None
    memory_available_bytes: NonNegativeInt | None = None
    load_ratio: float | None = None
    disk_free_bytes: NonNegativeInt | None = None
    disk_total_bytes: NonNegativeInt | None = None
    disk_read_only: bool | None = None
    disk_life_used_ratio: float | None = None
    disk_error: Text | None = None


class NetworkStatus(Part):
    """How the camera reaches the broker.

    Attributes:
        interface: Such as "eth0" or "wlan0"; null if unknown.
        signal_dbm: Of a wireless interface.
        connected_at: When this connection began.
        connections: How many there were since the link started, this one included.
        last_failure: Why the one before ended or could not be had; empty if there was none.
    """

    interface: Text | None = None
    signal_dbm: int | None = None
    connected_at: AwareDatetime
    connections: NonNegativeInt
    last_failure: Text = ""


class QueueStatus(Part):
    """How far the log has got.

    Attributes:
        oldest: Lowest index the camera still has.
        next: Index that the next leaf will get; oldest ≤ acked ≤ next, unless leaves were lost.
        acked: The backend has everything below this.
        lost: Leaves that had to go before the backend had them.
        set_aside: Messages that the broker or a size limit refused, since the link started.
    """

    oldest: Index = 0
    next: Index = 0
    acked: Index = 0
    lost: NonNegativeInt = 0
    set_aside: NonNegativeInt = 0


class LinkStatus(Part):
    """The process that talks to the network.

    Attributes:
        software_version: What runs; the recorder may be of another version for a while.
        started_at: When it started.
        memory_bytes: What it takes (resident).
        certificate_expires_at: When the device certificate ends.
        last_errors: What went wrong last, newest last.
    """

    software_version: Text
    started_at: AwareDatetime
    memory_bytes: NonNegativeInt | None = None
    certificate_expires_at: AwareDatetime | None = None
    network: NetworkStatus
    queue: QueueStatus = QueueStatus()
    last_errors: Annotated[tuple[Text, ...], Field(max_length=8)] = ()


class Status(Message):
    """What the camera does and why, once a minute and on change. On `up/status`, gone after a minute.

    Attributes:
        camera_id: Whose it is.
        at: When it was put together.
        recorder: What the recorder wrote last, or null if there is nothing readable.
        recorder_problem: Why `recorder` is null, or that it is stale; empty if all is well.
        board: The machine.
        link: The network side.
    """

    MAX_BYTES: ClassVar[int] = 32 * KIB

    camera_id: CameraId
    at: AwareDatetime
    recorder: RecorderStatus | None = None
    recorder_problem: Text = ""
    board: BoardStatus = BoardStatus()
    link: LinkStatus
