"""The message: headers that mail needs, text that survives, nothing unescaped."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser

from newsletter.config.settings import Site
from newsletter.errors import UserError
from newsletter.model import (
    Digest,
    DigestItem,
    Interest,
    Layout,
    Message,
    Paper,
    Preferences,
    Subscriber,
    SubscriberState,
)
from newsletter.rendering.message import make_message, message_id, render_parts
from newsletter.rendering.paper_card import byline, paper_card, sentences_of, summary_of
from newsletter.rendering.template import BUNDLED, Look, load_templates
from newsletter.rendering.template_context import PersonalLinks

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
    unsubscribe_email="mailto:help@example.org?subject=unsubscribe%20token." + "u" * 90,
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
    choices = tuple(
        DigestItem(paper, rank, 0.25, section, "Pareto, <i>fronts</i>") for rank, paper in enumerate(papers, 1)
    )
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
    upvotes=12,
    comments=1,
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
    assert str(mail["List-Unsubscribe"]).split(", ") == [f"<{LINKS.one_click}>", f"<{LINKS.unsubscribe_email}>"]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert [one.get_content_type() for one in mail.iter_parts()] == ["text/plain", "text/html"]
    # The long URL stands whole on one line, not cut or encoded.
    assert f"<{LINKS.unsubscribe}>".encode() in message.content
    assert all(len(line) < 998 for line in message.content.split(b"\r\n"))
    assert b"\n" not in message.content.replace(b"\r\n", b"")
    message.content.decode("ascii")


def test_without_a_page_unsubscribing_goes_by_mail_alone() -> None:
    mail = parsed(make(PAPER, links=replace(LINKS, one_click=None)))
    assert str(mail["List-Unsubscribe"]) == f"<{LINKS.unsubscribe_email}>"
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
        "Idea: We weigh x < y.",
        "Result: It works.",
        "12 upvotes · 1 comment",
        "Good match",
        "Pareto, <i>fronts</i>",
        "1 Test Street <ground floor>",
        "131 new papers since Tuesday, 25 November 2025.",
        "Friday, 28 November 2025",
        "1 paper · 1 min read",
        "Ada, your paper for today.",
    ):
        assert words in " ".join(shown.text.split())
        assert words in " ".join(text.split())
    for link in (PAPER.url, PAPER.code_url, LINKS.preferences, LINKS.unsubscribe):
        assert link in shown.links
        assert link in text
    assert not {"i", "script", "img"} & shown.tags


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


@given(title=TEXTS, abstract=TEXTS, author=TEXTS, name=NAMES, section=TEXTS)
def test_no_text_breaks_the_message(title: str, abstract: str, author: str, name: str, section: str) -> None:
    paper = Paper(title=title, abstract=abstract, authors=(author,), organization=author)
    message = make(paper, name=name, section=section)
    mail = parsed(message)
    assert set(mail.keys()) == {
        *("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe"),
        *("List-Unsubscribe-Post", "Feedback-ID", "Auto-Submitted", "MIME-Version", "Content-Type"),
    }
    assert mail["To"].addresses[0].addr_spec == "ada@example.org"
    html = part(message, "html")
    tags = Shown(html).tags
    assert tags <= {
        *(
            "html",
            "head",
            "title",
            "body",
            "div",
            "h1",
            "h2",
            "h3",
            "table",
            "tbody",
            "tr",
            "td",
            "a",
            "b",
            "p",
            "span",
            "style",
            "meta",
        )
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


def test_of_an_abstract_two_whole_sentences_are_shown() -> None:
    said = (
        "Looms need a person who changes the cards by hand.",
        "We present Jacquard-2, a loom that reads $2^n$ cards, e.g. of paper, by itself.",
        "It has two stages.",
        "In experiments on three mills it weaves 40\\% faster than the best looms before it.",
    )
    message = make(Paper(title="Looms", abstract="\n".join(said), summary="Nothing of this."))
    html, text = Shown(part(message, "html")).text, " ".join(part(message, "plain").split())
    for kind in (html, text):
        assert "We present Jacquard-2, a loom that reads 2ⁿ cards, e.g. of paper, by itself." in kind
        assert "In experiments on three mills it weaves 40% faster than the best looms before it." in kind
        assert "It has two stages." not in kind
        assert "Nothing of this." not in kind


@pytest.mark.parametrize("abstract", ["", "The source cut this off in the mid…"])
def test_where_the_abstract_says_nothing_whole_the_summary_of_the_source_is_shown_as_such(abstract: str) -> None:
    message = make(Paper(title="Looms", abstract=abstract, summary="A loom <b>that</b> reads cards."))
    for kind in (Shown(part(message, "html")).text, " ".join(part(message, "plain").split())):
        assert "Summary from the source: A loom <b>that</b> reads cards." in kind
    assert "summary" not in part(make(Paper(title="Looms", abstract=abstract)), "html")


SUMMARIZED = Paper(
    title="Looms",
    abstract="We propose a loom that reads cards. Experiments show that it weaves 40% faster than others.",
    summary="A loom that reads cards is faster.",
    summary_by="Hugging Face",
)


def test_the_summary_of_the_source_is_shown_instead_if_configured_and_says_whose_it_is() -> None:
    choices = (DigestItem(SUMMARIZED, 1, 0.25, "Goals", "looms"),)
    digest = Digest(edition=EDITION, choices=choices, considered=1, since=None, seen_row=1)
    for instead in (False, True):
        templates = load_templates(None, look=Look(source_summaries=instead))
        message = make_message(SITE, templates, subscriber(), digest, LINKS, "<1@x>", datetime.now(UTC))
        for kind in (Shown(part(message, "html")).text, " ".join(part(message, "plain").split())):
            assert ("Summary by Hugging Face: A loom that reads cards is faster." in kind) is instead
            assert ("We propose a loom that reads cards." in kind) is not instead


@pytest.mark.parametrize("instead", [False, True])
def test_each_line_of_a_card_has_its_label(instead: bool) -> None:
    templates = load_templates(None, look=Look(source_summaries=instead))
    idea, result = sentences_of(SUMMARIZED)
    lines = [("Idea", idea), ("Result", result)]
    summary = [("Summary by Hugging Face", "A loom that reads cards is faster.")]
    assert list(paper_card(templates, SUMMARIZED).lines) == (summary if instead else lines)
    assert list(paper_card(templates, replace(SUMMARIZED, summary=None)).lines) == lines
    assert list(paper_card(templates, replace(SUMMARIZED, abstract="")).lines) == summary
    assert paper_card(templates, Paper(title="Looms")).lines == ()


def test_only_a_text_without_an_end_is_cut() -> None:
    for abstract in ("No end here but long " * 600, "word" * 99_999):
        (shown,) = sentences_of(Paper(title="T", abstract=abstract))
        assert shown.endswith("…")
        assert len(shown) <= 900
    long = "A summary in sentences. " * 600
    assert summary_of(Paper(title="T", summary=long)).endswith("sentences.")
    assert len(summary_of(Paper(title="T", summary=long))) <= 600
    assert sentences_of(Paper(title="T")) == ()
    assert summary_of(Paper(title="T")) == ""


WHOLE = "<mjml><mj-body><mj-section><mj-column>\n{}\n</mj-column></mj-section></mj-body></mjml>"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("digest.mjml", "<mjml>\n{% for x in %}\n</mjml>", r"digest\.mjml:2: "),
        ("digest.mjml", "<mjml><mj-head></mj-head></mjml>", r"digest\.mjml: MJML does not compile"),
        ("digest.mjml", "<p>Hello</p>", r"digest\.mjml: no <mjml>"),
        ("digest.mjml", WHOLE.format("<mj-txt>x</mj-txt>"), r"digest\.mjml:2: MJML has no <mj-txt>"),
        ("digest.mjml", WHOLE.format('<mj-text colour="red">x</mj-text>'), r"mjml:2: <mj-text> has no attribute 'col"),
        ("digest.mjml", WHOLE.format("<mj-text>x"), r"mjml:3: </mj-column>, but <mj-text> of .*mjml:2 is open"),
        ("digest.mjml", "<mjml>\n<mj-body>", r"digest\.mjml:2: <mj-body> is not closed"),
        ("digest.mjml", WHOLE.format("x <mj-include path='a'/>"), r"mjml:2: an include must be on a line of its own"),
        ("digest.mjml", WHOLE.format('<mj-include path="./partials/no.mjml" />'), r"partials/no\.mjml: missing"),
        (
            "digest.mjml",
            WHOLE.format('<mj-include path="digest.mjml" />'),
            r"mjml:2: includes digest.mjml in a loop",
        ),
        ("partials/header.mjml", "<mj-section>\n</mj-section>\n{{ x y }}", r"partials/header\.mjml:3: expected token"),
        (
            "partials/header.mjml",
            "<mj-section>\n<mj-foo/></mj-section>",
            r"partials/header\.mjml:2: MJML has no <mj-foo>",
        ),
        ("partials/title.html", "one\n{% if %}", r"partials/title\.html:2: "),
        ("digest.txt", "line\n{{ unclosed", r"digest\.txt:2: "),
    ],
)
def test_a_mistake_in_ones_own_template_is_named(tmp_path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=expected):
        load_templates(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("digest.txt", "line\n{{ nonesuch }}", r"digest\.txt:2: 'nonesuch' is undefined"),
        ("digest.txt", "{{ site.nonesuch }}", r"digest\.txt:1: .*no attribute 'nonesuch'"),
        ("digest.mjml", WHOLE.format("<mj-text>{{ nonesuch }}</mj-text>"), r"digest\.mjml:2: 'nonesuch' is undefined"),
        (
            "partials/footer.mjml",
            "<mj-section><mj-column>\n<mj-text>{{ made.of.what }}</mj-text></mj-column></mj-section>",
            r"footer\.mjml:2: .*no attribute 'of'",
        ),
        ("partials/title.html", "one\n{{ greeting }}", r"title\.html:2: 'greeting' is undefined"),
        ("partials/title.txt", "one\n\n{{ 1 / 0 }}", r"title\.txt:3: ZeroDivisionError"),
    ],
)
def test_a_template_that_asks_for_what_is_not_there_is_named(tmp_path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    own = load_templates(tmp_path)
    choices = (DigestItem(Paper(title="On looms"), 1, 0.5, "Goals", "looms"),)
    digest = Digest(edition=EDITION, choices=choices, considered=0, since=None, seen_row=0)
    with pytest.raises(UserError, match=expected):
        make_message(SITE, own, subscriber(), digest, LINKS, "<1@x>", datetime.now(UTC))


def test_a_partial_of_ones_own_comes_before_the_programs(tmp_path) -> None:
    (tmp_path / "partials").mkdir()
    header = (BUNDLED / "partials" / "header.mjml").read_text()
    (tmp_path / "partials" / "header.mjml").write_text(header.replace("{{ greeting }}", "Good day, {{ greeting }}"))
    digest = Digest(edition=EDITION, choices=(), considered=0, since=None, seen_row=0)
    own = make_message(SITE, load_templates(tmp_path), subscriber(), digest, LINKS, "<1@x>", datetime.now(UTC))
    assert "Good day, Ada" in part(own, "html")
    assert "Change your interests" in part(own, "html")


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("papers", [1, 30, 100])
def test_no_message_is_clipped_and_what_is_left_out_is_said(layout: Layout, papers: int) -> None:
    long = tuple(
        replace(one, paper=replace(one.paper, title=f"{one.rank}. " + "Looms " * 60), because="looms, " * 90)
        for one in digest_of(papers, ("Goals",)).choices
    )
    html, text = parts_of(replace(digest_of(papers, ("Goals",)), choices=long), layout)
    assert len(html.encode()) <= 102_000
    shown = [number for number in range(1, papers + 1) if f">{number}. Looms" in html]
    # The first ranks stay, the text part has them all.
    assert shown == list(range(1, len(shown) + 1))
    assert (len(shown) < papers) == ("left out, because mail programs cut off long emails" in html) == (papers == 100)
    assert all(f"{number}. Looms" in text for number in range(1, papers + 1))
    assert (f"{len(shown)} of 100 papers" in html) == (papers == 100)


@pytest.mark.parametrize("layout", Layout)
def test_thirty_papers_are_all_shown(layout: Layout) -> None:
    html, _ = parts_of(digest_of(30), layout)
    assert "left out" not in html
    assert len(html.encode()) < 60_000


def test_a_paper_is_rendered_once_for_all_and_says_nothing_of_anybody() -> None:
    fresh = load_templates(None)
    paper = Paper(title="On looms", abstract="They weave.", row=1)
    digest = Digest(
        edition=EDITION, choices=(DigestItem(paper, 1, 0.5, "Goals", "looms"),), considered=1, since=None, seen_row=1
    )
    for name in ("Ada", "Grace"):
        html = part(
            make_message(SITE, fresh, subscriber(name), digest, LINKS, f"<{name}@x>", datetime.now(UTC)), "html"
        )
        assert html.count("On looms") >= 1
        assert name in html
    ((_, card),) = fresh.cards.items()
    assert "Ada" not in card.title_html + card.lines_html + card.links_html + card.text_title + card.text_lines


def test_another_mime_parser_reads_back_what_went_in() -> None:
    import mailparser

    title = "Ünïcode, 強化学習 and العربية 🧵 = <b> & a line of " + "words " * 60
    message = make(Paper(title=title, abstract="First. Second."), name='Ädä, "the" <Countess>')
    read = mailparser.parse_from_bytes(message.content)
    assert title.split("=")[0] in read.text_html[0]
    assert read.to[0][1] == "ada@example.org"
    assert "Ädä" in read.to[0][0]


def test_ones_own_template_comes_before_the_programs(tmp_path) -> None:
    (tmp_path / "digest.txt").write_text((BUNDLED / "digest.txt").read_text() + "\nOur own line.\n")
    digest = Digest(edition=EDITION, choices=(), considered=0, since=None, seen_row=0)
    own = make_message(SITE, load_templates(tmp_path), subscriber(), digest, LINKS, "<1@x>", datetime.now(UTC))
    assert "Our own line." in part(own, "plain")


def digest_of(papers: int, sections: tuple[str, ...] = ("Goals", "Looms", "Trending")) -> Digest:
    """A digest whose papers are shared out among sections, as evenly as can be, most to the first."""
    each = sorted(sections[place % len(sections)] for place in range(papers))
    order = sorted(each, key=sections.index)
    choices = tuple(
        DigestItem(
            Paper(
                title=f"Looms {rank} and what they weave",
                abstract=f"We propose loom {rank}. Experiments show that it weaves {rank}% faster than others.",
                authors=("Ada Lovelace", "Grace Hopper"),
                url=f"https://x.example/{rank}",
                pdf_url=f"https://x.example/{rank}.pdf",
                upvotes=rank,
                row=rank,
            ),
            rank,
            0.5,
            section,
            f"reason {rank}",
        )
        for rank, section in enumerate(order, 1)
    )
    return Digest(edition=EDITION, choices=choices, considered=papers, since=None, seen_row=1)


JUDGED = replace(LINKS, judge=lambda row, verdict: f"https://papers.example.org/feedback/{row}.{verdict}")


def parts_of(digest: Digest, layout: Layout | None = None, links: PersonalLinks = JUDGED) -> tuple[str, str]:
    person = subscriber()
    person = replace(person, preferences=replace(person.preferences, layout=layout))
    return render_parts(SITE, TEMPLATES, person, digest, links)


@pytest.mark.parametrize("layout", [None, *Layout])
def test_each_layout_shows_every_paper_in_order_with_number_link_reason_and_votes(layout: Layout | None) -> None:
    html, text = parts_of(digest_of(12), layout)
    shown = " ".join(Shown(html).text.split())
    for rank in range(1, 13):
        assert f'href="https://x.example/{rank}"' in html
        assert f"{rank}. Looms {rank} and" in shown
        assert re.search(rf"^{rank}\. +Looms {rank} and", text, re.MULTILINE)
        assert f"https://x.example/{rank}\n" in text
        for part in (shown, text):
            assert f"{rank} upvote" in part
        # In Trending, the votes are the reason. The compact layout leaves the reasons to the text part.
        assert (f"reason {rank}" in text) == (rank <= 8)
        assert (f"reason {rank}" in shown) == (rank <= 8 and layout is not Layout.COMPACT)
    for part in (shown, text):
        places = [re.search(rf"\b{rank}\. +Looms", part).start() for rank in range(1, 13)]  # type: ignore[union-attr]
        assert places == sorted(places)
    assert max(len(line) for line in text.splitlines() if "http" not in line and "mailto" not in line) <= 72
    assert "fonts.googleapis" not in html
    assert "<img" not in html


def test_a_long_digest_shows_the_best_of_its_sections_in_full_and_the_rest_by_title() -> None:
    html, text = parts_of(digest_of(12))
    for part in (html, text):
        assert sorted(int(rank) for rank in re.findall(r"propose loom (\d+)\.", part)) == [1, 2, 5]
    # A short one shows all.
    html, _ = parts_of(digest_of(4))
    assert [int(rank) for rank in re.findall(r"propose loom (\d+)\.", html)] == [1, 2, 3, 4]


@given(words=st.lists(st.integers(1, 120), min_size=1, max_size=14), layout=st.sampled_from(Layout), data=st.data())
def test_every_paper_is_shown_once_however_long_it_is(words: list[int], layout: Layout, data: st.DataObject) -> None:
    names = sorted(
        data.draw(st.lists(st.sampled_from(["A", "B", "Trending"]), min_size=len(words), max_size=len(words)))
    )
    choices = tuple(
        DigestItem(Paper(title=f"{rank}: " + "Looms " * many), rank, 0.5, name, "")
        for rank, (many, name) in enumerate(zip(words, names, strict=True), 1)
    )
    html, text = parts_of(Digest(edition=EDITION, choices=choices, considered=1, since=None, seen_row=1), layout)
    _, _, body = html.partition("<h1")
    for rank in range(1, len(words) + 1):
        assert body.count(f">{rank}: Looms") == text.count(f" {rank}: Looms") == 1


def test_papers_with_much_to_read_leave_room_for_fewer_in_full() -> None:
    long = "We propose a loom " + "with many fine threads " * 5 + "of silk."
    digest = digest_of(10)
    choices = tuple(
        replace(one, paper=replace(one.paper, title="Looms " * 40, abstract=long)) for one in digest.choices
    )
    html, _ = parts_of(replace(digest, choices=choices))
    assert html.count("We propose a loom") == 2


def test_a_first_paper_with_much_to_read_is_shown_in_full_all_the_same() -> None:
    digest = digest_of(10, ("Goals",))
    long = replace(
        digest.choices[0].paper, row=0, title="Looms " * 40, abstract="", summary="A loom weaves well. " * 24
    )
    html, _ = parts_of(replace(digest, choices=(replace(digest.choices[0], paper=long), *digest.choices[1:])))
    assert html.count("Summary from the source:") == 1
    assert len(re.findall(r"propose loom \d+\.", html)) <= 2


def test_compact_has_authors_one_sentence_and_feedback_for_the_first_ten_papers() -> None:
    html, text = parts_of(digest_of(12), Layout.COMPACT)
    for part in (html, text):
        assert part.count("Ada Lovelace, Grace Hopper") == 10
        assert [int(rank) for rank in re.findall(r"propose loom (\d+)\.", part)] == list(range(1, 11))
        assert "faster than others" not in part
    assert html.count("feedback/") == 20
    assert html.count("More like this</a>") == 10


def test_titles_has_titles_matches_and_reasons_alone() -> None:
    html, text = parts_of(digest_of(12), Layout.TITLES)
    for part in (html, text):
        assert "Lovelace" not in part
        assert "propose loom" not in part
        assert part.count("Strong match") == 8
    assert "feedback/" not in html


def test_contents_lead_to_the_sections() -> None:
    html, text = parts_of(digest_of(12))
    for place, name in enumerate(("Goals", "Looms", "Trending"), 1):
        assert re.search(rf'<a href="#section-{place}"[^>]*>{name} \(4\)</a>', html)
        assert re.search(rf'<h2 [^>]*id="section-{place}"[^>]*>{name}</h2>', html)
        assert f"\n* {name} (4)\n" in text
    # One section needs none.
    assert "#section-" not in parts_of(digest_of(3, ("Goals",)))[0]


def test_a_paper_without_a_link_leads_to_its_page_on_the_site_if_there_is_one() -> None:
    paper = Paper(title="Looms", id="10.1000/a b", row=1)
    digest = Digest(
        edition=EDITION, choices=(DigestItem(paper, 1, 0.5, "Goals", ""),), considered=1, since=None, seen_row=1
    )
    for site, expected in (("https://p.example", ["https://p.example/papers/10.1000/a%20b"]), (None, [])):
        templates = load_templates(None, look=Look(site_url=site))
        html, text = render_parts(SITE, templates, subscriber(), digest, LINKS)
        found = [link for link in Shown(html).links if "/papers/" in str(link)]
        assert found == expected
        assert all(link in text for link in expected)


@pytest.mark.parametrize("papers", [9, 10, 99, 100])
def test_all_lines_of_the_text_part_hang_below_the_title_however_many_digits_the_number_has(papers: int) -> None:
    _, text = parts_of(digest_of(papers, ("Goals",)), Layout.COMPACT)
    margin = len(str(papers)) + 2
    body = text[text.index("1. ") : text.index("\n-- \n")].splitlines()
    for line in filter(None, body):
        assert re.match(rf"(?:\d+\. *(?<=^.{{{margin}}})| {{{margin}}})\S", line), line


def test_the_reading_time_counts_what_is_shown() -> None:
    long = "We propose a loom that weaves " + "silk and " * 10 + "wool. It is fast."
    digest = digest_of(10, ("Goals",))
    choices = tuple(replace(one, paper=replace(one.paper, row=0, abstract=long)) for one in digest.choices)

    def minutes(layout: Layout) -> int:
        found = re.search(r"10 papers · (\d+) min", parts_of(replace(digest, choices=choices), layout)[1])
        assert found
        return int(found[1])

    # Of 238 words: ten titles of 7 with reasons of 12; the same with an idea of 27 each.
    assert minutes(Layout.TITLES) == 1
    assert minutes(Layout.COMPACT) == 2


def test_links_and_buttons_have_the_accent_colour_of_the_newsletter() -> None:
    html, _ = render_parts(
        SITE, load_templates(None, look=Look(accent="#b00020")), subscriber(), digest_of(1, ("Goals",)), JUDGED
    )
    (title,) = re.findall(r'<a href="https://x.example/1" style="([^"]*)"', html)
    assert "color:#b00020" in title
    assert "#1a56b0" not in html


def test_a_colour_that_does_not_exist_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials" / "accent.mjml").write_text('<mj-section>\n<mj-column><mj-text color="{{ colour.blue }}" />')
    with pytest.raises(UserError, match=r"accent\.mjml:2: no colour 'blue'; use one of page, card, "):
        load_templates(tmp_path)


def test_buttons_are_large_enough_for_a_finger(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 700}, offline=True)
    for layout in (Layout.FULL, Layout.COMPACT):
        page.set_content(parts_of(digest_of(4), layout)[0])
        boxes = [one.bounding_box() for one in page.get_by_role("link", name=re.compile("like this|PDF")).all()]
        assert len(boxes) == (12 if layout is Layout.FULL else 8)
        assert all(box and box["height"] >= 44 and box["width"] >= 44 for box in boxes)


def test_latex_is_read_as_people_write_it_in_every_place() -> None:
    paper = Paper(
        title=r"From $r$ to $Q^*$: {\alpha}-looms, \eg of Erd\H{o}s",
        abstract=r"Looms weave in $\mathcal{O}(n^2)$ for \$5 a yard.",
        authors=(r"G\"odel, Kurt",),
    )
    message = make(paper)
    title = "From r to Q*: α-looms, e.g. of Erdős"
    assert str(parsed(message)["Subject"]) == title
    for kind in ("html", "plain"):
        shown = " ".join(part(message, kind).split())
        assert title in shown
        assert "Looms weave in O(n²) for $5 a yard." in shown
        assert "Gödel, Kurt" in shown


def test_a_title_of_five_hundred_characters_and_three_thousand_authors_have_their_place() -> None:
    paper = Paper(
        title="Looms " * 90, authors=tuple(f"Weaver {number}" for number in range(3000)), abstract="A. " * 4000
    )
    message = make(paper)
    assert len(part(message, "html")) < 30_000
    assert "Weaver 0, Weaver 1, Weaver 2 and 2997 more" in part(message, "html")
    assert "Looms …" in part(message, "html") or "Looms…" in part(message, "html")
