"""Queries for the paper pages: by period, trending, search and similar papers."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from threading import Lock

import numpy as np

from newsletter.model import Paper
from newsletter.ranking.trending import trending_scores
from newsletter.rendering.template_context import percent
from newsletter.services.context import AppContext
from newsletter.services.index import LiveIndex
from newsletter.services.search import ScoredRow, search_rows, similar_rows
from newsletter.store import paper_lists, reading
from newsletter.store.papers import PaperFilter
from newsletter.web.pages.paper_card import PaperCard, paper_card
from newsletter.web.pages.period import Period

A_PAGE = 50
FOUND_A_PAGE = 20
FOUND_PAGES = 10
ALIKE = 6

_MOST_DISCUSSED = 2_000
_ALIKE_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class PaperPage:
    """A page of papers.

    Attributes:
        number: which page it is, from 1. ``pages``: how many there are.
        count: the number of papers on all pages; None if not counted.
    """

    papers: Sequence[PaperCard]
    number: int
    pages: int
    count: int | None = None


@dataclass(frozen=True, slots=True)
class PeriodPage:
    """A page of a period's papers, with the nearest earlier and later days that have papers."""

    paper_page: PaperPage
    before: date | None
    after: date | None


def period_page(context: AppContext, period: Period, number: int) -> PeriodPage:
    """Load a page of a period's papers, most discussed first."""
    with reading(context.engine) as connection:
        count = paper_lists.count_of_days(connection, period.first, period.last)
        rows = paper_lists.rows_of_days(connection, period.first, period.last, A_PAGE, (number - 1) * A_PAGE)
        found = paper_lists.listed(connection, rows)
        before = paper_lists.last_day(connection, period.first)
        after = paper_lists.first_day(connection, period.last)
    return PeriodPage(_page([paper_card(paper) for paper in found], number, count), before, after)


def latest_day(context: AppContext, today: date) -> date | None:
    """Return the last day up to today that has papers; None without papers."""
    with reading(context.engine) as connection:
        if paper_lists.count_of_days(connection, today, today):
            return today
        return paper_lists.last_day(connection, today)


def trending_page(context: AppContext, today: date, number: int) -> PaperPage:
    """Load a page of trending papers, ranked as in a digest's Trending section."""
    rows = trending_rows(context, today)
    with reading(context.engine) as connection:
        found = paper_lists.listed(connection, rows[(number - 1) * A_PAGE : number * A_PAGE])
    return _page([paper_card(paper) for paper in found], number, len(rows))


def trending_rows(context: AppContext, today: date) -> list[int]:
    """Return the rows of the trending papers, highest score first."""
    return [hit.row for hit in trending_hits(context, today)]


def trending_hits(context: AppContext, today: date) -> list[ScoredRow]:
    """Return the trending papers with their scores."""
    with reading(context.engine) as connection:
        discussed = paper_lists.discussed(connection, today, _MOST_DISCUSSED)
    scores = trending_scores(discussed, today, context.config.digest.trending_half_life_days)
    rows = np.array([paper.row for paper in discussed], dtype=np.int64)
    return [ScoredRow(int(rows[place]), float(scores[place])) for place in np.lexsort((rows, -scores))]


def search_page(context: AppContext, index: LiveIndex, words: str, number: int) -> PaperPage:
    """Load a page of search results, best match first."""
    present = index()
    if present is None:
        return PaperPage([], number, 1)
    hits = search_rows(context, present, words, PaperFilter(), FOUND_A_PAGE * FOUND_PAGES)
    shown = hits[(number - 1) * FOUND_A_PAGE : number * FOUND_A_PAGE]
    with reading(context.engine) as connection:
        papers = paper_lists.listed(connection, [hit.row for hit in shown])
    scores = {hit.row: percent(hit.score) for hit in shown}
    pages = max(1, -(-len(hits) // FOUND_A_PAGE))
    return PaperPage([paper_card(paper, scores[paper.row]) for paper in papers], number, pages)


def _page(shown: Sequence[PaperCard], number: int, count: int) -> PaperPage:
    return PaperPage(shown, number, max(1, -(-count // A_PAGE)), count)


@dataclass(slots=True)
class SimilarPapers:
    """Finds similar papers, with a bounded cache."""

    context: AppContext
    index: LiveIndex
    _kept: OrderedDict[tuple[str, int], tuple[int, ...]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def to(self, paper: Paper) -> list[PaperCard]:
        """Return the papers most similar to one, best first."""
        index = self.index()
        if index is None:
            return []
        key = (f"{index.version} {paper.title}", paper.row)
        with self._lock:
            rows = self._kept.get(key)
        if rows is None:
            rows = tuple(hit.row for hit in similar_rows(self.context, index, paper, PaperFilter(), ALIKE))
            with self._lock:
                self._kept[key] = rows
                if len(self._kept) > _ALIKE_KEPT:
                    self._kept.popitem(last=False)
        with reading(self.context.engine) as connection:
            return [paper_card(one) for one in paper_lists.listed(connection, rows)]
