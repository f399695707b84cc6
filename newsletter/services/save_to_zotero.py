"""Saving a paper to the reading list, and from there to the reader's Zotero library.

The key of the item in Zotero is derived from the paper and the reader, so that a request that is repeated, since its
answer was lost or two processes made it, makes no second item.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from newsletter.audience.library_interests import references_to
from newsletter.errors import Stopped, UserError, describe
from newsletter.model import LibraryKind, LibraryRef, Paper, Subscriber
from newsletter.services.context import AppContext
from newsletter.services.library_keys import find_key
from newsletter.services.library_reading import http_client, run_within
from newsletter.sources.bounds import brief
from newsletter.sources.errors import NoAnswerError
from newsletter.sources.zotero import RefusedError, ZoteroLibrary
from newsletter.sources.zotero_items import to_new_item
from newsletter.store import libraries, papers, reading, saved_papers, subscribers, writing
from newsletter.store.libraries import Library
from newsletter.store.saved_papers import Export

_ALPHABET = "23456789ABCDEFGHIJKLMNPQRSTUVWXYZ"
_KEY_LENGTH = 8

_AT_ONCE_SECONDS = 5.0
"""How long the page that saves a paper waits for Zotero."""

_LATER_SECONDS = 30.0
_MAX_ATTEMPTS = 8
_FIRST_WAIT = timedelta(minutes=5)
_WAIT_FACTOR = 3
"""With eight attempts, the last is about four days after the first."""

_PAGE = 100
_MOST_SILENT = 3


class SaveOutcome(StrEnum):
    """What became of a paper that was saved."""

    LISTED = "listed"
    IN_ZOTERO = "in zotero"
    LATER = "later"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class _Target:
    """The Zotero library of a subscriber."""

    library: Library
    ref: LibraryRef


def save_paper(context: AppContext, subscriber: Subscriber, paper: int) -> SaveOutcome:
    """Put a paper (by row) on a subscriber's reading list and, if a Zotero library of the subscriber has a key that
    allows writing, into that library too. It waits up to five seconds for Zotero; if that fails, it is tried again by
    :func:`export_due`.
    """
    now = context.clock()
    export = None
    with writing(context.engine) as connection:
        saved_papers.save(connection, subscriber.row, paper, now)
        found = papers.by_rows(connection, [paper]).get(paper)
        if found is not None and _target(libraries.of(connection, subscriber.row), subscriber) is not None:
            key = item_key(context.links.key, subscriber.row, found.id)
            again_at = now + _FIRST_WAIT
            export = saved_papers.request_export(connection, subscriber.row, paper, key, again_at)
    if export is None:
        return SaveOutcome.LISTED
    if export.exported_at is not None:
        return SaveOutcome.IN_ZOTERO
    outcome, _ = _tried(context, export, _AT_ONCE_SECONDS)
    return outcome


def export_due(context: AppContext, should_stop: Callable[[], bool] = lambda: False) -> dict[str, int]:
    """Write saved papers into Zotero whose time has come; return how many were written, wait and failed for good. When
    Zotero does not answer three times in a row, the others stay for the next run.

    Raises:
        NewsletterError: the store failed.
        Stopped: the newsletter is stopping.
    """
    counts = {outcome.value.replace(" ", "_"): 0 for outcome in SaveOutcome if outcome is not SaveOutcome.LISTED}
    silent = 0
    while True:
        with reading(context.engine) as connection:
            due = saved_papers.exports_due(connection, context.clock(), _PAGE)
        for export in due:
            if should_stop():
                raise Stopped
            outcome, no_answer = _tried(context, export, _LATER_SECONDS)
            counts[outcome.value.replace(" ", "_")] += 1
            silent = silent + 1 if no_answer else 0
            if silent >= _MOST_SILENT:
                return counts
        if len(due) < _PAGE:
            return counts


def item_key(signing_key: str, subscriber: int, paper: str) -> str:
    """Return the key of a paper's item in a subscriber's Zotero library: eight characters of Zotero's alphabet."""
    text = f"newsletter zotero item|{subscriber}|{paper}"
    number = int.from_bytes(hmac.digest(signing_key.encode(), text.encode(), hashlib.sha256))
    key = ""
    for _ in range(_KEY_LENGTH):
        number, place = divmod(number, len(_ALPHABET))
        key += _ALPHABET[place]
    return key


def _target(own: list[Library], subscriber: Subscriber) -> _Target | None:
    """Return the first Zotero library of a user that can be written to."""
    for library in own:
        refs = references_to(subscriber.preferences, library.address)
        if library.can_write and refs and refs[0].kind is LibraryKind.ZOTERO_USER:
            return _Target(library, refs[0])
    return None


def _tried(context: AppContext, export: Export, seconds: float) -> tuple[SaveOutcome, bool]:
    """Try an export, and record the result; also return whether Zotero did not answer. It is not asked within a
    transaction.
    """
    with reading(context.engine) as connection:
        subscriber = subscribers.by_rows(connection, [export.subscriber]).get(export.subscriber)
        paper = papers.by_rows(connection, [export.paper]).get(export.paper)
        target = _target(libraries.of(connection, export.subscriber), subscriber) if subscriber else None
        held = target is not None and libraries.holds(connection, target.library.row, export.paper)
    try:
        if not held:
            _write(context, subscriber, target, paper, export.key, seconds)
    except Exception as error:  # It concerns this paper alone.
        return _failed(context, export, target, error), isinstance(error, NoAnswerError)
    with writing(context.engine) as connection:
        saved_papers.record_export(connection, export, context.clock())
    return SaveOutcome.IN_ZOTERO, False


def _write(
    context: AppContext,
    subscriber: Subscriber | None,
    target: _Target | None,
    paper: Paper | None,
    key: str,
    seconds: float,
) -> None:
    if subscriber is None or target is None or paper is None:
        raise UserError("no Zotero library with a key that allows writing; add one with 'newsletter library add'")
    url = context.config.libraries.zotero_url
    secret = find_key(context.links.key, subscriber, target.library, target.ref)
    ref, item = target.ref, to_new_item(paper, key)

    def create(_: Callable[[], bool]) -> None:
        with http_client(context, url, seconds) as http:
            ZoteroLibrary(http, url, ref, secret).create(item)

    run_within(seconds, create, f"{ref.address}: no answer")


def _failed(context: AppContext, export: Export, target: _Target | None, error: Exception) -> SaveOutcome:
    now, text = context.clock(), brief(describe(error))
    last = export.attempts + 1 >= _MAX_ATTEMPTS
    again_at = None if last else now + _FIRST_WAIT * _WAIT_FACTOR**export.attempts
    with writing(context.engine) as connection:
        saved_papers.record_export_failure(connection, export, text, again_at)
        if isinstance(error, RefusedError) and target is not None:
            libraries.record_refusal(connection, target.library.row, text)
    return SaveOutcome.FAILED if last else SaveOutcome.LATER
