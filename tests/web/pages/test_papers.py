"""The pages of the papers, over HTTP and in a real browser."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import unquote

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from newsletter.model import EventKind, Notice
from newsletter.store import open_store, writing
from newsletter.store.paper_upsert import upsert
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import serving

Served = tuple[str, Newsletter]

DOI = "10.1002/(sici)1097-4571/../x?y=1&z#ab"
WICKED = '<script>alert(1)</script> & "quotes" in $\\alpha^2$-looms'


class Links(HTMLParser):
    """The links of a page, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "href"]


def take_in(newsletter: Newsletter, *papers: dict) -> None:
    (newsletter.folder / "more.jsonl").write_text("\n".join(map(json.dumps, papers)))
    newsletter.run("import", "more.jsonl")


def of_days(newsletter: Newsletter) -> None:
    take_in(
        newsletter,
        *({"title": f"Paper {number} of a long day", "listed_on": "2025-11-20"} for number in range(60)),
        {"title": "The one talked about", "listed_on": "2025-11-20", "upvotes": 9, "comments": 2},
        {"title": "Of another week", "listed_on": "2025-11-12", "upvotes": 3},
        {"title": "Published alone", "published": "2025-10-31"},
        {"title": "Seen alone"},
    )


def page(where: str, path: str, status: int = 200) -> str:
    answer = httpx.get(where + path)
    assert answer.status_code == status, (path, answer.text)
    return answer.text


def titles(text: str) -> list[str]:
    return [part.split("</a>")[0].rpartition(">")[2] for part in text.split("<h2><a ")[1:]]


def test_papers_stand_under_their_day_week_and_month(served: Served) -> None:
    where, newsletter = served
    of_days(newsletter)
    first, second = page(where, "/papers/date/2025-11-20"), page(where, "/papers/date/2025-11-20?page=2")
    assert titles(first)[0] == "The one talked about"
    assert (len(titles(first)), len(titles(second))) == (50, 11)
    assert len({*titles(first), *titles(second)}) == 61
    assert "61 papers" in first
    assert {"/papers/date/2025-11-12", "/papers/date/2025-11-28"} <= {*Links(first).found}
    assert titles(page(where, "/papers/week/2025-W46")) == ["Of another week"]
    assert titles(page(where, "/papers/month/2025-10")) == ["Published alone"]
    assert titles(page(where, "/papers/month/2025-11"))[:2] == ["The one talked about", "Of another week"]
    # It has come to be known today, and nobody has said when it was published.
    assert titles(page(where, "/papers")) == ["Seen alone"]
    assert titles(page(where, "/papers/trending")) == ["The one talked about", "Of another week"]


def test_without_papers_today_the_latest_day_is_shown_and_said(served: Served) -> None:
    where, newsletter = served
    take_in(
        newsletter, {"title": "Of yesterday", "listed_on": "2025-11-27"}, {"title": "Soon", "listed_on": "2026-01-01"}
    )
    text = page(where, "/papers")
    assert titles(text) == ["Of yesterday"]
    assert "No papers for today, Friday, 28 November 2025, yet." in text
    assert httpx.get(f"{where}/").headers["Location"] == "/papers"
    assert "No papers on Wednesday, 1 January 1975" in page(where, "/papers/date/1975-01-01")
    for path in ("/papers/date/9999-12-31", "/papers/week/0001-W01", "/papers/month/9999-12"):
        assert "No papers" in page(where, path)


def test_an_empty_store_says_so(served: Served) -> None:
    where, _ = served
    for path in ("/papers", "/papers/trending", "/papers?q=looms", "/feeds/papers.atom", "/feeds/trending.atom"):
        page(where, path)
    assert "No papers yet." in page(where, "/papers")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/papers/date/2025-02-30", "This is not a valid day. Write it like 2025-11-25."),
        ("/papers/week/2025-48", "This is not a valid week."),
        ("/papers/month/11-2025", "This is not a valid month."),
        ("/papers/date/2025-11-25?page=0", "This is not a valid page number."),
        ("/papers/trending?page=2", "Page 2 does not exist; the last page is 1."),
        ("/papers/no/such", "This paper is not here."),
    ],
)
def test_what_there_is_not_is_said_in_plain_words(served: Served, path: str, words: str) -> None:
    assert words in page(served[0], path, 404)


def test_a_paper_has_a_page_whatever_its_id_and_its_text(served: Served) -> None:
    where, newsletter = served
    paper = {
        "title": WICKED,
        "abstract": "We study looms & <b>bold</b> claims.",
        "doi": DOI,
        "listed_on": "2025-11-27",
        "authors": ["Ada <i>Lovelace</i>"],
        "code_url": 'https://example.org/a?b=1&c="2"',
        "keywords": ["silk & satin"],
    }
    take_in(newsletter, paper, {"title": "Plain", "arxiv_id": "2511.00001", "listed_on": "2025-11-27"})
    (stored,) = newsletter.run("papers", "search", "looms", "--json").rows[:1]
    links = Links(page(where, "/papers/date/2025-11-27")).found
    (path,) = [link for link in links if unquote(link) == f"/papers/{stored['paper_id']}"]
    text = page(where, path)
    for wicked in ("<script>alert", "<b>bold", "<i>Lovelace"):
        assert wicked not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;quotes&#34; in α²-looms" in text
    assert "/papers?q=silk+%26+satin" in Links(text).found
    assert all(link.startswith(("/", "https://", "http://", "#", "data:,")) for link in Links(text).found)
    # By another of its names one is led to the page.
    assert httpx.get(f"{where}/papers/arXiv:2511.00001v3").headers["Location"] == "/papers/2511.00001"
    assert httpx.get(f"{where}/papers?q=2511.00001").headers["Location"] == "/papers/2511.00001"


