"""Make what the tiers start: Debian, and the package from dist/ installed as apt would.

    python -m hil.tree build/hil/trixie dist/lamppost-agent_0.1.0+deb13_amd64.deb             a tree, for systemd-nspawn
    python -m hil.tree --kernel build/hil/machine dist/lamppost-agent_0.1.0+deb13_amd64.deb   a disk image, for QEMU
    python -m hil.tree --arch arm64 build/hil/arm64 dist/lamppost-agent_0.1.0+deb13_arm64.deb the other processor's

Done once for each package: the tree remembers the digest of what was installed. mmdebstrap and
systemd-nspawn must be here (Debian: apt install mmdebstrap systemd-container), and root.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

# What the package depends on.
DEPENDS = ("python3", "libgcc-s1", "libstdc++6", "systemd", "init-system-helpers")
# What it recommends as far as Debian has it, what a start needs, and what the tests look with. Not for another
# processor, on which nothing is started: ca-certificates alone keeps a translated one busy for four minutes.
STARTED = ("systemd-sysv", "dbus", "udev", "polkitd", "nftables", "iproute2", "ca-certificates", "e2fsprogs")
KERNEL = ("linux-image-amd64", "initramfs-tools", "qemu-guest-agent", "kmod", "dmsetup")
# A translated processor unpacks a small initrd; the rest is loaded from the disk.
EARLY_MODULES = "virtio_pci\nvirtio_blk\next4"
MODULES = "vivid\ni6300esb\n"
# One camera, as by USB; no tuner, no output.
VIVID = "options vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0\n"
# Found in every PC and needed by none of these tests; each costs a translated processor seconds.
NOT_LOADED = (
    "ata_piix", "ata_generic", "i2c_piix4", "psmouse", "evdev", "joydev", "pcspkr", "floppy", "button", "serio_raw",
    "aesni_intel", "ghash_clmulni_intel", "sha512_ssse3", "sha256_ssse3", "sha1_ssse3", "crct10dif_pclmul", "cryptd",
    "intel_rapl_msr", "rapl", "virtio_rng",
)  # fmt: skip
# Of a Debian, what waits for a network that is not there, and what runs at three in the night.
MASKED = (
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "systemd-hwdb-update.service",
    "serial-getty@ttyS0.service",
)
FSTAB = """\
LABEL=lamppost-root / ext4 noatime 0 1
LABEL=lamppost-data /var/lib/lamppost ext4 noatime,noexec,errors=remount-ro,nofail,x-systemd.device-timeout=900 0 2
"""
# Minutes for what takes a board seconds: Debian's own limits of 90 s ended journald and the loading of modules.
PATIENCE_S = 900
# The watchdog as firmware-config has it, but as patient.
MANAGER = f"[Manager]\nRuntimeWatchdogSec=60\nDefaultTimeoutStartSec={PATIENCE_S}\n"
PATIENT = {
    "systemd-modules-load.service": f"TimeoutSec={PATIENCE_S}",
    "systemd-journald.service": "WatchdogSec=0",
    "systemd-udevd.service": "WatchdogSec=0",
    "systemd-logind.service": "WatchdogSec=0",
    "lamppost-.service": f"TimeoutStartSec={PATIENCE_S}",
    "lamppost-recorder.service": "WatchdogSec=300",
}
IMAGE_SIZE = "4G"


def make(tree: Path, package: Path, *, arch: str, kernel: bool, suite: str = "trixie") -> None:
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
        _bootstrap(bare, suite, arch=arch, kernel=kernel)
    shutil.rmtree(tree, ignore_errors=True)
    _run("cp", "--archive", "--reflink=auto", str(bare), str(tree))
    shutil.copyfile(package, tree / "var/cache/lamppost-agent.deb")
    # Not booted: what the maintainer scripts do in an image that is being built.
    _run(
        "systemd-nspawn", "--quiet", "--directory", str(tree), "--register=no", "--keep-unit", "--private-network",
        "--resolv-conf=off", "--timezone=off", "--console=pipe",
        "dpkg", "--force-unsafe-io", "--install", "/var/cache/lamppost-agent.deb",
    )  # fmt: skip
    if kernel:
        _make_image(tree)
    installed.write_text(digest)


def _bootstrap(bare: Path, suite: str, *, arch: str, kernel: bool) -> None:
    shutil.rmtree(bare, ignore_errors=True)
    bare.parent.mkdir(parents=True, exist_ok=True)
    ours = subprocess.check_output(("dpkg", "--print-architecture"), text=True).strip()
    included = DEPENDS + (STARTED if kernel or arch == ours else ()) + (KERNEL if kernel else ())
    early = "/usr/share/initramfs-tools/modules.d"
    hooks = (
        f'--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" "$1{early}"',
        '--essential-hook=echo MODULES=list > "$1/etc/initramfs-tools/conf.d/bench"',
        f'--essential-hook=echo "{EARLY_MODULES}" > "$1{early}/bench"',
    )
    _run(
        "mmdebstrap", "--quiet", "--variant=minbase", f"--architectures={arch}",
        f"--include={','.join(included)}",
        '--aptopt=Acquire::Languages "none"', *(hooks if kernel else ()), suite, str(bare),
    )  # fmt: skip


def _make_image(tree: Path) -> None:
    """Put a tree onto a disk image, and its kernel and initrd beside it."""
    for name, text in {
        "etc/fstab": FSTAB,
        "etc/modules-load.d/bench.conf": MODULES,
        "etc/modprobe.d/bench.conf": VIVID + "".join(f"blacklist {name}\n" for name in NOT_LOADED),
        "etc/systemd/system.conf.d/bench.conf": MANAGER,
        **{f"etc/systemd/system/{unit}.d/bench.conf": f"[Service]\n{line}\n" for unit, line in PATIENT.items()},
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    for unit in MASKED:
        mask = tree / "etc/systemd/system" / unit
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")
    # Not a first boot of Debian's: presets, catalogues and caches would take minutes each time.
    (tree / "etc/machine-id").write_text(f"{'5' * 32}\n")
    for name in ("etc/.updated", "var/.updated"):
        (tree / name).touch()
    for kind in ("vmlinuz", "initrd"):
        (found,) = (tree / "boot").glob(f"{kind}*")
        shutil.copyfile(found, tree.with_suffix(f".{kind}"))
    image = tree.with_suffix(".img")
    image.unlink(missing_ok=True)
    _run("mkfs.ext4", "-q", "-F", "-L", "lamppost-root", "-d", str(tree), str(image), IMAGE_SIZE)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def main() -> None:
    """Make one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tree", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("--arch", default="amd64")
    parser.add_argument("--kernel", action="store_true", help="a disk image with a kernel, besides")
    chosen = parser.parse_args()
    make(chosen.tree, chosen.package, arch=chosen.arch, kernel=chosen.kernel)


if __name__ == "__main__":
    main()
