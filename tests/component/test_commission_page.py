"""The commissioning page opens once, in one browser, from its own address, and not for long."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.core.masking.blocks import BlockMask
from agent.core.messages.aiming import Act, AimingUpdate, Shown, ViewTold, ZoneTold
from agent.core.video import FrameSize
from agent.core.zones import Zone
from agent.errors import AimingRefusedError, SignatureError
from provisioning.authority.keys import KeyCard, OfficialKey
from provisioning.commissioning.bench import Bench
from provisioning.commissioning.camera_side import Seen
from provisioning.commissioning.certificate import make_certificate
from provisioning.commissioning.proposal import Proposal, parse_proposal
from provisioning.commissioning.record import CommissioningRecord, parse_record
from provisioning.web.commission.gate import COOKIE, MOST_WRONG_TOKENS, Gate, TurnedAwayError
from provisioning.web.commission.server import PAGE, Listening, PageServer, application
from tests.fakes.officials import official

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SIZE = FrameSize(1280, 720)
LEFT = ((0.0, 0.0), (0.2, 0.0), (0.2, 1.0), (0.0, 1.0))
MORE = ((0.5, 0.2), (0.7, 0.2), (0.7, 0.5), (0.5, 0.5))
TECHNICIAN = official("technician")


def update(**changes: Any) -> AimingUpdate:
    grid = BlockMask.from_zones(SIZE, [Zone(name="left", polygon=LEFT)]).grid
    usual = AimingUpdate(
        window="w-1",
        until=NOON + timedelta(minutes=30),
        number=1,
        captured_at=NOON,
        camera_id="cam-07",
        software="0.1.0",
        width_px=1280,
        height_px=720,
        rotation_degrees=0,
        shown=Shown.PICTURE,
        reason="records for Public safety",
        policy_digest="5" * 64,
        view=ViewTold(aspect_width=16, aspect_height=9, rotation_degrees=0),
        zones=(ZoneTold(name="left", polygon=LEFT),),
        zones_grid=np.packbits(grid).tobytes(),
        focus=0.5,
        roll_degrees=0.2,
        picture_bytes=4,
    )
    return usual.model_copy(update=changes)


@dataclass
class ScriptedView:
    """A camera that shows what a test says."""

    seen: Seen | None = field(default_factory=lambda: Seen(update(), b"JPEG"))
    asked: list[Act] = field(default_factory=list)
    ended: str = ""

    def wait_newer(self, number: int, timeout_s: float) -> Seen | None:
        return self.seen if self.seen is not None and self.seen.update.number > number else None

    def latest(self) -> Seen | None:
        return self.seen

    def ask(self, act: Act) -> None:
        if self.ended:
            raise AimingRefusedError(self.ended)
        self.asked.append(act)

    def over(self) -> str:
        return self.ended


@dataclass(frozen=True)
class Answer:
    """What the page's server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def stated(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


class Visitor:
    """A browser, as far as headers go."""

    def __init__(self, gate: Gate, certificate: Path | None = None) -> None:
        self.gate = gate
        self._certificate = certificate
        self.cookie = ""

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        host = self.gate.host
        if self._certificate is None:
            connection = HTTPConnection(host, timeout=60)
        else:
            trusting = ssl.create_default_context(cafile=str(self._certificate))
            connection = HTTPSConnection(host, timeout=60, context=trusting)
        usual = {"Cookie": self.cookie} if self.cookie else {}
        if method == "POST":
            usual |= {"Origin": self.gate.origin, "Content-Type": "application/json"}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, None if method == "GET" else content, {**usual, **sent})
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, read)

    def enter(self) -> Answer:
        answer = self.ask("GET", f"/?token={self.gate.token}")
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer


@dataclass(frozen=True)
class Opened:
    """A page that is served."""

    gate: Gate
    view: ScriptedView
    out: Path
    certificate: Path | None
    serving: threading.Thread
    _server: PageServer

    def visitor(self) -> Visitor:
        return Visitor(self.gate, self.certificate)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir())


