"""Messages for those who read by ear, by large letters or with little contrast: axe-core in a real browser."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.helpers.newsletter import Newsletter

BEST_PRACTICE = {"landmark-one-main", "region", "page-has-heading-one"}
"""Rules for pages of a site, not of WCAG: a mail program puts its own landmarks around a message."""


@pytest.mark.parametrize("layout", ["full", "compact", "titles"])
def test_axe_finds_nothing_in_a_message(newsletter: Newsletter, browser: Browser, layout: str) -> None:
    newsletter.with_sample()
    newsletter.configure(digest={"layout": layout})
    newsletter.subscriber("ada", "email: ada@example.org\npapers: 10\ninterests: [energy-based models]\n")
    html = newsletter.run("preview", "ada@example.org", "--format", "html").out
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme, offline=True)
        page.set_content(html)
        found = Axe().run(page).response
        wrong = [
            f"{scheme}: {one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found["violations"]
            if one["id"] not in BEST_PRACTICE
        ]
        assert wrong == []
        # It did look: contrast is among what it found right.
        assert "color-contrast" in {one["id"] for one in found["passes"]}
