"""The JSON API that changes subscribers, for programs with a token of the scope ``subscribers:write``.

Nothing here brings back anybody who unsubscribed, bounced, complained or was forgotten.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from newsletter.audience import subscriptions
from newsletter.audience.subscriber_file import preferences_from_mapping, to_mapping
from newsletter.errors import UserError
from newsletter.model import Preferences, Scope
from newsletter.services import subscriber_admin
from newsletter.services.subscriber_admin import Profile
from newsletter.store.tokens import Token
from newsletter.support.tags import valid_tag
from newsletter.web.api.problems import as_responses
from newsletter.web.api.schemas import ErrorResponse, SubscriberResponse, subscriber_response
from newsletter.web.auth import limited
from newsletter.web.context import WebContext

_HIGHEST = 2**31 - 1
_WHERE = "request"

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The request is malformed."},
    401: {"model": ErrorResponse, "description": "The token is missing, invalid or expired."},
    403: {"model": ErrorResponse, "description": "The token lacks the scope."},
    404: {"model": ErrorResponse, "description": "No subscriber has this id."},
    409: {"model": ErrorResponse, "description": "The state of the subscriber or the address does not allow it."},
    413: {"model": ErrorResponse, "description": "The request is too large."},
    422: {"model": ErrorResponse, "description": "Something in the request is missing or wrong."},
    429: {"model": ErrorResponse, "description": "Too many requests; `Retry-After` says when to go on."},
    503: {"model": ErrorResponse, "description": "The service is temporarily unavailable."},
}

SubscriberId = Annotated[int, Path(ge=0, le=_HIGHEST)]
Tag = Annotated[
    str,
    Field(min_length=1, max_length=50, description="Lower-case letters, digits and `-`."),
    AfterValidator(valid_tag),
]
Words = Annotated[str, Field(max_length=20_000)]


class Body(BaseModel):
    """A request's body; unknown keys are rejected, since ignoring them would hide mistakes."""

    model_config = ConfigDict(extra="forbid")


class Changes(Body):
    """Preferences to change, as in a subscriber file; what is left out stays as it is."""

    email: str | None = Field(None, min_length=3, max_length=254, description="A new address.")
    name: str | None = Field(None, max_length=200)
    schedule: dict[str, Any] | None = Field(None, description="`days`, `time` and `timezone`, or some of them.")
    papers: int | None = Field(None, ge=1, le=100, description="At most so many in a digest.")
    trending: int | None = Field(None, ge=0, le=50)
    layout: str | None = Field(None, max_length=20, description="full, compact or titles.")
    interests: list[Words | dict[str, Any]] | None = Field(
        None, max_length=100, description="In words, or as in a subscriber file; without libraries that are files."
    )
    never: list[Words] | None = Field(None, max_length=500)
    never_authors: list[Words] | None = Field(None, max_length=500)
    alerts: list[Words | dict[str, Any]] | None = Field(None, max_length=500)
    updates: list[str] | None = Field(None, max_length=10)
    announcements: bool | None = None


class NewSubscriber(Changes):
    """A new subscriber."""

    email: str = Field(min_length=3, max_length=254, json_schema_extra={"format": "email"})
    consent: str = Field(
        min_length=1, max_length=300, description="Where and when that person agreed to get mail, in words."
    )
    tags: list[Tag] = Field(default_factory=list, max_length=50)


class Interests(Body):
    """The interests of a subscriber, instead of the present ones."""

    interests: list[Words | dict[str, Any]] = Field(max_length=100)


class Tags(Body):
    """The tags of a subscriber, instead of the present ones."""

    tags: list[Tag] = Field(max_length=50)


class Pause(Body):
    """A pause, until a time or without an end."""

    until: AwareDatetime | None = None


class Block(Body):
    """Why somebody is blocked, for the audit log."""

    reason: str = Field("", max_length=300)


def routes(site: WebContext) -> APIRouter:
    """Create the router."""
    context = site.context
    allowed = limited(site, Scope.SUBSCRIBERS_WRITE)
    router = APIRouter(prefix="/api/subscribers", tags=["subscribers"], responses=ERRORS)

    @router.post("", status_code=201)
    def create(asked: NewSubscriber, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Add an active subscriber, who agreed to get mail elsewhere. One who has not signs up at `/api/subscribe`."""
        given = asked.model_dump(exclude_unset=True, exclude={"consent", "tags"})
        with as_responses():
            wanted = read_preferences({"email": asked.email}, given)
            return _response(subscriber_admin.create(context, wanted, asked.consent, actor_of(token), asked.tags))

    @router.patch("/{id}")
    def change(id: SubscriberId, asked: Changes, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Change preferences of a subscriber; in the subscriber's file too, if there is one."""
        return _change(id, asked.model_dump(exclude_unset=True), token)

    @router.put("/{id}/interests")
    def replace_interests(id: SubscriberId, asked: Interests, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Replace the interests of a subscriber."""
        return _change(id, asked.model_dump(), token)

    def _change(id: int, given: Mapping[str, Any], token: Token) -> SubscriberResponse:
        folder = context.config.subscribers_folder
        with as_responses():
            stored = subscriptions.read_stored(subscriber_admin.profile(context, id).subscriber, folder)
            wanted = read_preferences(to_mapping(stored.preferences), given)
            return _response(subscriber_admin.change(context, id, wanted, stored.mark, actor_of(token)))

    @router.put("/{id}/tags")
    def replace_tags(id: SubscriberId, asked: Tags, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Replace the tags of a subscriber."""
        with as_responses():
            return _response(subscriber_admin.set_tags(context, id, asked.tags, actor_of(token)))

    @router.post("/{id}/pause")
    def pause(id: SubscriberId, asked: Pause, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Pause an active subscriber."""
        until: datetime | None = asked.until
        with as_responses():
            return _response(subscriber_admin.pause(context, id, until, actor_of(token)))

    @router.post("/{id}/resume")
    def resume(id: SubscriberId, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """End the pause of a subscriber."""
        with as_responses():
            return _response(subscriber_admin.resume(context, id, actor_of(token)))

    @router.post("/{id}/block")
    def block(id: SubscriberId, asked: Block, token: Annotated[Token, allowed]) -> SubscriberResponse:
        """Unsubscribe somebody and suppress the address, whatever is imported later."""
        with as_responses():
            return _response(subscriber_admin.block(context, id, actor_of(token), asked.reason))

    @router.delete("/{id}", status_code=204)
    def forget(id: SubscriberId, token: Annotated[Token, allowed]) -> Response:
        """Delete all data of a subscriber permanently."""
        with as_responses():
            subscriber_admin.forget(context, id, actor_of(token))
        return Response(status_code=204)

    return router


def actor_of(token: Token) -> str:
    """Return the name of a token in the audit log."""
    return f"token {token.name}"


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


_NOT_FROM_AFAR = frozenset({"file", "upload", "zotero"})
"""Libraries of an interest that name files, or keys, of the machine that the newsletter runs on."""


def _response(found: Profile) -> SubscriberResponse:
    return subscriber_response(found.subscriber, found.tags)
