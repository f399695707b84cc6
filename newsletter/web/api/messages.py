"""The JSON API of messages: emails to one subscriber, from templates of the newsletter's own."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field, model_validator
from sqlalchemy import Connection

from newsletter.model import Scope, SendState
from newsletter.services import announcements, single_messages
from newsletter.store import reading
from newsletter.store.mailings import Mailing, MailingKind
from newsletter.store.tokens import Token
from newsletter.web.api.bodies import Address, Body, SomeLine, Whole
from newsletter.web.api.idempotency import Finish, Key, Request, answer_once
from newsletter.web.api.mailing_schemas import MessageResponse, message_response
from newsletter.web.api.problems import READ_ERRORS, WRITE_ERRORS, as_responses
from newsletter.web.auth import limited
from newsletter.web.context import WebContext

_HIGHEST = 2**31 - 1


class NewMessage(Body):
    """A message: the template, its values, and who gets it, by address or by id."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["email"]}, {"required": ["subscriber"]}],
            "examples": [
                {
                    "template": "receipt",
                    "email": "ada@example.org",
                    "data": {"number": 1207, "link": "https://shop.example.org/1207"},
                }
            ],
        }
    )

    template: SomeLine = Field(
        min_length=1, max_length=200, description="A file in `messages/` of the templates folder, without its ending."
    )
    email: Address = Field("", description="The address of a subscriber ...")
    subscriber: Whole = Field(0, ge=0, le=_HIGHEST, description="... or the id.")
    data: dict[str, Any] = Field(default_factory=dict, description="Values of the template's own variables.")

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if len({"email", "subscriber"} & self.model_fields_set) != 1:
            raise ValueError("needs either 'email' or 'subscriber'")
        return self

    @property
    def to(self) -> int | str:
        """The address or the id."""
        return self.email if "email" in self.model_fields_set else self.subscriber


def routes(site: WebContext) -> APIRouter:
    """Create the router."""
    context = site.context
    router = APIRouter(prefix="/api/messages", tags=["messages"])

    @router.post("", status_code=202, response_model=MessageResponse, responses=WRITE_ERRORS)
    def send_message(
        asked: NewMessage, token: Annotated[Token, limited(site, Scope.MESSAGES_WRITE)], key: Key
    ) -> JSONResponse:
        """Send an email to one subscriber, from a template. It goes out with the next run, within a minute or so.

        It is sent even to who wants no announcements, and to nobody who is paused, unsubscribed, bounced or suppressed:
        that is 409. An unknown address is 404. A template that lacks a value is 422.
        """

        def execute(finish: Finish) -> MessageResponse:
            answers: list[MessageResponse] = []

            def planned(connection: Connection, mailing: Mailing) -> None:
                reader = announcements.find_subscriber(connection, mailing.subscriber or 0)
                answers.append(message_response(mailing, reader, {SendState.PLANNED: 1}))
                finish(connection, answers[0], reader.row)

            single_messages.send_message(
                context, to=asked.to, template=asked.template, data=asked.data, actor=token.actor, on_planned=planned
            )
            return answers[0]

        with as_responses():
            return answer_once(Request(context, token, "send_message", asked, key), 202, execute)

    @router.get("/{id:int}", responses=READ_ERRORS, dependencies=[limited(site, Scope.READ)])
    def show_message(
        id: Annotated[int, Path(ge=0, le=_HIGHEST, description="The number of the message.")],
    ) -> MessageResponse:
        """Return a message, with the state of its send."""
        with as_responses(), reading(context.engine) as connection:
            found = announcements.find(connection, id, MailingKind.MESSAGE)
            reader = announcements.find_subscriber(connection, found.subscriber or 0)
            return message_response(found, reader, announcements.progress(connection, found))

    return router
