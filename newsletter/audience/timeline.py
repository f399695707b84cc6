"""Explains the last days of one subscriber: why a digest was sent or not.

What the store does not know is left open: it has the schedule and the state of now, not those of then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from newsletter.audience.next_due import due_on, local_day
from newsletter.model import Send, SendState, Subscriber, SubscriberState
from newsletter.store import bounces, paper_events, send_log
from newsletter.store.bounces import Bounce
from newsletter.store.send_log import LogFilter, LogLine
from newsletter.support.time_zones import describe, get_zone

DAYS = 14

BACK = {
    "hard": "a bounce (hard) came back",
    "soft": "a bounce (soft) came back",
    "refused": "a bounce (refused) came back",
    "complaint": "a complaint came back",
    "unsubscribe": "an unsubscribe email came back",
    "suppressed": "the mail provider reported the address as suppressed",
    "feedback": "feedback received by email",
    "interests": "new interests received by email",
}
"""What came back, in words, by the kind of bounce."""


@dataclass(frozen=True, slots=True)
class TimelineDay:
    """A subscriber's day: its events, one sentence each, and the send of that edition, if any."""

    day: date
    words: tuple[str, ...]
    line: LogLine | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A subscriber's last days, oldest first, with the current state and the next digest in words."""

    subscriber: Subscriber
    now: str
    days: tuple[TimelineDay, ...]
    next: str


def build_timeline(connection: Connection, subscriber: Subscriber, now: datetime, keep_skipped_days: int) -> Timeline:
    """Build the timeline of the last two weeks.

    Args:
        now: the present (UTC). keep_skipped_days: how long the log keeps lines of what had nothing in it.
    """
    teller = _TimelineBuilder(connection, subscriber, now, now - timedelta(days=keep_skipped_days))
    return Timeline(subscriber, teller.present(), tuple(teller.days()), teller.next())


def spans(days: Sequence[TimelineDay]) -> Iterator[tuple[date, date, tuple[str, ...]]]:
    """Group consecutive days with the same text: first day, last day, text."""
    start = 0
    for place, one in enumerate(days):
        if place + 1 == len(days) or days[place + 1].words != one.words or one.line is not None:
            yield days[start].day, one.day, one.words
            start = place + 1


def describe_day(day: date) -> str:
    """Format a day like ``Fri 28 Nov``."""
    return f"{day:%a} {day.day} {day:%b}"


