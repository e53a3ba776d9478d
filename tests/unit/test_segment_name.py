"""A segment's name says all that can be known of it without a key, and is spelled in one way only."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.segment_name import Ending, SegmentName
from agent.core.video import Layer
from agent.errors import FootageError

STARTED_AT = datetime(2026, 3, 1, 12, 0, 0, 123_457, tzinfo=UTC)


@pytest.mark.parametrize(
    ("layer", "ending", "tail"),
    [
        (Layer.MASKED, Ending.FINISHED, ".mp4.age"),
        (Layer.MASKED, Ending.TRUNCATED, ".truncated.mp4.age"),
        (Layer.MASKED, Ending.RUNNING, ".mp4.age.part"),
        (Layer.SEALED, Ending.FINISHED, ".sealed.mp4.age"),
        (Layer.SEALED, Ending.TRUNCATED, ".sealed.truncated.mp4.age"),
        (Layer.SEALED, Ending.RUNNING, ".sealed.mp4.age.part"),
    ],
)
def test_a_name_tells_camera_start_number_layer_and_ending(layer: Layer, ending: Ending, tail: str) -> None:
    name = SegmentName(camera_id="pole-17", started_at=STARTED_AT, sequence=42, layer=layer, ending=ending)

    assert name.path == f"2026/03/01/pole-17-20260301T120000.123457Z-00000042{tail}"


@given(
    camera_id=st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True),
    started_at=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy wants it naive
    sequence=st.integers(0, 10**12),
    layer=st.sampled_from(Layer),
    ending=st.sampled_from(Ending),
)
def test_every_name_reads_back(
    camera_id: str, started_at: datetime, sequence: int, layer: Layer, ending: Ending
) -> None:
    name = SegmentName(camera_id=camera_id, started_at=started_at, sequence=sequence, layer=layer, ending=ending)

    assert SegmentName.parse(name.file_name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "lost+found",
        "holiday.mp4",
        "pole-17-20260301T120000.123457Z-00000042.mp4",
        "pole-17-20260301T120000.123457Z-42.mp4.age",
        "pole-17-20260301T120000.123457Z-000000042.mp4.age",  # a zero too many
        "pole-17-20260301T120000Z-00000042.mp4.age",
        "pole-17-20260231T120000.123457Z-00000042.mp4.age",  # 31 February
        "pole-17-20260301T120000.123457Z-00000042.truncated.mp4.age.part",
        "pole-17-20260301T120000.123457Z-00000042.truncated.sealed.mp4.age",
        "-20260301T120000.123457Z-00000042.mp4.age",
        "../pole-20260301T120000.123457Z-00000042.mp4.age",
        "pole-17-20260301T120000.123457Z-00000042.mp4.age\n",
        "pole-17-2026030\N{ARABIC-INDIC DIGIT ONE}T120000.123457Z-00000042.mp4.age",
    ],
)
def test_any_other_spelling_is_no_segments(name: str) -> None:
    with pytest.raises(FootageError):
        SegmentName.parse(name)
