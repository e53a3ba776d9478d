"""Under systemd each line carries its severity; on a terminal its time."""

import io
import logging
import re
from collections.abc import Iterator

import pytest

from agent.adapters.diagnostics import say_to


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_journald_gets_a_severity_and_one_line() -> None:
    stream = io.StringIO()
    say_to(stream, environment={"JOURNAL_STREAM": "8:1"})

    logging.getLogger("agent.recorder.app").warning("two\nlines")

    assert stream.getvalue() == "<4>agent.recorder.app: two | lines\n"


def test_a_person_gets_the_time() -> None:
    stream = io.StringIO()
    say_to(stream, environment={})

    logging.getLogger("agent").info("ready")

    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    ready\n", stream.getvalue())
