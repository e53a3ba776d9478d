"""`lamppost keys` makes identity files as age-keygen does, and never loses or shows a secret."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.sealing.recipients import parse_identities

SECRET = re.compile("AGE-SECRET-KEY", re.IGNORECASE)


def keys(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "provisioning", "keys", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("option", "recipient_start", "identity_start"),
    [([], "age1pq1", "AGE-SECRET-KEY-PQ-1"), (["--x25519"], "age1", "AGE-SECRET-KEY-1")],
    ids=["post-quantum by default", "x25519"],
)
def test_generate_prints_the_recipient_and_keeps_the_identity_to_its_owner(
    tmp_path: Path, option: list[str], recipient_start: str, identity_start: str
) -> None:
    path = tmp_path / "custodian.key"

    done = keys("generate", *option, "--out", path)

    assert done.returncode == os.EX_OK, done.stderr
    created, public, secret = path.read_text().splitlines()
    assert re.fullmatch(r"# created: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert public == f"# public key: {done.stdout.strip()}"
    assert secret.startswith(identity_start)
    assert done.stdout.startswith(recipient_start)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not SECRET.search(done.stdout + done.stderr)
    assert keys("recipient", path).stdout == done.stdout


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "custodian.key"
    path.write_text("the only key of a day\n")
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "elsewhere")

    over_file, over_link = keys("generate", "--out", path), keys("generate", "--out", link)

    assert over_file.returncode == over_link.returncode == os.EX_CANTCREAT
    assert over_file.stderr.startswith("lamppost: error: ")
    assert "lamppost: hint: " in over_file.stderr
    assert path.read_text() == "the only key of a day\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["custodian.key", "link.key"]
    assert over_file.stdout == over_link.stdout == ""


def test_a_folder_that_is_not_there_is_said_so_and_not_made(tmp_path: Path) -> None:
    done = keys("generate", "--out", tmp_path / "absent" / "custodian.key")

    assert done.returncode == os.EX_CANTCREAT
    assert "No such file or directory" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "custodian.key"

    # A limit on file size stands in for a full disk: 1 KiB for a key file of 2 KiB.
    under_limit = ["sh", "-c", 'ulimit -f 2; exec "$@"', "sh"]
    generate = [sys.executable, "-B", "-m", "provisioning", "keys", "generate", "--out", str(path)]
    done = subprocess.run(
        [*under_limit, *generate],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == os.EX_CANTCREAT
    assert "cannot write" in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (None, os.EX_CANTCREAT, "cannot read"),
        (b"\xff\xfe", os.EX_CANTCREAT, "not text"),
        (b"#" * (1024 * 1024 + 1), os.EX_CANTCREAT, "larger than"),
        (b"# empty\n", os.EX_DATAERR, "no identity"),
        (b"AGE-SECRET-KEY-1QQQQQQQQQQQQQQ\n", os.EX_DATAERR, "line 1 of the identity file"),
    ],
    ids=["missing", "binary", "huge", "empty", "misspelled"],
)
def test_recipient_says_what_is_wrong_with_a_file(
    tmp_path: Path, content: bytes | None, status: int, said: str
) -> None:
    path = tmp_path / "custodian.key"
    if content is not None:
        path.write_bytes(content)

    done = keys("recipient", path)

    assert done.returncode == status
    assert said in done.stderr
    assert done.stdout == ""
    assert not SECRET.search(done.stderr)


def test_recipient_prints_one_line_for_each_identity(tmp_path: Path) -> None:
    one, two, both = (tmp_path / name for name in ("one", "two", "both"))
    printed = [keys("generate", *option, "--out", path).stdout for option, path in (([], one), (["--x25519"], two))]
    both.write_text(one.read_text() + two.read_text())

    assert keys("recipient", both).stdout == "".join(printed)
    assert len(parse_identities(both.read_text())) == 2


@pytest.mark.skipif(shutil.which("age-keygen") is None, reason="age-keygen is not installed")
def test_age_keygen_reads_the_file_as_we_do(tmp_path: Path) -> None:
    path = tmp_path / "custodian.key"
    printed = keys("generate", "--x25519", "--out", path).stdout

    read = subprocess.run(["age-keygen", "-y", str(path)], capture_output=True, text=True, check=True)

    assert read.stdout == printed
