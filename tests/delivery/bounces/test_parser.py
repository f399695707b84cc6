"""What came back, read: the styles of the servers, what they say of a mailbox, and bytes that are anything at all."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.delivery.bounces.parser import BounceReport, parse_report
from newsletter.delivery.bounces.verp import read_token, return_path
from newsletter.delivery.refusal_classifier import BounceKind, classify
from tests.helpers import bounce_reports as reports
from tests.helpers.bounce_reports import About

ADDRESS = "bounces@papers.example.org"
KEY = "a long enough key for a test"
VERP = About(return_path=return_path(ADDRESS, KEY, 7, date(2025, 11, 28)))


def told(content: bytes) -> BounceReport:
    return parse_report(content, ADDRESS)


@pytest.mark.parametrize(
    ("style", "status", "words"),
    [
        (reports.postfix, "5.1.1", "Recipient address rejected: User unknown"),
        (reports.exim, None, "550 No such user here"),
        (reports.gmail, "5.1.1", "The email account that you tried to reach does not exist"),
        (reports.exchange, "5.1.10", "RESOLVER.ADR.RecipientNotFound"),
        (reports.qmail, "5.1.1", "Sorry, no mailbox here by that name"),
    ],
)
def test_a_mailbox_that_is_not_there(style: Callable[[About], bytes], status: str | None, words: str) -> None:
    report = told(style(VERP))
    assert (report.kind, report.status, report.recipients) == (BounceKind.HARD, status, (VERP.recipient,))
    assert words in report.diagnostic
    assert "\n" not in report.diagnostic
    assert len(report.diagnostic) <= 300
    assert VERP.message_id in report.message_ids
    assert [read_token(KEY, token) for token in report.tokens] == [(7, date(2025, 11, 28))]


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        ("5.2.2", "smtp; 552 5.2.2 mailbox full", BounceKind.SOFT),
        ("4.4.7", "smtp; 451 4.4.1 timed out", BounceKind.SOFT),
        ("5.2.1", "smtp; 550 5.2.1 this account is disabled", BounceKind.HARD),
        ("5.0.0", "smtp; 550 mailbox quota exceeded", BounceKind.SOFT),
        ("5.0.0", "smtp; 550 something is wrong", BounceKind.SOFT),
        ("5.0.0", "smtp; 554 5.7.1 blocked by our list", BounceKind.REFUSED),
        ("5.7.26", "smtp; 550 5.7.26 this mail is unauthenticated", BounceKind.REFUSED),
        ("5.1.8", "smtp; 501 5.1.8 the sender's domain does not exist", BounceKind.REFUSED),
        ("5.4.1", "smtp; 550 5.4.1 Recipient address rejected: Access denied.", BounceKind.HARD),
    ],
)
def test_other_failures_are_no_proof_that_it_is_not_there(status: str, said: str, kind: BounceKind) -> None:
    assert told(reports.postfix(VERP, status, said)).kind is kind


def test_what_is_only_delayed_is_no_bounce() -> None:
    report = told(reports.postfix(VERP, "4.4.1", "smtp; 451 4.4.1 no answer", action="delayed"))
    assert (report.kind, report.reason) == (BounceKind.NOTICE, "delayed")


def test_of_several_mailboxes_behind_an_address_all_must_be_gone() -> None:
    content = reports.postfix(VERP)
    second = b"Final-Recipient: rfc822; b@example.net\r\nAction: %s\r\nStatus: %s\r\n\r\nFinal-Recipient: rfc822; ada"
    for action, status, kind in (
        (b"failed", b"5.1.1", BounceKind.HARD),
        (b"failed", b"5.2.2", BounceKind.SOFT),
        (b"relayed", b"2.0.0", BounceKind.SOFT),
    ):
        both = content.replace(b"Final-Recipient: rfc822; ada", second % (action, status))
        assert told(both).kind is kind


@pytest.mark.parametrize("vendor", reports.VENDORS)
def test_each_vendor_says_that_a_mailbox_is_not_there_in_its_own_way(vendor: str) -> None:
    fields, text, words = reports.VENDORS[vendor]
    for content in (
        reports.report(VERP, fields, text),
        reports.wrapped(reports.report(VERP, fields, text), VERP),
        reports.wrapped(reports.report(VERP, fields, text), VERP, levels=5),
    ):
        report = told(content)
        assert (report.kind, report.recipients) == (BounceKind.HARD, (VERP.recipient,))
        assert words in report.diagnostic
        assert VERP.message_id in report.message_ids
        assert [read_token(KEY, token) for token in report.tokens] == [(7, date(2025, 11, 28))]


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize("returned", ["message/global", "message/global-headers", "text/rfc822-headers"])
def test_an_internationalised_report_is_understood(encoding: str, returned: str) -> None:
    about = replace(VERP, recipient="zoë@bücher.example")
    fields = (
        "Original-Recipient: utf-8; TO\nFinal-Recipient: utf-8; TO\nAction: failed\nStatus: 5.0.0\n"
        "Diagnostic-Code: smtp; 550 TO: unknown user (unbekannt, geschlossen für immer)\n"
    )
    report = told(reports.report(about, fields, kind="global-delivery-status", encoding=encoding, returned=returned))
    assert (report.kind, report.recipients) == (BounceKind.HARD, ("zoë@bücher.example",))
    assert "geschlossen für immer" in report.diagnostic
    assert report.message_ids == (about.message_id,)


def test_words_in_another_field_or_in_the_text_decide_only_what_the_code_leaves_open() -> None:
    full = "Final-Recipient: rfc822; TO\nAction: failed\nStatus: 5.2.2\nX-Supplementary-Info: 550 user unknown\n"
    assert told(reports.report(VERP, full)).kind is BounceKind.SOFT
    refused = "Final-Recipient: rfc822; TO\nAction: failed\nStatus: 5.0.0\nX-Supplementary-Info: 554 blocked\n"
    assert told(reports.report(VERP, refused)).kind is BounceKind.REFUSED
    # Text without a server's reply in it is advice to people, which names all that may be wrong.
    vague = "Final-Recipient: rfc822; TO\nAction: failed\nStatus: 5.0.0\n"
    text = "The address may be invalid, or the mailbox no longer in use.\n"
    assert told(reports.report(VERP, vague, text)).kind is BounceKind.SOFT
    name = "Final-Recipient: rfc822; TO\nAction: failed\nStatus: 5.0.0\nX-Display-Name: Unknown User\n"
    assert told(reports.report(VERP, name, text)).kind is BounceKind.SOFT
    # Of two recipients, the text may speak of either.
    two = f"{vague}\nFinal-Recipient: rfc822; b@example.net\nAction: failed\nStatus: 5.0.0\n"
    assert told(reports.report(VERP, two, "550 user unknown\n")).kind is BounceKind.SOFT


def test_of_several_reports_in_one_message_each_is_about_the_message_beside_it() -> None:
    other = About("bob@example.net", message_id="<other@papers.example.org>")
    first = reports.gone(other, returned="text/plain").partition(b"\r\n\r\n")[2]
    second = reports.gone(VERP).replace(b"part-7", b"part-8").partition(b"\r\n\r\n")[2]
    content = (
        b"Return-Path: <>\r\nFrom: postmaster@example.net\r\nContent-Type: multipart/mixed; boundary=all\r\n\r\n"
        b"--all\r\nContent-Type: multipart/report; boundary=part-7\r\n\r\n" + first + b"\r\n"
        b"--all\r\nContent-Type: multipart/report; boundary=part-8\r\n\r\n" + second + b"\r\n--all--\r\n"
    )
    report = told(content)
    assert (report.recipients, report.message_ids) == (("bob@example.net",), ())


def test_a_report_that_somebody_forwards_as_a_message_is_not_looked_into() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\n" + reports.gone(VERP)
    content = (
        b"From: ada@example.net\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n"
        b"Content-Type: text/plain\r\n\r\nLook at this.\r\n--out\r\n" + inner + b"\r\n--out--\r\n"
    )
    assert told(content).kind is BounceKind.OTHER


def test_a_verdict_without_a_code_goes_by_the_words() -> None:
    assert classify(None, "550 unknown user") is BounceKind.HARD
    assert classify(None, "450 unknown user, try again") is BounceKind.SOFT
    assert classify(None, "552 over quota: user unknown to us") is BounceKind.SOFT


@pytest.mark.parametrize("feedback", ["abuse", "Fraud"])
def test_a_complaint_names_the_message_though_not_the_reader(feedback: str) -> None:
    report = told(reports.yahoo_complaint(VERP, feedback))
    assert (report.kind, report.message_ids) == (BounceKind.COMPLAINT, (VERP.message_id,))
    assert read_token(KEY, report.tokens[0]) == (7, date(2025, 11, 28))


def test_the_older_form_of_outlooks_complaints() -> None:
    report = told(reports.outlook_complaint(About()))
    assert (report.kind, report.message_ids) == (BounceKind.COMPLAINT, (About().message_id,))


def test_feedback_that_is_no_complaint() -> None:
    assert told(reports.yahoo_complaint(VERP, "not-spam")).kind is BounceKind.NOTICE
    assert told(reports.yahoo_complaint(VERP, "opt-out")).kind is BounceKind.UNSUBSCRIBE


def test_an_automatic_reply_is_none_whatever_it_says() -> None:
    report = told(reports.vacation(VERP))
    assert (report.kind, report.reason) == (BounceKind.NOTICE, "an automatic reply")


@pytest.mark.parametrize(
    ("subject", "text", "in_reply_to", "kind"),
    [
        ("Re: 9 papers", "Unsubscribe\n\n> Hello Ada, here are 10 papers", "<1@x>", BounceKind.UNSUBSCRIBE),
        ("Re: 9 papers", "Please unsubscribe me, please.", "<1@x>", BounceKind.UNSUBSCRIBE),
        ("unsubscribe", "", "<1@x>", BounceKind.UNSUBSCRIBE),
        ("Re: 9 papers", "I would never unsubscribe!", "<1@x>", BounceKind.OTHER),
        ("unsubscribe", "", None, BounceKind.OTHER),
        ("unsubscribe NQ.abcdefghijklmnopqrstuvwxyz0", "", None, BounceKind.UNSUBSCRIBE),
        ("Re: unsubscribe NQ.abcdefghijklmnopqrstuvwxyz0", "", None, BounceKind.UNSUBSCRIBE),
        ("=?utf-8?q?unsubscribe_NQ=2Eabcdefghijklmnopqrstuvwxyz0?=", "", None, BounceKind.UNSUBSCRIBE),
    ],
)
def test_letters_that_unsubscribe(subject: str, text: str, in_reply_to: str | None, kind: BounceKind) -> None:
    report = told(reports.letter(subject, text, in_reply_to))
    assert report.kind is kind
    assert report.signed_tokens == (("NQ.abcdefghijklmnopqrstuvwxyz0",) if "NQ" in subject else ())
    assert report.message_ids == ((in_reply_to,) if in_reply_to else ())


SIGNED = "12.3f8a0c5d7e9b1f2a4c6e8d0b3f5a7c9e1d2b4f6a8c0e3d5b7f9a1c2e4d6b8f0a"


@pytest.mark.parametrize(
    "subject",
    [
        f"[EXTERNAL] unsubscribe {SIGNED}",
        f"[External Sender] Re: unsubscribe {SIGNED}",
        f"RE: [EXT] FW: Unsubscribe {SIGNED}",
        f"AW: unsubscribe {SIGNED}",
        f"Re[2]: unsubscribe {SIGNED}",
        f"Fwd: Undelivered: unsubscribe {SIGNED}",
        f"***SPAM*** unsubscribe {SIGNED}",
        f"{{Spam?}} unsubscribe {SIGNED}",
        f"EXTERNAL: unsubscribe {SIGNED} [Internet mail]",
        f"回复：unsubscribe {SIGNED}",
        f"=?utf-8?b?5Zue5aSN77ya?= unsubscribe {SIGNED}",
        f"=?iso-8859-1?q?R=E9p_=3A_unsubscribe_{SIGNED[:30]}?=\n =?iso-8859-1?q?{SIGNED[30:]}?=",
        f"[EXTERNAL]\n unsubscribe\n {SIGNED}",
        f"unsubscribe%20{SIGNED}",
        f"unsubscribe: <{SIGNED}>",
    ],
)
def test_what_stands_around_a_signed_subject_does_not_matter(subject: str) -> None:
    report = told(reports.letter(subject))
    assert (report.kind, report.signed_tokens) == (BounceKind.UNSUBSCRIBE, (SIGNED,))


@pytest.mark.parametrize(
    "text",
    [
        f"unsubscribe {SIGNED}",
        f"CAUTION: this email comes from outside.\n\nunsubscribe {SIGNED}\n\n-- \nAda",
        f"-------- Forwarded message --------\nSubject: unsubscribe {SIGNED}\nTo: papers@example.org\n",
        f"> unsubscribe\n{SIGNED}",
    ],
)
def test_the_token_may_stand_in_the_body_on_a_line_of_its_own(text: str) -> None:
    for content in (
        reports.letter("", text),
        reports.letter("(no subject)", f"<html><p>{text.replace(chr(10), '<br>')}</p></html>").replace(
            b"text/plain", b"text/html"
        ),
    ):
        report = told(content)
        assert (report.kind, report.signed_tokens) == (BounceKind.UNSUBSCRIBE, (SIGNED,))


def test_a_reply_that_quotes_a_digest_unsubscribes_nobody() -> None:
    text = (
        "What a good paper!\n\n> 10 papers for you\n> To unsubscribe: https://papers.example.org/unsubscribe/"
        f"{SIGNED}\n> List-Unsubscribe: <mailto:b@papers.example.org?subject=unsubscribe%20{SIGNED}>\n"
        f"> If you want to unsubscribe {SIGNED} is what to write.\n"
    )
    assert told(reports.letter("Re: 10 papers", text, "<1@x>")).kind is BounceKind.OTHER
    assert (
        told(reports.letter("How do I unsubscribe from-this-newsletter?", "Please tell me.")).kind is BounceKind.OTHER
    )


@pytest.mark.parametrize(
    "subject", ["[EXTERNAL] Re: unsubscribe", "AW: (ext) Unsubscribe [Internet]", "**SPAM** unsubscribe!"]
)
def test_a_reply_with_that_word_may_have_tags_too(subject: str) -> None:
    assert told(reports.letter(subject, "", "<1@x>")).kind is BounceKind.UNSUBSCRIBE
    assert told(reports.letter(subject)).kind is BounceKind.OTHER


def test_what_a_person_quotes_is_no_report() -> None:
    quoted = reports.qmail(VERP).partition(b"\r\n\r\n")[2].decode()
    assert told(reports.letter("Look what came back", quoted)).kind is BounceKind.OTHER
    forwarded = b"From: ada@example.net\r\nTo: %s\r\nContent-Type: message/rfc822\r\n\r\n" % ADDRESS.encode()
    assert told(forwarded + reports.postfix(VERP)).kind is BounceKind.OTHER


def test_a_report_is_about_the_message_it_returns_not_one_further_in() -> None:
    # The operator's own letter, which had a digest in it, came back.
    mine = About(message_id="<mine@papers.example.org>", return_path="ada@papers.example.org")
    inner = b"Content-Type: message/rfc822\r\n\r\n" + reports.joined(About().headers)
    content = reports.gmail(mine).replace(b"List-Id: <papers.example.org>\r\n", inner)
    assert told(content).message_ids == ("<mine@papers.example.org>",)


def test_without_an_address_for_reports_there_are_no_tokens() -> None:
    assert parse_report(reports.postfix(VERP), None).tokens == ()
    assert parse_report(reports.postfix(VERP), "bounces@elsewhere.example").tokens == ()


@given(st.integers(1, 2**63 - 1), st.dates())
def test_a_return_path_says_whose_message_it_is_of(subscriber: int, edition: date) -> None:
    address = return_path("b" * 24 + "@papers.example.org", KEY, subscriber, edition)
    local = address.partition("@")[0]
    assert len(local) <= 64
    token = local.partition("+")[2]
    assert read_token(KEY, token) == read_token(KEY, token.upper()) == (subscriber, edition)
    assert read_token("another key of some length", token) is None
    assert read_token(KEY, "1" + token) is None


@given(st.text() | st.from_regex(r"[0-9a-z]{1,13}-[0-9a-z]{1,5}-[a-z2-7]{16}", fullmatch=True))
@example("zzzzzzzzzzzzz-zzzzz-aaaaaaaaaaaaaaaa")
@example("k-\u212a-aaaaaaaaaaaaaaaa")
def test_what_was_not_signed_is_of_no_message(token: str) -> None:
    assert read_token(KEY, token) is None


samples = st.sampled_from(
    [
        style(VERP)
        for style in (
            *(reports.postfix, reports.exim, reports.gmail, reports.exchange, reports.qmail),
            *(reports.yahoo_complaint, reports.outlook_complaint, reports.vacation),
            *(reports.gone, lambda about: reports.wrapped(reports.gone(about), about, levels=3)),
            lambda about: reports.gone(about, kind="global-delivery-status", encoding="base64"),
            lambda about: reports.letter(f"[EXTERNAL] unsubscribe {SIGNED}", f"unsubscribe {SIGNED}"),
        )
    ]
)


@given(st.binary() | st.text().map(str.encode))
@example(b"Content-Type: text/plain; charset*" + b"9" * 5000 + b"*=x\n\n")
@example(b"Return-Path: <>\nContent-Type: text/plain; charset=nonesuch\n\n\xff")
@example(b"Return-Path: <>\n\nno sender at all")
def test_any_bytes_are_read_to_some_end(content: bytes) -> None:
    assert isinstance(told(content), BounceReport)


@given(samples, st.data())
def test_a_report_that_is_damaged_anywhere_is_read_to_some_end(content: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 80))
        content = content[:place] + data.draw(st.binary(max_size=20)) + content[place + length :]
    assert isinstance(told(content), BounceReport)


def test_what_is_nested_without_end_is_not_looked_into() -> None:
    bomb = b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(100_000))
    assert told(bomb).reason == "nested too deeply"
    assert told(b"Content-Type: message/rfc822\n\n" * 100_000).kind is BounceKind.OTHER


@pytest.mark.parametrize(
    "bomb",
    [
        b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\n" * 5_000_000,
        b"Return-Path: <>\nFrom: x@y\n\nfailed addresses follow:\n" + b"<a@" * 10_000_000,
        b"Return-Path: <>\nFrom: x@y\n\nfailed addresses follow:\n" + (b"<a@" * 300 + b"\n") * 50_000,
        b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\nContent-Type: message/delivery-status\n\n" * 100_000,
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/delivery-status\n\n"
        + b"a: b\n\n" * 50_000,
        b"X-A: b\n" * 100_000,
        b"Subject: " + b"[a] (b) ***c*** unsubscribe " * 50_000,
        b"Subject: a\nContent-Type: text/html\n\n" + b"<div>unsubscribe " * 50_000,
        b"Return-Path: <>\nContent-Type: text/plain; charset=idna\n\n" + b"\0xn--" * 100_000,
    ],
    ids=["empty parts", "one line", "long lines", "reports", "blocks", "headers", "tags", "html", "charset"],
)
def test_a_mail_bomb_is_read_to_its_end(bomb: bytes) -> None:
    # Without bounds this would run for hours.
    assert told(bomb).kind is BounceKind.OTHER
