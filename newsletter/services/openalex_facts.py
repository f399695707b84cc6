"""What OpenAlex knows about papers, for the alerts that need it: ORCID iDs, institutions, and who cites whom.

Runs after the sources were fetched. It asks only for what the alerts of active subscribers need, within a number of
requests a day; what is left goes on in the next run. A failure is recorded like that of a source and stops nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection

from newsletter.config.libraries import openalex_key
from newsletter.errors import NewsletterError, Stopped, describe
from newsletter.model import Alert, AlertKind, EventKind, Notice, Paper
from newsletter.ranking.publication_age import is_news
from newsletter.services.context import AppContext
from newsletter.services.library_reading import http_client
from newsletter.services.openalex_budget import BudgetSpentError, spend
from newsletter.sources.bounds import brief, within_bounds
from newsletter.sources.errors import SourceError
from newsletter.sources.openalex import ALL_FIELDS, OpenAlex, OpenAlexWork, WorksPage, to_paper, to_work
from newsletter.store import openalex, paper_upsert, papers, reading, source_status, subscribers, writing
from newsletter.store.openalex import CitedWork, PaperToLookUp, Work
from newsletter.support.threads import run_in_thread

Item = TypeVar("Item")

_BATCH = 50
"""DOIs or ids in one request; OpenAlex allows 100, but their URL should stay short."""

_PAGES_TOGETHER = 3
"""Pages of papers that cite one of a batch; with more, each of the batch is asked for alone."""

_MOST_PAGES = 20
"""Pages of papers that cite one paper; with more, the newest count."""

_NEWEST_FIRST = "publication_date:desc"

_MOST_REFUSED = 3
_RECHECK = timedelta(days=3)
_LONGEST = timedelta(days=30)
_CITING_AGAIN = timedelta(hours=20)
"""A little less than a day, so that a daily fetch always finds it due."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_POLL_SECONDS = 0.1
_IN_FILTER = frozenset(",|")
"""Characters that separate values in a filter, so that no value can contain them."""


@dataclass
class FactsResult:
    """What a run found.

    Attributes:
        requests: how many were made.
        looked_up: the papers looked up. ``known``: how many of them OpenAlex has.
        citing: the citations found, of papers that alerts name.
        new: the papers that were not in the store, found by whom they cite.
        left: whether something is left, since the requests of the day are used up.
        error: why OpenAlex did not answer, in one line; None if it did.
    """

    requests: int = 0
    looked_up: int = 0
    known: int = 0
    citing: int = 0
    new: int = 0
    left: bool = False
    error: str | None = None


def update_facts(context: AppContext, should_stop: Callable[[], bool] = lambda: False) -> FactsResult | None:
    """Ask OpenAlex for what alerts need; None if they need nothing.

    Raises:
        Stopped: the newsletter is stopping; what was found is stored.
    """
    with reading(context.engine) as connection:
        alerts = subscribers.watched_alerts(connection)
    cited = {alert.value for alert in alerts if alert.kind is AlertKind.CITES}
    with writing(context.engine) as connection:
        openalex.forget_cited(connection, cited)
    if not any(map(_needs_facts, alerts)):
        return None
    settings = context.config.libraries
    with http_client(context, settings.openalex_url) as http:
        api = OpenAlex(http, settings.openalex_url.rstrip("/"), context.config.contact, openalex_key())
        run = _Run(context, api, should_stop)
        try:
            run.resolve_cited(cited)
            run.find_citing()
            run.look_up_papers()
        except BudgetSpentError:
            run.result.left = True
        except SourceError as error:
            run.result.error = brief(error.explained)
        except NewsletterError:
            raise  # The store is at fault, or the newsletter stops.
        except Exception as error:  # What OpenAlex sent must not keep the papers of the sources from their readers.
            run.result.error = brief(describe(error))
    _record(context, run.result)
    return run.result


def _needs_facts(alert: Alert) -> bool:
    """Whether an alert needs more than what sources say; an author without an ORCID iD is found by name."""
    return alert.kind in (AlertKind.CITES, AlertKind.INSTITUTION) or alert.identifier is not None


def _record(context: AppContext, result: FactsResult) -> None:
    counts = {"papers": result.looked_up, "new_papers": result.new, "bad_papers": 0}
    with writing(context.engine) as connection:
        if result.error is not None:
            source_status.record_failure(connection, openalex.SOURCE, context.clock(), result.error)
        elif result.requests:
            source_status.record_success(connection, openalex.SOURCE, context.clock(), counts)


