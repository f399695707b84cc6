"""The data model: papers, subscribers, interests, digests and sends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum

from newsletter.support.collection_paths import is_chosen


class PaperStatus(StrEnum):
    """Why a paper should no longer be relied on; such a paper is no candidate."""

    WITHDRAWN = "withdrawn"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A research paper, as one source lists it or as the store has merged it from several.

    Attributes:
        id: the public id of the paper, assigned once by the store and never changed: its arXiv id, or else its DOI, or
            else a digest of its title; empty before the paper is stored.
        row: the store's own number for it, 0 before it is stored.
        author_count: the number of authors if a source gives it without naming them; otherwise the length of
            ``authors``.
        venue: the journal or conference it is published in.
        arxiv_id: without its version, which is in ``version``.
        other_ids: its other identifiers, such as the DOI of its journal version or ``pmid:123``, each in the form of
            :func:`newsletter.support.identifiers.normal_id`.
        status: whether it was withdrawn or retracted; None if not.
        version_day: the day of this version, if a source says so; it is not stored.
        published: the day of the first version. ``listed_on``: the day a Daily Papers page listed it.
        links: its other web pages, besides ``url``.
        summary: a short summary given by the source. ``summary_by``: the name of who made it, if the source says so.
        thumbnail_url: an image of the paper that the source has (https).
        keywords: given by the source.
        upvotes, comments: counts of the community; None if no source has them.
        sources: the names of the sources that list it.
        first_seen: when it first reached the store (aware, UTC).
    """

    title: str
    abstract: str = ""
    authors: tuple[str, ...] = ()
    author_count: int | None = None
    organization: str | None = None
    venue: str | None = None
    arxiv_id: str | None = None
    version: int | None = None
    version_day: date | None = field(default=None, compare=False)
    doi: str | None = None
    other_ids: tuple[str, ...] = ()
    status: PaperStatus | None = None
    published: date | None = None
    listed_on: date | None = None
    categories: tuple[str, ...] = ()
    url: str | None = None
    pdf_url: str | None = None
    code_url: str | None = None
    code_stars: int | None = None
    project_url: str | None = None
    links: tuple[str, ...] = ()
    summary: str | None = None
    summary_by: str | None = None
    thumbnail_url: str | None = None
    keywords: tuple[str, ...] = ()
    upvotes: int | None = None
    comments: int | None = None
    sources: tuple[str, ...] = ()
    first_seen: datetime | None = None
    id: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class PaperRef:
    """A reference to a stored paper: ``row``, ``id`` and ``title`` as in :class:`Paper`."""

    row: int
    id: str
    title: str


@dataclass(frozen=True, slots=True)
class SkippedPaper:
    """An entry of a source that could not be parsed as a paper: ``where`` it was and ``why`` it was skipped."""

    where: str
    why: str


class EventKind(StrEnum):
    """What may become of a paper after it came out."""

    PUBLISHED = "published"
    REVISED = "revised"
    CORRECTED = "corrected"
    CONCERN = "concern"
    WITHDRAWN = "withdrawn"
    RETRACTED = "retracted"

    @property
    def is_warning(self) -> bool:
        """Whether it says that the paper should not be relied on, or perhaps not."""
        return self in (EventKind.CONCERN, EventKind.WITHDRAWN, EventKind.RETRACTED)


