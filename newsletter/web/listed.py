"""What the site shows of papers: on a card of a list, and on a page of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from newsletter.model import Paper
from newsletter.rendering.card import paper_links, shown_title
from newsletter.rendering.mathtext import plain, shortened

_ABSTRACT_SHOWN = 320
_NAMED = 40


@dataclass(frozen=True, slots=True)
class Listed:
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


def listed(paper: Paper, match: int | None = None) -> Listed:
    """The card of a paper."""
    # LaTeX that its abstract's beginning cuts in two stands behind what is shown.
    return Listed(
        path=path_of(paper.id),
        title=shown_title(paper),
        text=_beginning(paper.abstract or paper.summary or ""),
        by=paper.organization or how_many(paper),
        day=paper.published or paper.listed_on,
        upvotes=paper.upvotes or 0,
        comments=paper.comments or 0,
        links=[(link["name"], link["url"]) for link in paper_links(paper)],
        match=match,
    )


def _beginning(text: str) -> str:
    beginning = shortened(" ".join(plain(text).split()), _ABSTRACT_SHOWN)
    return beginning.removesuffix("…") if beginning.endswith(".…") else beginning


def path_of(paper_id: str) -> str:
    """The page of a paper by its id, which may hold anything: a DOI has slashes, and browsers resolve dots."""
    awkward = {"", ".", ".."} & {*paper_id.split("/")}
    return f"/papers/{quote(paper_id, safe='' if awkward else '/')}"


def how_many(paper: Paper) -> str:
    """How many wrote it: "6 authors"; empty when nobody has told."""
    number = max(len(paper.authors), paper.author_count or 0)
    return f"{number} author{'' if number == 1 else 's'}" if number else ""


def authors_of(paper: Paper) -> str:
    """Who wrote it, by name as far as there is room."""
    if not paper.authors:
        return how_many(paper)
    more = max(len(paper.authors), paper.author_count or 0) - len(paper.authors[:_NAMED])
    return ", ".join(map(plain, paper.authors[:_NAMED])) + (f" and {more} more" if more > 0 else "")
