"""Header fields: any text goes in, and two parsers that are not ours read exactly that text, cleaned."""

import re
from datetime import UTC, date, datetime
from email import message_from_bytes, message_from_string, policy
from email.header import decode_header, make_header
from email.message import Message as Parsed
from email.utils import getaddresses, parsedate_to_datetime
from unicodedata import normalize

import mailparser
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from newsletter.config.settings import Site
from newsletter.model import Digest, DigestItem, Message, Paper, Preferences, Subscriber, SubscriberState
from newsletter.rendering.message import make_message, make_signup_message
from newsletter.rendering.paper_card import display_title
from newsletter.rendering.plain_text import shorten
from newsletter.rendering.template import load_templates
from newsletter.rendering.template_context import PersonalLinks
from newsletter.support.text import to_single_line

TEMPLATES = load_templates(None)
NOW = datetime(2025, 11, 28, 9, tzinfo=UTC)
IDENTITY = "<20251128.0123456789abcdef01234567@example.org>"
ONE_CLICK = "https://papers.example.org/unsubscribe/" + "u" * 120
LETTER = "mailto:help@example.org?subject=unsubscribe%20" + "u" * 120
LINKS = PersonalLinks("https://papers.example.org/p", ONE_CLICK, LETTER, one_click=ONE_CLICK)
FIELDS = (
    *("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe"),
    *("List-Unsubscribe-Post", "Feedback-ID", "Auto-Submitted", "MIME-Version", "Content-Type"),
)
INJECTION = "=?utf-8?q?=0D=0ABcc:_evil=40x.test?="
LONG = "Bartholomew Featherstonehaugh-Cholmondeley, Esquire, of the Royal Society of Sciences and Letters"
SPECIALS = r'"the" \ <evil@x.test>, (comment); group: [1.2.3.4] @x'
PIECES = (
    *("=?", "?=", "=?utf-8?b?AEE=?=", "=?utf-8?q?a?= =?utf-8?q?b?=", "\r\n", "\0", "\r\nBcc: evil@x.test", "\n ", "\t"),
    *("  ", "\u2028", "\x85", "强化学习" * 30, "👩\u200d🔬", "e\u0301" * 40, "A" * 200, "العربية, فارسی", "\u202e"),
    *("'", "`", "=", "_", "?", ";", "é"),
)
"""What means something in a header, or is hard to cut."""

ACCENTS = "Une étude générale de la théorie des réseaux récurrents à mémoire très étendue, évaluée à Genève"


def site(name: str = "Papers", sender: str = "Papers", reply_to: str | None = "Help") -> Site:
    """A site whose texts did not all come through a configuration file, which would refuse some."""
    quoted = [to_single_line(one).replace("\\", r"\\").replace('"', r"\"") for one in (sender, reply_to or "")]
    texts = {"name": "Papers", "url": "https://papers.example.org", "postal_address": "1 Test Street"}
    mailboxes = {"from": f'"{quoted[0]}" <papers@example.org>', "reply_to": f'"{quoted[1]}" <help@example.org>'}
    made = Site.model_validate(texts | mailboxes | ({"reply_to": None} if reply_to is None else {}))
    return made.model_copy(update={"name": name})


def make(title: str = "A sample", name: str = "Ada", email: str = "ada@example.org", of: Site | None = None) -> Message:
    choices = (DigestItem(Paper(title=title), 1, 0.25, "Goals", "looms"),)
    digest = Digest(edition=date(2025, 11, 28), choices=choices, considered=1, since=None, seen_row=1)
    person = Subscriber(preferences=Preferences(email=email, name=name), state=SubscriberState.ACTIVE, row=7)
    return make_message(of or site(), TEMPLATES, person, digest, LINKS, IDENTITY, NOW)


def letter(subject: str) -> Message:
    return make_signup_message(site(), "ada@example.org", subject, "<p>x</p>", "x", NOW)


def head_of(message: Message) -> str:
    return message.content.partition(b"\r\n\r\n")[0].decode()


def names_in(message: Message, name: str) -> list[str]:
    """The names of a field's mailboxes, as the newest parser of the standard library has them."""
    read = message_from_bytes(message.content, policy=policy.default)
    return [mailbox.display_name for mailbox in read[name].addresses]


