"""The ``citation_*`` tags of a paper's page, by which browser connectors of reference managers recognise it.

They follow Google Scholar's inclusion guidelines (https://scholar.google.com/intl/en/scholar/inclusion.html#indexing).
"""

from collections.abc import Iterator

from newsletter.model import Paper
from newsletter.rendering.citations.citation import CitationKind, citation_of
from newsletter.rendering.paper_card import paper_path

_AUTHORS = 1_000
"""Maximum authors named, so that a page stays small; a collaboration may have thousands."""


def citation_tags(paper: Paper, site_url: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each tag of a paper, without tags for what is unknown.

    Args:
        site_url: the site's, without a slash at the end.
    """
    cited = citation_of(paper)
    yield "citation_title", cited.title
    for author in cited.authors[:_AUTHORS]:
        yield "citation_author", author.family_first
    if cited.day is not None:
        yield "citation_publication_date", f"{cited.day.year:04}/{cited.day.month:02}/{cited.day.day:02}"
    if cited.venue is not None:
        kind = "conference" if cited.kind is CitationKind.CONFERENCE else "journal"
        yield f"citation_{kind}_title", cited.venue
    named = (("citation_doi", cited.doi), ("citation_arxiv_id", cited.arxiv_id), ("citation_pdf_url", cited.pdf_url))
    for name, value in named:
        if value is not None:
            yield name, value
    yield "citation_abstract_html_url", f"{site_url}{paper_path(paper.id)}"
