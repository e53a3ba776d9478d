"""Check the image recipe and the first boot: they parse, and what they name exists.

rpi-image-gen finds some of this too, an hour into a build on another machine; cloud-init
finds the rest and goes on without it, on a camera that nobody can log in to. Which layers
and settings of theirs are used is in `keys.toml`, each with its reason.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from provisioning.firmware.tables import Finding, Keys

# What names of hooks begin with (rpi-image-gen, docs/execution): one that begins otherwise never runs.
PHASES = (
    "prebuild", "setup", "extract", "essential", "customize", "cleanup", "postbuild", "sbom", "preimage", "postimage",
    "finalize", "deploy",
)  # fmt: skip
# What a hook copies: from beside the recipe (rpi-image-gen works in its folder), or what a city brings.
SOURCE = re.compile(r"(?<![\w./-])(?:\.\./|files/)[\w./*-]+")
PLACEHOLDER = re.compile(r"<[A-Z_]+>")
PROGRAM = re.compile(r"^Exec\w+=[-+!@]*(/usr/libexec/\S+)", re.MULTILINE)


def check_recipe(folder: Path, keys: Keys) -> Iterator[Finding]:
    """Yield what is wrong in `image/`."""
    layers = sorted((folder / "layer").glob("*.yaml"))
    known = {path.stem for path in layers} | keys.layers.keys()
    settings = keys.settings.keys() | {setting for path in layers for setting in _declared(path)}
    for path in layers:
        yield from check_metadata(path, known)
        yield from check_layer(path)
        yield from check_companion(path.with_suffix(".d"))
    for path in sorted((folder / "config").glob("*.yaml")):
        yield from check_configuration(path, known, settings)


def check_metadata(path: Path, known: set[str]) -> Iterator[Finding]:
    """Yield what rpi-image-gen would refuse in a layer's metadata."""
    text = path.read_text(encoding="utf-8")
    told = dict(re.findall(r"^# X-Env-Layer-(\w+): (.+)$", text, re.MULTILINE))
    if not (text.startswith("# METABEGIN\n") and "\n# METAEND\n---\n" in text):
        yield Finding(path=path, line=1, words="the metadata must stand first, between METABEGIN and METAEND")
    if told.get("Name") != path.stem:
        yield Finding(path=path, line=1, words=f"calls itself {told.get('Name')}, expected {path.stem}")
    for name in {"Version", "Category", "Desc"} - told.keys():
        yield Finding(path=path, line=1, words=f"X-Env-Layer-{name} is missing")
    for name in filter(None, re.split(r",\s*", told.get("Requires", ""))):
        yield from _layer(path, name, known)


def check_layer(path: Path) -> Iterator[Finding]:
    """Yield what is wrong in what a layer does: it does not parse, or copies what is not there."""
    said = read_mapping(path)
    if isinstance(said, Finding):
        yield said
        return
    done = said.get("mmdebstrap")
    for name, entries in (done if isinstance(done, Mapping) else {}).items():
        if not _are_words(entries):
            yield Finding(path=path, line=0, words=f"mmdebstrap.{name}: expected a list of words and commands")
            continue
        for source in (source for entry in entries for source in SOURCE.findall(entry)):
            yield from _source(path, source)


def check_companion(folder: Path) -> Iterator[Finding]:
    """Yield what is wrong in a layer's folder of hooks, templates and files, if it has one."""
    hooks = sorted(folder.glob("hooks/*"))
    for path in hooks:
        if not path.name.startswith(PHASES):
            yield Finding(path=path, line=0, words="begins with no phase of rpi-image-gen and would never run")
    overlay = folder / "customize.overlay"
    for path in (
        *hooks,
        *sorted(overlay.glob("usr/libexec/**/*")),
        *sorted(folder.glob("device/initramfs-tools/**/*")),
    ):
        if path.is_file() and not os.access(path, os.X_OK):
            yield Finding(path=path, line=0, words="is not executable, and would be passed over")
    filled = {name for path in hooks for name in PLACEHOLDER.findall(path.read_text(encoding="utf-8"))}
    for path in sorted(folder.glob("*.cfg")):
        for name in sorted(set(PLACEHOLDER.findall(path.read_text(encoding="utf-8"))) - filled):
            yield Finding(path=path, line=0, words=f"no hook fills {name}")
    for path in sorted(overlay.glob("etc/systemd/system/*.service")):
        for program in PROGRAM.findall(path.read_text(encoding="utf-8")):
            if not (overlay / program.lstrip("/")).exists():
                yield Finding(path=path, line=0, words=f"{program} is not in {overlay.name}/")


