"""What every page of the register has around it: head, bar, foot; and the few pieces that several pages use.

A page fetches nothing but its own check, runs nothing that is written in it, and is good without either:
the policy in its head says so to the browser. Statements that can be compared one by one with what was
signed carry `data-s`; `said` finds them again.

Pure.
"""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from html.parser import HTMLParser
from importlib import resources

from provisioning.register.made_of import Register
from provisioning.register.sentences import MAY_RECORD, Said, day_and_time

STYLE = resources.files("provisioning.web").joinpath("register/style.css").read_text(encoding="utf-8").strip()
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# What is in the page is styled by this sheet and no other; what it runs and reads comes from beside it.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_UNSEEN = frozenset({"style", "script"})
_VOID = frozenset({"meta", "link", "input", "br"})
_BLOCKS = frozenset(
    {"title", "h1", "h2", "h3", "p", "dt", "dd", "li", "th", "td", "figcaption", "del", "ins", "summary"}
)


def framed(register: Register, *, title: str, body: str, up: str = "", description: str = "") -> bytes:
    """Return a whole page.

    Args:
        register: Whose.
        title: What it is, without the city's name.
        body: What stands in its main part, HTML.
        up: What leads from the page to the first page, such as "../".
        description: One sentence for those who find it by searching.
    """
    claims = register.claims
    city = escape(claims.city)
    said = escape(description or f"Cameras of {claims.city}: what each may do, and what it did.")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)} · {city}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="description" content="{said}">\n'
        f'<link rel="icon" href="data:,">\n'
        f'<link rel="alternate" type="application/atom+xml" title="Changes" href="{up}changes.atom">\n'
        f"<style>{STYLE}</style>\n"
        f'<script type="module" src="{up}check.js"></script>\n'
        '</head>\n<body>\n<a class="skip" href="#main">To the content</a>\n'
        f'<header class="bar"><div><a class="name" href="{up}index.html">{city}: cameras</a>'
        f'<nav aria-label="Register"><a href="{up}index.html">Sites</a><a href="{up}changes.html">Changes</a>'
        f'<a href="{up}law.html">The law</a><a href="{up}proof.html">How to check</a></nav></div></header>\n'
        f'<main id="main">\n{body}{_check_box(up)}</main>\n'
        f"<footer><div><p>Made on {day_and_time(claims.made_at)} from what officials signed and cameras attested. "
        f'Nobody typed these sentences: <a href="{up}proof.html">check them</a>.</p></div></footer>\n'
        "</body>\n</html>\n"
    ).encode()


def statement(text: str, tag: str = "p", kind: str = "") -> str:
    """Return a sentence that can be compared with what was signed."""
    named = f' class="{kind}"' if kind else ""
    return f"<{tag}{named} data-s>{escape(text)}</{tag}>"


def rows(said: Iterable[Said], kind: str = "") -> str:
    """Return labelled sentences."""
    inner = "".join(f"<dt>{escape(label)}</dt>{statement(text, 'dd')}" for label, text in said)
    return f'<dl class="{kind}">{inner}</dl>' if kind else f"<dl>{inner}</dl>"


def heads(*words: str) -> str:
    """Return the head of a table."""
    cells = "".join(f'<th scope="col">{escape(word)}</th>' for word in words)
    return f"<thead><tr>{cells}</tr></thead>"


def state_badge(state: str) -> str:
    """Return a camera's state, told by its word and not by its colour alone."""
    return f'<span class="state{" on" if state == MAY_RECORD else ""}" data-s>{escape(state)}</span>'


def _check_box(up: str) -> str:
    """Return the place where a page checks itself, and how it is checked where no script runs."""
    return (
        '<div class="check"><h2>Check this page</h2>'
        "<p>This page says what officials signed and cameras attested. Your browser can verify that: signatures, "
        f'proofs, and every sentence. <a href="{up}proof.html">What is checked, and what it proves</a>.</p>'
        '<p><button type="button" id="check-now" hidden>Check this page</button></p>'
        '<p id="verdict" role="status"></p><ul id="checked"></ul>'
        '<p class="soft">At a terminal, also for pages on a disk: '
        '<span class="mono">lamppost register verify PLACE</span></p></div>'
    )


def said(page: bytes) -> tuple[str, ...]:
    """Return the statements of a page, in order; what `check.js` compares with the page that is shown."""
    reader = _Statements()
    reader.feed(page.decode("utf-8", "replace"))
    return tuple(reader.found)


def texts(page: bytes) -> tuple[str, ...]:
    """Return the words of a page, block by block, to tell what differs between two."""
    reader = _Blocks()
    reader.feed(page.decode("utf-8", "replace"))
    reader.close()
    return tuple(text for text in reader.found if text)


class _Statements(HTMLParser):
    """Collects the text of elements that carry `data-s`; none lies within another."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth:
            self._depth += tag not in _VOID
        elif any(name == "data-s" for name, _ in attrs):
            self.found.append("")
            self._depth = 1

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's interface
        self._depth -= self._depth > 0

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.found[-1] += data


class _Blocks(HTMLParser):
    """Collects text, a new entry at each block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = [""]
        self._unseen = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's
        self._unseen = tag in _UNSEEN
        if tag in _BLOCKS:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = False
        if tag in _BLOCKS:
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.found[-1] = " ".join(f"{self.found[-1]} {data}".split())