class _Run:
    """One run: its requests and what they found."""

    def __init__(self, context: AppContext, api: OpenAlex, should_stop: Callable[[], bool]) -> None:
        self.result = FactsResult()
        self._context, self._api, self._should_stop = context, api, should_stop
        self._now = context.clock()
        self._end = time.monotonic() + context.config.network.source_seconds
        self._refused = 0

    def resolve_cited(self, identifiers: Iterable[str]) -> None:
        """Find the works that alerts name, by their identifiers."""
        with reading(self._context.engine) as connection:
            known = openalex.cited(connection, identifiers)
            missing = [
                one
                for one in sorted(set(identifiers))
                if one not in known or (known[one].openalex_id is None and known[one].checked_at < self._now - _RECHECK)
            ]
            stored = {one: papers.find(connection, one) for one in missing}
        wanted = {one: _dois_of(one, stored[one]) for one in missing}
        for batch in _batches(wanted, lambda one: len(wanted[one])):
            found = self._by_doi([doi for one in batch for doi in wanted[one]])
            with writing(self._context.engine) as connection:
                for one in batch:
                    work = next((found[doi] for doi in wanted[one] if doi in found), None)
                    openalex.save_cited(connection, self._cited(one, work, stored[one]))

    def _cited(self, identifier: str, work: OpenAlexWork | None, stored: Paper | None) -> CitedWork:
        title = (work.title if work else None) or (stored.title if stored else None)
        return CitedWork(
            identifier=identifier,
            openalex_id=work.id if work else None,
            title=title,
            # Once it is known, its citations are due at once.
            checked_at=_NEVER if work else self._now,
        )

    def find_citing(self) -> None:
        """Find the papers that cite the works that alerts name, once a day."""
        with reading(self._context.engine) as connection:
            known = openalex.cited(connection).values()
        due = [one for one in known if one.openalex_id and one.checked_at <= self._now - _CITING_AGAIN]
        due.sort(key=lambda one: (one.checked_at, one.identifier))
        for batch in _batches(due, lambda one: 1):
            # One that is cited very often must not hide what cites the others.
            if len(batch) == 1 or not self._find_citing(batch, _PAGES_TOGETHER):
                for one in batch:
                    self._find_citing([one], _MOST_PAGES)

    def _find_citing(self, batch: Sequence[CitedWork], most_pages: int) -> bool:
        """Find the papers that cite some works, newest first, and mark these as checked.

        Returns:
            False if there are more pages. The works of a batch are then not marked.
        """
        oldest = self._now.date() - timedelta(days=self._context.config.ranking.max_publication_age_days)
        ids = "|".join(sorted({str(one.openalex_id) for one in batch}))
        seen, named = 0, _by_id(batch)
        wanted, fields = f"cites:{ids},from_publication_date:{oldest}", f"{ALL_FIELDS},referenced_works"
        for number in range(1, most_pages + 1):
            page = self._ask(wanted, fields, number, _NEWEST_FIRST)
            self._store_citing(page.works, named)
            seen += len(page.works)
            is_last = not page.has_more(seen)
            # One alone after its first page: if the requests of the day end here, the others come first the next day.
            if is_last or len(batch) == 1:
                self._mark_checked(batch)
            if is_last:
                return True
        return False

    def _mark_checked(self, batch: Iterable[CitedWork]) -> None:
        with writing(self._context.engine) as connection:
            for one in batch:
                openalex.save_cited(connection, replace(one, checked_at=self._now))

    def _store_citing(self, found: Iterable[Any], named: Mapping[str, Sequence[str]]) -> None:
        with writing(self._context.engine) as connection:
            for one in found:
                work, paper = to_work(one), to_paper(one)
                item = within_bounds(paper).item if paper is not None else None
                if work is None or not isinstance(item, Paper):
                    continue
                stored = paper_upsert.find_same(connection, item)
                if stored is None:
                    if not is_news(replace(item, first_seen=self._now), self._most_days):
                        continue
                    paper_upsert.upsert(connection, [item], openalex.SOURCE, self._now)
                    stored = paper_upsert.find_same(connection, item)
                    self.result.new += 1
                assert stored is not None  # noqa: S101 - it was stored a line above
                self._save_citations(connection, stored.row, work, named)
                present = openalex.works(connection, [stored.row]).get(stored.row)
                if present is None or present.openalex_id is None:
                    openalex.save_work(connection, stored.row, _facts(work), self._now)

    @property
    def _most_days(self) -> int:
        return self._context.config.ranking.max_publication_age_days

    def _save_citations(
        self, connection: Connection, row: int, work: OpenAlexWork, named: Mapping[str, Sequence[str]]
    ) -> None:
        pairs = [(identifier, row) for cited in dict.fromkeys(work.cited) for identifier in named.get(cited, ())]
        self.result.citing += openalex.save_citations(connection, pairs, self._now)

    def look_up_papers(self) -> None:
        """Look up the papers of the last days that OpenAlex was not asked for, or did not have yet."""
        with reading(self._context.engine) as connection:
            named = _by_id(openalex.cited(connection).values())
        while True:
            with reading(self._context.engine) as connection:
                found = openalex.papers_to_look_up(connection, self._now - _LONGEST, self._now - _RECHECK, _BATCH)
            if not found:
                return
            batch = next(_batches(found, lambda one: len(_dois_of_paper(one))))
            works = self._by_doi([doi for one in batch for doi in _dois_of_paper(one)])
            with writing(self._context.engine) as connection:
                for one in batch:
                    work = next((works[doi] for doi in _dois_of_paper(one) if doi in works), None)
                    openalex.save_work(connection, one.row, _facts(work), self._now)
                    if work is not None:
                        self._save_citations(connection, one.row, work, named)
                        self.result.known += 1
                    if work is not None and work.retracted:
                        retraction = Notice(kind=EventKind.RETRACTED, of=tuple(_ids_of_paper(one)))
                        paper_upsert.upsert(connection, [retraction], openalex.SOURCE, self._now)
            self.result.looked_up += len(batch)

    def _by_doi(self, dois: Sequence[str]) -> dict[str, OpenAlexWork]:
        """Return the works with some DOIs, by DOI. One that OpenAlex refuses does not keep the others from it."""
        wanted = [doi for doi in dois if not _IN_FILTER & set(doi)]
        if not wanted:
            return {}
        try:
            page = self._ask(f"doi:{'|'.join(wanted)}", "id,doi,display_name,is_retracted,authorships,referenced_works")
        except SourceError as error:
            if error.status not in (400, 404, 414, 422):
                raise
            if len(wanted) == 1:
                self._refused += 1
                if self._refused > _MOST_REFUSED:
                    raise
                return {}
            half = len(wanted) // 2
            return self._by_doi(wanted[:half]) | self._by_doi(wanted[half:])
        found: dict[str, OpenAlexWork] = {}
        for work in filter(None, map(to_work, page.works)):
            if work.doi is not None:
                found.setdefault(work.doi, work)
        return found

    def _ask(self, wanted: str, fields: str, number: int = 1, sort: str | None = None) -> WorksPage:
        """Make a request, if the day still has one."""
        if self._should_stop():
            raise Stopped
        if time.monotonic() > self._end:
            raise SourceError("OpenAlex: not finished within network.source_seconds; the next run goes on")
        spend(self._context, self._now)
        self.result.requests += 1
        # The thread only reads, so that it can be left alone: a look-up of a name may hang for minutes.
        asked = run_in_thread(lambda: self._api.page(wanted, fields, number, sort))
        while not wait([asked], _POLL_SECONDS).done:
            if self._should_stop():
                raise Stopped
        return asked.result()


