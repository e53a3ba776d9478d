"""`lamppost log verify` finds whatever was changed in a log, or in the footage it tells of, and says what."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from agent.adapters.disk import Disk
from agent.adapters.log_files import MAX_LINE_BYTES
from agent.adapters.tile_log import TileLog
from agent.core.log.checkpoint import log_key, open_checkpoint, witnessed_at
from agent.core.log.leaf import Event, encode_leaf
from agent.core.log.note import parse_verifier_key
from agent.errors import (
    CheckpointFormatError,
    CheckpointSignatureError,
    LamppostError,
    LogDamagedError,
    LogForkedError,
    LogGapError,
    LogRewoundError,
    ProofError,
    UsageError,
)
from provisioning.commands.log import app

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LEAVES = 700


class MemoryKeyring:
    kind = "memory"

    def __init__(self, seed: int = 0) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class QuickDisk(Disk):
    """A disk that does not wait for the medium: nothing here is about power cuts."""

    def sync(self, descriptor: int) -> None:
        pass


KEY = log_key("cam-07", MemoryKeyring().public)
SEGMENTS = {
    f"cam-07-20261128T1200{second:02}.000000Z-{sequence:08}.mp4.age": bytes([sequence]) * 100
    for sequence, second in ((1, 0), (2, 10))
}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Return a card with a log of which the oldest entries went, and two files of footage."""
    footage = tmp_path / "footage"
    footage.mkdir()
    with TileLog(
        tmp_path / "log", "cam-07", MemoryKeyring(), max_file_bytes=MAX_LINE_BYTES, keep_files=1, disk=QuickDisk()
    ) as log:
        for _ in range(LEAVES):
            log.append("boot", NOON)
        log.append("started", NOON, log_key=str(log.key))
        for name, content in SEGMENTS.items():
            (footage / name).write_bytes(content)
            digest = sha256(content).hexdigest()
            log.append("segment-stored", NOON, file=name, sha256=digest, size_bytes=len(content))
        log.publish()
    return tmp_path


def run(card: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["verify", str(card / "log"), *options], catch_exceptions=True)


def refusal(result: Result) -> LamppostError:
    assert isinstance(result.exception, LamppostError), result.output
    return result.exception


def test_a_log_as_it_was_signed_verifies_with_its_key_and_by_its_own_word(card: Path) -> None:
    known = run(card, "--key", str(KEY), "--footage", str(card / "footage"))
    by_itself = run(card, "--json")

    assert known.exit_code == 0, known.output
    assert known.stdout == f"{KEY.name}: {LEAVES + 3} leaves, signed, whole and in order\n"
    told = json.loads(by_itself.stdout)
    assert (told["size"], told["key"], told["key_known"]) == (LEAVES + 3, str(KEY), False)
    assert 0 < told["first"] < LEAVES
    assert told["kinds"]["segment-stored"] == 2
    assert "own word" in by_itself.stderr


def newest(card: Path) -> Path:
    return max((card / "log").glob("events-*"))


def oldest(card: Path) -> Path:
    return min((card / "log").glob("events-*"))


def alter_old_entry(card: Path) -> None:
    path = oldest(card)
    path.write_bytes(path.read_bytes().replace(b'"boot"', b'"b00t"', 1))


def alter_new_entry(card: Path) -> None:
    path = newest(card)
    path.write_bytes(path.read_bytes().replace(b'"size_bytes":100', b'"size_bytes":101', 1))


def drop_new_entry(card: Path) -> None:
    path = newest(card)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def swap_old_entries(card: Path) -> None:
    path = oldest(card)
    first, second, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([second, first, *others]))


def drop_old_tile(card: Path) -> None:
    (card / "log" / "tile" / "0" / "000").unlink()


def flip_tile(card: Path) -> None:
    path = card / "log" / "tile" / "0" / "000"
    content = bytearray(path.read_bytes())
    content[17] ^= 1
    path.write_bytes(content)


def resign(card: Path) -> None:
    (card / "log" / "checkpoint").unlink()
    with TileLog(card / "log", "cam-07", MemoryKeyring(1)) as log:
        log.publish()


def fork(card: Path) -> None:
    """Put another last entry in, and leave the rest."""
    path = newest(card)
    *others, _ = path.read_bytes().splitlines(keepends=True)
    another = encode_leaf(Event(number=LEAVES + 2, at=NOON, kind="boot", facts={}))
    path.write_bytes(b"".join([*others, another, b"\n"]))


@pytest.mark.parametrize(
    ("tamper", "kind"),
    [
        (alter_old_entry, LogDamagedError),
        (alter_new_entry, LogDamagedError),
        (drop_new_entry, LogGapError),
        (swap_old_entries, LogDamagedError),
        (drop_old_tile, LogGapError),
        (flip_tile, (LogDamagedError, LogForkedError)),
        (resign, CheckpointSignatureError),
        (fork, LogDamagedError),
    ],
    ids=lambda each: getattr(each, "__name__", "kinds"),
)
def test_whatever_was_done_to_it_is_found(
    card: Path, tamper: Callable[[Path], None], kind: type[LamppostError]
) -> None:
    tamper(card)

    assert isinstance(refusal(run(card, "--key", str(KEY))), kind)


def test_a_file_that_was_altered_cut_or_slipped_in_is_named(card: Path) -> None:
    first, second = sorted((card / "footage").iterdir())
    first.write_bytes(b"x" * 100)
    second.write_bytes(second.read_bytes()[:50])
    stranger = first.with_name("cam-07-20261128T120020.000000Z-00000003.mp4.age")
    stranger.write_bytes(b"new")
    (card / "footage" / "notes.age").write_bytes(b"no segment")

    result = run(card, "--key", str(KEY), "--footage", str(card / "footage"))

    assert result.exit_code == os.EX_DATAERR
    assert result.stdout.splitlines()[1:] == [
        f"{first.name}: it was altered",
        f"{second.name}: it has 50 bytes, and had 100",
        f"{stranger.name}: the log does not tell of it",
    ]


