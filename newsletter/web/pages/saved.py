"""The reading list: a link saves a paper, and the list is a page, a feed and a file for reference managers."""

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience.signed_links import TokenPurpose
from newsletter.model import Paper, Subscriber
from newsletter.rendering.citations.formats import FILE_TYPES, CitationFormat, write_citations
from newsletter.rendering.paper_card import byline, display_title, labelled_title, paper_links, paper_path, status_label
from newsletter.services.save_to_zotero import save_paper
from newsletter.store import papers, reading, writing
from newsletter.store import saved_papers as store
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, Posted, SameOrigin, holder_of, path_for, subscriber_of, text, wrong_link
from newsletter.web.pages.feeds import ENTRIES, FeedHead, atom, private_feed_id
from newsletter.web.pages.papers import page_number

_PER_PAGE = 50
_NO_PAPER = "This paper is no longer available, so you cannot save it."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the pages that save a paper, of the reading list, and of its feed."""
    router = APIRouter(include_in_schema=False)
    context = site.context

    @router.api_route("/save/{token}", methods=PAGE)
    def ask(request: Request, token: str, removed: bool = False) -> Response:
        subscriber, paper = _read(site, token)
        with reading(context.engine) as connection:
            saved = store.has(connection, subscriber.row, paper.row)
            export = store.export_of(connection, subscriber.row, paper.row)
        return site.page(
            request,
            "save",
            headers=PRIVATE,
            token=token,
            title=labelled_title(paper),
            byline=byline(paper),
            saved=saved,
            removed=removed,
            zotero=_zotero_state(export),
            reading_list=path_for(site, TokenPurpose.SAVED, subscriber),
        )

    @router.post("/save/{token}", dependencies=[SameOrigin])
    def save(token: str) -> Response:
        subscriber, paper = _read(site, token)
        save_paper(context, subscriber, paper.row)
        return RedirectResponse(f"/save/{token}", 303, headers=PRIVATE)

    @router.post("/save/{token}/undo", dependencies=[SameOrigin])
    def undo(token: str) -> Response:
        subscriber, paper = _read(site, token)
        with writing(context.engine) as connection:
            store.remove(connection, subscriber.row, paper.row)
        return RedirectResponse(f"/save/{token}?removed=1", 303, headers=PRIVATE)

    @router.api_route("/saved/{token}", methods=PAGE)
    def show(
        request: Request, token: str, format: CitationFormat | None = None, page: str = "1", removed: bool = False
    ) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.SAVED, token)
        if format is not None:
            return _file(format, [paper for paper, _ in _list(site, subscriber)])
        number = page_number(page)
        with reading(context.engine) as connection:
            count = store.count(connection, subscriber.row)
        pages = max(1, -(-count // _PER_PAGE))
        # Those on the last page may just have been removed.
        number = min(number, pages)
        shown = _list(site, subscriber, _PER_PAGE, (number - 1) * _PER_PAGE)
        return site.page(
            request,
            "saved",
            headers=PRIVATE,
            token=token,
            papers=[_card(paper, saved_at) for paper, saved_at in shown],
            count=count,
            number=number,
            pages=pages,
            removed=removed,
            formats=[(one.value, FILE_TYPES[one].label) for one in CitationFormat],
            feed=f"{context.links.url(TokenPurpose.SAVED_FEED, subscriber.row, subscriber.link_version)}.atom",
            preferences=path_for(site, TokenPurpose.PREFERENCES, subscriber),
        )

    @router.post("/saved/{token}/remove", dependencies=[SameOrigin])
    def remove(token: str, form: Posted) -> Response:
        subscriber, page = subscriber_of(site, TokenPurpose.SAVED, token), page_number(text(form, "page") or "1")
        with writing(context.engine) as connection:
            paper = papers.by_id(connection, text(form, "paper"))
            if paper is not None:
                store.remove(connection, subscriber.row, paper.row)
        return RedirectResponse(f"/saved/{token}?removed=1&page={page}", 303, headers=PRIVATE)

    @router.api_route("/feeds/saved/{token}.atom", methods=PAGE)
    def feed(token: str) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.SAVED_FEED, token)
        name = context.config.site.name
        head = FeedHead(private_feed_id(context.links.key, "saved", subscriber.row), f"{name}: reading list", name)
        content = atom(site.url, head, _list(site, subscriber, ENTRIES), context.clock())
        return Response(content, 200, PRIVATE, "application/atom+xml")

    return router


def _read(site: WebContext, token: str) -> tuple[Subscriber, Paper]:
    found = site.context.links.save(token)
    if found is None:
        raise wrong_link()
    holder, row = found
    subscriber = holder_of(site, TokenPurpose.SAVE, holder)
    with reading(site.context.engine) as connection:
        paper = papers.by_rows(connection, [row]).get(row)
    if paper is None:
        raise HTTPException(410, _NO_PAPER, headers=PRIVATE)
    return subscriber, paper


def _zotero_state(export: store.Export | None) -> str:
    """Return what became of a paper's way into Zotero: ``saved``, ``waiting``, ``failed``, or empty without any."""
    if export is None:
        return ""
    if export.exported_at is not None:
        return "saved"
    return "waiting" if export.not_before is not None else "failed"


def _list(
    site: WebContext, subscriber: Subscriber, limit: int | None = None, offset: int = 0
) -> Sequence[tuple[Paper, datetime]]:
    with reading(site.context.engine) as connection:
        saved = store.of(connection, subscriber.row, limit, offset)
        known = papers.by_rows(connection, (one.paper for one in saved))
    return [(known[one.paper], one.saved_at) for one in saved]


def _card(paper: Paper, saved_at: datetime) -> dict[str, object]:
    return {
        "id": paper.id,
        "path": paper_path(paper.id),
        "title": display_title(paper),
        "label": status_label(paper),
        "byline": byline(paper),
        "links": [(link["name"], link["url"]) for link in paper_links(paper)],
        "saved_on": saved_at.date(),
    }


def _file(format: CitationFormat, found: Sequence[Paper]) -> Response:
    kind = FILE_TYPES[format]
    disposition = {"Content-Disposition": f'attachment; filename="reading-list{kind.extension}"'}
    return Response("".join(write_citations(format, found)), 200, {**PRIVATE, **disposition}, kind.media_type)
