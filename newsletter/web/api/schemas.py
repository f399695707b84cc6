"""Response models of the API, as documented in its OpenAPI schema."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from sqlalchemy import Connection

from newsletter.model import (
    EventKind,
    Layout,
    Paper,
    PaperStatus,
    Send,
    SendState,
    Subscriber,
    SubscriberState,
)
from newsletter.services.paper_json import papers_json
from newsletter.services.search import SearchResult
from newsletter.services.status import QueueStatus, SourceHealth
from newsletter.store.preferences import alert_json, interest_json
from newsletter.store.send_log import DIGEST, LogLine


def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


Moment = Annotated[
    datetime,
    PlainSerializer(_in_utc, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "In UTC, to the second."}),
]


class ErrorResponse(BaseModel):
    """What is wrong with a request."""

    error: str


class EventResponse(BaseModel):
    """What became of a paper: the fields of :func:`event_json`."""

    model_config = ConfigDict(extra="forbid")

    kind: EventKind
    day: date | None = Field(description="When it happened, if the source says so.")
    venue: str | None
    doi: str | None = Field(description="Of the article or the notice.")
    url: str | None = Field(description="Of the article or the notice.")
    version: int | None
    former_title: str | None
    added: list[str] = Field(description="Sentences that are new in the abstract.")
    removed: list[str] = Field(description="Sentences that are no longer in the abstract.")
    source: str
    seen_at: Moment


class PaperResponse(BaseModel):
    """A paper: the fields of :func:`papers_json`, with types for the OpenAPI document."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="An arXiv id, or else a DOI, or else an id assigned by the newsletter.")
    title: str
    abstract: str
    authors: list[str]
    author_count: int | None = Field(description="The number of authors, if a source gives it without naming them.")
    organization: str | None
    venue: str | None
    published: date | None
    listed_on: date | None = Field(description="When a Daily Papers page listed it.")
    upvotes: int | None
    comments: int | None
    categories: list[str]
    url: str | None
    sources: list[str]
    arxiv_id: str | None
    version: int | None
    doi: str | None
    other_ids: list[str] = Field(description="Such as the DOI of the journal version, or `pmid:123`.")
    status: PaperStatus | None = Field(description="Null unless it was withdrawn or retracted.")
    pdf_url: str | None
    code_url: str | None
    code_stars: int | None
    project_url: str | None
    links: list[str] = Field(description="Its other web pages.")
    summary: str | None = Field(description="The source's own summary.")
    summary_by: str | None = Field(description="Who made the summary, if the source says so.")
    thumbnail_url: str | None = Field(description="An image of the paper that its source has (https).")
    keywords: list[str]
    first_seen: Moment | None
    history: list[EventResponse] = Field(description="What became of it, oldest first.")


def paper_responses(connection: Connection, papers: Iterable[Paper]) -> list[PaperResponse]:
    """Convert stored papers."""
    return [PaperResponse(**one) for one in papers_json(connection, papers)]


class PaperPage(BaseModel):
    """Papers, newest day first."""

    papers: list[PaperResponse]
    next: str | None = Field(description="The value of `after` for the next page; null on the last one.")


class Match(BaseModel):
    """A paper that was found."""

    paper: PaperResponse
    score: float = Field(ge=0, le=1, description="How well it matches.")
    because: str = Field(description="The author or identifier, and the words with the greatest weight.")


class Matches(BaseModel):
    """Papers that were found, best first."""

    papers: list[Match]


def matches(connection: Connection, found: Sequence[SearchResult]) -> Matches:
    """Convert search results."""
    papers = paper_responses(connection, [one.paper for one in found])
    return Matches(
        papers=[
            Match(paper=paper, score=round(one.score, 6), because=one.because)
            for paper, one in zip(papers, found, strict=True)
        ]
    )


class SignupStatus(BaseModel):
    """The result of a sign-up request."""

    status: str


class ScheduleResponse(BaseModel):
    """When a subscriber wants the digest: days and local time of day."""

    days: list[str]
    time: str
    timezone: str


class InterestResponse(BaseModel):
    """An interest of a subscriber; one that names libraries also has them, under the keys of subscriber files."""

    model_config = ConfigDict(extra="allow")

    name: str
    text: str
    keywords: dict[str, float]
    liked: list[str]
    disliked: list[str]
    authors: list[str]
    categories: list[str]
    weight: float


class SubscriberResponse(BaseModel):
    """A subscriber."""

    id: int
    email: str
    state: SubscriberState
    state_since: Moment | None
    name: str
    schedule: ScheduleResponse
    papers: int
    trending: int | None = Field(description="Papers in Trending; null for the newsletter's number.")
    layout: Layout | None = Field(description="Of the digests; null for the newsletter's own.")
    interests: list[InterestResponse]
    never: list[str]
    never_authors: list[str]
    alerts: list[dict[str, Any]] = Field(description="As in subscriber files.")
    updates: list[EventKind] = Field(description="Which events of papers that they were sent or saved are told.")
    announcements: bool = Field(description="Whether they get announcements, besides digests.")
    tags: list[str]
    consent: str = Field(description="Where and when they agreed to get mail, in words.")
    file: str | None = Field(description="The file in the subscribers' folder.")
    next_due: Moment | None
    last_digest: Moment | None
    created_at: Moment | None


