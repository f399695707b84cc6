"""Response models of announcements and messages."""

from collections.abc import Mapping

from pydantic import BaseModel, Field

from newsletter.model import SendState, Subscriber
from newsletter.store.mailings import Mailing, MailingFormat, MailingState
from newsletter.web.api.schemas import Moment

_SENDS = "The number of sends in each state; empty before they are planned."


class AnnouncementResponse(BaseModel):
    """An announcement, with its progress."""

    id: int
    state: MailingState
    subject: str = Field(description="A template, if it has variables.")
    format: MailingFormat
    source: str
    to: str = Field(description="`all`, or the tag of those who get it.")
    send_at: Moment = Field(description="When it is due; with `local_time`, what the clock of each reader shows then.")
    local_time: bool
    paused_at: Moment | None = Field(description="Since when it is paused.")
    created_at: Moment
    created_by: str = Field(description="An operator, `token NAME` or `command line`.")
    settled_at: Moment | None = Field(description="When it was sent or cancelled.")
    sends: dict[SendState, int] = Field(description=_SENDS)


def announcement_response(mailing: Mailing, sends: Mapping[SendState, int]) -> AnnouncementResponse:
    """Convert a stored announcement, with the number of its sends in each state."""
    own = ("state", "subject", "format", "source", "local_time", "created_by")
    moments = ("send_at", "paused_at", "created_at", "settled_at")
    values = {name: getattr(mailing, name) for name in (*own, *moments)}
    return AnnouncementResponse(id=mailing.row, to=mailing.tag or "all", sends=dict(sends), **values)


class AnnouncementPage(BaseModel):
    """Announcements, newest first."""

    announcements: list[AnnouncementResponse]
    next: int | None = Field(description="The value of `before` for the next page; null on the last one.")


class AnnouncementPreview(BaseModel):
    """A rendered text: subject, HTML part and text part."""

    subject: str
    html: str
    text: str


class TestSent(BaseModel):
    """A test that the mail server accepted."""

    email: str
    message_id: str


class Cancelled(BaseModel):
    """What became of the sends of a cancelled announcement."""

    cancelled: int = Field(description="Sends that were waiting.")
    on_wire: int = Field(description="Sends that are under way and were not cancelled.")
    announcement: AnnouncementResponse


class MessageResponse(BaseModel):
    """A message to one subscriber."""

    id: int
    state: MailingState = Field(description="`sending` until the send is settled.")
    template: str = Field(description="The file in `messages/` of the templates.")
    subject: str
    subscriber: int
    email: str
    created_at: Moment
    created_by: str
    settled_at: Moment | None
    sends: dict[SendState, int] = Field(description="Its one send, by state.")


def message_response(mailing: Mailing, subscriber: Subscriber, sends: Mapping[SendState, int]) -> MessageResponse:
    """Convert a stored message to a subscriber, with the number of sends in each state."""
    return MessageResponse(
        id=mailing.row,
        state=mailing.state,
        template=mailing.name,
        subject=mailing.subject,
        subscriber=subscriber.row,
        email=subscriber.email,
        created_at=mailing.created_at,
        created_by=mailing.created_by,
        settled_at=mailing.settled_at,
        sends=dict(sends),
    )