def check_lines(head: str, utf8: bool = False) -> None:
    """RFC 5322, sections 2.1.1 and 2.2; RFC 2047, section 2."""
    lines = head.split("\r\n")
    assert "\r" not in "".join(lines)
    assert "\n" not in "".join(lines)
    for line in lines:
        assert line.strip(), lines
        assert len(line.encode()) <= 998
        # What is longer is one URL or one address, which cannot be cut.
        assert len(line) <= 78 or re.fullmatch(r"(?:[A-Za-z-]+:)? <?\S+>?,?", line), line
        assert line.isascii() or utf8
        assert line.isprintable() or utf8
        words = re.findall(r"=\?utf-8\?[bq]\?[^?]*\?=", line)
        assert not words or len(line) <= 76
        for word in words:
            assert len(word) <= 75
            str(make_header(decode_header(word)))  # Each by itself is whole characters.
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert not re.fullmatch(r"[A-Za-z-]+:\s*", line) or not following.startswith(" "), line


def parsed(message: Message) -> Parsed:
    """The message as the oldest parser of the standard library has it, which decodes nothing by itself."""
    return message_from_string(head_of(message) + "\r\n\r\n")


def field(message: Message, name: str) -> str:
    """A field's one value, unfolded."""
    (value,) = parsed(message).get_all(name, [])
    return re.sub(r"\r?\n(?=[ \t])", "", value)


def decoded(text: str) -> str:
    return str(make_header(decode_header(text)))


def mailbox(message: Message, name: str) -> tuple[str, str]:
    ((phrase, address),) = getaddresses([field(message, name)])
    return decoded(phrase), address


