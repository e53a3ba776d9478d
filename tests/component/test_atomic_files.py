"""A file written atomically is the old one or the new one, whole, and private from birth."""

import os
from pathlib import Path

import pytest

from agent.adapters import atomic_files
from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.errors import StorageError, StorageFullError


def test_a_new_file_holds_exactly_the_data_and_is_private(tmp_path: Path) -> None:
    target = tmp_path / "floors.json"

    write_atomically(target, b"{}")

    assert target.read_bytes() == b"{}"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_a_wider_mode_is_obeyed_when_asked_for_whatever_the_umask(tmp_path: Path) -> None:
    target = tmp_path / "shared" / "status.json"

    before = os.umask(0o077)  # the recorder's, from `harden_process`
    try:
        make_folders(target.parent, mode=0o750)
        write_atomically(target, b"{}", mode=0o640)
    finally:
        os.umask(before)

    assert target.stat().st_mode & 0o777 == 0o640
    assert target.parent.stat().st_mode & 0o777 == 0o750


def test_a_link_is_replaced_and_what_it_pointed_to_is_left_alone(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    target = tmp_path / "floors.json"
    target.symlink_to(victim)

    write_atomically(target, b"new")

    assert victim.read_bytes() == b"precious"
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("failing", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    target = tmp_path / "floors.json"
    write_atomically(target, b"old")

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files.os, failing, refuse)
    with pytest.raises(StorageFullError, match="no space left"):
        write_atomically(target, b"new")
    monkeypatch.undo()

    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(atomic_files.os, "write", lambda descriptor, data: whole(descriptor, data[:3]))

    write_atomically(tmp_path / "file", b"0123456789")

    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file"):
        write_atomically(tmp_path / "nowhere" / "file", b"x")

    assert not (tmp_path / "nowhere").exists()


def test_folders_are_made_private_all_the_way_and_twice_is_fine(tmp_path: Path) -> None:
    deep = tmp_path / "2026" / "11" / "28"

    make_folders(deep)
    make_folders(deep)

    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in (deep, *deep.parents[:2]))


def test_a_file_in_the_way_of_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "2026").write_bytes(b"")

    with pytest.raises(StorageError, match="cannot make the folder"):
        make_folders(tmp_path / "2026" / "11")

    assert (tmp_path / "2026").read_bytes() == b""


@pytest.mark.parametrize("size", [0, 7, 8])
def test_a_file_within_the_cap_is_read_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "in").write_bytes(bytes(size))

    assert read_capped(tmp_path / "in", max_bytes=8) == bytes(size)


def test_a_file_over_the_cap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(9))

    with pytest.raises(StorageError, match="larger than the 8 bytes"):
        read_capped(tmp_path / "in", max_bytes=8)


def test_a_pipe_a_link_and_a_folder_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")

    for name in ("pipe", "link", "."):
        with pytest.raises(StorageError, match="cannot read"):
            read_capped(tmp_path / name, max_bytes=8)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_capped(tmp_path / "in", max_bytes=8)
