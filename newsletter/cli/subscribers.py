"""Commands for subscribers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.common import (
    Json,
    format_iso,
    format_moment,
    open_context_for,
    parsed_tag,
    print_json,
    print_table,
    say,
    suggestion,
    warn,
)
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Alert, AlertKind, EventKind, Interest, Layout, Preferences, Subscriber, SubscriberState
from newsletter.support.clock import own_timezone
from newsletter.support.files import write_private
from newsletter.support.time_zones import describe

if TYPE_CHECKING:
    from newsletter.services.context import AppContext
    from newsletter.services.retention import SubscriberRecord


_FORMATS = ("csv", "jsonl")
_PAGE = 500


def subscribe(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")],
    interest: Annotated[
        list[str] | None, typer.Option("--interest", "-i", metavar="TEXT", help="Topic to follow; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name used in the greeting.")] = None,
    days: Annotated[
        str | None, typer.Option(metavar="DAYS", help='Days of delivery, like "mon,thu", "weekdays" or "daily".')
    ] = None,
    time: Annotated[str | None, typer.Option(metavar="HH:MM", help="Local time of delivery, like 07:30.")] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Time zone, like Europe/London (default: this machine's).")
    ] = None,
    papers: Annotated[int | None, typer.Option(metavar="N", help="Maximum number of papers per digest.")] = None,
    layout: Annotated[
        Layout | None, typer.Option(metavar="LAYOUT", help="How much of each paper to show: full, compact or titles.")
    ] = None,
    updates: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS",
            help="What to tell of papers they were sent or saved: published, revised, corrected, concern, withdrawn, "
            'retracted, "all" or "none"; separate several with commas.',
        ),
    ] = None,
    announcements: Annotated[
        bool | None, typer.Option("--announcements/--no-announcements", help="Whether to send announcements.")
    ] = None,
    file: Annotated[bool, typer.Option("--file/--no-file", help="Keep interests in a file in subscribers/.")] = True,
    again: Annotated[bool, typer.Option("--again", help="Resubscribe a person who asked to come back.")] = False,
) -> None:
    """Subscribe an address, or change a subscriber's preferences.

    New subscribers are active at once: ask for their consent first.
    """
    from newsletter.audience import subscriptions
    from newsletter.store import subscribers as store
    from newsletter.store import writing

    context = open_context_for(ctx)
    said = _said(email, name, days, time, timezone, papers, layout, updates, announcements)
    with writing(context.engine) as connection:
        present = store.by_email(connection, email)
        wanted = _merged(present.preferences if present else None, said, interest or [])
        folder = context.config.subscribers_folder
        home = folder if file or present is not None else None
        subscriber = subscriptions.subscribe(connection, wanted, "command", context.clock(), home, again)
    where = f" ({context.config.subscribers / subscriber.file})" if subscriber.file else ""
    say(f"{subscriber.email} is subscribed{where}; next digest {format_moment(subscriber.next_due)} UTC.")
    if not subscriber.preferences.interests:
        say(f"No interests yet; add some with 'newsletter interests edit {subscriber.email}'.")


def _said(
    email: str,
    name: str | None,
    days: str | None,
    time: str | None,
    timezone: str | None,
    papers: int | None,
    layout: Layout | None,
    updates: str | None,
    announcements: bool | None,
) -> dict[str, Any]:
    schedule = {"days": days.split(",") if days else None, "time": time, "timezone": timezone}
    number = None if papers is None else str(papers)
    said: dict[str, Any] = {"email": email, "name": name, "papers": number, "layout": layout}
    said["updates"] = _kinds(updates) if updates is not None else None
    said["announcements"] = announcements
    said["schedule"] = {key: value for key, value in schedule.items() if value is not None}
    return {key: value for key, value in said.items() if value is not None}


def _kinds(updates: str) -> list[str]:
    if updates.strip() in ("all", "none"):
        return list(EventKind) if updates.strip() == "all" else []
    return [kind for one in updates.split(",") if (kind := one.strip())]


def _merged(present: Preferences | None, said: dict[str, Any], interests: list[str]) -> Preferences:
    from newsletter.audience import subscriptions
    from newsletter.audience.subscriber_file import checked, preferences_from_mapping

    if present is None:
        schedule = {"timezone": own_timezone(), **said["schedule"]}
        return preferences_from_mapping({**said, "schedule": schedule, "interests": interests}, "subscribe")
    read = preferences_from_mapping({**said, "interests": interests}, "subscribe")
    changed = subscriptions.merged(present, read, said)
    known = {interest.name for interest in present.interests}
    added = tuple(interest for interest in read.interests if interest.name not in known)
    return checked(replace(changed, interests=present.interests + added), "subscribe")


def unsubscribe(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")],
) -> None:
    """Unsubscribe an address. Files and imports cannot resubscribe it; only 'subscribe --again' can."""
    from newsletter.audience import subscriber_states, subscriptions
    from newsletter.store import audit, writing

    context = open_context_for(ctx)
    with writing(context.engine) as connection:
        subscriptions.get_subscriber(connection, email)
        subscriber = subscriber_states.unsubscribe(connection, email, context.clock(), audit.COMMAND_LINE)
    assert subscriber is not None  # noqa: S101 - required above
    say(f"{subscriber.email} is unsubscribed.")


def forget(
    ctx: typer.Context,
    emails: Annotated[list[str], typer.Argument(metavar="EMAIL", help="Subscribers' email addresses.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete all data of a subscriber permanently.

    This deletes the subscriber, interests and their file, feedback, the reading list, libraries with their keys, the
    send log and bounces. A hash of the address is kept, so that no file or import resubscribes that person. Backups and
    exports are not changed.
    """
    from newsletter.services.retention import erase_subscriber, find_subscriber

    context = open_context_for(ctx)
    people = []
    for email in dict.fromkeys(emails):
        if _is_gone(context, email):
            say(f"{email} was already deleted or unsubscribed.")
        else:
            people.append(find_subscriber(context, email))
    for person in people:
        say(_in_words(person))
    if people and not yes:
        if not (sys.stdin and sys.stdin.isatty()):
            raise UserError("cannot ask for confirmation here; pass --yes")
        typer.confirm("Delete permanently?", abort=True)
    for person in people:
        for other in erase_subscriber(context, person):
            warn(f"{other.email}, {other.edition}: outcome unknown: a process ended while sending it")
        say(f"{person.subscriber.email} is deleted.")
    _leave_nothing(context, [person.subscriber.email for person in people])