def test_authors_and_phrases_are_found_as_by_the_command(served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample()
    loom = {"title": "Cogs and looms", "abstract": "A plain weave.", "authors": ["Lovelace, A."]}
    take_in(newsletter, loom, {"title": "Looms and cogs", "abstract": "The weave is plain.", "doi": "10.1101/looms"})
    assert titles(page(where, "/papers?q=Ada+Lovelace"))[0] == "Cogs and looms"
    assert titles(page(where, "/papers?q=%22plain+weave%22")) == ["Cogs and looms"]
    assert httpx.get(f"{where}/papers?q=https://doi.org/10.1101/LOOMS").status_code == 302
    asked = {"q": "Lovelace, Ada"}
    told = httpx.get(f"{where}/api/search", params=asked).json()["papers"][0]
    assert (told["paper"]["title"], told["because"]) == ("Cogs and looms", "possibly by Lovelace, A.")


def test_words_find_papers_and_are_offered_as_an_interest(served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample()
    rows = newsletter.run("papers", "search", "energy-based", "models", "--limit", "30", "--json").rows
    text = page(where, "/papers?q=energy-based++models")
    assert [title.casefold() for title in titles(text)] == [row["title"].casefold() for row in rows[:20]]
    assert titles(page(where, "/papers?q=energy-based+models&page=2"))[0] == rows[20]["title"]
    assert '<input type="hidden" name="interest" value="energy-based models">' in text
    assert "No matching papers." in page(where, "/papers?q=zzyzx")
    similar = newsletter.run("papers", "similar", rows[0]["paper_id"], "--limit", "6", "--json").rows
    one = page(where, f"/papers/{rows[0]['paper_id']}").partition("Similar papers")[2]
    assert [link.rpartition("/")[2] for link in Links(one).found if "/papers/" in link] == [
        row["paper_id"] for row in similar
    ]


def test_a_warning_is_above_the_title_with_its_notice(served: Served) -> None:
    where, newsletter = served
    take_in(newsletter, *({"title": f"Looms {number}", "doi": f"10.5555/looms.{number}"} for number in (1, 2)))
    concern = Notice(kind=EventKind.CONCERN, of=("10.5555/looms.1",), url="https://journal.example/concern")
    corrected = Notice(kind=EventKind.CORRECTED, of=("10.5555/looms.2",), url="https://journal.example/erratum")
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        upsert(connection, [concern, corrected], "journal", datetime(2025, 11, 28, tzinfo=UTC))
    engine.dispose()
    text = page(where, "/papers/10.5555/looms.1")
    notice = text.index('<a href="https://journal.example/concern">Notice</a>')
    assert text.index("<b>Expression of concern.</b> The publisher") < notice < text.index("<h1")
    other = page(where, "/papers/10.5555/looms.2")
    assert "note bad" not in other
    assert "https://journal.example/erratum" in other


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 375, "height": 800})
    yield opened
    opened.close()


def test_a_reader_gets_about_by_keys(served: Served, tab: Page) -> None:
    where, newsletter = served
    newsletter.with_sample()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(f"{where}/papers")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Tuesday, 25 November 2025")
    titles = tab.locator(".paper h2 a")
    for key, at in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        tab.keyboard.press(key)
        expect(titles.nth(at)).to_be_focused()
    title = titles.nth(1).inner_text()
    tab.keyboard.press("o")
    expect(tab.get_by_role("heading", level=1)).to_have_text(title)
    # The heading is there before the script that hears the keys: each page is to be loaded first.
    tab.go_back()
    tab.wait_for_load_state("load")
    tab.keyboard.press("ArrowLeft")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Tuesday, 11 November 2025")
    tab.wait_for_load_state("load")
    tab.keyboard.press("ArrowRight")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Tuesday, 25 November 2025")
    tab.wait_for_load_state("load")
    tab.keyboard.press("/")
    tab.keyboard.type("just kidding o/")
    expect(tab.get_by_label("Search all papers")).to_have_value("just kidding o/")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Papers on “just kidding o/”")
    assert said == []


def test_every_page_can_be_read_by_everybody(newsletter: Newsletter, browser: Browser) -> None:
    newsletter.with_sample()
    take_in(
        newsletter, {"title": "A" * 200, "abstract": "B" * 400, "upvotes": 1, "comments": 1, "listed_on": "2025-11-25"}
    )
    with serving(newsletter) as where:
        one = Links(page(where, "/papers?q=energy")).found
        paper = next(link for link in one if link.startswith(("/papers/t-", "/papers/2")))
        for scheme, width, paths in (
            ("light", 375, ("/papers", paper, "/papers/date/1990-01-01")),
            ("dark", 1200, (paper, "/papers?q=energy", "/papers/trending")),
        ):
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
            tab = context.new_page()
            for path in paths:
                tab.goto(where + path)
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
                found = Axe().run(tab).response
                assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == [], (path, scheme)
            context.close()
