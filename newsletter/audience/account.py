"""Changes that a link to the preferences is not enough for: a new address, an export, deletion.

People forward digests with the links in them. Someone who holds such a link must not take over the subscription, read
its data or delete it. So the present address confirms each by email first, and a new address confirms as well.
"""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from newsletter.audience import subscriber_states, subscriptions
from newsletter.audience.form_limits import LimitVerdict, RequestOrigin, check_and_count
from newsletter.config.web import SignUps
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.store import sign_ups, subscribers, suppressions
from newsletter.store.sign_ups import Kind, SignUp


def ask(
    connection: Connection,
    key: str,
    subscriber: Subscriber,
    kind: Kind,
    asked: RequestOrigin,
    limits: SignUps,
    now: datetime,
    new_email: str | None = None,
    preferences: Preferences | None = None,
) -> LimitVerdict:
    """Queue a request made with a subscriber's link: an email to the subscriber's address will ask for confirmation, or
    say what was done.

    Args:
        new_email: the address to move to, in normal form.
        preferences: kept with the request, if its email needs them.
    """
    verdict = check_and_count(connection, key, subscriber.email, asked, limits, now, challenge=False)
    if verdict is LimitVerdict.TAKEN:
        to = preferences or Preferences(email=subscriber.email)
        sign_ups.add(connection, to, asked.network, now, kind, subscriber.row, new_email)
    return verdict


def gets_mail(connection: Connection, subscriber: Subscriber) -> bool:
    """Whether mail may be sent to a subscriber's address: it did not bounce, and nobody complained."""
    suppression = suppressions.find(connection, subscriber.email)
    return suppression is None or suppression.reason not in subscriber_states.STRICT


def sign_out(
    connection: Connection, key: str, subscriber: Subscriber, asked: RequestOrigin, limits: SignUps, now: datetime
) -> LimitVerdict:
    """Disable all previous links of a subscriber and the requests made with them, and email a new link, if the limits
    allow. The link is not shown on the page: the visitor may be a stranger.
    """
    subscribers.sign_out_links(connection, subscriber.row)
    sign_ups.remove_of_subscriber(connection, subscriber.row)
    return ask(connection, key, subscriber, Kind.NEW_LINK, asked, limits, now)


def find(connection: Connection, request: SignUp) -> Subscriber | None:
    """Return the subscriber of a request; None if deleted or moved to another address since."""
    row = request.subscriber or 0
    subscriber = subscribers.by_rows(connection, [row]).get(row)
    if subscriber is None or request.kind is Kind.NEW_ADDRESS:
        return subscriber
    same = subscribers.email_key(subscriber.email) == subscribers.email_key(request.email)
    return subscriber if same else None


def ask_new_address(
    connection: Connection,
    key: str,
    request: SignUp,
    asked: RequestOrigin,
    limits: SignUps,
    now: datetime,
) -> LimitVerdict:
    """Queue the email to the new address after the current one has confirmed. This ends the request."""
    email = request.new_email or ""
    verdict = check_and_count(connection, key, email, asked, limits, now, challenge=False)
    if verdict is LimitVerdict.TAKEN:
        to = Preferences(email=email)
        sign_ups.add(connection, to, asked.network, now, Kind.NEW_ADDRESS, request.subscriber, email)
        sign_ups.remove(connection, request.row)
    return verdict


def change_address(
    connection: Connection, subscriber: Subscriber, request: SignUp, network: str, folder: Path, now: datetime
) -> bool:
    """Move a subscription to the address that confirmed it. All links sent to the old address are signed out.

    Returns:
        Whether it was moved; false if the subscription has ended, or the address has or had another one.

    Raises:
        UserError: the subscriber's file has an error or cannot be written.
    """
    email = request.email
    if sign_ups.find(connection, request.row) is None:
        return False  # Used, or signed out, just now.
    holder, suppression = subscribers.by_email(connection, email), suppressions.find(connection, email)
    if holder is not None or subscriber.state not in (SubscriberState.ACTIVE, SubscriberState.PAUSED):
        return False
    if suppression is not None and suppression.reason in subscriber_states.STRICT:
        return False
    home = subscriptions.read_stored(subscriber, folder)
    wanted = replace(home.preferences, email=email)
    if not subscriptions.save_preferences(connection, subscriber, wanted, home.mark, folder, now):
        return False
    suppressions.lift(connection, email)
    consent = subscribers.consent(connection, subscriber.row)
    moved = f"{consent}; moved from {subscriber.email} at {now:%Y-%m-%d %H:%M} UTC, confirmed at both from {network}"
    subscribers.set_consent(connection, subscriber.row, moved)
    subscribers.sign_out_links(connection, subscriber.row)
    sign_ups.remove_of_subscriber(connection, subscriber.row)
    return True
