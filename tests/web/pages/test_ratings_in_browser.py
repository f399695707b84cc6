"""Alerts, ratings and the ten papers in a real browser on a phone, with and without script."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import feedback_of, links_of, path_of, row_of, serving
from tests.web.pages.test_papers import WICKED, take_in
from tests.web.pages.test_preferences import kept
from tests.web.pages.test_saved import fine

ADA = "ada@example.org"

expect.set_options(timeout=30_000)


@pytest.fixture
def phone(browser: Browser) -> Iterator[Callable[[bool, str], Page]]:
    """Opens a page; an error of a script is a fault. A form with an error is answered with 422, which browsers log."""
    opened: list[Page] = []
    said: list[str] = []

    def start(script: bool, scheme: str) -> Page:
        page = browser.new_page(viewport={"width": 375, "height": 800}, java_script_enabled=script, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text) if "status of 422" not in message.text else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        opened.append(page)
        return page

    yield start
    for page in opened:
        page.close()
    assert said == []


@pytest.mark.system
@pytest.mark.parametrize("script", [False, True])
def test_a_reader_adds_an_alert_rates_a_paper_and_ten(
    newsletter: Newsletter, phone: Callable[[bool, str], Page], script: bool
) -> None:
    newsletter.with_sample()
    take_in(newsletter, {"title": WICKED, "arxiv_id": "2511.00001", "authors": ["B" * 190]})
    newsletter.subscriber("ada", f"email: {ADA}\n")
    newsletter.run("subscribers", "list")
    page = phone(script, "dark" if script else "light")
    heading, status = page.get_by_role("heading", level=1), page.get_by_role("status")
    with serving(newsletter) as where:
        page.goto(where + path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, ADA))))
        block = page.get_by_role("group", name="Another alert").first
        block.get_by_label("Show me").select_option("Papers by an author")
        block.get_by_label("Query, name, DOI or arXiv id").fill("Ada Lovelace")
        block.get_by_label("ORCID iD").fill("0000-0002-1825-0098")
        block.get_by_label("Show even if hidden").check()
        # With script, another empty block has come for the next one.
        expect(page.get_by_role("group", name="Another alert")).to_have_count(2 if script else 1)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("its check digit is wrong")
        fine(page, script)
        page.get_by_role("group", name="Alert 1").get_by_label("ORCID iD").fill("0000-0002-1825-0097")
        page.get_by_label("Never show papers by these authors").fill("Charles Babbage")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(status).to_contain_text("Saved.")
        now = kept(newsletter)
        assert now["alerts"] == [{"author": {"name": "Ada Lovelace", "orcid": "0000-0002-1825-0097"}, "always": True}]
        assert now["never_authors"] == ["Charles Babbage"]

        page.get_by_role("link", name="Your ratings").click()
        expect(heading).to_have_text("Your ratings")
        fine(page, script)
        page.get_by_label("DOI, arXiv id, URL or words of a title").fill("arXiv:2511.00001")
        page.get_by_role("button", name="Find").click()
        fine(page, script)
        page.get_by_role("button", name="More like this").click()
        expect(status).to_have_text("Saved.")
        expect(page.get_by_text("Rated: more like this.")).to_be_visible()
        page.get_by_role("link", name="Your ratings").click()
        assert [one[:2] for one in feedback_of(newsletter, ADA)] == [(WICKED, "more")]
        for again in (True, False):
            page.get_by_role("button", name="Undo").click()
            expect(status).to_contain_text("Removed: ")
            assert feedback_of(newsletter, ADA) == []
            fine(page, script)
            if again:
                page.get_by_role("button", name="Put it back").click()
                expect(page.get_by_text("counts 100%")).to_be_visible()

        page.get_by_label("DOI, arXiv id, URL or words of a title").fill("2511.00001\nPareto Domain Adaptation\nnone")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("checkbox")).to_have_count(2)
        fine(page, script)
        page.get_by_role("checkbox", name="Pareto Domain Adaptation").uncheck()
        page.get_by_role("button", name="Less like these").click()
        assert [one[:2] for one in feedback_of(newsletter, ADA)] == [(WICKED, "less")]

        page.get_by_role("link", name="Rate ten papers").click()
        expect(heading).to_have_text("Rate ten papers")
        fine(page, script)
        groups = page.get_by_role("radiogroup")
        expect(groups).to_have_count(10)
        for place in range(9):
            groups.nth(place).get_by_label("Interesting" if place % 2 else "Not for me").check()
        page.get_by_role("button", name="Save ratings").click()
        expect(heading).to_have_text("Your digest now")
        expect(status).to_contain_text("Saved: you rated ")
        expect(page.locator(".ranked li").first).to_be_visible()
        fine(page, script)
        page.get_by_role("link", name="Rate ten more").click()
        expect(groups).to_have_count(10)
    assert len(feedback_of(newsletter, ADA)) == 10