def list_id(message: Message) -> tuple[str, str]:
    phrase, _, identity = field(message, "List-Id").rpartition(" <")
    words = [quoted or word for quoted, word in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', phrase)]
    return decoded(" ".join(re.sub(r"\\(.)", r"\1", word) for word in words)), identity.removesuffix(">")


@st.composite
def texts(draw: st.DrawFn, halves: bool = False) -> str:
    """Text as anybody may write it: of all characters, and of those that mean something in a header."""
    anything = st.text(st.characters(exclude_categories=() if halves else ("Cs",)), max_size=60)
    pieces = st.sampled_from((INJECTION, LONG, SPECIALS, ACCENTS, *PIECES))
    return "".join(draw(st.lists(st.one_of(anything, pieces, st.just(" ")), max_size=6)))


@given(title=texts(), name=texts(halves=True), site_name=texts(), sender=texts(), reply_to=texts(), utf8=st.booleans())
@example(INJECTION, INJECTION, INJECTION, INJECTION, INJECTION, False)
@example(ACCENTS, LONG, "每日论文", LONG, SPECIALS, True)
def test_whatever_is_written_is_read_as_it_is_and_nothing_else(
    title: str, name: str, site_name: str, sender: str, reply_to: str, utf8: bool
) -> None:
    of = site(to_single_line(site_name), sender, reply_to)
    message = make(title, name, "zoë@example.org" if utf8 else "ada@example.org", of)
    head = head_of(message)
    check_lines(head, utf8)
    title = shorten(to_single_line(display_title(Paper(title=title))), 90)

    assert sorted(parsed(message).keys()) == sorted(FIELDS)
    assert decoded(field(message, "Subject")) == title
    assert mailbox(message, "From") == (to_single_line(sender), "papers@example.org")
    assert mailbox(message, "To") == (to_single_line(name), message.recipient)
    assert mailbox(message, "Reply-To") == (to_single_line(reply_to), "help@example.org")
    assert list_id(message) == (to_single_line(site_name), "papers.example.org")
    assert field(message, "List-Unsubscribe") == f"<{ONE_CLICK}>, <{LETTER}>"
    assert field(message, "Message-ID") == IDENTITY
    assert field(message, "Feedback-ID") == "20251128:digest:papers:exampleorg"
    assert parsedate_to_datetime(field(message, "Date")) == NOW

    read = mailparser.parse_from_bytes(message.content)
    # It leaves text that is not encoded folded.
    assert re.sub(r"\r?\n(?= )", "", read.subject) == normalize("NFC", title)
    for of_parser, text, address in (
        (read.from_, sender, "papers@example.org"),
        (read.to, name, message.recipient),
        (read.reply_to, reply_to, "help@example.org"),
    ):
        ((phrase, found),) = of_parser
        assert found == address
        assert normalize("NFC", phrase) == normalize("NFC", to_single_line(text))


@given(texts(halves=True))
@example("ada@example.org\r\nBcc: evil@x.test")
@example("ada")
@example("ada@" + "é" * 300)
@example('a"b\\c@x.test>, <evil@x.test')
def test_a_damaged_address_makes_one_field_without_an_error(email: str) -> None:
    message = make(email=email)
    head = head_of(message)
    assert sorted(parsed(message).keys()) == sorted(FIELDS)
    assert all(line.strip() for line in head.split("\r\n"))
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", head)
    assert len(re.findall(r"(?<!\\)<", re.sub(r'"(?:[^"\\]|\\.)*"', "", field(message, "To")))) == 1


@given(texts())
def test_a_letter_has_the_same_headers(subject: str) -> None:
    message = letter(subject)
    check_lines(head_of(message))
    assert decoded(field(message, "Subject")) == to_single_line(subject)
    assert field(message, "To") == "ada@example.org"


@pytest.mark.parametrize("email", ["ada@example.org", "zoë@example.org"])
@pytest.mark.parametrize("text", [LONG, f"{LONG} {SPECIALS}", SPECIALS, ACCENTS, INJECTION, "每日论文" * 30])
def test_a_name_with_signs_that_part_addresses_is_one_mailbox(text: str, email: str) -> None:
    message = make(name=text, email=email, of=site(text, text, text))
    for name, address in (("From", "papers@example.org"), ("To", email), ("Reply-To", "help@example.org")):
        assert mailbox(message, name) == (text, address)
        if (
            text.isascii() and text != INJECTION
        ):  # Between encoded words it has a space too many (python/cpython#128110).
            assert names_in(message, name) == [text]
    assert list_id(message) == (text, "papers.example.org")
    check_lines(head_of(message), utf8=not email.isascii())


@pytest.mark.parametrize("name", ["Łódzki Przegląd", "每日论文", 'The "Daily" \\ Papers', "Papers"])
def test_the_list_id_loses_no_letter_of_the_name(name: str) -> None:
    assert list_id(make(of=site(name))) == (name, "papers.example.org")


@pytest.mark.parametrize(
    "title",
    [ACCENTS, f"{ACCENTS} {ACCENTS}", "Plain words with an é at the end of them, which come to more than one line é"],
)
def test_a_long_accented_title_keeps_its_spaces(title: str) -> None:
    message = letter(title)
    assert decoded(field(message, "Subject")) == title
    assert mailparser.parse_from_bytes(message.content).subject == title
    check_lines(head_of(message))


def test_an_emoji_of_several_characters_stays_one() -> None:
    assert decoded(field(make("👩‍🔬 at work"), "Subject")) == "👩‍🔬 at work"


def test_a_title_of_one_long_word_leaves_no_first_line_empty() -> None:
    for word in ("A" * 69, "A" * 70, "A" * 77, "A" * 78, "A" * 500):
        message = letter(word)
        assert decoded(field(message, "Subject")) == word
        check_lines(head_of(message))


def test_ordinary_headers_stand_as_they_are() -> None:
    head = head_of(make("Looms of the year", of=site("Test Papers", "Papers, daily", None)))
    assert head.startswith(
        'From: "Papers, daily" <papers@example.org>\r\n'
        "To: Ada <ada@example.org>\r\n"
        "Subject: Looms of the year\r\n"
        "Date: Fri, 28 Nov 2025 09:00:00 +0000\r\n"
        f"Message-ID: {IDENTITY}\r\n"
        'List-Id: "Test Papers" <papers.example.org>\r\n'
        f"List-Unsubscribe: <{ONE_CLICK}>,\r\n <{LETTER}>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        "Feedback-ID: 20251128:digest:papers:exampleorg\r\n"
        "Auto-Submitted: auto-generated\r\n"
    )


def test_a_long_plain_title_is_folded_between_words() -> None:
    head = head_of(make("Looms of the year and of the years before it, as far as anybody can tell, in ten parts"))
    assert (
        "\r\nSubject: Looms of the year and of the years before it, as far as anybody can\r\n tell, in ten parts\r\n"
        in head
    )


def test_in_a_message_in_utf8_text_stands_as_it_is_where_it_fits() -> None:
    title = ACCENTS.removesuffix(", évaluée à Genève")
    head = head_of(make(title, "Zoë, “the” weaver", "zoë@example.org"))
    assert '\r\nTo: "Zoë, “the” weaver" <zoë@example.org>\r\n' in head
    assert title in head.replace("\r\n ", " ")
    check_lines(head, utf8=True)


@given(texts())
def test_a_senders_name_is_kept_as_the_configuration_has_it(text: str) -> None:
    assume(not any(ord(character) < 32 or ord(character) == 127 for character in text))
    text = to_single_line(text)
    assert mailbox(make(of=site(sender=text)), "From") == (text, "papers@example.org")
    assume(not set(text) & set('<>"'))
    unquoted = {"name": "P", "url": "https://x.example", "postal_address": "x", "from": f"{text} <papers@example.org>"}
    assert mailbox(make(of=Site.model_validate(unquoted)), "From") == (text, "papers@example.org")
