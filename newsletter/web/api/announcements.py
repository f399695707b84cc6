"""The JSON API of announcements: what programs write to all subscribers or to those with a tag."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field, model_validator
from sqlalchemy import Connection

from newsletter.model import Scope
from newsletter.services import announcements
from newsletter.services.announcements import MailingDraft, draft_from_text
from newsletter.store import mailings, reading
from newsletter.store.mailings import Mailing, MailingFormat, MailingKind
from newsletter.store.tokens import Token
from newsletter.web.api.bodies import Address, Body, ClockTime, Line, Tag, YesOrNo, as_clock_time, as_utc
from newsletter.web.api.idempotency import Finish, OptionalKey, Request, answer_once
from newsletter.web.api.mailing_schemas import (
    AnnouncementPage,
    AnnouncementPreview,
    AnnouncementResponse,
    Cancelled,
    TestSent,
    announcement_response,
)
from newsletter.web.api.problems import READ_ERRORS, WRITE_ERRORS, as_responses
from newsletter.web.api.public import Limit, Parameters
from newsletter.web.auth import check_scope, limited
from newsletter.web.context import WebContext

_KIND = MailingKind.ANNOUNCEMENT
_HIGHEST = 2**31 - 1
_SOURCE = "# New layout\n\n{{ greeting }} digests have a **new layout** from Monday on."

AnnouncementId = Annotated[int, Path(ge=0, le=_HIGHEST, description="The number of the announcement.")]


class Draft(Body):
    """The text of an announcement, with the variables of templates."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"source": _SOURCE}]})

    source: str = Field(min_length=1, max_length=500_000, description="Markdown or MJML.")
    format: MailingFormat = MailingFormat.MARKDOWN
    subject: Line = Field("", max_length=200, description="Replaces the heading or the title of the text.")

    def draft(self) -> MailingDraft:
        """Return it as the use cases take it."""
        return draft_from_text(self.source, self.format, self.subject)


class Preview(Draft):
    """A text to show, and for whom."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"source": _SOURCE}]})

    subscriber: int | None = Field(
        None, ge=0, le=_HIGHEST, strict=True, description="The id of a reader; null for a made-up one."
    )


class TestSend(Draft):
    """A text to send as a test."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"source": _SOURCE, "email": "ada@example.org"}]})

    email: Address = Field(description="Any address that is not suppressed.")


