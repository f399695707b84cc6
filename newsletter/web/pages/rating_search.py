"""Find papers to rate: one by what was typed, or many by a pasted list."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from newsletter.model import Paper
from newsletter.services.search import search_rows
from newsletter.store import papers, reading
from newsletter.store.papers import PaperFilter
from newsletter.support.identifiers import arxiv_id, doi
from newsletter.web.context import WebContext

MOST_LINES = 50
LONGEST_LINE = 500
_FOUND = 10


@dataclass(frozen=True, slots=True)
class FoundPapers:
    """What was found.

    Attributes:
        missing: the lines of a list for which the store has no paper.
        left_out: the number of lines of a list beyond the limit, which were not looked up.
    """

    papers: Sequence[Paper] = ()
    missing: Sequence[str] = field(default=())
    left_out: int = 0


def lines_of(typed: str) -> list[str]:
    """Return the lines that were typed, in one line of words each, without empty ones and repetitions."""
    lines = (" ".join(line.split())[:LONGEST_LINE] for line in typed.splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def find_one(site: WebContext, line: str) -> FoundPapers:
    """Find papers by a DOI, an arXiv id, a URL or words; a paper with exactly this identifier, URL or title first."""
    with reading(site.context.engine) as connection:
        exact = papers.find(connection, line)
    rows = [exact.row] if exact is not None else []
    index = site.index()
    if index is not None and not _is_identifier(line):
        rows += [hit.row for hit in search_rows(site.context, index, line, PaperFilter(), _FOUND)]
    return FoundPapers(_by_rows(site, list(dict.fromkeys(rows))[:_FOUND]))


def _is_identifier(line: str) -> bool:
    return bool(arxiv_id(line) or doi(line)) or line.startswith(("https://", "http://"))


def find_list(site: WebContext, lines: Sequence[str]) -> FoundPapers:
    """Find the papers of a list, each by a DOI, an arXiv id, a URL or its whole title."""
    looked_up = lines[:MOST_LINES]
    with reading(site.context.engine) as connection:
        found = papers.find_all(connection, looked_up)
    rows = dict.fromkeys(found[line].row for line in looked_up if line in found)
    missing = [line for line in looked_up if line not in found]
    return FoundPapers(_by_rows(site, list(rows)), missing, len(lines) - len(looked_up))


def _by_rows(site: WebContext, rows: Sequence[int]) -> list[Paper]:
    with reading(site.context.engine) as connection:
        known = papers.by_rows(connection, rows)
    return [known[row] for row in rows if row in known]
