"""The browser that page tests share is a real one, and it hears what goes wrong in a page."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fakes.browser import opened_page


def test_a_script_of_a_page_from_the_disk_runs(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><p></p><script>document.querySelector('p').textContent = 'ran'</script>")

    page.goto(file.as_uri())

    expect(page.locator("p")).to_have_text("ran")


def test_a_script_that_throws_fails_the_test_of_its_page(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><p></p><script>setTimeout(() => { throw new Error('broken') })</script>")

    with pytest.raises(AssertionError, match="broken"), opened_page(chromium) as page, page.expect_event("pageerror"):
        page.goto(file.as_uri())
