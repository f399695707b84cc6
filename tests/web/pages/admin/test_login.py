"""The admin site: who gets to it, until when, and what each role may do."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from newsletter.model import Role, SendState
from newsletter.services.context import open_context
from newsletter.store import open_store, reading, schema
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.web.app import make_app
from newsletter.web.pages.admin.layout import SECTIONS
from tests.helpers.admin import add_send, add_subscriber
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.web import PASSWORD, add_operator, log_in, serving, session_of

Served = tuple[str, Newsletter]
ELSEWHERE = (
    "",
    "/papers",
    "/admin/login",
    "/administrator/",
    "//evil.example/admin/",
    "https://evil.example/admin/",
    "\\\\evil.example/admin/",
    "javascript:alert(1)//admin/",
    "http://[/admin/",
    "/admin/" + "x" * 2_000,
)
OPEN_TO_ALL = {"/admin/login", "/admin/logout", "/admin/accounts/password"}
"""Forms that every operator may post."""


def admin_routes(newsletter: Newsletter) -> Iterator[tuple[str, str]]:
    """Every method and path of the admin site, with 1 for each parameter."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    for route in iter_route_contexts(make_app(context).routes):
        if route.path.startswith("/admin"):
            for method in route.methods:
                yield method, re.sub(r"\{[^}]+\}", "1", route.path)
    context.engine.dispose()


def test_a_viewer_changes_nothing(served: Served) -> None:
    where, newsletter = served
    cookies, own = session_of(newsletter, "vera", Role.VIEWER), {"Origin": where}
    tried = 0
    for method, path in admin_routes(newsletter):
        if method not in ("GET", "HEAD") and path not in OPEN_TO_ALL:
            answer = httpx.request(method, where + path, cookies=cookies, headers=own)
            assert (answer.status_code, "has the role viewer" in answer.text) == (403, True), path
            assert httpx.request(method, where + path, headers=own).headers["Location"] == "/admin/login", path
            tried += 1
    assert tried >= 6


def test_only_an_owner_manages_accounts_and_tokens(served: Served) -> None:
    where, newsletter = served
    cookies = session_of(newsletter, "ed", Role.EDITOR)
    for method, path in admin_routes(newsletter):
        if path.startswith(("/admin/accounts", "/admin/tokens")) and path not in OPEN_TO_ALL | {"/admin/accounts"}:
            answer = httpx.request(method, where + path, cookies=cookies, headers={"Origin": where})
            assert answer.status_code == 403, path
    page = httpx.get(f"{where}/admin/accounts", cookies=cookies).text
    assert "Your password" in page
    assert "Add an operator" not in page
    assert "/admin/tokens" not in page


def test_no_page_is_shown_without_a_login(served: Served) -> None:
    where, newsletter = served
    for section in SECTIONS:
        answer = httpx.get(f"{where}/admin{section.path}")
        after = f"?next=%2Fadmin%2F{section.path[1:]}" if section.path else ""
        assert (answer.status_code, answer.headers["Location"], answer.text) == (303, f"/admin/login{after}", "")
        shown = httpx.get(f"{where}/admin{section.path}", cookies=session_of(newsletter))
        assert (shown.status_code, shown.headers["Cache-Control"]) == (200, "no-store")
    assert httpx.get(f"{where}/operator").headers["Location"] == "/admin"