def subscriber_response(subscriber: Subscriber, tags: Sequence[str], consent: str) -> SubscriberResponse:
    """Convert a stored subscriber, with tags and consent."""
    wants = subscriber.preferences
    return SubscriberResponse(
        id=subscriber.row,
        email=subscriber.email,
        state=subscriber.state,
        state_since=subscriber.state_since,
        name=wants.name,
        schedule=ScheduleResponse(
            days=[day.value for day in wants.schedule.days],
            time=f"{wants.schedule.time:%H:%M}",
            timezone=wants.schedule.timezone,
        ),
        papers=wants.papers,
        trending=wants.trending,
        layout=wants.layout,
        interests=[InterestResponse(**interest_json(one)) for one in wants.interests],
        never=list(wants.never),
        never_authors=list(wants.never_authors),
        alerts=[alert_json(one) for one in wants.alerts],
        updates=list(wants.updates),
        announcements=wants.announcements,
        tags=list(tags),
        consent=consent,
        file=subscriber.file,
        next_due=subscriber.next_due,
        last_digest=subscriber.last_digest,
        created_at=subscriber.created_at,
    )


class SubscriberPage(BaseModel):
    """Subscribers, in the order in which they joined."""

    subscribers: list[SubscriberResponse]
    next: int | None = Field(description="The value of `after` for the next page; null on the last one.")


class EditionResponse(BaseModel):
    """An edition, with the number of its sends in each state."""

    edition: date
    sends: dict[SendState, int]


class EditionPage(BaseModel):
    """Editions, newest first."""

    editions: list[EditionResponse]
    next: date | None = Field(description="The value of `before` for the next page; null on the last one.")


class LoggedPaperResponse(BaseModel):
    """A paper of a digest."""

    id: str
    rank: int
    score: float
    section: str


class SendResponse(BaseModel):
    """A line of the log."""

    id: int
    edition: date
    subscriber: int
    email: str
    state: SendState
    kind: str = Field(description="`digest`, `announcement` or `message`.")
    subject: str | None = Field(description="That of an announcement or a message; null for a digest.")
    message_id: str
    planned_at: Moment
    settled_at: Moment | None
    not_before: Moment | None = Field(description="When a planned or deferred send may go.")
    attempts: int
    account: str | None
    smtp_reply: str | None
    reason: str | None = Field(description="Why nothing was sent, or why the digest has no papers.")
    model_version: str | None
    papers: list[LoggedPaperResponse]


def send_response(line: LogLine) -> SendResponse:
    """Convert a line of the log."""
    send: Send = line.send
    others = ("id", "papers", "kind", "subject")
    own = {name: getattr(send, name) for name in SendResponse.model_fields if name not in others}
    papers = [
        LoggedPaperResponse(id=one.id, rank=one.rank, score=round(one.score, 6), section=one.section)
        for one in line.papers
    ]
    own |= {"reason": send.reason or send.no_papers, "kind": line.kind or DIGEST, "subject": line.subject}
    return SendResponse(id=send.row, papers=papers, **own)


class SendPage(BaseModel):
    """Lines of the log, in the order in which they were planned."""

    sends: list[SendResponse]
    next: int | None = Field(description="The value of `after` for the next page; null on the last one.")


class WaitingResponse(BaseModel):
    """Sends in one state: how many, and when the oldest was planned."""

    count: int
    since: Moment


class DeferredResponse(BaseModel):
    """Sends that were deferred for one reason, and when the first and the last may go."""

    reason: str
    count: int
    first: Moment
    last: Moment


class PauseResponse(BaseModel):
    """When the operator paused all sending, and why."""

    since: Moment
    reason: str


class SetAsideResponse(BaseModel):
    """An account whose server refused too many messages."""

    account: str
    since: Moment
    reason: str
    next_test: Moment | None = Field(description="When the next test message may be sent through it.")


class QueueResponse(BaseModel):
    """What is waiting to be sent, and what holds it up."""

    waiting: dict[SendState, WaitingResponse]
    put_off: list[DeferredResponse]
    holds: dict[str, Moment] = Field(description="Accounts and domains whose servers throttle us, and until when.")
    overdue: int = Field(description="Active subscribers whose digest is overdue.")
    next_tick: Moment | None
    pause: PauseResponse | None
    set_aside: list[SetAsideResponse]


def queue_response(queue: QueueStatus) -> QueueResponse:
    """Convert the status of the queue."""
    return QueueResponse(
        waiting={state: WaitingResponse(**asdict(one)) for state, one in queue.waiting.items()},
        put_off=[DeferredResponse(**asdict(one)) for one in queue.put_off],
        holds=dict(queue.holds),
        overdue=queue.overdue.count if queue.overdue is not None else 0,
        next_tick=queue.next_tick,
        pause=PauseResponse(**asdict(queue.pause)) if queue.pause is not None else None,
        set_aside=[
            SetAsideResponse(
                account=one.account,
                since=one.opened_at or one.counted_at,
                reason=one.reason or "",
                next_test=one.probe_at,
            )
            for one in queue.set_aside
        ],
    )


class SourceResponse(BaseModel):
    """The status of a source."""

    name: str
    kind: str | None = Field(description="Null if config.yaml no longer has it.")
    last_try: Moment | None = None
    last_success: Moment | None = None
    papers: int | None = Field(default=None, description="Of the last success.")
    new_papers: int | None = None
    bad_papers: int | None = None
    error: str | None = Field(default=None, description="Of the last attempt.")


def source_response(source: SourceHealth) -> SourceResponse:
    """Convert the status of a source."""
    record: Mapping[str, Any] = asdict(source.record) if source.record is not None else {}
    return SourceResponse(**{**record, "name": source.name, "kind": source.kind})


class Stats(BaseModel):
    """The status of the newsletter."""

    now: Moment
    papers: int
    subscribers: dict[SubscriberState, int]
    sends: dict[SendState, int] = Field(description="In the log.")
    returns: dict[str, int] = Field(description="Bounces and complaints, by kind.")
    queue: QueueResponse
    sources: list[SourceResponse]
