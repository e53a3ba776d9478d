"""A power cut at any write of publishing leaves the old city or the new one, and publishing again finishes it."""

from pathlib import Path

import pytest

from agent.errors import StorageError
from provisioning.authority import files
from provisioning.authority.city import publish, read_city
from tests.fakes.documents import NOON, grant, restriction
from tests.fakes.officials import enact, found, propose, signed_by

APPROVING = ("city-manager", "it-director", "police-chief")
MOST_WRITES = 12


@pytest.mark.parametrize("cut_at", range(MOST_WRITES))
def test_a_power_cut_leaves_the_old_city_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_at: int
) -> None:
    city = found(tmp_path / "city")
    before = enact(city, restriction(), "police-chief")
    draft = signed_by(propose(city, grant()), *APPROVING, root=before.first_root)
    write_whole = files.write_whole
    writes = 0

    def cut(path: Path, content: bytes, *, mode: int = files.PUBLIC) -> None:
        nonlocal writes
        if writes == cut_at:
            raise StorageError("the power went away")
        writes += 1
        write_whole(path, content, mode=mode)

    monkeypatch.setattr(files, "write_whole", cut)
    try:
        publish(city, draft, now=NOON)
    except StorageError:
        pass
    else:
        assert writes <= cut_at
    monkeypatch.undo()

    found_after = read_city(city)
    assert ("grants/g-2026-001.json" in found_after.documents) == (found_after.version("grants") == 2)
    assert found_after.documents.keys() >= before.documents.keys()
    assert "grants/g-2026-001.json" in publish(city, draft, now=NOON).documents
    assert not list(city.path.rglob("*.new"))


def test_the_unrolled_folders_hold_what_the_bundle_holds(tmp_path: Path) -> None:
    city = found(tmp_path / "city")
    enact(city, grant(), *APPROVING)

    release = enact(city, restriction(), "police-chief").release

    assert {path: (city.published / path).read_bytes() for path in release} == dict(release)
    assert (city.published / "metadata" / "1.snapshot.json").exists()