class WebhookKind(StrEnum):
    """What may happen to a subscriber or a send, as the endpoints of webhooks are told."""

    SUBSCRIBER_CREATED = "subscriber.created"
    SUBSCRIBER_CONFIRMED = "subscriber.confirmed"
    SUBSCRIBER_CHANGED = "subscriber.changed"
    SUBSCRIBER_PAUSED = "subscriber.paused"
    SUBSCRIBER_RESUMED = "subscriber.resumed"
    SUBSCRIBER_UNSUBSCRIBED = "subscriber.unsubscribed"
    SUBSCRIBER_BOUNCED = "subscriber.bounced"
    SUBSCRIBER_COMPLAINED = "subscriber.complained"
    SUBSCRIBER_FORGOTTEN = "subscriber.forgotten"
    SUBSCRIBER_TAGGED = "subscriber.tagged"
    SEND_SENT = "send.sent"
    SEND_DEFERRED = "send.deferred"
    SEND_FAILED = "send.failed"
    SEND_BOUNCED = "send.bounced"
    SEND_COMPLAINED = "send.complained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a source says became of a paper. It matters only if the paper is in the store.

    Attributes:
        of: identifiers of the paper, as in :attr:`Paper.other_ids`; one that is known is enough.
        day: when it happened.
        venue: the journal or conference it was published in.
        doi, url: of what was published: the journal version, or the notice of the correction or retraction.
        version: the number of the new version.
        paper: the paper as it is now, with which the stored one is brought up to date.
    """

    kind: EventKind
    of: tuple[str, ...]
    day: date | None = None
    venue: str | None = None
    doi: str | None = None
    url: str | None = None
    version: int | None = None
    paper: Paper | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperEvent:
    """What became of a stored paper.

    Attributes:
        row: the store's number for the event, 0 before it is stored. ``paper``: the row of the paper.
        day, venue, doi, url, version: as in :class:`Notice`.
        former_title: the title before a revision that changed it.
        added, removed: the sentences that a revision brought into the abstract or took out of it.
        source: the name of the source that said so.
        seen_at: when it reached the store (UTC).
    """

    kind: EventKind
    paper: int
    seen_at: datetime
    day: date | None = None
    venue: str | None = None
    doi: str | None = None
    url: str | None = None
    version: int | None = None
    former_title: str | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    source: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class PaperUpdate:
    """An event with its paper, as a digest reports it to a subscriber who was sent or saved the paper.

    Attributes:
        sent_on: the edition in which the subscriber was first sent the paper; None if never before the event.
        saved: whether the subscriber had saved it before the event.
    """

    paper: Paper
    event: PaperEvent
    sent_on: date | None = None
    saved: bool = False


class Day(StrEnum):
    """A day of the week as written in a schedule, Monday first as in :meth:`datetime.date.weekday`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Layout(StrEnum):
    """How a digest shows its papers: the first in full and the rest by title, all in brief, or all by title."""

    FULL = "full"
    COMPACT = "compact"
    TITLES = "titles"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a subscriber wants the digest: days and time of day in the subscriber's own time zone (IANA name)."""

    days: tuple[Day, ...] = (Day.MON, Day.TUE, Day.WED, Day.THU, Day.FRI)
    time: time = time(7, 30)
    timezone: str = "UTC"


class LibraryKind(StrEnum):
    """Where a reader's library is."""

    ZOTERO_USER = "zotero:user"
    ZOTERO_GROUP = "zotero:group"
    FILE = "file"
    UPLOAD = "upload"
    ORCID = "orcid"
    OPENALEX = "openalex"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryRef:
    """A reference to a library that an interest names.

    Attributes:
        id: of the user, group, person or author; the path of a file; the name of an uploaded file.
        collections: the collections of a Zotero library that count, as paths such as ``Papers/*``; empty for all.
        key: where the key of a Zotero library is: ``env:`` and the name of an environment variable, ``keyring``,
            ``stored`` if only the stored one counts, as for a library that was added on the site, or empty for the
            stored one or that of the environment. Never the key itself.
    """

    kind: LibraryKind
    id: str
    collections: tuple[str, ...] = ()
    key: str = ""

    @property
    def address(self) -> str:
        """The library in one word, as commands take it: ``zotero:user/123``, ``orcid:0000-0002-1825-0097``."""
        zotero = self.kind in (LibraryKind.ZOTERO_USER, LibraryKind.ZOTERO_GROUP)
        return f"{self.kind}{'/' if zotero else ':'}{self.id}"

    def keeps(self, collections: Sequence[str]) -> bool:
        """Return whether a paper in these collections (by path) counts. ``Papers/*`` is all that is below Papers."""
        return not self.collections or any(is_chosen(path, self.collections) for path in collections)


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryItem:
    """A paper of a library.

    Attributes:
        key: of the item in its library.
        paper: its bibliographic data; it has no row or id, since it is not a paper of the newsletter.
        collections: the paths of the collections that it is in, such as ``Papers/Chemistry``.
        row: the store's number for the item, 0 before it is stored. ``library``: that of its library.
    """

    key: str
    paper: Paper
    collections: tuple[str, ...] = ()
    row: int = 0
    library: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """A named interest of a subscriber.

    Attributes:
        text: free text, as one would describe it to a colleague.
        keywords: words or phrases, each with a weight (usually 1).
        liked, disliked: papers by id, URL or title, as the subscriber wrote them.
        libraries: the reader's own collections of papers, which count as liked and are never sent.
        weight: the share of the digest relative to the subscriber's other interests (usually 1).
    """

    name: str
    text: str = ""
    keywords: Mapping[str, float] = field(default_factory=dict)
    liked: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    libraries: tuple[LibraryRef, ...] = ()
    weight: float = 1.0


