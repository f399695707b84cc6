"""Signing up on the site: who may ask, what a request leads to, and what confirming it does.

A request changes nothing for the address it names before that is confirmed, and is answered alike whoever has it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from newsletter.audience import subscriptions
from newsletter.audience.form_limits import LimitVerdict, RequestOrigin, check_and_count, forget_counts
from newsletter.audience.signed_links import VALID_FOR, TokenPurpose
from newsletter.audience.subscriber_file import MOST_INTERESTS as MOST_IN_ALL
from newsletter.audience.subscriber_file import preferences_from_mapping
from newsletter.config.fields import plain_address
from newsletter.config.settings import SignUps
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.store import retention, sign_ups, suppressions
from newsletter.store import subscribers as store
from newsletter.store.sign_ups import Kind, SignUp

MOST_INTERESTS = 20
LONGEST_INTEREST = 300

_NOT_CONFIRMED = "asked for on the site, not confirmed"
_BLOCK = 500
_WITH_LINKS = (SubscriberState.ACTIVE, SubscriberState.PAUSED, SubscriberState.UNSUBSCRIBED)


class SignupMail(StrEnum):
    """What is written to an address that somebody named on the site; the name of its templates."""

    CONFIRM = "confirm"
    ALREADY = "already"
    NEW_LINK = "new_link"
    EXPORT = "export"
    FORGET = "forget"
    CHANGE_ADDRESS = "change_address"
    NEW_ADDRESS = "new_address"

    @property
    def asks(self) -> bool:
        """Whether it asks for a click, for which its request is kept."""
        return self not in (SignupMail.ALREADY, SignupMail.NEW_LINK)


def read_address(email: str) -> str:
    """An address that was written into a form, in normal form.

    Raises:
        UserError: it is none, in words for who filled the form in.
    """
    try:
        return plain_address(email)
    except ValueError as error:
        said = str(error).partition(": ")[2]
        raise UserError(
            f"That is not an email address. {said}" if email.strip() else "Please write your address."
        ) from None


def read_lasting_address(email: str) -> str:
    """The same, unless it is one that lasts a short time."""
    address = read_address(email)
    if is_disposable(address):
        domain = address.rpartition("@")[2]
        raise UserError(
            f"Addresses at {domain} last a short time only, and a newsletter would soon bounce from yours. "
            "Please use one that stays."
        )
    return address


def read_request(email: str, interests: Iterable[str], timezone: str) -> Preferences:
    """What a form asks for, checked as a subscriber's file is.

    Args:
        interests: what to follow, in words; empty ones and those that come twice are passed over.
        timezone: as the browser has it; one that is not known here counts as UTC.

    Raises:
        UserError: something is wrong in it, a line for each, in words for who filled the form in.
    """
    address = read_lasting_address(email)
    wanted = list(dict.fromkeys(line for line in (" ".join(one.split()) for one in interests) if line))
    if len(wanted) > MOST_INTERESTS:
        raise UserError(f"Please begin with {MOST_INTERESTS} interests at most; more can be added later.")
    if any(len(line) > LONGEST_INTEREST for line in wanted):
        raise UserError(f"Please say each interest in {LONGEST_INTEREST} characters at most.")
    for zone in (timezone, "UTC"):
        mapping = {"email": address, "interests": wanted, "schedule": {"timezone": zone}}
        try:
            return preferences_from_mapping(mapping, "form")
        except UserError as error:
            problem = error
    raise UserError("Please look through your interests once more.") from problem


@cache
def _disposable() -> frozenset[str]:
    from disposable_email_domains import blocklist  # Ten thousand names, of use here alone.

    return frozenset(blocklist)


def is_disposable(email: str) -> bool:
    """Whether the domain of an address, or one above it, hands out addresses that last a short time."""
    labels = email.rpartition("@")[2].lower().split(".")
    return any(".".join(labels[start:]) in _disposable() for start in range(len(labels) - 1))


def add_request(
    connection: Connection,
    key: str,
    wanted: Preferences,
    asked: RequestOrigin,
    limits: SignUps,
    now: datetime,
    kind: Kind = Kind.SIGN_UP,
) -> LimitVerdict:
    """Take a request of somebody who may be a stranger to the address; its letter is then to be sent.

    Args:
        key: by which what requests are counted by is made unreadable.
        kind: to be signed up, or to get a new link.
    """
    verdict = check_and_count(connection, key, wanted.email, asked, limits, now)
    if verdict is LimitVerdict.TAKEN:
        sign_ups.add(connection, wanted, asked.network, now, kind)
    return verdict


def mail_for(connection: Connection, request: SignUp, now: datetime) -> SignupMail | None:
    """Which letter a request leads to; none to who complained of mail, or whose mailbox was not there: being asked for
    is not enough for them. An address that is new is pending from then on.
    """
    email = request.preferences.email
    subscriber, suppression = store.by_email(connection, email), suppressions.find(connection, email)
    if suppression is not None and suppression.reason in subscriptions.STRICT:
        return None
    if request.kind is Kind.NEW_LINK:
        return SignupMail.NEW_LINK if subscriber is not None and subscriber.state in _WITH_LINKS else None
    if request.kind is not Kind.SIGN_UP:
        return SignupMail(request.kind.value)
    if subscriber is None:
        # With no more than the address: what else was asked for is nobody's wish yet.
        bare = replace(request.preferences, interests=())
        store.add(connection, bare, SubscriberState.PENDING, _NOT_CONFIRMED, now, file=None)
        return SignupMail.CONFIRM
    match subscriber.state:
        case SubscriberState.ACTIVE | SubscriberState.PAUSED:
            return SignupMail.ALREADY
        case SubscriberState.BOUNCED:
            return None
    return SignupMail.CONFIRM


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What confirming came to: the subscriber as it is now, and whether it was one already."""

    subscriber: Subscriber
    already: bool


