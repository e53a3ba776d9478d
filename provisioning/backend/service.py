"""One process beside the broker: collect, acknowledge, publish, renew.

The loop takes what arrived, keeps it in one transaction, and only then answers the
cameras and the broker. Everything else it does is small and done between two turns:
publish a release that was replaced, send commands that somebody asked for, and, once
a minute, renew what runs out (the city's timestamp, the revocation list, certificates).

It can be killed at any moment: what is not committed was not acknowledged, and comes again.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.core.topics import Leaf
from agent.errors import PolicyError, StorageError, UsageError
from provisioning.authority.city import CityFolder, read_city, refresh
from provisioning.backend.ca import CRL_LIFE, FleetAuthority
from provisioning.backend.collector import Turn, collect
from provisioning.backend.home_assistant import discovery
from provisioning.backend.installation import BackendFolder, reload_broker, renew_own, write_acl
from provisioning.backend.orders import go_on_with_renewal, start_catching_up, start_renewal, to_send
from provisioning.backend.publisher import Release, ReleaseWatch, messages_for
from provisioning.backend.session import RECEIVE_MAXIMUM, BrokerSession
from provisioning.backend.store import Store
from provisioning.backend.vouching import vouch
from provisioning.backend.witness import open_witness

# From a release that was replaced to its publishing, at most; a look costs one stat().
TURN = timedelta(milliseconds=20)
LOOK_FOR_COMMANDS_EVERY = timedelta(milliseconds=250)
CARE_EVERY = timedelta(minutes=1)
REFRESH_EVERY = timedelta(days=1)  # cameras go dark after seven without; six may fail

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the process did since it started.

    Attributes:
        messages: Messages taken, by topic.
        leaves: New leaves kept.
        duplicates: Leaves that came again.
        incidents: Messages that were no part of the contract.
        published: Bundles handed to the broker.
        turns: Transactions.
    """

    messages: dict[Leaf, int] = field(default_factory=dict)
    leaves: int = 0
    duplicates: int = 0
    incidents: int = 0
    published: int = 0
    turns: int = 0


