"""A subscriber's account: a new link by email, signing out all links, and requests confirmed by email."""

import json
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience import account, data_export
from newsletter.audience.form_limits import LimitVerdict
from newsletter.audience.signed_links import TokenPurpose
from newsletter.audience.signup import read_address, read_lasting_address
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.services import signup_mail
from newsletter.services.retention import erase_subscriber, find_subscriber
from newsletter.store import reading, sign_ups, subscribers, writing
from newsletter.store.sign_ups import Kind, SignUp
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import (
    PAGE,
    Posted,
    SameOrigin,
    path_for,
    request_of,
    request_origin,
    subscriber_of,
    text,
    used_link,
)

_MANY_EMAILS = "We have sent several emails to this address already. Please try again tomorrow."
_NO_MAIL = (
    "Mail to your address bounced or was reported as spam, so we cannot email you a confirmation. Please contact us "
    "or subscribe with another address."
)
_ENDED = "Your current address is not subscribed. Please subscribe with the new one instead."
_NOT_MOVED = (
    "Nothing was changed: this address already has or had a subscription, or the one to move has ended. Please "
    "subscribe with this address instead."
)
_FILE = "Nothing was changed: the file with your interests cannot be changed right now. Please contact us."


def routes(site: WebContext) -> APIRouter:
    """Create the router of a subscriber's account pages."""
    router = APIRouter(include_in_schema=False)
    _add_new_links(router, site)
    _add_requests(router, site)
    _add_approval(router, site)
    return router


def _add_new_links(router: APIRouter, site: WebContext) -> None:
    """Add the pages that email a new link. The answer is the same for every address."""

    def form_page(request: Request, status: int, email: str, **values: Any) -> Response:
        shown = {"problems": (), "challenge": None, **values}
        return site.page(request, "links", status, headers=PRIVATE, email=email, sent=False, **shown)

    @router.api_route("/links", methods=PAGE)
    def form(request: Request) -> Response:
        return form_page(request, 200, "")

    @router.post("/links", dependencies=[SameOrigin])
    def ask(request: Request, form: Posted) -> Response:
        email = text(form, "email")
        try:
            wanted = Preferences(email=read_address(email))
        except UserError as error:
            return form_page(request, 422, email, problems=error.lines)
        verdict = signup_mail.request_signup(site.context, wanted, request_origin(request, form), Kind.NEW_LINK)
        if verdict is LimitVerdict.TOO_MANY:
            raise HTTPException(429)
        if verdict is LimitVerdict.CHALLENGE:
            return form_page(request, 429, email, challenge=site.challenge())
        site.mailer.wake()
        return RedirectResponse("/links/sent", 303)

    @router.api_route("/links/sent", methods=PAGE)
    def sent(request: Request) -> Response:
        return site.page(request, "links", headers=PRIVATE, sent=True)


def _add_requests(router: APIRouter, site: WebContext) -> None:
    """Add what a link to the preferences can request. Each request sends an email to the subscriber's address."""
    context = site.context
    key, limits = context.links.key, context.config.web.sign_ups

    def ask(request: Request, subscriber: Subscriber, kind: Kind, new_email: str | None = None) -> Response:
        with writing(context.engine) as connection:
            if not account.gets_mail(connection, subscriber):
                raise HTTPException(409, _NO_MAIL, headers=PRIVATE)
            asked = request_origin(request)
            verdict = account.ask(connection, key, subscriber, kind, asked, limits, context.clock(), new_email)
        _check(verdict)
        site.mailer.wake()
        return site.page(request, "account_sent", headers=PRIVATE, kind=kind.value, email=subscriber.email)

    @router.post("/preferences/{token}/export", dependencies=[SameOrigin])
    def export(request: Request, token: str) -> Response:
        return ask(request, subscriber_of(site, TokenPurpose.PREFERENCES, token), Kind.EXPORT)

    @router.post("/preferences/{token}/forget", dependencies=[SameOrigin])
    def forget(request: Request, token: str) -> Response:
        return ask(request, subscriber_of(site, TokenPurpose.PREFERENCES, token), Kind.FORGET)

    @router.post("/preferences/{token}/address", dependencies=[SameOrigin])
    def move(request: Request, token: str, form: Posted) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        if subscriber.state not in (SubscriberState.ACTIVE, SubscriberState.PAUSED):
            raise HTTPException(409, _ENDED, headers=PRIVATE)
        try:
            wanted = read_lasting_address(text(form, "email"))
            if subscribers.email_key(wanted) == subscribers.email_key(subscriber.email):
                raise UserError("This is already your address.")
        except UserError as error:
            raise HTTPException(422, " ".join(error.lines), headers=PRIVATE) from None
        return ask(request, subscriber, Kind.CHANGE_ADDRESS, wanted)

    @router.post("/preferences/{token}/sign-out", dependencies=[SameOrigin])
    def sign_out(request: Request, token: str) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        with writing(context.engine) as connection:
            account.sign_out(connection, key, subscriber, request_origin(request), limits, context.clock())
        site.mailer.wake()
        return site.page(request, "account_sent", headers=PRIVATE, kind="sign_out", email=subscriber.email)


