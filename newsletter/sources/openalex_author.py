"""A person's own publications, by ORCID iD or OpenAlex author id, from OpenAlex
(https://docs.openalex.org/api-entities/works).
"""

import hashlib
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

from newsletter.errors import Stopped
from newsletter.model import LibraryItem, LibraryKind, LibraryRef
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.sources.library_items import MAX_ITEMS, LibraryChanges, library_item
from newsletter.sources.openalex import PAPER_FIELDS, OpenAlex, to_paper


def read_author(
    http: HttpClient,
    url: str,
    ref: LibraryRef,
    since: str | None,
    on_request: Callable[[], None] | None = None,
    *,
    contact: str,
    key: str | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> LibraryChanges | None:
    """Read the works of an author; None if they are the same as at the last time.

    OpenAlex has no list of changes, so all of them are read. The version is a digest of what was read.

    Args:
        url: of the API.
        ref: an ORCID iD or an OpenAlex author.
        since: the version at the last time.
        on_request: called before each request.
        contact: a mail address, as OpenAlex asks for. ``key``: of the API.

    Raises:
        SourceError: OpenAlex did not answer as expected, or knows no works of the author.
        Stopped: the newsletter is stopping.
    """
    works = islice(_works(OpenAlex(http, url, contact, key), ref, on_request, should_stop), MAX_ITEMS)
    items = {item.key: item for work in works if (item := to_library_item(work)) is not None}
    if not items:
        raise SourceError(f"{ref.address}: OpenAlex knows no papers of this author; check the identifier")
    version = hashlib.sha256(repr(sorted(items.items())).encode()).hexdigest()
    return None if version == since else LibraryChanges(version=version, items=tuple(items.values()))


def _works(
    api: OpenAlex, ref: LibraryRef, on_request: Callable[[], None] | None, should_stop: Callable[[], bool]
) -> Iterator[Any]:
    by = "author.orcid" if ref.kind is LibraryKind.ORCID else "author.id"
    seen = 0
    for number in count(1):
        if should_stop():
            raise Stopped
        if on_request is not None:
            on_request()
        page = api.page(f"{by}:{ref.id}", PAPER_FIELDS, number)
        yield from page.works
        seen += len(page.works)
        if not page.has_more(seen):
            return


def to_library_item(work: Any) -> LibraryItem | None:
    """Read a work; None for one without a title, or that cannot be read."""
    paper = to_paper(work)
    key = work["id"].strip() if paper is not None else ""
    return library_item(key.rpartition("/")[2], paper) if paper is not None and key else None