@contextmanager
def served(out: Path, *, encrypted: bool = False) -> Iterator[Opened]:
    out.mkdir()
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"{'https' if encrypted else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    certificate = out.parent / "page.pem" if encrypted else None
    if certificate is not None:
        now = datetime.now(UTC)
        make_certificate(certificate, "127.0.0.1", now=now, until=now + timedelta(minutes=30))
    gate = Gate(origin=origin, token="the-token", session="the-session")
    view = ScriptedView()
    bench = Bench(out, TECHNICIAN, NOON, lambda: NOON)
    app = application(view, bench, gate, lambda: server.stop())  # noqa: PLW0108 - made below
    server = PageServer(app, Listening(socket=listener, origin=origin, certificate=certificate))
    serving = threading.Thread(target=lambda: server.run(lambda: bool(view.ended)))
    serving.start()
    try:
        yield Opened(gate, view, out, certificate, serving, server)
    finally:
        server.stop()
        serving.join(60)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Opened]:
    with served(tmp_path / "out") as opened:
        yield opened


def drawn(*zones: tuple[tuple[float, float], ...], **changes: Any) -> dict[str, Any]:
    return {
        "zones": [{"name": f"area {n}", "polygon": polygon} for n, polygon in enumerate(zones, 1)],
        "no_zones_statement": None,
        "lines": [],
        "mounting": None,
        "comment": None,
        **changes,
    }


# --- who is let in --------------------------------------------------------------------


def test_the_token_opens_the_page_once(page: Opened) -> None:
    first, second = page.visitor(), page.visitor()

    entered = first.enter()
    turned_away = second.enter()

    assert entered.status == 303
    assert entered.headers["location"] == "/"
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(entered.headers["set-cookie"].split("; "))
    assert first.ask("GET", "/").status == 200
    assert turned_away.status == 403
    assert "set-cookie" not in turned_away.headers
    assert second.ask("GET", "/").status == 403
    assert b"another browser" in second.ask("GET", "/").body


def test_without_the_token_there_is_nothing_to_see(page: Opened) -> None:
    stranger = page.visitor()
    for path in ("/", "/page/app.js", "/api/view", "/api/picture?n=1", "/?token=guess", "/?token="):
        answer = stranger.ask("GET", path)

        assert answer.status == 403
        assert b"JPEG" not in answer.body
        assert b"cam-07" not in answer.body
    assert stranger.ask("POST", "/api/proposal", drawn(MORE)).status == 403
    assert page.files() == []


def test_guessing_ends_after_a_few_tokens_even_with_the_right_one() -> None:
    gate = Gate(origin="http://127.0.0.1:1", token="right", session="s")

    for _ in range(MOST_WRONG_TOKENS):
        with pytest.raises(TurnedAwayError):
            gate.exchange("wrong")

    with pytest.raises(TurnedAwayError):
        gate.exchange("right")


