"""OpenReview: the papers of a venue (https://docs.openreview.net/reference/api-v2).

openreview-py has the same calls, but its own requests, without our limits and without conditional ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from newsletter.config.sources import OpenReviewSource
from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.base import DateRange, Found
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, HttpResponse
from newsletter.sources.openreview_notes import Submission, read_submission
from newsletter.sources.quota import quota_hint

_PAGE = 1_000
"""Notes in a response, the maximum that OpenReview allows."""

_REFUSED = (401, 403)
_WITHDRAWN = ("Withdrawn_Submission", "Desk_Rejected_Submission")
_OTHER_SUBMISSIONS = ("Submission", "Under_Review", "Rejected_Submission", "Rejected")
"""What OpenReview appends to a venue's id for the submissions that are not accepted."""

_HINT = "OpenReview limits the requests of an address; the next fetch tries again"


@dataclass(frozen=True, slots=True)
class OpenReview:
    """The accepted papers of a venue, or all its public submissions; of a window, those published on its days.

    The lists are requested in full each time, unless the server says that they did not change. Of the accepted papers,
    those that were withdrawn since are reported in a :class:`Notice`.
    """

    name: str
    settings: OpenReviewSource

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Found]:
        venue, wants_all = self.settings.venue, self.settings.status == "all"
        seen: set[str] = set()
        others = _OTHER_SUBMISSIONS if wants_all else ()
        for venue_id in (venue, *(f"{venue}/{other}" for other in (*others, *_WITHDRAWN))):
            for item in self._submissions(venue_id, http):
                if isinstance(item, SkippedPaper):
                    yield item
                elif item.forum not in seen:
                    seen.add(item.forum)
                    if (found := self._found(item, wants_all)) is not None and _is_in(window, found):
                        yield found

    def _found(self, submission: Submission, wants_all: bool) -> Paper | Notice | None:
        """Return what a submission is for the reader; None for one that was not asked for."""
        paper = submission.paper
        if submission.venue_id == self.settings.venue or wants_all:
            return paper
        if paper.status is PaperStatus.WITHDRAWN:
            ids = filter(None, (*paper.other_ids, paper.arxiv_id, paper.doi))
            return Notice(kind=EventKind.WITHDRAWN, of=tuple(ids), day=submission.changed, url=paper.url)
        return None

    def _submissions(self, venue_id: str, http: HttpClient) -> Iterator[Submission | SkippedPaper]:
        url, start = f"{self.settings.api_url.rstrip('/')}/notes", 0
        for page in count(1):
            answer = self._page(http, url, venue_id, start)
            if answer is None:
                # Not modified, so as long as before: there is a next page if there was one.
                start += _PAGE
                if not http.was_asked(url, _query(venue_id, start)):
                    return
                continue
            notes, total = _notes(answer)
            for number, note in enumerate(notes, start=1):
                yield read_submission(note, f"{venue_id}, page {page}, note {number}", self.settings.venue)
            start += len(notes)
            if not notes or (start >= total if total is not None else len(notes) < _PAGE):
                return

    def _page(self, http: HttpClient, url: str, venue_id: str, start: int) -> HttpResponse | None:
        try:
            with quota_hint(_HINT):
                return http.get_if_changed(url, _query(venue_id, start))
        except SourceError as error:
            if error.status not in _REFUSED:
                raise
            raise SourceError(
                f"{error}; OpenReview shows {venue_id} to people with an account only: check the venue of the source, "
                "or wait until the venue makes its papers public",
                error.status,
            ) from error


def _query(venue_id: str, start: int) -> dict[str, str | int]:
    return {"content.venueid": venue_id, "limit": _PAGE, "offset": start}


def _notes(answer: HttpResponse) -> tuple[Sequence[Any], int | None]:
    """Return the notes of a response, and how many there are in all, None if it does not say."""
    data = answer.json()
    notes = data.get("notes") if isinstance(data, dict) else None
    if not isinstance(notes, list):
        raise SourceError(f"{answer.asked}: notes: missing, or not a list")
    total = data.get("count")
    return notes, total if isinstance(total, int) and not isinstance(total, bool) else None


def _is_in(window: DateRange, found: Found) -> bool:
    """Return whether a paper was published on a day of the window; without one, and for notices, always."""
    if window.since is None or not isinstance(found, Paper):
        return True
    return found.published is not None and window.since <= found.published <= window.until
