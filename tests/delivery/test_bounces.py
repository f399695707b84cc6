"""What came back, read: the styles of the servers, what they say of a mailbox, and bytes that are anything at all."""

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.delivery.bounces import Report, read
from newsletter.delivery.verdict import Kind, verdict
from newsletter.delivery.verp import read_token, return_path
from tests.delivery import reports
from tests.delivery.reports import About

ADDRESS = "bounces@papers.example.org"
KEY = "a long enough key for a test"
VERP = About(return_path=return_path(ADDRESS, KEY, 7, date(2025, 11, 28)))


def told(content: bytes) -> Report:
    return read(content, ADDRESS)


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
    assert (report.kind, report.status, report.recipients) == (Kind.HARD, status, (VERP.recipient,))
    assert words in report.diagnostic
    assert "\n" not in report.diagnostic
    assert len(report.diagnostic) <= 300
    assert VERP.message_id in report.message_ids
    assert [read_token(KEY, token) for token in report.tokens] == [(7, date(2025, 11, 28))]


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        ("5.2.2", "smtp; 552 5.2.2 mailbox full", Kind.SOFT),
        ("4.4.7", "smtp; 451 4.4.1 timed out", Kind.SOFT),
        ("5.2.1", "smtp; 550 5.2.1 this account is disabled", Kind.HARD),
        ("5.0.0", "smtp; 550 mailbox quota exceeded", Kind.SOFT),
        ("5.0.0", "smtp; 550 something is wrong", Kind.SOFT),
        ("5.0.0", "smtp; 554 5.7.1 blocked by our list", Kind.REFUSED),
        ("5.7.26", "smtp; 550 5.7.26 this mail is unauthenticated", Kind.REFUSED),
        ("5.1.8", "smtp; 501 5.1.8 the sender's domain does not exist", Kind.REFUSED),
        ("5.4.1", "smtp; 550 5.4.1 Recipient address rejected: Access denied.", Kind.HARD),
    ],
)
def test_other_failures_are_no_proof_that_it_is_not_there(status: str, said: str, kind: Kind) -> None:
    assert told(reports.postfix(VERP, status, said)).kind is kind


def test_what_is_only_delayed_is_no_bounce() -> None:
    report = told(reports.postfix(VERP, "4.4.1", "smtp; 451 4.4.1 no answer", action="delayed"))
    assert (report.kind, report.reason) == (Kind.NOTICE, "delayed")


def test_of_several_mailboxes_behind_an_address_all_must_be_gone() -> None:
    content = reports.postfix(VERP)
    second = b"Final-Recipient: rfc822; b@example.net\r\nAction: %s\r\nStatus: %s\r\n\r\nFinal-Recipient: rfc822; ada"
    for action, status, kind in (
        (b"failed", b"5.1.1", Kind.HARD),
        (b"failed", b"5.2.2", Kind.SOFT),
        (b"relayed", b"2.0.0", Kind.SOFT),
    ):
        both = content.replace(b"Final-Recipient: rfc822; ada", second % (action, status))
        assert told(both).kind is kind


def test_a_verdict_without_a_code_goes_by_the_words() -> None:
    assert verdict(None, "550 unknown user") is Kind.HARD
    assert verdict(None, "450 unknown user, try again") is Kind.SOFT
    assert verdict(None, "552 over quota: user unknown to us") is Kind.SOFT


@pytest.mark.parametrize("feedback", ["abuse", "Fraud"])
def test_a_complaint_names_the_message_though_not_the_reader(feedback: str) -> None:
    report = told(reports.yahoo_complaint(VERP, feedback))
    assert (report.kind, report.message_ids) == (Kind.COMPLAINT, (VERP.message_id,))
    assert read_token(KEY, report.tokens[0]) == (7, date(2025, 11, 28))


def test_the_older_form_of_outlooks_complaints() -> None:
    report = told(reports.outlook_complaint(About()))
    assert (report.kind, report.message_ids) == (Kind.COMPLAINT, (About().message_id,))


def test_feedback_that_is_no_complaint() -> None:
    assert told(reports.yahoo_complaint(VERP, "not-spam")).kind is Kind.NOTICE
    assert told(reports.yahoo_complaint(VERP, "opt-out")).kind is Kind.UNSUBSCRIBE


def test_an_automatic_reply_is_none_whatever_it_says() -> None:
    report = told(reports.vacation(VERP))
    assert (report.kind, report.reason) == (Kind.NOTICE, "an automatic reply")