def test_a_request_under_another_name_is_turned_away(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()

    assert visitor.ask("GET", "/", Host="rebound.example").status == 421
    assert visitor.ask("GET", "/", Host=f"localhost:{page.gate.host.partition(':')[2]}").status == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_what_another_site_sends_changes_nothing(page: Opened, headers: dict[str, str], status: int) -> None:
    visitor = page.visitor()
    visitor.enter()

    assert visitor.ask("POST", "/api/proposal", drawn(MORE), **headers).status == status
    assert visitor.ask("POST", "/api/finish", {"remark": None}, **headers).status == status
    assert visitor.ask("POST", "/api/approve", {}, **headers).status == status
    assert page.files() == []
    assert page.view.asked == []


def test_every_answer_forbids_what_the_page_does_not_need(page: Opened) -> None:
    visitor = page.visitor()
    answers = [visitor.ask("GET", "/"), visitor.enter(), visitor.ask("GET", "/"), visitor.ask("GET", "/page/app.js")]

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


def test_the_page_brings_no_script_or_style_in_itself_and_nothing_from_elsewhere() -> None:
    text = (PAGE / "index.html").read_text(encoding="utf-8")

    assert "<style" not in text
    assert " style=" not in text
    assert " on" not in [word[:3] for word in text.split("<")]
    for path in PAGE.iterdir():
        content = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in content
        assert "https://" not in content
        assert "innerHTML" not in content
        assert "eval(" not in content


def test_no_path_leads_out_of_the_pages_folder(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()

    for path in ("/page/..%2fserver.py", "/page/../gate.py", "/page/%2e%2e/gate.py", "/page/server.py", "/page/"):
        assert visitor.ask("GET", path).status == 404


def test_too_many_requests_are_turned_away_and_others_come_later() -> None:
    gate = Gate(origin="http://127.0.0.1:1", token="t", session="s")
    headers = {"host": "127.0.0.1:1"}

    def turned_away(now_s: float, requests: int) -> int:
        count = 0
        for _ in range(requests):
            try:
                gate.pass_by(headers, now_s=now_s)
            except TurnedAwayError as error:
                count += error.status == 429
        return count

    assert turned_away(0.0, 100) == 40
    assert turned_away(1.0, 100) == 80
    assert turned_away(100.0, 10) == 0


def test_beyond_the_machine_the_page_is_served_over_tls_with_a_cookie_that_goes_nowhere_else(tmp_path: Path) -> None:
    with served(tmp_path / "out", encrypted=True) as page:
        visitor = page.visitor()

        entered = visitor.enter()

        assert "Secure" in entered.headers["set-cookie"].split("; ")
        assert visitor.ask("GET", "/").status == 200
        assert page.certificate is not None
        assert page.certificate.stat().st_mode & 0o777 == 0o600


# --- what is shown and left behind ----------------------------------------------------


def test_the_page_is_told_what_the_camera_shows(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()

    told = visitor.ask("GET", "/api/view?after=0").stated()

    assert told["camera_id"] == "cam-07"
    assert base64.b64decode(told["zones_grid"]) == update().zones_grid
    assert [check["what"] for check in told["checks"]][:2] == ["private-areas", "areas-in-force"]
    assert visitor.ask("GET", "/api/picture?n=1").body == b"JPEG"
    assert visitor.ask("GET", "/api/picture?n=2").status == 204
    assert visitor.ask("GET", "/api/view?after=1").stated() == {"number": 1}
    assert COOKIE in visitor.cookie


def test_a_proposal_is_signed_and_says_what_would_change(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()

    widening = visitor.ask("POST", "/api/proposal", drawn(MORE)).stated()
    narrowing = visitor.ask("POST", "/api/proposal", drawn(LEFT, MORE)).stated()

    assert widening["narrows_only"] is False
    assert widening["uncovered"] == 45 * 17
    assert narrowing["narrows_only"] is True
    assert narrowing["added"] == widening["added"] > 0
    proposal, signed = parse_proposal((page.out / narrowing["file"]).read_bytes())
    assert isinstance(proposal, Proposal)
    assert proposal.digest == narrowing["digest"]
    assert proposal.camera == "cam-07"
    assert proposal.view.aspect_width == 16
    signed.by(TECHNICIAN.card)


def begun_again(out: Path, key: OfficialKey = TECHNICIAN, **changes: Any) -> dict[str, Any] | None:
    bench = Bench(out, key, NOON, lambda: NOON)
    bench.resume(update(**changes))
    return bench.resumed()


def test_what_was_saved_before_the_laptop_died_is_what_drawing_goes_on_from(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()
    assert visitor.ask("GET", "/api/view?after=0").stated()["proposal"] is None
    file = visitor.ask("POST", "/api/proposal", drawn(LEFT, MORE, comment="A balcony.")).stated()["file"]

    resumed = begun_again(page.out)

    assert resumed is not None
    assert resumed["file"] == file
    assert [len(zone["polygon"]) for zone in resumed["zones"]] == [4, 4]
    assert resumed["comment"] == "A balcony."
    for other in ({"policy_digest": "6" * 64}, {"camera_id": "cam-08"}, {"width_px": 640}, {"rotation_degrees": 180}):
        assert begun_again(page.out, **other) is None
    assert begun_again(page.out, official("technician", who="somebody else")) is None
    (page.out / file).write_bytes(b"half")
    assert begun_again(page.out) is None


def test_what_was_finished_is_not_gone_on_from(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()
    visitor.ask("POST", "/api/proposal", drawn(LEFT, MORE))
    visitor.ask("POST", "/api/finish", {"remark": None})

    assert begun_again(page.out) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (drawn(), "no private area"),
        (drawn(MORE, no_zones_statement="none"), "private areas are drawn, and a statement"),
        (drawn(((0, 0), (1, 0), (1, 1), (0, 1))), "hide the whole picture"),
        (drawn(((0.1, 0.1), (0.3, 0.3), (0.3, 0.1), (0.1, 0.3))), "cross"),
        (drawn(((0.1, 0.1), (0.3, 1.3), (0.3, 0.1))), "less than or equal to 1"),
        (drawn(((0.1, 0.1), (-0.3, 0.3), (0.3, 0.1))), "greater than or equal to 0"),
        (drawn(((0.5, 0.5), (0.5, 0.5), (0.5, 0.5))), "next to no area"),
        (drawn(tuple((n / 1000, n % 2) for n in range(1000))), "1000 corners, expected 3 to 64"),
        (drawn(*[MORE] * 65), "at most 64"),
        (drawn(MORE, lines=[{"name": "kerb", "start": [0.1, 0.1], "end": [0.1, 0.1]}]), "no length"),
        (drawn(MORE, camera="cam-08"), "unknown: 'camera'"),
        (drawn(MORE, mounting={"height_m": 1.0}), "mounting"),
        (b"{", "not strict JSON"),
        (b"[" * 10_000, "deep"),
        (b'{"zones": [], "zones": []}', "not strict JSON"),
        (b" " * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_drawing_that_is_none_is_refused_and_nothing_is_saved(page: Opened, wrong: object, said: str) -> None:
    visitor = page.visitor()
    visitor.enter()

    answer = visitor.ask("POST", "/api/proposal", wrong)

    assert answer.status == 422
    assert said in answer.stated()["problem"]
    assert page.files() == []


def test_finishing_signs_a_record_of_what_was_found_and_ends_the_page(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()
    visitor.ask("POST", "/api/proposal", drawn(LEFT))

    told = visitor.ask("POST", "/api/finish", {"remark": "Ladder stood on the kerb."}).stated()

    page.serving.join(60)
    assert not page.serving.is_alive()
    record, signed = parse_record((page.out / told["file"]).read_bytes())
    assert isinstance(record, CommissioningRecord)
    signed.by(TECHNICIAN.card)
    found = {check.what: check.passed for check in record.checks}
    assert found == {
        "private-areas": True,
        "areas-in-force": True,
        "focus": True,
        "level": True,
        "reference-view": False,
        "pixel-density": None,
        "policy": True,
    }
    assert told["complete"] is record.complete is False
    assert record.remark == "Ladder stood on the kerb."
    assert record.window == "w-1"


def test_a_window_that_is_over_takes_nothing_more_and_the_page_ends(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()

    page.view.ended = "its time is over"

    answer = visitor.ask("POST", "/api/proposal", drawn(MORE))
    assert (answer.status, answer.stated()) == (410, {"over": "its time is over"})
    assert visitor.ask("GET", "/api/view?after=0").status == 410
    assert visitor.ask("POST", "/api/approve", {}).status == 410
    assert page.files() == []
    page.serving.join(60)
    assert not page.serving.is_alive()


def test_approving_is_asked_of_the_recorder(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()

    assert visitor.ask("POST", "/api/approve", {}).status == 200
    assert page.view.asked == [Act.APPROVE_VIEW]


def test_a_camera_that_has_shown_nothing_can_be_neither_drawn_over_nor_finished(page: Opened) -> None:
    page.view.seen = None
    visitor = page.visitor()
    visitor.enter()

    assert visitor.ask("POST", "/api/proposal", drawn(MORE)).status == 410
    assert visitor.ask("POST", "/api/finish", {"remark": None}).status == 410
    assert page.files() == []


def test_a_file_that_was_changed_or_is_another_technicians_is_refused(page: Opened) -> None:
    visitor = page.visitor()
    visitor.enter()
    told = visitor.ask("POST", "/api/proposal", drawn(LEFT, MORE)).stated()
    raw = (page.out / told["file"]).read_bytes()

    with pytest.raises(SignatureError, match="does not carry the signature"):
        parse_proposal(raw.replace(b"0.5,", b"0.4,", 1))
    _, signed = parse_proposal(raw)
    other: KeyCard = official("technician", who="somebody else").card
    with pytest.raises(SignatureError, match="expected that of"):
        signed.by(other)
