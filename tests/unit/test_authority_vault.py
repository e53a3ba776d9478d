"""The vault keeps what opens a day of footage, for whoever knows the passphrase, until it is destroyed."""

import shutil
import stat
import subprocess
from datetime import date
from pathlib import Path

import pytest

from agent.core.sealing.age_file import Sealer, open_stream
from agent.errors import HeaderError, StorageError, UsageError, WrongIdentityError
from provisioning.authority import vault as vaults
from provisioning.authority.vault import (
    DayKey,
    destroy,
    kept,
    open_vault,
    open_with_passphrase,
    seal_to_passphrase,
)

PASSPHRASE = "four words nobody joins"
TODAY = DayKey(day=date(2026, 11, 28), layer="masked", role="custodian")
TOMORROW = DayKey(day=date(2026, 11, 29), layer="masked", role="custodian")


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults, "SCRYPT_LOG_N", 10)


def test_a_days_identity_opens_what_was_sealed_to_its_recipient(tmp_path: Path) -> None:
    recipient = open_vault(tmp_path / "vault", PASSPHRASE).identity(TODAY).recipient
    sealer = Sealer([recipient])
    footage = sealer.header + sealer.push(b"footage") + sealer.finish()

    identity = open_vault(tmp_path / "vault", PASSPHRASE).stored(TODAY)

    assert b"".join(open_stream([footage], [identity])) == b"footage"


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "vault", PASSPHRASE)

    assert vault.identity(TODAY) == vault.identity(TODAY)
    assert vault.identity(TODAY) != vault.identity(TOMORROW)


def test_nothing_in_the_vault_is_clear_or_for_others(tmp_path: Path) -> None:
    secret = open_vault(tmp_path / "vault", PASSPHRASE).identity(TODAY).reveal()

    stored = [path for path in (tmp_path / "vault").rglob("*") if path.is_file()]
    assert len(stored) == 3  # and the recipient, which is public
    assert not any(secret.encode() in path.read_bytes() or b"AGE-SECRET" in path.read_bytes() for path in stored)
    assert {stat.S_IMODE(path.stat().st_mode) for path in stored} == {0o600}
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700


def test_a_wrong_passphrase_opens_nothing(tmp_path: Path) -> None:
    open_vault(tmp_path / "vault", PASSPHRASE)

    with pytest.raises(WrongIdentityError, match="passphrase does not open"):
        open_vault(tmp_path / "vault", "four words nobody knows")


def test_a_passphrase_that_protects_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="passphrase has"):
        open_vault(tmp_path / "vault", "short")

    assert not (tmp_path / "vault").exists()


def test_what_is_destroyed_is_gone_and_the_rest_stays(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "vault", PASSPHRASE)
    vault.identity(TODAY)
    vault.identity(TOMORROW)

    destroy(tmp_path / "vault", [TODAY])

    assert list(kept(tmp_path / "vault")) == [TOMORROW]
    with pytest.raises(StorageError, match="no identity for masked footage of 2026-11-28"):
        vault.stored(TODAY)


def test_what_is_no_days_identity_is_left_alone(tmp_path: Path) -> None:
    open_vault(tmp_path / "vault", PASSPHRASE)
    (tmp_path / "vault" / "days" / "notes.age").touch()
    (tmp_path / "vault" / "days" / ".2026-11-28.masked.custodian.age.new").touch()

    assert list(kept(tmp_path / "vault")) == []


@pytest.mark.parametrize("log_n", ["0", "21", "99", "1e1", "-1"])
def test_a_stanza_that_asks_for_too_much_is_refused_before_it_is_obeyed(log_n: str) -> None:
    sealed = seal_to_passphrase(b"x", PASSPHRASE).replace(b" 10\n", f" {log_n}\n".encode(), 1)

    with pytest.raises(HeaderError):
        open_with_passphrase(sealed, PASSPHRASE)


@pytest.mark.skipif(shutil.which("age") is None or shutil.which("script") is None, reason="needs age and script")
def test_stock_age_opens_the_vault(tmp_path: Path) -> None:
    (tmp_path / "file.age").write_bytes(seal_to_passphrase(b"clear words", PASSPHRASE))

    # age asks a terminal for the passphrase and nobody else; script lends it one
    done = subprocess.run(
        ["script", "-qec", f"age -d -o {tmp_path}/clear {tmp_path}/file.age", "/dev/null"],
        input=f"{PASSPHRASE}\n".encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (tmp_path / "clear").read_bytes() == b"clear words", done
