"""The desk makes what a technician needs; what goes wrong is refused with a sentence and changes nothing."""

import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from agent.adapters.clock import SystemClock
from agent.adapters.qr import read_codes
from agent.core.enrolment.exchange import Answer
from agent.core.enrolment.signs import Stage
from agent.errors import (
    ClaimSignatureError,
    ClauseViolationError,
    EnrolmentError,
    MessageFormatError,
    StoppedError,
    UsageError,
)
from agent.link.enrol import Enrolment
from provisioning import __main__ as lamppost
from provisioning.enrolment.bundle import SecretFoundError, check, collect
from provisioning.enrolment.desk_folder import forget_secrets, read_work_order
from provisioning.enrolment.recovery import Fate, recover
from provisioning.enrolment.transport import Done, Half
from tests.fakes.cabled import CabledCamera
from tests.fakes.city import recording_city
from tests.fakes.documents import CAMERA
from tests.fakes.enrolling import utc_now
from tests.fakes.town import Town, add_site, enrol, run

SECRET = "the passphrase of the city"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = Town(tmp_path_factory.mktemp("town"))
    with made.city.serving():
        yield made


def test_a_site_is_recorded_and_printed_as_a_grant_wants_it(tmp_path: Path) -> None:
    add_site(tmp_path)
    again = add_site(tmp_path)

    shown = run("site", "show", "market-street", "--desk", tmp_path)

    assert "nothing new" in again
    assert 'public_name = "Market \\"Street\\""' in shown
    assert json.loads(run("site", "list", "--desk", tmp_path, "--json"))[0]["id"] == "market-street"


