"""Files of citations, in each of the formats."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from newsletter.model import Paper
from newsletter.rendering.citations.bibtex import to_bibtex
from newsletter.rendering.citations.citation import citation_of
from newsletter.rendering.citations.csl import to_csl
from newsletter.rendering.citations.ris import to_ris


class CitationFormat(StrEnum):
    """A format of citations."""

    BIBTEX = "bibtex"
    RIS = "ris"
    CSLJSON = "csljson"


@dataclass(frozen=True, slots=True)
class FileType:
    """How a format is called among files: its name for people, the extension with its dot, and the media type."""

    label: str
    extension: str
    media_type: str


FILE_TYPES = {
    CitationFormat.BIBTEX: FileType("BibTeX", ".bib", "application/x-bibtex"),
    CitationFormat.RIS: FileType("RIS", ".ris", "application/x-research-info-systems"),
    CitationFormat.CSLJSON: FileType("CSL-JSON", ".json", "application/vnd.citationstyles.csl+json"),
}


def write_citations(format: CitationFormat, papers: Iterable[Paper]) -> Iterator[str]:
    """Yield the parts of a file that cites papers, in their order."""
    citations = map(citation_of, papers)
    if format is CitationFormat.BIBTEX:
        yield from map(to_bibtex, citations)
    elif format is CitationFormat.RIS:
        yield from map(to_ris, citations)
    else:
        before = "[\n"
        for citation in citations:
            yield before + json.dumps(to_csl(citation), ensure_ascii=False)
            before = ",\n"
        yield "\n]\n" if before.startswith(",") else "[]\n"
