"""Readers' libraries: adding, syncing and removing them. A library that fails keeps its papers, and stops no other."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path, PurePath

from newsletter.audience import subscriptions
from newsletter.audience.library_interests import (
    patterns_of,
    references,
    references_to,
    with_each_collection,
    with_library,
    without_library,
)
from newsletter.audience.subscriber_file import checked
from newsletter.config.suggestions import nearest_value
from newsletter.errors import ReaderError, Stopped, UserError, describe
from newsletter.model import LibraryKind, LibraryRef, Preferences, Subscriber
from newsletter.services.context import AppContext
from newsletter.services.library_keys import encrypt_key, find_key, replaces_stored_key, valid_key
from newsletter.services.library_reading import Reading, read_content, read_library
from newsletter.sources.bounds import brief
from newsletter.sources.errors import NoAnswerError, SourceError
from newsletter.sources.zotero import RefusedError
from newsletter.sources.zotero_items import in_collections
from newsletter.store import libraries as store
from newsletter.store import reading, subscribers, writing
from newsletter.store.libraries import Library
from newsletter.support.collection_paths import is_chosen
from newsletter.support.text import shorten_middle, to_single_line

_BLOCK = 500
"""Items that are stored together, so that other writers get access to the store."""

_PAGE = 200
_MOST_SILENT = 3
"""How many libraries in a row a server may leave without an answer before a run no longer asks it."""

_LONGEST_FILE_NAME = 100
MOST_PAPERS = 20_000
"""Papers in all libraries of one reader."""

_FROM_FILE = "My library"
_SAYS_NOTHING = frozenset({
    "bib", "bibliography", "citations", "endnote", "export", "exported items", "jabref", "library", "main", "mendeley",
    "my library", "papers", "publications", "references", "refs", "zotero",
})  # fmt: skip
"""Names of files, in small letters, that do not tell one library from another."""

_OWN_NAMES = {
    LibraryKind.ZOTERO_USER: "Zotero library",
    LibraryKind.ZOTERO_GROUP: "Zotero group",
    LibraryKind.ORCID: "Own publications",
    LibraryKind.OPENALEX: "Own publications",
}

ShouldStop = Callable[[], bool]


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """The result of syncing a library.

    Attributes:
        email: of its subscriber. ``address``: of the library.
        added, changed, removed, total: papers.
        skipped: entries of a file that are no papers. ``left_out``: entries after the most that are read of a file.
        error: why it failed, in one line; None if it did not. The papers stay.
        new_error: whether the error was not reported before.
        no_answer: whether it failed since its server did not answer.
    """

    email: str
    address: str
    added: int = 0
    changed: int = 0
    removed: int = 0
    total: int = 0
    skipped: int = 0
    left_out: int = 0
    error: str | None = None
    new_error: bool = False
    no_answer: bool = False


def add_library(
    context: AppContext,
    subscriber: Subscriber,
    ref: LibraryRef,
    key: str | None = None,
    interest: str | None = None,
    each_collection: bool = False,
    should_stop: ShouldStop = _never,
) -> SyncResult:
    """Add a library to a subscriber's preferences and file, and read it at once. One that is there already gets these
    collections and this key; with a key and no collections, it keeps those that it has.

    A library that cannot be read for now is added too; the next sync tries again.

    Args:
        key: of a Zotero library, stored encrypted; None to keep the stored one, or for a library without one.
        interest: the name of the interest that gets it; None for an interest of its own.
        each_collection: make each of its collections an interest of its own.

    Raises:
        ReaderError: the library or a collection is wrong; nothing was added.
        UserError: the key is wrong, or the preferences cannot be changed; nothing was added.
    """
    if key is not None:
        key = valid_key(key, f"{ref.address}: key")
    with reading(context.engine) as connection:
        known = [one for one in store.of(connection, subscriber.row) if one.address == ref.address]
    present = known[0] if known else Library(row=0, subscriber=subscriber.row, address=ref.address)
    if replaces_stored_key(ref):
        present = replace(present, encrypted_key=None)  # The reference names another key.
    used = key or find_key(context.links.key, subscriber, present, ref)
    only_key = not ref.collections and (key is not None or replaces_stored_key(ref))
    planned = with_library(subscriber.preferences, ref, interest, ref.address, only_key)
    patterns = () if each_collection else patterns_of(references_to(planned, ref.address))
    try:
        found = read_library(context, ref, used, None, patterns, should_stop)
    except RefusedError as error:
        raise ReaderError(str(error)) from None
    except SourceError as error:
        if each_collection:
            raise UserError(f"{error}; add the library again later: its collections are not known") from None
        library, _ = _added(context, subscriber, ref, key, interest, None, False, only_key)
        return _record(context, library, error)
    _check_room(context, subscriber.row, ref.address, found)
    library, wanted = _added(context, subscriber, ref, key, interest, found, each_collection, only_key)
    # If the preferences changed meanwhile, the next sync finds other patterns in them and reads everything.
    return _store(context, subscriber.email, library, found, wanted if each_collection else patterns)


def add_upload(
    context: AppContext, subscriber: Subscriber, name: str, content: bytes, interest: str | None = None
) -> SyncResult:
    """Add the library in an uploaded file, as :func:`add_library` adds others. A file of the same name is replaced.

    Raises:
        ReaderError: the file is no library.
        UserError: the preferences cannot be changed.
    """
    plain = to_single_line(PurePath(name.replace("\\", "/")).name)
    ref = LibraryRef(kind=LibraryKind.UPLOAD, id=shorten_middle(plain, _LONGEST_FILE_NAME) or "library")
    try:
        found = read_content(content, ref.id)
    except UserError as error:
        raise ReaderError(*error.lines) from None
    _check_room(context, subscriber.row, ref.address, found)
    library, patterns = _added(context, subscriber, ref, None, interest, found, False, False)
    return _store(context, subscriber.email, library, found, patterns)


def remove_library(context: AppContext, subscriber: Subscriber, address: str) -> int:
    """Remove a library from a subscriber's preferences and file, with its papers and its key. An interest that had
    nothing else is removed too.

    Returns:
        How many papers it had.

    Raises:
        UserError: the subscriber has no such library.
    """
    with writing(context.engine) as connection:
        subscriber, _ = subscriptions.refresh(connection, subscriber, _folder(context), context.clock())
        known = {one.address: one for one in store.of(connection, subscriber.row)}
        named = {ref.address for ref in references(subscriber.preferences)}
        if address not in named | set(known):
            near = nearest_value(address, named | set(known))
            fix = f"did you mean {near!r}?" if near else f"see 'newsletter library list {subscriber.email}'"
            raise UserError(f"{address!r} is not a library of {subscriber.email}; {fix}")
        rows = [known[address].row] if address in known else []
        count = sum(store.counts(connection, rows).values())
        left = without_library(subscriber.preferences, address)
        subscriptions.change_preferences(connection, subscriber, left, _folder(context), context.clock())
        return count


def sync_library(context: AppContext, library: Library, should_stop: ShouldStop = _never) -> SyncResult:
    """Bring a library up to date. An error is recorded.

    Raises:
        NewsletterError: the store failed.
        Stopped: the newsletter is stopping.
    """
    with reading(context.engine) as connection:
        subscriber = subscribers.by_rows(connection, [library.subscriber]).get(library.subscriber)
    result = SyncResult(email=subscriber.email if subscriber else "", address=library.address)
    refs = references_to(subscriber.preferences, library.address) if subscriber else []
    if subscriber is None or not refs:
        return result  # It was removed meanwhile.
    patterns = patterns_of(refs)
    try:
        key = find_key(context.links.key, subscriber, library, refs[0])
        # What was left out before is needed when other collections are chosen.
        since = library.version if library.collections == patterns else None
        found = read_library(context, refs[0], key, since, patterns, should_stop)
        _check_room(context, subscriber.row, library.address, found)
        return _store(context, subscriber.email, library, found, patterns)
    except Stopped:
        raise
    except Exception as error:  # It concerns this library alone.
        return _record(context, library, error)


def sync_subscriber(
    context: AppContext, subscriber: Subscriber, should_stop: ShouldStop = _never
) -> Iterator[SyncResult]:
    """Sync the libraries of a subscriber, yielding each result. Raises the same errors as :func:`sync_library`."""
    _ensure(context, [subscriber])
    with reading(context.engine) as connection:
        own = store.of(connection, subscriber.row)
    for library in own:
        yield sync_library(context, library, should_stop)


def sync_due(context: AppContext, should_stop: ShouldStop = _never, early: bool = False) -> Iterator[SyncResult]:
    """Sync the libraries of active subscribers that were not tried for ``libraries.sync_hours``, or all of them if
    ``early``, yielding each result.

    A server that leaves three of them without an answer is not asked for the others: they stay due, and the next run
    tries them. Raises the same errors as :func:`sync_library`.
    """
    silent = Counter[str]()
    _ensure_all(context)
    hours = context.config.libraries.sync_hours
    before = context.clock() + (timedelta(days=1) if early else -timedelta(hours=hours))
    after = 0
    while True:
        with reading(context.engine) as connection:
            page = store.due(connection, before, after, _PAGE)
        if not page:
            return
        for library in page:
            if should_stop():
                return
            server = _server_of(library)
            if silent[server] >= _MOST_SILENT:
                yield _left_out(context, library, server)
                continue
            result = sync_library(context, library, should_stop)
            if result.no_answer:
                silent[server] += 1
            elif result.error is None:
                silent[server] = 0
            yield result
        after = page[-1].row


def _server_of(library: Library) -> str:
    kind = library.address.partition(":")[0]
    return {"zotero": "Zotero", "orcid": "OpenAlex", "openalex": "OpenAlex"}.get(kind, f"{kind}:")


def _left_out(context: AppContext, library: Library, server: str) -> SyncResult:
    with reading(context.engine) as connection:
        person = subscribers.by_rows(connection, [library.subscriber]).get(library.subscriber)
        total = store.counts(connection, [library.row]).get(library.row, 0)
    error = f"{library.address}: not tried, since {server} did not answer for other libraries; the next sync tries it"
    email = person.email if person else ""
    return SyncResult(email=email, address=library.address, total=total, error=error)


def _ensure_all(context: AppContext) -> None:
    """Add the libraries that were named in a file or on the site since the last sync."""
    after = 0
    while True:
        with reading(context.engine) as connection:
            page = subscribers.naming_libraries(connection, after, _PAGE)
        if not page:
            return
        _ensure(context, page)
        after = page[-1].row


def _ensure(context: AppContext, people: Sequence[Subscriber]) -> None:
    with reading(context.engine) as connection:
        known = store.of_all(connection, [one.row for one in people])
    for one in people:
        present = {library.address for library in known.get(one.row, ())}
        if {ref.address for ref in references(one.preferences)} - present:
            with writing(context.engine) as connection:
                # Read again: what was removed meanwhile must not come back.
                for now in subscribers.by_rows(connection, [one.row]).values():
                    for address in sorted({ref.address for ref in references(now.preferences)}):
                        store.ensure(connection, one.row, address)


def _added(
    context: AppContext,
    subscriber: Subscriber,
    ref: LibraryRef,
    key: str | None,
    interest: str | None,
    found: Reading | None,
    each_collection: bool,
    only_key: bool,
) -> tuple[Library, tuple[str, ...]]:
    """Add a library to the preferences and the store, with its key; also return the patterns of its collections."""
    folder, now = _folder(context), context.clock()
    with writing(context.engine) as connection:
        subscriber, _ = subscriptions.refresh(connection, subscriber, folder, now)
        changed = _with_library(subscriber.preferences, ref, interest, found, each_collection, only_key)
        if changed != subscriber.preferences:
            _check(changed, ref.address)
            subscriptions.change_preferences(connection, subscriber, changed, folder, now)
        library = store.ensure(connection, subscriber.row, ref.address)
        stored = None if replaces_stored_key(ref) else library.encrypted_key
        encrypted = encrypt_key(context.links.key, key) if key is not None else stored
        store.set_key(connection, library.row, encrypted, found.can_write if found else library.can_write)
    return library, patterns_of(references_to(changed, ref.address))


def _check(preferences: Preferences, address: str) -> None:
    try:
        checked(preferences, address)
    except UserError as error:
        raise ReaderError(*error.lines) from None


def _with_library(
    present: Preferences,
    ref: LibraryRef,
    interest: str | None,
    found: Reading | None,
    each_collection: bool,
    only_key: bool,
) -> Preferences:
    changes = found.changes if found else None
    if each_collection and changes is not None:
        paths = {path for item in changes.items for path in item.collections}
        wanted = sorted(path for path in paths if not ref.collections or is_chosen(path, ref.collections))
        if not wanted:
            raise ReaderError(f"{ref.address}: none of its collections has papers; add it as one library")
        return with_each_collection(present, ref, wanted)
    own_name = (changes.name if changes else None) or _OWN_NAMES.get(ref.kind) or _name_of_file(ref.id)
    return with_library(present, ref, interest, to_single_line(own_name), only_key)


def _name_of_file(path: str) -> str:
    """Return the name of an interest after that of its file, unless that says nothing."""
    words = to_single_line(re.sub(r"[_-]+", " ", PurePath(path).stem))
    return _FROM_FILE if words.casefold() in _SAYS_NOTHING or not words else f"{words[:1].upper()}{words[1:]}"


def _check_room(context: AppContext, subscriber: int, address: str, found: Reading) -> None:
    """Check that what was read still fits: all libraries of a reader are loaded whenever papers are ranked.

    Raises:
        ReaderError: the reader (by row) would have too many papers.
    """
    if found.changes is None:
        return
    with reading(context.engine) as connection:
        own = {library.row: library.address for library in store.of(connection, subscriber)}
        counts = store.counts(connection, own)
    replaced = found.changes.complete
    held = sum(count for row, count in counts.items() if not replaced or own[row] != address)
    if held + len(found.changes.items) > MOST_PAPERS:
        raise ReaderError(
            f"{address}: all libraries of a reader together may have {MOST_PAPERS:,} papers; remove one first, or "
            "choose collections"
        )


def _store(context: AppContext, email: str, library: Library, found: Reading, patterns: Sequence[str]) -> SyncResult:
    """Store what was read. A sync that is interrupted is repeated, since the version is stored last."""
    result = SyncResult(email=email, address=library.address, skipped=found.skipped, left_out=found.left_out)
    changes = found.changes
    items = [item for item in changes.items if in_collections(item, patterns)] if changes else []
    for start in range(0, len(items), _BLOCK):
        with writing(context.engine) as connection:
            if store.by_row(connection, library.row) is None:
                return result
            new, changed = store.merge_items(connection, library.row, items[start : start + _BLOCK])
        result = replace(result, added=result.added + new, changed=result.changed + changed)
    with writing(context.engine) as connection:
        present = store.by_row(connection, library.row)
        if present is None:
            return result
        removed = 0
        if changes is not None:
            every = store.item_keys(connection, library.row) if changes.complete else set()
            gone = every - {item.key for item in items} if changes.complete else changes.removed
            removed = store.remove_items(connection, library.row, gone)
        store.set_key(connection, library.row, present.encrypted_key, found.can_write)
        version = changes.version if changes else present.version
        store.record_success(connection, library.row, version, patterns, context.clock())
        total = store.counts(connection, [library.row]).get(library.row, 0)
    return replace(result, removed=removed, total=total)


def _record(context: AppContext, library: Library, error: Exception) -> SyncResult:
    text = brief(describe(error))
    with writing(context.engine) as connection:
        person = subscribers.by_rows(connection, [library.subscriber]).get(library.subscriber)
        new = store.record_failure(connection, library.row, text, context.clock())
        total = store.counts(connection, [library.row]).get(library.row, 0)
    email = person.email if person else ""
    silent = isinstance(error, NoAnswerError)
    return SyncResult(email=email, address=library.address, total=total, error=text, new_error=new, no_answer=silent)


def _folder(context: AppContext) -> Path:
    return context.config.subscribers_folder
