"""The backend cosigns a log that is the leaves it has, and raises an alarm about any other."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.log.checkpoint import Checkpoint, log_key, open_checkpoint, sign_checkpoint, witnessed_at
from agent.core.log.leaf import Event, encode_leaf
from agent.core.log.merkle import Frontier
from agent.core.messages.log import CosignedCheckpoint, SignedCheckpoint
from provisioning.backend.health import Severity, assess
from provisioning.backend.records import LogRecord
from provisioning.backend.store import Store, Transaction
from provisioning.backend.vouching import vouch
from provisioning.backend.witness import Witness, add_leaves, open_witness
from tests.fakes.payloads import NOON

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
LOG = log_key("cam-1", KEY.public_key().public_bytes_raw())
LATER = NOON + timedelta(hours=1)


def leaves_of(count: int, *, key: str = str(LOG), word: str = "honest") -> list[bytes]:
    """Return leaves as a recorder writes them; the first says the log's key."""
    started = encode_leaf(Event(number=0, at=NOON, kind="started", facts={"log_key": key}))
    acts = [Event(number=n, at=NOON, kind="segment-stored", facts={"word": word}) for n in range(1, count)]
    return [started, *map(encode_leaf, acts)]


HONEST = leaves_of(100)


def signed(leaves: list[bytes], *, key: Ed25519PrivateKey = KEY) -> SignedCheckpoint:
    name = log_key("cam-1", key.public_key().public_bytes_raw())
    root = add_leaves(Frontier(), leaves, first=0).root
    checkpoint = Checkpoint(origin=name.name, size=len(leaves), root=root)
    note = sign_checkpoint(checkpoint, name, key.sign).to_bytes().decode()
    return SignedCheckpoint(camera_id="cam-1", log_id="log-a", note=note)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    yield store
    store.close()


@pytest.fixture
def fleet(store: Store) -> Iterator[Transaction]:
    with store.transaction() as transaction:
        yield transaction


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    (tmp_path / "backend").mkdir()
    return open_witness(tmp_path / "backend")


def arrive(fleet: Transaction, leaves: list[bytes], *, first: int = 0) -> None:
    """Let leaves be in the store, from `first` on."""
    fleet.cameras.meet("cam-1", now=NOON)
    end = first + len(leaves)
    record = LogRecord(camera_id="cam-1", log_id="log-a", next=end, camera_next=end, lost=0)
    if fleet.logs.get("cam-1", "log-a") is None:
        fleet.logs.begin(replace(record, next=0), now=NOON)
    fleet.logs.append("cam-1", "log-a", enumerate(leaves, start=first), now=NOON)
    fleet.logs.move(record)


def incidents(fleet: Transaction) -> list[tuple[str, str]]:
    return [(one.kind, one.words) for one in fleet.incidents.all()]


def cosigned(fleet: Transaction, told: SignedCheckpoint, witness: Witness) -> bytes | None:
    outgoing = vouch(fleet, told, witness, now=LATER)
    return None if outgoing is None else CosignedCheckpoint.from_bytes(outgoing.payload).note.encode()


def test_a_log_that_is_what_arrived_is_cosigned_and_grows(fleet: Transaction, witness: Witness) -> None:
    arrive(fleet, HONEST[:50])
    first = cosigned(fleet, signed(HONEST[:50]), witness)
    arrive(fleet, HONEST[50:], first=50)
    second = cosigned(fleet, signed(HONEST), witness)

    assert first is not None
    assert second is not None
    assert open_checkpoint(second, LOG).size == 100
    assert witnessed_at(second, witness.key) == LATER
    assert incidents(fleet) == []


def test_the_same_checkpoint_again_gets_the_same_cosignature(fleet: Transaction, witness: Witness) -> None:
    arrive(fleet, HONEST)

    assert cosigned(fleet, signed(HONEST), witness) == cosigned(fleet, signed(HONEST), witness) is not None


def test_after_a_restart_or_a_lost_memory_it_goes_on(fleet: Transaction, witness: Witness, tmp_path: Path) -> None:
    arrive(fleet, HONEST)
    cosigned(fleet, signed(HONEST[:90]), witness)
    again = open_witness(tmp_path / "backend")
    (tmp_path / "empty").mkdir()
    forgetful = open_witness(tmp_path / "empty")

    assert str(again.key) == str(witness.key)
    assert cosigned(fleet, signed(HONEST), again) is not None
    assert cosigned(fleet, signed(HONEST[:80]), forgetful) is not None


def test_what_has_not_arrived_is_not_vouched_for_and_is_no_alarm(fleet: Transaction, witness: Witness) -> None:
    assert cosigned(fleet, signed(HONEST), witness) is None
    arrive(fleet, HONEST[:99])
    assert cosigned(fleet, signed(HONEST), witness) is None

    assert incidents(fleet) == []


def test_a_fork_is_an_alarm(fleet: Transaction, witness: Witness) -> None:
    arrive(fleet, HONEST)
    forked = [*HONEST[:40], *leaves_of(100, word="other")[40:]]

    assert cosigned(fleet, signed(forked), witness) is None

    ((kind, words),) = incidents(fleet)
    assert kind == "log-forked"
    assert "100 leaves that is not the tree of the leaves it sent" in words
    assert witness.seen(LOG) is None


def test_an_earlier_card_put_back_is_an_alarm_that_says_what_is_missing(fleet: Transaction, witness: Witness) -> None:
    arrive(fleet, HONEST)
    cosigned(fleet, signed(HONEST), witness)

    assert cosigned(fleet, signed(HONEST[:60]), witness) is None

    ((kind, words),) = incidents(fleet)
    assert kind == "log-rewound"
    assert "missing: leaves 60 to 99" in words
    kept = witness.seen(LOG)
    assert kept is not None
    assert kept.checkpoint.size == 100


def test_leaves_that_never_arrived_are_an_alarm(fleet: Transaction, witness: Witness) -> None:
    arrive(fleet, HONEST[:50])
    arrive(fleet, HONEST[60:], first=60)

    assert cosigned(fleet, signed(HONEST), witness) is None

    ((kind, words),) = incidents(fleet)
    assert kind == "log-gap"
    assert words == "leaves 50 to 59 never arrived"


def test_only_the_key_that_the_log_named_first_speaks_for_it(fleet: Transaction, witness: Witness) -> None:
    arrive(fleet, HONEST)

    assert cosigned(fleet, signed(HONEST, key=OTHER_KEY), witness) is None

    assert [kind for kind, _ in incidents(fleet)] == ["malformed-checkpoint"]


def test_a_key_of_another_camera_is_none(fleet: Transaction, witness: Witness) -> None:
    anothers = log_key("cam-2", KEY.public_key().public_bytes_raw())
    arrive(fleet, leaves_of(10, key=str(anothers)))

    assert cosigned(fleet, signed(leaves_of(10, key=str(anothers))), witness) is None


def test_the_fleet_shows_an_alarm_for_a_week(fleet: Transaction, witness: Witness) -> None:
    arrive(fleet, HONEST)
    cosigned(fleet, signed(HONEST), witness)
    cosigned(fleet, signed(HONEST[:60]), witness)

    known = fleet.cameras.get("cam-1")
    assert known is not None
    assert fleet.cameras.all() == (known,)
    alarms = [one for one in assess(known, now=LATER) if one.what == "log rewound"]
    assert [one.severity for one in alarms] == [Severity.CRITICAL]
    assert "missing: leaves 60 to 99" in alarms[0].words
    assert not [one for one in assess(known, now=LATER + timedelta(days=8)) if one.what == "log rewound"]
