"""A reader's libraries on the site: upload a file, connect Zotero, or give an ORCID iD; update and remove them."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as TakesLong
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience.identifiers import STORED_KEY, valid_orcid, valid_zotero_id
from newsletter.audience.library_interests import references
from newsletter.audience.signed_links import TokenPurpose
from newsletter.errors import NewsletterError, ReaderError, UserError
from newsletter.model import LibraryKind, LibraryRef, Subscriber
from newsletter.rendering.library_names import library_name
from newsletter.rendering.template_context import format_day
from newsletter.services.libraries import SyncResult, add_library, add_upload, remove_library, sync_subscriber
from newsletter.services.library_keys import valid_key
from newsletter.services.library_owner import zotero_user
from newsletter.sources.library_files import MAX_LIBRARY_ENTRIES
from newsletter.sources.zotero import KEYS_PAGE
from newsletter.store import libraries as store
from newsletter.store import reading
from newsletter.store.libraries import Library
from newsletter.support.threads import run_in_thread
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, Posted, PostedWithFile, SameOrigin, path_for, subscriber_of, text
from newsletter.web.middleware.security import LARGEST_UPLOAD

_PATIENCE = 20.0
"""In seconds. What takes longer goes on in the background, and the page shows the result later."""

_FAILED = "That did not work. Please try again later, and contact us if it still does not work then."

_log = logging.getLogger(__name__)

_SAID = {
    "welcome": "Welcome! Your first digest will arrive within minutes.",
    "unreadable": "Welcome! Your file could not be read, though. Please upload another one, as BibTeX or RIS.",
    "left_out": "Welcome! There was no room to keep your file, though. Please upload it again here.",
    "waiting": "Welcome! Your file is not read yet. If it is not listed here tomorrow, please upload it again.",
    "later": "Added, but it cannot be read right now. We’ll try again within a day.",
    "updated": "Your libraries are up to date.",
    "removed": "Removed, with its papers. An interest that had nothing else is removed too.",
    "reading": "Reading the library takes a while. Its papers will be here in a few minutes.",
}


def routes(site: WebContext) -> APIRouter:
    """Create the router of the library page, below the preferences page of a subscriber."""
    router = APIRouter(prefix="/preferences/{token}/library", include_in_schema=False)

    def page(request: Request, token: str, problem: str = "", note: str = "", status: int = 200) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        return site.page(
            request,
            "library",
            status,
            headers=PRIVATE,
            token=token,
            problem=problem,
            note=note,
            preferences=path_for(site, TokenPurpose.PREFERENCES, subscriber),
            **library_values(site, subscriber),
        )

    def failed(request: Request, token: str, error: NewsletterError) -> Response:
        """Tell the reader that it failed; what the error says concerns the operator, who finds it in the log."""
        _log.warning("a library page failed: %s", error)
        return page(request, token, problem=_FAILED, status=503)

    def add(request: Request, token: str, work: Callable[[Subscriber], SyncResult]) -> Response:
        """Add a library, in the background if it takes long."""
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        try:
            result = run_in_thread(lambda: work(subscriber)).result(_PATIENCE)
        except TakesLong:
            return _back(token, said="reading")
        except ReaderError as error:
            return page(request, token, problem=_for_reader(error), status=422)
        except NewsletterError as error:
            return failed(request, token, error)
        if result.error is not None:
            return _back(token, said="later")
        return _back(token, added=result.total, skipped=result.skipped, left=result.left_out)

    @router.api_route("", methods=PAGE)
    def show(
        request: Request, token: str, added: int = -1, skipped: int = 0, left: int = 0, said: str = ""
    ) -> Response:
        return page(request, token, note=_SAID.get(said) or _note(added, skipped, left))

    @router.post("/upload", dependencies=[SameOrigin])
    def upload(request: Request, token: str, posted: PostedWithFile) -> Response:
        _, file = posted
        if file is None:
            return page(request, token, problem="Please choose a file first.", status=422)
        return add(request, token, lambda subscriber: add_upload(site.context, subscriber, file.name, file.content))

    @router.post("/orcid", dependencies=[SameOrigin])
    def orcid(request: Request, token: str, form: Posted) -> Response:
        try:
            known = LibraryRef(kind=LibraryKind.ORCID, id=valid_orcid(text(form, "orcid")))
        except ValueError as error:
            return page(request, token, problem=f"This {error}.", status=422)
        return add(request, token, lambda subscriber: add_library(site.context, subscriber, known))

    @router.post("/zotero", dependencies=[SameOrigin])
    def zotero(request: Request, token: str, form: Posted) -> Response:
        given, group = text(form, "key").strip(), text(form, "group").strip()
        collections = tuple(line.strip() for line in text(form, "collections").splitlines() if line.strip())
        each = bool(text(form, "each"))

        def connect(subscriber: Subscriber) -> SyncResult:
            key = _key(given) if given or not group else None
            kind, owner = LibraryKind.ZOTERO_GROUP, _group(group) if group else ""
            if key is not None and not group:
                kind, owner = LibraryKind.ZOTERO_USER, zotero_user(site.context, key)
            # Never with a key of the operator.
            ref = LibraryRef(kind=kind, id=owner, collections=collections, key=STORED_KEY)
            return add_library(site.context, subscriber, ref, key, each_collection=each)

        return add(request, token, connect)

    @router.post("/update", dependencies=[SameOrigin])
    def update(request: Request, token: str) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        try:
            results = run_in_thread(lambda: list(sync_subscriber(site.context, subscriber))).result(_PATIENCE)
        except TakesLong:
            return _back(token, said="reading")
        except NewsletterError as error:
            return failed(request, token, error)
        # The list says which ones failed.
        return _back(token, **({} if any(one.error for one in results) else {"said": "updated"}))

    @router.post("/remove", dependencies=[SameOrigin])
    def remove(request: Request, token: str, form: Posted) -> Response:
        subscriber, address = subscriber_of(site, TokenPurpose.PREFERENCES, token), text(form, "address")
        if address not in {ref.address for ref in references(subscriber.preferences)}:
            return page(request, token, problem="This library was removed already.", status=404)
        try:
            remove_library(site.context, subscriber, address)
        except NewsletterError as error:
            return failed(request, token, error)
        return _back(token, said="removed")

    return router


def library_values(site: WebContext, subscriber: Subscriber) -> dict[str, Any]:
    """Return what the list of a subscriber's libraries shows, and the forms that add one."""
    with reading(site.context.engine) as connection:
        known = {library.address: library for library in store.of(connection, subscriber.row)}
        counts = store.counts(connection, [library.row for library in known.values()])
    refs = {ref.address: ref for ref in references(subscriber.preferences)}
    new_key = {"name": site.context.config.site.name, "library_access": "1", "write_access": "1"}
    return {
        "libraries": [_shown(ref, known.get(ref.address), counts) for ref in refs.values()],
        "largest_upload": LARGEST_UPLOAD["/preferences/"] // 1_000_000,
        "zotero_key_url": f"https://www.zotero.org/settings/keys/new?{urlencode(new_key)}",
    }


