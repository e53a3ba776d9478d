"""A real Chromium without a window, driven by Playwright: what our pages do in the hands of a person.

Debian's own browser is driven, never one that Playwright fetches: a test must not depend on a download.
The fixtures `chromium` and `page` of tests/conftest.py are what tests ask for; `page` fails a test in
whose page a script threw or wrote an error.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, expect, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 150_000  # a busy machine may take long; nothing is ever concluded from how long it took
expect.set_options(timeout=PATIENCE_MS)
_ARGUMENTS = ("--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none")


@contextmanager
def started_chromium() -> Iterator[Browser]:
    """Start a browser for as long as the block runs; skip the test where there is none."""
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    # Chromium's own sandbox refuses root, which is what a container is.
    arguments = [*_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=arguments, timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened_page(browser: Browser, **context: object) -> Iterator[Page]:
    """Open an empty page of its own for as long as the block runs.

    Args:
        browser: Where.
        context: What `Browser.new_context` takes, such as `viewport` or `ignore_https_errors`.

    Raises:
        AssertionError: At the end, if a script of the page threw or wrote an error.
    """
    wrong: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(f"{message.text} ({message.location.get('url', '')})")

    def threw(error: Error) -> None:
        wrong.append(str(error))

    owner: BrowserContext = browser.new_context(**context)  # type: ignore[arg-type]  # its own forty keywords
    owner.set_default_timeout(PATIENCE_MS)
    page = owner.new_page()
    page.on("console", heard)
    page.on("pageerror", threw)
    try:
        yield page
    finally:
        owner.close()
    assert not wrong, wrong
