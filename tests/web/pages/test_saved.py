"""Saving papers by the links of an email, and the reading list: a page, a feed and files, by HTTP and in a browser."""

import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import feedparser
import httpx
import pybtex.database
import pytest
import rispy
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import forged_paths, links_of, path_of, row_of, serving, site_client, wait_for_messages
from tests.web.pages.test_papers import DOI, WICKED, take_in

expect.set_options(timeout=30_000)


def save_links(newsletter: Newsletter, reader: str, number: int) -> list[str]:
    """The paths that save the first papers of the store."""
    row = row_of(newsletter, reader)
    return [path_of(links_of(newsletter).save_url(row, paper)) for paper in range(1, number + 1)]


def list_of(newsletter: Newsletter, reader: str) -> str:
    return path_of(links_of(newsletter).url(TokenPurpose.SAVED, row_of(newsletter, reader)))


def saved(newsletter: Newsletter, reader: str) -> list[str]:
    """The titles on a reading list, as the command exports them."""
    out = newsletter.run("papers", "export", "--saved", reader, "--format", "csljson").out
    return [one["title"] for one in json.loads(out)]


@pytest.fixture
def known(newsletter: Newsletter, reader: str) -> str:
    newsletter.with_sample()
    newsletter.run("subscribers", "list")
    return reader


@pytest.mark.both_stores
def test_each_paper_of_an_email_is_saved_by_post_once_and_removed(
    newsletter: Newsletter, mail: Mailbox, reader: str
) -> None:
    newsletter.with_sample()
    own = newsletter.folder / "templates"
    own.mkdir()
    text = "{% for section in sections %}{% for one in section.papers %}{{ one.paper.title }} = {{ one.save_url }}\n"
    (own / "digest.txt").write_text(text + "{% endfor %}{% endfor %}")
    newsletter.run("send")
    body = wait_for_messages(mail, 1)[0].get_body(["plain"])
    assert body is not None
    links = [line.rpartition(" = ") for line in body.get_content().splitlines() if " = " in line]
    assert len(links) == 8
    (title, _, link), (other, _, second) = links[:2]
    path = path_of(link)
    assert link.startswith("https://papers.example.org/save/")
    with serving(newsletter) as where, site_client(where) as client:
        for answer in (client.head(path), client.get(path)):
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert saved(newsletter, reader) == []
        for _ in range(2):
            answer = client.post(path)
            assert (answer.status_code, answer.headers["location"]) == (303, path)
        assert len(saved(newsletter, reader)) == 1
        assert "<h1>Saved</h1>" in client.get(path).text
        # The first to be saved is the last on the list, also when it is pressed again.
        with serving(newsletter, "2025-11-29T09:00") as later, site_client(later) as tomorrow:
            tomorrow.post(path_of(second))
            tomorrow.post(path)
            page = tomorrow.get(list_of(newsletter, reader))
        assert (page.headers["cache-control"], page.headers["x-robots-tag"]) == ("no-store", "noindex")
        shown = re.findall(r'<h2><a href="/papers/[^"]+" dir="auto">([^<]+)', page.text)
        assert [one[:30] for one in shown] == [other[:30], title[:30]]
        removed = client.post(f"{path}/undo")
        assert "Removed from your reading list." in client.get(removed.headers["location"]).text
        assert len(saved(newsletter, reader)) == 1