@pytest.mark.parametrize("words", [["--at", "north"], ["--at", "91,0"], ["--kind", "No Slug"]])
def test_a_site_that_is_none_is_refused(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(UsageError):
        add_site(tmp_path, *words)

    assert not (tmp_path / "sites").exists()


def test_a_site_whose_reason_the_charter_does_not_know_is_refused_at_once(tmp_path: Path) -> None:
    town = recording_city(now=utc_now())
    (tmp_path / "policy.bundle").write_bytes(town.publish())

    for basis, known in (("sustained-criminal-activity", True), ("a-hunch", False)):
        words = ["--city", tmp_path / "policy.bundle", "--purchase", "PO-1", "--basis", basis]
        if known:
            add_site(tmp_path, *words)
        else:
            with pytest.raises(ClauseViolationError, match="a-hunch"):
                add_site(tmp_path, *words)

    assert json.loads(run("site", "list", "--desk", tmp_path, "--json"))[0]["basis"] == "sustained-criminal-activity"


def test_a_work_order_has_a_code_that_reads_and_its_secrets_are_not_in_it(town: Town, tmp_path: Path) -> None:
    town.prepare()
    (tmp_path / "wifi").write_text(SECRET, encoding="utf-8")
    wifi = ["--wifi", "City", "--wifi-secret-file", tmp_path / "wifi"]

    run("work-order", "create", "cam-1", "--site", "market-street", *wifi, *town.signing)

    path = town.order("cam-1")
    order = read_work_order(path)
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    code = cv2.imread(str(path.with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert order.wifi is not None
    assert order.wifi.secret == SECRET
    assert read_codes(np.asarray(code, np.uint8)) == (order.claim,)
    assert SECRET.encode() not in order.claim
    assert "Market &quot;Street&quot;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_script_gets_a_plan_that_touches_nothing_and_then_the_facts(town: Town, tmp_path: Path) -> None:
    town.prepare()
    backend = ["--backend", town.city.folder.path]
    create = ["work-order", "create", "cam-20", "--site", "market-street", *town.signing]

    planned = json.loads(run(*create, "--dry-run", "--json"))
    assert not town.order("cam-20").exists()
    made, again = json.loads(run(*create, "--json")), json.loads(run(*create, "--json"))
    enrol(town.camera(tmp_path), town.order("cam-20"))
    before = town.order("cam-20").read_bytes()
    replacing = json.loads(run("replace", "cam-20", *town.signing, *backend, "--dry-run", "--json"))
    ending = json.loads(run("retire", "cam-20", *backend, "--dry-run", "--json"))

    assert [one["what"] for one in planned["plan"]] == ["site", "mounting", "board", "network", "good until", "writes"]
    assert Path(made["order"]) == town.order("cam-20")
    assert (made["changed"], again["changed"]) == (True, False)
    assert made["claim"] == again["claim"]
    assert len(replacing["plan"]) == 7
    assert len(ending["plan"]) == 2
    assert town.order("cam-20").read_bytes() == before
    assert "cam-20" not in town.city.authority.barred()
    assert json.loads(run("retire", "cam-20", *backend, "--yes", "--json"))["was_revoked"] is False


def test_what_changes_something_asks_first(town: Town) -> None:
    town.prepare()
    run("work-order", "create", "cam-21", "--site", "market-street", *town.signing)
    before = town.order("cam-21").read_bytes()

    for words in (["replace", "cam-21", *town.signing], ["retire", "cam-21", "--backend", town.city.folder.path]):
        with pytest.raises(UsageError, match="nobody to ask"):
            run(*map(str, words))

    assert town.order("cam-21").read_bytes() == before


def test_a_second_work_order_is_not_made_while_one_is_open(town: Town) -> None:
    town.prepare()
    run("work-order", "create", "cam-2", "--site", "market-street", *town.signing)
    path = town.order("cam-2")
    before = path.read_bytes()

    said = run("work-order", "create", "cam-2", "--site", "market-street", *town.signing)

    assert "already" in said
    assert path.read_bytes() == before


def test_a_camera_that_is_enrolled_gets_no_second_claim_unless_it_says_so(town: Town) -> None:
    town.prepare()
    create = ["work-order", "create", "cam-31", "--site", "market-street", *town.signing]
    run(*map(str, create))
    forget_secrets(town.order("cam-31"), now=utc_now())
    before = town.order("cam-31").read_bytes()

    for words in ([], ["--again"]):
        with pytest.raises(UsageError, match="enrolled already") as refused:
            run(*map(str, create), *words)
        assert refused.value.hint is not None
        assert "lamppost replace cam-31" in refused.value.hint
        assert town.order("cam-31").read_bytes() == before

    run(*map(str, create), "--replaces")
    assert read_work_order(town.order("cam-31")).claimed().replaces


def test_a_name_that_no_grant_covers_is_told_before_anybody_climbs(town: Town, tmp_path: Path) -> None:
    town.prepare()
    (tmp_path / "policy.bundle").write_bytes(recording_city(now=utc_now()).publish())
    create = ["work-order", "create", "cam-32", "--site", "market-street", *town.signing]

    planned = run(*map(str, create), "--city", tmp_path, "--dry-run")
    told, again = (run(*map(str, create), "--city", tmp_path) for _ in range(2))

    assert "no grant covers cam-32" in planned
    assert "! the work order of cam-32 is made" in told
    assert "no grant covers cam-32" in again
    assert town.order("cam-32").exists()


def test_a_desk_that_knows_what_is_granted_needs_no_word(town: Town) -> None:
    town.prepare()
    published = town.desk / "policy.bundle"
    published.write_bytes(recording_city(now=utc_now()).publish())
    create = ["--site", "market-street", *town.signing, "--json"]

    try:
        mistyped, granted = (
            json.loads(run("work-order", "create", name, *create))["warning"] for name in ("cam-33", CAMERA)
        )
    finally:
        published.unlink()  # the town is shared

    assert "no grant covers cam-33" in mistyped
    assert granted is None


def test_what_is_no_work_order_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Lamppost", encoding="utf-8")

    with pytest.raises(MessageFormatError, match=r"README\.md is not a work order"):
        run("provision", tmp_path / "README.md", "--dir", tmp_path / "camera", "--yes")

    assert not (tmp_path / "camera").exists()


def test_a_camera_that_is_provisioned_and_dark_is_not_told_as_well(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.prepare()
    run("work-order", "create", "cam-34", "--site", "market-street", *town.signing)
    camera = town.camera(tmp_path)
    camera.granted = False
    monkeypatch.setattr("provisioning.commands.provision._transport", lambda *_: camera)

    told = run("provision", town.order("cam-34"), "--host", "tech@10.55.0.1", "--yes")

    assert "! cam-34 is provisioned, and does not record" in told
    assert "is cam-34 the name" in told


def test_a_passphrase_goes_into_the_code_only_if_asked_for_and_said_aloud(town: Town, tmp_path: Path) -> None:
    town.prepare()
    (tmp_path / "wifi").write_text(SECRET, encoding="utf-8")
    wifi = ["--wifi", "City", "--wifi-secret-file", tmp_path / "wifi", "--wifi-secret-in-code"]

    said = run("work-order", "create", "cam-3", "--site", "market-street", *wifi, *town.signing)

    assert "who photographs it has it" in said
    assert SECRET.encode() in read_work_order(town.order("cam-3")).claim


@pytest.mark.parametrize(
    "words",
    [
        ["cam-4", "--site", "nowhere"],
        ["Cam_4", "--site", "market-street"],
        ["cam-4", "--site", "market-street", "--wifi-secret-in-code"],
        ["cam-4", "--site", "market-street", "--wifi", "City", "--wifi-secret-in-code"],
    ],
)
def test_a_work_order_that_cannot_be_is_refused(town: Town, words: list[str]) -> None:
    town.prepare()

    with pytest.raises(UsageError):
        run("work-order", "create", *words, *town.signing)

    assert not (town.desk / "orders" / f"{words[0]}.order").exists()


def test_a_desk_that_does_not_know_the_fleet_says_how_to_tell_it(town: Town, tmp_path: Path) -> None:
    add_site(tmp_path)

    with pytest.raises(UsageError) as refused:
        run("work-order", "create", "cam-5", "--site", "market-street", *town.signing[:-1], tmp_path)

    assert "lamppost site fleet" in str(refused.value.hint)


def test_the_code_that_a_camera_shows_is_confirmed_from_the_laptop(town: Town, tmp_path: Path) -> None:
    town.prepare()
    run("work-order", "create", "cam-6", "--site", "market-street", *town.signing)
    path = town.order("cam-6")
    camera = town.camera(tmp_path)
    camera.config.policy.outbox.mkdir()
    (camera.config.policy.outbox / "found.claim").write_bytes(read_work_order(path).claim)
    waiting = Enrolment(camera.config, board=None, clock=SystemClock())
    code = waiting.step().code

    pending = run("enrol", "pending", "--backend", town.city.folder.path, "--json")
    with pytest.raises(EnrolmentError) as misread:
        run("enrol", "confirm", f"{(int(code) + 1) % 1_000_000:06}", "--order", path)
    said = run("enrol", "confirm", f"{code[:3]} {code[3:]}", "--order", path)

    assert "read the lamp again" in str(misread.value.hint)
    assert [one["camera_id"] for one in json.loads(pending)] == ["cam-6"]
    assert code not in pending
    assert "cam-6 is enrolled" in said
    settled = json.loads(run("enrol", "pending", "--backend", town.city.folder.path, "--all", "--json"))
    assert [one["confirmed_by"] for one in settled if one["camera_id"] == "cam-6"] == ["order"]
    assert waiting.step().stage is Stage.ENROLLED


def test_an_operator_confirms_what_was_told_by_telephone(town: Town, tmp_path: Path) -> None:
    town.prepare()
    run("work-order", "create", "cam-7", "--site", "market-street", *town.signing)
    camera = town.camera(tmp_path)
    camera.config.policy.outbox.mkdir()
    claim = read_work_order(town.order("cam-7")).claim
    (camera.config.policy.outbox / "found.claim").write_bytes(claim)
    code = Enrolment(camera.config, board=None, clock=SystemClock()).step().code
    there = ["--backend", town.city.folder.path, "--office", town.key]

    with pytest.raises(UsageError, match="no request"):
        run("enrol", "confirm", code, "--camera", "cam-unknown", *there)
    with pytest.raises(ClaimSignatureError):
        run("enrol", "confirm", "000000" if code != "000000" else "000001", "--camera", "cam-7", *there)
    assert "cam-7 is enrolled" in run("enrol", "confirm", code, "--camera", "cam-7", *there)


@pytest.mark.parametrize("code", ["12345", "abcdef", "1234567"])
def test_what_is_no_code_is_not_sent_anywhere(code: str) -> None:
    with pytest.raises(UsageError, match="six digits"):
        run("enrol", "confirm", code, "--order", "nowhere.order")


def test_a_request_is_answered_by_file(town: Town, tmp_path: Path) -> None:
    town.prepare()
    run("work-order", "create", "cam-8", "--site", "market-street", *town.signing)
    camera = town.camera(tmp_path / "camera")
    enrolment = Enrolment(camera.config, board=None, clock=SystemClock())
    enrolment.take(read_work_order(town.order("cam-8")).for_camera())
    (tmp_path / "request").write_bytes(enrolment.to_carry())
    there = ["--backend", town.city.folder.path, "--office", town.key]

    run("enrol", "offline", tmp_path / "request", "--out", tmp_path / "answer", *there)
    with pytest.raises(UsageError, match="exists already"):
        run("enrol", "offline", tmp_path / "request", "--out", tmp_path / "answer", *there)

    enrolment.carried_back(Answer.from_bytes((tmp_path / "answer").read_bytes()))
    assert enrolment.step().stage is Stage.ENROLLED


def test_an_image_learns_whose_claims_count(town: Town, tmp_path: Path) -> None:
    run("enrol", "offices", town.key, "--out", tmp_path / "offices")

    assert town.public.public_bytes_raw().hex() in (tmp_path / "offices").read_text(encoding="utf-8")


def test_a_replacement_takes_the_place_and_the_old_camera_falls_silent(town: Town, tmp_path: Path) -> None:
    town.prepare()
    run("work-order", "create", "cam-9", "--site", "market-street", "--mounting", "pole 9", *town.signing)
    path = town.order("cam-9")
    old, new = town.camera(tmp_path / "old"), town.camera(tmp_path / "new")
    enrol(old, path)

    told = run("replace", "cam-9", *town.signing, "--yes")

    assert "take the old one down" in told
    assert "lamppost retire cam-9 --host" in told
    order = read_work_order(path)
    assert order.claimed().replaces
    assert order.mounting == "pole 9"
    assert list(path.parent.glob("cam-9-*.old"))
    assert "cam-9" not in town.city.authority.barred()
    before = town.city.authority.expires_at("cam-9")
    enrol(new, path)
    assert before is not None
    assert "cam-9" not in town.city.authority.barred()
    assert new.config.link.credential.read_bytes() != old.config.link.credential.read_bytes()


def test_a_stolen_camera_is_cut_off_before_its_replacement_is_there(town: Town, tmp_path: Path) -> None:
    town.prepare()
    run("work-order", "create", "cam-10", "--site", "market-street", *town.signing)
    path = town.order("cam-10")
    enrol(town.camera(tmp_path / "old"), path)

    run("replace", "cam-10", *town.signing, "--backend", town.city.folder.path, "--yes")

    assert "cam-10" in town.city.authority.barred()
    new = town.camera(tmp_path / "new")
    enrol(new, path)
    assert "cam-10" not in town.city.authority.barred()


def test_a_retired_camera_is_nobody_and_keeps_its_footage(town: Town, tmp_path: Path) -> None:
    town.prepare()
    run("work-order", "create", "cam-11", "--site", "market-street", *town.signing)
    camera = town.camera(tmp_path)
    enrol(camera, town.order("cam-11"))
    footage = camera.config.storage.footage / "2026/11/28/cam.mp4.age"
    footage.parent.mkdir(parents=True)
    footage.write_bytes(b"sealed")

    run("retire", "cam-11", "--backend", town.city.folder.path, "--yes")
    for half in Half:
        assert camera.agent(half, ["retire", "--half", half.value]).status == 0

    assert "cam-11" in town.city.authority.barred()
    assert footage.read_bytes() == b"sealed"
    assert not camera.config.link.credential.exists()
    assert Enrolment(camera.config, board=None, clock=SystemClock()).step().stage is Stage.LOOKING


def test_a_label_shows_the_sites_page_and_the_enrolled_key(town: Town, tmp_path: Path) -> None:
    town.prepare()
    run("work-order", "create", "cam-12", "--site", "market-street", *town.signing)
    enrol(town.camera(tmp_path), town.order("cam-12"))
    words = ["cam-12", "--desk", town.desk, "--url", "https://cameras.city.example/sites/{site}"]

    run("label", *words, "--backend", town.city.folder.path, "--out", tmp_path / "labels")

    png = cv2.imread(str(tmp_path / "labels" / "cam-12-label.png"), cv2.IMREAD_GRAYSCALE)
    assert png is not None
    assert png.shape == (472, 709)  # 40 by 60 mm at 300 dpi
    assert read_codes(np.asarray(png, np.uint8)) == (b"https://cameras.city.example/sites/market-street",)
    assert (tmp_path / "labels" / "cam-12-label.pdf").read_bytes().startswith(b"%PDF-")
    for wrong in (["--url", "http://plain.example"], []):
        with pytest.raises(UsageError):
            run("label", *words, *wrong)


@pytest.mark.parametrize(
    "words", [["label", "--url", "https://cameras.city.example", "--key", "0001"], ["replace"], ["work-order", "show"]]
)
def test_who_looks_at_another_desk_is_told_so(town: Town, tmp_path: Path, words: list[str]) -> None:
    signing = town.signing[:-1] if words == ["replace"] else ["--desk"]

    with pytest.raises(UsageError, match=f"no work order of cam-31 in {tmp_path}") as refused:
        run(*words, "cam-31", *signing, tmp_path)

    assert "--desk FOLDER" in str(refused.value.hint)


@pytest.mark.parametrize("words", [["work-order", "create"], ["replace"], ["provision"]])
def test_the_help_names_every_option_whole_in_a_terminal_of_80_columns(words: list[str]) -> None:
    app = lamppost._application(words[0])

    said = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).output

    assert "--desk" in said or words == ["provision"]
    assert not re.findall(r"--[a-z-]+…", said)


def test_a_bundle_tells_what_is_wrong_and_no_secret(town: Town, tmp_path: Path) -> None:
    town.prepare()
    run("work-order", "create", "cam-13", "--site", "market-street", *town.signing)
    order = read_work_order(town.order("cam-13")).for_camera()
    camera = town.camera(tmp_path)
    enrolment = Enrolment(camera.config, board=None, clock=SystemClock())
    enrolment.take(order)  # the order's key lies on the camera now
    enrol(camera, town.order("cam-13"))
    enrolment.take(order)
    (camera.config.state.folder / "keys").mkdir(parents=True)
    (camera.config.state.folder / "keys" / "log.pem").write_text("-----BEGIN PRIVATE KEY-----\nx\n", encoding="ascii")

    packed = collect(camera, now=SystemClock().now())

    bundle = zipfile.ZipFile(io.BytesIO(packed))
    told = b"".join(bundle.read(name) for name in bundle.namelist())
    key = camera.config.link.credential.read_bytes().split(b"-----END")[0].split(b"-----\n")[1]
    assert b"CN=cam-13" in told
    assert b"log.pem" in told  # its name and mode, which may be what is wrong
    assert order.key is not None
    for secret in (order.key, order.key.hex().encode(), *key.splitlines(), b"PRIVATE KEY"):
        assert secret not in told


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN PRIVATE KEY-----",
        b"AGE-SECRET-KEY-1",
        b"psk=hidden",
        b"rtsp://me:secret@camera",
        b"\x89PNG\r\n\x1a\n",
        b"xxmoof",
    ],
)
def test_a_bundle_with_a_secret_or_a_picture_in_it_is_not_written(content: bytes) -> None:
    with pytest.raises(SecretFoundError):
        check("journal.txt", b"before\n" + content + b"\nafter")


def test_a_card_that_fails_gives_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(b"sealed" * 1000)
    bad.write_bytes(b"sealed" * 1000)
    real = Path.open

    def failing(self: Path, *words: Any, **named: Any) -> Any:
        if self == bad:
            raise OSError(5, os.strerror(5))
        return real(self, *words, **named)

    monkeypatch.setattr(Path, "open", failing)

    copied, lost = (recover(one, tmp_path / "out" / one.name) for one in (good, bad))
    again = recover(good, tmp_path / "out" / "good")

    assert (copied.fate, lost.fate, again.fate) == (Fate.COPIED, Fate.LOST, Fate.THERE)
    assert "input/output error" in lost.words
    assert (tmp_path / "out" / "good").read_bytes() == good.read_bytes()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]


