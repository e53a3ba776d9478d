"""What a city's documents mean for its cameras: now, then, and if a draft were published.

The decision is the camera's own (`agent.core.policy.decide`); here it is asked
about other moments and other documents. Which document is behind which part of a
decision is found by asking again without it.

Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.clock import ClockQuality, ClockState
from agent.core.policy.decide import decide
from agent.core.policy.decision import Decision, LiveView, Originals, Revocation
from agent.core.policy.documents import EpochKeys, Grant, Hold, Restriction, Waiver
from agent.core.policy.documents import Revocation as RevocationOrder
from agent.core.policy.explain import HIDDEN
from agent.core.policy.order import permits_no_more_than
from agent.core.policy.release import CHARTER_PATH
from agent.core.policy.verified import ALL, VerifiedDocuments
from provisioning.authority.cross_check import AnyDocument, documents_of
from provisioning.authority.draft import Draft
from provisioning.authority.published import PublishedCity


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a decision.

    Attributes:
        label: What it is about.
        words: What is decided.
        because: Ids of the documents without which it would be different, sorted.
        clause: The clause of the charter that rules it; empty where it only follows from others.
    """

    label: str
    words: str
    because: tuple[str, ...]
    clause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a draft would change for one camera from one moment on.

    Attributes:
        camera_id: The camera.
        at: The moment.
        before: The decision as things are.
        after: The decision if the draft were published.
    """

    camera_id: str
    at: datetime
    before: Decision
    after: Decision

    @property
    def direction(self) -> str:
        """Whether the draft permits more, less, both, or the same."""
        narrower = permits_no_more_than(self.after, self.before)
        wider = permits_no_more_than(self.before, self.after)
        return {(True, True): "same", (True, False): "less", (False, True): "more", (False, False): "other"}[
            narrower, wider
        ]

    def differences(self) -> tuple[tuple[str, str, str], ...]:
        """Return label, before and after of each part that differs."""
        before, after = words_of(self.before), words_of(self.after)
        return tuple((label, before[label], after[label]) for label in before if before[label] != after[label])


def documents_in(city: PublishedCity, draft: Draft | None = None) -> dict[str, AnyDocument]:
    """Return a city's documents by path, as they are or as they would be with `draft`."""
    documents = documents_of(city.documents)
    if draft is not None:
        documents = {path: one for path, one in documents.items() if path not in draft.withdrawn}
        documents |= documents_of(draft.documents)
    return documents


def charter_of(city: PublishedCity) -> Charter:
    """Return the charter in force."""
    return parse_charter(city.charter)


def cameras_in(documents: Mapping[str, AnyDocument]) -> tuple[str, ...]:
    """Return every camera that a document names, sorted."""
    named: set[str] = set()
    for document in documents.values():
        cameras = () if isinstance(document, EpochKeys) else document.cameras
        named |= set() if cameras == ALL else set(cameras)
    return tuple(sorted(named))


def decision_at(
    charter: Charter, documents: Mapping[str, AnyDocument], camera_id: str, at: datetime, fresh_until: datetime
) -> Decision:
    """Return what `camera_id` may do at `at`, with a clock that can be believed.

    Args:
        charter: The city's law.
        documents: The documents that count, by path.
        camera_id: The camera.
        at: The moment.
        fresh_until: Until when the camera has heard of the city.
    """
    clock = ClockState(now=at, quality=ClockQuality.SYNCHRONISED)
    return decide(charter, _verified(documents), clock, camera_id=camera_id, fresh_until=fresh_until)


def explain(
    charter: Charter, documents: Mapping[str, AnyDocument], camera_id: str, at: datetime, fresh_until: datetime
) -> tuple[Decision, tuple[Part, ...]]:
    """Return what `camera_id` may do at `at`, part by part with the documents behind it; arguments as `decision_at`."""
    decision = decision_at(charter, documents, camera_id, at, fresh_until)
    words = words_of(decision)
    because: dict[str, set[str]] = {label: set() for label in words}
    for path, document in documents.items():
        if document.id not in decision.sources:
            continue
        others = {other: one for other, one in documents.items() if other != path}
        without = decision_at(charter, others, camera_id, at, fresh_until)
        # Without its keys a camera is dark, and every part of the picture with it; they are behind no other part.
        only = {"Records", "Sealed to"} if isinstance(document, EpochKeys) else set(words)
        for label in only:
            if words_of(without)[label] != words[label]:
                because[label].add(document.id)
    clauses = _clauses(charter, decision)
    parts = (
        Part(label=label, words=said, because=tuple(sorted(because[label])), clause=clauses.get(label, ""))
        for label, said in words.items()
        if said
    )
    return decision, tuple(parts)


