"""Digests in the browser and as a feed, over HTTP."""

import hashlib
import hmac
import json
import re
from email.message import EmailMessage
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

import feedparser
import pytest

from newsletter.audience.signed_links import TokenPurpose
from newsletter.config.secrets import signing_key
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import forged_paths, links_of, path_of, row_of, serving, site_client


@pytest.fixture
def message(newsletter: Newsletter, mail: Mailbox, reader: str) -> EmailMessage:
    newsletter.with_sample()
    newsletter.run("send")
    return mail.messages()[0]


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body([kind])
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def link_to_digest(message: EmailMessage) -> str:
    found = re.search(r"View in browser: (\S+)", part(message, "plain"))
    assert found is not None
    return path_of(found[1])


def title_of(page: str) -> str:
    found = re.search(r"<title>([^<]*)</title>", page)
    assert found is not None
    return found[1].strip()


class Addresses(HTMLParser):
    """Every address that a page names, wherever it stands, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = ("href", "src", "action", "formaction", "data-preview", "content")
        self.found += [value or "" for name, value in attrs if name in names]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def purposes_in(newsletter: Newsletter, page: str) -> set[TokenPurpose]:
    """What the signed tokens in a page would be good for."""
    key = signing_key(newsletter.folder)
    words = set(re.split(r"[^\w.]+", unquote(page)))
    return {one for one in TokenPurpose for word in words if "." in word and was_signed(key, one, word)}


def was_signed(key: str, purpose: TokenPurpose, token: str) -> bool:
    value, _, signature = token.rpartition(".")
    derived = hashlib.sha256(f"newsletter.{purpose.value}signer{key}".encode()).digest()
    return hmac.new(derived, value.encode(), hashlib.sha256).hexdigest() == signature


@pytest.mark.parametrize("layout", ["full", "compact", "titles"])
def test_the_page_of_a_digest_carries_no_rights(newsletter: Newsletter, mail: Mailbox, layout: str) -> None:
    newsletter.with_sample()
    paper = {"title": "Energy-based models of looms", "abstract": "Energy-based models.", "listed_on": "2025-11-27"}
    (newsletter.folder / "new.jsonl").write_text(json.dumps({**paper, "url": "https://arxiv.org/abs/2511.00001"}))
    newsletter.run("import", "new.jsonl")
    newsletter.configure(digest={"layout": layout})
    newsletter.subscriber("ada", "email: ada@example.org\nname: Zdenka King\ninterests: [energy-based models]\n")
    newsletter.run("send")
    (message,) = mail.messages()
    # It does find what the message has.
    in_message = purposes_in(newsletter, part(message, "html"))
    assert {TokenPurpose.PREFERENCES, TokenPurpose.UNSUBSCRIBE, TokenPurpose.DIGEST} <= in_message
    with serving(newsletter) as where, site_client(where) as client:
        answer = client.get(link_to_digest(message))
        page = Addresses(answer.text)
        assert "https://arxiv.org/abs/2511.00001" in page.found
        assert "https://papers.example.org/subscribe" in page.found
        assert "mailto:" not in answer.text
        assert purposes_in(newsletter, answer.text) == set()
        # Nor is one to be had where its links lead.
        for url in page.found:
            if url.startswith("https://papers.example.org"):
                followed = client.get(path_of(url))
                assert followed.status_code == 200
                assert purposes_in(newsletter, followed.text) == set()
        for headers in (answer.headers, client.head(link_to_digest(message)).headers):
            assert (headers["cache-control"], headers["x-robots-tag"]) == ("no-store", "noindex")
            assert headers["referrer-policy"] == "same-origin"
    shown = " ".join(page.texts)
    assert "Zdenka" in part(message, "html")
    for private in ("Zdenka", "King", "ada@example.org", " you ", "your"):
        assert private not in shown
    assert "Chosen for a reader of Test Papers" in shown


def test_a_template_of_ones_own_gives_no_rights_away(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    footer = newsletter.folder / "templates" / "partials" / "footer.mjml"
    footer.parent.mkdir(parents=True)
    footer.write_text(
        """<mj-section><mj-column>
