"""Make the folder for a court: collect, check, open, join, seal, state, sign.

In this order, and none of it before the one above is done:

1. The city's release is fresh, and gives the custodian's key its office. The law allows what is asked, or
   it is refused with the clause (and the refusal is in the city's log).
2. The city's own log holds an entry about it. Whoever aborts now leaves the entry.
3. The camera's log is the one its key signed, and shows the span without holes.
4. Every sealed segment is copied, and the copy is, byte for byte, the one its leaf tells of.
5. The custodian's identity opens them; what opens says it is of that camera and time.
6. The pictures are joined as they are coded, and sealed to the party as they are joined.
7. The custodian signs what was found. Only now the folder gets its name.
"""

import os
import secrets
import shutil
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Text
from agent.core.video import Layer
from agent.errors import ClauseViolationError, EvidenceError, StorageError, UsageError
from provisioning.authority import files
from provisioning.authority.cross_check import documents_of
from provisioning.evidence import exhibit as layout
from provisioning.evidence.authority import Authority
from provisioning.evidence.camera_log import CameraLog
from provisioning.evidence.chain import choose_run
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.order import Custodian, Order, Sources
from provisioning.evidence.paper import printed
from provisioning.evidence.sharing import Permission, Wish, permit
from provisioning.evidence.statement import Statement
from provisioning.evidence.writing import Writing

_TEXT: TypeAdapter[str] = TypeAdapter(Text)


def export(  # noqa: PLR0913 - what is asked, by whom, out of what, into what, and when
    order: Order,
    *,
    authority: Authority,
    custodian: Custodian,
    city_log: CityLog,
    sources: Sources,
    out: Path,
    now: datetime,
    paper: Callable[[bytes], bytes] | None = printed,
    say: Callable[[str], None] = lambda _: None,
) -> Statement:
    """Make the folder `out` and return what was stated in it.

    Args:
        order: What is asked for.
        authority: The city's release.
        custodian: Who exports.
        city_log: The city's own log.
        sources: Where the evidence comes from.
        out: The folder to make.
        now: Current UTC time.
        paper: Makes a PDF of a report; None makes none.
        say: Told, a line each, what the export goes without.

    Raises:
        ClauseViolationError: The law does not allow it.
        EvidenceError: What is there does not hold together.
        LamppostError: Something cannot be read, opened or written; `out` is not there then.
    """
    _check_words(order)
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already", hint="an export is never overwritten; choose another name")
    authority.exporting_key(custodian.card.key.keyid, now)
    permission = _permit(order, authority, custodian, city_log, now)
    entry = city_log.append("evidence-export-begun", now, **_facts(order, custodian, permission.basis))
    log = CameraLog(sources.log, sources.log_key)
    run = choose_run(
        log.leaves(),
        starts_at=order.starts_at,
        ends_at=order.ends_at,
        layer=Layer.MASKED.value,
        size=log.checkpoint.size,
    )
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        files.make_folder(part / layout.SEGMENTS, mode=0o755)
        (part / "log").mkdir()
        (part / "city").mkdir()
        work = Writing(order, authority, custodian, sources, part, now, paper, say)
        statement = work.write(permission, entry, log, run)
        part.rename(out)
    except ValidationError as error:  # a leaf that a camera should not have written
        raise EvidenceError(f"what was found cannot be stated: {first_problem(error)}") from error
    except OSError as error:
        raise StorageError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    digest = Exhibit(out).digest(layout.STATEMENT).sha256
    city_log.append("evidence-exported", now, begun=entry.index, case=order.case, statement_sha256=digest)
    return statement


def _check_words(order: Order) -> None:
    """Refuse words that no statement can carry, before anything is written about them."""
    for name in ("case", "reason", "reference", "party", "terms"):
        words = getattr(order, name)
        try:
            _TEXT.validate_python(words)
        except ValidationError as error:
            raise UsageError(f"{name} {words!r:.80} will not do: {first_problem(error)}") from error
    if order.starts_at >= order.ends_at:
        raise UsageError(f"the span ends at {order.ends_at}, which is not after {order.starts_at}")


def _permit(order: Order, authority: Authority, custodian: Custodian, city_log: CityLog, now: datetime) -> Permission:
    wish = Wish(camera_id=order.camera_id, row=order.row, basis=order.basis, office=custodian.card.office, now=now)
    try:
        return permit(authority.charter, documents_of(authority.city.documents).values(), wish)
    except ClauseViolationError as error:
        facts = _facts(order, custodian, order.basis or "none")
        city_log.append("evidence-export-refused", now, clause=error.clause, **facts)
        raise


def _facts(order: Order, custodian: Custodian, basis: str) -> dict[str, str]:
    return {
        "basis": basis,
        "camera": order.camera_id,
        "case": order.case,
        "ends_at": f"{order.ends_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "keyid": custodian.card.key.keyid,
        "name": custodian.card.name,
        "office": custodian.card.office,
        "party": order.party,
        "reason": order.reason,
        "recipient_sha256": sha256(str(order.recipient).encode()).hexdigest(),
        "row": order.row,
        "starts_at": f"{order.starts_at:%Y-%m-%dT%H:%M:%S.%fZ}",
    }
