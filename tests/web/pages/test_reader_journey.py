"""A reader's whole way in a real browser, with letters from a real mail server: by keyboard alone, without script."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import first_link, path_of, serving, state_of, wait_for_messages

BOB = "bob@example.org"

expect.set_options(timeout=30_000)


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page on a phone; what its console says is a fault."""
    opened: list[Page] = []
    said: list[str] = []

    def start(script: bool = True) -> Page:
        page = browser.new_page(
            viewport={"width": 375, "height": 800}, timezone_id="Europe/Berlin", java_script_enabled=script
        )
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        opened.append(page)
        return page

    yield start
    for page in opened:
        page.close()
    assert said == []


def fine(page: Page) -> None:
    """Nothing is wider than the phone, and axe-core finds nothing."""
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []


def reach(page: Page, wanted: Locator) -> None:
    """Go to something by the Tab key."""
    for _ in range(120):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not reach {wanted}")


def press(page: Page, name: str) -> None:
    reach(page, page.get_by_role("button", name=name, exact=True))
    page.keyboard.press("Enter")


def text_of(mail: Mailbox, number: int) -> str:
    body = wait_for_messages(mail, number)[-1].get_body(["plain"])
    assert body is not None
    return str(body.get_content())


def linked(text: str, words: str) -> str:
    found = re.search(rf"{words}: (https\S+)", text)
    assert found is not None
    return path_of(found[1])


def test_the_whole_way_by_keyboard(newsletter: Newsletter, mail: Mailbox, look: Callable[..., Page]) -> None:
    newsletter.with_sample()
    page = look()
    with serving(newsletter) as where:
        page.goto(f"{where}/subscribe")
        expect(page.get_by_label("Your time zone")).to_have_value("Europe/Berlin")
        fine(page)
        reach(page, page.get_by_label("Your email address"))
        page.keyboard.type(BOB)
        reach(page, page.get_by_label("What are your interests?"))
        page.keyboard.type("energy-based models")
        press(page, "Subscribe")
        expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
        fine(page)

        page.goto(where + first_link(wait_for_messages(mail, 1)[0]))
        fine(page)
        press(page, "Confirm")
        expect(page.get_by_text("Welcome!")).to_be_visible()
        fine(page)
        found = page.locator(".ranked .title")
        expect(found.first).to_contain_text("Energy-Based")
        before = found.all_inner_texts()
        reach(page, page.get_by_label("Name", exact=True).first)
        page.keyboard.press("Control+a")
        page.keyboard.type("Several goals")
        reach(page, page.get_by_label("Description, in your own words").first)
        page.keyboard.press("Control+a")
        page.keyboard.type("multi-objective optimization, Pareto fronts")
        expect(found.first).to_contain_text("Pareto")
        assert found.all_inner_texts() != before
        press(page, "Save")
        expect(page.get_by_text("Saved.")).to_be_visible()

        newsletter.run("send", "--due")
        digest = text_of(mail, 2)
        assert "This is your first digest" in " ".join(digest.split())
        assert "SEVERAL GOALS" in digest
        page.goto(where + linked(digest, "Less like this"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Less like this?")
        fine(page)
        button = page.get_by_role("button", name="Less like this").bounding_box()
        assert button is not None and button["height"] >= 44 and button["width"] >= 44
        press(page, "Less like this")
        expect(page.get_by_role("heading", level=1)).to_have_text("Noted: less like this")
        expect(page.locator(".words li").first).to_be_visible()
        fine(page)
        page.goto(where + linked(digest, "View in browser"))
        expect(page.get_by_role("heading", name="Several goals")).to_be_visible()

        page.goto(where + linked(digest, "Unsubscribe"))
        fine(page)
        press(page, "Unsubscribe")
        expect(page.get_by_role("heading", level=1)).to_have_text("You are unsubscribed")
        assert state_of(newsletter, BOB) == "unsubscribed"
        fine(page)
        press(page, "Undo")
        expect(page.get_by_text("Welcome back")).to_be_visible()
    assert state_of(newsletter, BOB) == "active"


def test_the_same_without_script(newsletter: Newsletter, mail: Mailbox, look: Callable[..., Page]) -> None:
    newsletter.with_sample()
    page = look(script=False)
    with serving(newsletter) as where:
        page.goto(f"{where}/subscribe")
        page.get_by_label("Your email address").fill(BOB)
        page.get_by_label("robot learning").check()
        page.get_by_role("button", name="Subscribe").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
        page.goto(where + first_link(wait_for_messages(mail, 1)[0]))
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_text("Welcome!")).to_be_visible()
        page.get_by_label("Description, in your own words").first.fill("Pareto fronts")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_text("Not saved yet.")).to_be_visible()
        expect(page.locator(".ranked .title").first).to_contain_text("Pareto")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        newsletter.run("send", "--due")
        digest = text_of(mail, 2)
        page.goto(where + linked(digest, "More like this"))
        page.get_by_role("button", name="More like this").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Noted: more like this")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Undone")).to_be_visible()
        page.goto(where + linked(digest, "Unsubscribe"))
        page.get_by_role("button", name="Unsubscribe").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("You are unsubscribed")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Welcome back")).to_be_visible()
    assert state_of(newsletter, BOB) == "active"


def test_an_account_by_keyboard(
    newsletter: Newsletter, mail: Mailbox, reader: str, look: Callable[..., Page], tmp_path: Path
) -> None:
    newsletter.with_sample().run("send")
    newsletter.configure(web={"sign_ups": {"per_address": 9, "per_address_per_day": 9}})
    new = "ada@new.example"
    page = look()
    with serving(newsletter) as where:
        page.goto(where + linked(text_of(mail, 1), "Change your interests"))
        fine(page)
        press(page, "Disable all links")
        expect(page.get_by_role("heading", level=1)).to_have_text("Your links are disabled")
        fine(page)
        page.get_by_role("link", name="Get a new link").click()
        fine(page)
        reach(page, page.get_by_label("Your email address"))
        page.keyboard.type(reader)
        press(page, "Email me a new link")
        expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
        fine(page)
        page.goto(where + first_link(wait_for_messages(mail, 3)[-1]))
        reach(page, page.get_by_label("New email address"))
        page.keyboard.type(new)
        press(page, "Change address")
        expect(page.get_by_text("to confirm your new address")).to_be_visible()
        fine(page)
        page.goto(where + first_link(wait_for_messages(mail, 4)[-1]))
        fine(page)
        press(page, "Change my address")
        expect(page.get_by_text("your digests will be sent to that address")).to_be_visible()
        page.goto(where + first_link(wait_for_messages(mail, 5)[-1]))
        press(page, "Use this address")
        expect(page.get_by_text("Your digests are now sent to this address.")).to_be_visible()
        press(page, "Export my data")
        expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
        page.goto(where + first_link(wait_for_messages(mail, 6)[-1]))
        fine(page)
        with page.expect_download() as download:
            press(page, "Download my data")
        download.value.save_as(tmp_path / "download")
        assert new in (tmp_path / "download").read_text()
    assert state_of(newsletter, new) == "active"
