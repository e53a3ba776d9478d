"""What the backend knows, in one database: SQLite in a file, or PostgreSQL by its address.

Everything that one turn of the backend learns is one transaction, and nothing is
acknowledged to a camera before it is committed (SQLite with `synchronous=FULL`).
Payloads are kept as they came, after they were found to be what their topic
carries; what is asked about often has a column of its own.

One backend process writes; the commands of `lamppost fleet` read, and write only
the commands they ask for.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    create_engine,
    event,
    select,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from agent.core.log.merkle import HASH_BYTES, Frontier
from agent.core.log.note import VerifierKey, parse_verifier_key
from agent.core.messages.commands import Reply
from agent.core.messages.policy import Reported
from agent.core.messages.presence import Birth, Status
from agent.core.messages.wire import printable
from agent.errors import ConfigurationError, StorageError

SQLITE_BUSY_MS = 30_000  # a reader's table on a slow disk; after that it is a fault
SCHEMA_VERSION = 1  # what is only added to the schema, an older backend does not see
# Incidents that say that a log cannot be what the camera first wrote, or not all of it.
ALARMS = ("log-forked", "log-rewound", "log-gap", "log-rewritten")


class _Utc(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps none by itself."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its interface
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its interface
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


_metadata = MetaData()
_schema = Table("lamppost", _metadata, Column("version", Integer, primary_key=True))
_cameras = Table(
    "cameras",
    _metadata,
    Column("camera_id", String(63), primary_key=True),
    Column("first_seen_at", _Utc, nullable=False),
    Column("birth", Text),
    Column("birth_received_at", _Utc),
    Column("birth_sequence", BigInteger),
    Column("status", Text),
    Column("status_received_at", _Utc),
    Column("reported", Text),
    Column("reported_received_at", _Utc),
    Column("desired_digest", String(64), nullable=False, default=""),
    Column("desired_at", _Utc),
    Column("log_id", String(64)),
)
_logs = Table(
    "logs",
    _metadata,
    Column("camera_id", String(63), primary_key=True),
    Column("log_id", String(64), primary_key=True),
    Column("next", BigInteger, nullable=False),
    Column("camera_next", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("first_seen_at", _Utc, nullable=False),
)
_leaves = Table(
    "leaves",
    _metadata,
    Column("camera_id", String(63), primary_key=True),
    Column("log_id", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
    Column("received_at", _Utc, nullable=False),
)
_losses = Table(
    "losses",
    _metadata,
    Column("camera_id", String(63), primary_key=True),
    Column("log_id", String(64), primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, nullable=False),
    Column("noted_at", _Utc, nullable=False),
)
_frontiers = Table(
    "frontiers",
    _metadata,
    Column("camera_id", String(63), primary_key=True),
    Column("log_id", String(64), primary_key=True),
    Column("log_key", String(300), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
)
_incidents = Table(
    "incidents",
    _metadata,
    Column("camera_id", String(63), primary_key=True),
    Column("kind", String(40), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first_at", _Utc, nullable=False),
    Column("last_at", _Utc, nullable=False),
    Column("words", Text, nullable=False),
)
_commands = Table(
    "commands",
    _metadata,
    Column("id", String(64), primary_key=True),
    Column("camera_id", String(63), nullable=False, index=True),
    Column("name", String(41), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", _Utc, nullable=False),
    Column("expires_at", _Utc, nullable=False),
    Column("sent_at", _Utc),
    Column("reply", Text),
    Column("replied_at", _Utc),
    Column("settled", Boolean, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRecord:
    """What is known about one camera.

    Attributes:
        camera_id: Who it is.
        first_seen_at: When the backend first heard of it.
        birth: Its last birth or will, and when that came.
        status: Its last status, and when that came.
        reported: What it made of its policy, and when that came.
        desired_digest: SHA-256 of the bundle that was published for it last; empty for none.
        desired_at: When that was.
        log_id: The log it writes now, or None before its first batch.
        log_next: The cursor of that log.
        log_camera_next: What the camera last said its next leaf would be.
        log_lost: Leaves of that log that are known to be lost.
        alarms: What is wrong with a log of it as evidence; see `ALARMS`.
    """

    camera_id: str
    first_seen_at: datetime
    birth: Birth | None = None
    birth_received_at: datetime | None = None
    status: Status | None = None
    status_received_at: datetime | None = None
    reported: Reported | None = None
    reported_received_at: datetime | None = None
    desired_digest: str = ""
    desired_at: datetime | None = None
    log_id: str | None = None
    log_next: int = 0
    log_camera_next: int = 0
    log_lost: int = 0
    alarms: "tuple[Incident, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What of a camera is asked for with every message it sends.

    Attributes:
        birth_sequence: Of its last birth, or None before any.
        log_id: The log it writes now, or None.
        log_next: The cursor of that log.
    """

    birth_sequence: int | None
    log_id: str | None
    log_next: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """How far one log has got."""

    camera_id: str
    log_id: str
    next: int
    camera_next: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something a camera, or somebody in its name, did that is no part of the contract."""

    camera_id: str
    kind: str
    count: int
    first_at: datetime
    last_at: datetime
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """One command and what became of it.

    Attributes:
        payload: The command as it goes out.
        asked_by: Who wanted it.
        sent_at: When it went out, or None.
        reply: The last reply, or None.
        settled: Whether nothing more is expected: it was answered for good, or expired.
    """

    id: str
    camera_id: str
    name: str
    payload: bytes
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    sent_at: datetime | None = None
    reply: Reply | None = None
    replied_at: datetime | None = None
    settled: bool = False


class CameraTable:
    """Cameras, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[CameraRecord, ...]:
        """Return every camera, by id."""
        query = select(_cameras, *_LOG_COLUMNS).join_from(_cameras, _logs, _CURRENT_LOG, isouter=True)
        alarms = self._alarms()
        rows = self._connection.execute(query.order_by(_cameras.c.camera_id))
        return tuple(_camera(row, alarms.get(row.camera_id, ())) for row in rows)

    def names(self) -> tuple[str, ...]:
        """Return the id of every camera."""
        return tuple(self._connection.scalars(select(_cameras.c.camera_id).order_by(_cameras.c.camera_id)))

    def get(self, camera_id: str) -> CameraRecord | None:
        """Return one camera, or None."""
        query = select(_cameras, *_LOG_COLUMNS).join_from(_cameras, _logs, _CURRENT_LOG, isouter=True)
        row = self._connection.execute(query.where(_cameras.c.camera_id == camera_id)).one_or_none()
        return None if row is None else _camera(row, self._alarms().get(camera_id, ()))

    def _alarms(self) -> dict[str, tuple[Incident, ...]]:
        query = select(_incidents).where(_incidents.c.kind.in_(ALARMS)).order_by(_incidents.c.last_at.desc())
        found: dict[str, tuple[Incident, ...]] = {}
        for row in self._connection.execute(query):
            found[row.camera_id] = (*found.get(row.camera_id, ()), Incident(**row._mapping))  # noqa: SLF001 - public, despite its name
        return found

    def standing(self, camera_id: str) -> Standing | None:
        """Return the part of one camera's record that every message asks for, or None."""
        row = self._connection.execute(_STANDING, {"camera": camera_id}).one_or_none()
        if row is None:
            return None
        return Standing(birth_sequence=row.birth_sequence, log_id=row.log_id, log_next=row.next or 0)

    def meet(self, camera_id: str, *, now: datetime) -> None:
        """Note that there is such a camera."""
        if self._connection.scalar(_KNOWN, {"camera": camera_id}) is None:
            self._connection.execute(_cameras.insert().values(camera_id=camera_id, first_seen_at=now))

    def note(self, camera_id: str, message: Birth | Status | Reported, *, now: datetime) -> None:
        """Keep the newest of its kind."""
        column = {Birth: "birth", Status: "status", Reported: "reported"}[type(message)]
        values: dict[str, object] = {column: message.model_dump_json(), f"{column}_received_at": now}
        if isinstance(message, Birth):
            values["birth_sequence"] = message.sequence
        self._set(camera_id, values)

    def note_log(self, camera_id: str, log_id: str) -> None:
        """Keep which log the camera writes now."""
        self._set(camera_id, {"log_id": log_id})

    def note_desired(self, camera_ids: Iterable[str], digest: str, *, now: datetime) -> None:
        """Keep what was published for some cameras."""
        for camera_id in camera_ids:
            self._set(camera_id, {"desired_digest": digest, "desired_at": now})

    def _set(self, camera_id: str, values: Mapping[str, object]) -> None:
        self._connection.execute(_UPDATE_CAMERA, {"camera": camera_id, **values})


