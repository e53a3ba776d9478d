"""A technician draws in a real browser; officials sign; the recorder fills exactly what the page showed."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.core.masking.blocks import FILL_Y
from agent.core.policy.documents import NarrowZones
from agent.core.video import MACROBLOCK_PX
from provisioning.commissioning.proposal import parse_proposal
from provisioning.commissioning.record import parse_record
from provisioning.footage.catalogue import find_segments
from provisioning.footage.opening import open_segment
from tests.fakes.browser import opened_page
from tests.fakes.commissioning import OpenPage, Technician, open_page, technician
from tests.fakes.desk import CAMERA, Desk
from tests.fakes.documents import restriction
from tests.tools.npm_package import install

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # a browser, a camera and two programs on a busy machine

AXE = "axe-core@4.14.1"
WINDOW = ((0.55, 0.2), (0.75, 0.22), (0.74, 0.5), (0.56, 0.48))
TOLERANCE = 6  # of 255; x264 over flat blocks
SETTINGS = {
    "LAMPPOST_CAMERA__WIDTH_PX": "640",
    "LAMPPOST_CAMERA__HEIGHT_PX": "360",
    "LAMPPOST_CAMERA__RATE_HZ": "10",
    "LAMPPOST_SEGMENTS__LENGTH_S": "2",
}


@dataclass(frozen=True)
class Scene:
    """A camera at work, and the page over it."""

    desk: Desk
    opened: OpenPage
    page: "Page"

    @property
    def canvas(self) -> "Locator":
        return self.page.locator("#canvas")

    def at(self, x: float, y: float) -> tuple[float, float]:
        box = self.canvas.bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def draw(self, *corners: tuple[float, float]) -> None:
        self.page.click("#new-area")
        for corner in (*corners, corners[0]):  # the first one again closes it
            self.page.mouse.click(*self.at(*corner))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        self.page.mouse.move(*self.at(*end))
        self.page.mouse.up()

    def corners(self) -> list[float]:
        values: list[float] = self.page.eval_on_selector_all("#corners input", "all => all.map(one => +one.value)")
        return values

    def save(self) -> Path:
        before = set(self.opened.saved("proposal"))
        self.page.click("#tab-propose")
        self.page.click("#save")
        self.page.wait_for_selector("#saved p")
        (made,) = set(self.opened.saved("proposal")) - before
        return made

    def wait_for(self, element: str, words: str) -> None:
        self.page.wait_for_function(
            "([id, words]) => document.getElementById(id).textContent.includes(words)", arg=[element, words]
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One camera for all, for it takes half a minute to learn a scene; the last test stops it."""
    desk = Desk(tmp_path_factory.mktemp("card") / "card", source="streetscene:empty", settings=SETTINGS)
    try:
        desk.camera.start()
        desk.publish()
        desk.camera.wait_for("a recording", lambda status: status.frames.stored > 0)
        yield desk
    finally:
        desk.camera.stop()


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Technician:
    return technician(tmp_path_factory.mktemp("technician"))


@contextmanager
def commissioning(desk: Desk, who: Technician, chromium: "Browser", out: Path, **browser: Any) -> Iterator[Scene]:
    with (
        open_page(desk, who, out) as opened,
        opened_page(chromium, **{"viewport": {"width": 1280, "height": 900}, **browser}) as page,
    ):
        page.goto(opened.address)
        page.wait_for_selector("#state[data-look=good]")
        yield Scene(desk, opened, page)


@pytest.fixture
def scene(desk: Desk, who: Technician, chromium: "Browser", tmp_path: Path) -> Iterator[Scene]:
    with commissioning(desk, who, chromium, tmp_path) as scene:
        yield scene


def last_recorded(desk: Desk) -> NDArray[np.int16]:
    """Return the luma of the last frame that was recorded."""
    segment = find_segments(desk.camera.footage).segments[-1]
    with av.open(BytesIO(open_segment(segment, [desk.identity]).clear), "r") as container:
        *_, last = container.decode(video=0)
    return last.to_ndarray(format="yuv420p")[: last.height].astype(np.int16)


