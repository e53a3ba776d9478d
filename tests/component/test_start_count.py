"""Each start has its own number, whatever became of the one before."""

from pathlib import Path

import pytest

from agent.adapters.start_count import count_start


def test_starts_are_counted_from_one(tmp_path: Path) -> None:
    assert [count_start(tmp_path) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("damage", [b"", b"many\n", b"-1\n"])
def test_a_file_that_holds_no_number_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "starts").write_bytes(damage)

    assert [count_start(tmp_path) for _ in range(2)] == [1, 2]
