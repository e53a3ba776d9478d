"""The page that verifies evidence runs in a real browser, without a network."""

import json
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from tests.fakes.exhibits import Pole, city_with_sharing, make_exhibit

PAGE = Path(__file__).resolve().parents[2] / "provisioning/web/evidence/verify.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# What a test adds to the page: the folder as if it had been dragged in, and the verdict where --dump-dom shows it.
DRAGGED_IN = """
const given = %s;
const files = new Map(Object.entries(given).map(([path, text]) => {
  const bytes = fromBase64(text);
  return [path, { size: bytes.length, bytes: async () => bytes }];
}));
const judged = await judge(files);
document.body.dataset.verdict = judged.verdict;
"""


@pytest.mark.slow
@pytest.mark.parametrize(("tampered", "verdict"), [(False, "holds"), (True, "cut")])
def test_the_page_judges_in_a_browser(tampered: bool, verdict: str, tmp_path: Path) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser is installed, looked for {', '.join(BROWSERS)}")
    make_exhibit(tmp_path / "out", Pole(tmp_path / "card"), city_with_sharing(tmp_path / "city"))
    if tampered:
        next((tmp_path / "out/segments").glob("*.age")).unlink()
    given = {
        path.relative_to(tmp_path / "out").as_posix(): b64encode(path.read_bytes()).decode()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    page = tmp_path / "page.html"
    page.write_text(PAGE.read_text().replace("</script>", DRAGGED_IN % json.dumps(given) + "</script>"))

    done = subprocess.run(
        [
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=60000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )

    assert f'data-verdict="{verdict}"' in done.stdout, done.stderr[-2000:]
