"""The package brings what the agent imports, names its commands, refuses a bad downgrade, purges keys, not footage.

What is built from it is tried on the bench (hil/); here are its parts.
"""

import importlib.util
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from agent.adapters.policy_store import POLICY_FORMAT

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "debian" / "scripts"
MADE_AT = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    specification = importlib.util.spec_from_file_location("build_package", ROOT / "debian/build_package.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["build_package"] = module  # dataclasses look themselves up
    specification.loader.exec_module(module)
    return module


def script(name: str, card: Path) -> str:
    """Return a maintainer script whose camera lies in a folder."""
    text = (SCRIPTS / name).read_text(encoding="utf-8").replace("@POLICY_FORMAT@", str(POLICY_FORMAT))
    return re.sub(r"(?<![\w.])/(var/lib|etc|run)/(?=lamppost|credstore)", rf"{card}/\1/", text)


def run(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-s", "--", *words], input=text, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_everything_the_agent_imports_comes_locked_and_nothing_of_the_citys_tools(
    builder: ModuleType, suite: str, arch: str
) -> None:
    target = builder.Target(suite=builder.SUITES[suite], arch=arch)

    found = builder.libraries(target)

    assert found.keys() >= builder.imported_by_the_agent()
    assert all("==" in text and "--hash=sha256:" in text for text in found.values())
    assert not found.keys() & {"sqlalchemy", "starlette", "uvicorn", "typer", "rich", "pytest", "prometheus-client"}


def test_nothing_in_it_tells_which_python_built_it(builder: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pyav").write_text("#!/home/someone/.venv/bin/python3\n")
    record = tmp_path / "av-18.1.0.dist-info/RECORD"
    record.parent.mkdir()
    record.write_text("../../bin/pyav,sha256=uX8ZYn,221\nav/__init__.py,sha256=8Qf,2\n")

    builder._forget_programs(tmp_path)

    assert not (tmp_path / "bin").exists()
    assert record.read_text() == "av/__init__.py,sha256=8Qf,2\n"


def test_the_bill_of_materials_names_every_library_and_the_net(builder: ModuleType) -> None:
    target = builder.Target(suite=builder.SUITES["trixie"], arch="arm64")

    bill = json.loads(builder.bill_of_materials(target, "0.1.0+deb13", MADE_AT))

    names = {part["name"] for part in bill["components"]}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert names == {*builder.libraries(target), "person-vehicle.tflite"}
    assert builder.bill_of_materials(target, "0.1.0+deb13", MADE_AT) == json.dumps(bill, indent=2, sort_keys=True)


def test_the_manual_page_has_every_command_and_no_other() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "agent", "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout
    page = (ROOT / "debian/man/lamppost-agent.1").read_text(encoding="utf-8")

    commands = set(re.findall(r"^    (\w+)(?: |$)", told, re.MULTILINE))
    section = page.partition(".SH COMMANDS")[2].partition(".SH ")[0]
    assert set(re.findall(r"^\.TP\n\.B (\w+)$", section, re.MULTILINE)) == commands


@pytest.mark.parametrize("name", ["preinst", "postinst", "prerm", "postrm"])
def test_maintainer_scripts_are_shell_that_stops_at_errors(name: str, tmp_path: Path) -> None:
    text = (SCRIPTS / name).read_text(encoding="utf-8")

    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False, timeout=60).returncode == 0
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -e\n" in text
    assert run(script(name, tmp_path), "what-no-dpkg-says").returncode == 0


@pytest.mark.parametrize(("in_use", "status"), [(None, 0), (POLICY_FORMAT, 0), (POLICY_FORMAT + 1, 1)])
def test_a_version_that_cannot_read_the_policy_in_use_is_refused_and_nothing_changes(
    tmp_path: Path, in_use: int | None, status: int
) -> None:
    floors = tmp_path / "var/lib/lamppost/state/policy/floors.json"
    floors.parent.mkdir(parents=True)
    if in_use is not None:
        floors.write_text(json.dumps({"format": in_use, "versions": {"root": 1}}, indent=1))
    before = floors.read_bytes() if in_use is not None else b""

    done = run(script("preinst", tmp_path), "upgrade", "9.9")

    assert done.returncode == status
    assert ("error: the policy in use has format" in done.stderr) == bool(status)
    assert (floors.read_bytes() if in_use is not None else b"") == before


def test_purge_takes_every_key_and_leaves_what_a_hold_may_protect(tmp_path: Path) -> None:
    kept = ["var/lib/lamppost/footage/2026/11/28/a.mp4.age", "var/lib/lamppost/state/log/events-000000000000.jsonl"]
    gone = [
        "var/lib/lamppost/state/keys/log.pem",
        "var/lib/lamppost/state/keys/log.pem.20261128T120000.000000Z",
        "var/lib/lamppost/state/policy/floors.json",
        "var/lib/lamppost/link/credential.pem",
        "var/lib/lamppost/link/credential.pem.pending",
        "var/lib/lamppost/inbox/policy.bundle",
        "etc/credstore.encrypted/lamppost-log-key",
        "etc/credstore/lamppost-feed-url",
        "etc/lamppost/lamppost.toml",
    ]
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "etc/credstore/somebody-elses").touch()

    done = run(script("postrm", tmp_path), "purge")

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert done.returncode == 0, done.stderr
    assert left == {*kept, "etc/credstore/somebody-elses"}
    assert "stay in" in done.stderr


def test_removing_without_purge_takes_nothing_of_the_cameras(tmp_path: Path) -> None:
    key = tmp_path / "var/lib/lamppost/state/keys/log.pem"
    key.parent.mkdir(parents=True)
    key.write_text("key")

    assert run(script("postrm", tmp_path), "remove").returncode == 0

    assert key.read_text() == "key"
