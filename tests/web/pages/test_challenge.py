"""The challenge that a form asks for when many requests come, in a real browser and without one."""

import html
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from newsletter.audience.signed_links import TokenPurpose
from tests.audience.test_challenges import solved
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import links_of, path_of, row_of, serving, site_client, state_of, wait_for_messages


def after_one(newsletter: Newsletter, **more: int) -> None:
    newsletter.configure(web={"sign_ups": {"challenge_per_network": 1, "challenge_tries": 20_000, **more}})


def test_the_script_of_the_page_solves_it(newsletter: Newsletter, mail: Mailbox, reader: str, browser: Browser) -> None:
    newsletter.run("subscribers", "list")
    after_one(newsletter, challenge_tries=2_000_000)
    with serving(newsletter) as where, site_client(where) as client:
        client.post("/subscribe", data={"email": "first@example.org"})
        page = browser.new_page(viewport={"width": 375, "height": 800})
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{where}/subscribe")
        page.get_by_label("Your email address").fill("bob@example.org")
        page.get_by_label("What are your interests?").fill("Pareto fronts")
        page.get_by_label("robot learning").check()
        page.get_by_role("button", name="Subscribe").click()
        expect(page.get_by_role("status")).to_have_text("Checking that you are not a robot …")
        expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox", timeout=60_000)
        # The form for a new link, too.
        page.goto(f"{where}/links")
        page.get_by_label("Your email address").fill(reader)
        page.get_by_role("button", name="Email me a new link").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox", timeout=60_000)
        page.close()
        assert said == []
        assert {str(one["To"]) for one in wait_for_messages(mail, 3)} == {
            "first@example.org",
            "bob@example.org",
            reader,
        }
        assert state_of(newsletter, "bob@example.org") == "pending"


def test_without_script_the_page_says_what_to_do(newsletter: Newsletter, mail: Mailbox, browser: Browser) -> None:
    after_one(newsletter)
    with serving(newsletter) as where, site_client(where) as client:
        client.post("/subscribe", data={"email": "first@example.org"})
        page = browser.new_page(viewport={"width": 375, "height": 800}, java_script_enabled=False)
        page.goto(f"{where}/subscribe")
        page.get_by_label("Your email address").fill("bob@example.org")
        page.get_by_role("button", name="Subscribe").click()
        expect(page.get_by_text("turn on JavaScript and try again")).to_be_visible()
        expect(page.get_by_label("Your email address")).to_have_value("bob@example.org")
        page.close()
        wait_for_messages(mail, 1)
    assert mail.recipients() == ["first@example.org"]


def test_the_page_is_for_everybody(newsletter: Newsletter, mail: Mailbox, browser: Browser) -> None:
    after_one(newsletter, challenge_tries=10_000_000)
    with serving(newsletter) as where, site_client(where) as client:
        client.post("/subscribe", data={"email": "first@example.org"})
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 375, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
            page.route("**/challenge.js", lambda route: route.abort())  # It stays as it is.
            page.goto(f"{where}/links")
            page.get_by_label("Your email address").fill("bob@example.org")
            page.get_by_role("button", name="Email me a new link").click()
            expect(page.get_by_text("We are getting many requests right now.")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") == 375
            assert [one["id"] for one in Axe().run(page).response["violations"]] == []
            page.close()


@pytest.mark.both_stores
def test_a_solution_is_taken_once_and_only_where_it_is_needed(newsletter: Newsletter, mail: Mailbox) -> None:
    after_one(newsletter, per_network=4, challenge_tries=100)
    with (
        serving(newsletter) as where,
        serving(newsletter) as other,
        site_client(where) as client,
        site_client(other) as second,
    ):
        assert client.post("/subscribe", data={"email": "first@example.org"}).status_code == 303
        asked = client.post("/subscribe", data={"email": "<b>@example.org", "interests": "<b>"})
        assert asked.status_code == 422
        asked = client.post("/subscribe", data={"email": "bob@example.org", "interests": "<b>"})
        assert (asked.status_code, "&lt;b&gt;</textarea>" in asked.text) == (429, True)
        found = re.search(r'data-challenge="([^"]+)"', asked.text)
        assert found is not None
        solution = solved(json.loads(html.unescape(found[1])))
        for wrong in ("", "x", solution[:-8]):
            answer = client.post("/subscribe", data={"email": "bob@example.org", "altcha": wrong})
            assert answer.status_code == 429
        assert client.post("/subscribe", data={"email": "bob@example.org", "altcha": solution}).status_code == 303
        for one in (client, second):
            for path in ("/subscribe", "/links"):
                answer = one.post(path, data={"email": "eve@example.org", "altcha": solution})
                assert (answer.status_code, "data-challenge" in answer.text) == (429, True)
        # Who has no page to solve it on comes back later.
        api = client.post("/api/subscribe", json={"email": "eve@example.org"})
        assert (api.status_code, "error" in api.json()) == (429, True)
        # From elsewhere nothing is asked.
        elsewhere = {"X-Forwarded-For": "198.51.100.7"}
        assert client.post("/subscribe", data={"email": "joe@example.org"}, headers=elsewhere).status_code == 303
        wait_for_messages(mail, 3)
    assert sorted(mail.recipients()) == ["bob@example.org", "first@example.org", "joe@example.org"]


def test_who_holds_a_link_solves_none(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.run("subscribers", "list")
    after_one(newsletter)
    page = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, reader)))
    with serving(newsletter) as where, site_client(where) as client:
        client.post("/subscribe", data={"email": "first@example.org"})
        assert client.post(f"{page}/export").status_code == 200
        wait_for_messages(mail, 2)