def test_everything_can_be_done_with_keys_alone(scene: Scene) -> None:
    page = scene.page
    scene.canvas.focus()
    for key in ("n", "PageDown", "ArrowLeft", "ArrowUp", "Insert", "Shift+ArrowDown"):
        page.keyboard.press(key)
    five = scene.corners()
    page.keyboard.press("Delete")
    four = scene.corners()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+y")
    page.keyboard.press("l")
    page.click("#tab-areas")

    assert len(five) == 10
    assert len(four) == 8
    assert four[:2] == pytest.approx([40 - 100 * 16 / 640, 40 - 100 * 16 / 360], abs=0.02)
    assert page.eval_on_selector_all(".things input", "all => all.map(one => one.value)") == [
        "left edge",
        "area 2",
        "line 1",
    ]
    assert page.text_content("#told") == "line 1 chosen, 2 corners"

    page.fill("#area-list li:nth-child(2) input", "bedroom of No. 9")
    proposal, _ = parse_proposal(scene.save().read_bytes())
    assert [zone.name for zone in proposal.zones] == ["left edge", "bedroom of No. 9"]
    assert len(proposal.zones[1].polygon) == 5
    assert [line.name for line in proposal.lines] == ["line 1"]
    assert "[[counting.lines]]" in (page.text_content("#saved pre") or "")


def test_a_drawing_that_is_none_is_told_and_not_saved(scene: Scene) -> None:
    page = scene.page
    scene.draw((0.3, 0.3), (0.6, 0.6), (0.6, 0.3), (0.3, 0.6))  # a bow

    page.click("#tab-propose")
    page.click("#save")
    crossing = page.text_content("#problems")
    scene.canvas.focus()
    for _ in range(2):  # the bow, then the area that is in force
        page.keyboard.press("Home")
        page.keyboard.press("Delete")
    page.click("#save")
    nothing = page.text_content("#problems")
    uncovered = page.text_content("#difference")

    assert crossing == "The sides of area 2 cross."
    assert nothing == "Draw a private area, or say why there is none."
    assert "would be uncovered" in (uncovered or "")
    assert scene.opened.saved("proposal") == []

    page.fill("#statement", "It looks at a blank wall.")
    proposal, _ = parse_proposal(scene.save().read_bytes())
    assert proposal.no_zones_statement == "It looks at a blank wall."


def test_a_phone_draws_with_a_finger_and_a_second_browser_is_turned_away(
    desk: Desk, who: Technician, chromium: "Browser", tmp_path: Path
) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    with commissioning(desk, who, chromium, tmp_path, **phone) as scene:
        page = scene.page
        page.tap("#new-area")
        for corner in WINDOW:
            page.touchscreen.tap(*scene.at(*corner))
        page.tap("#done")
        page.wait_for_selector("#area-list li:nth-child(2)")
        page.tap("#tab-propose")
        page.tap("#save")
        page.wait_for_selector("#saved p")
        sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        other = chromium.new_page()
        answers = [other.goto(address) for address in (scene.opened.address, scene.opened.origin)]
        other.close()

        assert len(scene.opened.saved("proposal")) == 1
        assert sideways <= 0
        assert [answer and answer.status for answer in answers] == [403, 403]


def test_a_laptop_that_died_goes_on_from_what_was_saved(
    desk: Desk, who: Technician, chromium: "Browser", tmp_path: Path
) -> None:
    with commissioning(desk, who, chromium, tmp_path) as scene:
        mounting = {"height_m": "4,5", "lens_degrees": "70", "tilt_degrees": "20", "nearest_m": "6", "farthest_m": "20"}
        for name, value in mounting.items():
            scene.page.fill(f"#m-{name}", value)
        scene.draw(*WINDOW)
        drawn = scene.corners()
        file = scene.save()
        scene.opened.process.kill()

    with commissioning(desk, who, chromium, tmp_path) as scene:
        scene.page.click("#tab-areas")
        names = scene.page.eval_on_selector_all("#area-list input", "all => all.map(one => one.value)")
        scene.page.click("#area-list li:nth-child(2) button")
        again = scene.corners()
        height = scene.page.input_value("#m-height_m")
        told = scene.page.text_content("#saved")

    assert names == ["left edge", "area 2"]
    assert again == drawn
    assert height == "4.5"
    assert file.name in (told or "")


