"""Build the camera's Debian package: lamppost-agent_VERSION+debNN_ARCH.deb, and its SBOM beside it.

    python debian/build_package.py --suite trixie --arch arm64 --out dist

The virtual environment is put together, not run: wheels for the target are laid out where
the target's own Python finds them, so that a laptop builds for every board and suite. The
libraries are what `agent/` imports and what those need, in the versions and with the hashes of
`requirements.lock`; the city's tools are not on a camera. See agent/decisions/0011.

Two builds of one commit are equal, byte for byte: no file carries a time but the commit's.
"""

import argparse
import ast
import functools
import gzip
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from agent.adapters.policy_store import POLICY_FORMAT
from provisioning.net_weights import PACKAGE, SHA256, fetch

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
NAME = "lamppost-agent"
HOME = Path("opt/lamppost")
MAINTAINER = "The Lamppost authors <lamppost@example.org>"

# Come from Debian or Raspberry Pi OS: no wheels, and built against the system's libcamera and systemd.
FROM_THE_SYSTEM = {"picamera2", "libcamera", "pykms", "systemd", "tpm2_pytss"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What one release of Debian has.

    Attributes:
        release: Its number.
        python: Its Python.
        glibc: Minor version of its C library; a wheel may ask for no newer one.
    """

    release: int
    python: tuple[int, int]
    glibc: int


SUITES = {
    "bookworm": Suite(release=12, python=(3, 11), glibc=36),
    "trixie": Suite(release=13, python=(3, 13), glibc=41),
}
# Of the libraries, what no camera uses: their tests, compilers and accelerators for chips that no board here has.
UNUSED = (
    "**/tests", "**/test", "**/.gitignore", "numpy/_core/*_tests*.so", "numpy/f2py", "numpy/testing/*coercion*",
    "ai_edge_litert/vendors", "ai_edge_litert/tools", "ai_edge_litert/libLiteRtWebGpuAccelerator.so",
)  # fmt: skip
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """For what is built."""

    suite: Suite
    arch: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What a requirement's marker may ask about."""
        major, minor = self.suite.python
        return {
            "python_version": f"{major}.{minor}",
            "python_full_version": f"{major}.{minor}.0",
            "platform_machine": MACHINES[self.arch],
            "platform_system": "Linux",
            "platform_python_implementation": "CPython",
            "implementation_name": "cpython",
            "sys_platform": "linux",
            "os_name": "posix",
            "extra": "",
        }

    @property
    def pip(self) -> Iterator[str]:
        """Yield the options that let pip choose wheels for it."""
        major, minor = self.suite.python
        machine = MACHINES[self.arch]
        yield from ("--python-version", f"{major}.{minor}", "--implementation", "cp")
        for abi in (f"cp{major}{minor}", "abi3", "none"):
            yield from ("--abi", abi)
        for level in range(self.suite.glibc, 16, -1):
            yield from ("--platform", f"manylinux_2_{level}_{machine}")
        yield from ("--platform", f"manylinux2014_{machine}", "--platform", f"linux_{machine}")


# --- which libraries -------------------------------------------------------------------------


@functools.cache
def libraries(target: Target) -> Mapping[str, str]:
    """Return the name and locked requirement, with hashes, of every library the agent needs on `target`."""
    locked = dict(locked_requirements(target))
    wanted: dict[str, str] = {}
    waiting = sorted(imported_by_the_agent())
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted[name] = locked[name]
        for text in importlib.metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate(dict(target.environment)):
                waiting.append(canonicalize_name(needed.name))
    # What the lock asks of securesystemslib[crypto] is cryptography, which is in anyhow: extras add nothing else.
    return dict(sorted(wanted.items()))


@functools.cache
def imported_by_the_agent() -> frozenset[str]:
    """Return the distributions whose modules some file of `agent/` imports."""
    owners = importlib.metadata.packages_distributions()
    found = set()
    for path in (ROOT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for top in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"agent"}:
                if top not in FROM_THE_SYSTEM:
                    found.add(canonicalize_name(owners[top][0]))
    return frozenset(found)


def locked_requirements(target: Target) -> Iterator[tuple[str, str]]:
    """Yield name and requirement of every entry of the lock that counts on `target`."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for entry in re.split(r"\n(?=[a-z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)):
        head, *hashes = re.split(r"\s*\\\n\s*", entry.strip())
        pinned, _, marker = head.partition(";")
        if not pinned or (marker and not Marker(marker.strip()).evaluate(dict(target.environment))):
            continue
        lines = " ".join(line for line in hashes if line.startswith("--hash"))
        yield canonicalize_name(pinned.split("==")[0].split("[")[0].strip()), f"{pinned.strip()} {lines}"


# --- the tree --------------------------------------------------------------------------------


def lay_out(tree: Path, target: Target, version: str, made_at: datetime) -> None:
    """Put everything that is installed under `tree`."""
    home = tree / HOME
    packages = home / "lib" / f"python{target.suite.python[0]}.{target.suite.python[1]}" / "site-packages"
    packages.mkdir(parents=True)
    _environment(home, target)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as requirements:
        requirements.write("\n".join(libraries(target).values()) + "\n")
        requirements.flush()
        _run(
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--no-compile", "--require-hashes", "--only-binary=:all:",
            # The lock was solved for every Python; this pip would ask the one it runs under.
            "--ignore-requires-python", *target.pip, "--target", str(packages), "-r", requirements.name,
        )  # fmt: skip
    _forget_programs(packages)
    for unused in UNUSED:
        for path in sorted(packages.glob(unused)):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    _copy(ROOT / "agent", packages / "agent", without=("__pycache__", "decisions"))
    full_version = _full(version, target)
    told = packages / f"lamppost-{version}.dist-info"
    told.mkdir()
    _write(told / "METADATA", f"Metadata-Version: 2.1\nName: lamppost\nVersion: {version}\nLicense: Apache-2.0\n")
    _write(told / "INSTALLER", "dpkg\n")
    _copy_system_files(tree, full_version, made_at)


def _forget_programs(packages: Path) -> None:
    """Remove the programs of libraries, which are for developers and name this machine's Python, and their digests."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for record in packages.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("../../bin/")]
        record.write_text("".join(kept), encoding="utf-8")


def _environment(home: Path, target: Target) -> None:
    """Write what makes `home` a virtual environment of the target's own Python."""
    major, minor = target.suite.python
    (home / "bin").mkdir(parents=True)
    (home / "bin/python3").symlink_to(f"/usr/bin/python{major}.{minor}")
    # python3-picamera2 and python3-systemd are Debian's.
    _write(
        home / "pyvenv.cfg",
        f"home = /usr/bin\ninclude-system-site-packages = true\nversion = {major}.{minor}\n"
        f"executable = /usr/bin/python{major}.{minor}\n",
    )
    # -I: no variable and no folder of a user changes what is imported.
    _write(
        home / "bin/lamppost-agent",
        '#!/opt/lamppost/bin/python3 -I\n"""The camera\'s command; see lamppost-agent(1)."""\n\n'
        "from agent.__main__ import main\n\nmain()\n",
        mode=0o755,
    )


def _debian_changelog(full_version: str, made_at: datetime) -> str:
    """Return the entry that dpkg's tools read; what changed for people is in CHANGELOG.md."""
    return (
        f"{NAME} ({full_version}) stable; urgency=medium\n\n  * What changed is in CHANGELOG.md, beside this file.\n\n"
        f" -- {MAINTAINER}  {made_at:%a, %d %b %Y %H:%M:%S} +0000\n"
    )


def _copy_system_files(tree: Path, full_version: str, made_at: datetime) -> None:
    units = tree / "usr/lib/systemd/system"
    _copy(ROOT / "systemd/system", units)
    generators = tree / "usr/lib/systemd/system-generators"
    _install(ROOT / "systemd/libexec/board-generator", generators / "lamppost-board-generator", mode=0o755)
    for program in ("led", "report-failure"):
        _install(ROOT / "systemd/libexec" / program, tree / "usr/libexec/lamppost" / program, mode=0o755)
    _install(ROOT / "systemd/lamppost.sysusers", tree / "usr/lib/sysusers.d/lamppost-agent.conf")
    _install(ROOT / "systemd/lamppost.tmpfiles", tree / "usr/lib/tmpfiles.d/lamppost-agent.conf")
    _install(ROOT / "systemd/journald.conf", tree / "usr/lib/systemd/journald.conf.d/50-lamppost.conf")
    _install(HERE / "50-lamppost-reboot.rules", tree / "usr/share/polkit-1/rules.d/50-lamppost-reboot.rules")
    _copy(ROOT / "systemd/boards", tree / "usr/share/lamppost/boards")
    _copy(ROOT / "firmware-config", tree / "usr/share/lamppost/firmware-config", without=("image",))
    _install(ROOT / "lamppost.toml", tree / "etc/lamppost/lamppost.toml")
    (tree / "usr/bin").mkdir(parents=True, exist_ok=True)
    (tree / "usr/bin/lamppost-agent").symlink_to("/opt/lamppost/bin/lamppost-agent")
    models = tree / "usr/share/lamppost/models"
    _install(fetch(ROOT / "models"), models / "person-vehicle.tflite")
    _install(HERE / "models-NOTICE", models / "NOTICE")
    _write(models / "SHA256SUMS", f"{SHA256}  person-vehicle.tflite\n")
    for page in sorted((HERE / "man").iterdir()):
        _gzip(page.read_bytes(), tree / "usr/share/man" / f"man{page.suffix[1:]}" / f"{page.name}.gz")
    documents = tree / "usr/share/doc" / NAME
    for source in ("SECURITY.md", "CHANGELOG.md", "systemd/README.md"):
        _install(ROOT / source, documents / Path(source).name)
    _install(ROOT / "systemd/INSTALL.md", documents / "technicians-guide.md")
    _gzip(_debian_changelog(full_version, made_at).encode(), documents / "changelog.gz")
    _install(HERE / "copyright", documents / "copyright")
    _install(HERE / "lintian-overrides", tree / "usr/share/lintian/overrides" / NAME)


def control_files(folder: Path, tree: Path, target: Target, full_version: str) -> None:
    """Write DEBIAN/ beside a tree that is complete."""
    folder.mkdir()
    major, minor = target.suite.python
    size_kib = sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir()) // 1024
    words = {
        "VERSION": full_version,
        "ARCH": target.arch,
        "PYTHON": f"python3 (>= {major}.{minor}), python3 (<< {major}.{minor + 1}), libc6 (>= 2.{target.suite.glibc})",
        "SIZE": str(size_kib),
        "POLICY_FORMAT": str(POLICY_FORMAT),
    }
    for name in ("control", "conffiles", "preinst", "postinst", "prerm", "postrm"):
        text = (HERE / "scripts" / name).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        _write(folder / name, text, mode=0o644 if name in {"control", "conffiles"} else 0o755)
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink() and folder not in path.parents
        and path.relative_to(tree).parts[0] != "etc"
    ]  # fmt: skip
    _write(folder / "md5sums", "".join(sums))


