"""Announcements in the admin site: write, preview, test and schedule them; pause, resume and cancel them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from newsletter.errors import NewsletterError, UserError
from newsletter.model import SendState
from newsletter.services import announcements
from newsletter.services.announcement_times import is_over_for_some, time_in_words
from newsletter.services.announcements import MailingDraft
from newsletter.store import mailings, reading, tags
from newsletter.store.mailings import Mailing, MailingFormat, MailingKind, MailingState
from newsletter.web.auth import Operator, editor, viewer
from newsletter.web.context import WebContext
from newsletter.web.forms import Posted, PostedWithFile, SameOrigin, text
from newsletter.web.pages.admin.announcement_form import AnnouncementForm, empty_form, problem_of, read_form
from newsletter.web.pages.admin.framed import WITH_EMAIL, framed
from newsletter.web.pages.admin.layout import admin_page, done

_OWN = "/announcements"
_PAGE = 50
_HIGHEST = 2**31 - 1
_LONGEST_ADDRESS = 320

_NOTICES = {
    "created": "The announcement was created.",
    "already": "This form had already created this announcement. Nothing else was created.",
    "pause": "The announcement is paused. Messages that are being sent are finished.",
    "resume": "The announcement is resumed.",
    "cancel": "The announcement is cancelled. Nobody else gets it.",
}
_CHANGES = {"pause": announcements.pause, "resume": announcements.resume, "cancel": announcements.cancel}
_WAITING = (SendState.PLANNED, SendState.CLAIMED, SendState.DEFERRED)

Row = Annotated[int, Path(ge=1, le=_HIGHEST)]


def routes(site: WebContext) -> APIRouter:
    """Create the router of the pages."""
    context, zone = site.context, site.context.config.schedule.timezone
    router = APIRouter(prefix=_OWN)
    may_view, may_change = Depends(viewer(site)), Depends(editor(site))

    def form_page(
        request: Request, operator: Operator, form: AnnouncementForm, problem: str = "", status: int = 200
    ) -> Response:
        with reading(context.engine) as connection:
            known_tags = tags.counts(connection)
        values: dict[str, Any] = {"form": form, "known_tags": known_tags, "formats": list(MailingFormat)}
        return admin_page(site, request, operator, "announcement_new", status, problem=problem, **values)

    def preview_page(
        request: Request, operator: Operator, form: AnnouncementForm, draft: MailingDraft, **said: Any
    ) -> Response:
        subject, html, plain = announcements.preview(context, draft)
        with reading(context.engine) as connection:
            number = mailings.number_of_recipients(connection, draft.tag)
            used = mailings.by_form(connection, form.form)
        over = draft.send_at is not None and draft.local_time and is_over_for_some(draft.send_at, context.clock())
        shown = {
            "form": form,
            "draft": draft,
            "subject": subject,
            "html": framed(html),
            "plain": plain,
            "number": number,
            "used": used,
            "when": form.time_in_words(draft),
            "is_over_for_some": over,
            "address": "",
            "sent_to": "",
        }
        values = {**shown, **said}
        return admin_page(site, request, operator, "announcement_preview", headers=WITH_EMAIL, **values)

    def show_page(request: Request, operator: Operator, row: int, problem: str = "", status: int = 200) -> Response:
        with reading(context.engine) as connection:
            mailing = _announcement(mailings.by_row(connection, row))
            counts = announcements.progress(connection, mailing) if mailing is not None else {}
        if mailing is None:
            return _not_there(site, request, operator)
        try:
            _, html, plain = announcements.preview(context, announcements.draft_of(mailing))
            wrong = ""
        except UserError as error:  # A template of the newsletter may have changed.
            html, plain, wrong = "", "", "\n".join(error.lines)
        planned = sum(number for state, number in counts.items() if state is not SendState.SKIPPED)
        values: dict[str, Any] = {
            "one": mailing,
            "counts": counts,
            "html": framed(html),
            "plain": plain,
            "wrong": wrong,
            "subject": announcements.shown_subject(mailing),
            "when": _when(mailing, zone),
            "planned": planned,
            "left": sum(counts.get(state, 0) for state in _WAITING),
            "is_open": mailing.state in (MailingState.SCHEDULED, MailingState.SENDING),
        }
        return admin_page(
            site, request, operator, "announcement", status, _NOTICES, WITH_EMAIL, problem=problem, **values
        )

    @router.get("")
    def show_all(
        request: Request,
        operator: Annotated[Operator, may_view],
        before: Annotated[int | None, Query(ge=0, le=_HIGHEST)] = None,
    ) -> Response:
        with reading(context.engine) as connection:
            found = mailings.page(connection, before, _PAGE + 1, MailingKind.ANNOUNCEMENT)
            shown = found[:_PAGE]
            counts = mailings.counts(connection, [one.row for one in shown])
        lines = [(one, announcements.shown_subject(one), _when(one, zone), counts[one.row]) for one in shown]
        older = shown[-1].row if len(found) > len(shown) else None
        return admin_page(site, request, operator, "announcements", lines=lines, older=older, before=before)

    @router.get("/new")
    def ask(
        request: Request,
        operator: Annotated[Operator, may_change],
        like: Annotated[int | None, Query(ge=1, le=_HIGHEST)] = None,
    ) -> Response:
        with reading(context.engine) as connection:
            mailing = _announcement(mailings.by_row(connection, like)) if like is not None else None
        return form_page(request, operator, empty_form(zone, mailing))

    @router.post("/new", dependencies=[SameOrigin])
    def write(request: Request, operator: Annotated[Operator, may_change], sent: PostedWithFile) -> Response:
        posted, upload = sent
        form, wrong_file = read_form(posted, upload)
        action, address = text(posted, "action"), text(posted, "address").strip()[:_LONGEST_ADDRESS]
        if wrong_file or action == "change":
            return form_page(request, operator, form, wrong_file, 422 if wrong_file else 200)
        try:
            draft = form.draft(context.clock())
            announcements.checked(context, draft)
            if action == "create":
                mailing, is_new = announcements.create_once(context, draft, operator.name, form.form)
                return done(f"{_OWN}/{mailing.row}", "created" if is_new else "already")
        except UserError as error:
            return form_page(request, operator, form, problem_of(error), 422)
        if action != "test":
            return preview_page(request, operator, form, draft)
        try:
            announcements.send_test(context, draft, address, operator.name)
        except NewsletterError as error:
            status = 422 if isinstance(error, UserError) else 503
            return preview_page(
                request, operator, form, draft, address=address, problem="\n".join(error.lines), status=status
            )
        # Not redirected: what was written is not stored.
        return preview_page(request, operator, form, draft, address=address, sent_to=address)

    @router.get("/{row}")
    def show(request: Request, row: Row, operator: Annotated[Operator, may_view]) -> Response:
        return show_page(request, operator, row)

    @router.post("/{row}/{change}", dependencies=[SameOrigin])
    def change(
        request: Request,
        row: Row,
        change: Literal["pause", "resume", "cancel"],
        operator: Annotated[Operator, may_change],
        form: Posted,
    ) -> Response:
        with reading(context.engine) as connection:
            if _announcement(mailings.by_row(connection, row)) is None:
                return _not_there(site, request, operator)
        if change == "cancel" and not text(form, "confirmed"):
            return show_page(request, operator, row, "Tick the box to cancel the announcement.", 422)
        try:
            _CHANGES[change](context, row, operator.name)
        except UserError as error:
            return show_page(request, operator, row, "\n".join(error.lines), 409)
        return done(f"{_OWN}/{row}", change)

    return router


def _announcement(mailing: Mailing | None) -> Mailing | None:
    """Return a mailing if it is an announcement: messages to single subscribers are no part of these pages."""
    return mailing if mailing is not None and mailing.kind is MailingKind.ANNOUNCEMENT else None


def _when(mailing: Mailing, zone: str) -> str:
    return time_in_words(mailing.send_at, zone, mailing.local_time)


def _not_there(site: WebContext, request: Request, operator: Operator) -> Response:
    return admin_page(site, request, operator, "missing", 404, what="This announcement does not exist.")
