"""After all has run together, each secret lies in its one private file, and no picture lies anywhere unsealed.

A network camera with a password, its feed, a recorder, a link, a broker and a backend
run on this desk; policy changes, commands are asked, a certificate is renewed, one
official revokes. Then every file that any of them wrote, every message that went over
the broker and every argument list is searched for every secret there is.
"""

import base64
import contextlib
import os
import secrets
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import JsonValue

from agent.adapters.clock import SystemClock
from agent.adapters.paho_link import BrokerAddress, PahoBroker
from agent.core.messages.commands import CommandName, Outcome
from agent.core.messages.log import LogBatch
from agent.core.status import RecordingState
from agent.errors import WrongIdentityError
from agent.link.app import LARGEST_PACKET_BYTES
from agent.ports import Outgoing, Received
from provisioning.backend.installation import BackendFolder
from provisioning.backend.orders import ask, make_command
from provisioning.backend.records import CameraRecord
from provisioning.backend.store import Store
from provisioning.clock import precise_now, utc_now, wait
from provisioning.demo.camera import DemoCamera
from provisioning.demo.city import CAMERA, DemoCity
from provisioning.demo.fleet import HOST, DemoFleet
from provisioning.footage.catalogue import find_segments
from provisioning.footage.opening import open_segment
from tests.fakes.harvest import identities_in
from tests.fakes.rtsp_camera import PASSWORD, RtspCamera

LISTENER = "listener"
TOKEN = "X-Amz-Signature=5ecre7-0f-4-presigned-address"
ADDRESS = f"https://objects.example/footage/1.mp4.age?{TOKEN}"
LOOK_EVERY = timedelta(milliseconds=50)
PATIENCE = timedelta(seconds=60)

# Box headers that any fragmented MP4 has (ISO/IEC 14496-12 8.2.2 and 8.8.5), what libx264 signs its streams with,
# and how the files of stills begin. Eight bytes or more: ciphertext has none of them by chance.
PICTURE_SIGNS = (
    b"\x00\x00\x00\x10mfhd",
    b"\x00\x00\x00lmvhd",
    b"x264 - core",
    b"\x89PNG\r\n\x1a\n",
    b"\x10JFIF\x00\x01\x01",
)
LEAST_CHARACTERS = 12  # of base64, so that nothing has them by chance
SECRET_SIGNS = (b"PRIVATE KEY-----", b"AGE-SECRET-KEY-", b"age-secret-key-")

# The files that hold a secret because that is what they are for, each its owner's alone.
FEED_ADDRESS = "feed/credentials/feed-url"
KEY_FILES = frozenset(
    {
        "people/city-manager/private.pem",
        "people/it-director/private.pem",
        "people/police-chief/private.pem",
        "people/custodian/private.pem",
        "people/city/online/snapshot.pem",
        "people/city/online/timestamp.pem",
        "fleet/stick/root.key",
        "fleet/backend/authority/issuing.key",
        "fleet/backend/backend.key",
        "fleet/backend/broker/server.key",
        "fleet/backend/witness/witness.key",
        "card/link/credential.pem",
        "card/state/keys/log.pem",
        "listener.pem",
    }
)


@dataclass
class Passphrases:
    """Every passphrase that somebody chose, as it was made."""

    made: list[str] = field(default_factory=list)

    def token_urlsafe(self, nbytes: int | None = None) -> str:
        self.made.append(base64.urlsafe_b64encode(secrets.token_bytes(nbytes or 24)).decode())
        return self.made[-1]


class Overheard:
    """All that goes over the broker, as somebody hears it who may read everything."""

    def __init__(self, address: BrokerAddress) -> None:
        broker = PahoBroker(address, SystemClock(), largest_bytes=LARGEST_PACKET_BYTES)
        will = Outgoing(topic=f"lamppost/v1/cam/{LISTENER}/up/birth", payload=b"")
        self._session = broker.connect(will, ["lamppost/v1/cam/#"], resume=False)
        self.messages: list[Received] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name=LISTENER)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE.total_seconds())
        self._session.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            happened = self._session.poll(LOOK_EVERY)
            self.messages += [each for each in happened if isinstance(each, Received)]