def test_the_page_passes_axe_in_both_its_dresses(scene: Scene, tmp_path: Path) -> None:
    install(AXE, tmp_path / "npm")
    axe = (tmp_path / "npm/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    scene.draw(*WINDOW)
    scene.page.evaluate(axe)

    found: list[dict[str, Any]] = []
    for scheme in ("light", "dark"):
        scene.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
        for tab in ("aim", "areas", "propose", "finish"):
            scene.page.click(f"#tab-{tab}")
            found += scene.page.evaluate("axe.run().then(({ violations }) => violations)")

    assert found == [], json.dumps(found, indent=1)[:4000]


def test_over_the_cable_ssh_starts_the_cameras_side_and_the_wrong_camera_is_noticed(
    desk: Desk, who: Technician, tmp_path: Path
) -> None:
    ssh = tmp_path / "programs/ssh"
    ssh.parent.mkdir()
    ssh.write_text(f"""#!/bin/sh
echo "$@" > {tmp_path}/words
while [ "$1" != -- ]; do shift; done
shift 2
exec {sys.executable} -m agent ${{1#lamppost-agent}}
""")
    ssh.chmod(0o755)

    with (
        pytest.raises(AssertionError, match="this is cam-07, not cam-08"),
        open_page(desk, who, tmp_path / "out", "--host", "10.55.0.1", camera="cam-08", programs=ssh.parent),
    ):
        pass

    words = (tmp_path / "words").read_text()
    assert "BatchMode=yes" in words
    assert f"-- 10.55.0.1 lamppost-agent aim --config {desk.camera.config}" in words
    kinds = [event["kind"] for event in desk.camera.events()]
    assert kinds.count("commissioning-opened") == kinds.count("commissioning-closed") > 0


def test_what_is_drawn_is_signed_and_masked_in_what_is_recorded(scene: Scene) -> None:
    scene.page.wait_for_selector("#veil", state="hidden")  # the scene is learned
    # The area in force is there to begin with. Draw another, move a corner too far, undo, move it right, save.
    scene.draw(*WINDOW)
    drawn = scene.corners()
    scene.drag(WINDOW[2], (0.95, 0.9))
    moved_too_far = scene.corners()
    scene.canvas.focus()
    scene.page.keyboard.press("Control+z")
    undone = scene.corners()
    scene.drag(WINDOW[2], (0.8, 0.55))
    proposal, signed = parse_proposal(scene.save().read_bytes())

    assert drawn[4:6] != moved_too_far[4:6]
    assert undone == drawn
    assert [zone.name for zone in proposal.zones] == ["left edge", "area 2"]
    assert proposal.zones[1].polygon[2] == pytest.approx((0.8, 0.55), abs=0.02)
    assert signed.card.name == "Terry Technician"

    # One official makes it a restriction; the page sees that it is in force.
    narrows = NarrowZones(what="zones", view=proposal.view, zones=proposal.zones)
    now = scene.desk.city.now
    scene.desk.city.put(restriction(cameras=(CAMERA,), issued_at=now, starts_at=now, narrows=(narrows,)))
    scene.desk.publish()
    scene.page.click("#tab-areas")
    scene.wait_for("difference", "As signed")
    scene.page.click("#tab-finish")
    scene.page.wait_for_selector("#checks .passed-true >> text=Areas in force")
    scene.page.click("#sign")
    scene.page.wait_for_selector("#signed p")
    assert scene.opened.process.wait(60) == 0
    stored = scene.desk.camera.wait_for("a status", lambda _: True).frames.stored
    scene.desk.camera.wait_for("segments with it", lambda status: status.frames.stored > stored + 60)
    scene.desk.camera.stop()

    # What the recorder filled is what the page showed, block by block, and the street between is seen.
    luma = last_recorded(scene.desk)
    hidden = np.kron(proposal.grid(), np.ones((MACROBLOCK_PX, MACROBLOCK_PX), bool))[: luma.shape[0], : luma.shape[1]]
    assert np.abs(luma[hidden] - FILL_Y).max() <= TOLERANCE
    shown = np.abs(luma[~hidden] - FILL_Y) > TOLERANCE
    assert shown.mean() > 0.5
    record, _ = parse_record(scene.opened.saved("record")[0].read_bytes())
    assert record.proposal_sha256 == proposal.digest
    assert {check.what: check.passed for check in record.checks}["areas-in-force"] is True
    kinds = [event["kind"] for event in scene.desk.camera.events()]
    assert kinds.count("commissioning-opened") == kinds.count("commissioning-closed") > 0
