"""The papers that a page of the site has: by day, trending, found by words, and like one another."""

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

_TALKED_ABOUT = 2_000
_ALIKE_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class PaperPage:
    """A page of papers.

    Attributes:
        number: which page it is, from 1. ``pages``: how many there are.
        count: how many papers there are on all pages; None where nobody counts.
    """

    papers: Sequence[PaperCard]
    number: int
    pages: int
    count: int | None = None


@dataclass(frozen=True, slots=True)
class PeriodPage:
    """What a page of some days needs beside its papers: the nearest days before and after that have some."""

    paper_page: PaperPage
    before: date | None
    after: date | None


def period_page(context: AppContext, period: Period, number: int) -> PeriodPage:
    """A page of the papers of some days, most talked about first."""
    with reading(context.engine) as connection:
        count = paper_lists.count_of_days(connection, period.first, period.last)
        rows = paper_lists.rows_of_days(connection, period.first, period.last, A_PAGE, (number - 1) * A_PAGE)
        found = paper_lists.listed(connection, rows)
        before = paper_lists.last_day(connection, period.first)
        after = paper_lists.first_day(connection, period.last)
    return PeriodPage(_page([paper_card(paper) for paper in found], number, count), before, after)


def latest_day(context: AppContext, today: date) -> date | None:
    """The last day up to today that has papers; None when there is none."""
    with reading(context.engine) as connection:
        if paper_lists.count_of_days(connection, today, today):
            return today
        return paper_lists.last_day(connection, today)


def trending_page(context: AppContext, today: date, number: int) -> PaperPage:
    """A page of what the community talks about, faded by age as in a digest's Trending."""
    rows = trending_rows(context, today)
    with reading(context.engine) as connection:
        found = paper_lists.listed(connection, rows[(number - 1) * A_PAGE : number * A_PAGE])
    return _page([paper_card(paper) for paper in found], number, len(rows))


def trending_rows(context: AppContext, today: date) -> list[int]:
    """The rows of the papers that are talked about, most first."""
    return [hit.row for hit in trending_hits(context, today)]


def trending_hits(context: AppContext, today: date) -> list[ScoredRow]:
    """The same, each with its score."""
    with reading(context.engine) as connection:
        talked = paper_lists.talked_about(connection, today, _TALKED_ABOUT)
    scores = trending_scores(talked, today, context.config.digest.trending_half_life_days)
    rows = np.array([paper.row for paper in talked], dtype=np.int64)
    return [ScoredRow(int(rows[place]), float(scores[place])) for place in np.lexsort((rows, -scores))]


def search_page(context: AppContext, index: LiveIndex, words: str, number: int) -> PaperPage:
    """A page of the papers that a line of words describes, best first."""
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
    """The papers most like each, found once a paper and then kept, as far as there is room."""

    context: AppContext
    index: LiveIndex
    _kept: OrderedDict[tuple[str, int], tuple[int, ...]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def to(self, paper: Paper) -> list[PaperCard]:
        """The papers most like one, best first, without itself."""
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
