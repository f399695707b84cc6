"""The overview of the admin site: what it shows."""

import socket

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import serving, session_of

Served = tuple[str, Newsletter]


@pytest.mark.both_stores
def test_it_shows_how_the_newsletter_is_doing_without_script_and_on_a_phone(
    mail: Mailbox, reader: str, served: Served, browser: Browser
) -> None:
    _, newsletter = served
    newsletter.configure(sources={"gone": {"kind": "file", "path": "nonesuch.jsonl"}})
    newsletter.with_sample().run("send")
    newsletter.run("fetch", code=1)
    with serving(newsletter) as fresh:
        page = browser.new_page(java_script_enabled=False, viewport={"width": 375, "height": 800})
        page.context.add_cookies([{"name": "operator", "value": session_of(newsletter)["operator"], "url": fresh}])
        page.goto(f"{fresh}/admin")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        expect(page.locator(".tiles li").first).to_have_text("1 active subscribers")
        rows = page.get_by_role("region", name="Sends by state, each edition: the numbers")
        page.get_by_text("Show the numbers", exact=True).nth(1).click()
        expect(rows.get_by_role("row").nth(1)).to_contain_text("2025-11-28")
        expect(page.locator("#plot-editions ~ .drawn .of-sent")).to_have_count(1)
        expect(page.locator(".why")).to_contain_text("nonesuch.jsonl")
        at_work = page.get_by_role("region", name="Workers").get_by_role("row").nth(1)
        expect(at_work.get_by_role("rowheader")).to_contain_text(f"{socket.gethostname()}, process ")
        expect(at_work.get_by_role("cell").first).to_have_text("1")
        page.close()


@pytest.mark.both_stores
def test_subscribers_are_counted_each_night(mail: Mailbox, reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.run("run", "--once", now="2025-11-26T03:00")
    newsletter.run("unsubscribe", reader, now="2025-11-27T03:00")
    newsletter.run("run", "--once", now="2025-11-27T04:00")
    page = httpx.get(f"{where}/admin", cookies=session_of(newsletter)).text
    for told in ("2025-11-26: 1 active", "2025-11-27: 1 unsubscribed", "2025-11-28: 1 unsubscribed"):
        assert f"<title>{told}</title>" in page


def test_it_shows_how_far_an_edition_is(mail: Mailbox, reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample().run("subscribe", "grace@example.org", "--no-file", "--interest", "robots")
    cookies = session_of(newsletter)
    # The first one is taken, and then the server wants no more of us.
    mail.on_sender = lambda address: "550 5.7.1 you are blocked" if mail.accepted else None
    newsletter.configure(smtp={"sessions": 1})
    newsletter.run("send", code=1)
    page = httpx.get(f"{where}/admin", cookies=cookies).text
    assert "Edition of 2025-11-28: 1 settled of 2 planned so far" in page


@pytest.mark.both_stores
def test_it_names_who_failed_and_why_nothing_goes(mail: Mailbox, reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample()
    mail.on_recipient = lambda address: "550 5.1.1 no such user" if address == reader else None
    newsletter.run("send", code=1)
    newsletter.run("subscribe", "bob@example.org", "-i", "robustness")
    newsletter.run("send", now="2025-11-28T09:01")
    newsletter.run("subscribe", "cy@example.org", "-i", "robustness")
    newsletter.configure(delivery={"circuit_breaker": {"in_a_row": 2}})
    mail.on_recipient = lambda address: "554 5.7.1 relay access denied"
    newsletter.run("subscribe", "di@example.org", "-i", "robustness")
    newsletter.run("send", code=1, now="2025-11-28T09:05")
    newsletter.run("pause", "--reason", "the relay refuses us")
    page = httpx.get(f"{where}/admin", cookies=session_of(newsletter)).text
    assert "All sending is paused since" in page
    assert "the relay refuses us" in page
    assert "Account smtp is set aside since" in page
    assert "554 5.7.1 relay access denied" in page
    assert "Failed in the last seven days" in page
    assert f">{reader}</a></th>" in page
    assert "550 5.1.1 no such user" in page
    token = newsletter.run("token", "create", "api").out.strip()
    shown = httpx.get(f"{where}/api/stats", headers={"Authorization": f"Bearer {token}"}).json()
    assert shown["queue"]["pause"]["reason"] == "the relay refuses us"
    assert [one["account"] for one in shown["queue"]["set_aside"]] == ["smtp"]
    metrics = httpx.get(f"{where}/metrics").text
    assert "newsletter_paused 1.0" in metrics
    assert 'newsletter_account_set_aside{account="smtp"} 1.0' in metrics
