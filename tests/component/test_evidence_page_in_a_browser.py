"""The page that verifies evidence says in a real browser, from the disk and offline, what the command says."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from agent.core.sealing.recipients import Identity, PostQuantumIdentity
from provisioning.evidence.statement import parse_statement
from tests.fakes.browser import opened_page
from tests.fakes.documents import NOON
from tests.fakes.exhibits import PARTY, STRANGER, make_exhibit, order, restate, seen_by_two
from tests.fakes.tampering import TABLE, Scene, Tampering, make_scene
from tests.tools.npm_package import clean_install

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


def test_every_witness_is_told_and_one_alone_is_remarked_on(
    folder: Path, scene: Scene, tmp_path: Path, verifier: Page
) -> None:
    verifier.get_by_label("choose it").set_input_files(folder)
    expect(verifier.locator("#holds")).to_contain_text("The witness witness.example.org/w1 had seen the log by")
    expect(verifier.locator("#remarks")).to_contain_text("One witness vouches")

    make_exhibit(tmp_path / "two", scene.pole, scene.city, sources=seen_by_two(scene.pole))
    verifier.get_by_label("choose it").set_input_files(tmp_path / "two")

    expect(verifier.locator("#holds")).to_contain_text("The witness auditor.example.net/w2 had seen the log by")
    expect(verifier.locator("#remarks")).not_to_contain_text("One witness vouches")


# --- with a key ---------------------------------------------------------------


def key_file(folder: Path, identity: Identity) -> Path:
    path = folder / "my.key"
    path.write_text(f"# created by somebody\n# public key: …\n{identity.reveal()}\n")
    return path


def judge_with_key(verifier: Page, folder: Path, key: Path) -> None:
    verifier.get_by_label("With the key").set_input_files(key)
    verifier.get_by_label("choose it").set_input_files(folder)


@pytest.mark.parametrize("kind", ["classic", "post-quantum"])
def test_with_the_partys_key_the_page_opens_the_video_and_the_report(
    kind: str, folder: Path, scene: Scene, tmp_path: Path, verifier: Page
) -> None:
    party: Identity = PARTY
    if kind == "post-quantum":
        party = PostQuantumIdentity.generate()
        folder = tmp_path / "sealed-anew"
        make_exhibit(folder, scene.pole, scene.city, ordered=order(recipient=party.recipient))

    judge_with_key(verifier, folder, key_file(tmp_path, party))

    expect(verifier.get_by_role("status")).to_have_text(VERDICTS["holds"])
    expect(verifier.locator("#holds")).to_contain_text("Everything opens")
    report = verifier.frame_locator("iframe")
    expect(report.get_by_role("heading", level=1)).to_have_text("Evidence from cam-07, case 2026-CR-118")
    expect(report.get_by_role("img", name="What the camera recorded")).to_have_count(4)
    verifier.wait_for_function("document.querySelector('video').duration > 7")
    with verifier.expect_download() as saved:
        verifier.get_by_role("link", name="Save the video").click()
    stated = parse_statement((folder / "statement.json").read_bytes())
    assert sha256(saved.value.path().read_bytes()).hexdigest() == stated.footage.clear_sha256


def test_a_key_that_comes_after_the_folder_opens_it_too(folder: Path, tmp_path: Path, verifier: Page) -> None:
    drag_in(verifier, folder)
    expect(verifier.get_by_role("status")).to_have_text(VERDICTS["holds"])
    expect(verifier.locator("video")).to_be_hidden()

    verifier.get_by_label("With the key").set_input_files(key_file(tmp_path, PARTY))

    expect(verifier.locator("video")).to_be_visible()


def test_somebody_elses_key_opens_nothing(folder: Path, tmp_path: Path, verifier: Page) -> None:
    judge_with_key(verifier, folder, key_file(tmp_path, STRANGER))

    expect(verifier.get_by_role("status")).to_have_text("No: wrong recipient.")
    expect(verifier.locator("video")).to_be_hidden()


def test_a_video_of_other_pictures_is_named_to_who_can_open_it(
    folder: Path, scene: Scene, tmp_path: Path, verifier: Page
) -> None:
    longer = order(ends_at=NOON + timedelta(seconds=14))
    make_exhibit(tmp_path / "longer", scene.pole, scene.city, ordered=longer)
    shutil.copy(tmp_path / "longer/footage.mp4.age", folder / "footage.mp4.age")
    restate(folder)

    judge_with_key(verifier, folder, key_file(tmp_path, PARTY))

    expect(verifier.get_by_role("status")).to_have_text("No: altered.")


def test_a_file_that_is_no_key_is_told_apart_from_evidence_that_does_not_hold(
    folder: Path, tmp_path: Path, verifier: Page
) -> None:
    (tmp_path / "my.key").write_text("a shopping list")

    judge_with_key(verifier, folder, tmp_path / "my.key")

    expect(verifier.get_by_role("status")).to_have_text(
        "This page could not verify it: the key file holds something else than keys (AGE-SECRET-KEY-…)"
    )


# --- the page itself ----------------------------------------------------------


def test_the_page_is_one_file_that_may_fetch_nothing(verifier: Page) -> None:
    page = PAGE.read_text()

    assert "default-src 'none'" in page
    assert verifier.evaluate("performance.getEntriesByType('resource').length") == 0


def test_the_page_holds_the_age_library_that_its_lock_names(tmp_path: Path) -> None:
    source = PAGE.parent / "age"
    built = shutil.copytree(source, tmp_path / "age", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(PAGE, tmp_path / "verify.html")
    clean_install(built)

    subprocess.run(["node", "inline.mjs"], cwd=built, check=True)

    assert (tmp_path / "verify.html").read_bytes() == PAGE.read_bytes()


def test_a_folder_that_is_dragged_in_is_judged_too(folder: Path, verifier: Page) -> None:
    drag_in(verifier, folder)

    expect(verifier.get_by_role("status")).to_have_text(VERDICTS["holds"])
    expect(verifier.locator("#holds")).to_contain_text("4 segments are, byte for byte")
