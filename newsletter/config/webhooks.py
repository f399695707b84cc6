"""Settings of webhooks."""

from fnmatch import fnmatchcase
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from newsletter.config.base import Settings
from newsletter.config.fields import FileName, Line, Url, listed
from newsletter.config.suggestions import nearest_value
from newsletter.model import WebhookKind

_MOST_ENDPOINTS = 20


def _endpoint_name(name: str) -> str:
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError("is not the name of an endpoint; use only letters, digits, '_' and '-'")
    return name


def _endpoint_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.fragment:
        raise ValueError(
            "has a user name, a password or a fragment; write only the address, such as https://crm.example.org/hooks"
        )
    return url


def _event_pattern(pattern: str) -> str:
    if not any(fnmatchcase(kind, pattern) for kind in WebhookKind):
        near = nearest_value(pattern, [kind.value for kind in WebhookKind])
        fix = (
            f"did you mean {near!r}?"
            if near
            else "write one like subscriber.created, or subscriber.* or send.* for all"
        )
        raise ValueError(f"is not an event; {fix}")
    return pattern


class Endpoint(Settings):
    """An address that events are posted to, signed with its secret.

    The secret comes from NEWSLETTER_WEBHOOK_SECRET_ with the endpoint's name, or from the secret file.
    """

    url: Annotated[Url, AfterValidator(_endpoint_url)] = Field(
        description="The address, such as https://crm.example.org/hooks."
    )
    events: Annotated[
        list[Annotated[Line, AfterValidator(_event_pattern)]], BeforeValidator(listed), Field(min_length=1)
    ] = Field(
        default_factory=lambda: ["*"], description="The events that it gets, such as send.failed or subscriber.*."
    )
    secret_file: FileName | None = Field(
        default=None, description="A file with the secret that only its owner can read."
    )
    timeout_seconds: float = Field(default=15.0, gt=0, le=60, description="Time limit of one request.")
    parallel: int = Field(default=8, ge=1, le=64, description="Requests at the same time.")

    @property
    def kinds(self) -> list[WebhookKind]:
        """The kinds of events that it gets."""
        return [kind for kind in WebhookKind if any(fnmatchcase(kind, pattern) for pattern in self.events)]


class Webhooks(Settings):
    """Webhooks: which endpoints get events of subscribers and sends."""

    endpoints: dict[Annotated[str, AfterValidator(_endpoint_name)], Endpoint] = Field(
        default_factory=dict, max_length=_MOST_ENDPOINTS, description="Endpoints that events are posted to, by name."
    )

    @property
    def wanted(self) -> dict[WebhookKind, tuple[str, ...]]:
        """The names of the endpoints that get each kind of event; kinds that none of them gets are left out."""
        wanted = {
            kind: tuple(name for name, endpoint in self.endpoints.items() if kind in endpoint.kinds)
            for kind in WebhookKind
        }
        return {kind: names for kind, names in wanted.items() if names}
