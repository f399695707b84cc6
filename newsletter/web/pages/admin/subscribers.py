"""The subscribers in the admin site: find, view, add, change, tag, pause, block, export and forget them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response

from newsletter.audience import history, subscriptions, timeline
from newsletter.audience.subscriber_file import new_text, preferences_from_mapping, read_contents
from newsletter.audience.subscriptions import StoredPreferences
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Subscriber, SubscriberState
from newsletter.services import subscriber_admin
from newsletter.services.subscriber_admin import NoSubscriber, Profile
from newsletter.store import reading, subscribers, suppressions, tags
from newsletter.support.tags import valid_tag
from newsletter.web.auth import HOME, Operator, editor, viewer
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import Posted, SameOrigin, text
from newsletter.web.pages.admin.layout import RowNumber, admin_page, done

_OWN = "/subscribers"
_PATH = f"{HOME}{_OWN}"
_PAGE = 50
_LINES = 20
_SHOWN = "subscriber"

NOTICES = {
    "added": "The subscriber was added.",
    "changed": "The preferences were saved.",
    "tags": "The tags were saved.",
    "pause": "The subscriber is paused.",
    "resume": "The pause is over.",
    "block": "The subscriber is blocked and gets no more mail.",
    "forgotten": "All data of the subscriber was deleted.",
}
"""What was done, by the name that the address of the page has."""


@dataclass(frozen=True, slots=True)
class Search:
    """What the list of subscribers shows: who has a text in the address or name, a state and a tag, after a row."""

    q: str = ""
    state: SubscriberState | None = None
    tag: str = ""
    after: int = 0

    def address(self, after: int) -> str:
        """Return the address of the page that begins after a row."""
        given = {"q": self.q, "state": self.state.value if self.state else "", "tag": self.tag, "after": after}
        return f"{_PATH}?{urlencode({key: value for key, value in given.items() if value})}"


def routes(site: WebContext) -> APIRouter:
    """Create the router of the pages."""
    context = site.context
    router = APIRouter(prefix=_OWN)
    may_view, may_change = Depends(viewer(site)), Depends(editor(site))

    def show(
        request: Request,
        operator: Operator,
        found: Profile,
        status: int = 200,
        problem: str = "",
        yaml: str | None = None,
        whole: bool = False,
    ) -> Response:
        with reading(context.engine) as connection:
            one = found.subscriber
            days = timeline.build_timeline(connection, one, context.clock(), context.config.log.keep_skipped_days)
            events = history.read_history(connection, one)
            suppression = suppressions.find(connection, one.email)
        stored = _stored(one, context.config.subscribers_folder)
        return admin_page(
            site,
            request,
            operator,
            "subscriber",
            status,
            found=found,
            one=one,
            timeline=days,
            spans=list(timeline.spans(days.days)),
            events=events if whole else events[:_LINES],
            events_number=len(events),
            suppression=suppression,
            yaml=new_text(stored.preferences) if yaml is None else yaml,
            mark=stored.mark,
            file=stored.file,
            file_problems=stored.problems,
            problem=problem,
            notices=NOTICES,
        )

    def look(
        request: Request,
        operator: Operator,
        row: int,
        status: int = 200,
        problem: str = "",
        yaml: str | None = None,
        whole: bool = False,
    ) -> Response:
        try:
            return show(request, operator, subscriber_admin.profile(context, row), status, problem, yaml, whole)
        except NoSubscriber:
            return _not_there(site, request, operator)

    def act(
        request: Request, operator: Operator, row: int, key: str, change: Callable[[], object], yaml: str | None = None
    ) -> Response:
        """Make a change and show the subscriber; if it cannot be made, show why."""
        try:
            change()
        except NoSubscriber:
            return _not_there(site, request, operator)
        except NewsletterError as error:
            status = 409 if isinstance(error, UserError) else 503
            return look(request, operator, row, status, "\n".join(error.lines), yaml)
        return done(f"{_OWN}/{row}", key)

    @router.get("")
    def find(
        request: Request,
        operator: Annotated[Operator, may_view],
        q: Annotated[str, Query(max_length=320)] = "",
        state: str = "",
        tag: Annotated[str, Query(max_length=50)] = "",
        after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> Response:
        wanted = Search(q.strip(), _state(state), tag.strip(), after)
        with reading(context.engine) as connection:
            found = subscribers.search(connection, wanted.q, wanted.state, wanted.tag or None, after, _PAGE + 1)
            shown = found[:_PAGE]
            labels = tags.of_subscribers(connection, [one.row for one in shown])
            known_tags, counts = tags.counts(connection), subscribers.counts(connection)
        following = wanted.address(shown[-1].row) if len(found) > len(shown) else None
        return admin_page(
            site,
            request,
            operator,
            "subscribers",
            people=shown,
            wanted=wanted,
            states=list(SubscriberState),
            following=following,
            notices=NOTICES,
            labels=labels,
            known_tags=known_tags,
            counts=counts,
        )

    @router.get("/new")
    def ask(request: Request, operator: Annotated[Operator, may_change]) -> Response:
        return admin_page(site, request, operator, "subscriber_new", typed={}, problem="")

    @router.post("/new", dependencies=[SameOrigin])
    def add(request: Request, operator: Annotated[Operator, may_change], form: Posted) -> Response:
        typed = {name: text(form, name).strip() for name in ("email", "name", "interests", "consent", "tags")}
        try:
            interests = [line.strip() for line in typed["interests"].splitlines() if line.strip()]
            data = {"email": typed["email"], "name": typed["name"], "interests": interests}
            wanted = preferences_from_mapping(data, _SHOWN)
            if not typed["consent"]:
                raise UserError("consent: missing; say where and when that person agreed to get mail")
            added = subscriber_admin.create(
                context, wanted, typed["consent"][:300], operator.name, _tags(typed["tags"])
            )
        except UserError as error:
            return admin_page(
                site, request, operator, "subscriber_new", 422, typed=typed, problem="\n".join(error.lines)
            )
        return done(f"{_OWN}/{added.subscriber.row}", "added")

    @router.get("/{row}")
    def view(
        request: Request, row: RowNumber, operator: Annotated[Operator, may_view], whole: bool = False
    ) -> Response:
        return look(request, operator, row, whole=whole)

    @router.post("/{row}/preferences", dependencies=[SameOrigin])
    def change(request: Request, row: RowNumber, operator: Annotated[Operator, may_change], form: Posted) -> Response:
        yaml = text(form, "yaml")

        def save() -> None:
            wanted = read_contents(yaml, _SHOWN)
            if wanted.tags is not None:
                raise UserError("tags: nothing was saved; remove them here and change them in the field Tags above")
            subscriber_admin.change(context, row, wanted.preferences, text(form, "mark"), operator.name)

        return act(request, operator, row, "changed", save, yaml)

    @router.post("/{row}/tags", dependencies=[SameOrigin])
    def set_tags(request: Request, row: RowNumber, operator: Annotated[Operator, may_change], form: Posted) -> Response:
        def save() -> None:
            subscriber_admin.set_tags(context, row, _tags(text(form, "tags")), operator.name)

        return act(request, operator, row, "tags", save)

    @router.post("/{row}/pause", dependencies=[SameOrigin])
    def pause(request: Request, row: RowNumber, operator: Annotated[Operator, may_change], form: Posted) -> Response:
        def save() -> None:
            subscriber_admin.pause(context, row, _until(text(form, "until"), context.clock()), operator.name)

        return act(request, operator, row, "pause", save)

    @router.post("/{row}/resume", dependencies=[SameOrigin])
    def resume(request: Request, row: RowNumber, operator: Annotated[Operator, may_change]) -> Response:
        return act(request, operator, row, "resume", lambda: subscriber_admin.resume(context, row, operator.name))

    @router.post("/{row}/block", dependencies=[SameOrigin])
    def block(request: Request, row: RowNumber, operator: Annotated[Operator, may_change], form: Posted) -> Response:
        def save() -> None:
            subscriber_admin.block(context, row, operator.name, text(form, "reason").strip()[:300])

        return act(request, operator, row, "block", save)

    @router.post("/{row}/export", dependencies=[SameOrigin])
    def export(request: Request, row: RowNumber, operator: Annotated[Operator, may_change]) -> Response:
        try:
            data = subscriber_admin.export(context, row, operator.name)
        except NoSubscriber:
            return _not_there(site, request, operator)
        name = f'attachment; filename="subscriber-{row}-{context.clock():%Y-%m-%d}.json"'
        body = json.dumps(data, ensure_ascii=False, indent=1)
        return Response(body, media_type="application/json", headers={**PRIVATE, "Content-Disposition": name})

    @router.post("/{row}/forget", dependencies=[SameOrigin])
    def forget(request: Request, row: RowNumber, operator: Annotated[Operator, may_change], form: Posted) -> Response:
        def erase() -> None:
            one = subscriber_admin.profile(context, row).subscriber
            if text(form, "email").strip().casefold() != one.email.casefold():
                raise UserError("The address does not match, so nothing was deleted. Type it as it is shown above.")
            subscriber_admin.forget(context, row, operator.name)

        answer = act(request, operator, row, "forgotten", erase)
        return done(_OWN, "forgotten") if answer.status_code == 303 else answer

    return router


def _not_there(site: WebContext, request: Request, operator: Operator) -> Response:
    return admin_page(site, request, operator, "missing", 404, what="This subscriber does not exist any more.")


def _stored(one: Subscriber, folder: Path) -> StoredPreferences:
    """Return the preferences of a subscriber: those in the store, if the file cannot be read."""
    try:
        return subscriptions.read_stored(one, folder)
    except UserError as error:
        return StoredPreferences(one.preferences, "", one.file, "", error.lines)


def _tags(typed: str) -> list[str]:
    """Read tags that are separated by commas or blanks.

    Raises:
        UserError: one is not a tag.
    """
    found = []
    for word in typed.replace(",", " ").split():
        try:
            found.append(valid_tag(word))
        except ValueError as error:
            raise UserError(f"tags: {word!r} {error}") from None
    return found


def _state(value: str) -> SubscriberState | None:
    return SubscriberState(value) if value in set(SubscriberState) else None


def _until(day: str, now: datetime) -> datetime | None:
    """Read the last day of a pause, as a browser posts it; None for one without an end.

    Raises:
        UserError: it is no day, or is over.
    """
    if not day:
        return None
    try:
        until = datetime.combine(datetime.strptime(day, "%Y-%m-%d").date(), time(), tzinfo=UTC)
    except ValueError:
        raise UserError(f"until: {day!r} is not a day; write it like 2025-11-28") from None
    if until <= now:
        raise UserError(f"until: {day} is not in the future; choose a later day")
    return until