class Backend:
    """The process's one loop.

    Args:
        folder: The backend's own folder.
        city: The city's folder, with its online keys; None collects only.
        store: Where everything is kept.
        session: The connection to the broker, already begun.
        now: The wall clock.
        forgetful: The broker does not carry retained messages to every node (a cluster): publish a
            camera's bundle again whenever it connects.
    """

    def __init__(
        self,
        folder: BackendFolder,
        city: CityFolder | None,
        store: Store,
        session: BrokerSession,
        *,
        now: Callable[[], datetime],
        forgetful: bool = False,
    ) -> None:
        self._folder = folder
        self._city = city
        self._authority = FleetAuthority(folder.authority)
        self._witness = open_witness(folder.witness)
        self._store = store
        self._session = session
        self._now = now
        self._forgetful = forgetful
        self._watch = None if city is None else ReleaseWatch(city)
        self._release: Release | None = None
        self._published_to: set[str] = set()
        self._announced: set[str] = set()
        self._announced_over = self._connections = 0
        self._next_care = self._next_look = now()
        self.counts = Counts()
        self.problems: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set.

        Raises:
            StorageError: The store failed; nothing was acknowledged that is not in it.
            LinkError: The connection's thread ended.
        """
        while not stop.is_set():
            self.turn()

    def turn(self, wait_for: timedelta = TURN) -> None:
        """Do everything once; wait at most `wait_for` for messages."""
        taken = self._session.take(up_to=RECEIVE_MAXIMUM, wait_for=wait_for)
        now = self._now()
        connected: list[str] = []
        if taken:
            with self._store.transaction() as fleet:
                turn = collect(taken, fleet, now=now)
                for status in turn.statuses:
                    start_catching_up(fleet, status, now=now)
                    if status.link.certificate_expires_at is not None:
                        start_renewal(fleet, status.camera_id, status.link.certificate_expires_at, now=now)
                for checkpoint in turn.checkpoints:
                    if (cosigned := vouch(fleet, checkpoint, self._witness, now=now)) is not None:
                        turn.outgoing.append(cosigned)
                for reply in turn.replies:
                    go_on_with_renewal(fleet, reply, self._authority, now=now)
            for outgoing in turn.outgoing:
                self._session.publish(outgoing)
            self._session.settle(taken)
            self._count(turn)
            connected = turn.connected
        self._publish(connected, now=now)
        self._announce(connected)
        if now >= self._next_look:
            self._next_look = now + LOOK_FOR_COMMANDS_EVERY
            self._send_commands(now=now)
        if now >= self._next_care:
            self._next_care = now + CARE_EVERY
            self._care(now=now)

    def _publish(self, connected: list[str], *, now: datetime) -> None:
        if not self._session.connected:
            return
        before = self._release
        if self._watch is not None:
            with self._troubles("publish"):
                self._release = self._watch.changed() or self._release
        if self._release is None:
            return
        again = self._release is not before or self._connections != self._session.connections
        if again:
            self._connections = self._session.connections
            self._published_to.clear()
        names = self._known(again=again, connected=connected)
        if self._forgetful:
            names |= set(connected)
        if not names:
            return
        for outgoing in messages_for(self._release, sorted(names), before=before if again else None):
            self._session.publish(outgoing)
            self.counts.published += 1
        self._published_to |= names
        with self._store.transaction() as fleet:
            for name in names:
                fleet.cameras.meet(name, now=now)
            fleet.cameras.note_desired(names, self._release.digest, now=now)

    def _announce(self, connected: list[str]) -> None:
        """Tell Home Assistant which cameras there are, if it is wanted here: each once over every connection."""
        if not self._session.connected or not self._folder.home_assistant.exists():
            return
        names = set(connected)
        if self._announced_over != self._session.connections:
            self._announced_over = self._session.connections
            self._announced.clear()
            names |= self._known(again=True, connected=connected)
        for name in sorted(names - self._announced):
            self._session.announce(*discovery(name))
        self._announced |= names

    def _known(self, *, again: bool, connected: list[str]) -> set[str]:
        if not again:
            return set(connected) - self._published_to
        with self._store.transaction() as fleet:
            return {*fleet.cameras.names(), *self._authority.names()}

    def _send_commands(self, *, now: datetime) -> None:
        if not self._session.connected:
            return  # they wait, and expire
        with self._store.transaction() as fleet:
            outgoing = to_send(fleet, now=now)
        for one in outgoing:
            self._session.publish(one)

    def _care(self, *, now: datetime) -> None:
        with self._troubles("refresh"):
            if self._city is not None and now - read_city(self._city).signed_at >= REFRESH_EVERY:
                refresh(self._city, now=now)
        with self._troubles("certificates"):
            age = now - self._authority.crl_signed_at()
            renewed = renew_own(self._folder, self._authority, now=now)
            if renewed or age >= CRL_LIFE / 30:
                self._authority.renew_crl(now=now)
                write_acl(self._folder, self._authority)
                reload_broker(self._folder)

    def _count(self, turn: Turn) -> None:
        counts = self.counts
        counts.turns += 1
        counts.leaves += turn.leaves
        counts.duplicates += turn.duplicates
        counts.incidents += turn.incidents
        for leaf, count in turn.messages.items():
            counts.messages[leaf] = counts.messages.get(leaf, 0) + count

    def _troubles(self, what: str) -> "_Troubles":
        return _Troubles(self.problems, what)


class _Troubles:
    """A part of the work whose failure must not stop the rest: it is told once, and tried again.

    Policy that does not add up, a full disk and a missing key are for a person to mend; leaves and
    statuses are collected meanwhile.
    """

    def __init__(self, problems: dict[str, str], what: str) -> None:
        self._problems = problems
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if error is None:
            self._problems.pop(self._what, None)
            return False
        if not isinstance(error, PolicyError | StorageError | UsageError):
            return False
        told = self._problems.get(self._what)
        self._problems[self._what] = str(error)
        if told != str(error):
            _log.error("%s: %s", self._what, error)
        return True
