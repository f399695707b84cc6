"""The queue in the admin site: a pause of all sending, retries, and sends of unknown outcome."""

from datetime import date
from html import unescape

import pytest

from newsletter.model import Role, SendState, SubscriberState
from newsletter.store import open_store, pauses, reading
from newsletter.support.clock import parse_moment
from tests.helpers.admin import add_send, add_subscriber, audited, change_send, operator_of, send_state
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import dump, serving

Served = tuple[str, Newsletter]
ADA = "ada@example.org"
HOSTILE = "<img src=x onerror=alert(1)> \u202eno\x07"
LATER = parse_moment("2025-11-28T10:00")
CLAIMED = {"claimed_by": "host/1/mark", "claimed_at": parse_moment("2025-11-28T08:59")}


def paused(newsletter: Newsletter) -> str | None:
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        found = pauses.find(connection)
    engine.dispose()
    return found.reason if found is not None else None


@pytest.mark.both_stores
def test_all_sending_is_paused_and_resumed(served: Served) -> None:
    where, newsletter = served
    with operator_of(where, newsletter) as editor:
        for reason in (f"wrong template {HOSTILE}", "wrong template, again"):  # Two tabs.
            page = editor.post("/admin/queue/pause", data={"reason": reason})
            assert "All sending is paused." in page.text
            assert "<img src=x" not in page.text
        assert "wrong template, again" in editor.get("/admin").text
        assert paused(newsletter) == "wrong template, again"
        assert "Sending goes on." in editor.post("/admin/queue/resume").text
        assert "Nothing had to be resumed." in editor.post("/admin/queue/resume").text
        editor.post("/admin/queue/pause", data={"reason": "x" * 5_000})
        assert len(paused(newsletter) or "") == 300
    assert [one[:2] for one in audited(newsletter)] == [
        ("ed", "sending.pause"),
        ("ed", "sending.pause"),
        ("ed", "sending.resume"),
        ("ed", "sending.pause"),
    ]


@pytest.mark.both_stores
def test_a_send_of_unknown_outcome_is_settled_once(served: Served) -> None:
    where, newsletter = served
    first, second = (add_subscriber(newsletter, email) for email in (ADA, "bob@example.org"))
    arrived = add_send(newsletter, first, SendState.UNSURE, reason=f"the process ended {HOSTILE}")
    again = add_send(newsletter, second, SendState.UNSURE, reason="the process ended")
    with operator_of(where, newsletter) as editor:
        page = editor.get("/admin/queue")
        assert (ADA in page.text, "<img src=x" in page.text) == (True, False)
        assert "The send counts as sent." in editor.post(f"/admin/queue/{arrived}/arrived").text
        assert "planned again" in editor.post(f"/admin/queue/{again}/again").text
        # The other tab, and a second click.
        for row, outcome in ((arrived, "again"), (arrived, "arrived"), (again, "arrived"), (again, "again")):
            assert "Nothing was changed" in editor.post(f"/admin/queue/{row}/{outcome}").text
        assert editor.post(f"/admin/queue/{again}/lost").status_code == 422
    assert (send_state(newsletter, arrived), send_state(newsletter, again)) == ("sent", "planned")
    assert [(action, to, details) for _, action, to, details in audited(newsletter)] == [
        ("send.resolve", ADA, {"send": arrived, "arrived": True}),
        ("send.resolve", "bob@example.org", {"send": again, "arrived": False}),
    ]


@pytest.mark.both_stores
def test_what_a_worker_holds_or_has_sent_is_never_retried(served: Served) -> None:
    where, newsletter = served
    row = add_send(
        newsletter, add_subscriber(newsletter, ADA), SendState.DEFERRED, reason="greylisted", not_before=LATER
    )
    with operator_of(where, newsletter) as editor:
        assert "greylisted" in editor.get("/admin/queue").text
        for state in (SendState.CLAIMED, SendState.SENT, SendState.SKIPPED, SendState.PLANNED, SendState.UNSURE):
            change_send(newsletter, row, state=state.value, **CLAIMED)
            before = dump(newsletter)
            assert "Nothing was changed" in editor.post(f"/admin/queue/{row}/retry").text, state
            assert "Nothing had to be retried." in editor.post("/admin/queue/retry/deferred").text
            if state is not SendState.UNSURE:
                assert "Nothing was changed" in editor.post(f"/admin/queue/{row}/again").text
            assert dump(newsletter) == before, state


def test_failed_sends_are_retried_and_sent_once(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "550 5.7.1 not now"
    newsletter.run("send", code=1)
    (before,) = newsletter.run("log", "--json").rows
    gone = add_subscriber(newsletter, "gone@example.org", state=SubscriberState.UNSUBSCRIBED)
    lost = add_send(newsletter, gone, SendState.FAILED, smtp_reply=f"550 {HOSTILE}")
    old = add_send(newsletter, gone, SendState.FAILED, edition=date(2025, 11, 1))
    with serving(newsletter) as where, operator_of(where, newsletter) as editor:
        page = editor.get("/admin/queue")
        assert ("550 5.7.1 not now" in page.text, "<img src=x" in page.text) == (True, False)
        assert f"/admin/queue/{old}/retry" not in page.text
        assert "its subscriber gets no mail now" in editor.post(f"/admin/queue/{lost}/retry").text
        assert "All that can be sent again are planned" in editor.post("/admin/queue/retry/failed").text
        mail.on_recipient = lambda address: None
        newsletter.run("send")
        assert "Nothing had to be retried." in editor.post("/admin/queue/retry/failed").text
        newsletter.run("send")
        assert unescape(editor.get("/admin/queue").text).count("gone@example.org") > 0
    assert mail.recipients() == [reader]
    sent = next(one for one in newsletter.run("log", "--json").rows if one["state"] == "sent")
    assert sent["message_id"] == before["message_id"]


def test_forged_numbers_and_viewers_change_nothing(served: Served) -> None:
    where, newsletter = served
    row = add_send(newsletter, add_subscriber(newsletter, ADA), SendState.UNSURE)
    before = dump(newsletter)
    with operator_of(where, newsletter) as editor:
        held = dump(newsletter)
        for wrong in ("0", "99", "-1", "x", str(2**31), "9" * 60):
            for action in ("retry", "arrived", "again"):
                answer = editor.post(f"/admin/queue/{wrong}/{action}")
                assert answer.status_code in (200, 422), wrong
        assert editor.post("/admin/queue/retry/sent").status_code == 422
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            assert editor.post(f"/admin/queue/{row}/arrived", headers=headers).status_code == 403
        assert dump(newsletter) == held
    with operator_of(where, newsletter, Role.VIEWER, "vera") as viewer:
        page = viewer.get("/admin/queue")
        assert (ADA in page.text, "<button" in page.text.partition("<h2")[2]) == (True, False)
    assert dump(newsletter)["sends"] == before["sends"]
