"""An operator's day in a real browser, by keyboard alone: with script on a phone, and without script on a screen."""

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from newsletter.model import SendState
from tests.helpers.admin import add_send, add_subscriber, audited, send_state
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import PASSWORD, add_operator, serving, state_of

ADA = "ada@example.org"
SHOWN = "one => { const style = getComputedStyle(one); return style.outlineStyle !== 'none' && style.outlineWidth; }"

expect.set_options(timeout=30_000)


def reach(page: Page, wanted: Locator) -> None:
    """Go to something by the Tab key, from the start of the page; that it is there can be seen."""
    for _ in range(150):
        if wanted.evaluate("one => one === document.activeElement"):
            assert wanted.evaluate(SHOWN) not in (False, "0px"), wanted
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not reach {wanted}")


def press(page: Page, name: str, role: str = "button") -> None:
    reach(page, page.get_by_role(role, name=name, exact=True).first)
    page.keyboard.press("Enter")


def write(page: Page, label: str, words: str) -> None:
    reach(page, page.get_by_label(label))
    page.keyboard.press("Control+a")
    page.keyboard.type(words)


def says(page: Page, words: str) -> None:
    expect(page.get_by_role("status")).to_have_text(words)


@pytest.mark.parametrize(("script", "width", "scheme"), [(True, 375, "light"), (False, 1200, "dark")])
def test_a_day_by_keyboard(newsletter: Newsletter, browser: Browser, script: bool, width: int, scheme) -> None:
    add_operator(newsletter)
    reader = add_subscriber(newsletter, ADA, "Ada")
    add_subscriber(newsletter, "bob@example.org")
    unsure = add_send(newsletter, reader, SendState.UNSURE, reason="the process ended")
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script)
    with serving(newsletter) as where:
        page.goto(f"{where}/admin/subscribers")
        write(page, "Name", "ada")
        write(page, "Password", PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Subscribers")
        write(page, "Address or name", "ada")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="bob@example.org")).to_have_count(0)
        press(page, ADA, "link")
        write(page, "Tags, separated by commas", "vip")
        press(page, "Save tags")
        says(page, "The tags were saved.")
        press(page, "Pause")
        says(page, "The subscriber is paused.")
        press(page, "End the pause")
        says(page, "The pause is over.")
        write(page, "Why is this address blocked?", "asked on the phone")
        press(page, "Block")
        says(page, "The subscriber is blocked and gets no more mail.")
        expect(page.get_by_text("Blocked (asked on the phone), by ada.")).to_be_visible()
        assert state_of(newsletter, ADA) == "unsubscribed"

        press(page, "Queue", "link")
        press(page, f"It arrived: {ADA}")
        says(page, "The send counts as sent.")
        write(page, "Reason", "the template is wrong")
        press(page, "Pause all sending")
        says(page, "All sending is paused.")
        expect(page.get_by_text("the template is wrong")).to_be_visible()
        press(page, "Resume sending")
        says(page, "Sending goes on.")

        press(page, "Templates", "link")
        reach(page, page.get_by_label("Part"))
        page.keyboard.press("t")
        press(page, "Show")
        message = page.frame_locator("iframe").locator("body")
        expect(message).to_contain_text("SAMPLE PAPERS")
        # Otherwise the text would have the colours of the frame, which is white in the dark too.
        expect(message).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        press(page, "Log out")
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in to the admin site")
        page.go_back()
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in to the admin site")
    page.close()
    assert send_state(newsletter, unsure) == "sent"
    assert [one[1] for one in audited(newsletter)][-6:] == [
        "subscriber.pause",
        "subscriber.resume",
        "subscriber.block",
        "send.resolve",
        "sending.pause",
        "sending.resume",
    ]