def test_nothing_on_a_card_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()

    with pytest.raises(UsageError, match="no footage"):
        run("recover", tmp_path / "card", "--out", tmp_path / "out")

    assert not (tmp_path / "out").exists()


class StoppedAt:
    """A camera, at whose `words` a person presses Ctrl-C, once."""

    def __init__(self, camera: CabledCamera, words: list[str]) -> None:
        self._camera = camera
        self._words = words

    def agent(self, half: Half, argv: list[str], **given: bytes) -> Done:
        if argv == self._words:
            self._words = []
            raise KeyboardInterrupt
        return self._camera.agent(half, argv, **given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)


def test_who_stops_a_provisioning_is_told_how_far_it_is_and_it_goes_on(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.prepare()
    run("work-order", "create", "cam-30", "--site", "market-street", *town.signing)
    camera = StoppedAt(town.camera(tmp_path), ["enrol", "--once"])
    monkeypatch.setattr("provisioning.commands.provision._transport", lambda *_: camera)
    words = ["provision", town.order("cam-30"), "--host", "tech@10.55.0.1", "--yes"]

    with pytest.raises(StoppedError, match="2 of 7") as stopped:
        run(*map(str, words))

    assert "same command again" in str(stopped.value.hint)
    first, second = run(*map(str, words)), run(*map(str, words))
    for said in (first, second):  # each names the commands that follow, whole
        assert "cam-30 is provisioned" in said
        assert f"--desk {town.desk}" in said
        assert "lamppost commission cam-30 --host tech@10.55.0.1 --key" in said
        assert "lamppost fleet list --backend FOLDER" in said
        assert "lamppost label cam-30 --url PAGE --key '" in said
        assert len(re.findall(r"(?:: |now +)records", said)) == 1  # what it does now is told at the end, and only there


def test_a_command_that_is_stopped_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise typer.Exit(StoppedError.exit_status)

    app = typer.Typer()
    app.command()(stop)
    for command, goes_on in (("recover", True), ("keys", False)):
        monkeypatch.setattr(sys, "argv", [command])
        monkeypatch.setattr(lamppost, "_application", lambda _: app)
        monkeypatch.setattr(lamppost, "_wanted", lambda *_, command=command: command)

        with pytest.raises(SystemExit) as end:
            lamppost.main()

        said = capsys.readouterr().err
        assert end.value.code == 130
        assert "stopped before it was done" in said
        assert ("hint: run the same command again" in said) == goes_on