# --- the bill of materials -------------------------------------------------------------------


def bill_of_materials(target: Target, full_version: str, made_at: datetime) -> str:
    """Return what is in the package as CycloneDX 1.5, in JSON."""
    reference = f"pkg:deb/lamppost/{NAME}@{full_version}?arch={target.arch}"
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            **_licence(name),
        }
        for name, version in (
            (name, re.split(r"[ ;]", text.split("==")[1])[0]) for name, text in libraries(target).items()
        )
    ]
    components.append(
        {
            "type": "machine-learning-model",
            "bom-ref": f"sha256:{SHA256}",
            "name": "person-vehicle.tflite",
            "version": PACKAGE.rpartition("@")[2],
            "description": f"from the npm package {PACKAGE}",
            "hashes": [{"alg": "SHA-256", "content": SHA256}],
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        }
    )
    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, reference)}",
            "version": 1,
            "metadata": {
                "timestamp": f"{made_at:%Y-%m-%dT%H:%M:%SZ}",
                "component": {
                    "type": "application",
                    "bom-ref": reference,
                    "name": NAME,
                    "version": full_version,
                    "purl": reference,
                    "licenses": [{"license": {"id": "Apache-2.0"}}],
                },
            },
            "components": components,
            "dependencies": [{"ref": reference, "dependsOn": [each["bom-ref"] for each in components]}],
        },
        indent=2,
        sort_keys=True,
    )


