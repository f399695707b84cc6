"""Zotero libraries, by the Web API v3 (https://www.zotero.org/support/dev/web_api/v3/start).

A sync asks for what changed since a version of the library
(https://www.zotero.org/support/dev/web_api/v3/syncing). Another state of its collections needs all items again, since
an item does not change when a collection that it is in does.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from newsletter.errors import Stopped
from newsletter.model import LibraryItem, LibraryKind, LibraryRef
from newsletter.sources.errors import NoAnswerError, SourceError
from newsletter.sources.http import HttpClient, HttpResponse, Params
from newsletter.sources.http_attempts import LONGEST_WAIT
from newsletter.sources.library_items import MAX_ITEMS, LibraryChanges
from newsletter.sources.zotero_items import collection_paths, in_collections, is_trashed, to_library_item
from newsletter.support.collection_paths import is_chosen

KEYS_PAGE = "https://www.zotero.org/settings/keys"

_PAGE = 100
"""Maximum items of a page that the API allows."""

_READS = 5
"""Number of attempts to read a library that is changed while it is read."""

_MAX_COLLECTIONS = 5_000
_READ_ONE_BY_ONE = 20
"""Up to this many chosen collections are read one by one; otherwise the whole library is."""


class RefusedError(SourceError):
    """The library cannot be read before its reader does something: the key, the number or a collection is wrong."""


class _Changed(Exception):
    """The library changed while it was being read."""


@dataclass(frozen=True, slots=True)
class KeyAccess:
    """What a key allows in a library."""

    read: bool
    write: bool


@dataclass(slots=True)
class ZoteroLibrary:
    """A library of a user or group at the Zotero Web API.

    Attributes:
        url: of the API.
        key: the reader's key; None for a public library.
        should_stop: polled before each request.
    """

    http: HttpClient
    url: str
    ref: LibraryRef
    key: str | None = None
    should_stop: Callable[[], bool] = lambda: False
    _pause: float = 0.0

    def access(self) -> KeyAccess:
        """Ask what the key allows.

        Raises:
            RefusedError: Zotero does not know the key.
            SourceError: Zotero did not answer as expected.
        """
        answer = self._get("/keys/current", accepted=(403, 404))
        if answer.status != 200:
            raise self._refused(f"does not know the key (status {answer.status})")
        found = _mapping(answer)
        access = _part(found, "access")
        if self.ref.kind is LibraryKind.ZOTERO_GROUP:
            groups = _part(access, "groups")
            allowed: Mapping[str, Any] = {**_part(groups, "all"), **_part(groups, self.ref.id)}
        else:
            allowed = _part(access, "user") if str(found.get("userID")) == self.ref.id else {}
        return KeyAccess(allowed.get("library") is True, allowed.get("write") is True)

    def changes(self, since: str | None, patterns: Sequence[str]) -> LibraryChanges | None:
        """Read what changed since a version, or everything if ``since`` is None; None if nothing did.

        Args:
            patterns: of the collections whose items are wanted; empty for all items.

        Raises:
            RefusedError: the key has no access, or there is no such library or collection.
            SourceError: Zotero did not answer as expected.
            Stopped: the newsletter is stopping.
        """
        for _ in range(_READS):
            try:
                return self._all(patterns) if since is None else self._since(since, patterns)
            except _Changed:
                continue
        raise SourceError(
            f"{self.ref.address}: it was changed {_READS} times while it was read; it is read again later"
        )

    def create(self, item: Mapping[str, Any]) -> None:
        """Create an item whose key was chosen by us; one that is there already stays as it is.

        Raises:
            RefusedError: the key does not allow it.
            SourceError: Zotero did not answer as expected.
        """
        url = f"{self._root}/items"
        answer = self.http.post_json(url, [item], headers=self._headers(), accepted=(403, 412))
        if answer.status == 403:
            raise self._refused("does not allow writing with the key (status 403)")
        if answer.status == 412:
            return
        failed = _part(_part(_mapping(answer), "failed"), "0")
        # An item of this key has another version than 0: an earlier request made it.
        if failed and failed.get("code") != 412:
            raise SourceError(f"{answer.asked}: Zotero refused the item: {failed.get('code')} {failed.get('message')}")

    def _all(self, patterns: Sequence[str]) -> LibraryChanges:
        paths, version = self._collections()
        chosen = {key for key, path in paths.items() if is_chosen(path, patterns)}
        if patterns and not chosen:
            raise self._no_collection(patterns, paths)
        one_by_one = 0 < len(chosen) <= _READ_ONE_BY_ONE
        places = [f"/collections/{key}/items/top" for key in sorted(chosen)] if one_by_one else ["/items/top"]
        items: dict[str, LibraryItem] = {}
        name = None
        for place in places:
            for item, page_version in self._pages(place, MAX_ITEMS - len(items)):
                version = _same(version, page_version)
                name = name or _part(item, "library").get("name")
                read = None if is_trashed(item) else to_library_item(item, paths)
                if read is not None and in_collections(read, patterns):
                    items[read.key] = read
        named = name if isinstance(name, str) and self.ref.kind is LibraryKind.ZOTERO_GROUP else None
        return LibraryChanges(version=version or "0", items=tuple(items.values()), name=named)

    def _since(self, since: str, patterns: Sequence[str]) -> LibraryChanges | None:
        conditions = {"If-Modified-Since-Version": since}
        first = self._get(
            f"{self._prefix}/items/top", {**_changes_since(since), "start": 0}, conditions, accepted=(304,)
        )
        if first.status == 304:
            return None
        version = _version(first)
        gone = self._get(f"{self._prefix}/deleted", {"since": since})
        collections = self._get(f"{self._prefix}/collections", {"since": since, "limit": 1})
        for answer in (gone, collections):
            _same(version, _version(answer))
        deleted = _mapping(gone)
        many = _total(first) > MAX_ITEMS
        if many or deleted.get("collections") or _list(collections):
            return self._all(patterns)
        removed = {str(key) for key in deleted.get("items") or ()}
        items: list[LibraryItem] = []
        if changed := list(self._rest(first, "/items/top", _changes_since(since), MAX_ITEMS)):
            paths, collections_version = self._collections()
            _same(version, collections_version)
            for item, page_version in changed:
                _same(version, page_version)
                read = None if is_trashed(item) else to_library_item(item, paths)
                if read is not None and in_collections(read, patterns):
                    items.append(read)
                else:
                    removed.add(str(item.get("key")))
        return LibraryChanges(version=version, items=tuple(items), removed=frozenset(removed), complete=False)

    def _collections(self) -> tuple[dict[str, str], str | None]:
        """Return the paths of all collections by key, and the version of the library."""
        found, version = [], None
        for one, page_version in self._pages("/collections", _MAX_COLLECTIONS):
            version = _same(version, page_version)
            found.append(one)
        return collection_paths(found), version

    def _pages(self, path: str, most: int) -> Iterator[tuple[Mapping[str, Any], str]]:
        """Yield the objects of all pages, each with the version of the library that its page is of."""
        first = self._get(f"{self._prefix}{path}", {"limit": _PAGE, "start": 0})
        yield from self._rest(first, path, {"limit": _PAGE}, most)

    def _rest(
        self, first: HttpResponse, path: str, params: Params, most: int
    ) -> Iterator[tuple[Mapping[str, Any], str]]:
        answer, start, total = first, 0, _total(first)
        if total > most:
            what = "collections" if path == "/collections" else "papers"
            raise RefusedError(f"{self.ref.address}: it has more than {most:,} {what}; choose some of its collections")
        while True:
            page, version = _list(answer), _version(answer)
            yield from ((one, version) for one in page)
            start += _PAGE
            if start >= total or not page:
                return
            answer = self._get(f"{self._prefix}{path}", {**params, "start": start})

    @property
    def _prefix(self) -> str:
        owner = "groups" if self.ref.kind is LibraryKind.ZOTERO_GROUP else "users"
        return f"/{owner}/{self.ref.id}"

    @property
    def _root(self) -> str:
        return f"{self.url}{self._prefix}"

    def _headers(self, conditions: Mapping[str, str] | None = None) -> dict[str, str]:
        headers = {"Zotero-API-Version": "3", **(conditions or {})}
        return {**headers, "Zotero-API-Key": self.key} if self.key else headers

    def _get(
        self,
        path: str,
        params: Params | None = None,
        conditions: Mapping[str, str] | None = None,
        accepted: tuple[int, ...] = (),
    ) -> HttpResponse:
        if self.should_stop():
            raise Stopped
        url, headers = f"{self.url}{path}", self._headers(conditions)
        answer = self.http.get(url, params, headers=headers, accepted=(*accepted, 403, 404), pause_seconds=self._pause)
        self._pause = _backoff(answer)
        if answer.status in accepted or answer.status < 400:
            return answer
        if answer.status == 404:
            raise self._refused(
                "has no such library (status 404)", f"check its number, which {KEYS_PAGE} shows for you"
            )
        raise self._refused(f"{'refuses the key' if self.key else 'needs a key for this library'} (status 403)")

    def _refused(self, why: str, fix: str = f"create a key at {KEYS_PAGE} and add the library again") -> RefusedError:
        return RefusedError(f"{self.ref.address}: Zotero {why}; {fix}", 403)

    def _no_collection(self, patterns: Sequence[str], paths: Mapping[str, str]) -> RefusedError:
        near = difflib.get_close_matches(patterns[0].rstrip("/*"), paths.values(), n=1, cutoff=0.6)
        fix = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(sorted(paths.values())[:5]) or 'none'}"
        return RefusedError(f"{self.ref.address}: it has no collection {', '.join(map(repr, patterns))}; {fix}")


def _changes_since(since: str) -> dict[str, str | int]:
    # What was moved to the trash counts as a change.
    return {"since": since, "includeTrashed": 1, "limit": _PAGE}


def _same(version: str | None, other: str | None) -> str | None:
    """Return the version of both.

    Raises:
        _Changed: they differ.
    """
    if version is not None and other is not None and version != other:
        raise _Changed
    return version or other


def _version(answer: HttpResponse) -> str:
    version = answer.headers.get("Last-Modified-Version", "").strip()
    if not (version.isascii() and version.isdecimal() and len(version) <= 20):
        raise SourceError(f"{answer.asked}: the response has no version of the library (Last-Modified-Version)")
    return version


def _total(answer: HttpResponse) -> int:
    total = answer.headers.get("Total-Results", "").strip()
    if not (total.isascii() and total.isdecimal() and len(total) <= 9):
        raise SourceError(f"{answer.asked}: the response has no number of items (Total-Results)")
    return int(total)


def _backoff(answer: HttpResponse) -> float:
    """Return the seconds that Zotero asks to wait before the next request; 0 if it does not."""
    asked = answer.headers.get("Backoff", "").strip()
    seconds = float(asked[:9]) if asked.isascii() and asked.isdecimal() else 0.0
    if seconds > LONGEST_WAIT:
        raise NoAnswerError(f"{answer.asked}: Zotero asks to wait {seconds:.0f} s; the library is read again later")
    return seconds


def _list(answer: HttpResponse) -> list[Mapping[str, Any]]:
    found = answer.json()
    if not isinstance(found, list):
        raise SourceError(f"{answer.asked}: the response is not a list")
    return [one for one in found if isinstance(one, Mapping)]


def _mapping(answer: HttpResponse) -> Mapping[str, Any]:
    found = answer.json()
    if not isinstance(found, Mapping):
        raise SourceError(f"{answer.asked}: the response is not a JSON object")
    return found


def _part(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = found.get(key)
    return part if isinstance(part, Mapping) else {}


def find_user(http: HttpClient, url: str, key: str) -> str:
    """Ask whose a key is; return the ID of the user.

    Raises:
        RefusedError: Zotero does not know the key.
        SourceError: Zotero did not answer as expected.
    """
    headers = {"Zotero-API-Version": "3", "Zotero-API-Key": key}
    answer = http.get(f"{url}/keys/current", headers=headers, accepted=(403, 404))
    if answer.status != 200:
        raise RefusedError(f"{answer.asked}: Zotero does not know the key (status {answer.status})")
    user = str(_mapping(answer).get("userID"))
    if not user.isdecimal():
        raise SourceError(f"{answer.asked}: the response names no user")
    return user