def _facts(work: OpenAlexWork | None) -> Work:
    if work is None:
        return Work(openalex_id=None)
    return Work(openalex_id=work.id, authors=work.authors, institutions=work.institutions)


def _by_id(known: Iterable[CitedWork]) -> dict[str, list[str]]:
    """Return the identifiers of cited works by OpenAlex id: a preprint and its article may be the same work."""
    named: dict[str, list[str]] = {}
    for one in known:
        if one.openalex_id is not None:
            named.setdefault(one.openalex_id, []).append(one.identifier)
    return named


def _dois_of(identifier: str, stored: Paper | None) -> list[str]:
    """Return the DOIs that a paper may have in OpenAlex, by its identifier and what the store knows about it."""
    doi, arxiv_id = (identifier, None) if identifier.startswith("10.") else (None, identifier)
    if stored is not None:
        doi, arxiv_id = doi or stored.doi, arxiv_id or stored.arxiv_id
    return _dois(doi, arxiv_id)


def _ids_of_paper(paper: PaperToLookUp) -> list[str]:
    return [one for one in (paper.arxiv_id, paper.doi) if one]


def _dois_of_paper(paper: PaperToLookUp) -> list[str]:
    return _dois(paper.doi, paper.arxiv_id)


def _dois(doi: str | None, arxiv_id: str | None) -> list[str]:
    # arXiv registers a DOI for each paper: https://info.arxiv.org/help/doi.html.
    registered = f"10.48550/arxiv.{arxiv_id}" if arxiv_id else None
    return [one.lower() for one in (doi, registered) if one]


def _batches(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield items in batches of up to ``_BATCH`` together."""
    batch: list[Item] = []
    total = 0
    for item in items:
        if batch and total + size(item) > _BATCH:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch
