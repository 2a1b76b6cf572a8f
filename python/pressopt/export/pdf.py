"""HTML pages of ours as PDF, by WeasyPrint (extra ``pdf``): the same bytes for the same page."""

from __future__ import annotations

from pressopt.errors import PressoptError


class PdfUnavailable(PressoptError):  # noqa: N818 - says what is missing, as JournalMissing does
    """WeasyPrint, or the Pango libraries that it needs, are not installed."""


def pdf_bytes(html: str) -> bytes:
    """Return a self-contained page as PDF.

    Raises:
        PdfUnavailable: The extra is not installed; says how to install it.
    """
    try:
        import weasyprint
    except (ImportError, OSError) as error:  # OSError: Pango's shared libraries are missing
        raise PdfUnavailable(
            f"PDF needs WeasyPrint and Pango ({error}): pip install 'pressopt[pdf]' and, on Debian, "
            "apt-get install libpango-1.0-0 libpangoft2-1.0-0; or print the HTML page from a browser"
        ) from error
    data: bytes = weasyprint.HTML(string=html).write_pdf(pdf_identifier=b"pressopt", presentational_hints=True)
    return data