def simulate(city: PublishedCity, draft: Draft, *, now: datetime) -> Iterator[Change]:
    """Yield what `draft` would change, camera by camera, now and when each of its documents begins and ends.

    The city is assumed to keep in touch with its cameras.
    """
    charter = charter_of(city)
    proposed_charter = parse_charter(draft.documents.get(CHARTER_PATH, city.charter))
    before, after = documents_in(city), documents_in(city, draft)
    proposed = documents_of(draft.documents)
    times = {now, *(max(now, one.starts_at) for one in proposed.values())}
    times |= {one.ends_at for one in proposed.values() if one.ends_at is not None and one.ends_at > now}
    for camera_id in cameras_in({**before, **after}):
        last = None
        for at in sorted(times):
            heard = at + charter.offline_for
            change = Change(
                camera_id=camera_id,
                at=at,
                before=decision_at(charter, before, camera_id, at, heard),
                after=decision_at(proposed_charter, after, camera_id, at, heard),
            )
            told = change.differences()
            if told and told != last:
                yield change
            last = told


def words_of(decision: Decision) -> dict[str, str]:
    """Return a decision in words, by label; an empty text where a part says nothing."""
    records = decision.recording
    revoked = "" if decision.revocation is Revocation.NONE else str(decision.revocation)
    return {
        "Records": "yes" if records else "no",
        "Why": decision.reason,
        "For": f"{decision.intended_use}: {', '.join(decision.permissible_uses)}" if records else "",
        "People": HIDDEN[decision.people] if records else "",
        "Private areas": ", ".join(zone.name for zone in decision.zones) or "none" if records else "",
        "Picture": f"{decision.max_height_px} lines, {decision.max_rate_hz} a second" if records else "",
        "Originals": ("not kept" if decision.originals is Originals.NONE else "kept, sealed") if records else "",
        "Kept for": f"{decision.retention.days} days",
        "Sealed to": f"{len(decision.recipients)} recipients of the day" if records else "",
        "Live view": ("nobody" if decision.live is LiveView.NONE else "the public") if records else "",
        "Models": ", ".join(model.sha256[:12] for model in decision.models),
        "Biometrics": "off, locked" if decision.biometrics_locked else "off",
        "Waivers": ", ".join(decision.waivers),
        "Holds": ", ".join(sorted({span.hold_id for span in decision.holds})),
        "Revocation": revoked,
    }


def _clauses(charter: Charter, decision: Decision) -> dict[str, str]:
    """Return the clause that rules each part."""
    return {
        "Records": charter.approval.source[0],
        "For": decision.intended_use,
        "People": decision.intended_use or "JC-11",
        "Private areas": "JC-12",
        "Picture": charter.picture.source[0],
        "Originals": decision.intended_use or "JC-11",
        "Kept for": charter.retention.source[0],
        "Sealed to": charter.epochs.source[0],
        "Live view": "SL-T2-5",
        "Models": charter.models.source[0],
        "Biometrics": decision.intended_use or "JC-8",
        "Waivers": charter.waivers.source[0],
        "Holds": charter.holds.source[0],
        "Revocation": charter.revocations[0].source[0],
    }


def _verified(documents: Mapping[str, AnyDocument]) -> VerifiedDocuments:
    every = documents.values()
    return VerifiedDocuments(
        grants=tuple(one for one in every if isinstance(one, Grant)),
        restrictions=tuple(one for one in every if isinstance(one, Restriction)),
        waivers=tuple(one for one in every if isinstance(one, Waiver)),
        holds=tuple(one for one in every if isinstance(one, Hold)),
        epochs=tuple(one for one in every if isinstance(one, EpochKeys)),
        revocations=tuple(one for one in every if isinstance(one, RevocationOrder)),
    )
