"""The tables, as SQLAlchemy Core knows them; ``migrations/`` upgrades a store to them."""

from datetime import date

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.engine.default import DefaultExecutionContext

from newsletter.store.column_types import Key, RowNumber, StoredJson, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _day(context: DefaultExecutionContext) -> date:
    values = context.get_current_parameters()  # type: ignore[no-untyped-call]
    day: date = values.get("listed_on") or values.get("published") or values["first_seen"].date()
    return day


papers = Table(
    "papers",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("title_key", Text, nullable=False, index=True),
    Column("abstract", Text, nullable=False),
    Column("authors", JSON, nullable=False),
    Column("author_count", Integer),
    Column("organization", Text),
    Column("venue", Text),
    Column("arxiv_id", String, unique=True),
    Column("version", Integer),
    Column("doi", String, unique=True),
    # Also in paper_identifiers, by which papers are found.
    Column("other_ids", JSON, nullable=False, server_default="[]"),
    Column("status", String),
    Column("published", Date),
    Column("listed_on", Date, index=True),
    Column("categories", JSON, nullable=False),
    Column("url", Text),
    Column("pdf_url", Text),
    Column("code_url", Text),
    Column("code_stars", Integer),
    Column("project_url", Text),
    Column("links", JSON, nullable=False, server_default="[]"),
    Column("summary", Text),
    Column("summary_by", Text),
    Column("thumbnail_url", Text),
    Column("keywords", JSON, nullable=False),
    Column("upvotes", Integer),
    Column("comments", Integer),
    Column("sources", JSON, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False, index=True),
    # Numbers the changes of texts (title, abstract, keywords), so that an index knows which papers to read again.
    Column("text_change", Integer, nullable=False, index=True, server_default="0"),
    # The row of the paper that this one was merged into, which has everything about it. None for all others.
    Column("same_as", Integer, index=True),
    # The day it came to its readers: listed, else published, else first seen (UTC).
    Column("day", Date, default=_day),
    # With all that a list of some days is put in order by, so that it is made from the index alone.
    Index(None, "day", "upvotes", "comments"),
)

paper_authors = Table(
    "paper_authors",
    metadata,
    Column("key", Key, primary_key=True),
    Column("name", Key, primary_key=True),
    Column("paper", ForeignKey("papers.row"), primary_key=True),
    # Nothing but the primary key: without row ids, SQLite stores it once.
    sqlite_with_rowid=False,
)
"""The authors of papers by the keys of their names, see :mod:`newsletter.store.paper_authors`."""

paper_identifiers = Table(
    "paper_identifiers",
    metadata,
    Column("identifier", Key, primary_key=True),
    Column("paper", ForeignKey("papers.row"), nullable=False, index=True),
)
"""Which paper has an identifier besides ``arxiv_id`` and ``doi``; an identifier belongs to one paper."""

paper_events = Table(
    "paper_events",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("paper", ForeignKey("papers.row"), nullable=False),
    Column("kind", String, nullable=False),
    # What distinguishes two events of one kind: the version, or the DOI of the correction.
    Column("key", Key, nullable=False),
    Column("day", Date),
    Column("details", JSON, nullable=False),
    Column("source", Text, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False, index=True),
    UniqueConstraint("paper", "kind", "key"),
)
"""What became of papers, see :class:`newsletter.model.PaperEvent`."""

sources = Table(
    "sources",
    metadata,
    Column("name", String, primary_key=True),
    Column("last_try", UtcDateTime, nullable=False),
    Column("last_success", UtcDateTime),
    Column("papers", Integer),
    Column("new_papers", Integer),
    Column("bad_papers", Integer),
    Column("error", Text),
)

validators = Table(
    "validators",
    metadata,
    Column("url", Text, primary_key=True),
    Column("etag", Text),
    Column("last_modified", Text),
)

