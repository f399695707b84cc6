"""Helpers for tests of subscribers' pages: the links in emails, and a client that follows no redirects."""

import html
import re
import time
from email.message import EmailMessage
from urllib.parse import urlsplit

import httpx
from sqlalchemy import select

from newsletter.audience.signed_links import Links
from newsletter.config.secrets import signing_key
from newsletter.store import feedback, open_store, reading, sign_ups, subscribers
from newsletter.store.schema import metadata
from tests.conftest import Newsletter
from tests.smtp import Mailbox


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


def browse(where: str) -> httpx.Client:
    """A client that does not follow redirects."""
    return httpx.Client(base_url=where, timeout=30)


def forged(url: str) -> list[str]:
    """Return manipulations of a link's path: another number, another signature, a part of it, none."""
    path = path_of(url)
    start, _, token = path.rpartition("/")
    first = chr(ord(token[0]) ^ 1)
    last = "A" if token[-5] != "A" else "B"
    return [f"{start}/{one}" for one in (first + token[1:], f"{token[:-5]}{last}{token[-4:]}", token[:9], "x", "1..a")]


def letters(mail: Mailbox, number: int) -> list[EmailMessage]:
    """Wait for a number of emails, which are sent in the background, and return them."""
    end = time.monotonic() + 30
    while len(mail.accepted) < number:
        assert time.monotonic() < end, f"{len(mail.accepted)} letters came, not {number}"
        time.sleep(0.02)
    return mail.messages()


def settled(newsletter: Newsletter) -> dict[str, list[tuple[object, ...]]]:
    """Return the contents of the store once no email is waiting, which it learns after the mail server."""
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


def link_in(letter: EmailMessage) -> str:
    """Return the path of the first link in an email's text."""
    body = letter.get_body(["plain"])
    assert body is not None
    found = re.search(r"^https://\S+", body.get_content(), re.MULTILINE)
    assert found is not None
    return path_of(found[0])