def _shown(ref: LibraryRef, library: Library | None, counts: Mapping[int, int]) -> dict[str, Any]:
    return {
        "address": ref.address,
        "name": library_name(ref),
        "papers": counts.get(library.row, 0) if library is not None else 0,
        "synced_on": format_day(library.synced_at.date()) if library is not None and library.synced_at else "",
        "uploaded": ref.kind is LibraryKind.UPLOAD,
        "zotero": ref.kind in (LibraryKind.ZOTERO_USER, LibraryKind.ZOTERO_GROUP),
        "can_write": library is not None and library.can_write,
        "failed": library is not None and library.error is not None,
    }


def _note(added: int, skipped: int, left_out: int) -> str:
    if added < 0:
        return ""
    papers = f"{added:,} paper{'' if added == 1 else 's'}"
    said = [f"Added: {papers}. Your next digest will use them."]
    if skipped > 0:
        entries = "One other entry has" if skipped == 1 else f"{skipped:,} other entries have"
        said.append(f"{entries} no title or could not be read.")
    if left_out > 0:
        more = "One more entry was" if left_out == 1 else f"{left_out:,} more entries were"
        said.append(f"{more} left out: a file may have {MAX_LIBRARY_ENTRIES:,}. Please export a smaller collection.")
    return " ".join(said)


def _group(text: str) -> str:
    try:
        return valid_zotero_id(text)
    except ValueError as error:
        raise ReaderError(f"The group {error}.") from None


def _key(text: str) -> str:
    try:
        return valid_key(text, "the key")
    except UserError:
        raise ReaderError(f"This is not a Zotero key, which has 24 letters and digits; see {KEYS_PAGE}") from None


def _for_reader(error: ReaderError) -> str:
    said = " ".join(error.lines)
    return f"{said[:1].upper()}{said[1:]}{'' if said.endswith('.') else '.'}"


def _back(token: str, **said: object) -> Response:
    query = f"?{urlencode(said)}" if said else ""
    return RedirectResponse(f"/preferences/{token}/library{query}", 303, headers=PRIVATE)