class LogTable:
    """Leaves and cursors, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, camera_id: str, log_id: str) -> LogRecord | None:
        """Return how far one log has got, or None if it is new."""
        row = self._connection.execute(_LOG, {"camera": camera_id, "log": log_id}).one_or_none()
        if row is None:
            return None
        return LogRecord(camera_id=camera_id, log_id=log_id, next=row.next, camera_next=row.camera_next, lost=row.lost)

    def of(self, camera_id: str) -> tuple[LogRecord, ...]:
        """Return how far each log of a camera has got, in the order in which they were met."""
        query = select(_logs).where(_logs.c.camera_id == camera_id).order_by(_logs.c.first_seen_at, _logs.c.log_id)
        return tuple(
            LogRecord(camera_id=camera_id, log_id=row.log_id, next=row.next, camera_next=row.camera_next, lost=row.lost)
            for row in self._connection.execute(query)
        )

    def begin(self, record: LogRecord, *, now: datetime) -> None:
        """Keep that there is such a log, and how far it has got."""
        self._connection.execute(
            _logs.insert().values(
                camera_id=record.camera_id,
                log_id=record.log_id,
                next=record.next,
                camera_next=record.camera_next,
                lost=record.lost,
                first_seen_at=now,
            )
        )

    def move(self, record: LogRecord) -> None:
        """Keep how far a log has got that is there already."""
        values = {"next": record.next, "camera_next": record.camera_next, "lost": record.lost}
        self._connection.execute(_MOVE_LOG, {"camera": record.camera_id, "log": record.log_id, **values})

    def leaves(self, camera_id: str, log_id: str, first: int, end: int) -> dict[int, bytes]:
        """Return the stored leaves in a half-open range, by index, in order."""
        query = (
            select(_leaves.c.number, _leaves.c.content)
            .where(_leaves.c.camera_id == camera_id, _leaves.c.log_id == log_id)
            .where(_leaves.c.number >= first, _leaves.c.number < end)
            .order_by(_leaves.c.number)
        )
        return {row.number: row.content for row in self._connection.execute(query)}

    def append(self, camera_id: str, log_id: str, leaves: Iterable[tuple[int, bytes]], *, now: datetime) -> None:
        """Keep leaves that are not there yet."""
        rows = [
            {"camera_id": camera_id, "log_id": log_id, "number": index, "content": leaf, "received_at": now}
            for index, leaf in leaves
        ]
        if rows:
            self._connection.execute(_leaves.insert(), rows)

    def note_loss(self, camera_id: str, log_id: str, lost: tuple[int, int], *, now: datetime) -> None:
        """Keep that a half-open range of leaves is lost."""
        self._connection.execute(
            _losses.insert().values(camera_id=camera_id, log_id=log_id, first=lost[0], end=lost[1], noted_at=now)
        )

    def losses(self, camera_id: str, log_id: str) -> tuple[tuple[int, int], ...]:
        """Return what was lost of one log, as half-open ranges in order."""
        query = (
            select(_losses.c.first, _losses.c.end)
            .where(_losses.c.camera_id == camera_id, _losses.c.log_id == log_id)
            .order_by(_losses.c.first)
        )
        return tuple((row.first, row.end) for row in self._connection.execute(query))


class FrontierTable:
    """How much of each log was witnessed, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, camera_id: str, log_id: str) -> tuple[VerifierKey, Frontier] | None:
        """Return a log's key and the frontier of what was witnessed of it, or None if nothing was."""
        where = (_frontiers.c.camera_id == camera_id, _frontiers.c.log_id == log_id)
        row = self._connection.execute(select(_frontiers).where(*where)).one_or_none()
        if row is None:
            return None
        hashes = tuple(bytes(row.hashes[at : at + HASH_BYTES]) for at in range(0, len(row.hashes), HASH_BYTES))
        return parse_verifier_key(row.log_key), Frontier(size=row.size, hashes=hashes)

    def keep(self, camera_id: str, log_id: str, key: VerifierKey, frontier: Frontier) -> None:
        """Keep how much was witnessed."""
        values = {"log_key": str(key), "size": frontier.size, "hashes": b"".join(frontier.hashes)}
        where = (_frontiers.c.camera_id == camera_id, _frontiers.c.log_id == log_id)
        if self._connection.execute(_frontiers.update().where(*where).values(**values)).rowcount == 0:
            self._connection.execute(_frontiers.insert().values(camera_id=camera_id, log_id=log_id, **values))


