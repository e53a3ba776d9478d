"""An operator makes a backend, enrols a camera, sees the fleet, asks it something, and cuts it off."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from agent.core.log.leaf import Event, Fact, encode_leaf
from agent.core.messages.commands import Command, Outcome, Reply
from agent.core.topics import Leaf, Topic
from agent.errors import LamppostError, LinkError, UsageError
from provisioning import __main__ as lamppost
from provisioning.backend.ca import make_private_key, make_request
from provisioning.backend.collector import Arrived, collect
from provisioning.backend.installation import BackendFolder
from provisioning.backend.store import Store
from provisioning.clock import utc_now
from tests.fakes.payloads import batch, birth, status
from tests.tools.mosquitto import PASSPHRASE

DAY = timedelta(days=1)
Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def run(command: str, *words: str | Path) -> str:
        result = CliRunner().invoke(lamppost._application(command), [command, *map(str, words)])
        if isinstance(result.exception, LamppostError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backend, made once by its command."""
    place = tmp_path_factory.mktemp("made")
    (place / "passphrase").write_text(PASSPHRASE, encoding="utf-8")
    words = ["--out", place / "backend", "--root", place / "root", "--host", "broker.example", "--host", "192.0.2.7"]
    words += ["--passphrase-file", place / "passphrase"]
    result = CliRunner().invoke(lamppost._application("backend"), ["backend", "init", *map(str, words)])
    assert result.exit_code == 0, result.output
    return place / "backend"


def heard(backend: Path, *messages: tuple[Leaf, bytes], camera_id: str = "cam-1") -> None:
    """Let the backend have heard something."""
    store = Store(BackendFolder(path=backend).store_url)
    with store.transaction() as fleet:
        some = [Arrived(topic=Topic(camera_id=camera_id, leaf=leaf), payload=payload) for leaf, payload in messages]
        collect(some, fleet, now=utc_now())
    store.close()


def test_a_backend_is_made_with_everything_a_broker_needs(made: Path) -> None:
    configuration = (made / "broker" / "mosquitto.conf").read_text(encoding="utf-8")

    assert "tls_version tlsv1.3" in configuration
    assert "use_username_as_clientid true" in configuration
    for line in configuration.splitlines():
        if line.startswith(("cafile", "certfile", "keyfile", "crlfile", "acl_file")):
            assert Path(line.split()[1]).exists(), line
    assert not list(made.rglob("root.key"))


