"""Whose word counts for a camera's log, and how many of them, is for the reader to say."""

import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.core.log.checkpoint import cosign_checkpoint
from agent.errors import EvidenceError, NotWitnessedError
from provisioning import __main__ as program
from provisioning.evidence.chain import Witnesses, merge_cosignatures
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.judging import Judgement, judge, kind_of, verdict
from tests.fakes.documents import NOON
from tests.fakes.exhibits import (
    SECOND_KEY,
    WITNESS,
    WITNESS_KEY,
    Pole,
    city_with_sharing,
    cosigned_by_the_second,
    make_exhibit,
    seen_by_two,
)

LATER = NOON + timedelta(hours=1)
STRANGER_KEY = replace(SECOND_KEY, name="stranger.example/w", public=b"\x05" * 32)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence for which two witnesses vouch, of different people."""
    folder = tmp_path_factory.mktemp("witnesses")
    pole = Pole(folder / "card")
    make_exhibit(folder / "out", pole, city_with_sharing(folder / "city"), sources=seen_by_two(pole))
    return folder / "out"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("witness")
    make_exhibit(folder / "out", Pole(folder / "card"), city_with_sharing(folder / "city"))
    return folder / "out"


def judged(folder: Path, **knowing: Any) -> Judgement:
    return judge(Exhibit(folder), now=LATER, **knowing)


def verdict_on(folder: Path, **knowing: Any) -> str:
    no = verdict(judged(folder, **knowing))
    return "holds" if no is None else kind_of(no)


def test_each_witness_is_told_with_its_time(both: Path) -> None:
    holds = judged(both, witnesses_needed=2).holds

    assert "The witness witness.example.org/w1 had seen the log by 2026-11-28 12:00:20 UTC." in holds
    assert "The witness auditor.example.net/w2 had seen the log by 2026-11-28 12:00:50 UTC." in holds


def test_two_may_be_asked_for(both: Path, one: Path) -> None:
    assert verdict_on(both, witnesses_needed=2) == "holds"
    assert verdict_on(one) == "holds"
    assert verdict_on(one, witnesses_needed=2) == "not witnessed"


def test_who_is_missing_is_named(both: Path) -> None:
    no = verdict(judged(both, witnesses=[WITNESS_KEY, STRANGER_KEY], witnesses_needed=2))

    assert isinstance(no, NotWitnessedError)
    assert "1 of the 2 witnesses that are needed" in str(no)
    assert "stranger.example/w" in str(no)
    assert "w1" not in str(no)


def test_a_reader_who_trusts_the_second_alone_needs_not_the_first(both: Path, one: Path) -> None:
    assert verdict_on(both, witnesses=[SECOND_KEY]) == "holds"
    assert verdict_on(one, witnesses=[SECOND_KEY]) == "not witnessed"


def test_three_of_two_is_never_enough(both: Path) -> None:
    assert verdict_on(both, witnesses_needed=3) == "not witnessed"


def test_one_witness_under_two_names_is_one(one: Path) -> None:
    alias = replace(WITNESS_KEY, name="alias.example/w")
    note = (one / "log/witnessed").read_bytes()
    twice = cosign_checkpoint(note, alias, WITNESS.sign, now=LATER)

    assert len(Witnesses(keys=(WITNESS_KEY, alias)).that_saw(twice)) == 1
    assert verdict_on(one, witnesses=[WITNESS_KEY, WITNESS_KEY], witnesses_needed=2) == "not witnessed"


def test_a_single_witness_is_remarked_on(both: Path, one: Path) -> None:
    assert any("one witness vouches" in remark for remark in judged(one).remarks)
    assert not any("one witness vouches" in remark for remark in judged(both).remarks)


def test_a_cosignature_that_is_broken_spoils_not_the_other(both: Path, tmp_path: Path) -> None:
    note = (both / "log/witnessed").read_bytes()
    lines = note.splitlines(keepends=True)
    last = lines[-1].decode()
    broken = last[:-6] + ("A" if last[-6] != "A" else "B") + last[-5:]

    seen = Witnesses(keys=(WITNESS_KEY, SECOND_KEY)).that_saw(b"".join([*lines[:-1], broken.encode()]))

    assert [name for name, _ in seen] == ["witness.example.org/w1"]


def test_cosignatures_of_different_checkpoints_are_not_merged(tmp_path: Path) -> None:
    pole = Pole(tmp_path / "card")
    assert pole.witnessed is not None
    pole.append("stopped", LATER)

    with pytest.raises(EvidenceError, match="different checkpoints"):
        merge_cosignatures([pole.witnessed, cosigned_by_the_second(pole)])


def test_no_witness_needed_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Witnesses(keys=(WITNESS_KEY,), needed=0)


@pytest.mark.parametrize(("needed", "status", "said"), [(2, 0, "holds"), (3, 85, "not witnessed")])
def test_the_command_takes_both(
    needed: int,
    status: int,
    said: str,
    both: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = ["--witness", str(WITNESS_KEY), "--witness", str(SECOND_KEY)]
    words = ["lamppost", "evidence", "verify", str(both), *known, "--witnesses-needed", str(needed), "--json"]
    monkeypatch.setattr(sys, "argv", words)

    with pytest.raises(SystemExit) as exit_:
        program.main()

    assert (int(exit_.value.code or 0), json.loads(capsys.readouterr().out)["verdict"]) == (status, said)