class AlertKind(StrEnum):
    """What an alert looks for."""

    QUERY = "query"
    AUTHOR = "author"
    INSTITUTION = "institution"
    CITES = "cites"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What a subscriber must not miss: papers that match a query, are by a person or an institution, or cite a paper.

    Attributes:
        value: the query, the name of the person or institution (empty if only the identifier is known), or the DOI or
            arXiv id of the cited paper.
        identifier: the ORCID iD of a person or the ROR id of an institution, in its bare form; None if unknown.
        name: what the subscriber calls it, shown instead of the value; usually empty.
        always: whether it shows papers that never-words or never-authors would hide.
    """

    kind: AlertKind
    value: str
    identifier: str | None = None
    name: str = ""
    always: bool = False


@dataclass(frozen=True, slots=True)
class AlertHit:
    """Why an alert finds a paper: the ``reason`` as an email shows it, and the alert's ``always``."""

    reason: str
    always: bool = False


class SubscriberState(StrEnum):
    """The state of a subscriber; only active ones get mail."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """A subscriber's preferences: everything that a file in ``subscribers/`` may contain.

    Attributes:
        papers: the maximum number of papers in a digest.
        trending: the maximum number of papers in Trending; None for that of the newsletter.
        layout: of the digests; None for that of the newsletter.
        never: words and phrases; papers with one in the title or abstract are hidden.
        never_authors: people whose papers are hidden, by name.
        alerts: what the subscriber must not miss, in addition to the papers chosen for the interests.
        updates: which events to report, of papers that the subscriber was sent or saved.
        announcements: whether the subscriber gets what is written to all, besides digests.
    """

    email: str
    name: str = ""
    schedule: Schedule = Schedule()
    papers: int = 10
    trending: int | None = None
    layout: Layout | None = None
    interests: tuple[Interest, ...] = ()
    never: tuple[str, ...] = ()
    never_authors: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    updates: tuple[EventKind, ...] = tuple(EventKind)
    announcements: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """An email address with its preferences, its state and its history.

    Attributes:
        row: the store's number for the subscriber.
        file: the name of the file in ``subscribers/`` that has the preferences, None without one.
        next_due: when the next digest is due (UTC), None unless active.
        last_digest: when the last digest that was sent was ranked (UTC), None before the first.
        seen_row: the highest paper row considered then; papers above it are new to the subscriber.
        paused_until: when the pause ends automatically (UTC); None for a pause without an end, and without one.
        unlogged_row: papers up to this row may have been sent without the log having them, since the operator marked a
            digest as sent.
        link_version: how many times all links were revoked; only links made for this version work.
        damage: what was unreadable in the stored preferences and replaced by defaults; None: nothing.
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
    unlogged_row: int = 0
    damage: str | None = None

    @property
    def email(self) -> str:
        """The address, as written by the subscriber."""
        return self.preferences.email


@dataclass(frozen=True, slots=True)
class DigestItem:
    """A paper chosen for a subscriber, with its rank (1 is first), its score and the reason.

    Attributes:
        earlier: whether it was a candidate for an earlier digest already.
    """

    paper: Paper
    rank: int
    score: float
    section: str
    because: str
    earlier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A subscriber's digest in one edition.

    Attributes:
        edition: the day of the edition, in the subscriber's time zone.
        choices: the chosen papers; those of one section are adjacent, ranks count through from 1.
        considered: the number of new candidates. ``since``: the time from which they were first seen (UTC), None for a
            first digest.
        seen_row: the highest paper row considered.
        updates: what became of papers that the subscriber was sent or saved, oldest event first.
    """

    edition: date
    choices: tuple[DigestItem, ...]
    considered: int
    since: datetime | None
    seen_row: int
    updates: tuple[PaperUpdate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message ready to send.

    Attributes:
        sender, recipient: the envelope addresses.
        message_id: as in the header, with angle brackets.
        content: the whole message, headers and body, with CRLF line ends.
    """

    sender: str
    recipient: str
    message_id: str
    content: bytes


class SendState(StrEnum):
    """The state of one message to one subscriber.

    planned → claimed → sent | deferred | failed | unsure; skipped if there was nothing to send.
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
        attempts: how many times the message was on the wire.
        smtp_reply: the server's answer, verbatim.
        reason: why the send was skipped, deferred, failed or is unsure.
        mailing: the row of the announcement or message that it carries; None for a digest.
        no_papers: why its digest has no papers, for a message that says so; None for others.
        after_row: the highest paper row considered before; papers up to it are not new in this digest.
        model_version: the version of the space that the digest was ranked in.
        account: the account it was last sent through.
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
    mailing: int | None = None
    no_papers: str | None = None
    after_row: int | None = None
    model_version: str | None = None
    account: str | None = None


class Role(StrEnum):
    """What an operator may do on the admin site; each role may do all that those before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"

    def includes(self, needed: "Role") -> bool:
        """Return whether it may do what ``needed`` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Scope(StrEnum):
    """What a program may do with an API token."""

    READ = "read"
    METRICS = "metrics"
    SUBSCRIBERS_WRITE = "subscribers:write"
    ANNOUNCEMENTS_WRITE = "announcements:write"
    MESSAGES_WRITE = "messages:write"
