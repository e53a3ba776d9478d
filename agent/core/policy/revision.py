"""What a new charter changes: computed from the two texts, never declared by their authors.

SL-2.4 asks that a substantive revision (one that adds, alters or removes an intended
use, a permissible use or a condition) be approved and shown. Each field of the
charter has one rule in `RULES` that tells which direction of change permits more; a
field without a rule cannot exist (a test compares the table with the models). Where
a direction cannot be known, as between two wordings of a condition, the change
*alters*, and counts as widening.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent.core.policy.charter import (
    AccessRule,
    Charter,
    FreshnessRule,
    IntendedUse,
    ModelRule,
    Office,
    PermissibleUse,
    PictureRule,
    Quorum,
    RecipientRole,
    ReleaseRule,
    RetentionRule,
    RevocationRule,
    Seats,
    SharingRow,
    SiteRule,
    WaiverRule,
)
from agent.core.policy.order import ORIGINALS, SHOWN, WATCHED
from agent.core.policy.words import Strict


class Effect(StrEnum):
    """What a change does to what may be permitted under the charter."""

    ADDS = "adds"
    REMOVES = "removes"
    WIDENS = "widens"
    NARROWS = "narrows"
    ALTERS = "alters"
    REWORDS = "rewords"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        effect: What it does.
        where: Which provision, such as "uses.public-safety.max_days".
        was: Old value in words; empty for what was added.
        becomes: New value in words; empty for what was removed.
    """

    effect: Effect
    where: str
    was: str = ""
    becomes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Everything that a new charter changes, in the order of the charter."""

    changes: tuple[Change, ...]

    @property
    def substantive(self) -> bool:
        """Whether it adds, alters or removes a use or a condition (SL-2.4)."""
        return any(change.effect is not Effect.REWORDS for change in self.changes)

    @property
    def permits_more(self) -> bool:
        """Whether anything may be permitted that was not; what cannot be told counts."""
        return any(change.effect in {Effect.ADDS, Effect.WIDENS, Effect.ALTERS} for change in self.changes)


def compare(old: Charter, new: Charter) -> Revision:
    """Return what `new` changes."""
    return Revision(changes=tuple(_differences("", old, new)))


# --- rules: given two different values, which permits more ------------------------

Rule = Callable[[Any, Any], Effect]


def _more_permits(old: int, new: int) -> Effect:
    return Effect.WIDENS if new > old else Effect.NARROWS


def _more_forbids(old: int, new: int) -> Effect:
    return _more_permits(new, old)


def _names_permit(old: Sequence[str], new: Sequence[str]) -> Effect:
    added, removed = set(new) - set(old), set(old) - set(new)
    if added:
        return Effect.ALTERS if removed else Effect.WIDENS
    return Effect.NARROWS if removed else Effect.REWORDS  # the same names in another order


def _names_forbid(old: Sequence[str], new: Sequence[str]) -> Effect:
    return _names_permit(new, old)


def _names_are_a_gate(old: Sequence[str], new: Sequence[str]) -> Effect:
    """No name is no condition; of several, any one fulfils it."""
    if not old or not new:
        return Effect.NARROWS if new else Effect.WIDENS
    return _names_permit(old, new)


def _ranked(rank: Mapping[Any, int]) -> Rule:
    return lambda old, new: _more_permits(rank[old], rank[new])


def _alters(_old: object, _new: object) -> Effect:
    return Effect.ALTERS


def _rewords(_old: object, _new: object) -> Effect:
    return Effect.REWORDS


def _biometrics(old: str, new: str) -> Effect:
    if new == "never":
        return Effect.NARROWS
    return Effect.WIDENS if old == "never" else Effect.ALTERS


_TEXT: Mapping[str, Rule] = {"title": _rewords, "source": _rewords}
_SEATS_THAT_WIDEN: Mapping[str, Rule] = {"offices": _names_permit, "source": _rewords}
_SEATS_THAT_NARROW: Mapping[str, Rule] = {"offices": _names_forbid, "source": _rewords}

# Which office narrows alone is the one thing that a model's type does not tell.
SEATS: Mapping[str, Mapping[str, Rule]] = {
    "restrictions": _SEATS_THAT_NARROW,
    "holds": _SEATS_THAT_NARROW,
    "epochs": _SEATS_THAT_WIDEN,
    "devices": _SEATS_THAT_WIDEN,
}

# Provisions that a charter may lack: what it means that one comes, and that one goes.
OPTIONAL: Mapping[str, tuple[Effect, Effect]] = {
    "release": (Effect.ADDS, Effect.REMOVES),
    "access": (Effect.NARROWS, Effect.WIDENS),
}

RULES: Mapping[type[Strict], Mapping[str, Rule]] = {
    Charter: {
        "kind": _alters,
        "version": _alters,
        "id": _alters,
        "city": _rewords,
        "revision": _rewords,
        "adopted_on": _rewords,
        "time_zone": _alters,
        "administrators": _names_forbid,
    },
    Office: {**_TEXT, "id": _alters},
    Quorum: {"offices": _names_permit, "threshold": _more_forbids, "source": _rewords},
    ReleaseRule: {"offices": _names_permit, "threshold": _more_forbids, "bases": _names_permit, "source": _rewords},
    AccessRule: {"validated_for_days": _more_permits, "source": _rewords},
    Seats: _SEATS_THAT_WIDEN,
    WaiverRule: {
        **_SEATS_THAT_WIDEN,
        "bases": _names_permit,
        "shorter_than_days": _more_permits,
        "widens": _names_permit,
        "people": _ranked(SHOWN),
    },
    RevocationRule: {**_SEATS_THAT_NARROW, "actions": _names_forbid},
    FreshnessRule: {"offline_for_days": _more_permits, "source": _rewords},
    RetentionRule: {
        "default_days": _more_permits,
        "extended_days": _more_permits,
        "bases": _names_permit,
        "decided_by": _names_permit,
        "source": _rewords,
    },
    PictureRule: {"max_height_px": _more_permits, "max_rate_hz": _more_permits, "source": _rewords},
    SiteRule: {"bases": _names_permit, "purchase_reference": _more_forbids, "source": _rewords},
    ModelRule: {"outputs": _names_permit, "reviewed_by": _names_permit, "source": _rewords},
    RecipientRole: {**_TEXT, "id": _alters, "originals": _more_permits},
    PermissibleUse: {"id": _alters, "title": _alters},  # the title is the use
    IntendedUse: {
        **_TEXT,
        "id": _alters,
        "clause": _rewords,
        "needs_case": _more_forbids,
        "case_for": _names_forbid,
        "needs_order_by": _names_are_a_gate,
        "needs_status": _names_are_a_gate,
        "max_days": _more_permits,
        "people": _ranked(SHOWN),
        "originals": _ranked(ORIGINALS),
        "biometrics": _biometrics,
        "live": _ranked(WATCHED),
        "recipients": _names_permit,
        "sharing": _names_permit,
        "metrics": _names_forbid,
    },
    SharingRow: {
        "id": _alters,
        "clause": _rewords,
        "shared_with": _alters,
        "what": _names_permit,
        "bases": _names_permit,
        "condition": _alters,
        "source": _rewords,
    },
}


def _differences(where: str, old: Strict, new: Strict, rules: Mapping[str, Rule] | None = None) -> Iterator[Change]:
    for name in type(old).model_fields:
        was, becomes = getattr(old, name), getattr(new, name)
        path = f"{where}.{name}" if where else name
        if was == becomes:
            continue
        if name == "revocations":
            yield from _revocations(path, was, becomes)
        elif was is None:
            yield Change(effect=OPTIONAL[name][0], where=path, becomes=_words(becomes.source))
        elif becomes is None:
            yield Change(effect=OPTIONAL[name][1], where=path, was=_words(was.source))
        elif isinstance(was, Strict):
            yield from _differences(path, was, becomes, SEATS.get(name))
        elif _holds_provisions(was) or _holds_provisions(becomes):
            yield from _provisions(path, was, becomes)
        else:
            rule = (rules or RULES[type(old)])[name]
            yield Change(effect=rule(was, becomes), where=path, was=_words(was), becomes=_words(becomes))


def _holds_provisions(value: object) -> bool:
    return isinstance(value, tuple) and any(isinstance(one, Strict) for one in value)


def _provisions(where: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    """Compare tables whose rows have ids; the order of rows means nothing."""
    rows = {row.id: row for row in old}
    new_rows = {row.id: row for row in new}
    for row_id in dict.fromkeys((*rows, *new_rows)):
        path = f"{where}.{row_id}"
        if row_id not in new_rows:
            yield Change(effect=Effect.REMOVES, where=path, was=_title(rows[row_id]))
        elif row_id not in rows:
            yield Change(effect=Effect.ADDS, where=path, becomes=_title(new_rows[row_id]))
        else:
            yield from _differences(path, rows[row_id], new_rows[row_id])


def _revocations(where: str, old: Sequence[RevocationRule], new: Sequence[RevocationRule]) -> Iterator[Change]:
    """Compare who may order what, however it is grouped."""
    was = {(office, action) for rule in old for office in rule.offices for action in rule.actions}
    becomes = {(office, action) for rule in new for office in rule.offices for action in rule.actions}
    for office, action in sorted(was - becomes):
        yield Change(effect=Effect.WIDENS, where=f"{where}.{office}", was=action)
    for office, action in sorted(becomes - was):
        yield Change(effect=Effect.NARROWS, where=f"{where}.{office}", becomes=action)
    if was == becomes:
        yield Change(effect=Effect.REWORDS, where=where, was=f"{len(old)} rules", becomes=f"{len(new)} rules")


def _title(row: Any) -> str:  # noqa: ANN401 - the four kinds of rows share this much
    return str(row.shared_with if isinstance(row, SharingRow) else row.title)


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
