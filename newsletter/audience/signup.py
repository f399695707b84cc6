"""Signing up on the site: who may ask, what a request leads to, and what confirming it does.

A request changes nothing for the address it names before that is confirmed, and is answered alike whoever has it.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

from sqlalchemy import Connection

from newsletter.audience import membership
from newsletter.audience.interests import MOST_INTERESTS as MOST_IN_ALL
from newsletter.audience.interests import preferences_from_mapping
from newsletter.audience.links import GOOD_FOR, Purpose
from newsletter.config import SignUps, plain_address
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.store import forgetting, pace, sign_ups, suppressions
from newsletter.store import subscribers as store
from newsletter.store.sign_ups import SignUp

MOST_INTERESTS = 20
LONGEST_INTEREST = 300

_NOT_CONFIRMED = "asked for on the site, not confirmed"
_HOUR = 60
_BLOCK = 500


class Letter(StrEnum):
    """What is written to an address that somebody asked to sign up."""

    CONFIRM = "confirm"
    ALREADY = "already"


def read_request(email: str, interests: Iterable[str], timezone: str) -> Preferences:
    """What a form asks for, checked as a subscriber's file is.

    Args:
        interests: what to follow, in words; empty ones and those that come twice are passed over.
        timezone: as the browser has it; one that is not known here counts as UTC.

    Raises:
        UserError: something is wrong in it, a line for each, in words for who filled the form in.
    """
    try:
        address = plain_address(email)
    except ValueError as error:
        said = str(error).partition(": ")[2]
        raise UserError(
            f"That is not an email address. {said}" if email.strip() else "Please write your address."
        ) from None
    if is_disposable(address):
        domain = address.rpartition("@")[2]
        raise UserError(
            f"Addresses at {domain} last a short time only, and a newsletter would soon bounce from yours. "
            "Please use one that stays."
        )
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


def network_of(host: str | None) -> str:
    """The network that an address of a machine is in, which is all that is kept of it: a /24, of IPv6 a /64."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return "an unknown network"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))


def ask(connection: Connection, key: str, wanted: Preferences, network: str, limits: SignUps, now: datetime) -> bool:
    """Take a request, whose letter is then to be sent.

    Above the limit of an address it is passed over in silence, since who asks may be a stranger to it.

    Args:
        key: by which what requests are counted by is made unreadable.
        network: as :func:`network_of` has it.

    Returns:
        Whether the limits of the network and of all requests allow one more.
    """
    sign_ups.one_by_one(connection)
    minute = int(now.timestamp() // 60)
    of_network, of_address, of_all = (
        _counted_by(key, what) for what in (f"network {network}", f"address {store.email_key(wanted.email)}", "all")
    )
    used = {one: _used(connection, one, minute) for one in (of_network, of_address, of_all)}
    if used[of_network] >= limits.per_network or used[of_all] >= limits.per_hour:
        return False
    for one in used:
        pace.count(connection, one, minute, 1)
    if used[of_address] < limits.per_address:
        sign_ups.add(connection, wanted, network, now)
    return True


def _counted_by(key: str, what: str) -> str:
    return "sign-up " + hmac.new(key.encode(), f"sign-up|{what}".encode(), hashlib.sha256).hexdigest()[:32]


def _used(connection: Connection, key: str, minute: int) -> int:
    return sum(number for _, number in pace.counts(connection, key, minute - _HOUR - 1))


def answer_to(connection: Connection, request: SignUp, now: datetime) -> Letter | None:
    """Which letter a request leads to; none to who complained of mail, or whose mailbox was not there: being asked for
    is not enough for them. An address that is new is pending from then on.
    """
    email = request.preferences.email
    subscriber, suppression = store.by_email(connection, email), suppressions.find(connection, email)
    if suppression is not None and suppression.reason in membership.STRICT:
        return None
    if subscriber is None:
        # With no more than the address: what else was asked for is nobody's wish yet.
        bare = replace(request.preferences, interests=())
        store.add(connection, bare, SubscriberState.PENDING, _NOT_CONFIRMED, now, file=None)
        return Letter.CONFIRM
    match subscriber.state:
        case SubscriberState.ACTIVE | SubscriberState.PAUSED:
            return Letter.ALREADY
        case SubscriberState.BOUNCED:
            return None
    return Letter.CONFIRM


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
    if suppression is not None and suppression.reason in membership.STRICT:
        return None
    wanted, writable = request.preferences, False
    if present is not None:
        present, writable = membership.refresh(connection, present, folder, now)
        wanted = _joined(present, wanted)
    consent = (
        f"asked for on the site at {request.asked_at:%Y-%m-%d %H:%M} UTC from {request.network}, "
        f"confirmed at {now:%Y-%m-%d %H:%M} UTC from {network}"
    )
    home = folder if writable else None
    subscriber = membership.subscribe(connection, wanted, consent, now, home, again=True)
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
    before = now - GOOD_FOR[Purpose.CONFIRM]
    sign_ups.forget(connection, before)
    rows = sign_ups.never_confirmed(connection, _NOT_CONFIRMED, before, _BLOCK)
    for row in rows:
        forgetting.forget_person(connection, row)
    pace.forget_old_counts(connection, int(now.timestamp() // 60) - 2 * 24 * 60)
    return len(rows)