def test_wrong_links_and_other_sites_change_nothing(newsletter: Newsletter, known: str) -> None:
    (path,) = save_links(newsletter, known, 1)
    page = list_of(newsletter, known)
    feed = path_of(links_of(newsletter).url(TokenPurpose.SAVED_FEED, row_of(newsletter, known)))
    token = path.rpartition("/")[2]
    with serving(newsletter) as where, site_client(where) as client:
        for wrong in (*forged_paths(path), f"/save/{page.rpartition('/')[2]}", f"/feedback/{token}"):
            assert client.get(wrong).status_code == client.post(wrong).status_code == 404
        for wrong in (*forged_paths(page), f"/saved/{token}", f"/saved/{feed.rpartition('/')[2]}"):
            assert client.get(wrong).status_code == client.post(f"{wrong}/remove").status_code == 404
        for wrong in (f"{feed[:-1]}x.atom", f"/feeds/saved/{page.rpartition('/')[2]}.atom"):
            assert client.get(wrong).status_code == 404
        for act in (path, f"{path}/undo", f"{page}/remove"):
            assert client.post(act, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        unknown = path_of(links_of(newsletter).save_url(row_of(newsletter, known), 10**6))
        assert client.get(unknown).status_code == client.post(unknown).status_code == 410
        # A paper that is on no list is removed from none.
        assert client.post(f"{page}/remove", data={"paper": "none"}).status_code == 303
        assert client.post(f"{page}/remove", data={"paper": "x", "page": "none"}).status_code == 404
        assert client.get(f"{page}?format=word").status_code == 422
    assert saved(newsletter, known) == []


def test_the_list_is_a_feed_and_a_file_in_each_format(newsletter: Newsletter, known: str) -> None:
    paper = {"title": WICKED, "abstract": "We weave.", "doi": DOI, "authors": ["Ada Lovelace"]}
    take_in(newsletter, paper)
    number = len(newsletter.run("papers", "list", "--json").rows)
    row = row_of(newsletter, known)
    with serving(newsletter) as where, site_client(where) as client:
        page = list_of(newsletter, known)
        empty = client.get(page).text
        assert "Nothing saved yet." in empty
        assert "?format=" not in empty
        for wanted in (1, number):
            client.post(path_of(links_of(newsletter).save_url(row, wanted)))
        text = client.get(page).text
        assert "<script>alert" not in text
        types = dict(re.findall(r'href="(/saved/[^"]+\?format=\w+)">([^<]+)', text))
        assert [*types.values()] == ["BibTeX", "RIS", "CSL-JSON"]
        answers = {name: client.get(path) for path, name in types.items()}
        assert [answer.headers["cache-control"] for answer in answers.values()] == ["no-store"] * 3
        assert [re.findall("filename=(.+)", answer.headers["content-disposition"]) for answer in answers.values()] == [
            ['"reading-list.bib"'],
            ['"reading-list.ris"'],
            ['"reading-list.json"'],
        ]
        assert [client.head(path).status_code for path in types] == [200] * 3
        keys = [*pybtex.database.parse_string(answers["BibTeX"].text, "bibtex").entries]
        assert keys == [one["id"] for one in rispy.loads(answers["RIS"].text)]
        assert keys == [one["id"] for one in json.loads(answers["CSL-JSON"].text)]
        assert len(keys) == 2
        (link,) = re.findall(r'href="(https://papers\.example\.org/feeds/saved/[^"]+\.atom)"', text)
        answer = client.get(path_of(link))
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/atom+xml", "no-store")
        feed = feedparser.parse(answer.content)
        assert not feed.bozo, feed.get("bozo_exception")
        assert [one.link.rpartition("/papers/")[2] == quote(DOI, safe="") for one in feed.entries] == [True, False]
        assert {one.updated for one in feed.entries} == {"2025-11-28T09:00:00+00:00"}
        # The feed passes on no link that acts for the reader.
        assert link.rpartition("/")[2][:20] not in answer.text
        assert "/save" not in answer.text


def test_a_long_list_has_pages_and_stays_on_one_when_a_paper_is_removed(newsletter: Newsletter, known: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        for path in save_links(newsletter, known, 51):
            client.post(path)
        page = list_of(newsletter, known)
        first, second = client.get(page).text, client.get(f"{page}?page=2").text
        assert (first.count("<article"), second.count("<article")) == (50, 1)
        assert "51 papers, last saved first · page 1 of 2" in first
        (paper,) = re.findall(r'name="paper" value="([^"]+)"', second)
        removed = client.post(f"{page}/remove", data={"paper": paper, "page": "2"}).headers["location"]
        after = client.get(removed).text
        assert "Removed from your reading list." in after
        assert "50 papers" in after
    assert len(saved(newsletter, known)) == 50


def test_the_data_of_a_reader_has_the_list(newsletter: Newsletter, mail: Mailbox, known: str) -> None:
    (path,) = save_links(newsletter, known, 1)
    preferences = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, known)))
    with serving(newsletter) as where, site_client(where) as client:
        client.post(path)
        assert f'href="{list_of(newsletter, known)}"' in client.get(preferences).text
        client.post(f"{preferences}/export")
        asked = wait_for_messages(mail, 1)[0].get_body(["plain"])
        assert asked is not None
        found = re.search(r"^https://\S+", asked.get_content(), re.MULTILINE)
        assert found is not None
        data = client.post(path_of(found[0])).json()
    (one,) = data["saved_papers"]
    assert (one["title"], one["saved_at"]) == (saved(newsletter, known)[0], "2025-11-28T09:00:00+00:00")


