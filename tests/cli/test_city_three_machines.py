"""Three people on three machines found a city and grant a camera; no machine ever holds two keys."""

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.bundle import decode_bundle
from agent.core.policy.documents import Grant, parse_document
from provisioning.authority.published import first_root_of, verify_release

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime.now(UTC).replace(microsecond=0)

SPEC = f"""
issued_by = "police-chief"
reason = "Robberies at this corner."
starts_at = {NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}
ends_at = {NOW + timedelta(days=90):%Y-%m-%dT%H:%M:%SZ}
cameras = ["cam-07"]
intended_use = "public-safety"
permissible_uses = ["detect-crime"]
max_height_px = 1080
max_rate_hz = 15
people = "people"
originals = "none"
originals_recipients = []
recipients = ["custodian"]
live = "none"
metrics = ["incidents-supported", "hours-recorded"]
view = {{ aspect_width = 16, aspect_height = 9, rotation_degrees = 0 }}
schedule = [{{ days = ["mon", "tue", "wed", "thu", "fri"], opens = "07:00", closes = "19:00" }}]
retention = {{ days = 30 }}

[[zones]]
name = "windows of No. 14"
polygon = [[0.1, 0.1], [0.3, 0.1], [0.3, 0.4], [0.1, 0.4]]

[site]
id = "main-and-5th"
public_name = "Main Street at 5th"
location = {{ latitude = 38.627, longitude = -90.1994, public_precision_m = 50 }}
site_kind = "intersection"
basis = "sustained-criminal-activity"
statement = "Forty-one reported robberies within 100 m in 24 months."
purchase_reference = "PO-2026-0113"
"""


@dataclass(frozen=True)
class Machine:
    """One person's computer: a home folder that nobody else's commands get to see."""

    home: Path
    passphrase: str

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `lamppost` here and expect its exit status; whatever it prints must not hold the passphrase."""
        assert self.passphrase not in words
        done = subprocess.run(
            [sys.executable, "-m", "provisioning", *words],
            cwd=self.home,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "140"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        assert self.passphrase not in done.stdout + done.stderr
        return done

    def take(self, file: Path) -> None:
        """Receive a file by mail."""
        shutil.copy(file, self.home / file.name)


@pytest.fixture
def machines(tmp_path: Path) -> dict[str, Machine]:
    made = {}
    for office in ("city-manager", "it-director", "police-chief", "custodian", "backend"):
        home = tmp_path / office
        home.mkdir()
        machine = Machine(home, f"only {office} knows this")
        (home / "passphrase").write_text(machine.passphrase + "\n")
        made[office] = machine
    return made


def mail(draft: str, sender: Machine, receiver: Machine) -> None:
    receiver.take(sender.home / draft)


@pytest.mark.slow
def test_three_people_on_three_machines_found_a_city_and_grant_a_camera(  # noqa: PLR0915 - one story, told in order
    machines: dict[str, Machine],
) -> None:
    backend, manager, director, chief, custodian = (
        machines[name] for name in ("backend", "city-manager", "it-director", "police-chief", "custodian")
    )
    shutil.copy(REPOSITORY / "provisioning" / "charters" / "example.toml", backend.home / "charter.toml")

    # Each makes a key at home and sends the card.
    cards = []
    for office, machine in machines.items():
        if machine is not backend:
            machine.run(
                "city", "key", "--office", office, "--name", f"The {office}", "--out", "key",
                "--passphrase-file", "passphrase",
            )  # fmt: skip
            assert stat.S_IMODE((machine.home / "key" / "private.pem").stat().st_mode) == 0o600
            shutil.copy(machine.home / "key" / "card.json", backend.home / f"{office}.json")
            cards += ["--card", f"{office}.json"]
    backend.run("city", "init", "--charter", "charter.toml", *cards, "--out", "city", "--draft", "founding.draft")

    # The founding goes round; one signature is not enough.
    mail("founding.draft", backend, manager)
    manager.run("city", "sign", "founding.draft", "--key", "key", "--passphrase-file", "passphrase", "--yes")
    mail("founding.draft", manager, backend)
    refused = backend.run("city", "publish", "founding.draft", "--city", "city", "--yes", status=os.EX_NOPERM)
    assert "The it-director (it-director), The police-chief (police-chief)" in refused.stderr
    for sender, machine in ((manager, director), (director, chief), (chief, custodian)):
        mail("founding.draft", sender, machine)
        machine.run("city", "sign", "founding.draft", "--key", "key", "--passphrase-file", "passphrase", "--yes")
    mail("founding.draft", custodian, backend)
    backend.run("city", "publish", "founding.draft", "--city", "city", "--yes")

    # The chief drafts a grant against a copy of the bundle; it goes round.
    chief.take(backend.home / "city" / "published" / "policy.bundle")
    (chief.home / "grant.toml").write_text(SPEC)
    chief.run("grant", "draft", "grant.toml", "--city", "policy.bundle", "--out", "corner.draft")
    chief.run("grant", "sign", "corner.draft", "--key", "key", "--passphrase-file", "passphrase", "--yes")
    mail("corner.draft", chief, manager)
    manager.run("grant", "sign", "corner.draft", "--key", "key", "--passphrase-file", "passphrase", "--yes")

    # Someone whom the charter does not name cannot help out, nor can a wrong passphrase.
    mail("corner.draft", manager, custodian)
    refused = custodian.run(
        "grant", "sign", "corner.draft", "--key", "key", "--passphrase-file", "passphrase", "--yes", status=os.EX_NOPERM
    )
    assert "may not sign this" in refused.stderr
    mail("corner.draft", manager, director)
    (director.home / "wrong").write_text("not the passphrase\n")
    refused = director.run(
        "grant", "sign", "corner.draft", "--key", "key", "--passphrase-file", "wrong", "--yes", status=os.EX_NOPERM
    )
    assert "passphrase does not open" in refused.stderr

    # Two of three: refused, and nothing changes.
    mail("corner.draft", manager, backend)
    before = (backend.home / "city" / "published" / "policy.bundle").read_bytes()
    refused = backend.run("grant", "publish", "corner.draft", "--city", "city", "--yes", status=os.EX_NOPERM)
    assert "grants has 2 of 3 signatures, missing The it-director (it-director)" in refused.stderr
    assert (backend.home / "city" / "published" / "policy.bundle").read_bytes() == before

    # The third reads, looks at the picture, and signs.
    told = json.loads(director.run("grant", "show", "corner.draft", "--picture", "zones.svg", "--json").stdout)
    assert told["parts"] == [
        {
            "role": "grants",
            "threshold": 3,
            "signed": ["city-manager", "police-chief"],
            "missing": ["it-director"],
        }
    ]
    assert "windows of No. 14" in (director.home / "zones.svg").read_text()
    director.run("grant", "sign", "corner.draft", "--key", "key", "--passphrase-file", "passphrase", "--yes")
    mail("corner.draft", director, backend)
    backend.run("grant", "publish", "corner.draft", "--city", "city", "--yes")

    release = decode_bundle((backend.home / "city" / "published" / "policy.bundle").read_bytes())
    city = verify_release(release, first_root_of(release))
    (path,) = (path for path in city.documents if path.startswith("grants/"))
    granted = parse_document(city.documents[path])
    assert isinstance(granted, Grant)
    assert granted.cameras == ("cam-07",)
    assert [holder.office for holder in city.signers(path)] == ["city-manager", "it-director", "police-chief"]
    for office, machine in machines.items():
        keys = {path for path in machine.home.rglob("*") if path.name == "private.pem"}
        assert len(keys) == (0 if machine is backend else 1), f"{office} holds {keys}"
