"""Sign-up on the site: requests, their emails and confirmation.

A request has no effect until its address confirms it, and the response is the same for every address.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from newsletter.audience import subscriber_states, subscriptions
from newsletter.audience.form_limits import LimitVerdict, RequestOrigin, check_and_count, forget_counts
from newsletter.audience.identifiers import valid_orcid
from newsletter.audience.signed_links import VALID_FOR, TokenPurpose
from newsletter.audience.subscriber_file import preferences_from_mapping
from newsletter.audience.subscriber_schema import MOST_INTERESTS as MOST_IN_ALL
from newsletter.config.fields import plain_address
from newsletter.config.web import SignUps
from newsletter.errors import UserError
from newsletter.model import Layout, Preferences, Subscriber, SubscriberState
from newsletter.store import retention, sign_ups, suppressions
from newsletter.store import subscribers as store
from newsletter.store.sign_ups import Kind, SignUp

MOST_INTERESTS = 20
LONGEST_INTEREST = 300

OWN_PUBLICATIONS = "Own publications"
"""The name of the interest that an ORCID iD becomes."""

FOR_LIBRARIES = timedelta(minutes=5)
"""How long the first digest waits for the libraries of a sign-up to be read."""

_MOST_OF_UPLOADS = 200_000_000
"""Characters that the libraries uploaded with all requests may take in the store. Those that come later are left out,
and can be uploaded again after the sign-up is confirmed.
"""
RATING_TIME = timedelta(minutes=10)
"""How long the first digest of a subscriber without interests waits for the ratings that the site asks for."""

_NOT_CONFIRMED = "asked for on the site, not confirmed"
_BATCH = 500
_WITH_LINKS = (SubscriberState.ACTIVE, SubscriberState.PAUSED, SubscriberState.UNSUBSCRIBED)


class SignupMail(StrEnum):
    """The kinds of sign-up emails, by the names of their templates."""

    CONFIRM = "confirm"
    ALREADY = "already"
    NEW_LINK = "new_link"
    EXPORT = "export"
    FORGET = "forget"
    CHANGE_ADDRESS = "change_address"
    NEW_ADDRESS = "new_address"
    INTERESTS = "interests"

    @property
    def asks(self) -> bool:
        """Whether it asks for confirmation, so that its request is kept."""
        return self not in (SignupMail.ALREADY, SignupMail.NEW_LINK, SignupMail.INTERESTS)


def read_address(email: str) -> str:
    """Normalise an address from a form.

    Raises:
        UserError: it is not an address (worded for the reader).
    """
    try:
        return plain_address(email)
    except ValueError as error:
        said = str(error).partition(": ")[2]
        raise UserError(
            f"That is not an email address. {said}" if email.strip() else "Please enter your email address."
        ) from None


def read_lasting_address(email: str) -> str:
    """Normalise an address from a form, unless it is disposable."""
    address = read_address(email)
    if is_disposable(address):
        domain = address.rpartition("@")[2]
        raise UserError(
            f"Addresses at {domain} are temporary, so the newsletter would soon bounce. Please use a permanent address."
        )
    return address


def read_request(email: str, interests: Iterable[str], timezone: str, layout: str = "", orcid: str = "") -> Preferences:
    """Validate a sign-up form by the rules of subscriber files.

    Args:
        interests: topics in words; empty ones and duplicates are ignored.
        timezone: the browser's; an unknown one counts as UTC.
        layout: the name of one; an unknown or empty one counts as the newsletter's own.
        orcid: an ORCID iD, whose publications become an interest; empty for none.

    Raises:
        UserError: something is wrong in it, a line for each, in words for who filled the form in.
    """
    address = read_lasting_address(email)
    wanted = list(dict.fromkeys(line for line in (" ".join(one.split()) for one in interests) if line))
    if len(wanted) > MOST_INTERESTS:
        raise UserError(f"Please start with at most {MOST_INTERESTS} interests; you can add more later.")
    if any(len(line) > LONGEST_INTEREST for line in wanted):
        raise UserError(f"Please use at most {LONGEST_INTEREST} characters per interest.")
    shown = layout if layout in list(Layout) else None
    named: list[object] = [*wanted, *([{"name": OWN_PUBLICATIONS, "orcid": _orcid(orcid)}] if orcid.strip() else [])]
    for zone in (timezone, "UTC"):
        mapping = {"email": address, "interests": named, "schedule": {"timezone": zone}, "layout": shown}
        try:
            return preferences_from_mapping(mapping, "form")
        except UserError as error:
            problem = error
    raise UserError("Please check your interests.") from problem


def _orcid(text: str) -> str:
    try:
        return valid_orcid(text)
    except ValueError as error:
        raise UserError(f"Your ORCID iD: this {error}.") from None


@cache
def _disposable() -> frozenset[str]:
    from disposable_email_domains import blocklist  # Imported here: it is large, and only needed here.

    return frozenset(blocklist)


def is_disposable(email: str) -> bool:
    """Whether the domain of an address, or a parent domain, provides disposable addresses."""
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
    upload: tuple[str, bytes] | None = None,
) -> LimitVerdict:
    """Queue a request, possibly from a stranger to the address; the mailer then sends its sign-up email.

    Args:
        key: hashes the counted values.
        kind: sign-up, or a new link.
        upload: the library that was uploaded with it: the file's name and its content.
    """
    verdict = check_and_count(connection, key, wanted.email, asked, limits, now)
    if verdict is LimitVerdict.TAKEN:
        fits = upload is not None and sign_ups.size_of_uploads(connection) < _MOST_OF_UPLOADS
        left_out = upload[0] if upload is not None and not fits else None
        sign_ups.add(connection, wanted, asked.network, now, kind, upload=upload if fits else None, left_out=left_out)
    return verdict


def mail_for(connection: Connection, request: SignUp, now: datetime) -> SignupMail | None:
    """Choose the sign-up email of a request; None for addresses that complained or bounced, for which a request is not
    enough. A new address becomes pending.
    """
    email = request.preferences.email
    subscriber, suppression = store.by_email(connection, email), suppressions.find(connection, email)
    if suppression is not None and suppression.reason in subscriber_states.STRICT:
        return None
    if request.kind is Kind.NEW_LINK:
        return SignupMail.NEW_LINK if subscriber is not None and subscriber.state in _WITH_LINKS else None
    if request.kind is not Kind.SIGN_UP:
        return SignupMail(request.kind.value)
    if subscriber is None:
        # Only the address: the rest of the request is not confirmed yet.
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
    """The result of a confirmation: the subscriber, and whether it was already subscribed."""

    subscriber: Subscriber
    already: bool


def confirm(connection: Connection, request: SignUp, network: str, now: datetime, folder: Path) -> Confirmed | None:
    """Subscribe the address of a confirmed request: active, and due at once, but after :data:`FOR_LIBRARIES` if it has
    libraries or its file was left out, and after :data:`RATING_TIME` if it has no interests. An uploaded library is
    kept until it is stored.

    A former subscriber keeps the previous preferences, with the interests of the request added.

    Returns:
        None when the address gets no mail, since it bounced or complained meanwhile.
    """
    email = request.preferences.email
    present, suppression = store.by_email(connection, email), suppressions.find(connection, email)
    sign_ups.remove_of(connection, email)
    if present is not None and present.state in (SubscriberState.ACTIVE, SubscriberState.PAUSED):
        return Confirmed(present, already=True)
    if suppression is not None and suppression.reason in subscriber_states.STRICT:
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
    if request.upload is not None:
        address = Preferences(email=email)
        sign_ups.add(connection, address, request.network, now, Kind.UPLOAD, subscriber.row, upload=request.upload)
    if (
        request.upload is not None
        or request.left_out is not None
        or any(interest.libraries for interest in wanted.interests)
    ):
        due = now + FOR_LIBRARIES
    else:
        due = now if subscriber.preferences.interests else now + RATING_TIME
    store.set_next_due(connection, {subscriber.row: due})
    return Confirmed(replace(subscriber, next_due=due), already=False)


def waits_for_ratings(subscriber: Subscriber) -> bool:
    """Return whether the first digest of a subscriber waits for ratings: it is due :data:`RATING_TIME` after the
    confirmation.
    """
    if subscriber.state is not SubscriberState.ACTIVE or subscriber.state_since is None:
        return False
    return subscriber.next_due == subscriber.state_since + RATING_TIME


def end_waiting(connection: Connection, subscriber: Subscriber, now: datetime) -> None:
    """Make a digest that waits for ratings due now; change nothing for other subscribers."""
    if waits_for_ratings(subscriber):
        store.set_next_due(connection, {subscriber.row: now})


def _joined(present: Subscriber, asked: Preferences) -> Preferences:
    known = {interest.name for interest in present.preferences.interests}
    added = tuple(interest for interest in asked.interests if interest.name not in known)
    schedule = asked.schedule if present.state is SubscriberState.PENDING else present.preferences.schedule
    interests = (present.preferences.interests + added)[: max(MOST_IN_ALL, len(present.preferences.interests))]
    return replace(present.preferences, schedule=schedule, interests=interests)


def forget_unconfirmed(connection: Connection, now: datetime) -> int:
    """Delete expired requests and their pending subscribers; returns the number of subscribers."""
    before = now - VALID_FOR[TokenPurpose.CONFIRM]
    sign_ups.forget(connection, before)
    rows = sign_ups.never_confirmed(connection, _NOT_CONFIRMED, before, _BATCH)
    for row in rows:
        retention.forget_person(connection, row, now)
    forget_counts(connection, now)
    return len(rows)
