"""What no machine can know of a year, as people enter it: complaints, breaches, violations, audits, cost.

One TOML file. What is not in it is a marked blank in the report and never a zero; a zero is entered like
any other number. What the logs know is computed and cannot be entered.

Pure.
"""

import tomllib
from importlib import resources
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from agent.core.policy.refusals import first_problem
from agent.core.policy.strict_json import MAX_EXACT_INTEGER
from agent.core.policy.words import MAX_LIST, Day, Slug, Strict, Text
from agent.errors import NotesFormatError

MAX_NOTES_BYTES = 256 * 1024
Count = Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]  # ISO 4217


class Entered(Strict):
    """How many there were, and what there is to say of them.

    Attributes:
        count: How many; 0 says that somebody looked and there were none.
        words: What they were and what was done. Needed where there were any (SL-5.2).
    """

    count: Count
    words: Text | None = None

    @model_validator(mode="after")
    def _told(self) -> Self:
        if self.count and self.words is None:
            raise ValueError(f"count is {self.count}, and no words say what they were and what was done")
        return self


class Cost(Strict):
    """What the cameras cost the city in the year, in whole units of a currency; the parts are those of RB-7."""

    currency: Currency
    hardware: Count | None = None
    licences: Count | None = None
    installation: Count | None = None
    storage: Count | None = None

    @property
    def parts(self) -> dict[str, int | None]:
        """The parts, in the order of the clause."""
        return {
            "hardware": self.hardware,
            "licences": self.licences,
            "installation": self.installation,
            "storage": self.storage,
        }

    @property
    def total(self) -> int | None:
        """The sum, or None while a part is not told."""
        told = [part for part in self.parts.values() if part is not None]
        return sum(told) if len(told) == len(self.parts) else None


class MetricEntered(Strict):
    """What a metric came to that a grant promised and no log knows.

    Attributes:
        grant: Id of the grant.
        metric: As the grant calls it.
        value: What it came to.
        source: Where the number is from, such as "police records".
    """

    grant: Slug
    metric: Slug
    value: Count
    source: Text


class Notes(Strict):
    """All that people entered for one year.

    Attributes:
        year: Which year.
        entered_by: Who answers for it: an office, not a person.
        entered_on: When.
        complaints: From the public (CCOPS).
        breaches: Of data, or of the systems that hold it (CCOPS, SL-3.10).
        violations: Wilful unauthorised access or abuse (SL-5.2).
        audits: By whom, of what, with what result (CCOPS).
        records_requests: Requests for public records about the cameras (CCOPS).
        recipients: The bodies that footage was handed to, where the city's law asks for their names (CCOPS).
        cost: What it cost (RB-7).
        outlook: What follows: what is ended, changed or asked for (SL-2.5).
        metrics: What metrics came to that no log knows (SL-2.5).
    """

    year: Annotated[int, Field(ge=2000, le=9999)]
    entered_by: Text
    entered_on: Day
    complaints: Entered | None = None
    breaches: Entered | None = None
    violations: Entered | None = None
    audits: Entered | None = None
    records_requests: Entered | None = None
    recipients: Text | None = None
    cost: Cost | None = None
    outlook: Text | None = None
    metrics: Annotated[tuple[MetricEntered, ...], Field(max_length=MAX_LIST)] = ()

    @model_validator(mode="after")
    def _once(self) -> Self:
        named = [(one.grant, one.metric) for one in self.metrics]
        if len(set(named)) < len(named):
            raise ValueError("a metric of a grant is entered twice")
        if self.entered_on.year < self.year:
            raise ValueError(f"entered_on is {self.entered_on}, before {self.year} began")
        return self

    def metric(self, grant: str, metric: str) -> MetricEntered | None:
        """Return what was entered for a metric of a grant, or None."""
        return next((one for one in self.metrics if (one.grant, one.metric) == (grant, metric)), None)


def parse_notes(toml: str) -> Notes:
    """Return what people entered.

    Raises:
        NotesFormatError: It is not TOML, or says something that no report takes.
    """
    try:
        stated = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise NotesFormatError(f"the notes are not TOML: {error}") from error
    if isinstance(metrics := stated.get("metrics"), list):
        stated["metrics"] = tuple(metrics)
    try:
        return Notes.model_validate(stated)
    except ValidationError as error:
        raise NotesFormatError(
            f"the notes: {first_problem(error)}", hint="lamppost report notes writes a file with every field"
        ) from error


def notes_to_fill_in(year: int) -> str:
    """Return a file with every field, all of them still blank but the year."""
    text = resources.files("provisioning.annual").joinpath("notes.toml").read_text(encoding="utf-8")
    return text.replace("year = 0", f"year = {year}", 1)
