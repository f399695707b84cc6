"""The application context: what every use case needs."""

from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from newsletter.audience.signed_links import Links
from newsletter.config.secrets import signing_key
from newsletter.config.settings import Config
from newsletter.delivery.sending.pending_writes import PendingWrites
from newsletter.store import open_store, webhooks
from newsletter.support.clock import Clock


@dataclass(frozen=True, slots=True)
class AppContext:
    """What every use case needs: the configuration, the store, the clock and the links.

    Attributes:
        pending: outcomes of sends that the store has not taken yet.
    """

    config: Config
    engine: Engine
    clock: Clock
    links: Links
    pending: PendingWrites = field(default_factory=PendingWrites)


def open_context(config: Config, clock: Clock) -> AppContext:
    """Open the store named in a configuration.

    Raises:
        UserError: the store cannot be opened, or the link-signing key cannot be read.
    """
    links = Links(config.site.url, signing_key(config.folder))
    engine = webhooks.listening(open_store(config.store_url), config.webhooks.wanted)
    return AppContext(config, engine, clock, links)


def with_config(context: AppContext, config: Config) -> AppContext:
    """Return a context with another configuration and the same store."""
    engine = webhooks.listening(context.engine, config.webhooks.wanted)
    return replace(context, config=config, engine=engine, links=Links(config.site.url, context.links.key))
