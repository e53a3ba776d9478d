"""The values behind a site's sentences, each with where it stands in a document that officials signed.

A reader can look them up, and `check.js` does: what stands in the cell must be what stands in the signed extract.

Pure.
"""

from collections.abc import Iterator
from html import escape
from typing import Any

from agent.core.policy.documents import Document
from provisioning.register.frame import heads
from provisioning.register.made_of import Register
from provisioning.register.standing import SiteStanding

# Field → where it stands; by kind of document. A list is shown joined by commas.
_BESIDE = ("/issued_by", "/starts_at", "/cameras")
_SHOWN: dict[str, tuple[str, ...]] = {
    "grant": (
        *("/issued_at", "/starts_at", "/ends_at", "/cameras", "/intended_use", "/permissible_uses", "/people"),
        *("/originals", "/biometrics", "/audio", "/max_height_px", "/max_rate_hz", "/retention/days", "/recipients"),
        *("/live", "/metrics", "/site/public_name", "/site/basis", "/site/statement"),
    ),
    "restriction": (*_BESIDE, "/narrows/0/what"),
    "waiver": (*_BESIDE, "/ends_at", "/basis", "/widens/what"),
    "hold": _BESIDE,
    "revocation": (*_BESIDE, "/action"),
}


def signed_values(register: Register, site: SiteStanding) -> Iterator[str]:
    """Yield the values behind a site's page, folded away."""
    documents: dict[str, Document] = {grant.id: grant for grant in site.grants}
    for camera in site.cameras:
        documents |= {
            one.id: one for one in (*camera.restrictions, *camera.waivers, *camera.holds, *camera.revocations)
        }
    paths = {document.id: path for path, document in register.policy.documents.items()}
    yield "<details><summary>The signed values behind these sentences</summary>"
    for document_id, document in documents.items():
        yield from _values(paths[document_id], document)
    yield "</details>"


def pointed(stated: Any, pointer: str) -> str:  # noqa: ANN401 - JSON
    """Return what stands at an RFC 6901 pointer in a document, as text."""
    for name in pointer.split("/")[1:]:
        stated = stated[int(name)] if isinstance(stated, list) else stated[name]
    if isinstance(stated, list):
        return ", ".join(map(str, stated))
    return str(stated).lower() if isinstance(stated, bool) else str(stated)


def _values(path: str, document: Document) -> Iterator[str]:
    stated = document.model_dump(mode="json")
    yield f'<h3 class="mono">{escape(path)}</h3><table>{heads("where", "what")}<tbody>'
    models = [f"/models/{number}/sha256" for number, _ in enumerate(stated.get("models", ()))]
    for pointer in (*_SHOWN[stated["kind"]], *models):
        yield (
            f'<tr><th scope="row" class="mono">{pointer}</th>'
            f'<td data-document="{escape(path)}" data-pointer="{pointer}">{escape(pointed(stated, pointer))}</td></tr>'
        )
    yield "</tbody></table>"
