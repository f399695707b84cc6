"""Settings of mail servers, delivery and bounces."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo

from newsletter.config.base import Settings
from newsletter.config.fields import FileName, Line, valid_ehlo_name, valid_return_address


class WarmUp(Settings):
    """Warm-up of a new sender: each day ``factor`` times as many messages as the day before."""

    begins: date
    first_day: int = Field(default=50, ge=1)
    factor: float = Field(default=1.5, ge=1, le=10)


class Limits(Settings):
    """Rate limits for messages."""

    per_second: float | None = Field(default=None, gt=0, le=100_000)
    per_hour: int | None = Field(default=None, ge=1)
    per_day: int | None = Field(default=None, ge=1)
    warm_up: WarmUp | None = None

    @property
    def unlimited(self) -> bool:
        """Whether no limit is set."""
        return (self.per_second, self.per_hour, self.per_day, self.warm_up) == (None,) * 4


class Smtp(Limits):
    """A mail server. The password comes from NEWSLETTER_SMTP_PASSWORD, the password file or the keyring."""

    host: Line = "localhost"
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Line | None = None
    password_file: FileName | None = None
    oauth2_file: FileName | None = None
    dkim_selector: Line | None = Field(
        default=None, description="DKIM selector; messages are signed if the key is set too."
    )
    dkim_key_file: FileName | None = None
    timeout_seconds: float = Field(default=60.0, gt=0, le=1500)
    sessions: int = Field(default=4, ge=1, le=100, description="Maximum open sessions per command.")
    messages_per_session: int = Field(default=100, ge=1, description="Messages after which a new session is opened.")
    ehlo_name: Annotated[str, AfterValidator(valid_ehlo_name)] | None = Field(
        default=None, description="Name sent with EHLO (default: this host's full name, or the sender's domain)."
    )
    weight: float = Field(
        default=1, ge=0, le=1000, description="Share among accounts; 0 means only if no other is available."
    )
    _sender_domain: str | None = PrivateAttr(default=None)

    @property
    def sender_domain(self) -> str | None:
        """The domain of ``site.from`` in ASCII; None outside of a complete configuration."""
        return self._sender_domain

    @property
    def signs(self) -> bool:
        """Whether messages are signed with DKIM."""
        return self.dkim_selector is not None and self.dkim_key_file is not None

    @property
    def limits(self) -> Limits:
        """The rate limits of the account."""
        return Limits(**{name: getattr(self, name) for name in Limits.model_fields})


class CircuitBreakerSettings(Settings):
    """When an account whose server refuses messages is set aside."""

    in_a_row: int = Field(default=10, ge=2, le=10_000, description="Consecutive refusals that open the breaker.")
    share: float = Field(default=0.5, gt=0, le=1, description="Or this share of the last messages ...")
    least: int = Field(default=20, ge=2, le=100_000, description="... once at least this many were refused.")
    minutes: float = Field(default=10, ge=0.1, le=1440, description="Half-life of the weight of a message.")
    probe_minutes: float = Field(
        default=15,
        ge=0.1,
        le=240,
        description="Delay before the first test message; doubled for each after it, up to 4 hours.",
    )


class Delivery(Settings):
    """Delivery through all accounts."""

    retry_minutes: float = Field(
        default=5, ge=0.1, le=1440, description="Delay before the first retry; doubled for each after it."
    )
    retry_hours: float = Field(default=20, ge=0.1, le=720, description="Sends deferred for longer fail.")
    circuit_breaker: CircuitBreakerSettings = CircuitBreakerSettings()
    domains: dict[Annotated[str, AfterValidator(str.lower)], Limits] = Field(
        default_factory=dict, description="Rate limits by recipient domain."
    )


def _one_mailbox(imap: "Imap | None", info: ValidationInfo) -> "Imap | None":
    if imap is not None and info.data.get("maildir") is not None:
        raise ValueError("cannot be combined with bounces.maildir; keep one of them")
    return imap


class Imap(Settings):
    """A mailbox on a server. The password comes from NEWSLETTER_IMAP_PASSWORD, the password file or the keyring."""

    host: Line
    port: int = Field(default=993, ge=1, le=65535)
    security: Literal["tls", "starttls", "none"] = "tls"
    user: Line
    password_file: FileName | None = None
    folder: Line = "INBOX"
    timeout_seconds: float = Field(default=60.0, gt=0, le=600)


class Bounces(Settings):
    """Bounces: the return address, the mailbox and the limits."""

    address: Annotated[str, AfterValidator(valid_return_address)] | None = Field(
        default=None, description="Envelope sender of all messages, with a token after a plus sign."
    )
    maildir: FileName | None = None
    imap: Annotated[Imap | None, AfterValidator(_one_mailbox)] = None
    processed: Line = Field(default="Processed", description="Folder for processed messages.")
    read_minutes: float = Field(default=10.0, ge=0.1, le=10_080, description="How often 'run' reads the mailbox.")
    hard_limit: int = Field(default=1, ge=1, le=1000, description="Hard bounces that end a subscription.")
    soft_limit: int = Field(default=3, ge=1, le=1000, description="Soft bounces that pause a subscriber.")
    soft_days: int = Field(default=14, ge=1, le=3650, description="Period in which soft bounces count.")

    @property
    def mailbox(self) -> bool:
        """Whether a mailbox is configured."""
        return self.maildir is not None or self.imap is not None
