"""An export is a folder that whoever receives it can verify from the first byte to the last, offline."""

from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pyrage
import pytest

from agent.core.sealing.age_file import open_stream
from agent.errors import EvidenceAlteredError
from provisioning.authority.city import read_city
from provisioning.evidence.authority import Authority
from provisioning.evidence.city_log import ENTRIES, CityLog
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.export import export
from provisioning.evidence.judging import judge, kind_of, verdict
from provisioning.evidence.order import Custodian
from tests.fakes.documents import NOON
from tests.fakes.exhibits import CUSTODIAN, PARTY, STRANGER, Pole, city_with_sharing, make_exhibit, order
from tests.fakes.officials import official

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


class GivesUpError(Exception):
    """The custodian walks away."""


@pytest.mark.parametrize("asked_for", ["unlock", "identities", "credential"])
def test_the_citys_log_holds_the_entry_before_any_key_is_touched_and_keeps_it_when_the_export_is_given_up(
    asked_for: str, tmp_path: Path
) -> None:
    pole, city = Pole(tmp_path / "card"), city_with_sharing(tmp_path / "city")
    log, key, on_the_disk = CityLog(city.path / "log"), official("custodian"), []

    def look_and_give_up() -> NoReturn:
        on_the_disk.append((city.path / "log" / ENTRIES).read_bytes())
        raise GivesUpError

    keys: dict[str, Any] = {"unlock": lambda: key, "identities": lambda: [CUSTODIAN], "credential": None}
    custodian = Custodian(card=key.card, **(keys | {asked_for: look_and_give_up}))

    with pytest.raises(GivesUpError):
        export(
            order(),
            authority=Authority(read_city(city)),
            custodian=custodian,
            city_log=log,
            sources=pole.sources(),
            out=tmp_path / "out",
            now=NOON + timedelta(minutes=5),
        )

    assert b"evidence-export-begun" in on_the_disk[0]
    assert [event.kind for event in log.read()] == ["evidence-export-begun"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card", "city"]


def test_no_clear_picture_is_in_an_export(exhibit: Path) -> None:
    clear = {path for path in exhibit.rglob("*") if path.is_file() and b"ftyp" in path.read_bytes()[:64]}
    sealed = [path for path in exhibit.rglob("*.age") if not path.read_bytes().startswith(b"age-encryption.org/v1\n")]

    assert clear == set()
    assert sealed == []
    assert len(list(exhibit.rglob("*.age"))) == 6


def test_a_foreign_age_opens_the_video_and_the_segments(exhibit: Path) -> None:
    foreign = pyrage.x25519.Identity.from_str(PARTY.reveal())
    path = min((exhibit / "segments").glob("*.age"))
    sealed, header = path.read_bytes(), path.with_name(f"{path.name}.header").read_bytes()
    payload_at = sealed.index(b"\n", sealed.index(b"\n--- ") + 1) + 1

    video = pyrage.decrypt((exhibit / "footage.mp4.age").read_bytes(), [foreign])
    segment = pyrage.decrypt(header + sealed[payload_at:], [foreign])

    assert video[4:8] == segment[4:8] == b"ftyp"
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [foreign])


def test_what_is_missing_where_the_segments_come_from_is_stated(tmp_path: Path) -> None:
    pole = Pole(tmp_path / "card")
    pole.paths[1].unlink()
    pole.append("removal", NOON + timedelta(minutes=1), reason="evicted", first_sequence=1, last_sequence=2)
    pole.witness()

    statement = make_exhibit(tmp_path / "out", pole, city_with_sharing(tmp_path / "city"))
    judgement = judge(Exhibit(tmp_path / "out"), identities=[PARTY], now=LATER)

    assert judgement.findings == []
    assert [(absent.sequence, absent.why) for absent in statement.absent] == [
        (2, "the camera removed it at 2026-11-28 12:01:00 UTC: evicted (leaf 9 of its log)")
    ]
    assert statement.gaps[0].starts_at == NOON + timedelta(seconds=2)
    assert any("segment 2 is not here" in remark for remark in judgement.remarks)


def test_a_segment_that_is_not_the_one_the_log_tells_of_is_never_handed_over(tmp_path: Path) -> None:
    pole = Pole(tmp_path / "card")
    content = bytearray(pole.paths[1].read_bytes())
    content[-100] ^= 1
    pole.paths[1].write_bytes(content)

    with pytest.raises(EvidenceAlteredError, match="is not the file that leaf"):
        make_exhibit(tmp_path / "out", pole, city_with_sharing(tmp_path / "city"))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["card", "city"]