def test_a_second_backend_in_the_same_place_is_refused(run: Run, made: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*.pem")}
    (tmp_path / "passphrase").write_text(PASSPHRASE, encoding="utf-8")

    with pytest.raises(UsageError, match="already"):
        run(
            "backend",
            *("init", "--out", made, "--root", tmp_path / "root", "--host", "x.example"),
            *("--passphrase-file", tmp_path / "passphrase"),
        )

    assert {path: path.read_bytes() for path in made.rglob("*.pem")} == before


def test_a_camera_is_enrolled_and_cut_off(run: Run, made: Path, tmp_path: Path) -> None:
    key, _ = make_private_key()
    (tmp_path / "request.pem").write_bytes(make_request("cam-9", key))
    chain = tmp_path / "chain.pem"

    run("backend", "enrol", "cam-9", "--backend", made, "--request", tmp_path / "request.pem", "--out", chain)

    (certificate, _issuer) = x509.load_pem_x509_certificates(chain.read_bytes())
    assert certificate.public_key() == key.public_key()
    assert "no broker runs here" in run("backend", "revoke", "cam-9", "--backend", made, "--yes")
    assert "user cam-9\ntopic deny #" in (made / "broker" / "acl").read_text(encoding="utf-8")
    assert "already" in run("backend", "revoke", "cam-9", "--backend", made, "--yes")


def test_a_cluster_gets_one_folder_that_follows_who_is_revoked(run: Run, made: Path, tmp_path: Path) -> None:
    (tmp_path / "request.pem").write_bytes(make_request("cam-8", make_private_key()[0]))
    where = ("--backend", made)
    run("backend", "enrol", "cam-8", *where, "--request", tmp_path / "request.pem", "--out", tmp_path / "chain.pem")

    written = Path(run("backend", "broker", *where, "--host", "broker.example", "--kind", "ejabberd").strip())
    before = (written / "barred.yml").read_text(encoding="utf-8")
    run("backend", "revoke", "cam-8", *where, "--yes")

    assert {path.name for path in written.iterdir()} == {
        *("ejabberd.yml", "barred.yml", "ejabberdctl.cfg", "openssl.cnf", "root.pem", "server.pem", "server.key")
    }
    assert '"/etc/ejabberd/server.key"' in (written / "ejabberd.yml").read_text(encoding="utf-8")
    assert (written / "server.key").stat().st_mode & 0o077 == 0
    assert "cam-8" not in before
    assert "cam-8" in (written / "barred.yml").read_text(encoding="utf-8")


def test_the_fleet_is_listed_with_what_is_wrong_first(run: Run, made: Path) -> None:
    now = utc_now()
    well = [(Leaf.BIRTH, birth(at=now).to_bytes()), (Leaf.STATUS, status(at=now).to_bytes())]
    heard(made, *well)
    heard(made, (Leaf.BIRTH, birth("cam-2", online=False, at=now).to_bytes()), camera_id="cam-2")

    listed = json.loads(run("fleet", "list", "--backend", made, "--json"))
    table = run("fleet", "list", "--backend", made)
    watched = run("fleet", "watch", "--backend", made, "--json", "--times", "2")

    assert [(one["camera_id"], one["health"]) for one in listed] == [("cam-2", "critical"), ("cam-1", "well")]
    assert table.index("cam-2") < table.index("cam-1")
    assert "2 cameras, 1 online, 1 critical" in table
    assert {json.loads(line)["camera_id"] for line in watched.splitlines()} == {"cam-1", "cam-2"}


def test_a_camera_that_was_cut_off_is_told_as_retired(run: Run, made: Path, tmp_path: Path) -> None:
    (tmp_path / "request.pem").write_bytes(make_request("cam-7", make_private_key()[0]))
    where = ("--backend", made)
    run("backend", "enrol", "cam-7", *where, "--request", tmp_path / "request.pem", "--out", tmp_path / "chain.pem")
    heard(made, (Leaf.BIRTH, birth("cam-7", online=False, at=utc_now()).to_bytes()), camera_id="cam-7")

    run("backend", "revoke", "cam-7", *where, "--yes")

    assert "retired" in run("fleet", "show", "cam-7", *where)
    told = {one["camera_id"]: one for one in json.loads(run("fleet", "list", *where, "--json"))}
    assert [one["what"] for one in told["cam-7"]["findings"]] == ["retired"]


@pytest.mark.parametrize(
    "words",
    [("list",), ("show", "cam-1"), ("watch", "--times", "1"), ("counts", "cam-1"), ("command", "cam-1", "ping")],
    ids=lambda words: words[0],
)
def test_a_folder_without_a_backend_is_called_so_and_left_as_it_is(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "backend" / "authority").mkdir(parents=True)
    before = set(tmp_path.rglob("*"))

    with pytest.raises(UsageError, match="no backend") as refused:
        run("fleet", *words, "--backend", tmp_path)

    assert refused.value.hint == f"--backend {tmp_path / 'backend'}"
    assert set(tmp_path.rglob("*")) == before


def test_a_camera_is_shown_with_its_incidents(run: Run, made: Path) -> None:
    heard(made, (Leaf.LOG, batch([b"a"], camera_id="cam-3").to_bytes()), (Leaf.LOG, b"{}"), camera_id="cam-3")

    shown = json.loads(run("fleet", "show", "cam-3", "--backend", made, "--json"))

    assert [one["kind"] for one in shown["incidents"]] == ["malformed-log"]
    assert shown["log"]["next"] == 1
    assert "incident: malformed-log" in run("fleet", "show", "cam-3", "--backend", made)
    with pytest.raises(UsageError, match="cam-4"):
        run("fleet", "show", "cam-4", "--backend", made)


def test_what_a_camera_counted_is_shown_as_far_as_it_is_told(run: Run, made: Path) -> None:
    now = utc_now()
    row: dict[str, Fact] = {"place": "kerb", "interval_s": 900, "watched_s": 899, "suppressed_below": 5}
    told: dict[str, Fact] = {"person_left_to_right": 15, "person_left_to_right_kmh": 5, "cyclist_left_to_right": None}
    leaves = [
        encode_leaf(Event(number=number, at=at, kind=kind, facts=facts))
        for number, (at, kind, facts) in enumerate(
            (
                (now - DAY * 3, "counts", {**row, **told, "interval_at": (now - DAY * 3).isoformat()}),
                (now, "counts", {**row, **told, "interval_at": now.isoformat()}),
                (now, "counts", {**row, "interval_at": "noon"}),
                (now, "started", {}),
            )
        )
    ]
    heard(made, (Leaf.LOG, batch([*leaves, b"no leaf"], camera_id="cam-5").to_bytes()), camera_id="cam-5")

    rows = json.loads(run("fleet", "counts", "cam-5", "--backend", made, "--json"))
    shown = run("fleet", "counts", "cam-5", "--backend", made)

    assert rows == [{"place": "kerb", "interval_at": now.isoformat(), "watched_s": 899, "cells": told}]
    assert "person left to right kmh" in shown
    assert "not told" in shown
    assert len(json.loads(run("fleet", "counts", "cam-5", "--backend", made, "--json", "--hours", "100"))) == 2
    with pytest.raises(UsageError, match="cam-6"):
        run("fleet", "counts", "cam-6", "--backend", made)


def test_a_command_waits_for_its_answer(run: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard(made, (Leaf.STATUS, status("cam-5").to_bytes()), camera_id="cam-5")
    store = Store(BackendFolder(path=made).store_url)

    def answer(_duration: object) -> None:
        """Do what backend and camera do while the command waits."""
        with store.transaction() as fleet:
            for waiting in fleet.commands.waiting():
                command = Command.from_bytes(waiting.payload)
                fleet.commands.note_sent(command.id, now=utc_now())
                reply = Reply(
                    camera_id="cam-5",
                    name=command.name,
                    command_id=command.id,
                    at=utc_now(),
                    outcome=Outcome.DONE if command.name == "ping" else Outcome.REFUSED,
                    reason="" if command.name == "ping" else "no signature",
                    result={"uptime_s": 7} if command.name == "ping" else None,
                )
                fleet.commands.note_reply(reply, settled=True, now=utc_now())

    monkeypatch.setattr("provisioning.commands.fleet.clock.wait", answer)

    assert json.loads(run("fleet", "command", "cam-5", "ping", "--backend", made, "--json"))["outcome"] == "done"
    with pytest.raises(LinkError, match="no signature"):
        run("fleet", "command", "cam-5", "reboot", "--backend", made)
    with pytest.raises(UsageError, match="explode"):
        run("fleet", "command", "cam-5", "explode", "--backend", made)
    with pytest.raises(UsageError, match="JSON"):
        run("fleet", "command", "cam-5", "ping", "--args", "[1]", "--backend", made)
    store.close()


@pytest.mark.parametrize("address", ["mqtt://broker", "broker:8883", "mqtts://", "mqtts://broker:x", "mqtts://b/path"])
def test_there_is_no_way_to_a_broker_without_tls(run: Run, made: Path, address: str) -> None:
    with pytest.raises(UsageError, match="not a broker's address"):
        run("backend", "run", "--backend", made, "--collect-only", "--broker", address)


def test_publishing_nothing_must_be_meant(run: Run, made: Path) -> None:
    with pytest.raises(UsageError, match="collect-only"):
        run("backend", "run", "--backend", made, "--broker", "mqtts://broker")
