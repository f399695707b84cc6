"""The desk: what an edition is made with, and what one message is made of there."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine

from newsletter.audience.links import Links, Purpose
from newsletter.clock import Clock
from newsletter.config import Config
from newsletter.credentials import signing_key
from newsletter.model import Digest, Message, Subscriber
from newsletter.rendering.message import make_message, message_id, render_parts
from newsletter.rendering.template import Templates, load_templates
from newsletter.rendering.view import PersonalLinks
from newsletter.store import open_store


@dataclass(frozen=True, slots=True)
class Desk:
    """What an edition is made with: the configuration, the store, the time and the links."""

    config: Config
    engine: Engine
    clock: Clock
    links: Links


def open_desk(config: Config, clock: Clock) -> Desk:
    """Open the store that a configuration names.

    Raises:
        UserError: it cannot be opened, or the key that signs links not read.
    """
    links = Links(config.site.url, signing_key(config.folder))
    return Desk(config, open_store(config.store_url), clock, links)


def templates(desk: Desk) -> Templates:
    """Load the templates, the newsletter's own before the program's.

    Raises:
        UserError: one is missing or wrong.
    """
    return load_templates(desk.config.folder / desk.config.templates)


def render_message(desk: Desk, filled: Templates, subscriber: Subscriber, digest: Digest, identity: str) -> Message:
    """Render a digest into the message that is sent, under a Message-ID."""
    links = personal_links(desk, subscriber)
    return make_message(desk.config.site, filled, subscriber, digest, links, identity, desk.clock())


def render_pages(desk: Desk, filled: Templates, subscriber: Subscriber, digest: Digest) -> tuple[str, str]:
    """The HTML part and the text part of that message."""
    return render_parts(desk.config.site, filled, subscriber, digest, personal_links(desk, subscriber))


def identify(desk: Desk, subscriber: Subscriber, edition: date) -> str:
    """The Message-ID to plan a subscriber's digest with. It is written down then: with another key it would differ."""
    return message_id(desk.config.site, desk.links.key, edition, subscriber.row)


def personal_links(desk: Desk, subscriber: Subscriber) -> PersonalLinks:
    """The signed links of a subscriber."""
    return PersonalLinks(
        preferences=desk.links.url(Purpose.PREFERENCES, subscriber.row),
        unsubscribe=desk.links.url(Purpose.UNSUBSCRIBE, subscriber.row),
    )
