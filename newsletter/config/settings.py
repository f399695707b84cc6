"""The settings of ``config.yaml``: site, sources, ranking, delivery, schedule and web."""

import os
import re
from collections.abc import Mapping
from datetime import date, time
from email.utils import parseaddr
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)
from sqlalchemy.engine import make_url

from newsletter.config.fields import (
    FileName,
    Line,
    Mailbox,
    PrivateAddress,
    TimeOfDay,
    Timezone,
    Url,
    valid_ehlo_name,
    valid_return_address,
    valid_source_name,
    validated,
)
from newsletter.workers.base import DaskAddress

_MOST_PROCESSES = 256
_MOST_WORKERS = 10_000


def _one_mailbox(imap: "Imap | None", info: ValidationInfo) -> "Imap | None":
    if imap is not None and info.data.get("maildir") is not None:
        raise ValueError("cannot be combined with bounces.maildir; keep one of them")
    return imap


class Settings(BaseModel):
    """Base of all settings: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(Settings):
    """The site and sender, shown in every message."""

    name: Line
    url: Url = Field(description="The public URL, without a path of its own pages.")
    sender: Mailbox = Field(alias="from", description="Address the digests come from.")
    reply_to: Mailbox | None = None
    postal_address: Line = Field(description="Required in bulk mail by law in many countries (CAN-SPAM, section 5).")

    @cached_property
    def domain(self) -> str:
        """The domain of the sender's address, used in Message-IDs and the List-Id."""
        return parseaddr(self.sender)[1].rpartition("@")[2]

    @property
    def ascii_domain(self) -> str:
        """The sender's domain as ASCII."""
        return validated(parseaddr(self.sender)[1]).ascii_domain


class Store(Settings):
    """The store: an SQLAlchemy URL; relative SQLite paths start from the config file's folder.

    The index of the papers has its own folder and can be rebuilt from the store.
    """

    url: Line = "sqlite:///var/newsletter.db"
    index: FileName = Path("var/index")


class HuggingFaceSource(Settings):
    """The Hugging Face daily papers."""

    kind: Literal["huggingface"]
    endpoint: Url = "https://huggingface.co"
    by: Literal["date", "week", "month"] = "date"


class ArxivSource(Settings):
    """arXiv categories: their feeds for the daily run, the API for a range of days."""

    kind: Literal["arxiv"]
    categories: list[Line] = Field(min_length=1)
    replacements: bool = Field(default=False, description="Include announced replacements.")
    feed_url: Url = "https://rss.arxiv.org/atom"
    api_url: Url = "https://export.arxiv.org/api/query"
    pause_seconds: float = Field(
        default=3.0, ge=0, le=600, description="Delay between calls, as arXiv's terms require."
    )


class BiorxivSource(Settings):
    """bioRxiv or medRxiv, by their details API."""

    kind: Literal["biorxiv", "medrxiv"]
    categories: list[Line] = Field(default_factory=list, description="Only these categories (default: all).")
    api_url: Url = "https://api.biorxiv.org/details"


class FeedSource(Settings):
    """Any RSS or Atom feed."""

    kind: Literal["feed"]
    url: Url


class FileSource(Settings):
    """A file that is read at each fetch: a saved Daily Papers page, JSON lines or BibTeX, by its extension."""

    kind: Literal["file"]
    path: FileName


SourceSettings = Annotated[
    HuggingFaceSource | ArxivSource | BiorxivSource | FeedSource | FileSource, Field(discriminator="kind")
]


class Network(Settings):
    """Network access to the sources."""

    timeout_seconds: float = Field(default=30.0, gt=0, le=3600)
    attempts: int = Field(default=4, ge=1, le=20, description="Attempts per request.")
    wait_seconds: float = Field(
        default=1.0, ge=0, le=600, description="Before the first retry; doubled for each one after it."
    )
    contact: Line | None = Field(
        default=None, description="In the User-Agent; the reply-to or from address if not set."
    )
    source_seconds: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="Time limit for one source: requests, waits, reading and storing.",
    )
    source_papers: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Maximum papers of one source per fetch."
    )
    allow_private: list[PrivateAddress] = Field(
        default_factory=list, description="Hosts and networks (10.0.0.0/8) that may be on a private address."
    )
    proxy: Url | None = Field(
        default=None, description="For requests to sources; proxy variables of the environment are ignored."
    )


class Ranking(Settings):
    """Which papers count as new and as a match."""

    max_age_days: int = Field(default=14, ge=1, le=36_500)
    feedback_half_life_days: float = Field(
        default=90.0, ge=0.01, le=36_500, description="Half-life of the weight of feedback."
    )
    min_score: float = Field(default=0.5, ge=0, le=1, description="Below this match a paper is not sent.")
    variety_lambda: float = Field(
        default=0.85, gt=0, le=1, description="Lambda of maximal marginal relevance; 1 uses only the match."
    )
    refit_days: float = Field(
        default=7.0, ge=0.01, le=36_500, description="Interval between refits of the TF-IDF model."
    )


class DigestSettings(Settings):
    """The composition of a digest."""

    trending: int = Field(default=3, ge=0, le=50, description="Maximum papers in the Trending section.")
    trending_half_life_days: float = Field(default=3.0, ge=0.01, le=36_500)
    template: Line = Field(default="digest", description="Name of the templates, without extension.")
    weekly_template: Line = Field(default="weekly", description="Template for subscribers with one day a week.")


_ENGINE = re.compile(
    r"here|processes(:[1-9][0-9]{0,2})?|dask://(?P<address>[^/\s:]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5})|dask:(?!//)(?P<file>\S.*)"
)


