"""A backend's store keeps what it is told, whichever database is behind its address."""

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from agent.core.messages.commands import CommandName, Outcome, Reply
from agent.core.messages.log import Ack
from agent.core.messages.wire import Message
from agent.core.topics import Leaf, Topic
from agent.errors import StorageError
from provisioning.backend.collector import Arrived, Turn, collect
from provisioning.backend.orders import ask, make_command, to_send
from provisioning.backend.records import LogRecord
from provisioning.backend.store import Store
from tests.fakes.payloads import NOON, batch, birth, status
from tests.tools.postgresql import running_postgresql

MakeStore = Callable[[], Store]
LARGEST = 2**53 - 1  # of any index in a payload


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with running_postgresql() as address:
        yield address


_numbers = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fleet.db'}"
    address: str = request.getfixturevalue("postgresql")
    name = f"fleet_{next(_numbers)}"
    engine = create_engine(address.format("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return address.format(name)


@pytest.fixture
def make_store(url: str) -> Iterator[MakeStore]:
    """Return a function that opens the store; all that it opened is closed."""
    made: list[Store] = []

    def make() -> Store:
        made.append(Store(url))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store()


def take(store: Store, message: Message, leaf: Leaf, *, now: datetime = NOON) -> Turn:
    name = message.name if isinstance(message, Reply) else ""
    arrived = Arrived(topic=Topic(camera_id="cam-1", leaf=leaf, name=name), payload=message.to_bytes())
    with store.transaction() as fleet:
        return collect([arrived], fleet, now=now)


def test_what_a_camera_said_is_there_for_whoever_opens_the_store_next(store: Store, make_store: MakeStore) -> None:
    told = status(certificate_expires_at=NOON + timedelta(days=29), acked=2, following=3)
    take(store, birth(sequence=LARGEST), Leaf.BIRTH)
    take(store, told, Leaf.STATUS, now=NOON + timedelta(microseconds=1))
    take(store, batch([b"\0a", bytes(range(256))]), Leaf.LOG)
    store.close()

    with make_store().transaction() as fleet:
        known = fleet.cameras.get("cam-1")
        assert known is not None
        assert fleet.cameras.all() == (known,)
        assert fleet.logs.leaves("cam-1", "log-a", 0, 9) == {0: b"\0a", 1: bytes(range(256))}
    assert (known.birth, known.status) == (birth(sequence=LARGEST), told)
    assert known.status_received_at == NOON + timedelta(microseconds=1)
    assert (known.log_id, known.log_next, known.log_camera_next) == ("log-a", 2, 2)


def test_times_come_back_aware_and_the_same_whatever_the_zone(store: Store) -> None:
    elsewhere = datetime(2026, 11, 28, 6, 30, tzinfo=timezone(timedelta(hours=-6)))

    with store.transaction() as fleet:
        fleet.cameras.meet("cam-1", now=elsewhere)
    with store.transaction() as fleet:
        known = fleet.cameras.get("cam-1")

    assert known is not None
    assert known.first_seen_at == elsewhere
    assert known.first_seen_at.utcoffset() == timedelta()


def test_a_batch_that_comes_again_changes_nothing_and_is_acknowledged(store: Store) -> None:
    first = take(store, batch([b"a", b"b"]), Leaf.LOG)
    again = take(store, batch([b"a", b"b"]), Leaf.LOG)

    assert [Ack.from_bytes(one.payload).next for turn in (first, again) for one in turn.outgoing] == [2, 2]
    assert (first.leaves, again.leaves, again.duplicates) == (2, 0, 2)


def test_leaves_come_in_order_and_a_log_of_another_camera_is_another(store: Store) -> None:
    with store.transaction() as fleet:
        for camera_id in ("cam-1", "cam-2"):
            record = LogRecord(camera_id=camera_id, log_id="log-a", next=0, camera_next=0, lost=0)
            fleet.logs.begin(record, now=NOON)
        fleet.logs.append("cam-1", "log-a", [(LARGEST, b"z"), (10, b"k"), (9, b"j")], now=NOON)
        fleet.logs.append("cam-2", "log-a", [(10, b"other")], now=NOON)

    with store.transaction() as fleet:
        assert list(fleet.logs.leaves("cam-1", "log-a", 0, LARGEST + 1).items()) == [
            (9, b"j"),
            (10, b"k"),
            (LARGEST, b"z"),
        ]


def test_the_logs_of_a_camera_are_listed_in_the_order_in_which_they_were_met(store: Store) -> None:
    logs = [
        LogRecord(camera_id="cam-07", log_id=name, next=number, camera_next=9, lost=number)
        for number, name in enumerate(("b" * 16, "a" * 16))
    ]
    with store.transaction() as fleet:
        for number, log in enumerate(logs):
            fleet.logs.begin(log, now=NOON + timedelta(days=number))
        fleet.logs.begin(LogRecord(camera_id="cam-08", log_id="c" * 16, next=1, camera_next=1, lost=0), now=NOON)

    with store.transaction() as fleet:
        assert fleet.logs.of("cam-07") == tuple(logs)


def test_the_same_leaf_twice_is_refused_and_nothing_of_that_transaction_stays(store: Store) -> None:
    with store.transaction() as fleet:
        fleet.logs.append("cam-1", "log-a", [(0, b"a")], now=NOON)

    def append_again() -> None:
        with store.transaction() as fleet:
            fleet.cameras.meet("cam-9", now=NOON)
            fleet.logs.append("cam-1", "log-a", [(1, b"b"), (0, b"A")], now=NOON)

    with pytest.raises(StorageError):
        append_again()

    with store.transaction() as fleet:
        assert fleet.cameras.names() == ()
        assert fleet.logs.leaves("cam-1", "log-a", 0, 9) == {0: b"a"}


def test_what_raises_within_a_transaction_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction() as fleet:
            fleet.cameras.meet("cam-1", now=NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    with store.transaction() as fleet:
        assert fleet.cameras.names() == ()


def test_a_command_goes_out_once_and_its_answer_settles_it(store: Store) -> None:
    command = make_command("cam-1", CommandName.PING, {}, now=NOON)
    reply = Reply(
        camera_id="cam-1", name="ping", command_id=command.id, at=NOON, outcome=Outcome.DONE, result={"uptime_s": 7}
    )
    with store.transaction() as fleet:
        fleet.cameras.meet("cam-1", now=NOON)
        ask(fleet, command, by="Zoë@desk")
    with store.transaction() as fleet:
        (sent,) = to_send(fleet, now=NOON)
        assert to_send(fleet, now=NOON) == []
    take(store, reply, Leaf.REPLY)

    with store.transaction() as fleet:
        (kept,) = fleet.commands.of("cam-1", name="ping")
        assert fleet.commands.get(command.id) == kept
        assert fleet.commands.waiting() == ()
    assert sent.payload == kept.payload == command.to_bytes()
    assert (kept.reply, kept.settled, kept.asked_by) == (reply, True, "Zoë@desk")


def test_incidents_are_counted_a_row_for_each_kind_whatever_their_words(store: Store) -> None:
    for number in range(3):
        with store.transaction() as fleet:
            fleet.incidents.note("cam-1", "new-log", f"said \0 and \u202e, {number}", now=NOON + timedelta(number))

    with store.transaction() as fleet:
        (incident,) = fleet.incidents.all("cam-1")
    assert (incident.count, incident.first_at, incident.last_at) == (3, NOON, NOON + timedelta(2))
    assert incident.words == "said ? and ?, 2"


def test_a_field_that_a_database_would_refuse_is_an_incident_and_no_more(store: Store) -> None:
    hostile = birth().to_bytes()[:-1] + b',"\\u0000\\u001b[2J":1}'

    with store.transaction() as fleet:
        turn = collect([Arrived(topic=Topic(camera_id="cam-1", leaf=Leaf.BIRTH), payload=hostile)], fleet, now=NOON)

    assert turn.incidents == 1
    with store.transaction() as fleet:
        (incident,) = fleet.incidents.all()
    assert incident.words == "birth ??[2J: extra inputs are not permitted"


def test_who_reads_while_another_writes_sees_what_was_committed(store: Store, make_store: MakeStore) -> None:
    reader = make_store()
    with store.transaction() as writing:
        writing.cameras.meet("cam-1", now=NOON)
        with reader.transaction() as reading:
            assert reading.cameras.names() == ()

    with reader.transaction() as reading:
        assert reading.cameras.names() == ("cam-1",)


def test_a_store_of_another_version_is_refused_and_stays_as_it_is(url: str) -> None:
    Store(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE lamppost SET version = 99"))

    with pytest.raises(StorageError, match="version 99"):
        Store(url)

    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version FROM lamppost")) == 99
    engine.dispose()


def test_a_store_that_is_not_there_does_not_show_its_address(url: str) -> None:
    nowhere = url.replace("fleet", "secret/nowhere" if "sqlite" in url else "secret")

    with pytest.raises(StorageError) as caught:
        Store(nowhere)

    assert "postgresql+psycopg" not in str(caught.value)
    assert "sqlite" not in str(caught.value)
