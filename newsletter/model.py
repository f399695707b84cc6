"""The words of the project as plain data: papers, subscribers, interests, digests and sends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A research paper, as one source tells it or as the store has merged it from several.

    Attributes:
        id: the public name of the paper, given once by the store and never changed: its arXiv id, else its DOI,
            else a digest of its title; empty before the paper is stored.
        row: the store's own number for it, 0 before it is stored.
        author_count: how many authors, where a source says so without naming them; else the length of ``authors``.
        arxiv_id: without its version; ``version`` holds that.
        published: the day of the first version. ``listed_on``: the day a Daily Papers page listed it.
        summary: a short summary that the source itself gives. ``keywords``: likewise.
        upvotes, comments: counts of the community; None where no source has told.
        sources: the names of the sources that have told of it.
        first_seen: when the store first heard of it (aware, UTC).
    """

    title: str
    abstract: str = ""
    authors: tuple[str, ...] = ()
    author_count: int | None = None
    organization: str | None = None
    arxiv_id: str | None = None
    version: int | None = None
    doi: str | None = None
    published: date | None = None
    listed_on: date | None = None
    categories: tuple[str, ...] = ()
    url: str | None = None
    pdf_url: str | None = None
    code_url: str | None = None
    code_stars: int | None = None
    project_url: str | None = None
    summary: str | None = None
    keywords: tuple[str, ...] = ()
    upvotes: int | None = None
    comments: int | None = None
    sources: tuple[str, ...] = ()
    first_seen: datetime | None = None
    id: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class PaperRef:
    """A stored paper as it is spoken of, without what it says: ``row``, ``id`` and ``title`` as :class:`Paper` has."""

    row: int
    id: str
    title: str


@dataclass(frozen=True, slots=True)
class SkippedPaper:
    """What a source could not read as a paper: ``where`` it stood and ``why`` it was left out."""

    where: str
    why: str


class Day(StrEnum):
    """A day of the week as a schedule names it, Monday first as in :meth:`datetime.date.weekday`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a subscriber wants the digest: days and time of day in the subscriber's own time zone (IANA name)."""

    days: tuple[Day, ...] = (Day.MON, Day.TUE, Day.WED, Day.THU, Day.FRI)
    time: time = time(7, 30)
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """One named thing a subscriber follows.

    Attributes:
        text: free text, as one would describe it to a colleague.
        keywords: words or phrases with a weight each, 1 being usual.
        liked, disliked: papers by id, URL or title, as the subscriber wrote them.
        weight: the share of the digest beside the subscriber's other interests, 1 being usual.
    """

    name: str
    text: str = ""
    keywords: Mapping[str, float] = field(default_factory=dict)
    liked: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    weight: float = 1.0


class SubscriberState(StrEnum):
    """Whether a subscriber gets mail: only an active one does."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What a subscriber decides: all that a file in ``subscribers/`` may say.

    Attributes:
        papers: how many papers a digest holds at most.
        never: words and phrases; a paper that has one in its title or abstract is not shown.
    """

    email: str
    name: str = ""
    schedule: Schedule = Schedule()
    papers: int = 10
    interests: tuple[Interest, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """An email address with its preferences, its state and what the store remembers of it.

    Attributes:
        row: the store's number for the subscriber.
        file: the name of the file in ``subscribers/`` that is home to the preferences, None without one.
        next_due: when the next digest is due (UTC), None for who is not active.
        last_digest: when the last digest that was sent was made up (UTC), None before the first.
        seen_row: the highest paper row that stood for choice then; what is new to the subscriber lies above it.
        paused_until: when the pause ends by itself (UTC); None for one that is ended by hand, and without one.
        link_version: how often all links were signed out; only those made in this version work.
        damage: what the store could not read of the preferences, which are the defaults there; None: nothing.
    """

    preferences: Preferences
    state: SubscriberState
    row: int
    file: str | None = None
    next_due: datetime | None = None
    last_digest: datetime | None = None
    seen_row: int = 0
    created_at: datetime | None = None
    state_since: datetime | None = None
    paused_until: datetime | None = None
    link_version: int = 0
    damage: str | None = None

    @property
    def email(self) -> str:
        """The address, as the subscriber writes it."""
        return self.preferences.email


@dataclass(frozen=True, slots=True)
class DigestItem:
    """A paper chosen for a subscriber, with its place (1 is first), its score and the reason."""

    paper: Paper
    rank: int
    score: float
    section: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What one subscriber gets in one edition.

    Attributes:
        edition: the day of the edition, in the subscriber's time zone.
        choices: the chosen papers; those of one section stand together, ranks run through from 1.
        considered: how many new papers stood for choice. ``since``: from when on they were first seen (UTC), None
            for a first digest.
        seen_row: the highest paper row that stood for choice.
    """

    edition: date
    choices: tuple[DigestItem, ...]
    considered: int
    since: datetime | None
    seen_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A digest ready for the wire.

    Attributes:
        sender, recipient: the envelope's addresses.
        message_id: as the header has it, with angle brackets.
        content: the whole message, headers and body, with CRLF line ends.
    """

    sender: str
    recipient: str
    message_id: str
    content: bytes


class SendState(StrEnum):
    """Where one message to one subscriber stands.

    planned → claimed → sent | deferred | failed | unsure; skipped when there was nothing to send.
    """

    PLANNED = "planned"
    CLAIMED = "claimed"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message to one subscriber in one edition: a line of the log.

    Attributes:
        not_before: for a deferred send, when to try again (UTC).
        attempts: how often the message was on the wire.
        smtp_reply: the server's words, as it said them.
        reason: why the send was skipped, deferred, failed or is unsure.
        space: the version of the space that the digest was ranked in.
        account: by which account it was on the wire last.
    """

    row: int
    edition: date
    subscriber: int
    email: str
    state: SendState
    message_id: str
    considered: int = 0
    since: datetime | None = None
    seen_row: int = 0
    planned_at: datetime
    settled_at: datetime | None = None
    not_before: datetime | None = None
    attempts: int = 0
    smtp_reply: str | None = None
    reason: str | None = None
    model_version: str | None = None
    account: str | None = None
