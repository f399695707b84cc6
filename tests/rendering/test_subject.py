"""The subject line: the usual one, and templates of the operator's own."""

import re
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.config.settings import Site
from newsletter.config.subject_line import USUAL, valid_subject
from newsletter.model import Digest, DigestItem, Paper
from newsletter.rendering.paper_card import display_title
from newsletter.rendering.subject import NOTHING, subject
from newsletter.support.text import to_single_line
from tests.helpers.newsletter import CONFIG, Newsletter
from tests.helpers.smtp import Mailbox

SITE = Site.model_validate(
    {"name": "Daily & Papers", "from": "papers@example.org", "postal_address": "1 Test Street"},
)
HOSTILE = st.text() | st.lists(
    st.sampled_from(
        (
            "\r\nBcc: evil@x.test",
            "\n",
            "\0",
            "{{ 7 * 7 }}",
            "{% if %}",
            "{#",
            "\u202e",
            "=?utf-8?q?=0D=0A?=",
            " ",
            "A" * 99,
        )
    )
).map("".join)


def digest(*titles: str, sections: tuple[str, ...] = ("Looms",)) -> Digest:
    choices = tuple(
        DigestItem(Paper(title=title), rank, 0.5, sections[min(rank, len(sections)) - 1], "")
        for rank, title in enumerate(titles, 1)
    )
    return Digest(edition=date(2025, 11, 28), choices=choices, considered=9, since=None, seen_row=1)


@given(HOSTILE, st.integers(0, 99))
@example("{{ 7 * 7 }}", 0)
@example("\r\nBcc: evil@x.test", 9)
def test_the_usual_one_has_the_title_and_the_number_whatever_the_title(title: str, more: int) -> None:
    found = subject(USUAL, SITE, digest(title, *["x"] * more))
    shown = to_single_line(display_title(Paper(title=title)))
    end = f" + {more} more" if more else ""
    assert len(found) <= 90
    assert found == to_single_line(found)
    assert found.endswith(end.strip())
    begin = found.removesuffix(end.strip()).strip()
    assert begin == shown if len(shown + end) <= 90 else shown.startswith(begin.removesuffix("…"))


@given(HOSTILE, HOSTILE, HOSTILE)
@example("{{ reader }}" + "A" * 300, "{{ site }}", "{{ title }}")
def test_values_are_never_templates_and_the_result_is_one_bounded_line(title: str, section: str, reader: str) -> None:
    template = valid_subject("{{ title }} | {{ sections | join(', ') }} | {{ reader }} | {{ site }}")
    found = subject(template, SITE, digest(title, sections=(section,)), reader)
    assert len(found) <= 200
    assert found == to_single_line(found)
    parts = [to_single_line(one) for one in (section, reader, SITE.name)]
    if len("".join(parts)) <= 90:
        assert to_single_line(" | ".join(parts)) in found


def test_a_long_title_is_cut_between_words() -> None:
    long = "Learning to weave the looms of the year and of the years before it, as far as anybody can tell, at last"
    assert subject(USUAL, SITE, digest(long, "x", "y")) == (
        "Learning to weave the looms of the year and of the years before it, as far as… + 2 more"
    )
    assert subject(USUAL, SITE, digest(long)).endswith("as far as anybody can…")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ site }}, {{ date }}: {{ title }}", "Daily & Papers, 28 November: One"),
        ("{{ number }} papers on {{ sections | join(' and ') }}", "3 papers on Looms and Kites"),
        ("{% if reader %}{{ reader }}, {% endif %}{{ title }} and {{ more }} others", "Ada <3, One and 2 others"),
        ("{{ title }}\n\n   {{ number }}", "One 3"),
        ("{{ title * 90 }}", f"{'One' * 66}O…"),
        ("{% if number > 5 %}many{% endif %}", "One + 2 more"),
    ],
)
def test_a_template_of_ones_own(template: str, expected: str) -> None:
    chosen = digest("One", "Two", "Three", sections=("Looms", "Kites"))
    assert subject(template, SITE, chosen, "Ada\n<3") == expected


def test_a_digest_without_papers_says_so_whatever_the_template() -> None:
    assert subject("{{ title }}!", SITE, digest()) == NOTHING


def test_a_digest_that_the_template_fails_for_gets_the_usual_subject(caplog: pytest.LogCaptureFixture) -> None:
    template = valid_subject("{% if number == 2 %}{{ sections[7] }}{% endif %}x")
    assert subject(template, SITE, digest("One")) == "x"
    assert subject(template, SITE, digest("One", "Two")) == "One + 1 more"
    assert "fails for a digest, which gets the usual subject: list object has no element 7" in caplog.text


def test_a_template_has_nothing_random() -> None:
    with pytest.raises(ValueError, match="No filter named 'random'"):
        valid_subject("{{ sections | random }}")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            '"{{ titel }}"',
            "config.yaml:14: digest.subject: '{{ titel }}' uses 'titel', which is not known here; did you",
        ),
        ('"{{ you }}"', "use title, number, more, sections, date, site, reader"),
        ('"{{ range(9) }}"', "uses 'range'"),
        ('"{{ title"', "is not a template of a subject: unexpected end of template"),
        ('"{% if more %}x"', "config.yaml:14: digest.subject: '{% if more %}x' is not a template"),
        ('"{{ title | shout }}"', "No filter named 'shout'; correct it, or remove the line"),
        ('"{{ title.length }}"', "has no attribute 'length'"),
        ('"{{ sections[1] }}"', "list object has no element 1"),
        ('"{% if more %}{{ sections[1] }}{% endif %}"', "list object has no element 1"),
        ('"{{ 10 // more }}"', "ZeroDivisionError"),
        ('"{{ title.__class__ }}"', "is unsafe"),
        ('"{{ sections.append(title) }}"', "attribute 'append' of 'list' object is unsafe"),
        ("\"{% include 'x' %}\"", "no loader"),
        ('"one\\ntwo"', "has a line break or control character; write it on one line"),
        ('""', "digest.subject: '' is empty; enter a value"),
        ("{{ title }}", "config.yaml:14: a value that starts with {{ needs quotes; put quotes around it"),
    ],
)
def test_a_wrong_template_is_found_when_the_configuration_is_read(
    newsletter: Newsletter, written: str, said: str
) -> None:
    (newsletter.folder / "config.yaml").write_text(f"{CONFIG}digest:\n  subject: {written}\n")
    assert said in newsletter.run("log", code=2).err


def test_message_page_and_preview_have_the_same(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.configure(digest={"subject": "{{ number }} papers: {{ title }}"})
    newsletter.with_sample()
    newsletter.run("preview", reader, "--output", "preview.eml")
    html = newsletter.run("preview", reader, "--format", "html").out
    newsletter.run("send")
    (message,) = mail.messages()
    assert message["Subject"].startswith("8 papers: ")
    assert (newsletter.folder / "preview.eml").read_bytes() == mail.accepted[0][1]
    assert re.search(rf"<title>\s*{message['Subject']}\s*</title>", html)
