"""Citations as CSL-JSON, the input of citation processors, by version 1.0.2 of its schema
(https://docs.citationstyles.org/en/stable/specification.html, https://resource.citationstyles.org/schema).
"""

from typing import Any

from newsletter.rendering.citations.citation import Citation, CitationKind
from newsletter.support.person_names import WrittenName

# A preprint is an "article", a "self-contained work made widely available", unlike an "article-journal".
_TYPES = {
    CitationKind.ARTICLE: "article-journal",
    CitationKind.CONFERENCE: "paper-conference",
    CitationKind.PREPRINT: "article",
    CitationKind.OTHER: "document",
}


def to_csl(citation: Citation) -> dict[str, Any]:
    """Return the item of a citation."""
    day = citation.day
    values = {
        "id": citation.key,
        "type": _TYPES[citation.kind],
        "title": citation.title,
        "author": list(map(_name, citation.authors)),
        "issued": {"date-parts": [[day.year, day.month, day.day]]} if day else None,
        "container-title": citation.venue,
        "publisher": citation.repository,
        "genre": "preprint" if citation.kind is CitationKind.PREPRINT else None,
        "number": f"arXiv:{citation.arxiv_id}" if citation.arxiv_id else None,
        "DOI": citation.doi,
        "URL": citation.url,
        "note": citation.note,
        "abstract": citation.abstract,
        "keyword": ", ".join(citation.keywords),
    }
    return {name: value for name, value in values.items() if value}


def _name(name: WrittenName) -> dict[str, str]:
    if not name.given:
        return {"literal": name.family}
    parts = {"family": name.family, "given": name.given, "suffix": name.suffix}
    return {key: part for key, part in parts.items() if part}
