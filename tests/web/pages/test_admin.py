"""The operator's page: who gets to it, what it shows, and that everyone can read it."""

import socket

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from sqlalchemy import func, select

from newsletter.store import open_store, reading, schema
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import serving

Served = tuple[str, Newsletter]


def token_of(newsletter: Newsletter, name: str = "ada") -> str:
    return newsletter.run("token", "create", name).out.strip()


def login(where: str, token: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{where}/operator/login", data={"token": token}, headers=headers)


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
        page.goto(f"{fresh}/operator")
        page.get_by_label("Token").fill(token_of(newsletter))
        page.get_by_role("button", name="Log in").press("Enter")
        expect(page.get_by_role("heading", name="Status")).to_be_visible()
        expect(page.locator(".tiles li").first).to_have_text("1 active subscribers")
        rows = page.get_by_role("region", name="Sends by state, each edition: the numbers")
        page.get_by_text("Show the numbers", exact=True).nth(1).click()
        expect(rows.get_by_role("row").nth(1)).to_contain_text("2025-11-28")
        expect(page.locator("#plot-editions ~ .drawn .of-sent")).to_have_count(1)
        expect(page.locator(".why")).to_contain_text("nonesuch.jsonl")
        at_work = page.get_by_role("region", name="Workers").get_by_role("row").nth(1)
        expect(at_work.get_by_role("rowheader")).to_contain_text(f"{socket.gethostname()}, process ")
        expect(at_work.get_by_role("cell").first).to_have_text("1")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        page.goto(f"{fresh}/operator")
        expect(page.get_by_label("Token")).to_be_visible()
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_on_it_shuts_anybody_out(mail: Mailbox, reader: str, served: Served, browser: Browser, scheme) -> None:
    where, newsletter = served
    newsletter.with_sample().run("send")
    said: list[str] = []
    page = browser.new_page(color_scheme=scheme, viewport={"width": 375, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{where}/operator")
    found = [*Axe().run(page, options={"iframes": False}).response["violations"]]
    page.get_by_label("Token").fill(token_of(newsletter))
    page.get_by_role("button").click()
    page.wait_for_url("**/operator")
    for shut in page.locator("details").all():
        shut.locator("summary").click()
    found += Axe().run(page).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert said == []
    page.close()


@pytest.mark.both_stores
def test_a_session_ends_with_its_time_and_with_its_token(served: Served) -> None:
    where, newsletter = served
    token = token_of(newsletter)
    cookies = login(where, token).cookies
    assert httpx.get(f"{where}/operator", cookies=cookies).status_code == 200
    for now, status in (("2025-11-28T20:59", 200), ("2025-11-28T21:01", 303)):
        with serving(newsletter, now) as later:
            assert httpx.get(f"{later}/operator", cookies=dict(cookies)).status_code == status
    newsletter.run("token", "revoke", "ada")
    token_of(newsletter, "grace")
    assert httpx.get(f"{where}/operator", cookies=cookies).status_code == 303


@pytest.mark.both_stores
def test_a_cookie_is_worth_nothing_once_somebody_logged_out(served: Served) -> None:
    where, newsletter = served
    token, own = token_of(newsletter), {"Origin": where}
    mine, another = (dict(login(where, token).cookies) for _ in range(2))
    assert mine != another
    ended = httpx.post(f"{where}/operator/logout", cookies=mine, headers=own)
    assert 'operator=""' in ended.headers["Set-Cookie"]
    # A copy of it, as one that was stolen, is no session any more; that of the other browser is.
    assert httpx.get(f"{where}/operator", cookies=mine).status_code == 303
    assert httpx.get(f"{where}/operator", cookies=another).status_code == 200
    # Whoever logs in again has a new cookie, and the one before ends.
    again = httpx.post(f"{where}/operator/login", data={"token": token}, cookies=another, headers=own)
    assert again.cookies["operator"] != another["operator"]
    assert httpx.get(f"{where}/operator", cookies=another).status_code == 303
    # A session that is over is kept no longer than until the next night.
    for now, number in (("2025-11-28T20:59", 1), ("2025-11-28T21:01", 0)):
        newsletter.run("run", "--once", now=now)
        engine = open_store(newsletter.config.store_url)
        with reading(engine) as connection:
            assert connection.execute(select(func.count()).select_from(schema.operator_sessions)).scalar() == number
        engine.dispose()


def test_every_form_of_ours_says_where_it_stands(served: Served, browser: Browser) -> None:
    where, newsletter = served
    page = browser.new_page()
    sent = []
    page.on("request", lambda request: sent.append(request.all_headers()) if request.method == "POST" else None)
    page.goto(f"{where}/operator/login")
    page.get_by_label("Token").fill(token_of(newsletter))
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert [(headers["origin"], headers["sec-fetch-site"]) for headers in sent] == [(where, "same-origin")] * 2
    page.close()


@pytest.mark.both_stores
def test_subscribers_are_counted_each_night(mail: Mailbox, reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.run("run", "--once", now="2025-11-26T03:00")
    newsletter.run("unsubscribe", reader, now="2025-11-27T03:00")
    newsletter.run("run", "--once", now="2025-11-27T04:00")
    page = httpx.get(f"{where}/operator", cookies=login(where, token_of(newsletter)).cookies).text
    for told in ("2025-11-26: 1 active", "2025-11-27: 1 unsubscribed", "2025-11-28: 1 unsubscribed"):
        assert f"<title>{told}</title>" in page


def test_it_shows_how_far_an_edition_is(mail: Mailbox, reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample().run("subscribe", "grace@example.org", "--no-file", "--interest", "robots")
    cookies = login(where, token_of(newsletter)).cookies
    # The first one is taken, and then the server wants no more of us.
    mail.on_sender = lambda address: "550 5.7.1 you are blocked" if mail.accepted else None
    newsletter.configure(smtp={"sessions": 1})
    newsletter.run("send", code=1)
    page = httpx.get(f"{where}/operator", cookies=cookies).text
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
    session = httpx.Client(base_url=where)
    session.post("/operator/login", data={"token": token_of(newsletter)})
    page = session.get("/operator").text
    assert "All sending is paused since" in page
    assert "the relay refuses us" in page
    assert "Account smtp is set aside since" in page
    assert "554 5.7.1 relay access denied" in page
    assert "Failed in the last seven days" in page
    assert f'<th scope="row">{reader}</th>' in page
    assert "550 5.1.1 no such user" in page
    shown = session.get("/api/stats", headers={"Authorization": f"Bearer {token_of(newsletter, 'api')}"}).json()
    assert shown["queue"]["pause"]["reason"] == "the relay refuses us"
    assert [one["account"] for one in shown["queue"]["set_aside"]] == ["smtp"]
    metrics = httpx.get(f"{where}/metrics").text
    assert "newsletter_paused 1.0" in metrics
    assert 'newsletter_account_set_aside{account="smtp"} 1.0' in metrics
