"""Papers as the site shows them: cards in lists, links and authors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from newsletter.model import Paper
from newsletter.rendering.paper_card import display_title, paper_links, paper_path, status_label
from newsletter.rendering.plain_text import latex_to_text, shorten

_ABSTRACT_SHOWN = 320
_NAMED = 40


@dataclass(frozen=True, slots=True)
class PaperCard:
    """The card of a paper in a list.

    Attributes:
        path: its page. ``label``: "Retracted" or "Withdrawn", otherwise empty.
        text: the beginning of its abstract. ``by``: the organisation, or else the number of authors.
        links: name and URL (http or https) of each link.
        match: relevance to the search, in percent; None outside of searches.
    """

    path: str
    title: str
    label: str
    text: str
    by: str
    day: date | None
    upvotes: int
    comments: int
    links: Sequence[tuple[str, str]]
    match: int | None = None


def paper_card(paper: Paper, match: int | None = None) -> PaperCard:
    """Build the card of a paper."""
    # LaTeX that is cut off at the stored beginning of the abstract is beyond the text shown.
    return PaperCard(
        path=paper_path(paper.id),
        title=display_title(paper),
        label=status_label(paper),
        text=_beginning(paper.abstract or paper.summary or ""),
        by=paper.organization or count_authors(paper),
        day=paper.published or paper.listed_on,
        upvotes=paper.upvotes or 0,
        comments=paper.comments or 0,
        links=[(link["name"], link["url"]) for link in paper_links(paper)],
        match=match,
    )


def _beginning(text: str) -> str:
    plain = latex_to_text(text)
    one_line = " ".join(plain[: 2 * _ABSTRACT_SHOWN].split())
    if len(one_line) <= _ABSTRACT_SHOWN:  # So many spaces, or so short a text.
        one_line = " ".join(plain.split())
    beginning = shorten(one_line, _ABSTRACT_SHOWN)
    return beginning.removesuffix("…") if beginning.endswith(".…") else beginning


def count_authors(paper: Paper) -> str:
    """Format the number of authors, like "6 authors"; empty if unknown."""
    number = max(len(paper.authors), paper.author_count or 0)
    return f"{number} author{'' if number == 1 else 's'}" if number else ""


def short_authors(paper: Paper) -> str:
    """List the authors by name, up to a limit."""
    if not paper.authors:
        return count_authors(paper)
    more = max(len(paper.authors), paper.author_count or 0) - len(paper.authors[:_NAMED])
    return ", ".join(map(latex_to_text, paper.authors[:_NAMED])) + (f" and {more} more" if more > 0 else "")
