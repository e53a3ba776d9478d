"""The camera's TUF client as a command, with the options of the public tuf-conformance suite.

    tuf_client.py --metadata-dir DIR init ROOT
    tuf_client.py --metadata-dir DIR --metadata-url URL refresh
    tuf_client.py --metadata-dir DIR --metadata-url URL \
                  --target-name NAME --target-base-url URL --target-dir DIR download

What a camera finds in a bundle is fetched over HTTP here, and each fetched byte goes
into a bundle. Client (`open_updater`), floors, store and clock are the camera's.
Differences, which follow from the suite's interface: metadata stay in DIR between
commands, signed times and the charter's rules about roles are not asked for, and
names are bounded as in any bundle. Exit status 0 or 1, as the suite asks.
"""

import argparse
import contextlib
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Role, Root, Snapshot, Targets, Timestamp
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from agent.adapters.clock import SystemClock
from agent.adapters.policy_store import AcceptedPolicy, PolicyStore
from agent.adapters.tuf_client import open_updater
from agent.core.bundle import METADATA, TARGETS, encode_bundle
from agent.core.policy.clock import believe
from agent.core.policy.floors import Floors
from agent.core.policy.release import TOP_LEVEL, Release, SigningRule
from agent.errors import LamppostError

NEVER_SIGNED = datetime(1970, 1, 1, tzinfo=UTC)  # the suite's timestamps do not say when they were signed
TIMEOUT_S = 10
PIECE_BYTES = 64 * 1024


class FillingFetcher(FetcherInterface):
    """Fetches over HTTP, and keeps every byte under the name it has in a bundle."""

    def __init__(self, bases: Mapping[str, str]) -> None:
        self._bases = bases
        self.entries: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        prefix = METADATA if url.startswith(METADATA) else TARGETS
        address = f"{self._bases[prefix].rstrip('/')}/{url.removeprefix(prefix)}"
        if urlsplit(address).scheme != "http":
            raise DownloadError(f"not an HTTP address: {address}")
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as reply:  # noqa: S310 - the scheme was checked
                content = b""
                while piece := reply.read(PIECE_BYTES):
                    content += piece
                    yield piece
        except urllib.error.HTTPError as error:
            raise DownloadHTTPError(str(error), error.code) from error
        except OSError as error:
            raise DownloadError(f"{address}: {error}") from error
        self.entries[url] = content


class Device:
    """What `init` makes and the other commands use: a trusted root, a metadata folder, a policy store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = folder / ".lamppost"
        self.root = self.own / "trusted-root.json"

    def init(self, root: bytes) -> None:
        """Trust `root`."""
        self.own.mkdir(parents=True)
        self.root.write_bytes(root)
        (self.folder / "root.json").write_bytes(root)

    def refresh(self, fetcher: FillingFetcher) -> Updater:
        """Update top-level metadata, held to the floors; return the client."""
        clock = SystemClock()
        store = PolicyStore(self.own)
        kept = store.load()
        now = believe(clock.now(), clock.quality(), kept.floors.time).now
        updater = open_updater(self.folder, fetcher, trusted_root=self.root.read_bytes(), now=now)
        updater.refresh()
        release = self._trusted()
        kept.floors.refuse_older(release)
        self._keep(store, kept.floors.raised_by(release), fetcher, now)
        return updater

    def _keep(self, store: PolicyStore, floors: Floors, fetcher: FillingFetcher, now: datetime) -> None:
        bundle = encode_bundle(fetcher.entries)
        store.commit(floors, AcceptedPolicy(bundle=bundle, accepted_at=now, charter=b"", ledger=()))

    def _trusted(self) -> Release:
        """Return what the client trusts, without what this interface does not carry."""
        root = Metadata[Root].from_file(str(self.folder / "root.json")).signed
        timestamp = Metadata[Timestamp].from_file(str(self.folder / "timestamp.json")).signed
        snapshot = Metadata[Snapshot].from_file(str(self.folder / "snapshot.json")).signed
        targets = Metadata[Targets].from_file(str(self.folder / "targets.json")).signed
        signed = dict(zip(TOP_LEVEL, (root, timestamp, snapshot, targets), strict=True))
        return Release(
            versions={role: metadata.version for role, metadata in signed.items()},
            listed={name.removesuffix(".json"): metafile.version for name, metafile in snapshot.meta.items()},
            expires_at={role: metadata.expires for role, metadata in signed.items()},
            signed_at=NEVER_SIGNED,
            top_level={name: _rule(name, role) for name, role in root.roles.items()},
            delegations=(),
            documents=(),
        )


def _rule(name: str, role: Role) -> SigningRule:
    return SigningRule(role=name, keys=frozenset(role.keyids), listed=len(role.keyids), threshold=role.threshold)


def _download(updater: Updater, name: str, folder: Path, base: str) -> None:
    updater.target_dir = str(folder)
    target = updater.get_targetinfo(name)
    if target is None:
        raise RepositoryError(f"no role vouches for {name}")
    if updater.find_cached_target(target) is None:
        updater.download_target(target, target_base_url=base)


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name")
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    options = parser.parse_args(arguments)
    device = Device(options.metadata_dir)
    try:
        if options.command == "init":
            device.init(options.trusted_root.read_bytes())
            return 0
        fetcher = FillingFetcher({METADATA: options.metadata_url, TARGETS: options.target_base_url or ""})
        updater = device.refresh(fetcher)
        if options.command == "download":
            options.target_dir.mkdir(parents=True, exist_ok=True)
            _download(updater, options.target_name, options.target_dir, TARGETS)
    except (LamppostError, RepositoryError, DownloadError, OSError, ValueError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