def _is_gone(context: AppContext, email: str) -> bool:
    from newsletter.store import reading, suppressions
    from newsletter.store import subscribers as store

    with reading(context.engine) as connection:
        gone = suppressions.find(connection, email)
        return gone is not None and store.by_email(connection, email) is None


def _in_words(person: SubscriberRecord) -> str:
    one, has = person.subscriber, person.belongings
    numbers = (
        (has.sends, "log line"),
        (has.feedback, "rated paper"),
        (has.saved_papers, "saved paper"),
        (has.libraries, "library"),
        (has.bounces, "bounce"),
    )
    said = [_counted(number, what) for number, what in numbers if number]
    said += [str(person.file)] if person.file else []
    return f"{one.email}: {one.state} since {format_moment(one.state_since)} UTC; {', '.join(said) or 'nothing else'}"


def _counted(number: int, what: str) -> str:
    several = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what if number == 1 else several}"


def _leave_nothing(context: AppContext, emails: list[str]) -> None:
    from newsletter.services.retention import files_mentioning
    from newsletter.store import vacuum

    try:
        vacuum(context.engine)
    except NewsletterError as error:
        why = str(error).partition(";")[0]
        warn(f"the store's file may still contain deleted data: {why}; run it again later")
    for email in emails:
        for path in files_mentioning(context.config.subscribers_folder, email):
            warn(f"{path}: also contains {email}; check it")


def list_subscribers(
    ctx: typer.Context,
    state: Annotated[
        SubscriberState | None,
        typer.Option(
            metavar="STATE", help="Only subscribers in this state: pending, active, paused, unsubscribed or bounced."
        ),
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Only subscribers with this tag.")] = None,
    json: Json = False,
) -> None:
    """List the subscribers."""
    context = open_context_for(ctx)
    tag = None if tag is None else parsed_tag(tag)
    if json:
        for subscriber, tags in _all(context, state, tag):
            print_json([_json(subscriber, tags)])
        return
    rows = [
        (one.email, one.state, format_moment(one.next_due), len(one.preferences.interests), ", ".join(tags), one.file)
        for one, tags in _all(context, state, tag)
    ]
    if not rows:
        none = "No subscribers; add one with 'newsletter subscribe EMAIL'."
        tagged = "" if tag is None else f" with the tag {tag!r}"
        say(none if (state, tag) == (None, None) else f"No {f'{state} ' if state else ''}subscribers{tagged}.")
        return
    columns = (
        ("email", "wide"),
        ("state", "left"),
        ("next due (UTC)", "left"),
        ("interests", "right"),
        ("tags", "narrow"),
        ("file", "left"),
    )
    print_table(columns, rows)


def show_subscriber(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")],
    json: Json = False,
) -> None:
    """Show one subscriber."""
    from newsletter.audience import subscriptions
    from newsletter.store import reading
    from newsletter.store import tags as tag_store

    context = open_context_for(ctx)
    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, email)
        tags = tag_store.of_subscribers(connection, [subscriber.row]).get(subscriber.row, [])
    if json:
        print_json([_json(subscriber, tags)])
        return
    preferences, schedule = subscriber.preferences, subscriber.preferences.schedule
    say(f"{preferences.name} <{subscriber.email}>".lstrip() if preferences.name else subscriber.email)
    until = f", until {format_moment(subscriber.paused_until)} UTC" if subscriber.paused_until else ""
    say(f"state: {subscriber.state}, since {format_moment(subscriber.state_since)} UTC{until}")
    say(f"schedule: {', '.join(schedule.days)} at {schedule.time:%H:%M} {describe(schedule.timezone)}")
    say(f"next digest: {format_moment(subscriber.next_due) or 'none'}{' UTC' if subscriber.next_due else ''}")
    say(f"last digest: {format_moment(subscriber.last_digest) or 'none yet'}{' UTC' if subscriber.last_digest else ''}")
    trending = "" if preferences.trending is None else f", of them {preferences.trending} from Trending"
    say(f"papers: at most {preferences.papers}{trending}")
    say(f"layout: {preferences.layout or f'{context.config.digest.layout}, as usual here'}")
    say(f"updates: {', '.join(preferences.updates) or 'none'}")
    say(f"tags: {', '.join(tags) or 'none'}")
    say(f"announcements: {'yes' if preferences.announcements else 'no'}")
    say(f"home: {context.config.subscribers / subscriber.file if subscriber.file else 'the store'}")
    for interest in preferences.interests:
        say(f"interest: {interest_line(interest)}")
    if preferences.never:
        say(f"never: {', '.join(preferences.never)}")
    if preferences.never_authors:
        say(f"never by: {'; '.join(preferences.never_authors)}")
    for alert in preferences.alerts:
        say(f"alert: {alert_line(alert)}")