<mj-text><a href="{{ preferences_url }}">Change</a> <a href="{{ unsubscribe_url }}">Leave</a></mj-text>
</mj-column></mj-section>
"""
    )
    newsletter.run("send")
    (message,) = mail.messages()
    with serving(newsletter) as where, site_client(where) as client:
        answer = client.get(link_to_digest(message))
    assert purposes_in(newsletter, answer.text) == set()
    assert answer.text.count('href="https://papers.example.org/subscribe"') == 2


def test_a_digest_is_shown_as_long_as_it_is_kept(newsletter: Newsletter, message: EmailMessage, reader: str) -> None:
    link = link_to_digest(message)
    with serving(newsletter, "2026-01-10T09:00") as where, site_client(where) as client:
        answer = client.get(link)
        assert answer.status_code == client.head(link).status_code == 200
        titles = re.findall(r"<h3.*?</h3>", part(message, "html"), re.DOTALL)
        assert titles
        assert re.findall(r"<h3.*?</h3>", answer.text, re.DOTALL) == titles
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox ")
        assert "script" not in policy
        assert (answer.headers["cache-control"], answer.headers["x-robots-tag"]) == ("no-store", "noindex")
        for path in forged_paths(link):
            assert client.get(path).status_code == 404
        row = row_of(newsletter, reader)
        other = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row)).rpartition("/")[2]
        assert client.get(f"/digest/{other}").status_code == 404
        newsletter.run("subscribers", "forget", reader, "--yes")
        assert client.get(link).status_code == 410


def test_a_subject_of_ones_own_names_the_reader_in_the_message_only(
    newsletter: Newsletter, mail: Mailbox, reader: str
) -> None:
    newsletter.configure(
        digest={"subject": "{{ number }} papers{% if reader %} for {{ reader }}{% endif %}, {{ date }}"}
    )
    newsletter.with_sample().run("send")
    (message,) = mail.messages()
    assert message["Subject"] == "8 papers for Ada, 28 November"
    assert title_of(part(message, "html")) == "8 papers for Ada, 28 November"
    feed = path_of(links_of(newsletter).url(TokenPurpose.FEED, row_of(newsletter, reader))) + ".atom"
    with serving(newsletter) as where, site_client(where) as client:
        assert title_of(client.get(link_to_digest(message)).text) == "8 papers, 28 November"
        (entry,) = feedparser.parse(client.get(feed).content).entries
        assert entry.title == "Friday, 28 November 2025: 8 papers, 28 November"


def test_a_feed_has_the_digests_of_one_person(newsletter: Newsletter, message: EmailMessage, reader: str) -> None:
    row = row_of(newsletter, reader)
    path = path_of(links_of(newsletter).url(TokenPurpose.FEED, row)) + ".atom"
    with serving(newsletter) as where, site_client(where) as client:
        answer = client.get(path)
        assert answer.headers["content-type"].startswith("application/atom+xml")
        assert answer.headers["cache-control"] == "no-store"
        ElementTree.fromstring(answer.content)
        feed = feedparser.parse(answer.content)
        assert not feed.bozo
        (entry,) = feed.entries
        assert str(message["Subject"]) in entry.title
        assert client.get(path_of(entry.link)).status_code == 200
        # What a feed reader passes on of it: no name, no address, and not where the feed is.
        assert purposes_in(newsletter, answer.text) == {TokenPurpose.DIGEST}
        assert re.search(r"\bAda\b", answer.text) is None
        assert reader not in answer.text
        assert feed.feed.id.startswith("urn:uuid:")
        for wrong in forged_paths(path.removesuffix(".atom")):
            assert client.get(f"{wrong}.atom").status_code == 404
