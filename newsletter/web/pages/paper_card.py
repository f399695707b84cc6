"""What the site shows of papers: on a card of a list, and on a page of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from newsletter.model import Paper
from newsletter.rendering.paper_card import display_title, paper_links
from newsletter.rendering.plain_text import latex_to_text, shorten

_ABSTRACT_SHOWN = 320
_NAMED = 40


@dataclass(frozen=True, slots=True)
class PaperCard:
    """A paper as a card has it.

    Attributes:
        path: its page. ``text``: the beginning of its abstract. ``by``: the organisation, else how many authors.
        links: what it leads to, each with a name; http and https alone.
        match: how well it fits what was asked for, in percent; None where nothing was.
    """

    path: str
    title: str
    text: str
    by: str
    day: date | None
    upvotes: int
    comments: int
    links: Sequence[tuple[str, str]]
    match: int | None = None


def paper_card(paper: Paper, match: int | None = None) -> PaperCard:
    """The card of a paper."""
    # LaTeX that its abstract's beginning cuts in two stands behind what is shown.
    return PaperCard(
        path=paper_path(paper.id),
        title=display_title(paper),
        text=_beginning(paper.abstract or paper.summary or ""),
        by=paper.organization or count_authors(paper),
        day=paper.published or paper.listed_on,
        upvotes=paper.upvotes or 0,
        comments=paper.comments or 0,
        links=[(link["name"], link["url"]) for link in paper_links(paper)],
        match=match,
    )


def _beginning(text: str) -> str:
    beginning = shorten(" ".join(latex_to_text(text).split()), _ABSTRACT_SHOWN)
    return beginning.removesuffix("…") if beginning.endswith(".…") else beginning


def paper_path(paper_id: str) -> str:
    """The page of a paper by its id, which may hold anything: a DOI has slashes, and browsers resolve dots."""
    awkward = {"", ".", ".."} & {*paper_id.split("/")}
    return f"/papers/{quote(paper_id, safe='' if awkward else '/')}"


def count_authors(paper: Paper) -> str:
    """How many wrote it: "6 authors"; empty when nobody has told."""
    number = max(len(paper.authors), paper.author_count or 0)
    return f"{number} author{'' if number == 1 else 's'}" if number else ""


def short_authors(paper: Paper) -> str:
    """Who wrote it, by name as far as there is room."""
    if not paper.authors:
        return count_authors(paper)
    more = max(len(paper.authors), paper.author_count or 0) - len(paper.authors[:_NAMED])
    return ", ".join(map(latex_to_text, paper.authors[:_NAMED])) + (f" and {more} more" if more > 0 else "")