def test_a_login_leads_to_the_page_that_was_asked_for_and_nowhere_else(served: Served) -> None:
    where, newsletter = served
    cookies, asked = session_of(newsletter), "/admin/subscribers?q=a%26b&state=active"
    answer = httpx.get(where + asked)
    assert answer.headers["Location"] == "/admin/login?next=%2Fadmin%2Fsubscribers%3Fq%3Da%2526b%26state%3Dactive"
    page = httpx.get(where + answer.headers["Location"])
    assert 'name="next" value="/admin/subscribers?q=a%26b&amp;state=active"' in page.text
    for wanted, leads in (
        (asked, asked),
        ("/admin/accounts/1", "/admin/accounts/1"),
        ("/admin/\r\nSet-Cookie: a=b", "/admin/%0D%0ASet-Cookie:%20a=b"),
        *((one, "/admin") for one in ELSEWHERE),
    ):
        # With a session the login leads on at once, by the same rule as after the form.
        leading = httpx.get(f"{where}/admin/login", params={"next": wanted}, cookies=cookies)
        assert (leading.status_code, leading.headers["Location"]) == (303, leads), wanted
    add_operator(newsletter, "eve")
    for wanted, leads in ((asked, asked), ("//evil.example/admin/", "/admin")):
        form = {"name": "eve", "password": PASSWORD, "next": wanted}
        assert httpx.post(f"{where}/admin/login", data=form).headers["Location"] == leads


def test_a_login_never_says_whether_the_name_exists(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter)
    answers = [log_in(where, "ada", "wrong"), log_in(where, "eve", "wrong"), log_in(where, "eve", PASSWORD)]
    assert {one.status_code for one in answers} == {403}
    assert len({one.text.replace('"eve"', '"ada"') for one in answers}) == 1
    assert log_in(where, " ADA ").status_code == 303


def test_guesses_at_one_name_are_few_wherever_they_come_from(newsletter: Newsletter) -> None:
    newsletter.configure(web={"trusted_proxies": ["127.0.0.1"]})
    names = ("eve", "EVE", "ｅｖｅ")
    with serving(newsletter) as where, httpx.Client(base_url=where) as client:
        for number in range(30):
            headers = {"X-Forwarded-For": f"192.0.{number}.1"}
            form = {"name": names[number % 3], "password": "guess"}
            assert client.post("/admin/login", data=form, headers=headers).status_code == 403
        headers = {"X-Forwarded-For": "192.0.31.1"}
        for name, status in (("eve", 429), ("ada", 403)):
            form = {"name": name, "password": "guess"}
            assert client.post("/admin/login", data=form, headers=headers).status_code == status


def test_logins_that_succeed_are_not_counted(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter)
    assert {log_in(where).status_code for _ in range(11)} == {303}


@pytest.mark.both_stores
def test_a_session_ends_with_its_time_and_with_its_account(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter)
    session_of(newsletter, "grace")
    cookies = dict(log_in(where).cookies)
    assert httpx.get(f"{where}/admin", cookies=cookies).status_code == 200
    for now, status in (("2025-11-28T20:59", 200), ("2025-11-28T21:01", 303)):
        with serving(newsletter, now) as later:
            assert httpx.get(f"{later}/admin", cookies=cookies).status_code == status
    newsletter.run("operators", "remove", "ada")
    assert httpx.get(f"{where}/admin", cookies=cookies).status_code == 303


@pytest.mark.both_stores
def test_a_cookie_is_worth_nothing_once_somebody_logged_out(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter)
    own = {"Origin": where}
    mine, another = (dict(log_in(where).cookies) for _ in range(2))
    assert mine != another
    ended = httpx.post(f"{where}/admin/logout", cookies=mine, headers=own)
    assert 'operator=""' in ended.headers["Set-Cookie"]
    # A copy of it, as one that was stolen, is no session any more; that of the other browser is.
    assert httpx.get(f"{where}/admin", cookies=mine).status_code == 303
    assert httpx.get(f"{where}/admin", cookies=another).status_code == 200
    # Whoever logs in again has a new cookie, and the one before ends.
    form = {"name": "ada", "password": PASSWORD}
    again = httpx.post(f"{where}/admin/login", data=form, cookies=another, headers=own)
    assert again.cookies["operator"] != another["operator"]
    assert httpx.get(f"{where}/admin", cookies=another).status_code == 303
    # A session that is over is kept no longer than until the next night.
    for now, number in (("2025-11-28T20:59", 1), ("2025-11-28T21:01", 0)):
        newsletter.run("run", "--once", now=now)
        engine = open_store(newsletter.config.store_url)
        with reading(engine) as connection:
            assert connection.execute(select(func.count()).select_from(schema.operator_sessions)).scalar() == number
        engine.dispose()