class Arguments:
    """The argument list of every process that this one starts, looked at for as long as they run."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="arguments")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE.total_seconds())

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY.total_seconds()):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):  # it has just ended
                    parent = process.joinpath("stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
                    if int(parent) == os.getpid():
                        self.seen.add(process.joinpath("cmdline").read_bytes())


@contextlib.contextmanager
def feeding(folder: Path, url: str) -> Iterator[Path]:
    """Run the feed as its unit does: the address comes as a systemd credential."""
    credentials, said = folder / "credentials", folder / "feed.log"
    credentials.mkdir(parents=True, mode=0o700)
    (credentials / "feed-url").write_text(url, encoding="utf-8")
    (credentials / "feed-url").chmod(0o600)
    command = [sys.executable, "-m", "agent", "feed", "--socket", str(folder / "feed.sock")]
    with (
        said.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, "CREDENTIALS_DIRECTORY": str(credentials)}
        ) as process,
    ):
        try:
            yield folder / "feed.sock"
        finally:
            process.terminate()


class Desk:
    """Everything that runs, and what is to be known of it afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.city = DemoCity(folder / "people", precise_now)
        self.fleet = DemoFleet(folder / "fleet", self.city.folder, utc_now)
        self.backend = BackendFolder(path=folder / "fleet" / "backend")
        self.messages: Sequence[Received] = ()
        self.outcomes: dict[str, Outcome] = {}
        self.arguments: frozenset[bytes] = frozenset()

    def play(self, source: RtspCamera) -> None:
        """Let all of it happen: policy, footage, commands, a renewal, a revocation."""
        with (self.backend.broker / "acl").open("a", encoding="utf-8") as acl:
            acl.write(f"\nuser {LISTENER}\ntopic read lamppost/v1/cam/#\n")
        self.city.publish_keys()
        self.city.grant()
        with (
            Arguments() as arguments,
            self.fleet,
            Overheard(self._listener()) as overheard,
            feeding(self.folder / "feed", source.url) as socket,
        ):
            camera = DemoCamera(
                self.folder / "card",
                camera=CAMERA,
                source=f"feed:{socket}",
                root=self.city.trusted_root,
                now=precise_now,
            )
            camera.connect(
                host=HOST,
                port=self.fleet.port,
                authority=self.fleet.authority_file,
                credential=self.fleet.credential(CAMERA),
            )
            try:
                camera.start()
                camera.wait_for("footage", lambda status: status.frames.stored > 0)
                self._ask_for_everything()
                self.city.restrict()
                self.city.revoke()
                camera.wait_for("dark", lambda status: status.state is RecordingState.DARK)
                self.fleet.wait_for("a log that arrived", _has_segment_leaves)
            finally:
                camera.stop()
                camera.disconnect()
        self.messages, self.arguments = overheard.messages, frozenset(arguments.seen)

    def _listener(self) -> BrokerAddress:
        credential = self.folder / "listener.pem"
        credential.write_bytes(self.fleet.credential(LISTENER))
        credential.chmod(0o600)
        return BrokerAddress(
            host=HOST,
            port=self.fleet.port,
            authority=self.fleet.authority_file,
            credential=credential,
            client_id=LISTENER,
        )

    def _ask_for_everything(self) -> None:
        now = utc_now()
        upload: dict[str, JsonValue] = {
            "files": [{"file": f"{CAMERA}-20260601T120000.000000Z-00000001.mp4.age", "urls": [ADDRESS]}],
            "until": (now + timedelta(hours=1)).isoformat(),
        }
        arguments: dict[CommandName, dict[str, JsonValue]] = {
            CommandName.FOOTAGE_LIST: {
                "start": (now - timedelta(days=1)).isoformat(),
                "end": (now + timedelta(days=1)).isoformat(),
            },
            CommandName.FOOTAGE_UPLOAD: upload,
            CommandName.LOG_SEND: {"first": 0, "end": 100},
        }
        asked = [make_command(CAMERA, name, arguments.get(name, {}), now=now) for name in CommandName]
        store = Store(self.backend.store_url)
        try:
            with store.transaction() as transaction:
                for command in asked:
                    ask(transaction, command, by="a test")
            until = precise_now() + PATIENCE
            while len(self.outcomes) < len(asked):
                self.outcomes |= self._answers(store)
                assert precise_now() < until, "a command was not answered"
                wait(LOOK_EVERY)
            # The second step of the renewal is the backend's own command.
            while not self._renewed(store):
                assert precise_now() < until, "the certificate was not renewed"
                wait(LOOK_EVERY)
        finally:
            store.close()

    def _answers(self, store: Store) -> dict[str, Outcome]:
        with store.transaction() as transaction:
            records = transaction.commands.of(CAMERA, limit=100)
        return {record.name: record.reply.outcome for record in records if record.reply is not None}

    def _renewed(self, store: Store) -> bool:
        with store.transaction() as transaction:
            records = transaction.commands.of(CAMERA, name=CommandName.CREDENTIAL_RENEW, limit=2)
        return len(records) > 1 and all(
            record.reply is not None and record.reply.outcome is Outcome.DONE for record in records
        )

    def haystacks(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of all that is to be searched, and of leaves what is in them."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(self.folder).as_posix(), path.read_bytes()
        for number, message in enumerate(self.messages):
            yield f"message {number} on {message.topic}", message.payload
            if message.topic.endswith("/up/log"):
                yield f"leaves in message {number}", b"\n".join(LogBatch.from_bytes(message.payload).leaves)
        for number, line in enumerate(sorted(self.arguments)):
            yield f"arguments {number}", line


def _has_segment_leaves(cameras: tuple[CameraRecord, ...]) -> bool:
    return any(camera.log_next > 5 for camera in cameras)


def private_bytes(pem: bytes) -> list[bytes]:
    """Return what of a PEM file is secret: of a clear key its number, of an encrypted one all of it."""
    found = []
    for block in pem.split(b"-----BEGIN ")[1:]:
        label, _, rest = block.partition(b"-----\n")
        body = base64.b64decode(rest.partition(b"-----END ")[0])
        if label.startswith(b"ENCRYPTED"):
            found.append(body)
        elif label.endswith(b"PRIVATE KEY"):
            key = load_pem_private_key(b"-----BEGIN " + block, password=None)
            if isinstance(key, EllipticCurvePrivateKey):
                found.append(key.private_numbers().private_value.to_bytes(32, "big"))
            else:
                assert isinstance(key, Ed25519PrivateKey)
                found.append(key.private_bytes_raw())
    return found


def written_ways(secret: bytes) -> list[bytes]:
    """Return the ways in which bytes may lie in a file: as they are, in hex, and in base64 at any place of it."""
    ways = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + secret)
        # Characters that also depend on what stands before or after are left out.
        certain = encoded[-(-offset * 8 // 6) : (offset + len(secret)) * 8 // 6]
        ways += [certain, certain.translate(bytes.maketrans(b"+/", b"-_"))]
        third = len(certain) // 3  # PEM breaks lines: a third of any key stands whole on one of them
        if third >= LEAST_CHARACTERS:
            ways += [certain[start : start + third] for start in (0, third, 2 * third)]
    return ways


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, Passphrases]:
    folder = tmp_path_factory.mktemp("desk")
    passphrases = Passphrases()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("provisioning.demo.city.secrets", passphrases)
        patch.setattr("provisioning.demo.fleet.secrets", passphrases)
        played = Desk(folder)
    with contextlib.closing(RtspCamera(tmp_path_factory.mktemp("source"), width=128, height=72)) as source:
        played.play(source)
    return played, passphrases


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_what_was_searched_is_all_that_there_is(desk: tuple[Desk, Passphrases]) -> None:
    names = [name for name, _ in desk[0].haystacks()]

    for expected in (
        "card/agent.log",
        "card/run/status.json",
        "card/link/",
        "card/state/log/",
        "card/footage/",
        "feed/feed.log",
        "fleet/backend.log",
        "fleet/backend/fleet.db",
        "fleet/backend/broker/data/mosquitto.db",
        "leaves in message",
        *(f"message {{}} on lamppost/v1/cam/{CAMERA}/{leaf}".split("{}")[1] for leaf in ("up/birth", "up/status")),
    ):
        assert any(expected in name for name in names), expected
    assert desk[0].outcomes == dict.fromkeys(CommandName, Outcome.DONE) | {
        CommandName.FOOTAGE_UPLOAD: Outcome.REFUSED,  # to a host that this camera may not send to
        CommandName.REBOOT: Outcome.REFUSED,  # it knows no operator
    }
    for program in (b"mosquitto", b"backend", b"\0run\0", b"\0link\0", b"\0feed\0"):
        assert any(program in line for line in desk[0].arguments), program


def test_every_key_lies_in_its_own_private_file_and_nowhere_else(desk: tuple[Desk, Passphrases]) -> None:
    played, _ = desk
    haystacks = dict(played.haystacks())
    keys = {name: private_bytes(content) for name, content in haystacks.items() if b"PRIVATE KEY-----" in content}

    assert keys.keys() == KEY_FILES
    for name in (*KEY_FILES, FEED_ADDRESS):
        assert stat.S_IMODE((played.folder / name).stat().st_mode) & 0o077 == 0, name
    needles = {way: name for name, secret in keys.items() for each in secret for way in written_ways(each)}
    for name, content in haystacks.items():
        strange = {home for needle, home in needles.items() if needle in content and home != name}
        assert not strange, f"{name} holds the key of {strange}"


def test_no_password_passphrase_or_identity_lies_anywhere(desk: tuple[Desk, Passphrases]) -> None:
    played, passphrases = desk
    identity = played.city.identity.reveal().encode()
    words = [PASSWORD.encode(), identity, identity.lower(), *(one.encode() for one in passphrases.made)]
    needles = [way for word in (*words, played.city.identity.secret_bytes) for way in written_ways(word)]

    assert identity.startswith(b"AGE-SECRET-KEY-")
    assert len(passphrases.made) == 5
    holders = {name for name, content in played.haystacks() if any(needle in content for needle in needles)}
    assert holders == {FEED_ADDRESS}
    signed = {name for name, content in played.haystacks() if any(sign in content for sign in SECRET_SIGNS)}
    assert signed == KEY_FILES


def test_an_administrator_with_all_of_the_backend_opens_no_footage(
    desk: tuple[Desk, Passphrases], tmp_path: Path
) -> None:
    """SL-3.2: its keys, its database, its broker, the city's folder, the root key's stick and the passphrases."""
    played, passphrases = desk
    theirs = [played.folder / "fleet", played.folder / "people" / "city", played.folder / "people" / "it-director"]
    keys = [key for folder in theirs for key in identities_in(folder, passphrases.made)]
    first, *_, last = find_segments(played.folder / "card" / "footage").segments

    assert len(keys) > 50  # private keys, and whatever else in there is as long as one
    for segment in (first, last):
        with pytest.raises(WrongIdentityError):
            open_segment(segment, keys)

    # What was tried is what would have opened it, had it been there.
    (tmp_path / "found").write_text(f"# left behind\n{played.city.identity.reveal()}\n", encoding="utf-8")
    assert open_segment(first, identities_in(tmp_path)).clear


def test_presigned_addresses_are_told_to_the_camera_only(desk: tuple[Desk, Passphrases]) -> None:
    holders = {name for name, content in desk[0].haystacks() if TOKEN.encode() in content}

    told = {name for name in holders if name.endswith("/down/cmd/footage.upload")}
    assert len(told) == 1
    # What is to be sent has to be kept until it is; the broker and the store are where it goes through.
    assert all(name.startswith(("fleet/backend/fleet.db", "fleet/backend/broker/data/")) for name in holders - told)


def test_no_picture_lies_anywhere_in_the_clear(desk: tuple[Desk, Passphrases]) -> None:
    played, _ = desk
    segments = find_segments(played.folder / "card" / "footage").segments
    clear = b"".join(open_segment(one, [played.city.identity]).clear for one in segments)

    assert all(sign in clear for sign in PICTURE_SIGNS[:2])  # what is searched for is what a leak would show
    needles = [*PICTURE_SIGNS, *(base64.b64encode(bytes(n) + sign)[4:-4] for n in range(3) for sign in PICTURE_SIGNS)]
    for name, content in played.haystacks():
        assert [needle for needle in needles if len(needle) >= 8 and needle in content] == [], name
