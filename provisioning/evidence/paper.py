"""The report as a PDF: the same HTML, set by WeasyPrint, which comes with the extra `export`.

The same report gives the same bytes, as long as the same fonts and the same WeasyPrint set it:
no date, and no id by chance, is in it. Tagged as PDF/UA asks, so that a screen reader follows it.
"""

import logging

from agent.errors import EvidenceError, MissingExtraError

_HINT = "pip install 'lamppost[export]', and apt-get install libpangoft2-1.0-0"
# WeasyPrint warns of what a style sheet has for screens alone.
logging.getLogger("weasyprint").setLevel(logging.ERROR)


def printed(report: bytes) -> bytes:
    """Return a report as a PDF.

    Args:
        report: HTML that fetches nothing.

    Raises:
        MissingExtraError: Nothing on this machine sets type.
        EvidenceError: The report would fetch something.
    """
    try:
        from weasyprint import HTML  # noqa: PLC0415 - an extra, and OSError where Pango is missing
        from weasyprint.urls import FatalURLFetchingError, URLFetcher  # noqa: PLC0415 - as above
    except (ImportError, OSError) as error:
        raise MissingExtraError("no PDF: WeasyPrint is not installed, or misses Pango", hint=_HINT) from error
    # What a camera or a custodian wrote must not make this machine fetch anything: pictures are in the page.
    inside_only = URLFetcher(allowed_protocols=("data",), allow_redirects=False, fail_on_errors=True)
    try:
        page = HTML(string=report.decode(), url_fetcher=inside_only)
        pdf: bytes = page.write_pdf(pdf_variant="pdf/ua-1")
    except FatalURLFetchingError as error:
        raise EvidenceError(f"the report asks for what is not in it: {error}") from error
    return pdf