subscribers = Table(
    "subscribers",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_key", Key, nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("consent", Text, nullable=False),
    Column("preferences", StoredJson, nullable=False),
    Column("file", Text, unique=True),
    Column("file_digest", String),
    Column("next_due", UtcDateTime),
    Column("last_digest", UtcDateTime),
    Column("seen_row", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state_since", UtcDateTime, nullable=False),
    # When a pause that the person made ends; one without is ended by hand.
    Column("paused_until", UtcDateTime),
    # How often the subscriber signed out all links; only those made in this version work.
    Column("link_version", Integer, nullable=False, server_default="0"),
    # Papers up to this row may have been sent without the log having them.
    Column("unlogged_row", Integer, nullable=False, server_default="0"),
    Index(None, "state", "next_due", "row"),
    Index(None, "state", "state_since"),
    Index(None, "state", "paused_until"),
    Index(None, "created_at"),
    # Signed links, return paths and Message-IDs name a subscriber by row: that of one who was forgotten is nobody's.
    sqlite_autoincrement=True,
)

sign_ups = Table(
    "sign_ups",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("email_key", Text, nullable=False, index=True),
    Column("email", Text, nullable=False),
    Column("preferences", StoredJson, nullable=False),
    Column("network", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    # When its letter is to be sent; none once that was done.
    Column("not_before", UtcDateTime, index=True),
    Column("attempts", Integer, nullable=False),
    # What is asked for, of which subscriber (by row), and the address that one wants to move to.
    Column("kind", Text, nullable=False, server_default="sign_up"),
    Column("subscriber", Integer, index=True),
    Column("new_email", Text),
    # The library that was uploaded with it: the file's name, and its content (zlib, base64) with the number of its
    # characters. A library that was left out has only a name.
    Column("library_name", Text),
    Column("library_size", Integer),
    Column("library", Text),
    # Links that confirm name one by row.
    sqlite_autoincrement=True,
)
"""What was asked for on the site and is confirmed by email: until that is done, and no longer than it can be."""

solved_challenges = Table(
    "solved_challenges",
    metadata,
    Column("digest", String, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)
"""Proof-of-work challenges that were used, until they expire: each is good for one request."""

subscriber_tags = Table(
    "subscriber_tags",
    metadata,
    Column("tag", Key, primary_key=True),
    Column("subscriber", ForeignKey("subscribers.row"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)
"""How the operator groups subscribers; they do not see it."""

mailings = Table(
    "mailings",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    # Set while an operator has stopped it for a time.
    Column("paused_at", UtcDateTime),
    Column("subject", Text, nullable=False),
    # The file or the template that it was made from; its format, and the text at that time.
    Column("name", Text, nullable=False),
    Column("format", String, nullable=False),
    Column("source", Text, nullable=False),
    # What a message has for the variables of its template.
    Column("data", JSON, nullable=False, server_default="{}"),
    # Who gets it: those with a tag, one subscriber (by row), or, with neither, all.
    Column("tag", Key),
    Column("subscriber", Integer, index=True),
    # When it is due; by a clock that shows it there, if it goes by the reader's local time.
    Column("send_at", UtcDateTime, nullable=False),
    Column("local_time", Boolean, nullable=False, server_default=false()),
    # The subscribers up to this row were considered, so that planning goes on after an interruption.
    Column("planned_row", Integer, nullable=False, server_default="0"),
    # When that ended: everybody who gets it is planned.
    Column("planned_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    # The form of the admin site that created it: posted again, it creates no other one.
    Column("form", Key, unique=True),
    Column("settled_at", UtcDateTime),
    # Sends and links name one by row.
    sqlite_autoincrement=True,
)
"""Announcements to many subscribers, and messages to one that another program asked for."""

sends = Table(
    "sends",
    metadata,
    Column("row", RowNumber, primary_key=True),
    Column("edition", Date, nullable=False),
    Column("subscriber", ForeignKey("subscribers.row"), nullable=False),
    Column("email", Text, nullable=False),
    # Of the address, in small letters: limits are kept by it.
    Column("domain", Text, nullable=False, server_default=""),
    Column("state", String, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("considered", Integer, nullable=False),
    Column("since", UtcDateTime),
    Column("seen_row", Integer, nullable=False),
    Column("planned_at", UtcDateTime, nullable=False),
    Column("claimed_at", UtcDateTime),
    Column("claimed_by", Text),
    # Since when a claimed message may be on its way to the server, and by which account it goes.
    Column("wire_at", UtcDateTime),
    Column("account", Text),
    Column("settled_at", UtcDateTime),
    Column("not_before", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("smtp_reply", Text),
    Column("reason", Text),
    # The announcement or message that it carries; none for a digest.
    Column("mailing", ForeignKey("mailings.row")),
    # Why its digest has no papers, for a message that says so.
    Column("no_papers", Text),
    # What the digest was ranked with: the version of the space, what the subscriber followed, and what was new.
    Column("model_version", String),
    Column("ranked_with", String),
    Column("after_row", Integer),
    # With the domain, so that those of another lane are passed over without a look at their rows.
    Index(None, "state", "not_before", "row", "domain"),
    Index(None, "subscriber", "state"),
    # So that editions are counted by state without a look at their rows.
    Index(None, "edition", "state", "mailing"),
)

Index(
    "ix_sends_mailing_state",
    sends.c.mailing,
    sends.c.state,
    sqlite_where=sends.c.mailing.is_not(None),
    postgresql_where=sends.c.mailing.is_not(None),
)
"""Without digests: by it, SQLite would read all of them where an index of days or subscribers is the right one."""

Index(
    "uq_sends_digest",
    sends.c.edition,
    sends.c.subscriber,
    unique=True,
    sqlite_where=sends.c.mailing.is_(None),
    postgresql_where=sends.c.mailing.is_(None),
)
"""One digest goes to one subscriber in one edition."""

Index(
    "uq_sends_mailing",
    sends.c.mailing,
    sends.c.subscriber,
    unique=True,
    sqlite_where=sends.c.mailing.is_not(None),
    postgresql_where=sends.c.mailing.is_not(None),
)
"""One mailing goes to one subscriber once."""

ranked_with = Table(
    "ranked_with",
    metadata,
    Column("subscriber", ForeignKey("subscribers.row"), primary_key=True),
    Column("digest", String, primary_key=True),
    Column("content", JSON, nullable=False),
)
"""What subscribers followed, at each time when that was another than before, by a digest of the content."""

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", Text, primary_key=True),
    Column("next_at", UtcDateTime, nullable=False),
    Column("held_until", UtcDateTime),
    Column("held_times", Integer, nullable=False),
)
"""For each account and limited domain: when the next message may go, and until when its server wants none."""

rate_limit_counts = Table(
    "rate_limit_counts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("minute", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)
"""How many messages went in each minute (since 1970, UTC), for the limits of an hour and a day."""

sending_pauses = Table(
    "sending_pauses",
    metadata,
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("since", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
)
"""One row while the operator has paused all sending, else none."""

circuit_breakers = Table(
    "circuit_breakers",
    metadata,
    Column("account", Text, primary_key=True),
    Column("refused_in_row", Integer, nullable=False),
    # Since when messages are refused in a row.
    Column("since", UtcDateTime),
    # How many were accepted and refused lately; both fade, as of the moment beside them.
    Column("accepted", Float, nullable=False),
    Column("refused", Float, nullable=False),
    Column("counted_at", UtcDateTime, nullable=False),
    # Since when the account is set aside, why, when the next test message may go by it, and how many went.
    Column("opened_at", UtcDateTime),
    Column("reason", Text),
    Column("probe_at", UtcDateTime),
    Column("probes", Integer, nullable=False),
)
"""For each account, how its server treats messages; one that refuses too many is set aside."""

feedback = Table(
    "feedback",
    metadata,
    Column("subscriber", ForeignKey("subscribers.row"), primary_key=True),
    Column("paper", ForeignKey("papers.row"), primary_key=True),
    Column("verdict", String, nullable=False),
    Column("interest", Text),
    Column("given_at", UtcDateTime, nullable=False),
)

saved_papers = Table(
    "saved_papers",
    metadata,
    Column("subscriber", ForeignKey("subscribers.row"), primary_key=True),
    Column("paper", ForeignKey("papers.row"), primary_key=True),
    Column("saved_at", UtcDateTime, nullable=False),
    # For a paper that also goes into the subscriber's Zotero library: when it was written there, the key of its item,
    # how often that was tried, when it is tried again, and why the last try failed.
    Column("exported_at", UtcDateTime),
    Column("export_key", String),
    Column("export_attempts", Integer, nullable=False, server_default="0"),
    Column("export_not_before", UtcDateTime, index=True),
    Column("export_error", Text),
)
"""The papers on the reading list of a subscriber. Kept until the subscriber removes them or is forgotten."""

libraries = Table(
    "libraries",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("subscriber", ForeignKey("subscribers.row"), nullable=False),
    Column("address", Text, nullable=False),
    # Which collections are kept: another choice needs all items again.
    Column("collections", JSON, nullable=False),
    # What the source calls its state: the version of a Zotero library, a digest of a file.
    Column("version", Text),
    # The key of a Zotero library, encrypted, and whether it allows writing.
    Column("encrypted_key", Text),
    Column("can_write", Boolean, nullable=False, server_default=false()),
    Column("tried_at", UtcDateTime),
    Column("synced_at", UtcDateTime),
    # Why the last try failed, and whether that was reported.
    Column("error", Text),
    Column("reported_at", UtcDateTime),
    UniqueConstraint("subscriber", "address"),
    sqlite_autoincrement=True,
)
"""The libraries of subscribers, by the addresses that their interests name."""

library_items = Table(
    "library_items",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("library", ForeignKey("libraries.row"), nullable=False),
    # Of the item in its library.
    Column("key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("title_key", Text, nullable=False, index=True),
    Column("abstract", Text, nullable=False),
    Column("authors", JSON, nullable=False),
    Column("arxiv_id", String, index=True),
    Column("doi", String, index=True),
    Column("published", Date),
    Column("venue", Text),
    Column("url", Text),
    Column("keywords", JSON, nullable=False),
    Column("collections", JSON, nullable=False),
    # By a sentence model (int8, base64), with a digest of the model and the text.
    Column("encoding", Text),
    Column("encoded_by", String),
    UniqueConstraint("library", "key"),
    # A row that is gone is never that of another item: past digests name items by row.
    sqlite_autoincrement=True,
)
"""The papers of libraries. They are examples of what their reader likes, no papers of the newsletter."""

openalex_works = Table(
    "openalex_works",
    metadata,
    Column("paper", ForeignKey("papers.row"), primary_key=True),
    Column("openalex_id", String),
    # Lists of {"name", "orcid"} and of {"name", "ror"}.
    Column("authors", JSON, nullable=False),
    Column("institutions", JSON, nullable=False),
    Column("checked_at", UtcDateTime, nullable=False, index=True),
)
"""What OpenAlex knows about papers: empty lists for one that it does not have yet."""

cited_works = Table(
    "cited_works",
    metadata,
    # The identifier as alerts have it: a DOI or an arXiv id.
    Column("identifier", String, primary_key=True),
    Column("openalex_id", String),
    Column("title", Text),
    Column("checked_at", UtcDateTime, nullable=False),
)
"""The papers whose citations are looked for."""

citations = Table(
    "citations",
    metadata,
    Column("cited", String, primary_key=True),
    Column("paper", ForeignKey("papers.row"), primary_key=True, index=True),
    Column("found_at", UtcDateTime, nullable=False, index=True),
)
"""Which papers cite one that an alert names (by ``cited_works.identifier``), and since when that is known."""

send_papers = Table(
    "send_papers",
    metadata,
    Column("send", ForeignKey("sends.row"), primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("subscriber", ForeignKey("subscribers.row"), nullable=False),
    Column("paper", ForeignKey("papers.row"), nullable=False),
    Column("score", Float, nullable=False),
    Column("section", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("released", Boolean, nullable=False, server_default=false()),
)

Index(
    "uq_send_papers_subscriber_paper",
    send_papers.c.subscriber,
    send_papers.c.paper,
    unique=True,
    sqlite_where=send_papers.c.released == false(),
    postgresql_where=send_papers.c.released == false(),
)
"""A paper is sent once to a subscriber; a send that failed permanently releases its papers."""

send_events = Table(
    "send_events",
    metadata,
    Column("send", ForeignKey("sends.row"), primary_key=True),
    Column("event", ForeignKey("paper_events.row"), primary_key=True),
    Column("subscriber", ForeignKey("subscribers.row"), nullable=False),
    Column("released", Boolean, nullable=False, server_default=false()),
)

Index(
    "uq_send_events_subscriber_event",
    send_events.c.subscriber,
    send_events.c.event,
    unique=True,
    sqlite_where=send_events.c.released == false(),
    postgresql_where=send_events.c.released == false(),
)
"""An event is reported once to a subscriber; a send that failed permanently releases its events."""

bounces = Table(
    "bounces",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("subscriber", ForeignKey("subscribers.row")),
    Column("send", ForeignKey("sends.row"), index=True),
    Column("kind", String, nullable=False),
    Column("status", String),
    Column("diagnostic", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False, index=True),
    Column("effect", String),
    # Of the mail itself, so that one that is read twice counts once.
    Column("digest", String, nullable=False, unique=True),
    Index(None, "subscriber", "received_at"),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("address_digest", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("since", UtcDateTime, nullable=False),
)
"""Addresses that get no mail, whoever imports them; without the addresses, so that it outlives a person forgotten."""

worker_stats = Table(
    "worker_stats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", String, primary_key=True),
    Column("number", RowNumber, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("last", UtcDateTime, nullable=False),
)
"""How many sends each process settled, by the state that they came to."""

operator_tokens = Table(
    "operator_tokens",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("digest", String, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used", UtcDateTime),
    # What it allows, such as "subscribers:write".
    Column("scopes", JSON, nullable=False),
    Column("created_by", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)
"""The tokens of programs that use the API. Of a token only a digest is kept."""

operators = Table(
    "operators",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    # The name in lower case, by which one logs in.
    Column("name_key", Key, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_login", UtcDateTime),
    sqlite_autoincrement=True,
)
"""The accounts of the admin site."""

operator_sessions = Table(
    "operator_sessions",
    metadata,
    Column("digest", String, primary_key=True),
    Column("operator", ForeignKey("operators.row", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
"""Who is logged in to the admin site. The store keeps only a digest of the cookie."""

config_reloads = Table(
    "config_reloads",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("process", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("changed", JSON, nullable=False),
    Column("needs_restart", JSON, nullable=False),
    Column("problems", JSON, nullable=False),
    sqlite_autoincrement=True,
)
audit_log = Table(
    "audit_log",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    # Who did it, such as "ada", "token crm" or "command line".
    Column("actor", Text, nullable=False),
    # What was done, such as "subscriber.pause", and to which subscriber (by row) or thing (by name).
    Column("action", String, nullable=False),
    Column("subscriber", Integer, index=True),
    Column("target", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Index(None, "actor", "row"),
    sqlite_autoincrement=True,
)
"""What operators and programs did. Lines are only ever added, until they are old."""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # Of the token that presented it, and the key itself, by a digest of both.
    Column("digest", String, primary_key=True),
    Column("request_digest", String, nullable=False),
    # A random text of the attempt that answers or answered it.
    Column("attempt", String, nullable=False),
    # The answer; null while the request is in progress.
    Column("status", Integer),
    Column("response", JSON, nullable=False, server_default="null"),
    # Whom the answer is about, so that it goes with that person's data.
    Column("subscriber", Integer, index=True),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)
"""The answers to requests of the API that may be repeated."""

provider_notices = Table(
    "provider_notices",
    metadata,
    Column("digest", String, primary_key=True),
    Column("received_at", UtcDateTime, nullable=False, index=True),
)
"""The requests of mail providers that were processed, so that one that is sent again changes nothing."""

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("row", RowNumber, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("payload", JSON, nullable=False),
    # Whom it names (by row), so that it is deleted with that person; none for an event that names nobody.
    Column("subscriber", Integer, index=True),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    # What became of a delivery is recorded by row, and its event may be deleted meanwhile.
    sqlite_autoincrement=True,
)
"""What happened to subscribers and sends, for the programs that are told of it."""

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("event", ForeignKey("webhook_events.row"), primary_key=True),
    Column("endpoint", Key, primary_key=True),
    Column("state", String, nullable=False),
    # Since when it is tried: when the event happened, or when an operator had it tried again.
    Column("since", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime),
    # Of the last response.
    Column("status", Integer),
    Column("error", Text),
    Column("settled_at", UtcDateTime),
    Index(None, "endpoint", "state", "next_at"),
    Index(None, "state", "settled_at"),
)
"""Whether each endpoint of the configuration got an event."""

webhook_stops = Table(
    "webhook_stops",
    metadata,
    Column("endpoint", Key, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
)
"""The endpoints that answered with status 410: they get nothing until an operator has it tried again."""

edition_counts = Table(
    "edition_counts",
    metadata,
    Column("edition", Date, primary_key=True),
    Column("state", String, primary_key=True),
    Column("number", Integer, nullable=False),
)
"""How many sends of an edition that is past are in each state: counted once, since a large one takes long."""

daily_counts = Table(
    "daily_counts",
    metadata,
    Column("day", Date, primary_key=True),
    Column("state", String, primary_key=True),
    Column("number", Integer, nullable=False),
)
"""How many subscribers were in each state on a day."""
