"""The tables of the backend's database: SQLite and PostgreSQL alike.

Payloads are kept as they came; what is asked about often has a column of its own.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

SCHEMA_VERSION = 1  # what is only added to the schema, an older backend does not see


class _Utc(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps none by itself."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its interface
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its interface
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


METADATA = MetaData()
SCHEMA = Table("lamppost", METADATA, Column("version", Integer, primary_key=True))
CAMERAS = Table(
    "cameras",
    METADATA,
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
LOGS = Table(
    "logs",
    METADATA,
    Column("camera_id", String(63), primary_key=True),
    Column("log_id", String(64), primary_key=True),
    Column("next", BigInteger, nullable=False),
    Column("camera_next", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("first_seen_at", _Utc, nullable=False),
)
LEAVES = Table(
    "leaves",
    METADATA,
    Column("camera_id", String(63), primary_key=True),
    Column("log_id", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
    Column("received_at", _Utc, nullable=False),
)
LOSSES = Table(
    "losses",
    METADATA,
    Column("camera_id", String(63), primary_key=True),
    Column("log_id", String(64), primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, nullable=False),
    Column("noted_at", _Utc, nullable=False),
)
FRONTIERS = Table(
    "frontiers",
    METADATA,
    Column("camera_id", String(63), primary_key=True),
    Column("log_id", String(64), primary_key=True),
    Column("log_key", String(300), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
)
INCIDENTS = Table(
    "incidents",
    METADATA,
    Column("camera_id", String(63), primary_key=True),
    Column("kind", String(40), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first_at", _Utc, nullable=False),
    Column("last_at", _Utc, nullable=False),
    Column("words", Text, nullable=False),
)
COMMANDS = Table(
    "commands",
    METADATA,
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