@pytest.mark.parametrize(
    ("subject", "text", "in_reply_to", "kind"),
    [
        ("Re: 9 papers", "Unsubscribe\n\n> Hello Ada, here are 10 papers", "<1@x>", Kind.UNSUBSCRIBE),
        ("Re: 9 papers", "Please unsubscribe me, please.", "<1@x>", Kind.UNSUBSCRIBE),
        ("unsubscribe", "", "<1@x>", Kind.UNSUBSCRIBE),
        ("Re: 9 papers", "I would never unsubscribe!", "<1@x>", Kind.OTHER),
        ("unsubscribe", "", None, Kind.OTHER),
        ("unsubscribe NQ.abcdefghijklmnopqrstuvwxyz0", "", None, Kind.UNSUBSCRIBE),
        ("Re: unsubscribe NQ.abcdefghijklmnopqrstuvwxyz0", "", None, Kind.UNSUBSCRIBE),
        ("=?utf-8?q?unsubscribe_NQ=2Eabcdefghijklmnopqrstuvwxyz0?=", "", None, Kind.UNSUBSCRIBE),
    ],
)
def test_letters_that_unsubscribe(subject: str, text: str, in_reply_to: str | None, kind: Kind) -> None:
    report = told(reports.letter(subject, text, in_reply_to))
    assert report.kind is kind
    assert report.letter_token == ("NQ.abcdefghijklmnopqrstuvwxyz0" if "NQ" in subject else None)
    assert report.message_ids == ((in_reply_to,) if in_reply_to else ())


def test_what_a_person_quotes_is_no_report() -> None:
    quoted = reports.qmail(VERP).partition(b"\r\n\r\n")[2].decode()
    assert told(reports.letter("Look what came back", quoted)).kind is Kind.OTHER
    forwarded = b"From: ada@example.net\r\nTo: %s\r\nContent-Type: message/rfc822\r\n\r\n" % ADDRESS.encode()
    assert told(forwarded + reports.postfix(VERP)).kind is Kind.OTHER


def test_a_report_is_about_the_message_it_returns_not_one_further_in() -> None:
    # The operator's own letter, which had a digest in it, came back.
    mine = About(message_id="<mine@papers.example.org>", return_path="ada@papers.example.org")
    inner = b"Content-Type: message/rfc822\r\n\r\n" + reports.joined(About().headers)
    content = reports.gmail(mine).replace(b"List-Id: <papers.example.org>\r\n", inner)
    assert told(content).message_ids == ("<mine@papers.example.org>",)


def test_without_an_address_for_reports_there_are_no_tokens() -> None:
    assert read(reports.postfix(VERP), None).tokens == ()
    assert read(reports.postfix(VERP), "bounces@elsewhere.example").tokens == ()


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
        )
    ]
)


@given(st.binary() | st.text().map(str.encode))
@example(b"Content-Type: text/plain; charset*" + b"9" * 5000 + b"*=x\n\n")
@example(b"Return-Path: <>\nContent-Type: text/plain; charset=nonesuch\n\n\xff")
@example(b"Return-Path: <>\n\nno sender at all")
def test_any_bytes_are_read_to_some_end(content: bytes) -> None:
    assert isinstance(told(content), Report)


@given(samples, st.data())
def test_a_report_that_is_damaged_anywhere_is_read_to_some_end(content: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 80))
        content = content[:place] + data.draw(st.binary(max_size=20)) + content[place + length :]
    assert isinstance(told(content), Report)


@pytest.mark.parametrize(
    "bomb",
    [
        b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(100_000)),
        b"Content-Type: message/rfc822\n\n" * 100_000,
    ],
    ids=["parts", "messages"],
)
def test_what_is_nested_without_end_is_not_looked_into(bomb: bytes) -> None:
    assert told(bomb).reason == "nested too deeply"


@pytest.mark.parametrize(
    "bomb",
    [
        b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\n" * 5_000_000,
        b"Return-Path: <>\nFrom: x@y\n\nfailed addresses follow:\n" + b"<a@" * 10_000_000,
        b"Return-Path: <>\nFrom: x@y\n\nfailed addresses follow:\n" + (b"<a@" * 300 + b"\n") * 50_000,
    ],
    ids=["empty parts", "one line", "long lines"],
)
def test_a_mail_bomb_is_read_to_its_end(bomb: bytes) -> None:
    # Without bounds this would run for hours.
    assert told(bomb).kind is Kind.OTHER