def confirm(connection: Connection, request: SignUp, network: str, now: datetime, folder: Path) -> Confirmed | None:
    """Make a subscriber of who confirms a request: active, and due at once.

    Who was one before keeps what it preferred, with the interests of the request added.

    Returns:
        None when the address gets no mail, since it bounced or complained meanwhile.
    """
    email = request.preferences.email
    present, suppression = store.by_email(connection, email), suppressions.find(connection, email)
    sign_ups.remove_of(connection, email)
    if present is not None and present.state in (SubscriberState.ACTIVE, SubscriberState.PAUSED):
        return Confirmed(present, already=True)
    if suppression is not None and suppression.reason in subscriptions.STRICT:
        return None
    wanted, writable = request.preferences, False
    if present is not None:
        present, writable = subscriptions.refresh(connection, present, folder, now)
        wanted = _joined(present, wanted)
    consent = (
        f"asked for on the site at {request.asked_at:%Y-%m-%d %H:%M} UTC from {request.network}, "
        f"confirmed at {now:%Y-%m-%d %H:%M} UTC from {network}"
    )
    home = folder if writable else None
    subscriber = subscriptions.subscribe(connection, wanted, consent, now, home, again=True)
    store.set_next_due(connection, {subscriber.row: now})
    return Confirmed(replace(subscriber, next_due=now), already=False)


def _joined(present: Subscriber, asked: Preferences) -> Preferences:
    known = {interest.name for interest in present.preferences.interests}
    added = tuple(interest for interest in asked.interests if interest.name not in known)
    schedule = asked.schedule if present.state is SubscriberState.PENDING else present.preferences.schedule
    interests = (present.preferences.interests + added)[: max(MOST_IN_ALL, len(present.preferences.interests))]
    return replace(present.preferences, schedule=schedule, interests=interests)


def forget_unconfirmed(connection: Connection, now: datetime) -> int:
    """Remove the requests that can be confirmed no more, and who is pending by them alone; returns how many people."""
    before = now - VALID_FOR[TokenPurpose.CONFIRM]
    sign_ups.forget(connection, before)
    rows = sign_ups.never_confirmed(connection, _NOT_CONFIRMED, before, _BLOCK)
    for row in rows:
        retention.forget_person(connection, row)
    forget_counts(connection, now)
    return len(rows)
