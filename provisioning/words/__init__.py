"""What technicians read: every sentence in one file, so that a translation is another file.

`en.toml` is the first. `LAMPPOST_LANGUAGE=de` takes `de.toml` from this folder, and a path to a file that
ends in `.toml` takes that one. What a translation lacks is said in English: a technician on a ladder is better
served by a foreign sentence than by none. That nothing is lacking is for the tests (`differences`).
"""

import os
import string
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from agent.errors import UsageError

FIRST = "en"
VARIABLE = "LAMPPOST_LANGUAGE"


def language() -> str:
    """Return the language, as `lang` in HTML has it."""
    return Path(_wanted()).stem


def words(key: str, /, **values: object) -> str:
    """Return the sentence called `key`, with `values` in their places.

    Args:
        key: Tables and name, joined by dots.
        values: What stands in {braces}.
    """
    return _sentences(_wanted())[key].format(**values)


def section(name: str) -> dict[str, str]:
    """Return the sentences of one table, in its order, as they are written."""
    start = f"{name}."
    found = _sentences(_wanted()).items()
    return {key.removeprefix(start): said for key, said in found if key.startswith(start)}


def differences(translation: Path) -> list[str]:
    """Return what keeps a file from being a translation of the first one: names and {braces} that differ."""
    first, other = _sentences(FIRST), dict(_flat(tomllib.loads(translation.read_text(encoding="utf-8"))))
    lacking = [f"lacks {key}" for key in first.keys() - other.keys()]
    unknown = [f"has {key}, which nobody asks for" for key in other.keys() - first.keys()]
    braces = [f"{key}: other braces" for key in first.keys() & other.keys() if gaps(first[key]) != gaps(other[key])]
    return sorted([*lacking, *unknown, *braces])


def gaps(sentence: str) -> frozenset[str]:
    """Return the names that stand in {braces}."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(sentence) if name)


def _wanted() -> str:
    return os.environ.get(VARIABLE) or FIRST


@cache
def _sentences(wanted: str) -> dict[str, str]:
    if wanted == FIRST:
        return dict(_flat(_read(FIRST)))
    return {**_sentences(FIRST), **dict(_flat(_read(wanted)))}


def _read(wanted: str) -> dict[str, Any]:
    place = Path(wanted) if wanted.endswith(".toml") else resources.files(__package__).joinpath(f"{wanted}.toml")
    try:
        return tomllib.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"there is no translation {wanted}", hint=f"unset {VARIABLE}, or name a file") from error
    except ValueError as error:
        raise UsageError(f"the translation {wanted} cannot be read: {error}") from error


def _flat(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