class IncidentTable:
    """Incidents, within one transaction: one row for each kind a camera, so that nobody can fill the disk."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, camera_id: str, kind: str, words: str, *, now: datetime) -> None:
        """Count one more; `words` may hold what somebody sent."""
        words = printable(words)
        where = (_incidents.c.camera_id == camera_id, _incidents.c.kind == kind)
        update = _incidents.update().where(*where).values(count=_incidents.c.count + 1, last_at=now, words=words)
        if self._connection.execute(update).rowcount == 0:
            self._connection.execute(
                _incidents.insert().values(
                    camera_id=camera_id, kind=kind, count=1, first_at=now, last_at=now, words=words
                )
            )

    def all(self, camera_id: str | None = None) -> tuple[Incident, ...]:
        """Return incidents, the latest first."""
        query = select(_incidents).order_by(_incidents.c.last_at.desc(), _incidents.c.camera_id)
        if camera_id is not None:
            query = query.where(_incidents.c.camera_id == camera_id)
        return tuple(Incident(**row._mapping) for row in self._connection.execute(query))  # noqa: SLF001 - public, despite its name


class CommandTable:
    """Commands and replies, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, command: CommandRecord) -> None:
        """Put a command where the backend will find it."""
        self._connection.execute(
            _commands.insert().values(
                id=command.id,
                camera_id=command.camera_id,
                name=command.name,
                payload=command.payload,
                asked_by=command.asked_by,
                asked_at=command.asked_at,
                expires_at=command.expires_at,
                settled=False,
            )
        )

    def get(self, command_id: str) -> CommandRecord | None:
        """Return one command, or None."""
        row = self._connection.execute(select(_commands).where(_commands.c.id == command_id)).one_or_none()
        return None if row is None else _command(row)

    def waiting(self) -> tuple[CommandRecord, ...]:
        """Return commands that were not sent yet, oldest first."""
        query = select(_commands).where(_commands.c.settled.is_(False), _commands.c.sent_at.is_(None))
        return tuple(_command(row) for row in self._connection.execute(query.order_by(_commands.c.asked_at)))

    def of(self, camera_id: str, *, name: str | None = None, limit: int = 20) -> tuple[CommandRecord, ...]:
        """Return a camera's commands, newest first."""
        query = select(_commands).where(_commands.c.camera_id == camera_id)
        if name is not None:
            query = query.where(_commands.c.name == name)
        query = query.order_by(_commands.c.asked_at.desc(), _commands.c.id).limit(limit)
        return tuple(_command(row) for row in self._connection.execute(query))

    def note_sent(self, command_id: str, *, now: datetime) -> None:
        """Keep that it went out."""
        self._set(command_id, {"sent_at": now})

    def note_reply(self, reply: Reply, *, settled: bool, now: datetime) -> None:
        """Keep what the camera answered."""
        self._set(reply.command_id, {"reply": reply.model_dump_json(), "replied_at": now, "settled": settled})

    def settle(self, command_id: str) -> None:
        """Expect nothing more of it."""
        self._set(command_id, {"settled": True})

    def _set(self, command_id: str, values: Mapping[str, object]) -> None:
        self._connection.execute(_commands.update().where(_commands.c.id == command_id).values(**values))


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything there is to read and write, until it is committed or undone as a whole."""

    cameras: CameraTable
    logs: LogTable
    frontiers: FrontierTable
    incidents: IncidentTable
    commands: CommandTable


class Store:
    """The backend's database.

    Args:
        url: As SQLAlchemy spells it: `sqlite:////var/lib/lamppost/fleet.db`, `postgresql+psycopg://…`.

    Raises:
        ConfigurationError: There is no such kind of database, or its driver is not installed.
        StorageError: It cannot be opened, or is of another version.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = create_engine(url, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigurationError(
                "the store's address is none that we know, expected sqlite:///FILE or postgresql+psycopg://…",
                hint="for PostgreSQL: pip install 'lamppost[postgresql]'",
            ) from error
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _set_up_sqlite)
        try:
            self._agree_on_version()
        except BaseException:
            self._engine.dispose()  # nobody will be there to close it
            raise

    def _agree_on_version(self) -> None:
        with self._ours("opened"), self._engine.begin() as connection:
            _metadata.create_all(connection)
            version = connection.scalar(select(_schema.c.version))
            if version is None:
                connection.execute(_schema.insert().values(version=SCHEMA_VERSION))
            elif version != SCHEMA_VERSION:
                raise StorageError(f"the store is of version {version}, expected {SCHEMA_VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run the block as one transaction: committed and durable after it, or undone if it raises.

        Raises:
            StorageError: The database refuses.
        """
        with self._ours("used"), self._engine.begin() as connection:
            yield Transaction(
                CameraTable(connection),
                LogTable(connection),
                FrontierTable(connection),
                IncidentTable(connection),
                CommandTable(connection),
            )

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _ours(self, what: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # Its own words hold the statement and its values; the first line of the cause does not.
            cause = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
            raise StorageError(f"the store cannot be {what}: {cause}") from error


# Said for every message, so put together once: building one costs more than SQLite does.
_CURRENT_LOG = (_logs.c.camera_id == _cameras.c.camera_id) & (_logs.c.log_id == _cameras.c.log_id)
_THIS_CAMERA = _cameras.c.camera_id == bindparam("camera")
_THIS_LOG = (_logs.c.camera_id == bindparam("camera")) & (_logs.c.log_id == bindparam("log"))
_KNOWN = select(_cameras.c.camera_id).where(_THIS_CAMERA)
_STANDING = (
    select(_cameras.c.birth_sequence, _cameras.c.log_id, _logs.c.next)
    .join_from(_cameras, _logs, _CURRENT_LOG, isouter=True)
    .where(_THIS_CAMERA)
)
_UPDATE_CAMERA = _cameras.update().where(_THIS_CAMERA)
_LOG = select(_logs).where(_THIS_LOG)
_MOVE_LOG = _logs.update().where(_THIS_LOG)
_LOG_COLUMNS = (_logs.c.next, _logs.c.camera_next, _logs.c.lost)


def _camera(row: Row[Any], alarms: tuple[Incident, ...]) -> CameraRecord:
    return CameraRecord(
        camera_id=row.camera_id,
        first_seen_at=row.first_seen_at,
        birth=None if row.birth is None else Birth.from_bytes(row.birth.encode()),
        birth_received_at=row.birth_received_at,
        status=None if row.status is None else Status.from_bytes(row.status.encode()),
        status_received_at=row.status_received_at,
        reported=None if row.reported is None else Reported.from_bytes(row.reported.encode()),
        reported_received_at=row.reported_received_at,
        desired_digest=row.desired_digest,
        desired_at=row.desired_at,
        log_id=row.log_id,
        log_next=row.next or 0,
        log_camera_next=row.camera_next or 0,
        log_lost=row.lost or 0,
        alarms=alarms,
    )


def _command(row: Row[Any]) -> CommandRecord:
    fields = {**row._mapping}  # noqa: SLF001 - public, despite its name
    reply = fields.pop("reply")
    return CommandRecord(**fields, reply=None if reply is None else Reply.from_bytes(reply.encode()))


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # readers never wait for the backend, nor it for them
    cursor.execute("PRAGMA synchronous=FULL")  # a leaf is acknowledged after this: the camera may then forget it
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
    cursor.close()