def test_without_a_site_there_is_no_link(newsletter: Newsletter, known: str) -> None:
    own = newsletter.folder / "templates"
    own.mkdir()
    text = "{% for section in sections %}{% for one in section.papers %}[{{ one.save_url }}]{% endfor %}{% endfor %}"
    (own / "digest.txt").write_text(text)
    assert "/save/" in newsletter.run("preview", known, "--format", "text").out
    settings = newsletter.folder / "config.yaml"
    settings.write_text(re.sub(r"  url: .*\n", "", settings.read_text()))
    assert set(re.findall(r"\[[^]]*\]", newsletter.run("preview", known, "--format", "text").out)) == {"[None]"}


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page; what its console says is a fault."""
    opened: list[Page] = []
    said: list[str] = []

    def start(script: bool = True, width: int = 375, scheme: str = "light") -> Page:
        page = browser.new_page(
            viewport={"width": width, "height": 800}, java_script_enabled=script, color_scheme=scheme
        )
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        opened.append(page)
        return page

    yield start
    for page in opened:
        page.close()
    assert said == []


def fine(page: Page, script: bool = True) -> None:
    """Nothing is wider than the screen, each button is large enough to be pressed, and axe-core finds nothing."""
    size = page.viewport_size
    assert size is not None
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    for one in page.locator("main :is(button, .button, .touch):visible").all():
        box = one.bounding_box()
        assert box is not None and box["height"] >= 44, one
    if script:
        assert [one["id"] for one in Axe().run(page).response["violations"]] == []


@pytest.mark.parametrize(
    ("script", "width", "scheme"), [(True, 375, "light"), (False, 375, "dark"), (True, 1200, "dark")]
)
def test_a_reader_saves_opens_the_list_and_removes(
    newsletter: Newsletter, known: str, look: Callable[..., Page], script: bool, width: int, scheme: str
) -> None:
    take_in(newsletter, {"title": f"A {'very' * 60} long title", "authors": ["B" * 190], "listed_on": "2025-11-25"})
    last = len(newsletter.run("papers", "list", "--json").rows)
    page = look(script, width, scheme)
    row = row_of(newsletter, known)
    heading = page.get_by_role("heading", level=1)
    with serving(newsletter) as where:
        for paper in (1, last):
            page.goto(where + path_of(links_of(newsletter).save_url(row, paper)))
            expect(heading).to_have_text("Save this paper?")
            fine(page, script)
            page.get_by_role("button", name="Save", exact=True).click()
            expect(heading).to_have_text("Saved")
            fine(page, script)
        page.get_by_role("link", name="Your reading list").click()
        expect(heading).to_have_text("Your reading list")
        expect(page.locator("article")).to_have_count(2)
        fine(page, script)
        with page.expect_download() as loading:
            page.get_by_role("link", name="BibTeX").click()
        assert loading.value.suggested_filename == "reading-list.bib"
        page.get_by_role("button", name="Remove").first.click()
        expect(page.get_by_role("status")).to_have_text("Removed from your reading list.")
        page.get_by_role("button", name="Remove").first.click()
        expect(page.get_by_text("Nothing saved yet.")).to_be_visible()
        fine(page, script)
    assert saved(newsletter, known) == []


def test_a_page_of_a_paper_has_what_connectors_read(newsletter: Newsletter, known: str) -> None:
    paper = {
        "title": WICKED,
        "doi": DOI,
        "arxiv_id": "2511.00001",
        "authors": ["Ada Lovelace", "van der Berg, Hans", "The ATLAS Collaboration"],
        "published": "2025-11-03",
        "venue": "Looms & Sons",
        "pdf_url": "https://arxiv.org/pdf/2511.00001",
    }
    take_in(newsletter, paper, {"title": "Nothing known"})
    with serving(newsletter) as where:
        text = httpx.get(f"{where}/papers/2511.00001").text
        (bare,) = [one["id"] for one in newsletter.run("papers", "list", "--title", "Nothing known", "--json").rows]
        other = httpx.get(f"{where}/papers/{bare}").text
    assert re.findall(r'<meta name="citation_(\w+)" content="([^"]*)">', text) == [
        ("title", "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;quotes&#34; in α²-looms"),
        ("author", "Lovelace, Ada"),
        ("author", "van der Berg, Hans"),
        ("author", "The ATLAS Collaboration"),
        ("publication_date", "2025/11/03"),
        ("journal_title", "Looms &amp; Sons"),
        ("doi", DOI.replace("&", "&amp;")),
        ("arxiv_id", "2511.00001"),
        ("pdf_url", "https://arxiv.org/pdf/2511.00001"),
        ("abstract_html_url", "https://papers.example.org/papers/2511.00001"),
    ]
    assert '<span class="by" dir="auto">Looms &amp; Sons</span>' in text
    assert re.findall(r'name="citation_(\w+)"', other) == ["title", "abstract_html_url"]
