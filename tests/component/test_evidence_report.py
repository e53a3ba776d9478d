"""The report tells a clerk what there is and what there is not, on a screen and on paper."""

import builtins
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.core.sealing.age_file import open_stream
from agent.errors import EvidenceError, MissingExtraError
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.paper import printed
from provisioning.evidence.report import MOST_ROWS, render, words_of
from provisioning.evidence.statement import Statement, parse_statement
from tests.fakes.exhibits import PARTY, Pole, city_with_sharing, make_exhibit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    make_exhibit(folder / "out", Pole(folder / "card"), city_with_sharing(folder / "city"), paper=printed)
    return folder / "out"


@pytest.fixture(scope="module")
def statement(folder: Path) -> Statement:
    return parse_statement((folder / "statement.json").read_bytes())


def opened(folder: Path, name: str) -> bytes:
    return b"".join(open_stream(Exhibit(folder).blocks(name), [PARTY]))


def unpacked(pdf: bytes) -> bytes:
    """Return all streams of a PDF that are packed as text is, unpacked."""
    streams = re.findall(rb"/FlateDecode[^>]*>>\nstream\n(.*?)\nendstream", pdf, re.DOTALL)
    return b"".join(map(zlib.decompress, streams)) + pdf


def words_on_paper(pdf: bytes, tmp_path: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: apt-get install poppler-utils")
    (tmp_path / "report.pdf").write_bytes(pdf)
    done = subprocess.run(["pdftotext", "-layout", tmp_path / "report.pdf", "-"], capture_output=True, check=True)
    return " ".join(done.stdout.decode().split())


def test_the_page_says_what_is_missing_to_the_second_and_why(statement: Statement) -> None:
    page = render(statement).decode()

    assert '<td class="when">2026-11-28 12:00:06</td><td class="when">2026-11-28 12:00:10</td>' in page
    assert ">4 s</td>" in page
    assert "there was no camera, or it gave no pictures (camera-lost)" in page


def test_the_page_says_what_was_hidden_and_by_what_decision(statement: Statement) -> None:
    page = render(statement).decode()

    assert "In 3 pictures the camera could not be sure" in page
    assert "Stale: the detector is late" in page
    assert "g-2026-001" in page
    assert statement.segments[0].decision in page


def test_the_copy_in_the_clear_shows_no_picture_and_the_sealed_ones_do(folder: Path, statement: Statement) -> None:
    assert b"data:image" not in (folder / "report.html").read_bytes()
    assert opened(folder, "report.html.age").count(b"data:image/jpeg") == len(statement.segments)
    assert b"/Subtype /Image" not in (folder / "report.pdf").read_bytes()
    assert opened(folder, "report.pdf.age").count(b"/Subtype /Image") == len(statement.segments)


def test_paper_says_what_the_page_says(folder: Path, tmp_path: Path) -> None:
    words = words_on_paper((folder / "report.pdf").read_bytes(), tmp_path)

    for told in ("2026-CR-118", "Circuit Attorney of Example County", "EX-T2-1", "4 s", "page 1 of"):
        assert told in words


def test_the_same_report_is_the_same_paper(folder: Path) -> None:
    page = (folder / "report.html").read_bytes()

    assert printed(page) == printed(page) == (folder / "report.pdf").read_bytes()


def test_paper_is_tagged_for_a_screen_reader(folder: Path) -> None:
    objects = unpacked((folder / "report.pdf").read_bytes())

    assert b"/Marked true" in objects
    assert b"/StructTreeRoot" in objects
    assert b"http://www.aiim.org/pdfua/ns/id/" in objects


def test_paper_fetches_nothing_that_a_page_names(tmp_path: Path) -> None:
    (tmp_path / "secret.css").write_text("p { content: 'fetched' }")
    page = f'<p>Words.<link rel="stylesheet" href="{(tmp_path / "secret.css").as_uri()}">'

    with pytest.raises(EvidenceError, match="what is not in it"):
        printed(page.encode())


def test_without_the_extra_an_export_says_so_in_a_line_and_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_: Callable[..., Any] = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("weasyprint"):
            raise ImportError(name)
        return import_(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    said: list[str] = []

    make_exhibit(
        tmp_path / "out", Pole(tmp_path / "card"), city_with_sharing(tmp_path / "city"), paper=printed, say=said.append
    )

    assert [line for line in said if "PDF" in line] == [
        "without a PDF of the report: pip install 'lamppost[export]', and apt-get install libpangoft2-1.0-0"
    ]
    assert sorted(path.name for path in (tmp_path / "out").glob("report*")) == ["report.html", "report.html.age"]
    with pytest.raises(MissingExtraError):
        printed(b"<p>")


def test_a_day_of_segments_is_a_report_of_some_pages(statement: Statement) -> None:
    one = statement.segments[0]
    many = tuple(
        one.model_copy(
            update={
                "sequence": n,
                "starts_at": one.starts_at + timedelta(seconds=10 * n),
                "ends_at": one.starts_at + timedelta(seconds=10 * n + 10),
            }
        )
        for n in range(8640)
    )
    span = statement.span.model_copy(update={"ends_at": one.starts_at + timedelta(days=1)})

    page = render(statement.model_copy(update={"segments": many, "span": span, "gaps": ()})).decode()

    assert f"And {8640 - MOST_ROWS:,} more" in page
    assert page.count("<rect") == 2


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (86_399, "23 h 59 min 59 s")]
)
def test_a_length_is_told_as_people_say_it(seconds: float, words: str) -> None:
    assert words_of(timedelta(seconds=seconds)) == words