def check_configuration(path: Path, known: set[str], settings: set[str]) -> Iterator[Finding]:
    """Yield what is wrong in a configuration: `settings` are the names `section.key` that some layer reads."""
    said = read_mapping(path)
    if isinstance(said, Finding):
        yield said
        return
    for section, entries in said.items():
        if not isinstance(entries, Mapping):
            yield Finding(path=path, line=0, words=f"{section}: expected names and values")
            continue
        for name, value in entries.items():
            if section == "layer" or name == "layer":
                yield from _layer(path, str(value), known)
            elif f"{section}.{name}" not in settings:
                yield Finding(path=path, line=0, words=f"unknown setting {section}.{name}: no layer would read it")


def check_first_boot(folder: Path, keys: Keys) -> Iterator[Finding]:
    """Yield what is wrong in `first-boot/`, as cloud-init would see it."""
    path = folder / "user-data"
    if not path.read_text(encoding="utf-8").startswith("#cloud-config\n"):
        yield Finding(path=path, line=1, words="expected #cloud-config: cloud-init takes the file for something else")
    said = read_mapping(path)
    if isinstance(said, Finding):
        yield said
    else:
        for name in sorted(said.keys() - keys.user_data.keys()):
            yield Finding(path=path, line=0, words=f"unknown key {name}: if it is right, add it to keys.toml, with why")
        commands = said.get("runcmd", [])
        if not isinstance(commands, list) or not all(isinstance(each, str) or _are_words(each) for each in commands):
            yield Finding(path=path, line=0, words="runcmd: expected commands, each a string or a list of words")
    for name, key, value in (("network-config", "version", 2), ("meta-data", "instance-id", None)):
        said = read_mapping(folder / name)
        if isinstance(said, Finding):
            yield said
        elif key not in said or value not in (None, said[key]):
            yield Finding(path=folder / name, line=0, words=f"expected {key}{'' if value is None else f': {value}'}")


def read_mapping(path: Path) -> Mapping[str, object] | Finding:
    """Return the names and values of a YAML file; none of an empty one."""
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        return Finding(path=path, line=line, words=f"no YAML: {error.problem}")
    if said is None:
        return {}
    if not isinstance(said, dict):
        return Finding(path=path, line=1, words="expected names and values")
    return said


def _declared(path: Path) -> Iterator[str]:
    """Yield the settings that a layer declares in its metadata, as `section.key`."""
    text = path.read_text(encoding="utf-8")
    prefix = re.search(r"^# X-Env-VarPrefix: (\w+)$", text, re.MULTILINE)
    for name in re.findall(r"^# X-Env-Var-(\w+):", text, re.MULTILINE):
        yield f"{prefix[1] if prefix else ''}.{name}"


def _layer(path: Path, name: str, known: set[str]) -> Iterator[Finding]:
    if name not in known:
        yield Finding(path=path, line=0, words=f"unknown layer {name}: neither here nor in keys.toml")


def _source(path: Path, source: str) -> Iterator[Finding]:
    """Yield a finding if what a layer copies is neither in the repository nor, by its head, what a city brings."""
    if not source.startswith("files/"):
        if not (path.parents[1] / source).exists():
            yield Finding(path=path, line=0, words=f"{source} is not there")
    elif not re.search(rf"^#.*{re.escape(source)}(?![\w./*-])", path.read_text(encoding="utf-8"), re.MULTILINE):
        yield Finding(path=path, line=0, words=f"{source}: the head does not say who brings it")


def _are_words(entries: object) -> bool:
    return isinstance(entries, Sequence) and not isinstance(entries, str) and all(isinstance(e, str) for e in entries)
