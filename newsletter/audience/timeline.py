"""Why somebody got a digest or got none: the last days of one subscriber, in words.

What the store cannot know is not made up: it has the schedule and the state of now, not those of then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from newsletter.audience.due import due_on, local_day
from newsletter.model import Send, SendState, Subscriber, SubscriberState
from newsletter.store import bounces, send_log
from newsletter.store.bounces import Bounce
from newsletter.store.send_log import LogFilter, LogLine
from newsletter.support.time_zones import describe, get_zone

DAYS = 14

_BACK = {
    "hard": "a bounce (hard)",
    "soft": "a bounce (soft)",
    "refused": "a bounce (refused)",
    "complaint": "a complaint",
    "unsubscribe": "a letter that unsubscribes",
}


@dataclass(frozen=True, slots=True)
class TimelineDay:
    """A day of a subscriber's own: what happened, a sentence each, and the send of that edition, if there is one."""

    day: date
    words: tuple[str, ...]
    line: LogLine | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A subscriber's last days, oldest first; what the subscriber is, and what comes next, in words."""

    subscriber: Subscriber
    now: str
    days: tuple[TimelineDay, ...]
    next: str


def build_timeline(connection: Connection, subscriber: Subscriber, now: datetime, keep_skipped_days: int) -> Timeline:
    """The last fortnight of a subscriber.

    Args:
        now: the present (UTC). keep_skipped_days: how long the log keeps lines of what had nothing in it.
    """
    teller = _TimelineBuilder(connection, subscriber, now, now - timedelta(days=keep_skipped_days))
    return Timeline(subscriber, teller.present(), tuple(teller.days()), teller.next())


def spans(days: Sequence[TimelineDay]) -> Iterator[tuple[date, date, tuple[str, ...]]]:
    """Days, with those in a row of which the same is said together: the first, the last, and what is said."""
    start = 0
    for place, one in enumerate(days):
        if place + 1 == len(days) or days[place + 1].words != one.words or one.line is not None:
            yield days[start].day, one.day, one.words
            start = place + 1


def describe_day(day: date) -> str:
    """A day, like ``Fri 28 Nov``."""
    return f"{day:%a} {day.day} {day:%b}"


