"""Citations in RIS, the tagged format that reference managers read
(https://en.wikipedia.org/wiki/RIS_(file_format)).
"""

import rispy  # type: ignore[import-untyped]

from newsletter.rendering.citations.citation import Citation, CitationKind

_TYPES = {
    CitationKind.ARTICLE: "JOUR",
    CitationKind.CONFERENCE: "CONF",
    CitationKind.PREPRINT: "UNPB",
    CitationKind.OTHER: "GEN",
}


class _Writer(rispy.RisWriter):  # type: ignore[misc]
    """Writes references without a number before each, which the format does not have."""

    NEWLINE = "\r\n"

    def set_header(self, count: int) -> str:
        """Return no header."""
        return ""


def to_ris(citation: Citation) -> str:
    """Return the reference of a citation, with line ends as the format has them (CR LF)."""
    day = citation.day
    values: dict[str, object] = {
        "type_of_reference": _TYPES[citation.kind],
        "id": citation.key,
        "title": citation.title,
        "authors": [name.family_first for name in citation.authors],
        "year": f"{day.year:04}" if day else "",
        "date": f"{day.year:04}/{day.month:02}/{day.day:02}" if day else "",
        # Reference managers read the name of a journal from either of the two.
        "secondary_title": citation.venue,
        "journal_name": citation.venue if citation.kind is CitationKind.ARTICLE else None,
        "publisher": citation.repository,
        "accession_number": f"arXiv:{citation.arxiv_id}" if citation.arxiv_id else "",
        "doi": citation.doi,
        "urls": [citation.url] if citation.url else [],
        "file_attachments1": citation.pdf_url,
        "notes": [citation.note] if citation.note else [],
        "abstract": citation.abstract,
        "keywords": list(citation.keywords),
    }
    reference = {name: value for name, value in values.items() if value}
    written: str = rispy.dumps([reference], implementation=_Writer)
    return written
