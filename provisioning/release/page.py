"""A request in plain words: what an official reads before they say yes or no.

Pure.
"""

from hashlib import sha256

from agent.core.policy.charter import Charter
from agent.core.policy.words import write_instant
from provisioning.authority.keys import fingerprint
from provisioning.authority.summary import Page
from provisioning.release.lawful import release_rule
from provisioning.release.letters import Letter
from provisioning.release.papers import Request


def page_of(request: Letter[Request], charter: Charter) -> Page:
    """Return what `request` asks, and what an approval does."""
    says = request.says
    rule = release_rule(charter)
    role = charter.role(says.investigator.role)
    length = says.span.ends_at - says.span.starts_at
    threshold = max(one.epoch.threshold for one in says.epochs)
    holders = ", ".join(dict.fromkeys(f"{one.name}" for each in says.epochs for one in each.epoch.shares))
    days = ", ".join(dict.fromkeys(str(one.epoch.day) for one in says.epochs))
    return Page(
        title=f"Request {says.id}: open what was hidden of people, for a case",
        lines=(
            ("Camera", says.camera),
            (
                "From",
                (
                    f"{says.span.starts_at:%Y-%m-%d %H:%M:%S} to {says.span.ends_at:%Y-%m-%d %H:%M:%S} UTC"
                    f" ({length}), {len(says.segments)} segments; nothing else"
                ),
            ),
            ("Case", says.case),
            ("Legal basis", f"{says.basis}: {says.reference} ({', '.join(rule.source)})"),
            ("Reason", says.reason),
            (
                "Who will see it",
                (
                    f"{says.investigator.name} ({says.investigator.holder}), "
                    f"{role.title if role is not None else says.investigator.role}"
                ),
            ),
            ("Their key", fingerprint(sha256(says.investigator.recipient.encode()).hexdigest())),
            ("Asked by", f"{request.name} ({charter.title_of(request.office)}), {write_instant(says.made_at)}"),
            ("Needs", f"{threshold} of {holders}"),
            ("City's log", f"entry {says.entry.index}; {fingerprint(says.entry.root)}"),
            (
                "If you approve",
                (
                    f"your share of the key of {days} leaves this machine once the log holds your approval, sealed to "
                    "the custodian. The key itself reaches nothing but the memory of the custodian's machine; "
                    f"{says.investigator.name} gets these segments and no key."
                ),
            ),
            ("Who will know", "the request, your answer and the opening are in the city's log, and counted in public"),
        ),
    )
