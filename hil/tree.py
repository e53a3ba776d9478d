"""Make the tree that the nspawn tier boots: Debian, and the package from dist/ installed as apt would.

    python -m hil.tree build/hil/trixie dist/lamppost-agent_0.1.0+deb13_amd64.deb

Done once for each package: the tree remembers the digest of what was installed. mmdebstrap and
systemd-nspawn must be here (Debian: apt install mmdebstrap systemd-container), and root.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

# What the package depends on, what it recommends as far as Debian has it, and what the tests look with.
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "udev", "python3", "init-system-helpers", "libstdc++6", "libgcc-s1",
    "polkitd", "nftables", "iproute2", "ca-certificates", "e2fsprogs",
)  # fmt: skip


def make(tree: Path, package: Path, *, suite: str = "trixie") -> None:
    """Make `tree`, unless it holds this very package already."""
    if shutil.which("mmdebstrap") is None or shutil.which("systemd-nspawn") is None:
        sys.exit(
            "hil: error: this needs mmdebstrap and systemd-nspawn\nhil: hint: apt install mmdebstrap systemd-container"
        )
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    installed = tree.with_suffix(".installed")
    if installed.exists() and installed.read_text() == digest:
        return
    bare = tree.with_suffix(".bare")
    if not (bare / "etc/debian_version").exists():
        shutil.rmtree(bare, ignore_errors=True)
        bare.parent.mkdir(parents=True, exist_ok=True)
        _run(
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}",
            '--aptopt=Acquire::Languages "none"', suite, str(bare),
        )  # fmt: skip
    shutil.rmtree(tree, ignore_errors=True)
    _run("cp", "--archive", "--reflink=auto", str(bare), str(tree))
    shutil.copyfile(package, tree / "var/cache/lamppost-agent.deb")
    # Not booted: what the maintainer scripts do in an image that is being built.
    _run(
        "systemd-nspawn", "--quiet", "--directory", str(tree), "--register=no", "--keep-unit", "--private-network",
        "--resolv-conf=off", "--timezone=off", "--console=pipe",
        "dpkg", "--install", "/var/cache/lamppost-agent.deb",
    )  # fmt: skip
    installed.write_text(digest)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
