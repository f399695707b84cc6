"""Settings of webhooks: what mail providers report to the site, and which endpoints get events, with the secrets that
prove it.
"""

import base64
import binascii
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from newsletter.config.base import Settings
from newsletter.config.fields import FileName, Line, Url, listed, none_as_empty
from newsletter.config.secrets import webhook_secret
from newsletter.config.suggestions import nearest_value
from newsletter.model import WebhookKind

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\w.-]{1,256}", re.ASCII)
_PEM_LABEL = re.compile(r"-----(BEGIN|END) PUBLIC KEY-----")
_MOST_ENDPOINTS = 20


def _topic_arn(text: str) -> str:
    if _TOPIC.fullmatch(text) is None:
        raise ValueError("is not the ARN of an SNS topic; write one like arn:aws:sns:eu-west-1:123456789012:bounces")
    return text


def read_public_key(text: str) -> "EllipticCurvePublicKey":
    """Read an ECDSA public key: base64 of its DER form, as SendGrid shows it, or PEM.

    Raises:
        ValueError: it is neither.
    """
    # Imported here: slow and rarely needed.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    body = "".join(_PEM_LABEL.sub("", text).split())
    try:
        key = load_der_public_key(base64.b64decode(body, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("is not an ECDSA public key; copy the verification key that SendGrid shows") from None
    return key


def _public_key(text: str) -> str:
    read_public_key(text)
    return text


class SesWebhook(Settings):
    """Amazon SES, through a topic of Amazon SNS."""

    topic_arn: Annotated[Line, AfterValidator(_topic_arn)] = Field(
        description="The SNS topic; messages of others are rejected."
    )


class SendGridWebhook(Settings):
    """SendGrid."""

    public_key: Annotated[str, AfterValidator(_public_key)] = Field(
        description="The verification key of the signed event webhook."
    )


class MailgunWebhook(Settings):
    """Mailgun. The key comes from NEWSLETTER_MAILGUN_SIGNING_KEY or the file."""

    signing_key_file: FileName | None = Field(default=None, description="File with the HTTP webhook signing key.")

    def secret(self, folder: Path) -> str:
        """Return the signing key.

        Raises:
            UserError: it is missing, or cannot be read.
        """
        setting = "webhooks.providers.mailgun.signing_key_file"
        return webhook_secret("NEWSLETTER_MAILGUN_SIGNING_KEY", self.signing_key_file, folder, setting)


class PostmarkWebhook(Settings):
    """Postmark. The password comes from NEWSLETTER_POSTMARK_WEBHOOK_PASSWORD or the file."""

    user: Line | None = Field(default=None, description="User name of basic authentication; any by default.")
    password_file: FileName | None = None

    def secret(self, folder: Path) -> str:
        """Return the password. Raises the same errors as :meth:`MailgunWebhook.secret`."""
        setting = "webhooks.providers.postmark.password_file"
        return webhook_secret("NEWSLETTER_POSTMARK_WEBHOOK_PASSWORD", self.password_file, folder, setting)


class BrevoWebhook(Settings):
    """Brevo. The token comes from NEWSLETTER_BREVO_WEBHOOK_TOKEN or the file."""

    user: Line | None = Field(default=None, description="User name of basic authentication; any by default.")
    token_file: FileName | None = None

    def secret(self, folder: Path) -> str:
        """Return the token. Raises the same errors as :meth:`MailgunWebhook.secret`."""
        setting = "webhooks.providers.brevo.token_file"
        return webhook_secret("NEWSLETTER_BREVO_WEBHOOK_TOKEN", self.token_file, folder, setting)


class WebhookProviders(Settings):
    """The mail providers that report bounces and complaints to the site."""

    ses: SesWebhook | None = None
    sendgrid: SendGridWebhook | None = None
    mailgun: Annotated[MailgunWebhook | None, BeforeValidator(none_as_empty)] = None
    postmark: Annotated[PostmarkWebhook | None, BeforeValidator(none_as_empty)] = None
    brevo: Annotated[BrevoWebhook | None, BeforeValidator(none_as_empty)] = None

    @property
    def configured(self) -> list[str]:
        """The names of those that are configured."""
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


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
    """Webhooks: which mail providers report to the site, and which endpoints get events of subscribers and sends."""

    providers: Annotated[WebhookProviders, BeforeValidator(none_as_empty)] = WebhookProviders()
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
