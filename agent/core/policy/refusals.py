"""Say in one line what a validator did not like, and which clause asks for it."""

from pydantic import ValidationError

MAX_CHARACTERS = 300  # a log line; the writer of the document chose some of the words

# Fields that a clause requires: a document that lacks or garbles one is refused with that clause.
CLAUSE_OF_FIELD = {
    "reason": "JC-12",
    "zones": "JC-12",
    "people": "JC-11",
    "originals": "JC-11",
    "retention": "RB-4",
    "recipients": "RB-4",
    "purchase_reference": "RB-3",
    "basis": "RB-2",
    "statement": "RB-2",
    "public_name": "RB-5",
    "metrics": "SL-2.5",
    "models": "RB-6",
    "intended_use": "SL-2.2",
    "permissible_uses": "SL-2.2",
}
# Under these a path goes on with the name of a kind, such as "retention", which is no field.
NAMES_OF_KINDS = frozenset({"widens", "narrows"})


def first_problem(error: ValidationError) -> str:
    """Return where the first problem lies and what it is, as one printable line."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    line = f"{where}: {message}" if where else message
    return "".join(character if character.isprintable() else "?" for character in line)[:MAX_CHARACTERS]


def clause_of(error: ValidationError) -> str | None:
    """Return the clause that asks for the first field at fault, if one does."""
    path = [part for part in error.errors(include_url=False)[0]["loc"] if isinstance(part, str)]
    if not NAMES_OF_KINDS.isdisjoint(path):
        return None
    return next((CLAUSE_OF_FIELD[part] for part in path if part in CLAUSE_OF_FIELD), None)
