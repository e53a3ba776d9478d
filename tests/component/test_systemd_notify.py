"""systemd hears each state as one datagram, and nothing happens without systemd."""

import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.systemd_notify import SystemdNotify


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        yield listener


def test_each_state_is_one_datagram(systemd: socket.socket) -> None:
    notifier = SystemdNotify({"NOTIFY_SOCKET": systemd.getsockname()})

    notifier.ready()
    notifier.alive()
    notifier.status("recording:\ngrant g-1")
    notifier.stopping()

    assert [systemd.recv(1024) for _ in range(4)] == [
        b"READY=1",
        b"WATCHDOG=1",
        b"STATUS=recording: grant g-1",
        b"STOPPING=1",
    ]


def test_an_abstract_socket_is_reached() -> None:
    name = f"lamppost-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(30)

        SystemdNotify({"NOTIFY_SOCKET": "@" + name}).ready()

        assert listener.recv(1024) == b"READY=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nonexistent/notify"}])
def test_nobody_listening_is_no_error(environment: dict[str, str]) -> None:
    SystemdNotify(environment).ready()


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "10000000"}, timedelta(seconds=5)),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, timedelta(seconds=5)),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_must_be(
    environment: dict[str, str], interval: timedelta | None
) -> None:
    assert SystemdNotify(environment).watchdog_interval == interval
