"""What people enter is checked before it is printed; what they leave out stays a blank."""

import re

import pytest

from agent.errors import NotesFormatError
from provisioning.annual.notes import notes_to_fill_in, parse_notes

LEAST = 'year = 2025\nentered_by = "Records Office"\nentered_on = 2026-01-20\n'


def test_what_is_left_out_is_nothing_and_no_zero() -> None:
    notes = parse_notes(LEAST)

    assert notes.complaints is None
    assert notes.cost is None
    assert notes.metrics == ()


def test_a_cost_without_one_of_its_parts_has_no_total() -> None:
    three = f'{LEAST}[cost]\ncurrency = "USD"\nhardware = 1\nlicences = 2\ninstallation = 3\n'

    partly, whole = parse_notes(three).cost, parse_notes(f"{three}storage = 4\n").cost

    assert partly is not None
    assert partly.total is None
    assert whole is not None
    assert whole.total == 10


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[audits]\ncount = 1\n", "audits: count is 1, and no words say what they were"),
        ("[audits]\ncount = 1\nwords = ' '\n", "audits.words: text is blank"),
        ("[audits]\nwords = 'none'\n", "audits.count: field required"),
        ("[audits]\ncount = 1.5\nwords = 'x'\n", "audits.count"),
        ("[cost]\ncurrency = 'dollars'\n", "cost.currency"),
        ("[cost]\ncurrency = 'USD'\npole = 3\n", "cost.pole: extra inputs are not permitted"),
        ("smiles = 3\n", "smiles: extra inputs are not permitted"),
        ("[[metrics]]\ngrant='g-1'\nmetric='m'\nvalue=1\n", "metrics.0.source"),
        ("[[metrics]]\ngrant='g-1'\nmetric='m'\nvalue=1\nsource='s'\n" * 2, "entered twice"),
        ("metrics = 3\n", "metrics"),
    ],
)
def test_a_mistake_is_told_with_its_place(more: str, says: str) -> None:
    with pytest.raises(NotesFormatError, match=re.compile(re.escape(says), re.IGNORECASE)):
        parse_notes(LEAST + more)


def test_the_file_to_fill_in_is_refused_until_somebody_answers_for_it() -> None:
    with pytest.raises(NotesFormatError, match="entered_by"):
        parse_notes(notes_to_fill_in(2025))


def test_the_file_to_fill_in_has_every_field_as_it_is_taken() -> None:
    filled = re.sub(r"^# (?=[a-z_]+ = |\[)", "", notes_to_fill_in(2025), flags=re.MULTILINE)
    filled = filled.replace('entered_by = ""', 'entered_by = "Records Office"').replace("2000-01-01", "2026-01-20")

    notes = parse_notes(filled)

    assert notes.model_fields_set == set(type(notes).model_fields)
