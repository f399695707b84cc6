"""The E-utilities of NCBI: searches of PubMed, and its records as XML (https://www.ncbi.nlm.nih.gov/books/NBK25499/).

Biopython's Entrez has requests of its own, without our limits, and its parser downloads the DTD that a record names
and keeps it in the home folder. The records that are needed here can be read without it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, HttpResponse, Params
from newsletter.sources.http_attempts import FailedAttempt
from newsletter.sources.quota import TOO_MANY_REQUESTS, quota_hint
from newsletter.sources.text import excerpt
from newsletter.support.text import to_single_line

KEY_VARIABLE = "NEWSLETTER_NCBI_KEY"
"""The environment variable of the key of the E-utilities."""

MOST_HITS = 9_999
"""The records of one search that PubMed returns, from the first on."""

BATCH = 200
"""Records in a request, so that its URL stays shorter than 2,000 characters."""

_TOOL = "newsletter"
_PAUSE_SECONDS, _PAUSE_SECONDS_WITH_KEY = 0.34, 0.11
"""3 requests a second are allowed, and 10 with a key (https://www.ncbi.nlm.nih.gov/books/NBK25497/)."""

_PMID = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_HINT = (
    f"NCBI allows 3 requests a second from one address, and 10 with a key: set {KEY_VARIABLE}, or raise pause_seconds "
    "of the source if other programs at this address use PubMed too"
)

DateKind = Literal["edat", "pdat"]
"""The day on which PubMed added a record, or the day of publication."""


@dataclass(frozen=True, slots=True)
class SearchHits:
    """What a search found.

    Attributes:
        ids: PubMed numbers, up to :data:`MOST_HITS`. ``total``: how many there are.
        unknown: the fields and phrases of the search that PubMed does not know.
    """

    ids: tuple[str, ...]
    total: int
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entrez:
    """The E-utilities.

    Attributes:
        url: of the E-utilities. ``contact``: a mail address, as NCBI asks for. ``key``: of the API.
        pause_seconds: between two requests; None for what NCBI asks for.
    """

    http: HttpClient
    url: str
    contact: str
    key: str | None = field(default=None, repr=False)
    pause_seconds: float | None = None

    def search(self, term: str, by: DateKind, since: date, until: date) -> SearchHits:
        """Search PubMed for the records of some days.

        Raises:
            SourceError: PubMed did not answer as expected, or does not understand the search.
        """
        ids: list[str] = []
        while True:
            page = self._page(term, by, since, until, len(ids))
            ids += page.ids
            if len(ids) >= min(page.total, MOST_HITS):
                return SearchHits(tuple(ids[:MOST_HITS]), page.total, page.unknown)
            if not page.ids:
                raise SourceError(f"PubMed: got {len(ids)} of {page.total} ids for {since} to {until}, then none")

    def records(self, ids: Sequence[str]) -> HttpResponse | None:
        """Request records as XML; None if they did not change since an earlier run.

        Args:
            ids: up to :data:`BATCH` PubMed numbers.
        """
        params = {"db": "pubmed", "id": ",".join(ids), "retmode": "xml", **self._identity}
        with quota_hint(_HINT):
            return self.http.get_if_changed(
                f"{self.url}/efetch.fcgi", params, secrets=self._secrets, check=_check, pause_seconds=self._pause
            )

    def _page(self, term: str, by: DateKind, since: date, until: date, start: int) -> SearchHits:
        params: dict[str, str | int] = {
            "db": "pubmed",
            "term": term,
            "datetype": by,
            "mindate": f"{since:%Y/%m/%d}",
            "maxdate": f"{until:%Y/%m/%d}",
            "retstart": start,
            "retmax": MOST_HITS - start,
            "retmode": "json",
            **self._identity,
        }
        with quota_hint(_HINT):
            answer = self.http.get(
                f"{self.url}/esearch.fcgi",
                {**params, **self._secrets},
                accepted=(400,),
                check=_check,
                pause_seconds=self._pause,
            )
        return _hits(answer)

    @property
    def _identity(self) -> Params:
        return {"tool": _TOOL, "email": self.contact}

    @property
    def _secrets(self) -> Params:
        return {"api_key": self.key} if self.key else {}

    @property
    def _pause(self) -> float:
        if self.pause_seconds is not None:
            return self.pause_seconds
        return _PAUSE_SECONDS_WITH_KEY if self.key else _PAUSE_SECONDS


def _check(content: bytes) -> FailedAttempt | None:
    """Recognise failures that pass: they have the status 200 and a body of JSON, whatever was requested."""
    if not content[:1_000].lstrip().startswith(b"{"):
        return None
    try:
        answer = json.loads(content, strict=False)
    except (ValueError, RecursionError):
        return None
    first = answer.get("error") if isinstance(answer, Mapping) else None
    if isinstance(first, str) and "rate limit" in first.lower():
        return FailedAttempt(f"PubMed says: {excerpt(first)}", passing=True, status=TOO_MANY_REQUESTS)
    result = answer.get("esearchresult") if isinstance(answer, Mapping) else None
    second = result.get("ERROR") if isinstance(result, Mapping) else None
    if isinstance(second, str) and "backend" in second.lower():
        return FailedAttempt(f"PubMed says: {excerpt(second)}", passing=True)
    return None


def _hits(answer: HttpResponse) -> SearchHits:
    data = answer.json()
    result = data.get("esearchresult") if isinstance(data, Mapping) else None
    errors = [one.get(name) for one, name in ((data, "error"), (result, "ERROR")) if isinstance(one, Mapping)]
    if error := next(filter(None, errors), None):
        text = to_single_line(str(error))
        fix = f"check {KEY_VARIABLE}" if "api key" in text.lower() else "check the query of the source"
        raise SourceError(f"{answer.asked}: PubMed says: {text}; {fix}")
    if not isinstance(result, Mapping):
        raise SourceError(f"{answer.asked}: esearchresult: missing, or not an object")
    ids, count = result.get("idlist"), str(result.get("count"))
    if not isinstance(ids, list) or not all(isinstance(one, str) and _PMID.fullmatch(one) for one in ids):
        raise SourceError(f"{answer.asked}: esearchresult.idlist: not a list of PubMed numbers, got {excerpt(ids)}")
    if not (count.isascii() and count.isdecimal() and len(count) < 10):
        raise SourceError(f"{answer.asked}: esearchresult.count: not a number, got {excerpt(result.get('count'))}")
    return SearchHits(tuple(ids), int(count), _unknown(result))


def _unknown(result: Mapping[str, Any]) -> tuple[str, ...]:
    errors = result.get("errorlist")
    if not isinstance(errors, Mapping):
        return ()
    named = (("fieldsnotfound", "field"), ("phrasesnotfound", "phrase"))
    lists = [(kind, errors.get(name)) for name, kind in named]
    return tuple(f"the {kind} {excerpt(text)}" for kind, texts in lists if isinstance(texts, list) for text in texts)
