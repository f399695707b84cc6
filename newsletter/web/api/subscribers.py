"""The JSON API that changes subscribers, for programs with a token of the scope ``subscribers:write``.

Nothing here brings back anybody who unsubscribed, bounced, complained or was forgotten.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field, WithJsonSchema
from sqlalchemy import Connection

from newsletter import model
from newsletter.audience import subscriptions
from newsletter.audience.subscriber_file import preferences_from_mapping, to_mapping
from newsletter.audience.subscriber_schema import InterestSchema
from newsletter.errors import UserError
from newsletter.model import EventKind, Layout, Preferences, Scope
from newsletter.services import subscriber_admin
from newsletter.services.context import AppContext
from newsletter.services.subscriber_admin import Profile
from newsletter.store.tokens import Token
from newsletter.web.api.bodies import Address, Body, Day, Line, SomeLine, Tag, Time, Whole, YesOrNo
from newsletter.web.api.idempotency import Finish, OptionalKey, Request, answer_once
from newsletter.web.api.problems import WRITE_ERRORS, as_responses
from newsletter.web.api.schemas import SubscriberResponse, subscriber_response
from newsletter.web.auth import limited
from newsletter.web.context import WebContext

_HIGHEST = 2**31 - 1
_WHERE = "request"

SubscriberId = Annotated[int, Path(ge=0, le=_HIGHEST, description="The store's number of the subscriber.")]
Words = Annotated[str, Field(max_length=20_000)]
Entry = Annotated[str, Field(max_length=1_000)]
Object = dict[str, Any]
Schedule = Annotated[
    Object,
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "days": {"type": "array", "items": {"type": "string", "enum": list(model.Day)}, "minItems": 1},
                "time": {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$"},
                "timezone": {"type": "string", "description": "An IANA name.", "examples": ["Europe/London"]},
            },
            "additionalProperties": False,
        }
    ),
]
_NOT_FROM_AFAR = frozenset({"file", "upload", "zotero"})
"""Libraries of an interest that name files, or keys, of the machine that the newsletter runs on."""

NamedObject = Annotated[Object, WithJsonSchema({"type": "object", "required": ["name"]})]
_INTEREST = InterestSchema.model_json_schema()
Interest = Annotated[
    Object,
    WithJsonSchema(
        {
            "type": "object",
            "required": _INTEREST["required"],
            "properties": {name: part for name, part in _INTEREST["properties"].items() if name not in _NOT_FROM_AFAR},
            "additionalProperties": False,
        }
    ),
]


class Changes(Body):
    """Preferences to change, as in a subscriber file; what is left out stays as it is, and null is the default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"papers": 5, "schedule": {"days": ["mon", "thu"]}}]})

    email: Address | None = Field(None, description="A new address.")
    name: Line | None = Field(None, max_length=200)
    schedule: Schedule | None = Field(None, description="`days`, `time` and `timezone`, or some of them.")
    papers: Whole | None = Field(None, ge=1, le=100, description="At most so many in a digest.")
    trending: Whole | None = Field(None, ge=0, le=50, description="Papers in Trending.")
    layout: Layout | None = Field(None, description="Of the digests.")
    interests: list[Words | NamedObject] | None = Field(
        None, max_length=100, description="In words, or objects as `PUT /api/subscribers/{id}/interests` has them."
    )
    never: list[Entry] | None = Field(None, max_length=500, description="Words of papers that are never shown.")
    never_authors: list[Entry] | None = Field(None, max_length=500)
    alerts: list[Entry | Object] | None = Field(None, max_length=500, description="Queries, or as in such a file.")
    updates: list[EventKind] | None = Field(None, max_length=10, description="Which events of papers are told.")
    announcements: YesOrNo | None = Field(None, description="Whether they get announcements, besides digests.")


class Consent(Body):
    """How a person agreed to get mail, as you would show it to an authority."""

    source: SomeLine = Field(min_length=1, max_length=200, description="Where, in words.", examples=["form at ICML"])
    date: Day | Time = Field(description="When: a day or a time, in the past.", examples=["2026-01-31"])


class NewSubscriber(Changes):
    """A new subscriber, who agreed to get mail."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "grace@example.org",
                    "name": "Grace",
                    "consent": {"source": "registration of the reading group", "date": "2025-11-20"},
                    "interests": ["diffusion models for proteins"],
                    "tags": ["reading-group"],
                }
            ]
        }
    )

    email: Address
    consent: Consent
    tags: list[Tag] = Field(default_factory=list, max_length=50)


class Interests(Body):
    """The interests of a subscriber, instead of the present ones."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"interests": [{"name": "Proteins", "text": "protein design", "authors": ["David Baker"]}]}]
        }
    )

    interests: list[Words | Interest] = Field(max_length=100, description="In words, or as in a subscriber file.")


class Tags(Body):
    """The tags of a subscriber, instead of the present ones."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tags": ["beta-testers"]}]})

    tags: list[Tag] = Field(max_length=50)


class Pause(Body):
    """A pause, until a time or without an end."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"until": "2126-01-07T09:00:00Z"}]})

    until: Time | None = Field(None, description="A time to come.")


