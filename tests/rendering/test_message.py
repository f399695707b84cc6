"""The message: headers that mail needs, text that survives, nothing unescaped."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.config import Site
from newsletter.errors import UserError
from newsletter.model import Choice, Digest, Interest, Message, Paper, Preferences, Subscriber, SubscriberState
from newsletter.rendering.message import make_message, message_id
from newsletter.rendering.template import BUNDLED, load_templates
from newsletter.rendering.view import PersonalLinks, byline, extract

SITE = Site.model_validate(
    {
        "name": "Tägliche Papers",
        "url": "https://papers.example.org",
        "from": "Papers, daily <papers@example.org>",
        "reply_to": "help@example.org",
        "postal_address": "1 Test Street <ground floor>",
    }
)
LINKS = PersonalLinks(
    preferences="https://papers.example.org/preferences/token." + "p" * 60,
    unsubscribe="https://papers.example.org/unsubscribe/token." + "u" * 90,
    unsubscribe_letter="mailto:help@example.org?subject=unsubscribe%20token." + "u" * 90,
    one_click="https://papers.example.org/unsubscribe/token." + "u" * 90,
)
TEMPLATES = load_templates(None)
EDITION = date(2025, 11, 28)


def subscriber(name: str = "Ada", email: str = "ada@example.org") -> Subscriber:
    interests = (Interest(name="Goals"), Interest(name="Looms"))
    return Subscriber(
        preferences=Preferences(email=email, name=name, interests=interests), state=SubscriberState.ACTIVE, row=7
    )


def make(
    *papers: Paper,
    name: str = "Ada",
    email: str = "ada@example.org",
    section: str = "Goals",
    links: PersonalLinks = LINKS,
) -> Message:
    choices = tuple(Choice(paper, rank, 0.25, section, "Pareto, <b>fronts</b>") for rank, paper in enumerate(papers, 1))
    digest = Digest(
        edition=EDITION, choices=choices, considered=131, since=datetime(2025, 11, 25, 9, tzinfo=UTC), seen_row=1
    )
    identity = message_id(SITE, "some key", EDITION, 7)
    now = datetime(2025, 11, 28, 9, tzinfo=UTC)
    return make_message(SITE, TEMPLATES, subscriber(name, email), digest, links, identity, now)


def parsed(message: Message) -> EmailMessage:
    mail = message_from_bytes(message.content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def part(message: Message, kind: str) -> str:
    body = parsed(message).get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


class Shown(HTMLParser):
    """What a reader of HTML sees, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.links, self.tags = "", [], set()
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._hidden += tag in ("style", "title")
        self.links += [value for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data


PAPER = Paper(
    title="From <Answer> to <Think>: A & B",
    abstract="We weigh x < y. It works.",
    authors=("Ada Lovelace", "Grace Hopper"),
    url="https://arxiv.org/abs/2501.00001",
    code_url="https://github.com/a/b",
    code_stars=1200,
    published=date(2025, 3, 11),
    categories=("cs.LG",),
)


def test_the_headers_that_mail_needs() -> None:
    message = make(PAPER, PAPER)
    mail = parsed(message)
    assert mail["From"].addresses[0].display_name == "Papers, daily"
    assert mail["To"].addresses[0].addr_spec == "ada@example.org"
    assert str(mail["Subject"]) == "From <Answer> to <Think>: A & B + 1 more"
    assert mail["Date"].datetime == datetime(2025, 11, 28, 9, tzinfo=UTC)
    assert re.fullmatch(r"<20251128\.[0-9a-f]{24}@example\.org>", str(mail["Message-ID"]))
    assert str(mail["List-Id"]).endswith("<papers.example.org>")
    assert str(mail["List-Unsubscribe"]).split(", ") == [f"<{LINKS.one_click}>", f"<{LINKS.unsubscribe_letter}>"]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert [one.get_content_type() for one in mail.iter_parts()] == ["text/plain", "text/html"]
    # The long URL stands whole on one line, not cut or encoded.
    assert f"<{LINKS.unsubscribe}>".encode() in message.content
    assert all(len(line) < 998 for line in message.content.split(b"\r\n"))
    assert b"\n" not in message.content.replace(b"\r\n", b"")
    message.content.decode("ascii")


def test_without_a_page_unsubscribing_goes_by_mail_alone() -> None:
    mail = parsed(make(PAPER, links=replace(LINKS, one_click=None)))
    assert str(mail["List-Unsubscribe"]) == f"<{LINKS.unsubscribe_letter}>"
    assert "List-Unsubscribe-Post" not in mail


def test_the_same_digest_is_the_same_bytes() -> None:
    assert make(PAPER).content == make(PAPER).content


def test_message_ids_differ_by_edition_and_subscriber_and_key() -> None:
    ids = {
        message_id(SITE, key, day, row)
        for key in ("one key", "two keys")
        for day in (EDITION, date(2025, 11, 29))
        for row in (1, 2)
    }
    assert len(ids) == 8


def test_html_and_text_say_the_same() -> None:
    message = make(PAPER)
    shown = Shown(part(message, "html"))
    text = part(message, "plain")
    for words in (
        "From <Answer> to <Think>: A & B",
        "Ada Lovelace, Grace Hopper · 11 March 2025 · cs.LG",
        "We weigh x < y. It works.",
        "25% match",
        "Pareto, <b>fronts</b>",
        "1 Test Street <ground floor>",
        "131 new papers since Tuesday, 25 November 2025, ranked against your 2 interests.",
        "Ada, 1 paper for you today.",
        "Friday, 28 November 2025",
    ):
        assert words in " ".join(shown.text.split())
        assert words in " ".join(text.split())
    for link in (PAPER.url, PAPER.code_url, LINKS.preferences, LINKS.unsubscribe):
        assert link in shown.links
        assert link in text
    assert not {"b", "script", "img"} & shown.tags


def test_the_text_part_is_wrapped_for_reading() -> None:
    long = Paper(title="A title " * 30, abstract=" ".join(["An abstract sentence of a few words."] * 9))
    lines = part(make(long), "plain").splitlines()
    assert all(len(line) <= 72 for line in lines if "https://" not in line)
    assert all(line.startswith(("   ", "1. ")) or not line for line in lines[8:-8]), lines


def test_links_that_are_none_are_left_out() -> None:
    bad = Paper(title="T", url="javascript:alert(1)", code_url="data:text/html,x", project_url="https://ok.example")
    shown = Shown(part(make(bad), "html"))
    assert [link for link in shown.links if not str(link).startswith("https://")] == []


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
NAMES = TEXTS.map(lambda text: " ".join(text.split()))


@settings(max_examples=150)
@given(title=TEXTS, abstract=TEXTS, author=TEXTS, name=NAMES, section=TEXTS)
def test_no_text_breaks_the_message(title: str, abstract: str, author: str, name: str, section: str) -> None:
    paper = Paper(title=title, abstract=abstract, authors=(author,), organization=author)
    message = make(paper, name=name, section=section)
    mail = parsed(message)
    assert set(mail.keys()) == {
        *("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe"),
        *("List-Unsubscribe-Post", "Auto-Submitted", "MIME-Version", "Content-Type"),
    }
    assert mail["To"].addresses[0].addr_spec == "ada@example.org"
    html = part(message, "html")
    tags = Shown(html).tags
    assert tags <= {
        *("html", "head", "title", "body", "div", "table", "tbody", "tr", "td", "a", "span", "style", "meta")
    }


def test_an_international_address_stands_as_it_is() -> None:
    message = make(PAPER, name="Zoë", email="zoë@bücher.example")
    # Never as an encoded word, which mail programs do not read inside an address.
    assert "\r\nTo: Zoë <zoë@bücher.example>\r\n".encode() in message.content


def test_an_international_domain_alone_leaves_the_message_in_ascii() -> None:
    message = make(PAPER, name="Zoë", email="zoe@bücher.example")
    assert message.content.isascii()
    assert b" <zoe@xn--bcher-kva.example>\r\n" in message.content


def test_an_international_reply_address_stands_as_it_is() -> None:
    site = SITE.model_copy(update={"reply_to": "grüße@example.org"})
    digest = Digest(edition=EDITION, choices=(), considered=0, since=None, seen_row=0)
    message = make_message(site, TEMPLATES, subscriber(), digest, LINKS, "<1@x>", datetime.now(UTC))
    assert "\r\nReply-To: grüße@example.org\r\n".encode() in message.content


@pytest.mark.parametrize(
    ("paper", "expected"),
    [
        (Paper(title="T"), ""),
        (Paper(title="T", author_count=1), "1 author"),
        (Paper(title="T", author_count=12, organization="Apple"), "Apple"),
        (Paper(title="T", authors=("A", "B", "C", "D", "E")), "A, B, C and 2 more"),
        (Paper(title="T", authors=("A",), organization="Apple"), "A (Apple)"),
        (Paper(title="T", listed_on=date(2025, 1, 2)), "2 January 2025"),
    ],
)
def test_bylines(paper: Paper, expected: str) -> None:
    assert byline(paper) == expected


def test_an_extract_is_whole_sentences() -> None:
    text = "First, e.g. this. Second one? " + "A third that is long. " * 40
    assert extract(text).endswith("long.")
    assert len(extract(text)) <= 420
    assert extract("") == ""
    assert extract("No end here but long " * 60).endswith(" …")
    assert len(extract("word" * 99_999)) <= 900
    assert len(extract("a few words " * 9_999)) <= 900


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("digest.mjml", "<mjml>\n{% for x in %}\n</mjml>", r"digest\.mjml:2: "),
        ("digest.mjml", "<mjml><mj-head></mj-head></mjml>", r"digest\.mjml: not MJML that compiles"),
        ("digest.txt", "line\n{{ unclosed", r"digest\.txt:2: "),
    ],
)
def test_a_mistake_in_ones_own_template_is_named(tmp_path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=expected):
        load_templates(tmp_path)


def test_a_template_that_asks_for_what_is_not_there_is_named(tmp_path) -> None:
    (tmp_path / "digest.txt").write_text("{{ nonesuch }}")
    own = load_templates(tmp_path)
    digest = Digest(edition=EDITION, choices=(), considered=0, since=None, seen_row=0)
    with pytest.raises(UserError, match=r"digest\.txt: 'nonesuch' is undefined"):
        make_message(SITE, own, subscriber(), digest, LINKS, "<1@x>", datetime.now(UTC))


def test_ones_own_template_comes_before_the_programs(tmp_path) -> None:
    (tmp_path / "digest.txt").write_text((BUNDLED / "digest.txt").read_text() + "\nOur own line.\n")
    assert "Our own line." in load_templates(tmp_path).text.render(
        site=SITE, edition_date="", greeting="", sections=[], made="", preferences_url="", unsubscribe_url=""
    )
