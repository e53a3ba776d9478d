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
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, create_engine, event, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from agent.core.log.merkle import HASH_BYTES, Frontier
from agent.core.log.note import VerifierKey, parse_verifier_key
from agent.core.messages.commands import Reply
from agent.core.messages.policy import Reported
from agent.core.messages.presence import Birth, Status
from agent.core.messages.wire import printable
from agent.errors import ConfigurationError, StorageError
from provisioning.backend.records import ALARMS, CameraRecord, CommandRecord, Incident, LogRecord, Standing
from provisioning.backend.tables import (
    CAMERAS,
    COMMANDS,
    FRONTIERS,
    INCIDENTS,
    LEAVES,
    LOGS,
    LOSSES,
    METADATA,
    SCHEMA,
    SCHEMA_VERSION,
)

SQLITE_BUSY_MS = 30_000  # a reader's table on a slow disk; after that it is a fault


class CameraTable:
    """Cameras, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[CameraRecord, ...]:
        """Return every camera, by id."""
        query = select(CAMERAS, *_LOG_COLUMNS).join_from(CAMERAS, LOGS, _CURRENT_LOG, isouter=True)
        alarms = self._alarms()
        rows = self._connection.execute(query.order_by(CAMERAS.c.camera_id))
        return tuple(_camera(row, alarms.get(row.camera_id, ())) for row in rows)

    def names(self) -> tuple[str, ...]:
        """Return the id of every camera."""
        return tuple(self._connection.scalars(select(CAMERAS.c.camera_id).order_by(CAMERAS.c.camera_id)))

    def get(self, camera_id: str) -> CameraRecord | None:
        """Return one camera, or None."""
        query = select(CAMERAS, *_LOG_COLUMNS).join_from(CAMERAS, LOGS, _CURRENT_LOG, isouter=True)
        row = self._connection.execute(query.where(CAMERAS.c.camera_id == camera_id)).one_or_none()
        return None if row is None else _camera(row, self._alarms().get(camera_id, ()))

    def _alarms(self) -> dict[str, tuple[Incident, ...]]:
        query = select(INCIDENTS).where(INCIDENTS.c.kind.in_(ALARMS)).order_by(INCIDENTS.c.last_at.desc())
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
            self._connection.execute(CAMERAS.insert().values(camera_id=camera_id, first_seen_at=now))

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
        query = select(LOGS).where(LOGS.c.camera_id == camera_id).order_by(LOGS.c.first_seen_at, LOGS.c.log_id)
        return tuple(
            LogRecord(camera_id=camera_id, log_id=row.log_id, next=row.next, camera_next=row.camera_next, lost=row.lost)
            for row in self._connection.execute(query)
        )

    def begin(self, record: LogRecord, *, now: datetime) -> None:
        """Keep that there is such a log, and how far it has got."""
        self._connection.execute(
            LOGS.insert().values(
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
            select(LEAVES.c.number, LEAVES.c.content)
            .where(LEAVES.c.camera_id == camera_id, LEAVES.c.log_id == log_id)
            .where(LEAVES.c.number >= first, LEAVES.c.number < end)
            .order_by(LEAVES.c.number)
        )
        return {row.number: row.content for row in self._connection.execute(query)}

    def append(self, camera_id: str, log_id: str, leaves: Iterable[tuple[int, bytes]], *, now: datetime) -> None:
        """Keep leaves that are not there yet."""
        rows = [
            {"camera_id": camera_id, "log_id": log_id, "number": index, "content": leaf, "received_at": now}
            for index, leaf in leaves
        ]
        if rows:
            self._connection.execute(LEAVES.insert(), rows)

    def note_loss(self, camera_id: str, log_id: str, lost: tuple[int, int], *, now: datetime) -> None:
        """Keep that a half-open range of leaves is lost."""
        self._connection.execute(
            LOSSES.insert().values(camera_id=camera_id, log_id=log_id, first=lost[0], end=lost[1], noted_at=now)
        )

    def losses(self, camera_id: str, log_id: str) -> tuple[tuple[int, int], ...]:
        """Return what was lost of one log, as half-open ranges in order."""
        query = (
            select(LOSSES.c.first, LOSSES.c.end)
            .where(LOSSES.c.camera_id == camera_id, LOSSES.c.log_id == log_id)
            .order_by(LOSSES.c.first)
        )
        return tuple((row.first, row.end) for row in self._connection.execute(query))


class FrontierTable:
    """How much of each log was witnessed, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, camera_id: str, log_id: str) -> tuple[VerifierKey, Frontier] | None:
        """Return a log's key and the frontier of what was witnessed of it, or None if nothing was."""
        where = (FRONTIERS.c.camera_id == camera_id, FRONTIERS.c.log_id == log_id)
        row = self._connection.execute(select(FRONTIERS).where(*where)).one_or_none()
        if row is None:
            return None
        hashes = tuple(bytes(row.hashes[at : at + HASH_BYTES]) for at in range(0, len(row.hashes), HASH_BYTES))
        return parse_verifier_key(row.log_key), Frontier(size=row.size, hashes=hashes)

    def keep(self, camera_id: str, log_id: str, key: VerifierKey, frontier: Frontier) -> None:
        """Keep how much was witnessed."""
        values = {"log_key": str(key), "size": frontier.size, "hashes": b"".join(frontier.hashes)}
        where = (FRONTIERS.c.camera_id == camera_id, FRONTIERS.c.log_id == log_id)
        if self._connection.execute(FRONTIERS.update().where(*where).values(**values)).rowcount == 0:
            self._connection.execute(FRONTIERS.insert().values(camera_id=camera_id, log_id=log_id, **values))


