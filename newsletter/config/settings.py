"""The configuration as a whole, and the settings of site, store, ranking, digest, schedule and log."""

import os
import re
from collections.abc import Mapping
from datetime import time
from email.utils import parseaddr
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    model_validator,
)
from sqlalchemy.engine import make_url

from newsletter.config.base import Settings
from newsletter.config.fields import (
    Accent,
    FileName,
    Line,
    Mailbox,
    Times,
    Timezone,
    Url,
    none_as_empty,
    valid_source_name,
    validated,
)
from newsletter.config.libraries import Libraries
from newsletter.config.mail import Bounces, Delivery, Smtp
from newsletter.config.sources import Network, SourceSettings
from newsletter.config.subject_line import USUAL, valid_subject
from newsletter.config.suggestions import nearest_value
from newsletter.config.web import Web
from newsletter.config.webhooks import Webhooks
from newsletter.model import Layout
from newsletter.support.colours import ACCENT
from newsletter.workers.base import DaskAddress

_MOST_PROCESSES = 256
_MOST_WORKERS = 10_000


class Site(Settings):
    """The site and sender, shown in every message."""

    name: Line
    url: Url | None = Field(
        default=None, description="The public URL, without a path of its own pages; none without a public site."
    )
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

    The index of the papers has its own folder and can be rebuilt from the store; thumbnails are fetched again.
    """

    url: Line = "sqlite:///var/newsletter.db"
    index: FileName = Path("var/index")
    thumbnails: FileName = Field(
        default=Path("var/thumbnails"), description="Folder of the thumbnails, made for digest.thumbnails."
    )


class Semantic(Settings):
    """A sentence model, by which papers are ranked by meaning too (``newsletter[semantic]``)."""

    model: Line = Field(description="An ONNX file, a folder with one, or the name of a model of Hugging Face.")
    tokenizer: FileName | None = Field(default=None, description="By default, tokenizer.json next to the model.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = Field(
        default=None, description="Checksum of the ONNX file; required for models that are downloaded."
    )
    file: Line = Field(default="onnx/model.onnx", description="The ONNX file of a model of Hugging Face.")
    revision: Line = Field(default="main", description="The version of a model of Hugging Face: a branch or commit.")
    endpoint: Url = "https://huggingface.co"


class Ranking(Settings):
    """Which papers count as new and as a match."""

    max_age_days: int = Field(default=14, ge=1, le=36_500)
    max_publication_age_days: int = Field(
        default=60, ge=0, le=365_000, description="A paper published longer before it was first seen is not news."
    )
    feedback_half_life_days: float = Field(
        default=90.0, ge=0.01, le=36_500, description="Half-life of the weight of feedback."
    )
    min_score: float = Field(default=0.18, ge=0, le=1, description="Below this match a paper is not sent.")
    variety_lambda: float = Field(
        default=0.85, gt=0, le=1, description="Lambda of maximal marginal relevance; 1 uses only the match."
    )
    refit_days: float = Field(
        default=7.0, ge=0.01, le=36_500, description="Interval between refits of the TF-IDF model."
    )
    semantic: Semantic | None = Field(default=None, description="Ranks by meaning too; off by default.")


class Brand(Settings):
    """What emails and pages look like."""

    accent: Accent = Field(default=ACCENT, description='The colour of links and buttons, such as "#1a56b0".')
    logo: FileName | None = Field(
        default=None, description="A PNG, JPEG or GIF file, shown in emails instead of the newsletter's name."
    )


def _off(value: object) -> object:
    """Read what YAML 1.1 takes for the same as ``off``."""
    return "off" if str(value).lower() in ("false", "no", "n", "off") else value


class DigestSettings(Settings):
    """The composition of a digest."""

    trending: int = Field(default=3, ge=0, le=50, description="Maximum papers in the Trending section.")
    trending_half_life_days: float = Field(default=3.0, ge=0.01, le=36_500)
    when_nothing: Literal["skip", "send"] = Field(
        default="skip", description="For a subscriber without papers: no email, or a short one that says so."
    )
    source_summaries: bool = Field(
        default=False, description="Show a source's own summary of a paper, labelled, instead of the highlights."
    )
    layout: Layout = Field(
        default=Layout.FULL, description="How much of each paper is shown, unless the subscriber chose another layout."
    )
    subject: Annotated[Line, AfterValidator(valid_subject)] = Field(
        default=USUAL, description="The subject line, as a Jinja2 template."
    )
    thumbnails: Annotated[Literal["off", "site", "inline"], BeforeValidator(_off)] = Field(
        default="off", description="Images of papers: none, served by the site, or attached to the message."
    )
    template: Line = Field(default="digest", description="Name of the templates, without extension.")
    weekly_template: Line | None = Field(
        default=None, description="Another template for subscribers with one day a week; none by default."
    )


_ENGINE = re.compile(
    r"here|processes(:[1-9][0-9]{0,2})?|dask://(?P<address>[^/\s:]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5})|dask:(?!//)(?P<file>\S.*)"
)


def _engine(value: str) -> str:
    found = _ENGINE.fullmatch(value)
    if found is None or (found[1] and int(found[1][1:]) > _MOST_PROCESSES):
        near = nearest_value(value, ("here", "processes")) if ":" not in value else None
        if near is not None:
            raise ValueError(f"is not an engine; did you mean {near!r}?")
        raise ValueError(
            f"is not an engine; write here, processes, processes: with a number up to {_MOST_PROCESSES}, "
            "dask://HOST:PORT, or dask: with the path of the file that a Dask scheduler writes"
        )
    return value


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ScheduleSettings(Settings):
    """When papers are fetched, and how often to check for due subscribers."""

    fetch_at: Times = Field(default_factory=lambda: [time(6, 0)])
    timezone: Timezone = "UTC"
    tick_seconds: int = Field(default=30, ge=1, le=3600)


class LogSettings(Settings):
    """How long the log is kept."""

    keep_days: int = Field(default=400, ge=1, le=36_500, description="Sent and failed digests, bounces and complaints.")
    keep_skipped_days: int = Field(default=90, ge=1, le=36_500, description="Entries of skipped digests.")
    keep_audit_days: int = Field(default=730, ge=1, le=36_500, description="Lines of the audit log.")
    keep_webhooks_days: int = Field(default=7, ge=1, le=36_500, description="Events that endpoints of webhooks got.")
    keep_failed_webhooks_days: int = Field(default=30, ge=1, le=36_500, description="Events that they did not get.")


class Config(Settings):
    """The whole of ``config.yaml``."""

    site: Site
    brand: Brand = Brand()
    store: Store = Store()
    subscribers: FileName = Path("subscribers")
    templates: FileName = Field(
        default=Path("templates"), description="Folder with custom templates, which take precedence."
    )
    sources: Annotated[
        dict[Annotated[str, AfterValidator(valid_source_name)], SourceSettings], BeforeValidator(none_as_empty)
    ] = Field(default_factory=dict)
    network: Network = Network()
    libraries: Libraries = Libraries()
    ranking: Ranking = Ranking()
    digest: DigestSettings = DigestSettings()
    smtp: Smtp = Field(default_factory=Smtp)
    accounts: dict[Line, Smtp] = Field(default_factory=dict, description="Several mail servers, instead of smtp.")
    delivery: Delivery = Delivery()
    bounces: Bounces = Bounces()
    web: Web = Web()
    webhooks: Webhooks = Webhooks()
    schedule: ScheduleSettings = ScheduleSettings()
    engine: Annotated[str, AfterValidator(_engine)] = Field(
        default="here",
        description="'here', 'processes' (one per core), a number like 'processes:4', or a Dask cluster.",
    )
    log: LogSettings = LogSettings()
    _folder: Path = PrivateAttr(default=Path())
    _lines: Mapping[tuple[str | int, ...], int] = PrivateAttr(default_factory=dict)

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

    def with_lines(self, lines: Mapping[tuple[str | int, ...], int]) -> Self:
        """Return the configuration with the line (from 1) of each setting in its file."""
        located = self.model_copy()
        located._lines = lines
        return located

    @property
    def lines(self) -> Mapping[tuple[str | int, ...], int]:
        """The line of each setting in the config file, by its path; defaults have none."""
        return self._lines

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
    def thumbnails_folder(self) -> Path:
        """The folder of the thumbnails of papers."""
        return self._folder / self.store.thumbnails

    @property
    def logo_file(self) -> Path | None:
        """The file of the newsletter's logo; None without one."""
        return self._folder / self.brand.logo if self.brand.logo is not None else None

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
    def accepted_hosts(self) -> list[str]:
        """The host names that the site answers to."""
        return [urlsplit(self.site.url or "").hostname or "localhost", "localhost", "127.0.0.1", "[::1]"]

    @property
    def command_address(self) -> str | None:
        """The address at which the newsletter reads emails that unsubscribe, give feedback or change interests; None if
        it reads none.
        """
        if self.bounces.address is not None or not self.bounces.mailbox:
            return self.bounces.address
        return parseaddr(self.site.reply_to or self.site.sender)[1]

    @property
    def contact(self) -> str:
        """The contact address for the operators of sources."""
        return self.network.contact or parseaddr(self.site.reply_to or self.site.sender)[1]


def min_keep_days(config: Config) -> Mapping[str, int]:
    """Return the minimum days to keep the log, by the setting that requires it: to send no paper twice and to count
    bounces.
    """
    return {"ranking.max_age_days": config.ranking.max_age_days, "bounces.soft_days": config.bounces.soft_days}