def interest_line(interest: Interest) -> str:
    """Describe an interest in one line."""
    parts = [interest.text] if interest.text and interest.text != interest.name else []
    parts += [", ".join(f"{word} ({weight:g})" for word, weight in interest.keywords.items())]
    parts += [f"{len(interest.liked)} liked" if interest.liked else ""]
    parts += [f"{len(interest.disliked)} disliked" if interest.disliked else ""]
    parts += [f"by {', '.join(interest.authors)}" if interest.authors else ""]
    parts += [f"library {', '.join(one.address for one in interest.libraries)}" if interest.libraries else ""]
    parts += [f"in {', '.join(interest.categories)}" if interest.categories else ""]
    details = "; ".join(part for part in parts if part)
    return f"{interest.name}{f': {details}' if details else ''}"


def alert_line(alert: Alert) -> str:
    """Describe an alert in one line."""
    identifier = {AlertKind.AUTHOR: "ORCID", AlertKind.INSTITUTION: "ROR"}.get(alert.kind)
    known = f"{identifier} {alert.identifier}" if alert.identifier else ""
    about = " ".join(part for part in (alert.value, f"({known})" if alert.value and known else known) if part)
    always = "; also if hidden by never" if alert.always else ""
    return f"{f'{alert.name}: ' if alert.name else ''}{alert.kind} {about}{always}"


def export_subscribers(
    ctx: typer.Context,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
    format: Annotated[
        str, typer.Option(metavar="csv|jsonl", help="Output format; only jsonl keeps complete interests.")
    ] = "csv",
) -> None:
    """Export the subscribers, for another program or a later import."""
    if format not in _FORMATS:
        raise UserError(f"--format: {format!r} is not a format; {suggestion(format, _FORMATS, 'use csv or jsonl')}")
    context = open_context_for(ctx)
    text = "".join(_exported(context, format))
    if output is None:
        sys.stdout.write(text)
        return
    write_private(output, text.encode())
    say(f"Written to {output}.")


def _exported(context: AppContext, format: str) -> Iterator[str]:
    from newsletter.audience import import_export

    if format == "csv":
        yield import_export.csv_text([], heading=True)
    for subscriber, tags in _all(context):
        if format == "csv":
            yield import_export.csv_text([subscriber], heading=False, tags={subscriber.row: tags})
        else:
            yield json.dumps(import_export.to_object(subscriber, tags), ensure_ascii=False) + "\n"


def _all(
    context: AppContext, state: SubscriberState | None = None, tag: str | None = None
) -> Iterator[tuple[Subscriber, list[str]]]:
    """Yield the subscribers, each with its tags."""
    from newsletter.store import reading
    from newsletter.store import subscribers as store
    from newsletter.store import tags as tag_store

    after = 0
    while True:
        with reading(context.engine) as connection:
            page = store.page(connection, after, _PAGE, state, tag)
            tags = tag_store.of_subscribers(connection, [one.row for one in page])
        if not page:
            return
        for one in page:
            yield one, tags.get(one.row, [])
        after = page[-1].row


def _json(subscriber: Subscriber, tags: list[str]) -> dict[str, Any]:
    from newsletter.audience import import_export

    return {
        **import_export.to_object(subscriber, tags),
        "file": subscriber.file,
        "next_due": format_iso(subscriber.next_due),
        "last_digest": format_iso(subscriber.last_digest),
        "created_at": format_iso(subscriber.created_at),
    }
