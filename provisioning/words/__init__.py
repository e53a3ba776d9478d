"""What technicians read: every sentence in one file, so that a translation is another file."""

import tomllib
from functools import cache
from importlib import resources

LANGUAGE = "en"


@cache
def _sentences(language: str) -> dict[str, dict[str, str]]:
    text = resources.files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def words(key: str, **values: object) -> str:
    """Return the sentence called `section.name`, with `values` in their places."""
    section, _, name = key.partition(".")
    return _sentences(LANGUAGE)[section][name].format(**values)


def section(name: str) -> dict[str, str]:
    """Return a whole section, in its order."""
    return dict(_sentences(LANGUAGE)[name])
