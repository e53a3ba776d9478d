"""The page that verifies evidence says in a real browser, from the disk and offline, what the command says."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fakes.browser import opened_page
from tests.fakes.tampering import TABLE, Scene, Tampering, make_scene

PAGE = Path(__file__).resolve().parents[2] / "provisioning/web/evidence/verify.html"
VERDICTS = {"holds": "It is what it claims to be."}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("page"))


@pytest.fixture
def folder(scene: Scene, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scene.exhibit, tmp_path / "exhibit"))


@pytest.fixture(scope="module")
def offline(chromium: Browser) -> Iterator[Page]:
    with opened_page(chromium, offline=True) as page:
        yield page


@pytest.fixture
def verifier(offline: Page) -> Page:
    """The page as somebody opens it who has the file and no network."""
    offline.goto(PAGE.as_uri())
    return offline


def drag_in(page: Page, folder: Path) -> None:
    """Let go of a folder over the page, as a file manager does."""
    devtools = page.context.new_cdp_session(page)
    where = {"x": 200, "y": 200, "data": {"items": [], "files": [str(folder)], "dragOperationsMask": 1}}
    for step in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": step, **where})


@pytest.mark.parametrize("row", [row for row in TABLE if row.in_a_browser is not None], ids=str)
def test_the_page_names_it(row: Tampering, folder: Path, scene: Scene, verifier: Page) -> None:
    row.do(folder, scene)

    verifier.get_by_label("choose it").set_input_files(folder)

    assert row.in_a_browser is not None
    expect(verifier.get_by_role("status")).to_have_text(VERDICTS.get(row.in_a_browser, f"No: {row.in_a_browser}."))


def test_a_folder_that_is_dragged_in_is_judged_too(folder: Path, verifier: Page) -> None:
    drag_in(verifier, folder)

    expect(verifier.get_by_role("status")).to_have_text(VERDICTS["holds"])
    expect(verifier.locator("#holds")).to_contain_text("4 segments are, byte for byte")
