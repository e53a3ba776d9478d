"""The order on decisions: `permits_no_more_than`.

The laws of policy are sentences about this order: adding a restriction never
permits more, removing a grant or a waiver never permits more. Field by field, one
decision permits no more than another when it

| field | compares |
|---|---|
| recording | records only if the other does; all picture fields below bind only a decision that records |
| intended_use, view | the same |
| permissible_uses, recipients, originals_recipients | names no one and nothing more |
| zones | masks at least the same areas |
| people | hides at least as much of people |
| originals, live | none under none |
| retention, max_height_px, max_rate_hz | is no larger |
| models | runs no other net (also when dark: counting needs no picture) |
| biometrics_locked | is locked if the other is |
| holds | keeps at least what the other keeps |
| revocation | is at least as strong |

A dark decision's retention is not compared: it governs what was stored before, and a
gap in policy must not destroy evidence (JC-25). `reason`, `waivers`, `sources`,
`policy_digest` and `changes_at` tell and do not permit.
"""

from agent.core.policy.decision import Decision, LiveView, Originals, PeopleMode, Revocation

# From least to most of what a person can see.
SHOWN = {PeopleMode.COUNTS_ONLY: 0, PeopleMode.SCENE: 1, PeopleMode.PEOPLE: 2, PeopleMode.HEADS: 3}
ORIGINALS = {Originals.NONE: 0, Originals.SEALED: 1}
WATCHED = {LiveView.NONE: 0, LiveView.PUBLIC: 1}
# From weakest to strongest.
STRENGTH = {Revocation.NONE: 0, Revocation.PAUSE: 1, Revocation.STOP: 2, Revocation.ERASE: 3}


def permits_no_more_than(one: Decision, other: Decision) -> bool:
    """Whether everything that `one` permits, `other` permits too."""
    return (
        set(one.models) <= set(other.models)
        and one.biometrics_locked >= other.biometrics_locked
        and set(one.holds) >= set(other.holds)
        and STRENGTH[one.revocation] >= STRENGTH[other.revocation]
        and (not one.recording or _shows_no_more_than(one, other))
    )


def _shows_no_more_than(one: Decision, other: Decision) -> bool:
    """Whether `one`, which records, makes no picture that `other` would not."""
    return (
        other.recording
        and one.intended_use == other.intended_use
        and one.view == other.view
        and set(one.permissible_uses) <= set(other.permissible_uses)
        and set(one.zones) >= set(other.zones)
        and SHOWN[one.people] <= SHOWN[other.people]
        and ORIGINALS[one.originals] <= ORIGINALS[other.originals]
        and WATCHED[one.live] <= WATCHED[other.live]
        and set(one.recipients) <= set(other.recipients)
        and set(one.originals_recipients) <= set(other.originals_recipients)
        and one.retention <= other.retention
        and one.max_height_px <= other.max_height_px
        and one.max_rate_hz <= other.max_rate_hz
    )


def less_shown(one: PeopleMode, other: PeopleMode) -> PeopleMode:
    """Return the mode that hides more."""
    return min(one, other, key=SHOWN.__getitem__)


def more_shown(one: PeopleMode, other: PeopleMode) -> PeopleMode:
    """Return the mode that hides less."""
    return max(one, other, key=SHOWN.__getitem__)
