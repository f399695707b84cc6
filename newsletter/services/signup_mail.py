"""Send the emails that requests on the site or by email lead to, such as sign-ups.

They are sent in the background, from requests kept in the store: visitors need not wait for a mail server and learn
nothing from it, and an email that could not be sent is retried, also by a process started later.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from newsletter.audience import signup
from newsletter.audience.form_limits import LimitVerdict, RequestOrigin
from newsletter.audience.signed_links import VALID_FOR, TokenPurpose
from newsletter.audience.signup import SignupMail
from newsletter.delivery.smtp.transport import Outcome
from newsletter.errors import NewsletterError
from newsletter.model import Message, Preferences, SendState, Subscriber
from newsletter.rendering.images import Picture
from newsletter.rendering.message import make_signup_message
from newsletter.rendering.template import load_templates, render
from newsletter.rendering.template_context import interests_context, signup_context
from newsletter.services.context import AppContext
from newsletter.services.direct_delivery import deliver
from newsletter.services.messages import interests_link, look_of
from newsletter.store import pauses, reading, sign_ups, subscribers, writing
from newsletter.store.sign_ups import Kind, SignUp

_HOLD = timedelta(minutes=10)
"""How long an email claimed by one process is left alone by others: longer than it may be on the wire."""

_LONGEST_PAUSE = timedelta(hours=1)
_LOOK_SECONDS = 30.0

_log = logging.getLogger(__name__)


class SignupMailer:
    """Sends the emails that requests lead to, in a thread that runs while any are waiting."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._woken = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def wake(self) -> None:
        """Start sending the waiting emails."""
        with self._lock:
            self._woken.set()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="signup-mailer", daemon=True)
                self._thread.start()

    def close(self, seconds: float = 5) -> None:
        """Stop after the email being sent, and wait for it so long; what waits is sent after the next start."""
        with self._lock:
            self._closed = True
            self._woken.set()
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _work(self) -> None:
        while True:
            self._woken.clear()
            try:
                while not self._closed and send_next(self._context):
                    pass
                with reading(self._context.engine) as connection:
                    waits = sign_ups.next_mail_at(connection) is not None
            except Exception as error:  # A bug of ours must not stop all further emails.
                reason = error if isinstance(error, NewsletterError) else repr(error)
                _log.warning("sign-up emails are delayed: %s", reason)
                waits = True
            with self._lock:
                if self._closed or (not waits and not self._woken.is_set()):
                    self._thread = None
                    return
            self._woken.wait(_LOOK_SECONDS)


def request_signup(
    context: AppContext,
    wanted: Preferences,
    asked: RequestOrigin,
    kind: Kind = Kind.SIGN_UP,
    upload: tuple[str, bytes] | None = None,
) -> LimitVerdict:
    """Record a visitor's request (see :func:`newsletter.audience.signup.add_request`); then wake the mailer."""
    with writing(context.engine) as connection:
        limits, now = context.config.web.sign_ups, context.clock()
        return signup.add_request(connection, context.links.key, wanted, asked, limits, now, kind, upload)


def send_next(context: AppContext) -> bool:
    """Send the next waiting email; return whether there was one. While all sending is paused, none is sent.

    An email that cannot be rendered or sent is deferred, whatever the reason, so that others need not wait for it.
    """
    now = context.clock()
    with writing(context.engine) as connection:
        if pauses.find(connection) is not None:
            return False
        request = sign_ups.take(connection, now, now + _HOLD)
    if request is None:
        return False
    mail: SignupMail | None = None
    outcome: Outcome | None = None
    try:
        with writing(context.engine) as connection:
            mail = signup.mail_for(connection, request, now)
            if mail is None:
                sign_ups.remove(connection, request.row)
                return True
        outcome = deliver(context, _message(context, request, mail))
    except Exception as error:
        # Foreign error messages are left out, since they may contain an address.
        reason = error if isinstance(error, NewsletterError) else type(error).__name__
        _log.warning("the email of sign-up request %s is deferred: %s", request.row, reason)
    _settle(context, request, mail, outcome, now)
    return True


def _settle(
    context: AppContext, request: SignUp, mail: SignupMail | None, outcome: Outcome | None, now: datetime
) -> None:
    """Record the outcome of an email; None means nothing happened yet."""
    with writing(context.engine) as connection:
        gone = outcome is not None and outcome.state in (SendState.SENT, SendState.UNSURE)
        if gone and mail is not None and mail.asks:
            sign_ups.put_off(connection, request.row, None)
            return
        again = now + min(_LONGEST_PAUSE, timedelta(minutes=2 ** min(request.attempts - 1, 10)))
        put_off = outcome is None or outcome.state is SendState.DEFERRED
        if put_off and again < request.asked_at + VALID_FOR[TokenPurpose.CONFIRM]:
            sign_ups.put_off(connection, request.row, again)
        else:
            sign_ups.remove(connection, request.row)