def test_a_hash_of_weaker_parameters_is_replaced_at_the_next_login(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter)
    from argon2 import PasswordHasher

    weak = PasswordHasher(memory_cost=64, time_cost=1, parallelism=1).hash(PASSWORD)
    with closing(sqlite3.connect(newsletter.store)) as store, store:
        store.execute("UPDATE operators SET password_hash = ?", (weak,))
    assert log_in(where).status_code == 303
    with closing(sqlite3.connect(newsletter.store)) as store:
        ((kept,),) = store.execute("SELECT password_hash FROM operators")
    assert "m=19456,t=2,p=1" in kept
    assert log_in(where).status_code == 303


def test_every_form_of_ours_says_where_it_stands_and_needs_no_script(served: Served, browser: Browser) -> None:
    where, newsletter = served
    add_operator(newsletter)
    page = browser.new_page(java_script_enabled=False)
    sent = []
    page.on("request", lambda request: sent.append(request.all_headers()) if request.method == "POST" else None)
    page.goto(f"{where}/admin")
    page.get_by_label("Name").fill("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.get_by_role("button", name="Log out").press("Enter")
    expect(page.get_by_role("heading", name="Log in to the admin site")).to_be_visible()
    page.goto(f"{where}/admin")
    expect(page.get_by_label("Password")).to_be_visible()
    assert [(headers["origin"], headers["sec-fetch-site"]) for headers in sent] == [(where, "same-origin")] * 2
    page.close()


@pytest.mark.parametrize(("scheme", "other", "width"), [("light", "dark", 375), ("dark", "light", 1200)])
def test_nothing_on_it_shuts_anybody_out(served: Served, browser: Browser, scheme, other, width: int) -> None:
    where, newsletter = served
    newsletter.run("token", "create", "a program with a long name that somebody wrote down here")
    reader = with_sends_of_all_states(newsletter)
    cookie = session_of(newsletter)["operator"]
    said: list[str] = []
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    of_subscribers = [f"/subscribers/{reader}", "/subscribers/new", "/subscribers?q=nobody"]
    others = ["/accounts/1", "/accounts?done=added", "/templates/source/partials/footer.mjml"]
    for path in ["/login", *(section.path for section in SECTIONS), *of_subscribers, *others]:
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{where}/admin{path}")
        page.context.add_cookies([{"name": "operator", "value": cookie, "url": where}])
        for shut in page.locator("details").all():
            shut.locator("summary").click()
        assert faults(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
        if path in (f"/subscribers/{reader}", "/queue", "/sources"):
            page.emulate_media(color_scheme=other)
            assert faults(page, {"runOnly": ["color-contrast"]}) == [], path
    assert said == []
    page.close()


def faults(page: Page, options: dict[str, list[str]] | None = None) -> list[tuple[str, list[object]]]:
    """What axe-core finds on a page."""
    found = Axe().run(page, options=options).response["violations"]
    return [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]


def with_sends_of_all_states(newsletter: Newsletter) -> int:
    """Add subscribers whose sends have all states, and a pause of all sending; returns the row of one."""
    long = "a-name-of-somebody-that-is-as-long-as-names-may-be"
    reader = add_subscriber(newsletter, f"{long}@{long}.department.university.example", f"{long} " * 3, labels=["vip"])
    reply = f"550 5.1.1 <{long}@department.university.example>: Recipient address rejected: {'x' * 80}"
    later = {"smtp_reply": reply, "reason": "the server refused it", "not_before": parse_moment("2025-11-28T10:00")}
    for day, state in enumerate(SendState, 20):
        add_send(newsletter, reader, state, edition=date(2025, 11, day + 1), **later)
    newsletter.run("pause", "--reason", "the template " + "is-wrong" * 20)
    return reader