class _TimelineBuilder:
    """Describes the days of one subscriber."""

    def __init__(self, connection: Connection, subscriber: Subscriber, now: datetime, kept_since: datetime) -> None:
        self._subscriber, self._now, self._kept_since = subscriber, now, kept_since
        self._schedule = subscriber.preferences.schedule
        self._zone = get_zone(self._schedule.timezone)
        today = local_day(self._schedule, now)
        first = today - timedelta(days=DAYS - 1)
        wanted = LogFilter(subscriber=subscriber.row, since=first, digests_only=True)
        self._lines = {line.send.edition: line for line in send_log.log(connection, wanted)}
        self._others: dict[date, list[LogLine]] = {}
        for line in send_log.log(connection, LogFilter(subscriber=subscriber.row, since=first, mailings_only=True)):
            self._others.setdefault(line.send.edition, []).append(line)
        self._updates = paper_events.counts(connection, [line.send.row for line in self._lines.values()])
        # After a move to the west, an edition can be tomorrow's.
        last = max([today, *self._lines, *self._others])
        self._days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        start = datetime.combine(first, datetime.min.time(), tzinfo=self._zone)
        self._back = bounces.of_subscriber(connection, subscriber.row, start)
        self._made = send_log.editions_made(connection, self._days)

    def present(self) -> str:
        """Describe the state and the schedule."""
        one, schedule = self._subscriber, self._schedule
        since = f" since {self._day_of(one.state_since)}" if one.state_since else ""
        zone_words = describe(schedule.timezone)
        return f"{one.state}{since}; {', '.join(schedule.days)} at {schedule.time:%H:%M} ({zone_words})"

    def days(self) -> Iterator[TimelineDay]:
        """Yield each day with its events."""
        for day in self._days:
            line = self._lines.get(day)
            words = [self._of_line(line) if line is not None else self._of_none(day)]
            words += [self._of_mailing(one) for one in self._others.get(day, ())]
            words += [self._of_bounce(one, day) for one in self._back if self._day_of(one.received_at) == day]
            words += self._of_changes(day)
            yield TimelineDay(day, tuple(word for word in words if word), line)

    def next(self) -> str:
        """Describe when the next digest is due, or why no digest is due."""
        one = self._subscriber
        match one.state:
            case SubscriberState.PENDING:
                return "none until the address is confirmed"
            case SubscriberState.PAUSED if one.paused_until is not None:
                return f"none until {self._at(one.paused_until)}, when the pause ends"
            case SubscriberState.PAUSED:
                return f"none while paused; end the pause with 'newsletter subscribe {one.email}'"
            case SubscriberState.UNSUBSCRIBED:
                return f"none; if that person asks to come back, run 'newsletter subscribe {one.email} --again'"
            case SubscriberState.BOUNCED:
                return f"none; if the mailbox works again, run 'newsletter bounces forgive {one.email}'"
        if one.next_due is None:
            return "unknown until the next 'newsletter run' or 'newsletter send'"
        if one.next_due <= self._now:
            return f"due since {self._at(one.next_due)}; sent by the next 'newsletter run' or 'newsletter send'"
        return self._at(one.next_due)

    def _of_line(self, line: LogLine) -> str:
        number = f"{len(line.papers)} paper{'' if len(line.papers) == 1 else 's'}"
        if updates := self._updates.get(line.send.row, 0):
            number += f" and {updates} update{'' if updates == 1 else 's'}"
        return self._of_send(line.send, number, updates)

    def _of_mailing(self, line: LogLine) -> str:
        send, what = line.send, f"{line.kind} “{line.subject}”"
        if send.state is SendState.SKIPPED:
            return f"{what}, skipped: {send.reason}"
        if send.state is SendState.PLANNED and send.not_before is not None:
            return f"{what}, planned for {self._at(send.not_before, edition_day=send.edition)}"
        return self._of_send(send, what, 0)

    def _of_send(self, send: Send, number: str, updates: int) -> str:
        """Describe a send of something, such as "8 papers"."""
        at = self._at(send.settled_at, edition_day=send.edition, seconds=True)
        said = f"; it said “{send.smtp_reply}”" if send.smtp_reply else ""
        match send.state:
            case SendState.SENT if send.reason:
                return f"{number}; {send.reason} ({at})"
            case SendState.SENT if send.no_papers and not updates:
                accepted = f"accepted by the server at {at}{_tries(send)}"
                return f"an email that there is nothing new, {accepted}: {send.no_papers}"
            case SendState.SENT:
                return f"{number}, accepted by the server at {at}{_tries(send)}"
            case SendState.SKIPPED:
                return f"skipped: {send.reason}"
            case SendState.FAILED:
                return f"{number}, not sent: {send.reason} ({at}){said}"
            case SendState.DEFERRED:
                return f"{number}, not sent yet: {send.reason} ({at}{_tries(send)}); {self._again(send)}{said}"
            case SendState.UNSURE:
                return f"{number}, outcome unknown: {send.reason}; resolve it with 'newsletter sends resolve'"
            case SendState.CLAIMED:
                return f"{number}, being sent now"
            case SendState.PLANNED:
                made = self._at(send.planned_at, edition_day=send.edition)
                return f"{number}, planned at {made}, not sent yet; {self._later('the next run sends them')}"

    def _again(self, send: Send) -> str:
        if send.not_before is not None and send.not_before > self._now:
            return self._later(f"next try at {self._at(send.not_before, edition_day=send.edition)}")
        return self._later("the next run tries again")

    def _later(self, words: str) -> str:
        gone = self._subscriber.state is not SubscriberState.ACTIVE
        return "will not be sent: the subscriber gets no mail now" if gone else words

    def _of_none(self, day: date) -> str:
        """Explain why an edition has no send, as far as the store shows."""
        one, due = self._subscriber, due_on(self._schedule, day)
        created, since = one.created_at or self._now, one.state_since or self._now
        if day < self._day_of(created):
            return "not subscribed yet"
        if one.state is not SubscriberState.ACTIVE and day > self._day_of(since):
            return f"{one.state}"
        if due is None:
            return "not a scheduled day"
        at = f"{self._schedule.time:%H:%M}"
        active = one.state is SubscriberState.ACTIVE
        if due < created or (active and due < since and day == self._day_of(since)):
            return f"no digest: its time, {at}, had passed"
        if active and due < since:
            return "no digest; the state at that time is unknown"
        if not active and due >= since:
            return ""  # the change is reported
        if due > self._now:
            return f"due at {at}"
        return self._of_missing(day, due, at)

    def _of_missing(self, day: date, due: datetime, at: str) -> str:
        if self._subscriber.next_due is not None and self._subscriber.next_due <= due:
            return f"due at {at}, not composed yet: neither 'run' nor 'send' has run since"
        if due < self._kept_since:
            return "no longer in the log, if there was nothing to send"
        if day in self._made:
            return f"no digest, although others have one: at {at} the schedule was different, or a run was interrupted"
        return f"no digest for anyone: at {at} the newsletter did not run, or nobody was due"

    def _of_bounce(self, one: Bounce, day: date) -> str:
        of = f" of the digest of {describe_day(one.edition)}" if one.edition not in (None, day) else ""
        effect = f"; {one.effect} since" if one.effect else ""
        said = f": “{one.diagnostic}”" if one.diagnostic else ""
        at = self._at(one.received_at, edition_day=day)
        return f"{BACK.get(one.kind, one.kind)} at {at}{of}{said}{effect}"

    def _of_changes(self, day: date) -> Iterator[str]:
        one = self._subscriber
        if one.created_at is not None and self._day_of(one.created_at) == day:
            yield f"subscribed at {self._at(one.created_at, edition_day=day)}"
        if one.state_since is None or one.state_since == one.created_at or self._day_of(one.state_since) != day:
            return
        if all((back.effect, back.received_at) != (one.state.value, one.state_since) for back in self._back):
            yield f"{one.state} at {self._at(one.state_since, edition_day=day)}"

    def _day_of(self, moment: datetime) -> date:
        return local_day(self._schedule, moment)

    def _at(self, moment: datetime | None, edition_day: date | None = None, seconds: bool = False) -> str:
        """Format a moment in the subscriber's time zone, without a day already shown."""
        if moment is None:
            return "an unknown time"
        local = moment.astimezone(self._zone)
        clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
        return clock if local.date() == edition_day else f"{describe_day(local.date())} {clock}"


def _tries(send: Send) -> str:
    return f" after {send.attempts} tries" if send.attempts > 1 else ""
