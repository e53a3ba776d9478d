"""Sealed footage goes where the configuration allows, whole, over restarts, and nowhere else."""

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.adapters.footage_files import FootageFiles
from agent.adapters.https_put import HttpsStore, check_address
from agent.core.messages.commands import FootageUploadArgs, Outcome
from agent.errors import ForeignFileError, UploadError, UploadRefusedError
from agent.link.upload import MAX_JOBS, Ended, Uploads
from tests.fakes.clock import NOON

FILE = "pole-7-20260601T120000.000000Z-00000001.mp4.age"
SEALED = bytes(range(256)) * 600
HOSTS = frozenset({"127.0.0.1"})
PART = 64 * 1024


class FakeStore(ThreadingHTTPServer):
    """Takes PUT. `failures` says how it answers before it takes anything."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Put)
        self.taken: dict[str, bytes] = {}
        self.failures: list[int] = []


class _Put(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        store = self.server
        assert isinstance(store, FakeStore)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = store.failures.pop(0) if store.failures else 200
        if status == 200:
            store.taken[self.path] = body
        self.send_response(status)
        self.send_header("ETag", f'"{len(body)}"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[FakeStore]:
    with FakeStore() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def footage(tmp_path: Path) -> FootageFiles:
    day = tmp_path / "footage/2026/06/01"
    day.mkdir(parents=True)
    (day / FILE).write_bytes(SEALED)
    (day / FILE.replace("00000001", "00000002")).write_bytes(SEALED[:100])
    (day / f"{FILE.replace('00000001', '00000003')}.part").write_bytes(b"running")
    (day / FILE.replace("pole-7", "pole-8")).write_bytes(b"another's")
    return FootageFiles(tmp_path / "footage", "pole-7")


def uploads(tmp_path: Path, footage: FootageFiles) -> Uploads:
    clock = SystemClock()
    return Uploads(tmp_path / "uploads", footage, HttpsStore(clock, hosts=HOSTS), clock, bytes_per_s=10**9, hosts=HOSTS)


def args_for(store: FakeStore, *paths: str, part_bytes: int | None = None, hours: int = 1) -> FootageUploadArgs:
    urls = [f"http://127.0.0.1:{store.server_address[1]}{path}" for path in paths]
    until = SystemClock().now() + timedelta(hours=hours)
    file = {"file": FILE, "urls": urls, "part_bytes": part_bytes}
    return FootageUploadArgs.model_validate_json(json.dumps({"files": [file], "until": until.isoformat()}))


def wait_for_end(running: Uploads) -> Ended:
    clock = SystemClock()
    deadline_us = clock.monotonic_us() + 60_000_000
    while clock.monotonic_us() < deadline_us:
        if (ended := running.ended()) is not None:
            return ended
        clock.wait(timedelta(milliseconds=10))
    raise AssertionError("the upload does not end")


def test_a_listing_shows_finished_segments_of_this_camera(footage: FootageFiles) -> None:
    hour = timedelta(hours=1)

    listed = [sealed.name.sequence for sealed in footage.between(NOON, NOON + hour)]

    assert listed == [1, 2]
    assert list(footage.between(NOON + timedelta(seconds=1), NOON + hour)) == []
    assert list(footage.between(NOON - hour, NOON)) == []


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", FILE.replace("pole-7", "pole-8"), f"{FILE}.part", FILE.replace("01.mp4", "09.mp4")]
)
def test_nothing_else_than_a_finished_segment_of_this_camera_is_opened(footage: FootageFiles, name: str) -> None:
    with pytest.raises(ForeignFileError):
        footage.open(name)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/x",
        "http://store.example/x",
        "https://127.0.0.1@elsewhere.example/x",
        "https://user:secret@127.0.0.1/x",
        "ftp://127.0.0.1/x",
        "https://[::1/x",
    ],
)
def test_an_address_this_camera_may_not_send_to_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(UploadRefusedError) as refused:
        check_address(url, hosts=HOSTS | {"store.example"})

    assert "secret" not in str(refused.value)
    assert "/x" not in str(refused.value)


def test_a_segment_arrives_as_it_lies(tmp_path: Path, footage: FootageFiles, store: FakeStore) -> None:
    with uploads(tmp_path, footage) as running:
        running.accept("c1", b"\x01", args_for(store, "/whole?signature=1"))
        ended = wait_for_end(running)

    assert (ended.outcome, ended.correlation) == (Outcome.DONE, b"\x01")
    assert store.taken == {"/whole?signature=1": SEALED}
    assert ended.result is not None
    assert ended.result.files[0].digest == hashlib.sha256(SEALED).hexdigest()
    assert list((tmp_path / "uploads").iterdir()) == []


def test_parts_go_on_where_they_stopped_after_a_restart(
    tmp_path: Path, footage: FootageFiles, store: FakeStore
) -> None:
    store.failures = [200, 503]
    first = uploads(tmp_path, footage)
    first.accept("c1", b"", args_for(store, "/1", "/2", "/3", part_bytes=PART))
    with pytest.raises(UploadError):
        first._carry_out(tmp_path / "uploads/c1.json")  # by hand: the link is killed before it tries again
    assert store.taken == {"/1": SEALED[:PART]}
    store.taken.clear()

    with uploads(tmp_path, footage) as running:
        ended = wait_for_end(running)

    assert ended.outcome is Outcome.DONE
    assert store.taken == {"/2": SEALED[PART : 2 * PART], "/3": SEALED[2 * PART :]}
    assert ended.result is not None
    assert ended.result.files[0].etags == ('"65536"', '"65536"', f'"{len(SEALED) - 2 * PART}"')


def test_a_store_that_says_no_ends_the_job(tmp_path: Path, footage: FootageFiles, store: FakeStore) -> None:
    store.failures = [403]
    with uploads(tmp_path, footage) as running:
        running.accept("c1", b"", args_for(store, "/1"))
        ended = wait_for_end(running)

    assert (ended.outcome, ended.reason) == (Outcome.FAILED, "the store answered 403")
    assert store.taken == {}


def test_a_job_whose_addresses_have_expired_is_given_up(
    tmp_path: Path, footage: FootageFiles, store: FakeStore
) -> None:
    store.failures = [503]
    with uploads(tmp_path, footage) as running:
        running.accept("c1", b"", args_for(store, "/1", hours=-1))
        ended = wait_for_end(running)

    assert ended.outcome is Outcome.FAILED
    assert "expired" in ended.reason


@pytest.mark.parametrize("parts", [1, 3, 4])
def test_addresses_that_do_not_fit_the_length_are_refused_and_nothing_is_sent(
    tmp_path: Path, footage: FootageFiles, store: FakeStore, parts: int
) -> None:
    args = args_for(store, *[f"/{number}" for number in range(parts)], part_bytes=100_000)
    with uploads(tmp_path, footage) as running:
        if parts == 1:
            with pytest.raises(UploadRefusedError):
                running.accept("c1", b"", args)
        else:
            running.accept("c1", b"", args)
            assert wait_for_end(running).outcome is Outcome.FAILED

    assert store.taken == {}


def test_no_more_jobs_wait_than_there_is_room_for(tmp_path: Path, footage: FootageFiles, store: FakeStore) -> None:
    waiting = uploads(tmp_path, footage)
    for number in range(MAX_JOBS):
        waiting.accept(f"c{number}", b"", args_for(store, "/1"))

    with pytest.raises(UploadError, match="wait already"):
        waiting.accept("one-more", b"", args_for(store, "/1"))

    assert len(list((tmp_path / "uploads").iterdir())) == MAX_JOBS


def test_a_damaged_job_is_thrown_away(tmp_path: Path, footage: FootageFiles, store: FakeStore) -> None:
    running = uploads(tmp_path, footage)
    (tmp_path / "uploads/a.json").write_text("{")
    with running:
        running.accept("c1", b"", args_for(store, "/1"))
        assert wait_for_end(running).command_id == "c1"

    assert list((tmp_path / "uploads").iterdir()) == []


def test_the_pace_is_kept(tmp_path: Path, footage: FootageFiles, store: FakeStore) -> None:
    from tests.fakes.clock import FakeClock  # noqa: PLC0415 - this test alone tells the time

    clock = FakeClock()
    sender = HttpsStore(clock, hosts=HOSTS)
    file, size_bytes = footage.open(FILE)
    with file:
        sender.put(
            f"http://127.0.0.1:{store.server_address[1]}/1", file, size_bytes, bytes_per_s=10_000, stopped=lambda: False
        )

    assert sum(clock.waits, timedelta()) >= timedelta(seconds=size_bytes // 10_000)