def _licence(name: str) -> Mapping[str, list[dict[str, str]]]:
    told = importlib.metadata.metadata(name)
    expression = told.get("License-Expression") or (told.get("License") or "").split("\n")[0]
    return {"licenses": [{"expression": expression}]} if re.fullmatch(r"[A-Za-z0-9.+() -]+", expression) else {}


# --- putting it together -----------------------------------------------------------------------


def build(target: Target, out: Path, made_at: datetime) -> Path:
    """Return the package, built into `out`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    full_version = _full(version, target)
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"{NAME}_{full_version}_{target.arch}.deb"
    bill = bill_of_materials(target, full_version, made_at)
    with tempfile.TemporaryDirectory(prefix="lamppost-deb-") as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        lay_out(tree, target, version, made_at)
        _write(tree / "usr/share/doc" / NAME / "sbom.cdx.json", bill)
        control_files(tree / "DEBIAN", tree, target, full_version)
        _settle(tree, made_at)
        # zstd, which dpkg reads since bookworm: xz takes minutes of a core to pack, and of a Zero 2 W to unpack. One
        # thread: with more, the bytes depend on how many there are.
        _run(
            "dpkg-deb", "--root-owner-group", "-Zzstd", "-z9", "--threads-max=1", "--build", str(tree), str(package),
            environment={"SOURCE_DATE_EPOCH": str(int(made_at.timestamp()))},
        )  # fmt: skip
    _write(package.with_suffix(".cdx.json"), bill)
    return package


def _full(version: str, target: Target) -> str:
    return f"{version}+deb{target.suite.release}"


def _settle(tree: Path, made_at: datetime) -> None:
    """Give every file the mode a package has and the time of the commit."""
    for path in sorted(tree.rglob("*"), reverse=True):
        if not path.is_symlink():
            runs = path.is_dir() or (
                path.stat().st_mode & 0o100 and path.read_bytes()[:2] == b"#!" and path.suffix != ".py"
            )
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (made_at.timestamp(), made_at.timestamp()), follow_symlinks=False)


def commit_time() -> datetime:
    """Return SOURCE_DATE_EPOCH, or when the commit that is checked out was made."""
    told = os.environ.get("SOURCE_DATE_EPOCH") or _run("git", "-C", str(ROOT), "log", "-1", "--format=%ct")
    return datetime.fromtimestamp(int(told), UTC)


def _copy(source: Path, target: Path, *, without: tuple[str, ...] = ()) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*without), copy_function=shutil.copy)


def _install(source: Path, target: Path, *, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _gzip(content: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 9, mtime=0))


def _run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(f"{' '.join(command[:4])} …: {done.stderr}\n")
        raise SystemExit(done.returncode)
    return done.stdout.strip()


def main() -> None:
    """Build one package and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--suite", choices=SUITES, default="trixie", help="default: %(default)s")
    parser.add_argument("--arch", choices=MACHINES, required=True)
    parser.add_argument("--out", type=Path, default=Path("dist"), help="default: %(default)s")
    chosen = parser.parse_args()
    package = build(Target(suite=SUITES[chosen.suite], arch=chosen.arch), chosen.out, commit_time())
    sys.stdout.write(f"{package}\n")


if __name__ == "__main__":
    main()