class NewAnnouncement(Draft):
    """An announcement, who gets it, and when."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"source": _SOURCE, "to": "all", "at": "2126-01-07T09:00:00", "local_time": True}]
        }
    )

    to: Tag = Field(description="`all`, or a tag: only subscribers who have it.")
    at: ClockTime | None = Field(
        None, description="When it is due; null: now. With its offset from UTC, or without one if `local_time` is true."
    )
    local_time: YesOrNo = Field(False, description="`at` is what the clock of each subscriber's time zone shows.")

    @model_validator(mode="after")
    def _has_a_clear_time(self) -> Self:
        if self.local_time and self.at is None:
            raise ValueError("local_time: needs the time; add 'at'")
        if self.at is not None and self.local_time != (self.at.tzinfo is None):
            fix = "drop the offset, since 'local_time' is true" if self.local_time else "add an offset, such as Z"
            raise ValueError(f"at: {fix}")
        return self

    @property
    def send_at(self) -> datetime | None:
        """When it is due, as :class:`MailingDraft` has it."""
        if self.at is None:
            return None
        return as_clock_time(self.at) if self.local_time else as_utc(self.at)


class ListQuery(Parameters):
    """Paging of announcements."""

    limit: Limit = 30
    before: int | None = Field(None, ge=0, le=_HIGHEST, description="The `next` of the previous page.")


def routes(site: WebContext) -> APIRouter:
    """Create the router."""
    context = site.context
    may_read, may_write = limited(site, Scope.READ), limited(site, Scope.ANNOUNCEMENTS_WRITE)
    router = APIRouter(prefix="/api/announcements", tags=["announcements"])

    @router.get("", responses=READ_ERRORS, dependencies=[may_read])
    def list_announcements(asked: Annotated[ListQuery, Query()]) -> AnnouncementPage:
        """List the announcements, newest first, with their progress."""
        with reading(context.engine) as connection:
            found = mailings.page(connection, asked.before, asked.limit + 1, _KIND)
            shown = found[: asked.limit]
            counts = mailings.counts(connection, [one.row for one in shown])
        following = shown[-1].row if len(found) > len(shown) else None
        return AnnouncementPage(
            announcements=[announcement_response(one, counts[one.row]) for one in shown], next=following
        )

    @router.get("/{id:int}", responses=READ_ERRORS, dependencies=[may_read])
    def show_announcement(id: AnnouncementId) -> AnnouncementResponse:
        """Return an announcement with its text and its progress: the number of sends in each state."""
        with as_responses():
            return _shown(id)

    def _shown(id: int) -> AnnouncementResponse:
        with reading(context.engine) as connection:
            found = announcements.find(connection, id, _KIND)
            return announcement_response(found, announcements.progress(connection, found))

    @router.post("", status_code=201, response_model=AnnouncementResponse, responses=WRITE_ERRORS)
    def create_announcement(
        asked: NewAnnouncement, token: Annotated[Token, may_write], key: OptionalKey = None
    ) -> JSONResponse:
        """Create an announcement to all active subscribers or to those with a tag. It is sent when it is due.

        Subscribers who turned announcements off do not get it. Errors in the text are found now, with their line.
        """

        def execute(finish: Finish) -> AnnouncementResponse:
            draft = announcements.addressed(asked.draft(), asked.to, asked.send_at, asked.local_time)

            def created(connection: Connection, mailing: Mailing) -> None:
                finish(connection, announcement_response(mailing, {}), None)

            mailing = announcements.create(context, draft, token.actor, created)
            return announcement_response(mailing, {})

        with as_responses():
            return answer_once(Request(context, token, "create_announcement", asked, key), 201, execute)

    @router.post("/preview", responses=WRITE_ERRORS)
    def preview_announcement(asked: Preview, token: Annotated[Token, may_write]) -> AnnouncementPreview:
        """Show how a text would look, for a made-up reader or for a subscriber. Links for that reader do nothing.

        To see it as a subscriber, the token needs the scope `read` too.
        """
        if asked.subscriber is not None:
            check_scope(token, Scope.READ)
        with as_responses():
            reader = announcements.reader_like(context, asked.subscriber)
            subject, html, text = announcements.preview(context, asked.draft(), reader)
        return AnnouncementPreview(subject=subject, html=html, text=text)

    @router.post("/test", responses=WRITE_ERRORS)
    def test_announcement(asked: TestSend, token: Annotated[Token, may_write]) -> TestSent:
        """Send a text to one address as a test, now. The links for its reader do nothing. It is not in the log."""
        with as_responses():
            message = announcements.send_test(context, asked.draft(), asked.email, token.actor)
        return TestSent(email=message.recipient, message_id=message.message_id)

    @router.post("/{id:int}/pause", responses=WRITE_ERRORS)
    def pause_announcement(id: AnnouncementId, token: Annotated[Token, may_write]) -> AnnouncementResponse:
        """Pause an announcement: nothing more of it is sent. Messages that are being sent are finished."""
        with as_responses():
            announcements.pause(context, id, token.actor, _KIND)
            return _shown(id)

    @router.post("/{id:int}/resume", responses=WRITE_ERRORS)
    def resume_announcement(id: AnnouncementId, token: Annotated[Token, may_write]) -> AnnouncementResponse:
        """End the pause of an announcement. What became due meanwhile is sent now."""
        with as_responses():
            announcements.resume(context, id, token.actor, _KIND)
            return _shown(id)

    @router.post("/{id:int}/cancel", responses=WRITE_ERRORS)
    def cancel_announcement(id: AnnouncementId, token: Annotated[Token, may_write]) -> Cancelled:
        """Cancel an announcement: nobody else gets it."""
        with as_responses():
            cancelled, on_wire = announcements.cancel(context, id, token.actor, _KIND)
            return Cancelled(cancelled=cancelled, on_wire=on_wire, announcement=_shown(id))

    return router