def test_footage_that_retention_removed_is_no_disagreement(card: Path) -> None:
    next((card / "footage").iterdir()).unlink()

    assert run(card, "--key", str(KEY), "--footage", str(card / "footage")).exit_code == 0


def test_a_log_that_names_no_key_and_a_folder_that_is_none_are_refused(card: Path) -> None:
    newest(card).write_bytes(newest(card).read_bytes().replace(b'"log_key"', b'"no_key__"'))

    assert isinstance(refusal(run(card)), UsageError)
    assert isinstance(refusal(run(card / "nowhere")), UsageError)


# --- a witness of one's own -------------------------------------------------------


def add_leaves(card: Path, kind: str = "boot") -> None:
    with TileLog(card / "log", "cam-07", MemoryKeyring(), disk=QuickDisk()) as log:
        for _ in range(3):
            log.append(kind, NOON)
        log.publish()


def cosign(card: Path, auditor: Path, *more: str) -> Result:
    options = ["--key", str(KEY), "--witness", str(auditor), "--out", str(auditor.with_suffix(".checkpoint")), *more]
    return CliRunner().invoke(app, ["cosign", str(card / "log"), *options], catch_exceptions=True)


def test_an_auditor_vouches_for_a_log_that_goes_on(card: Path, tmp_path: Path) -> None:
    auditor = tmp_path / "auditor"
    first = cosign(card, auditor)
    add_leaves(card)

    then = cosign(card, auditor)

    assert f"{LEAVES + 3} leaves, seen for the first time" in first.stdout
    assert f"{LEAVES + 6} leaves, goes on from the {LEAVES + 3} seen at" in then.stdout
    key = parse_verifier_key((auditor / "witness.vkey").read_text().strip())
    note = auditor.with_suffix(".checkpoint").read_bytes()
    assert open_checkpoint(note, KEY).size == LEAVES + 6
    assert witnessed_at(note, key)
    assert f"--witness {key}" in then.stderr
    assert (auditor / "witness.key").stat().st_mode & 0o777 == 0o600


def test_two_witnesses_vouch_for_the_same_checkpoint(card: Path, tmp_path: Path) -> None:
    cosign(card, tmp_path / "backend")
    add_leaves(card)

    told = cosign(card, tmp_path / "auditor", "--checkpoint", str(tmp_path / "backend.checkpoint"))

    assert f"{LEAVES + 3} leaves, seen for the first time" in told.stdout
    note = (tmp_path / "auditor.checkpoint").read_bytes()
    for who in ("backend", "auditor"):
        assert witnessed_at(note, parse_verifier_key((tmp_path / who / "witness.vkey").read_text().strip()))


def test_an_auditor_does_not_vouch_for_leaves_that_are_not_there(card: Path, tmp_path: Path) -> None:
    shutil.copytree(card / "log", tmp_path / "earlier")
    add_leaves(card)
    cosign(card, tmp_path / "backend")
    put_back(card, tmp_path / "earlier")

    refused = refusal(cosign(card, tmp_path / "auditor", "--checkpoint", str(tmp_path / "backend.checkpoint")))

    assert isinstance(refused, LogGapError)
    assert not (tmp_path / "auditor").exists()


def put_back(card: Path, earlier: Path) -> None:
    shutil.rmtree(card / "log")
    shutil.copytree(earlier, card / "log")


def test_an_auditor_does_not_vouch_for_a_log_that_was_put_back(card: Path, tmp_path: Path) -> None:
    shutil.copytree(card / "log", tmp_path / "earlier")
    add_leaves(card)
    cosign(card, tmp_path / "auditor")
    vouched = (tmp_path / "auditor.checkpoint").read_bytes()
    put_back(card, tmp_path / "earlier")

    refused = refusal(cosign(card, tmp_path / "auditor"))

    assert isinstance(refused, LogRewoundError)
    assert f"missing: leaves {LEAVES + 3} to {LEAVES + 5}" in str(refused)
    assert (tmp_path / "auditor.checkpoint").read_bytes() == vouched


@pytest.mark.parametrize("more", [1, 2])
def test_an_auditor_does_not_vouch_for_another_tree_of_the_same_beginning(
    card: Path, tmp_path: Path, more: int
) -> None:
    shutil.copytree(card / "log", tmp_path / "earlier")
    add_leaves(card)
    cosign(card, tmp_path / "auditor")
    vouched = (tmp_path / "auditor.checkpoint").read_bytes()
    put_back(card, tmp_path / "earlier")
    for _ in range(more):
        add_leaves(card, "other")

    refused = refusal(cosign(card, tmp_path / "auditor"))

    assert isinstance(refused, LogForkedError if more == 1 else ProofError)
    assert (tmp_path / "auditor.checkpoint").read_bytes() == vouched


def test_an_auditor_takes_nobodys_word_for_the_key(card: Path, tmp_path: Path) -> None:
    stranger = log_key("cam-07", MemoryKeyring(7).public)
    options = ["--key", str(stranger), "--witness", str(tmp_path / "auditor"), "--out", str(tmp_path / "out")]

    refused = refusal(CliRunner().invoke(app, ["cosign", str(card / "log"), *options]))

    assert isinstance(refused, CheckpointFormatError | CheckpointSignatureError)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "auditor").exists()
