"""A segment's name says what it is, and nothing that is not a segment has such a name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.segment_name import SegmentName, parse_segment_name
from agent.core.video import Layer

NAME = SegmentName(
    camera_id="pole-7", layer=Layer.MASKED, started_at=datetime(2026, 11, 28, 12, 0, 0, 120, tzinfo=UTC), sequence=42
)


def test_the_name_is_the_one_the_design_gives() -> None:
    assert NAME.path == "2026/11/28/pole-7-20261128T120000.000120Z-00000042.mp4.age"


def test_a_truncated_sealed_layer_says_both() -> None:
    sealed = SegmentName(camera_id="pole-7", layer=Layer.SEALED, started_at=NAME.started_at, sequence=43, running=True)

    assert sealed.file == "pole-7-20261128T120000.000120Z-00000043.sealed.mp4.age.part"
    assert sealed.finished().file == "pole-7-20261128T120000.000120Z-00000043.sealed.mp4.age"
    assert sealed.cut_short().file == "pole-7-20261128T120000.000120Z-00000043.sealed.truncated.mp4.age"


@given(
    st.builds(
        SegmentName,
        camera_id=st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True),
        layer=st.sampled_from(Layer),
        started_at=st.datetimes(timezones=st.just(UTC)),
        sequence=st.integers(min_value=0, max_value=10**12 - 1),
        truncated=st.booleans(),
        running=st.booleans(),
    )
)
def test_every_name_is_read_as_it_was_written(name: SegmentName) -> None:
    assert parse_segment_name(name.file) == name


@pytest.mark.parametrize(
    "file",
    [
        "",
        "sequence",
        "holiday.mp4",
        "pole-7-20261128T120000.000120Z-00000042.mp4",
        "pole-7-20261128T120000.000120Z-42.mp4.age",
        "Pole-7-20261128T120000.000120Z-00000042.mp4.age",
        "pole-7-20260230T120000.000120Z-00000042.mp4.age",  # no such day
        "pole-7-20261128T120000Z-00000042.mp4.age",
        "pole-7-20261128T120000.000120Z-00000042.mp4.age\n",
        "pole-7-20261128T120000.000120Z-00000042.mp4.age.part.bak",
        "../pole-7-20261128T120000.000120Z-00000042.mp4.age",
        "pole-7-２０２６1128T120000.000120Z-00000042.mp4.age",  # noqa: RUF001 - full-width digits are the point
    ],
)
def test_any_other_name_is_somebody_elses(file: str) -> None:
    assert parse_segment_name(file) is None


def test_a_stored_segment_lies_where_its_name_says_unless_told_otherwise() -> None:
    assert NAME.stored(size_bytes=5).path == NAME.path
    assert NAME.stored(size_bytes=5, path="2026/11/27/odd").path == "2026/11/27/odd"
