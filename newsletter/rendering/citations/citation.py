"""What is cited of a paper: its kind, names, date and identifiers, as all formats write them."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from newsletter.model import Paper
from newsletter.rendering.citations.repositories import repository_of
from newsletter.rendering.paper_card import status_label
from newsletter.rendering.plain_text import latex_to_text, readable
from newsletter.support.identifiers import is_preprint_doi
from newsletter.support.person_names import WrittenName, split_name
from newsletter.support.text import to_single_line

_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9._:/+-]")
# The proceedings of some academies are journals.
_CONFERENCE = re.compile(
    r"\b(?:conferences?|congress|meeting|proceedings(?! of the (?:\w+ )?(?:national academy|royal|ieee\b))|symposium"
    r"|workshops?|advances in neural information processing systems)\b",
    re.IGNORECASE,
)
_ARXIV_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.[A-Za-z]+(?:-[a-z]+)*)?")


class CitationKind(StrEnum):
    """The kind of a work: a preprint in a repository, a paper of a conference, another article (what has a venue or
    another DOI), or anything else.
    """

    PREPRINT = "preprint"
    ARTICLE = "article"
    CONFERENCE = "conference"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """What is cited of a paper, in plain text without LaTeX.

    Attributes:
        key: identifies the paper in a bibliography, see :func:`citation_key`.
        authors: as far as sources name them; the organisation if they name none.
        more_authors: whether there are authors without a name here.
        day: of publication, or else the day a Daily Papers page listed it.
        venue: the journal, or the conference or its proceedings; None if unknown.
        repository: the name of the repository of a preprint, None for other works.
        arxiv_id: without its version. ``arxiv_category``: its first category, None if that is not arXiv's.
        doi: of the published version, if there is one, or else of the preprint.
        note: that the paper was retracted or withdrawn; empty for others.
        url, pdf_url: http or https.
    """

    key: str
    kind: CitationKind
    title: str
    authors: tuple[WrittenName, ...]
    more_authors: bool
    day: date | None
    venue: str | None
    repository: str | None
    doi: str | None
    arxiv_id: str | None
    arxiv_category: str | None
    url: str | None
    pdf_url: str | None
    abstract: str
    keywords: tuple[str, ...]
    note: str = ""


def citation_of(paper: Paper) -> Citation:
    """Return what is cited of a stored paper: of its published version, as far as that is known."""
    paper = replace(paper, doi=_published_doi(paper))
    venue = to_single_line(readable(paper.venue or "")) or None
    kind = _kind(paper, venue)
    named = [name for author in paper.authors if (name := to_single_line(latex_to_text(author)))]
    authors = tuple(map(split_name, named))
    organization = to_single_line(paper.organization or "")
    category = paper.categories[0] if paper.categories else ""
    return Citation(
        key=citation_key(paper.id),
        kind=kind,
        title=to_single_line(readable(paper.title)),
        authors=authors or ((WrittenName(organization),) if organization else ()),
        more_authors=0 < len(authors) < (paper.author_count or 0),
        day=paper.published or paper.listed_on,
        venue=venue,
        repository=repository_of(paper) if kind is CitationKind.PREPRINT else None,
        doi=paper.doi,
        arxiv_id=paper.arxiv_id,
        arxiv_category=category if paper.arxiv_id and _ARXIV_CATEGORY.fullmatch(category) else None,
        url=_web(paper.url),
        pdf_url=_web(paper.pdf_url),
        abstract=to_single_line(readable(paper.abstract)),
        keywords=tuple(word for one in paper.keywords if (word := to_single_line(latex_to_text(one)))),
        note=status_label(paper),
    )


def _published_doi(paper: Paper) -> str | None:
    """Return the DOI of the published version, or else the paper's own."""
    dois = [one for one in (paper.doi, *paper.other_ids) if one and one.startswith("10.")]
    return next((one for one in dois if not is_preprint_doi(one)), paper.doi)


def citation_key(paper_id: str) -> str:
    """Return the key of a paper in bibliographies: its id, which never changes.

    Characters that BibTeX does not allow in a key are replaced. Such a key ends in a digest of the id, so that the keys
    of two papers always differ.
    """
    replaced = _NOT_IN_KEYS.sub("-", paper_id)
    if replaced == paper_id:
        return paper_id
    return f"{replaced}-{hashlib.sha256(paper_id.encode(errors='replace')).hexdigest()[:8]}"


def _kind(paper: Paper, venue: str | None) -> CitationKind:
    # The DOI of a repository is that of the preprint; an arXiv id may also be that of a published paper.
    published = venue is not None and (paper.doi is None or repository_of(paper) is None)
    if not published and repository_of(paper) is not None:
        return CitationKind.PREPRINT
    if venue is not None and _CONFERENCE.search(venue):
        return CitationKind.CONFERENCE
    return CitationKind.ARTICLE if venue is not None or paper.doi is not None else CitationKind.OTHER


def _web(url: str | None) -> str | None:
    return url if url is not None and url.lower().startswith(("http://", "https://")) else None