class _TimelineBuilder:
    """What is told of one subscriber."""

    def __init__(self, connection: Connection, subscriber: Subscriber, now: datetime, kept_since: datetime) -> None:
        self._subscriber, self._now, self._kept_since = subscriber, now, kept_since
        self._schedule = subscriber.preferences.schedule
        self._zone = get_zone(self._schedule.timezone)
        today = local_day(self._schedule, now)
        first = today - timedelta(days=DAYS - 1)
        wanted = LogFilter(subscriber=subscriber.row, since=first)
        self._lines = {line.send.edition: line for line in send_log.log(connection, wanted)}
        # A digest may be that of tomorrow for who has moved to the west since.
        last = max([today, *self._lines])
        self._days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        start = datetime.combine(first, datetime.min.time(), tzinfo=self._zone)
        self._back = bounces.of_subscriber(connection, subscriber.row, start)
        self._made = send_log.editions_made(connection, self._days)

    def present(self) -> str:
        """What the subscriber is, and asked for."""
        one, schedule = self._subscriber, self._schedule
        since = f" since {self._day_of(one.state_since)}" if one.state_since else ""
        zone_words = describe(schedule.timezone)
        return f"{one.state}{since}; {', '.join(schedule.days)} at {schedule.time:%H:%M} ({zone_words})"

    def days(self) -> Iterator[TimelineDay]:
        """Each day with what happened."""
        for day in self._days:
            line = self._lines.get(day)
            words = [self._of_line(line) if line is not None else self._of_none(day)]
            words += [self._of_bounce(one, day) for one in self._back if self._day_of(one.received_at) == day]
            words += self._of_changes(day)
            yield TimelineDay(day, tuple(word for word in words if word), line)

    def next(self) -> str:
        """When the next digest comes, or what keeps it from coming."""
        one = self._subscriber
        match one.state:
            case SubscriberState.PENDING:
                return "none, until that person agrees"
            case SubscriberState.PAUSED if one.paused_until is not None:
                return f"none until {self._at(one.paused_until)}, when the pause ends"
            case SubscriberState.PAUSED:
                return f"none while paused; 'newsletter subscribe {one.email}' ends that"
            case SubscriberState.UNSUBSCRIBED:
                return f"none; 'newsletter subscribe {one.email} --again' if that person asks"
            case SubscriberState.BOUNCED:
                return f"none; 'newsletter bounces forgive {one.email}' if the mailbox works again"
        if one.next_due is None:
            return "not known; 'newsletter run' or 'newsletter send' sets it"
        if one.next_due <= self._now:
            return f"due since {self._at(one.next_due)}; the next 'newsletter run' or 'newsletter send' makes it"
        return self._at(one.next_due)

    def _of_line(self, line: LogLine) -> str:
        send, number = line.send, f"{len(line.papers)} paper{'' if len(line.papers) == 1 else 's'}"
        at = self._at(send.settled_at, beside=send.edition, seconds=True)
        said = f"; it said “{send.smtp_reply}”" if send.smtp_reply else ""
        match send.state:
            case SendState.SENT if send.reason:
                return f"{number}; {send.reason} ({at})"
            case SendState.SENT:
                return f"{number}, accepted by the server at {at}{_tries(send)}"
            case SendState.SKIPPED:
                return f"skipped: {send.reason}"
            case SendState.FAILED:
                return f"{number}, not sent: {send.reason} ({at}){said}"
            case SendState.DEFERRED:
                return f"{number}, not sent yet: {send.reason} ({at}{_tries(send)}); {self._again(send)}{said}"
            case SendState.UNSURE:
                return f"{number}, unsure whether they arrived: {send.reason}; 'newsletter sends resolve' settles it"
            case SendState.CLAIMED:
                return f"{number}, with a process that sends them just now"
            case SendState.PLANNED:
                made = self._at(send.planned_at, beside=send.edition)
                return f"{number}, made up at {made}, not sent yet; {self._later('the next run sends them')}"

    def _again(self, send: Send) -> str:
        if send.not_before is not None and send.not_before > self._now:
            return self._later(f"next try at {self._at(send.not_before, beside=send.edition)}")
        return self._later("the next run tries again")

    def _later(self, words: str) -> str:
        gone = self._subscriber.state is not SubscriberState.ACTIVE
        return "not sent any more, since no mail goes there now" if gone else words

    def _of_none(self, day: date) -> str:
        """Why there is no send in an edition, as far as the store can know."""
        one, due = self._subscriber, due_on(self._schedule, day)
        created, since = one.created_at or self._now, one.state_since or self._now
        if day < self._day_of(created):
            return "not subscribed yet"
        if one.state is not SubscriberState.ACTIVE and day > self._day_of(since):
            return f"{one.state}"
        if due is None:
            return "not a day of the schedule"
        at = f"{self._schedule.time:%H:%M}"
        active = one.state is SubscriberState.ACTIVE
        if due < created or (active and due < since and day == self._day_of(since)):
            return f"no digest: its time, {at}, had passed"
        if active and due < since:
            return "no digest; what the state was then is not kept"
        if not active and due >= since:
            return ""  # the change is told
        if due > self._now:
            return f"due at {at}"
        return self._of_missing(day, due, at)

    def _of_missing(self, day: date, due: datetime, at: str) -> str:
        if self._subscriber.next_due is not None and self._subscriber.next_due <= due:
            return f"due at {at}, not made yet: neither 'run' nor 'send' came by since"
        if due < self._kept_since:
            return "not in the log any more, if there was nothing to send"
        if day in self._made:
            return f"no digest, while others have one: at {at} the schedule was another, or a run was cut short"
        return f"no digest, nor has anybody one: at {at} the newsletter did not run, or nobody was due"

    def _of_bounce(self, one: Bounce, day: date) -> str:
        of = f" of the digest of {describe_day(one.edition)}" if one.edition not in (None, day) else ""
        effect = f"; {one.effect} since" if one.effect else ""
        said = f": “{one.diagnostic}”" if one.diagnostic else ""
        return f"{_BACK.get(one.kind, one.kind)} came back at {self._at(one.received_at, beside=day)}{of}{said}{effect}"

    def _of_changes(self, day: date) -> Iterator[str]:
        one = self._subscriber
        if one.created_at is not None and self._day_of(one.created_at) == day:
            yield f"subscribed at {self._at(one.created_at, beside=day)}"
        if one.state_since is None or one.state_since == one.created_at or self._day_of(one.state_since) != day:
            return
        if all((back.effect, back.received_at) != (one.state.value, one.state_since) for back in self._back):
            yield f"{one.state} at {self._at(one.state_since, beside=day)}"

    def _day_of(self, moment: datetime) -> date:
        return local_day(self._schedule, moment)

    def _at(self, moment: datetime | None, beside: date | None = None, seconds: bool = False) -> str:
        """A moment in the subscriber's time, without the day where that is said already."""
        if moment is None:
            return "a time not known"
        local = moment.astimezone(self._zone)
        clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
        return clock if local.date() == beside else f"{describe_day(local.date())} {clock}"


def _tries(send: Send) -> str:
    return f" after {send.attempts} tries" if send.attempts > 1 else ""
