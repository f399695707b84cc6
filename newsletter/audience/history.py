"""The history of one subscriber in words: what was sent, what came back, and who changed what, newest first."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from newsletter.audience.timeline import BACK, describe_day
from newsletter.model import Send, SendState, Subscriber
from newsletter.store import audit, bounces, feedback, papers, saved_papers, send_log, subscribers
from newsletter.store.audit import AuditEntry
from newsletter.store.send_log import LogFilter, LogLine


@dataclass(frozen=True, slots=True)
class Event:
    """What happened at a moment (UTC), in words."""

    at: datetime
    words: str


def read_history(connection: Connection, subscriber: Subscriber) -> list[Event]:
    """Return all events of a subscriber that the store has, newest first.

    What a subscriber did by a link is known as far as it is kept: changed preferences, ratings, saved papers and the
    present state.
    """
    row = subscriber.row
    lines = audit.page(connection, None, None, subscriber=row)
    back = bounces.of_subscriber(connection, row, subscriber.created_at) if subscriber.created_at else []
    events = [
        *_of_state(subscriber, subscribers.consent(connection, row), lines, {one.received_at for one in back}),
        *(Event(_moment(line.send), _of_send(line)) for line in send_log.log(connection, LogFilter(subscriber=row))),
        *(Event(one.received_at, _of_bounce(one)) for one in back),
        *(Event(one.at, _of_change(one)) for one in lines),
        *_of_papers(connection, row),
    ]
    return sorted(events, key=lambda event: event.at, reverse=True)


def _of_state(one: Subscriber, consent: str, lines: list[AuditEntry], came_back: set[datetime]) -> Iterator[Event]:
    if one.created_at is not None:
        yield Event(one.created_at, f"Joined. Consent: {consent}.")
    known = {line.at for line in lines} | came_back
    if one.state_since is not None and one.state_since != one.created_at and one.state_since not in known:
        yield Event(one.state_since, f"Became {one.state}.")


def _moment(send: Send) -> datetime:
    return send.settled_at or send.planned_at


def _of_send(line: LogLine) -> str:
    send = line.send
    if line.kind is not None:
        return f"{line.kind.capitalize()} “{line.subject}”: {_result(send)}."
    number = f", {len(line.papers)} paper{'' if len(line.papers) == 1 else 's'}" if line.papers else ""
    what = f"Digest of {describe_day(send.edition)}{number}"
    return f"{what}: {_result(send)}."


def _result(send: Send) -> str:
    said = f"; the server said “{send.smtp_reply}”" if send.smtp_reply else ""
    match send.state:
        case SendState.SENT:
            tries = f" at attempt {send.attempts}" if send.attempts > 1 else ""
            return send.reason or f"accepted by the mail server{tries}"
        case SendState.SKIPPED:
            return f"skipped: {send.reason}" if send.reason else "skipped"
        case SendState.FAILED:
            return f"not sent: {send.reason}{said}" if send.reason else f"not sent{said}"
        case SendState.DEFERRED:
            return f"deferred: {send.reason}{said}" if send.reason else f"deferred{said}"
        case SendState.UNSURE:
            return f"outcome unknown: {send.reason}" if send.reason else "outcome unknown"
        case SendState.CLAIMED:
            return "being sent now"
        case SendState.PLANNED:
            return "planned, not sent yet"


def _of_bounce(one: bounces.Bounce) -> str:
    of = f" of the digest of {describe_day(one.edition)}" if one.edition is not None else ""
    said = f": “{one.diagnostic}”" if one.diagnostic else ""
    effect = f"; {one.effect} since" if one.effect else ""
    return f"{BACK.get(one.kind, one.kind).capitalize()}{of}{said}{effect}."


def _of_papers(connection: Connection, row: int) -> Iterator[Event]:
    for given in feedback.of(connection, [row])[row]:
        yield Event(given.given_at, f"Rated “{given.paper.title}”: {given.verdict} like this.")
    saved = saved_papers.of(connection, row)
    titles = papers.names(connection, (one.paper for one in saved))
    for one in saved:
        yield Event(one.saved_at, f"Saved “{titles[one.paper].title}”.")


def _of_change(line: AuditEntry) -> str:
    say = _CHANGES.get(line.action)
    return f"{say(line.details) if say is not None else line.action}, by {line.actor}.".replace("..", ".")


def _changed(details: Mapping[str, Any]) -> str:
    return f"Preferences changed ({', '.join(details.get('changed', ())) or 'no value'})"


def _tagged(details: Mapping[str, Any]) -> str:
    parts = [f"{how} {', '.join(details[how])}" for how in ("added", "removed") if details.get(how)]
    return f"Tags changed ({'; '.join(parts) or 'none'})"


def _paused(details: Mapping[str, Any]) -> str:
    until = str(details.get("until") or "")
    return f"Paused until {until[:10]}" if until else "Paused"


def _because(words: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda details: f"{words} ({details['reason']})" if details.get("reason") else words


def _resolved(details: Mapping[str, Any]) -> str:
    return f"Send of unknown outcome {'marked as arrived' if details.get('arrived') else 'planned again'}"


_CHANGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "subscriber.create": lambda _: "Added",
    "subscriber.change": _changed,
    "subscriber.tag": _tagged,
    "subscriber.pause": _paused,
    "subscriber.resume": lambda _: "Pause ended",
    "subscriber.unsubscribe": lambda _: "Unsubscribed",
    "subscriber.undo": lambda _: "Unsubscribing undone",
    "subscriber.block": _because("Blocked"),
    "subscriber.export": lambda _: "All data downloaded",
    "send.retry": lambda _: "Send retried",
    "send.resolve": _resolved,
}
