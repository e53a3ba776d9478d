"""A register's page checks itself in a real browser: it holds, or the sentence that was edited is named."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from provisioning.register.placing import read_register
from provisioning.register.verifying import verify
from tests.fakes.browser import opened_page
from tests.fakes.documents import NOON
from tests.fakes.registered import SOFTWARE, registered_city
from tests.tools.npm_package import install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AXE = "axe-core@4.14.1"
CORNER = "sites/main-and-5th.html"
PAGES = ("index.html", CORNER, "changes.html", "proof.html")


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, as a city's web server would, and tells nobody."""

    def end_headers(self) -> None:
        """Keep the browser from answering out of its cache: two edits may fall into one second of Last-Modified."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Tell nobody."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("register")
    return registered_city(place / "made").build(place / "out")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("served")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(made: Path, served: tuple[Path, str]) -> tuple[Path, str]:
    """A register that the test may edit, and where it is served."""
    folder, address = served
    out = folder / "cameras"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(made, out)
    return out, f"{address}cameras/"


@pytest.fixture(scope="module")
def visitor(chromium: Browser) -> Iterator[Page]:
    with opened_page(chromium) as page:
        yield page


def check(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Check this page").click()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("name", ["", CORNER, "changes.html"])
def test_a_page_says_what_was_signed(name: str, site: tuple[Path, str], visitor: Page) -> None:
    check(visitor, f"{site[1]}{name}")

    expect(visitor.get_by_role("status")).to_have_text("It says what was signed.")
    if name == CORNER:
        expect(visitor.locator("#checked")).to_contain_text(
            "cam-07 signed its log with 429 entries, and 1 witness saw it."
        )
        expect(visitor.locator("#checked")).to_contain_text("documents that the offices signed")


def another_value(out: Path) -> None:
    edit(out / CORNER, 'data-pointer="/retention/days">30<', 'data-pointer="/retention/days">300<')


def another_extract(out: Path) -> None:
    (extract,) = (
        one
        for one in (out / "signed/extracts").iterdir()
        if '"cam-07"' in one.read_text() and "retention" in one.read_text()
    )
    edit(extract, '"days":30', '"days":300')


EDITS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a sentence": (
        lambda out: edit(out / CORNER, "kept for 30 days", "kept for 300 days"),
        r"says “Footage is kept for 300 days.*” where the city signed “Footage is kept for 30 days",
    ),
    "a sentence taken out": (
        lambda out: edit(out / CORNER, "<dd data-s>It may not record sound.</dd>", ""),
        r"where the city signed “It may not record sound\.”",
    ),
    "a value behind it": (another_value, "is not the file that the city signed"),
    "a permission": (another_extract, "grants/g-2026-001.json is not what its offices signed"),
    "the list of sentences": (
        lambda out: edit(out / CORNER.replace(".html", ".json"), "kept for 30 days", "kept for 300 days"),
        "is not what the city signed",
    ),
    "the claims": (lambda out: edit(out / "register.json", '"opened": 0', '"opened": 7'), "not what the city signed"),
    "the city's metadata": (
        lambda out: (out / "signed/city.bundle").write_bytes((out / "signed/city.bundle").read_bytes()[:-1]),
        "the city's bundle",
    ),
}


@pytest.mark.parametrize(("do", "named"), EDITS.values(), ids=EDITS)
def test_an_edit_by_hand_is_named(
    do: Callable[[Path], object], named: str, site: tuple[Path, str], visitor: Page
) -> None:
    do(site[0])

    check(visitor, f"{site[1]}{CORNER}")

    expect(visitor.get_by_role("status")).to_have_text(re.compile(rf"No: .*{named}"))


def test_what_a_script_in_between_changed_on_the_screen_is_named_too(site: tuple[Path, str], visitor: Page) -> None:
    visitor.goto(f"{site[1]}{CORNER}")
    sentence = visitor.locator("dl.no dd", has_text="It may not record sound.")
    sentence.evaluate("(shown) => { shown.textContent = 'It may record sound.'; }")

    visitor.get_by_role("button", name="Check this page").click()

    expect(visitor.get_by_role("status")).to_have_text(
        f"No: {CORNER} says “It may record sound.” where the city signed “It may not record sound.”."
    )


def test_the_command_verifies_over_the_web_what_the_page_does(site: tuple[Path, str]) -> None:
    found = verify(read_register(site[1]), software=SOFTWARE, now=NOON)

    assert found.claims.city == "Example City"


def test_a_page_asks_nobody_else_and_weighs_little(site: tuple[Path, str], visitor: Page) -> None:
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url))

    visitor.goto(site[1])
    visitor.wait_for_load_state("networkidle")

    assert all(url.startswith((site[1], "data:")) for url in asked)
    weight = sum(
        (site[0] / (url.removeprefix(site[1]) or "index.html")).stat().st_size for url in asked if "data:" not in url
    )
    assert weight <= 100 * 1024


def test_the_pages_pass_axe_in_both_their_dresses(site: tuple[Path, str], chromium: Browser, tmp_path: Path) -> None:
    install(AXE, tmp_path / "npm")
    axe = (tmp_path / "npm/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = []

    # The pages run no script but their own; what looks at them from outside may.
    with opened_page(chromium, bypass_csp=True) as page:
        for name in PAGES:
            page.goto(f"{site[1]}{name}")
            page.evaluate(axe)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
                found += page.evaluate("axe.run().then(({ violations }) => violations)")

    assert found == [], json.dumps(found, indent=1)[:4000]