class IncidentTable:
    """Incidents, within one transaction: one row for each kind a camera, so that nobody can fill the disk."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, camera_id: str, kind: str, words: str, *, now: datetime) -> None:
        """Count one more; `words` may hold what somebody sent."""
        words = printable(words)
        where = (INCIDENTS.c.camera_id == camera_id, INCIDENTS.c.kind == kind)
        update = INCIDENTS.update().where(*where).values(count=INCIDENTS.c.count + 1, last_at=now, words=words)
        if self._connection.execute(update).rowcount == 0:
            self._connection.execute(
                INCIDENTS.insert().values(
                    camera_id=camera_id, kind=kind, count=1, first_at=now, last_at=now, words=words
                )
            )

    def all(self, camera_id: str | None = None) -> tuple[Incident, ...]:
        """Return incidents, the latest first."""
        query = select(INCIDENTS).order_by(INCIDENTS.c.last_at.desc(), INCIDENTS.c.camera_id)
        if camera_id is not None:
            query = query.where(INCIDENTS.c.camera_id == camera_id)
        return tuple(Incident(**row._mapping) for row in self._connection.execute(query))  # noqa: SLF001 - public, despite its name


class CommandTable:
    """Commands and replies, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, command: CommandRecord) -> None:
        """Put a command where the backend will find it."""
        self._connection.execute(
            COMMANDS.insert().values(
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
        row = self._connection.execute(select(COMMANDS).where(COMMANDS.c.id == command_id)).one_or_none()
        return None if row is None else _command(row)

    def waiting(self) -> tuple[CommandRecord, ...]:
        """Return commands that were not sent yet, oldest first."""
        query = select(COMMANDS).where(COMMANDS.c.settled.is_(False), COMMANDS.c.sent_at.is_(None))
        return tuple(_command(row) for row in self._connection.execute(query.order_by(COMMANDS.c.asked_at)))

    def of(self, camera_id: str, *, name: str | None = None, limit: int = 20) -> tuple[CommandRecord, ...]:
        """Return a camera's commands, newest first."""
        query = select(COMMANDS).where(COMMANDS.c.camera_id == camera_id)
        if name is not None:
            query = query.where(COMMANDS.c.name == name)
        query = query.order_by(COMMANDS.c.asked_at.desc(), COMMANDS.c.id).limit(limit)
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
        self._connection.execute(COMMANDS.update().where(COMMANDS.c.id == command_id).values(**values))


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
            METADATA.create_all(connection)
            version = connection.scalar(select(SCHEMA.c.version))
            if version is None:
                connection.execute(SCHEMA.insert().values(version=SCHEMA_VERSION))
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
_CURRENT_LOG = (LOGS.c.camera_id == CAMERAS.c.camera_id) & (LOGS.c.log_id == CAMERAS.c.log_id)
_THIS_CAMERA = CAMERAS.c.camera_id == bindparam("camera")
_THIS_LOG = (LOGS.c.camera_id == bindparam("camera")) & (LOGS.c.log_id == bindparam("log"))
_KNOWN = select(CAMERAS.c.camera_id).where(_THIS_CAMERA)
_STANDING = (
    select(CAMERAS.c.birth_sequence, CAMERAS.c.log_id, LOGS.c.next)
    .join_from(CAMERAS, LOGS, _CURRENT_LOG, isouter=True)
    .where(_THIS_CAMERA)
)
_UPDATE_CAMERA = CAMERAS.update().where(_THIS_CAMERA)
_LOG = select(LOGS).where(_THIS_LOG)
_MOVE_LOG = LOGS.update().where(_THIS_LOG)
_LOG_COLUMNS = (LOGS.c.next, LOGS.c.camera_next, LOGS.c.lost)


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
