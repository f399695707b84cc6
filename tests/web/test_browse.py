"""Digests in the browser and as a feed, over HTTP."""

import re
from email.message import EmailMessage
from xml.etree import ElementTree

import feedparser
import pytest

from newsletter.audience.links import Purpose
from tests.conftest import Newsletter
from tests.smtp import Mailbox
from tests.web.conftest import serving
from tests.web.people import browse, forged, links_of, path_of, row_of


@pytest.fixture
def message(newsletter: Newsletter, mail: Mailbox, reader: str) -> EmailMessage:
    newsletter.with_sample()
    newsletter.run("send")
    return mail.messages()[0]


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body([kind])
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_digest_is_shown_as_it_was_sent(newsletter: Newsletter, message: EmailMessage, reader: str) -> None:
    found = re.search(r"Read in the browser: (\S+)", part(message, "plain"))
    assert found is not None
    link = path_of(found[1])
    with serving(newsletter, "2026-01-10T09:00") as where, browse(where) as client:
        answer = client.get(link)
        assert answer.status_code == client.head(link).status_code == 200
        assert answer.text.strip() == part(message, "html").strip()
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox ")
        assert "script" not in policy
        assert (answer.headers["cache-control"], answer.headers["x-robots-tag"]) == ("no-store", "noindex")
        for path in forged(link):
            assert client.get(path).status_code == 404
        row = row_of(newsletter, reader)
        other = path_of(links_of(newsletter).url(Purpose.PREFERENCES, row)).rpartition("/")[2]
        assert client.get(f"/digest/{other}").status_code == 404
        newsletter.run("subscribers", "forget", reader, "--yes")
        assert client.get(link).status_code == 410


def test_a_feed_has_the_digests_of_one_person(newsletter: Newsletter, message: EmailMessage, reader: str) -> None:
    row = row_of(newsletter, reader)
    path = path_of(links_of(newsletter).url(Purpose.FEED, row)) + ".atom"
    with serving(newsletter) as where, browse(where) as client:
        answer = client.get(path)
        assert answer.headers["content-type"].startswith("application/atom+xml")
        assert answer.headers["cache-control"] == "no-store"
        ElementTree.fromstring(answer.content)
        feed = feedparser.parse(answer.content)
        assert not feed.bozo
        (entry,) = feed.entries
        assert str(message["Subject"]) in entry.title
        assert client.get(path_of(entry.link)).status_code == 200
        for wrong in forged(path.removesuffix(".atom")):
            assert client.get(f"{wrong}.atom").status_code == 404