def _add_approval(router: APIRouter, site: WebContext) -> None:
    """Add the pages that such an email links to: each says what was requested, and has a button that does it."""
    context = site.context
    acts: dict[Kind, Callable[[Request, SignUp, Subscriber], Response]] = {
        Kind.EXPORT: lambda _, asked, subscriber: _export(site, asked, subscriber),
        Kind.FORGET: lambda request, _, subscriber: _forget(site, request, subscriber),
        Kind.CHANGE_ADDRESS: lambda request, asked, _: _ask_new_address(site, request, asked),
        Kind.NEW_ADDRESS: lambda request, asked, subscriber: _move(site, request, asked, subscriber),
    }

    def read(token: str) -> tuple[SignUp, Subscriber]:
        asked = request_of(site, TokenPurpose.APPROVE, token)
        with reading(context.engine) as connection:
            subscriber = account.find(connection, asked)
        if subscriber is None or asked.kind not in acts:
            raise used_link(TokenPurpose.APPROVE)
        return asked, subscriber

    @router.api_route("/approve/{token}", methods=PAGE)
    def show(request: Request, token: str) -> Response:
        asked, subscriber = read(token)
        return site.page(
            request,
            "approve",
            headers=PRIVATE,
            token=token,
            kind=asked.kind.value,
            email=subscriber.email,
            new_email=asked.new_email,
        )

    @router.post("/approve/{token}", dependencies=[SameOrigin])
    def act(request: Request, token: str) -> Response:
        asked, subscriber = read(token)
        return acts[asked.kind](request, asked, subscriber)


def _export(site: WebContext, asked: SignUp, subscriber: Subscriber) -> Response:
    context = site.context
    with writing(context.engine) as connection:
        # Of two simultaneous clicks, only one gets the data.
        if sign_ups.find(connection, asked.row) is None:
            raise used_link(TokenPurpose.APPROVE)
        content = data_export.export_data(connection, subscriber)
        sign_ups.remove(connection, asked.row)
    name = f"newsletter-{context.clock():%Y-%m-%d}.json"
    headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(json.dumps(content, ensure_ascii=False, indent=1), 200, headers, "application/json")


def _forget(site: WebContext, request: Request, subscriber: Subscriber) -> Response:
    erase_subscriber(site.context, find_subscriber(site.context, subscriber.email))
    return site.page(request, "forget", headers=PRIVATE, done=True)


def _ask_new_address(site: WebContext, request: Request, asked: SignUp) -> Response:
    context = site.context
    with writing(context.engine) as connection:
        if sign_ups.find(connection, asked.row) is None:
            raise used_link(TokenPurpose.APPROVE)
        limits, now = context.config.web.sign_ups, context.clock()
        verdict = account.ask_new_address(connection, context.links.key, asked, request_origin(request), limits, now)
    _check(verdict)
    site.mailer.wake()
    return site.page(request, "account_sent", headers=PRIVATE, kind=Kind.NEW_ADDRESS.value, email=asked.new_email)


def _move(site: WebContext, request: Request, asked: SignUp, subscriber: Subscriber) -> Response:
    context, network = site.context, request_origin(request).network
    try:
        with writing(context.engine) as connection:
            folder = context.config.subscribers_folder
            moved = account.change_address(connection, subscriber, asked, network, folder, context.clock())
    except UserError:
        raise HTTPException(409, _FILE, headers=PRIVATE) from None
    if not moved:
        raise HTTPException(409, _NOT_MOVED, headers=PRIVATE)
    with reading(context.engine) as connection:
        now = subscribers.by_rows(connection, [subscriber.row])[subscriber.row]
    return RedirectResponse(f"{path_for(site, TokenPurpose.PREFERENCES, now)}?said=moved", 303, headers=PRIVATE)


def _check(verdict: LimitVerdict) -> None:
    if verdict is LimitVerdict.FULL_MAILBOX:
        raise HTTPException(429, _MANY_EMAILS, headers=PRIVATE)
    if verdict is not LimitVerdict.TAKEN:
        raise HTTPException(429, headers=PRIVATE)