def _engine(value: str) -> str:
    found = _ENGINE.fullmatch(value)
    if found is None or (found[1] and int(found[1][1:]) > _MOST_PROCESSES):
        raise ValueError(
            f"is not an engine; write here, processes, processes: with a number up to {_MOST_PROCESSES}, "
            "dask://HOST:PORT, or dask: with the path of the file that a Dask scheduler writes"
        )
    return value


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


class ScheduleSettings(Settings):
    """When papers are fetched, and how often to check for due subscribers."""

    fetch_at: list[TimeOfDay] = Field(default_factory=lambda: [time(6, 0)], min_length=1)
    timezone: Timezone = "UTC"
    tick_seconds: int = Field(default=30, ge=1, le=3600)


class LogSettings(Settings):
    """How long the log is kept."""

    keep_days: int = Field(default=400, ge=1, le=36_500, description="Sent and failed digests, bounces and complaints.")
    keep_skipped_days: int = Field(default=90, ge=1, le=36_500, description="Entries of skipped digests.")


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
        default=30.0, gt=0, le=600, description="For a whole body; the largest allowed is 100 kB."
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
    sign_ups: SignUps = SignUps()

    def hosts(self, site: Site) -> list[str]:
        """Return the host names that the site accepts."""
        return [urlsplit(site.url).hostname or "localhost", "localhost", "127.0.0.1", "[::1]"]


class Config(Settings):
    """The whole of ``config.yaml``."""

    site: Site
    store: Store = Store()
    subscribers: FileName = Path("subscribers")
    templates: FileName = Field(
        default=Path("templates"), description="Folder with custom templates, which take precedence."
    )
    sources: dict[Annotated[str, AfterValidator(valid_source_name)], SourceSettings] = Field(default_factory=dict)
    network: Network = Network()
    ranking: Ranking = Ranking()
    digest: DigestSettings = DigestSettings()
    smtp: Smtp = Field(default_factory=Smtp)
    accounts: dict[Line, Smtp] = Field(default_factory=dict, description="Several mail servers, instead of smtp.")
    delivery: Delivery = Delivery()
    bounces: Bounces = Bounces()
    web: Web = Web()
    schedule: ScheduleSettings = ScheduleSettings()
    engine: Annotated[str, AfterValidator(_engine)] = Field(
        default="here",
        description="'here', 'processes' (one per core), a number like 'processes:4', or a Dask cluster.",
    )
    log: LogSettings = LogSettings()
    _folder: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _set_sender_domain(self) -> Self:
        for account in (self.smtp, *self.accounts.values()):
            account._sender_domain = self.site.ascii_domain
        return self

    def in_folder(self, folder: Path) -> Self:
        """Return the configuration of a config file in a folder, which relative paths start from."""
        located = self.model_copy()
        located._folder = folder
        return located

    @property
    def folder(self) -> Path:
        """The folder of the config file, from which relative paths start."""
        return self._folder

    @property
    def subscribers_folder(self) -> Path:
        """The folder of the subscriber files."""
        return self._folder / self.subscribers

    @property
    def index_folder(self) -> Path:
        """The folder of the index of the papers."""
        return self._folder / self.store.index

    @property
    def store_url(self) -> str:
        """The store's URL, with a relative SQLite path made absolute."""
        url = make_url(self.store.url)
        if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
            return self.store.url
        path = (self._folder / url.database).absolute()
        return url.set(database=str(path)).render_as_string(hide_password=False)

    @property
    def mail_accounts(self) -> Mapping[str, Smtp]:
        """The mail servers by name; the one of ``smtp`` has that name."""
        return self.accounts or {"smtp": self.smtp}

    @property
    def sessions(self) -> int:
        """The maximum number of open sessions with mail servers."""
        return sum(account.sessions for account in self.mail_accounts.values())

    @property
    def cluster(self) -> DaskAddress | None:
        """The Dask cluster for large editions; None for this machine."""
        found = _ENGINE.fullmatch(self.engine)
        if found is None or not self.engine.startswith("dask:"):
            return None
        return (
            DaskAddress(address=found["address"])
            if found["address"]
            else DaskAddress(file=self._folder / found["file"])
        )

    @property
    def processes(self) -> int:
        """The number of worker processes for large editions (on a cluster, the maximum). Each has at least one session
        of each account.
        """
        kind, _, number = self.engine.partition(":")
        wanted = 1 if kind == "here" else _MOST_WORKERS if kind == "dask" else int(number or _cores())
        return min(wanted, *(account.sessions for account in self.mail_accounts.values()))

    def with_share(self, which: int, of: int) -> "Config":
        """Return the configuration of one process of several, with its share of each account's sessions."""
        shared = {
            name: account.model_copy(update={"sessions": (account.sessions + which) // of})
            for name, account in self.mail_accounts.items()
        }
        return self.model_copy(update={"accounts": shared})

    @property
    def keep_days(self) -> int:
        """How long the log is kept: the setting, but at least the required minimum."""
        return max(self.log.keep_days, *min_keep_days(self).values())

    @property
    def contact(self) -> str:
        """The contact address for the operators of sources."""
        return self.network.contact or parseaddr(self.site.reply_to or self.site.sender)[1]


def min_keep_days(config: Config) -> Mapping[str, int]:
    """Return the minimum days to keep the log, by the setting that requires it: to send no paper twice and to count
    bounces.
    """
    return {"ranking.max_age_days": config.ranking.max_age_days, "bounces.soft_days": config.bounces.soft_days}
