"""Helpers for tests of subscribers' pages: the links in emails, and a client that follows no redirects."""

import html
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.message import EmailMessage
from urllib.parse import urlsplit

import httpx
from sqlalchemy import select

from newsletter.audience.signed_links import Links
from newsletter.config.secrets import signing_key
from newsletter.config.web import Web
from newsletter.model import Role, Scope
from newsletter.services import accounts
from newsletter.services.context import open_context
from newsletter.store import feedback, open_store, operators, reading, sign_ups, subscribers, writing
from newsletter.store.audit import COMMAND_LINE
from newsletter.store.schema import metadata
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.web.app import make_app
from newsletter.web.server import listen
from newsletter.web.server import serving as serve_beside
from tests.helpers.newsletter import NOW, Newsletter, free_port
from tests.helpers.smtp import Mailbox


@contextmanager
def serving(newsletter: Newsletter, now: str = NOW) -> Iterator[str]:
    """The site of a newsletter as its configuration stands, at ``now``; gives its address, without a slash at the end.

    It runs in a thread of this process: ``newsletter.run`` works at the same store beside it.
    """
    context = open_context(newsletter.config, frozen_clock(parse_moment(now)))
    web = Web(port=free_port())
    with listen(web) as listener, serve_beside(make_app(context), listener, web):
        # What connects before it answers waits at the socket.
        yield f"http://127.0.0.1:{web.port}"
    context.engine.dispose()


PASSWORD = "trombone lagoon 78"


def add_operator(newsletter: Newsletter, name: str = "ada", role: Role = Role.OWNER) -> None:
    """Add an account of the admin site, with :data:`PASSWORD`."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    accounts.add_operator(context, COMMAND_LINE, name, role, PASSWORD)
    context.engine.dispose()


def log_in(where: str, name: str = "ada", password: str = PASSWORD, **headers: str) -> httpx.Response:
    """Post the form of the login."""
    form = {"name": name, "password": password}
    return httpx.post(f"{where}/admin/login", data=form, headers=headers, verify=False)


def session_of(
    newsletter: Newsletter, name: str = "ada", role: Role = Role.OWNER, now: datetime | None = None
) -> dict[str, str]:
    """Return the cookie of a session of an operator, who is added if need be: without a password, which takes long."""
    engine, now = open_store(newsletter.config.store_url), now or parse_moment(NOW)
    with writing(engine) as connection:
        operators.add(connection, name, role, "none", now)
        found = operators.by_name(connection, name)
        assert found is not None
        cookie = operators.begin_session(connection, found.row, now, now + timedelta(hours=12))
    engine.dispose()
    return {"operator": cookie}


def token_of(
    newsletter: Newsletter, *scopes: Scope, name: str = "crm", expires_at: datetime | None = None
) -> dict[str, str]:
    """Create a token, and return the header of requests with it."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    token = accounts.create_token(context, COMMAND_LINE, name, scopes, expires_at)
    context.engine.dispose()
    return {"Authorization": f"Bearer {token}"}


def links_of(newsletter: Newsletter) -> Links:
    """Return the links of a newsletter, as in its emails."""
    return Links(newsletter.config.site.url, signing_key(newsletter.folder))


def path_of(url: str) -> str:
    """Return a link's path, to request from the site under test."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def row_of(newsletter: Newsletter, email: str) -> int:
    """Return the number of a subscriber in links."""
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        found = subscribers.by_email(connection, email)
    engine.dispose()
    assert found is not None
    return found.row


def feedback_of(newsletter: Newsletter, email: str) -> list[tuple[str, str, str | None]]:
    """Return a subscriber's feedback: title, verdict, and the interest it counts for."""
    row = row_of(newsletter, email)
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        given = feedback.of(connection, [row])[row]
    engine.dispose()
    return [(one.paper.title, one.verdict.value, one.interest) for one in given]


def dump(newsletter: Newsletter) -> dict[str, list[tuple[object, ...]]]:
    """Return the contents of the store, by table."""
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        tables = metadata.sorted_tables
        held = {one.name: sorted(tuple(row) for row in connection.execute(select(one))) for one in tables}
    engine.dispose()
    return held


def urls_in(message: EmailMessage) -> set[str]:
    """Return every address in both parts of a message."""
    found: set[str] = set()
    for kind in ("html", "plain"):
        body = message.get_body([kind])
        assert body is not None
        found |= {html.unescape(url) for url in re.findall(r"https?://[^\s\"<>]+", body.get_content())}
    return found


def state_of(newsletter: Newsletter, email: str) -> str:
    """Return a subscriber's state, as the command shows it."""
    return str(newsletter.run("subscribers", "show", email, "--json").rows[0]["state"])


def site_client(where: str) -> httpx.Client:
    """A client that follows nothing by itself."""
    # The site under test has no certificate, so the client need not load those of the authorities.
    return httpx.Client(base_url=where, timeout=30, verify=False)


def forged_paths(url: str) -> list[str]:
    """What others may make of a link's path: another number, another signature, a part of it, none."""
    path = path_of(url)
    start, _, token = path.rpartition("/")
    first = chr(ord(token[0]) ^ 1)
    last = "A" if token[-5] != "A" else "B"
    return [f"{start}/{one}" for one in (first + token[1:], f"{token[:-5]}{last}{token[-4:]}", token[:9], "x", "1..a")]


def wait_for_messages(mail: Mailbox, number: int) -> list[EmailMessage]:
    """The letters that have come, once there are so many; they are sent in the background."""
    end = time.monotonic() + 30
    while len(mail.accepted) < number:
        assert time.monotonic() < end, f"{len(mail.accepted)} letters came, not {number}"
        time.sleep(0.02)
    return mail.messages()


def dump_when_mail_sent(newsletter: Newsletter) -> dict[str, list[tuple[object, ...]]]:
    """All that the store holds once no letter waits any longer, which it learns after the mail server."""
    engine = open_store(newsletter.config.store_url)
    end = time.monotonic() + 30
    waits = True
    while waits:
        assert time.monotonic() < end
        time.sleep(0.02)
        with reading(engine) as connection:
            waits = sign_ups.next_mail_at(connection) is not None
    engine.dispose()
    return dump(newsletter)


def first_link(letter: EmailMessage) -> str:
    """The path of the first link in a letter's text."""
    body = letter.get_body(["plain"])
    assert body is not None
    found = re.search(r"^https://\S+", body.get_content(), re.MULTILINE)
    assert found is not None
    return path_of(found[0])
