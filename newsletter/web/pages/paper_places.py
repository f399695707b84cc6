"""Where else a paper is, by its identifiers and its links: arXiv, the DOIs of preprint and article, and other pages."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.model import Paper
from newsletter.rendering.citations.repositories import repository_of
from newsletter.rendering.event_words import doi_url
from newsletter.support.identifiers import arxiv_id, doi, is_preprint_doi, pmid

_ARXIV = "https://arxiv.org/abs/"
_PUBMED = "https://pubmed.ncbi.nlm.nih.gov/"


def other_places(paper: Paper) -> list[tuple[str, str, str]]:
    """Return the places of a paper: what each has, the text of its link, and its address (http or https)."""
    found = [*_identified(paper)]
    named = {url for _, _, url in found}
    for link in (paper.url, *paper.links):
        if link and link.startswith(("https://", "http://")) and link not in named and not _is_identified(paper, link):
            named.add(link)
            found.append(("Page", urlsplit(link).hostname or link, link))
    return found


def _identified(paper: Paper) -> Iterator[tuple[str, str, str]]:
    if paper.arxiv_id is not None:
        yield "Preprint", f"arXiv:{paper.arxiv_id}", f"{_ARXIV}{paper.arxiv_id}"
    for one in dict.fromkeys(filter(None, (paper.doi, *paper.other_ids))):
        if (number := pmid(one)) is not None:
            yield "PubMed", one.upper().replace("PMID:", "PMID "), f"{_PUBMED}{number}/"
        elif (found := arxiv_id(one)) is not None:
            yield "Preprint", f"arXiv:{found[0]}", f"{_ARXIV}{found[0]}"
        elif is_preprint_doi(one):
            server = repository_of(Paper(title="", doi=one))
            yield f"Preprint{f' ({server})' if server else ''}", f"doi.org/{one}", doi_url(one)
        elif one.startswith("10."):
            yield f"Article{f' ({paper.venue})' if paper.venue else ''}", f"doi.org/{one}", doi_url(one)


def _is_identified(paper: Paper, link: str) -> bool:
    """Return whether a link only leads to what an identifier of the paper names."""
    found = arxiv_id(link)
    name = found[0] if found is not None else doi(link)
    return name is not None and name in (paper.arxiv_id, paper.doi, *paper.other_ids)