_SUBJECTS = {
    SignupMail.CONFIRM: "Confirm your subscription to {name}",
    SignupMail.ALREADY: "You have {name} already",
    SignupMail.NEW_LINK: "Your link to {name}",
    SignupMail.EXPORT: "Download your data from {name}",
    SignupMail.FORGET: "Confirm that you want {name} to delete your data",
    SignupMail.CHANGE_ADDRESS: "Confirm your change of address for {name}",
    SignupMail.NEW_ADDRESS: "Confirm this address for {name}",
    SignupMail.INTERESTS: "Your interests in {name}",
}


def _message(context: AppContext, request: SignUp, mail: SignupMail) -> Message:
    site, look = context.config.site, look_of(context.config)
    templates = load_templates(context.config.folder / context.config.templates, mail.value, look)
    # Nothing that was entered in a form appears in an email to somebody who may not have entered it.
    hours = int(VALID_FOR[TokenPurpose.CONFIRM] / timedelta(hours=1))
    subject = _SUBJECTS[mail].format(name=site.name)
    if mail is SignupMail.INTERESTS:
        values = _interests(context, request, subject, look.images.logo)
    else:
        values = signup_context(site, subject, _link(context, request, mail), hours, look.images.logo)
    html, text = render(templates.html, values), render(templates.text, values)
    message = make_signup_message(site, request.email, subject, html, text, context.clock(), look.images)
    # Bounces of these emails go to the bounce address, if there is one.
    return replace(message, sender=context.config.bounces.address or parseaddr(site.sender)[1])


def _link(context: AppContext, request: SignUp, mail: SignupMail) -> str:
    """Return the link that the reader of an email is to open."""
    if mail.asks:
        purpose = TokenPurpose.CONFIRM if mail is SignupMail.CONFIRM else TokenPurpose.APPROVE
        token = context.links.timed_token(purpose, request.row, request.asked_at)
        return context.links.page(purpose, token)
    subscriber = _subscriber(context, request)
    return context.links.url(TokenPurpose.PREFERENCES, subscriber.row, subscriber.link_version)


def _interests(context: AppContext, request: SignUp, subject: str, logo: Picture | None) -> dict[str, Any]:
    """Return the values for the answer to an email about interests."""
    subscriber = _subscriber(context, request)
    names = [interest.name for interest in subscriber.preferences.interests]
    link, changed = interests_link(context, subscriber), bool(request.preferences.interests)
    return interests_context(context.config.site, subject, link, changed, names, logo)


def _subscriber(context: AppContext, request: SignUp) -> Subscriber:
    with reading(context.engine) as connection:
        subscriber = subscribers.by_email(connection, request.email)
    if subscriber is None:
        raise NewsletterError("its subscriber was just deleted")
    return subscriber


def forget_unconfirmed(context: AppContext, should_stop: Callable[[], bool]) -> int:
    """Delete sign-ups that were not confirmed in time; return how many."""
    forgotten = 0
    while not should_stop():
        with writing(context.engine) as connection:
            number = signup.forget_unconfirmed(connection, context.clock())
        forgotten += number
        if not number:
            break
    return forgotten


def find_request(context: AppContext, purpose: TokenPurpose, token: str) -> SignUp | None:
    """Return the request that a link confirms; None if it was confirmed already, or no longer exists.

    Args:
        purpose: ``CONFIRM`` for a sign-up, ``APPROVE`` for a request of a subscriber.

    Raises:
        LinkExpired: the link is too old.
        ValueError: the link is not ours.
    """
    found = context.links.timed(purpose, token, context.clock())
    if found is None:
        raise ValueError("not a link of ours")
    row, asked_at = found
    with reading(context.engine) as connection:
        request = sign_ups.find(connection, row)
    return request if request is not None and _same(request.asked_at, asked_at) else None


def _same(one: datetime, other: datetime) -> bool:
    return abs(one - other) < timedelta(milliseconds=1)


def confirm(context: AppContext, request: SignUp, network: str) -> signup.Confirmed | None:
    """Turn a confirmed request into a subscriber (see :func:`newsletter.audience.signup.confirm`)."""
    with writing(context.engine) as connection:
        return signup.confirm(connection, request, network, context.clock(), context.config.subscribers_folder)
