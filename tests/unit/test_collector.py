"""What arrives is kept if it is what its topic carries, counted if it is not, and answered either way once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.messages.commands import Outcome, Reply
from agent.core.messages.log import Ack
from agent.core.messages.wire import Message
from agent.core.topics import Leaf, Topic
from agent.errors import StorageError, UsageError
from provisioning.backend.ca import DEVICE_LIFE
from provisioning.backend.collector import Arrived, Turn, collect
from provisioning.backend.orders import ask, make_command, start_catching_up, start_renewal, to_send
from provisioning.backend.store import Store, Transaction
from tests.fakes.payloads import NOON, batch, birth, status

DAY = timedelta(days=1)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Transaction]:
    store = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    with store.transaction() as transaction:
        yield transaction
    store.close()


def arrived(message: Message | bytes, leaf: Leaf, *, camera_id: str = "cam-1", retained: bool = False) -> Arrived:
    name = message.name if isinstance(message, Reply) else "ping" if leaf is Leaf.REPLY else ""
    payload = message if isinstance(message, bytes) else message.to_bytes()
    return Arrived(topic=Topic(camera_id=camera_id, leaf=leaf, name=name), payload=payload, retained=retained)


def take(fleet: Transaction, *messages: Arrived) -> Turn:
    return collect(messages, fleet, now=NOON)


def acked(turn: Turn) -> list[int]:
    return [Ack.from_bytes(one.payload).next for one in turn.outgoing]


def incidents(fleet: Transaction) -> list[str]:
    return sorted(one.kind for one in fleet.incidents.all())


def test_a_batch_is_kept_and_acknowledged_also_the_second_time(fleet: Transaction) -> None:
    sent = arrived(batch([b"a", b"b"]), Leaf.LOG)

    first, second = take(fleet, sent), take(fleet, sent)

    assert acked(first) == acked(second) == [2]
    assert (first.leaves, second.leaves, second.duplicates) == (2, 0, 2)
    assert fleet.logs.leaves("cam-1", "log-a", 0, 9) == {0: b"a", 1: b"b"}


def test_what_is_lost_is_noted_once(fleet: Transaction) -> None:
    take(fleet, arrived(batch([b"c"], first=2, oldest=2), Leaf.LOG))

    assert fleet.logs.losses("cam-1", "log-a") == ((0, 2),)
    camera = fleet.cameras.get("cam-1")
    assert camera is not None
    assert (camera.log_next, camera.log_lost) == (3, 2)
    assert incidents(fleet) == ["leaves-lost"]


def test_a_leaf_that_comes_with_other_bytes_is_told_and_the_first_stays(fleet: Transaction) -> None:
    take(fleet, arrived(batch([b"a"]), Leaf.LOG))

    take(fleet, arrived(batch([b"A"]), Leaf.LOG))

    assert fleet.logs.leaves("cam-1", "log-a", 0, 9) == {0: b"a"}
    assert incidents(fleet) == ["log-rewritten"]


def test_a_new_card_begins_a_new_log_beside_the_old(fleet: Transaction) -> None:
    take(fleet, arrived(batch([b"a"]), Leaf.LOG))

    turn = take(fleet, arrived(batch([b"x", b"y"], log_id="log-b"), Leaf.LOG))

    assert acked(turn) == [2]
    assert fleet.logs.leaves("cam-1", "log-a", 0, 9) == {0: b"a"}
    camera = fleet.cameras.get("cam-1")
    assert camera is not None
    assert (camera.log_id, camera.log_next) == ("log-b", 2)
    assert incidents(fleet) == ["new-log"]


def test_a_birth_is_answered_with_where_the_log_stands(fleet: Transaction) -> None:
    take(fleet, arrived(batch([b"a"]), Leaf.LOG))

    turn = take(fleet, arrived(birth(), Leaf.BIRTH))

    assert acked(turn) == [1]
    assert turn.connected == ["cam-1"]


@pytest.mark.parametrize("late", [birth(sequence=3, online=False), birth(sequence=3)])
def test_a_late_will_or_a_kept_birth_of_an_older_connection_is_dropped(fleet: Transaction, late: Message) -> None:
    take(fleet, arrived(birth(sequence=4), Leaf.BIRTH))

    take(fleet, arrived(late, Leaf.BIRTH, retained=True))

    camera = fleet.cameras.get("cam-1")
    assert camera is not None
    assert camera.birth == birth(sequence=4)


def test_the_will_of_this_connection_counts(fleet: Transaction) -> None:
    take(fleet, arrived(birth(sequence=4), Leaf.BIRTH), arrived(birth(sequence=4, online=False), Leaf.BIRTH))

    camera = fleet.cameras.get("cam-1")
    assert camera is not None
    assert camera.birth is not None
    assert not camera.birth.online


def test_a_camera_that_connects_and_counts_from_further_back_is_believed_and_told(fleet: Transaction) -> None:
    take(fleet, arrived(birth(sequence=40), Leaf.BIRTH))

    take(fleet, arrived(birth(sequence=1), Leaf.BIRTH))

    camera = fleet.cameras.get("cam-1")
    assert camera is not None
    assert camera.birth == birth(sequence=1)
    assert incidents(fleet) == ["birth-sequence-restarted"]


@pytest.mark.parametrize(
    ("wrong", "leaf"),
    [
        (b"{}", Leaf.STATUS),
        (b"\xff" * 10, Leaf.BIRTH),
        (b" " * 200_000, Leaf.LOG),
        (batch([b"a"], camera_id="cam-2"), Leaf.LOG),
        (status("cam-2"), Leaf.STATUS),
        (birth(), Leaf.LOG),
    ],
)
def test_what_is_not_this_cameras_or_not_the_topics_is_counted_and_dropped(
    fleet: Transaction, wrong: Message | bytes, leaf: Leaf
) -> None:
    turn = take(fleet, arrived(wrong, leaf))

    assert incidents(fleet) == [f"malformed-{leaf.name.lower()}"]
    assert turn.outgoing == []
    camera = fleet.cameras.get("cam-1")
    assert camera is not None
    assert (camera.birth, camera.status, camera.log_id) == (None, None, None)


def test_a_thousand_malformed_messages_take_one_row(fleet: Transaction) -> None:
    take(fleet, *[arrived(b"{}", Leaf.STATUS)] * 1000)

    assert [one.count for one in fleet.incidents.all()] == [1000]


def test_a_reply_belongs_to_a_command_that_was_asked(fleet: Transaction) -> None:
    take(fleet, arrived(status(), Leaf.STATUS))
    command = make_command("cam-1", "ping", {}, now=NOON)
    ask(fleet, command, by="someone")
    answer = Reply(
        camera_id="cam-1", name="ping", command_id=command.id, at=NOON, outcome=Outcome.DONE, result={"uptime_s": 1}
    )

    take(fleet, arrived(answer.model_copy(update={"command_id": "another"}), Leaf.REPLY))
    turn = take(fleet, arrived(answer, Leaf.REPLY), arrived(answer, Leaf.REPLY))

    assert turn.replies == [answer]
    record = fleet.commands.get(command.id)
    assert record is not None
    assert record.settled
    assert incidents(fleet) == ["reply-to-nothing"]


def test_a_command_is_sent_once_and_not_after_it_expired(fleet: Transaction) -> None:
    ask(fleet, make_command("cam-1", "ping", {}, now=NOON), by="someone")
    ask(fleet, make_command("cam-2", "ping", {}, now=NOON - DAY), by="someone")

    sent = to_send(fleet, now=NOON)

    assert [str(one.topic) for one in sent] == ["lamppost/v1/cam/cam-1/down/cmd/ping"]
    assert sent[0].expiry_s == 120
    assert to_send(fleet, now=NOON) == []
    assert [one.settled for one in fleet.commands.of("cam-2")] == [True]


@pytest.mark.parametrize(
    ("name", "args"), [("explode", {}), ("log.send", {"first": -1, "end": 3}), ("ping", {"loudly": True})]
)
def test_a_command_that_no_camera_would_take_is_not_made(name: str, args: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        make_command("cam-1", name, args, now=NOON)  # type: ignore[arg-type] # JSON


def test_a_renewal_is_asked_for_when_due_and_not_again_at_once(fleet: Transaction) -> None:
    assert not start_renewal(fleet, "cam-1", NOON + DEVICE_LIFE, now=NOON)
    assert start_renewal(fleet, "cam-1", NOON + DEVICE_LIFE / 2, now=NOON)
    assert not start_renewal(fleet, "cam-1", NOON + DEVICE_LIFE / 2, now=NOON)
    assert start_renewal(fleet, "cam-1", NOON + DEVICE_LIFE / 2, now=NOON + DAY)


def test_a_store_from_an_older_backup_asks_for_what_it_lacks(fleet: Transaction) -> None:
    take(fleet, arrived(batch([b"a"]), Leaf.LOG))

    assert not start_catching_up(fleet, status(acked=1, following=1), now=NOON)
    assert start_catching_up(fleet, status(acked=50, following=60), now=NOON)

    (asked,) = fleet.commands.of("cam-1")
    assert asked.name == "log.send"
    assert b'"args":{"first":1,"end":50}' in asked.payload


def test_what_raises_within_a_transaction_leaves_nothing(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'fleet.db'}")

    def fail() -> None:
        with store.transaction() as fleet:
            take(fleet, arrived(batch([b"a"]), Leaf.LOG))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    with store.transaction() as fleet:
        assert fleet.cameras.names() == ()
    store.close()


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    import sqlite3  # noqa: PLC0415 - this test alone goes below the store

    url = f"sqlite:///{tmp_path / 'fleet.db'}"
    Store(url).close()
    with sqlite3.connect(tmp_path / "fleet.db") as raw:
        raw.execute("UPDATE lamppost SET version = 99")
    raw.close()

    with pytest.raises(StorageError, match="version 99"):
        Store(url)


def test_the_stores_own_words_never_show_an_address(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        Store(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")

    assert "folder.db" not in str(caught.value)
