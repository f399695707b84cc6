"""Lists of interests in emails, as mail programs send them, and subjects that are anything at all."""

import textwrap
from email.message import EmailMessage
from html import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.delivery.bounces.mailed_commands import feedback_subject, interests_body, interests_subject
from newsletter.delivery.bounces.parser import MAX_BYTES, BounceReport, parse_report
from newsletter.delivery.refusal_classifier import BounceKind

TOKEN = f"7.{'0123456789abcdef' * 4}"
VOTE = f"7.12.more.{'0123456789abcdef' * 4}"

_WORD = st.text("abcdefghijklmnopqrstuvwxyzäß中文<&;-/.0123456789", min_size=1, max_size=18).filter(
    lambda word: word[0] not in "-<&;"
)
INTEREST = st.lists(_WORD, min_size=1, max_size=30).map(" ".join).filter(lambda text: len(text) <= 250)
INTERESTS = st.lists(INTEREST, min_size=1, max_size=8, unique=True).map(tuple)


def read(body: str, subject: str = interests_subject(TOKEN), html: str | None = None) -> BounceReport:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ada@example.org", "papers@example.org", subject
    message.set_content(body)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return parse_report(message.as_bytes(), None)


@given(INTERESTS, st.integers(65, 78))
@example(("a" * 63, "b"), 65)
def test_a_list_survives_wrapping(interests: tuple[str, ...], columns: int) -> None:
    lines = interests_body(interests).splitlines()
    wrapped = [
        part
        for line in lines
        for part in textwrap.wrap(line, columns, break_long_words=False, break_on_hyphens=False) or [""]
    ]
    assert read("\n".join(wrapped)).interests == interests


@given(INTERESTS)
def test_a_list_survives_html_below_a_signature_and_quoted(interests: tuple[str, ...]) -> None:
    lines = [escape(line) for line in interests_body(interests).splitlines()]
    outlook = "".join(f"<p class=MsoNormal>{line.replace(' ', chr(10), 3)}<o:p></o:p></p>\r\n" for line in lines)
    html = f"<html><head><style>p {{}}</style></head><body>{outlook}<p>Sent from my phone</p></body></html>"
    assert read("Your mail program cannot show this.", html=html).interests == interests
    gmail = "".join(f"<div><span>{line[:3]}</span>{line[3:]}</div>" for line in lines if "&" not in line[:3])
    if gmail.count("<div>") == len(lines):
        assert read("", html=gmail).interests == interests
    quoted = "\n".join(f"> {line}" for line in interests_body(interests).splitlines())
    assert read(f"Hello!\n\n{quoted}\n-- \nAda").interests == interests


@pytest.mark.parametrize(
    ("body", "interests"),
    [
        ("[interests]\nlooms\nengines\n[end]", ("looms", "engines")),
        ("[Interests]\n* looms\n\n•engines\n- looms\n[END]\nSent from my phone", ("looms", "engines")),
        ("[interests]\n[end]", ()),
        ("[interests]\nlooms", None),
        ("looms\n[end]", None),
        ("[interests]\n" + "looms\n" * 2_000 + "[end]", None),
        ("[interests]\nlooms\n[end]\n[interests]\nengines\n[end]", ("looms",)),
    ],
)
def test_what_is_a_list(body: str, interests: tuple[str, ...] | None) -> None:
    report = read(body)
    assert (report.kind, report.signed_tokens, report.interests) == (BounceKind.INTERESTS, (TOKEN,), interests)


def test_only_the_beginning_of_a_long_email_is_read() -> None:
    assert read("x" * MAX_BYTES + "\n[interests]\nlooms\n[end]").interests is None


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (feedback_subject("more", VOTE), BounceKind.FEEDBACK),
        (f"Re: Fwd: {feedback_subject('more', VOTE)} (was: papers)", BounceKind.FEEDBACK),
        (f"more%20like%20this%20{VOTE}", BounceKind.FEEDBACK),
        (f"more like this {VOTE}0", BounceKind.OTHER),
        (f"more like this {VOTE[:-1]}", BounceKind.OTHER),
        (f"more like this {TOKEN}", BounceKind.OTHER),
        (f"change my interests {VOTE}", BounceKind.OTHER),
        (VOTE, BounceKind.OTHER),
        ("more like this", BounceKind.OTHER),
    ],
)
def test_what_is_a_command(subject: str, kind: BounceKind) -> None:
    assert read("", subject).kind is kind


@given(st.binary(max_size=300), st.sampled_from([VOTE, TOKEN]))
def test_any_email_can_be_read(content: bytes, token: str) -> None:
    for head in (f"Subject: more like this {token}\n\n", f"Subject: change my interests {token}\n\n[interests]\n"):
        report = parse_report(head.encode() + content, None)
        assert set(report.signed_tokens) <= {token}
