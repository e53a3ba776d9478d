"""The page that goes with a work order: one code, and what to do with it.

One HTML file that needs nothing else, for paper and for a phone: the code fills the
screen's width, black on white whatever the phone's theme is.
"""

import html
import io

import segno

from agent.core.enrolment.claim import Claim
from provisioning.enrolment.work_order import WorkOrder
from provisioning.words import language, section, words

_PNG_SCALE = 8  # pixels a module: 520 pixels a side and more, sharp on any screen
_QUIET_MODULES = 4  # ISO/IEC 18004 6.3.8


def code_of(sealed: bytes) -> segno.QRCode:
    """Return the code of a claim: level L, because fewer and larger modules read better than spare ones."""
    return segno.make_qr(sealed, error="L", mode="byte", boost_error=False)


def code_png(sealed: bytes) -> bytes:
    """Return the code as a PNG picture."""
    out = io.BytesIO()
    code_of(sealed).save(out, kind="png", scale=_PNG_SCALE, border=_QUIET_MODULES)
    return out.getvalue()


def page_html(order: WorkOrder, claim: Claim) -> str:
    """Return the page for an order and its verified claim."""
    code = code_of(order.claim).svg_inline(scale=1, border=_QUIET_MODULES, omitsize=True, light="white")
    site = order.site
    rows = {
        words("page.site"): f"{site.public_name} ({site.id}), {site.location.latitude}, {site.location.longitude}",
        words("page.mounting"): order.mounting,
        words("page.valid"): words(
            "page.valid_words", start=f"{claim.issued_at:%Y-%m-%d %H:%M}", end=f"{claim.expires_at:%Y-%m-%d %H:%M}"
        ),
        words("page.board"): claim.board or words("page.any_board"),
        words("page.network"): _network(claim),
    }
    if claim.replaces:
        rows[words("page.replaces")] = words("page.replaces_words")
    facts = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(said)}</td></tr>" for name, said in rows.items())
    lamp = "".join(f"<li>{html.escape(said)}</li>" for said in section("lamp").values())
    title = html.escape(words("page.title", camera=order.camera_id))
    return f"""<!doctype html>
<html lang="{language()}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; color: #111; background: #fff; }}
  body {{ max-width: 42rem; margin: 0 auto; padding: 1rem; }}
  h1 {{ font-size: 1.4rem; margin: 0 0 .5rem; }}
  svg {{ width: min(100%, 90vh, 15cm); display: block; margin: 0 auto; }}
  th {{ text-align: left; padding-right: 1rem; font-weight: 600; vertical-align: top; white-space: nowrap; }}
  .hold {{ font-size: 1.1rem; text-align: center; margin: .5rem 0 1rem; }}
  .small {{ font-size: .9rem; color: #444; }}
  @page {{ size: A4; margin: 14mm; }}
</style>
<h1>{title}</h1>
<div role="img" aria-label="{html.escape(words("page.hold"))}">{code}</div>
<p class="hold">{html.escape(words("page.hold"))}</p>
<table>{facts}</table>
<h2 class="small">{html.escape(words("page.lamp"))}</h2>
<ul class="small">{lamp}</ul>
<p>{html.escape(words("page.then"))}</p>
<p class="small">{html.escape(words("page.secret"))}</p>
</html>
"""


def _network(claim: Claim) -> str:
    if claim.wifi is None:
        return words("network.cable")
    return words("network.apart" if claim.wifi.secret is None else "network.inside", ssid=claim.wifi.ssid)
