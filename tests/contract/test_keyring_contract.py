"""Every keyring makes one key, finds it again, signs with it, and yields it to no other board."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.adapters.keyring import open_keyring
from agent.adapters.keyring_otp import OtpKeyring, read_fuses
from agent.adapters.keyring_tpm import TpmKeyring
from agent.adapters.tile_log import TileLog
from agent.errors import LogKeyError
from agent.ports import Keyring
from tests.fakes.documents import NOON
from tests.fakes.swtpm import started_tpm


@dataclass(frozen=True)
class Board:
    """A kind of keyring on one board, and on another.

    Attributes:
        kind: What it says it is.
        open: Opens the keyring at a path.
        open_elsewhere: Opens the same card in another board; None where a card is all there is.
    """

    kind: str
    open: Callable[[Path], Keyring]
    open_elsewhere: Callable[[Path], Keyring] | None


@pytest.fixture(params=["file", "tpm", "otp"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    if request.param == "tpm":
        with started_tpm(tmp_path / "tpm") as tcti, started_tpm(tmp_path / "other-tpm") as other:
            yield Board("tpm", lambda path: TpmKeyring(path, tcti=tcti), lambda path: TpmKeyring(path, tcti=other))
    elif request.param == "otp":
        yield Board(
            "otp",
            lambda path: OtpKeyring(path, fuses=lambda: b"\x07" * 32),
            lambda path: OtpKeyring(path, fuses=lambda: b"\x08" * 32),
        )
    else:
        yield Board("file", open_keyring, None)


# A key in a file is whoever's who has the card, and a bit that changed in it makes another key of another log.
bound = pytest.mark.parametrize("board", ["tpm", "otp"], indirect=True)


def test_it_says_where_the_key_is_kept(board: Board, tmp_path: Path) -> None:
    assert board.open(tmp_path / "key").kind == board.kind


def test_a_key_is_made_once_and_found_again(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key"

    first, second = board.open(path), board.open(path)

    assert first.public == second.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    Ed25519PublicKey.from_public_bytes(first.public).verify(second.sign(b"message"), b"message")


def test_two_cards_have_two_keys(board: Board, tmp_path: Path) -> None:
    assert board.open(tmp_path / "a").public != board.open(tmp_path / "b").public


def test_a_log_is_signed_with_it(board: Board, tmp_path: Path) -> None:
    with TileLog(tmp_path / "log", "cam-07", board.open(tmp_path / "key")) as log:
        log.append("boot", NOON)
        log.publish()
        assert log.key_kind == board.kind

    with TileLog(tmp_path / "log", "cam-07", board.open(tmp_path / "key")) as log:
        assert log.size == 1


@bound
def test_the_card_in_another_board_signs_nothing_and_stays_as_it_was(board: Board, tmp_path: Path) -> None:
    assert board.open_elsewhere is not None
    path = tmp_path / "key"
    public = board.open(path).public
    before = path.read_bytes()

    with pytest.raises(LogKeyError):
        board.open_elsewhere(path)

    assert path.read_bytes() == before
    assert board.open(path).public == public


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"version": 1}', b'{"version": 2}', b"[]", b"\xff" * 9000])
def test_a_file_that_is_no_key_is_refused_and_not_replaced(content: bytes, board: Board, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(LogKeyError):
        board.open(path)

    assert path.read_bytes() == content


@bound
def test_a_bit_that_changed_on_the_card_is_seen(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "key"
    board.open(path)
    content = bytearray(path.read_bytes())
    at = content.rindex(b'"') - 8
    content[at] = ord("0") if content[at] != ord("0") else ord("1")
    path.write_bytes(content)

    with pytest.raises(LogKeyError):
        board.open(path)


# --- the TPM ------------------------------------------------------------------


def test_a_tpm_gives_the_key_again_after_a_restart(tmp_path: Path) -> None:
    with started_tpm(tmp_path / "tpm") as tcti:
        public = TpmKeyring(tmp_path / "key", tcti=tcti).public
    with started_tpm(tmp_path / "tpm") as tcti:
        assert TpmKeyring(tmp_path / "key", tcti=tcti).public == public


def test_a_tpm_is_left_with_room_for_others(tmp_path: Path) -> None:
    with started_tpm(tmp_path / "tpm") as tcti:
        keys = {TpmKeyring(tmp_path / "key", tcti=tcti).public for _ in range(10)}  # it holds three objects at a time

    assert len(keys) == 1


def test_no_tpm_is_an_error_that_makes_no_file(tmp_path: Path) -> None:
    with started_tpm(tmp_path / "tpm") as tcti:
        pass

    with pytest.raises(LogKeyError, match="does not give"):
        TpmKeyring(tmp_path / "key", tcti=tcti)

    assert not (tmp_path / "key").exists()


# --- the fuses of a Raspberry Pi ------------------------------------------------


def program(tmp_path: Path, script: str) -> str:
    path = tmp_path / "rpi-otp-private-key"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_the_fuses_are_what_the_firmwares_program_prints(tmp_path: Path) -> None:
    assert read_fuses(program(tmp_path, f"echo {'5a' * 32}")) == b"\x5a" * 32


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"echo {'00' * 32}", "never written"),
        ("echo 5a5a", "never written"),
        ("echo 'vc_mailbox failed'", "does not give"),
        ("exit 1", "does not give"),
    ],
)
def test_a_board_without_private_bytes_is_refused_and_no_key_is_made(script: str, said: str, tmp_path: Path) -> None:
    name = program(tmp_path, script)

    with pytest.raises(LogKeyError, match=said):
        OtpKeyring(tmp_path / "key", fuses=lambda: read_fuses(name))

    assert not (tmp_path / "key").exists()


def test_what_the_program_printed_is_in_no_message(tmp_path: Path) -> None:
    secret = "5a" * 32

    with pytest.raises(LogKeyError) as refused:
        read_fuses(program(tmp_path, f"echo {secret}; exit 3"))

    assert secret not in str(refused.value)
    assert refused.value.__cause__ is None


def test_no_such_program_is_no_such_board(tmp_path: Path) -> None:
    with pytest.raises(LogKeyError, match="does not give"):
        read_fuses(str(tmp_path / "missing"))
