"""An export is a folder that whoever receives it can verify from the first byte to the last, offline."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.sealing.age_file import open_stream
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.judging import judge, kind_of, verdict
from tests.fakes.documents import NOON
from tests.fakes.exhibits import PARTY, STRANGER, Pole, city_with_sharing, make_exhibit

LATER = NOON + timedelta(hours=1)


@pytest.fixture(scope="module")
def exhibit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("round-trip")
    make_exhibit(folder / "out", Pole(folder / "card"), city_with_sharing(folder / "city"))
    return folder / "out"


def test_an_export_holds_without_a_key(exhibit: Path) -> None:
    judgement = judge(Exhibit(exhibit), now=LATER)

    assert judgement.findings == []
    assert verdict(judgement) is None


def test_an_export_holds_with_the_partys_key(exhibit: Path) -> None:
    judgement = judge(Exhibit(exhibit), identities=[PARTY], now=LATER)

    assert judgement.findings == []
    assert any("Everything opens" in each for each in judgement.holds)


def test_an_export_for_somebody_else_says_so(exhibit: Path) -> None:
    judgement = judge(Exhibit(exhibit), identities=[STRANGER], now=LATER)

    assert [kind_of(finding) for finding in judgement.findings] == ["wrong recipient"]


def test_the_gap_is_named_to_the_second_with_what_the_log_says(exhibit: Path) -> None:
    statement = judge(Exhibit(exhibit), now=LATER).statement

    assert statement is not None
    [gap] = statement.gaps
    assert (gap.starts_at, gap.ends_at) == (NOON + timedelta(seconds=6), NOON + timedelta(seconds=10))
    assert "camera-lost" in gap.why


def test_what_was_hidden_whole_is_named_with_its_reason(exhibit: Path) -> None:
    statement = judge(Exhibit(exhibit), now=LATER).statement

    assert statement is not None
    [hidden] = statement.hidden
    assert (hidden.starts_at, hidden.ends_at) == (NOON + timedelta(seconds=2), NOON + timedelta(seconds=4))
    assert hidden.why == "Stale: the detector is late"
    assert "Stale: the detector is late" in (exhibit / "report.html").read_text()


def test_the_video_is_cut_to_the_span_and_the_pictures_are_in_the_sealed_report(exhibit: Path) -> None:
    video = b"".join(open_stream([(exhibit / "footage.mp4.age").read_bytes()], [PARTY]))
    report = b"".join(open_stream([(exhibit / "report.html.age").read_bytes()], [PARTY]))

    assert video[4:8] == b"ftyp"
    assert report.count(b"data:image/jpeg") == 4
    assert b"data:image" not in (exhibit / "report.html").read_bytes()


def test_the_city_knew_before(exhibit: Path) -> None:
    events = CityLog(exhibit.parent / "city" / "log").read()

    assert [event.kind for event in events] == ["evidence-export-begun", "evidence-exported"]
    assert events[0].facts["case"] == "2026-CR-118"


def test_no_clear_picture_is_in_an_export(exhibit: Path) -> None:
    clear = {path for path in exhibit.rglob("*") if path.is_file() and b"ftyp" in path.read_bytes()[:64]}
    sealed = [path for path in exhibit.rglob("*.age") if not path.read_bytes().startswith(b"age-encryption.org/v1\n")]

    assert clear == set()
    assert sealed == []
    assert len(list(exhibit.rglob("*.age"))) == 6
