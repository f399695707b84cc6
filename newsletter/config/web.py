"""Settings of the web server and its forms."""

from pydantic import Field

from newsletter.config.base import Settings
from newsletter.config.fields import Line

_MAILBOX_PROVIDERS = (
    "126.com 163.com aol.com fastmail.com free.fr gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net hey.com hotmail.com "
    "icloud.com laposte.net libero.it live.com mac.com mail.com mail.ru mailbox.org me.com msn.com naver.com orange.fr "
    "outlook.com posteo.de proton.me protonmail.com qq.com seznam.cz t-online.de tutanota.com web.de wp.pl yahoo.co.jp "
    "yahoo.com yandex.ru ymail.com zoho.com"
)


class SignUps(Settings):
    """How often the site's forms may cause an email: to sign up, to get a new link, to confirm a change.

    An hour is any sixty minutes, a day any 24 hours. What counts as one mailbox, domain or network is in
    ``audience/form_limits.py``.
    """

    per_address: int = Field(default=3, ge=1, description="Emails to one mailbox an hour; then requests are ignored.")
    per_address_per_day: int = Field(default=6, ge=1, description="The same a day, so that no mailbox is flooded.")
    per_domain_per_day: int = Field(
        default=200, ge=1, description="Emails to one domain a day: all its addresses may end in one mailbox."
    )
    large_domains: list[Line] = Field(
        default_factory=_MAILBOX_PROVIDERS.split,
        description="Mailbox providers: each address has its own owner, so per_domain_per_day is not for them.",
    )
    per_network: int = Field(default=20, ge=1, description="Requests from one network (/24, of IPv6 /48) an hour.")
    per_network_per_day: int = Field(default=100, ge=1, description="The same a day.")
    per_hour: int = Field(default=500, ge=1, description="Requests from everywhere an hour.")
    challenge_per_network: int | None = Field(
        default=10, ge=1, description="Requests from one network an hour, above which a browser solves a challenge."
    )
    challenge_per_hour: int | None = Field(default=200, ge=1, description="The same for requests from everywhere.")
    challenge_tries: int = Field(
        default=1_000_000, ge=1, le=10_000_000, description="How many tries a challenge takes at most; half on average."
    )


class Web(Settings):
    """The web server."""

    host: Line = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=1, le=65535)
    trusted_proxies: list[Line] = Field(
        default_factory=lambda: ["127.0.0.1", "::1"],
        description="Proxies whose X-Forwarded-For is trusted.",
    )
    keep_seconds: float = Field(default=15.0, ge=0, le=3600, description="How long public pages are cached.")
    page_processes: int | None = Field(
        default=None,
        ge=0,
        le=64,
        description="Processes that render public pages when many are requested; by default one per core, at most 4.",
    )
    max_connections: int = Field(
        default=1000, ge=10, le=100_000, description="Fewer if the process may not open enough files."
    )
    max_connections_per_address: int = Field(
        default=64, ge=1, description="An IPv6 /64 counts as one address; trusted proxies are exempt."
    )
    header_timeout_seconds: float = Field(
        default=10.0, gt=0, le=600, description="For a whole header, from the connection or the last response."
    )
    body_timeout_seconds: float = Field(
        default=30.0, gt=0, le=600, description="For a whole body; the largest allowed is 5 MB, for a library."
    )
    send_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="A client that reads below 2,000 bytes a second for this long is dropped.",
    )
    keep_alive_seconds: int = Field(
        default=5, ge=1, le=600, description="How long an idle connection stays open after a response."
    )
    api_per_minute: int = Field(
        default=600, ge=1, le=1_000_000, description="Requests of the API that a token may make in a minute."
    )
    sign_ups: SignUps = SignUps()
