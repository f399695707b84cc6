"""PubMed, by search: what it added in the last days, or what was published on the days of a window."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from newsletter.config.sources import PubMedSource
from newsletter.model import Notice, SkippedPaper
from newsletter.sources.base import DateRange, Found
from newsletter.sources.entrez import BATCH, MOST_HITS, DateKind, Entrez, SearchHits
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.sources.pubmed_records import records_in

_DAYS = timedelta(days=3)
"""Before the last day, so that a run that was late or failed misses nothing."""

_LONGEST_FOR_NOTICES = timedelta(days=31)
"""PubMed has about 150 notices a day; for a longer window only those that the search finds are asked for."""

_NOTICES = (
    '"Retraction of Publication"[pt] OR "Retraction Notice"[pt] OR "Expression of Concern"[pt] '
    'OR "Published Erratum"[pt]'
)


@dataclass(frozen=True, slots=True)
class PubMed:
    """The articles that match a search, and what became of other articles.

    Without a window, these are the records that PubMed added in the last days; with one, the articles that were
    published on its days. Ids are requested in ascending order, so that batches stay the same when new ones are added,
    and the server can answer that they did not change.

    Attributes:
        contact: a mail address for NCBI. ``key``: of the E-utilities.
    """

    name: str
    settings: PubMedSource
    contact: str
    key: str | None = field(default=None, repr=False)

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Found]:
        settings = self.settings
        api = Entrez(http, settings.api_url.rstrip("/"), self.contact, self.key, settings.pause_seconds)
        by: DateKind = "edat" if window.since is None else "pdat"
        since = window.since or window.until - _DAYS
        found, crowded = _search(api, settings.query, by, since, window.until)
        for text in found.unknown:
            yield SkippedPaper("the query", f"PubMed does not know {text}; check the query of the source")
        yield from _records(api, found.ids)
        if settings.notices and window.until - since <= _LONGEST_FOR_NOTICES:
            others, _ = _search(api, _NOTICES, by, since, window.until)
            more = _records(api, set(others.ids) - set(found.ids))
            yield from (item for item in more if isinstance(item, Notice))
        if crowded:
            raise SourceError(
                f"PubMed has more than {MOST_HITS:,} articles for {crowded[0]}, and returns only the first of them; "
                "narrow the query of the source"
            )


def _search(api: Entrez, term: str, by: DateKind, since: date, until: date) -> tuple[SearchHits, Sequence[date]]:
    """Search some days; where there are more records than PubMed returns, each half of the days alone.

    Returns:
        What was found, and the days with more records than PubMed returns.
    """
    hits = api.search(term, by, since, until)
    if hits.total <= MOST_HITS:
        return hits, ()
    if since == until:
        return hits, (since,)
    middle = since + (until - since) // 2
    first, crowded = _search(api, term, by, since, middle)
    second, more_crowded = _search(api, term, by, middle + timedelta(days=1), until)
    ids = tuple({*first.ids, *second.ids})
    return SearchHits(ids, hits.total, hits.unknown), (*crowded, *more_crowded)


def _records(api: Entrez, ids: Iterable[str]) -> Iterator[Found]:
    """Yield what the records with some ids say; a :class:`SkippedPaper` for each that PubMed does not return."""
    ordered = sorted(ids, key=int)
    for start in range(0, len(ordered), BATCH):
        batch = ordered[start : start + BATCH]
        answer = api.records(batch)
        if answer is None:
            continue
        returned = set()
        for record in records_in(answer.content, answer.asked):
            returned.add(record.pmid)
            yield from record.items
        for pmid in batch:
            if pmid not in returned:
                yield SkippedPaper(f"PMID {pmid}", "PubMed found it, but did not return its record")