class Block(Body):
    """Why somebody is blocked, for the audit log."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "asked by telephone"}]})

    reason: Line = Field("", max_length=300)


def routes(site: WebContext) -> APIRouter:
    """Create the router."""
    context = site.context
    allowed = limited(site, Scope.SUBSCRIBERS_WRITE)
    router = APIRouter(prefix="/api/subscribers", tags=["subscribers"], responses=WRITE_ERRORS)

    @router.post("", status_code=201, response_model=SubscriberResponse)
    def add_subscriber(asked: NewSubscriber, token: Annotated[Token, allowed], key: OptionalKey = None) -> JSONResponse:
        """Add an active subscriber who agreed to get mail; source and date of the consent are kept.

        For a person who has not agreed yet, `POST /api/subscribe` sends an email to confirm the address. Nobody who
        unsubscribed, bounced, complained or was deleted is brought back: that is 409.
        """
        given = asked.model_dump(mode="json", exclude_unset=True, exclude={"consent", "tags"})

        def execute(finish: Finish) -> SubscriberResponse:
            wanted, consent = read_preferences({"email": asked.email}, given), consent_in_words(context, asked.consent)

            def created(connection: Connection, one: Profile) -> None:
                finish(connection, _response(one), one.subscriber.row)

            return _response(
                subscriber_admin.create(context, wanted, consent, token.actor, asked.tags, on_created=created)
            )

        with as_responses():
            return answer_once(Request(context, token, "add_subscriber", asked, key), 201, execute)

    @router.patch("/{id}")
    def change_subscriber(id: SubscriberId, asked: Changes, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Change preferences of a subscriber; in the subscriber's file too, if there is one."""
        return _change(id, asked.model_dump(mode="json", exclude_unset=True), token)

    @router.put("/{id}/interests")
    def replace_interests(id: SubscriberId, asked: Interests, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Replace the interests of a subscriber."""
        return _change(id, asked.model_dump(mode="json"), token)

    def _change(id: int, given: Mapping[str, Any], token: Token) -> SubscriberResponse:
        folder = context.config.subscribers_folder
        with as_responses():
            stored = subscriptions.read_stored(subscriber_admin.profile(context, id).subscriber, folder)
            wanted = read_preferences(to_mapping(stored.preferences), given)
            return _response(subscriber_admin.change(context, id, wanted, stored.mark, token.actor))

    @router.put("/{id}/tags")
    def replace_tags(id: SubscriberId, asked: Tags, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Replace the tags of a subscriber, by which announcements are addressed."""
        with as_responses():
            return _response(subscriber_admin.set_tags(context, id, asked.tags, token.actor))

    @router.post("/{id}/pause")
    def pause_subscriber(id: SubscriberId, asked: Pause, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Pause an active subscriber, who gets no mail meanwhile."""
        with as_responses():
            return _response(subscriber_admin.pause(context, id, asked.until, token.actor))

    @router.post("/{id}/resume")
    def resume_subscriber(id: SubscriberId, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """End the pause of a subscriber. One who unsubscribed or bounced is not paused, and stays as it is."""
        with as_responses():
            return _response(subscriber_admin.resume(context, id, token.actor))

    @router.post("/{id}/block")
    def block_subscriber(id: SubscriberId, asked: Block, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Unsubscribe somebody and suppress the address, so that no file, import or program brings it back."""
        with as_responses():
            return _response(subscriber_admin.block(context, id, token.actor, asked.reason))

    @router.delete("/{id}", status_code=204)
    def forget_subscriber(id: SubscriberId, token: Annotated[Token, allowed]) -> Response:
        """Delete all data of a subscriber permanently. The address stays on the suppression list, as a digest."""
        with as_responses():
            subscriber_admin.forget(context, id, token.actor)
        return Response(status_code=204)

    return router


def consent_in_words(context: AppContext, consent: Consent) -> str:
    """Describe where and when somebody agreed to get mail.

    Raises:
        UserError: it has not been yet.
    """
    given = consent.date
    has_time = isinstance(given, dt.datetime)
    begins = given if isinstance(given, dt.datetime) else dt.datetime.combine(given, dt.time(), dt.UTC)
    # A day may have begun elsewhere.
    if begins > context.clock() + dt.timedelta(days=1):
        raise UserError(f"consent.date: {given} is yet to come; give the day on which the person agreed")
    when = f"{given:%Y-%m-%d %H:%M} UTC" if has_time else given.isoformat()
    return f"{consent.source}, {when}"


def read_preferences(present: Mapping[str, Any], given: Mapping[str, Any]) -> Preferences:
    """Merge given preferences into present ones, both as in a subscriber file, and check them.

    Raises:
        UserError: they are wrong somewhere, or name a file or a key of the machine that the newsletter runs on.
    """
    for interest in given.get("interests") or ():
        if isinstance(interest, dict) and not _NOT_FROM_AFAR.isdisjoint(interest):
            named = " and ".join(sorted(_NOT_FROM_AFAR & interest.keys()))
            raise UserError(f"{_WHERE}: interests: {named}: only a subscriber file may have it; leave it out")
    merged = {**present, **{key: value for key, value in given.items() if value is not None}}
    if given.get("schedule") is not None:
        merged["schedule"] = {**present.get("schedule", {}), **given["schedule"]}
    for key, value in given.items():
        if value is None and key in merged and key != "email":
            del merged[key]  # As usual.
    return preferences_from_mapping(merged, _WHERE)


def _response(found: Profile) -> SubscriberResponse:
    return subscriber_response(found.subscriber, found.tags, found.consent)
