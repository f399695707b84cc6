"""Libraries on the site: a file at sign-up, and files, Zotero and ORCID on the preferences page."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect
from pytest_httpserver import HTTPServer

from newsletter.audience import signup
from newsletter.audience.signed_links import TokenPurpose
from newsletter.errors import NewsletterError
from newsletter.services import first_libraries
from newsletter.sources import library_files
from newsletter.web.middleware.security import LARGEST_UPLOAD
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import dump, first_link, links_of, path_of, row_of, serving, site_client, wait_for_messages
from tests.helpers.zotero import KEY, USER, Answer, ZoteroServer, zotero_server

BOB = "bob@example.org"
GFLOWNETS = "Multi-Objective GFlowNets"
BIB = f"""\
@article{{a, title = {{{GFLOWNETS}}}, year = 2023}}
@article{{b, title = {{Learning the Pareto Front}}, abstract = {{Trade-offs of several objectives and preferences.}}}}
@misc{{c, note = {{no title}}}}
"""


@pytest.fixture
def reader(newsletter: Newsletter) -> str:
    """The path of Ada's preferences page."""
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\ntrending: 0\ninterests: [protein folding]\n")
    newsletter.run("subscribers", "list")
    return path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, "ada@example.org"), 0))


def listed(newsletter: Newsletter) -> list[dict]:
    return newsletter.run("library", "list", "ada@example.org", "--json").rows


def test_an_uploaded_file_becomes_a_library(newsletter: Newsletter, reader: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        sent = client.post(f"{reader}/library/upload", files={"file": ("My <b>papers.bib", BIB)})
        assert sent.status_code == 303
        shown = client.get(sent.headers["location"]).text
        assert "Added: 2 papers." in shown and "One other entry has no title" in shown
        assert "My &lt;b&gt;papers.bib" in shown and "<b>papers" not in shown
        assert "My &lt;b&gt;papers.bib" in client.get(reader).text
        (one,) = listed(newsletter)
        assert one["papers"] == 2
        assert "upload" in (newsletter.folder / "subscribers" / "ada.yaml").read_text()
        ranked = newsletter.run("rank", "ada@example.org", "--top", "60", "--json").rows
        assert any("Pareto" in row["because"] or "objective" in row["because"].lower() for row in ranked)
        assert GFLOWNETS not in [row["title"] for row in ranked]
        # What the form saves keeps the library.
        assert 'name="mark"' in client.get(reader).text
        gone = client.post(f"{reader}/library/remove", data={"address": one["address"]})
        assert gone.status_code == 303 and listed(newsletter) == []


def test_entries_after_the_most_are_counted(
    newsletter: Newsletter, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_files, "MAX_LIBRARY_ENTRIES", 2)
    entries = "".join(
        f"@article{{k{number}, title={{T{number}}}, year=2023, month=2, day=30}}\n" for number in range(5)
    )
    with serving(newsletter) as where, site_client(where) as client:
        sent = client.post(f"{reader}/library/upload", files={"file": ("a.bib", entries)})
        shown = client.get(sent.headers["location"]).text
    assert "Added: 2 papers." in shown and "3 more entries were left out" in shown
    assert "no title" not in shown


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("paper.pdf", b"%PDF-1.7 ...", "is a PDF"),
        ("notes.txt", b"nothing of interest", "neither BibTeX nor RIS"),
        ("empty.bib", b"", "empty"),
        ("x.bib", b"@misc{c, note = {no title}}", "no entry with a title"),
    ],
)
def test_a_file_that_is_no_library_changes_nothing(
    newsletter: Newsletter, reader: str, name: str, content: bytes, said: str
) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        sent = client.post(f"{reader}/library/upload", files={"file": (name, content)})
        assert sent.status_code == 422 and said in sent.text
        asked = client.post("/subscribe", data={"email": BOB}, files={"library": (name, content)})
        if name != "x.bib":  # Entries are only read once the address is confirmed.
            assert asked.status_code == 422 and said in asked.text and "again" in asked.text
    assert listed(newsletter) == []


def test_uploads_are_bounded_and_other_forms_stay_small(newsletter: Newsletter, reader: str) -> None:
    large = b"@article{a, title={A}, abstract={" + b"x" * 1_100_000 + b"}}"
    with serving(newsletter) as where, site_client(where) as client:
        assert client.post(f"{reader}/library/upload", files={"file": ("a.bib", large)}).status_code == 303
        assert client.post("/subscribe", data={"email": BOB}, files={"library": ("a.bib", large)}).status_code == 413
        most = LARGEST_UPLOAD["/preferences/"]
        assert client.post(f"{reader}/library/upload", files={"file": ("a.bib", b"@" * most)}).status_code == 413
        assert client.post("/links", data={"email": "x" * 200_000}).status_code == 413
        two = [("file", ("a.bib", BIB)), ("file", ("b.bib", BIB))]
        assert client.post(f"{reader}/library/upload", files=two).status_code == 400
        forged = reader[:-4] + "0000"
        assert client.post(f"{forged}/library/upload", files={"file": ("a.bib", BIB)}).status_code in (404, 410)


@pytest.fixture
def zotero(newsletter: Newsletter) -> Iterator[ZoteroServer]:
    with zotero_server() as server:
        newsletter.configure(libraries={"zotero_url": server.url})
        yield server


def test_zotero_is_connected_by_its_key(newsletter: Newsletter, reader: str, zotero: ZoteroServer) -> None:
    papers = zotero.collection("Papers")
    zotero.add(title="Learning the Pareto Front", abstractNote="Several objectives.", collections=[papers])
    zotero.add(title="A cooking book")
    with serving(newsletter) as where, site_client(where) as client:
        assert "zotero.org/settings/keys/new" in client.get(reader).text
        wrong = client.post(f"{reader}/library/zotero", data={"key": "x" * 24})
        assert wrong.status_code == 422 and "does not know this key" in wrong.text
        assert "x" * 24 not in wrong.text
        sent = client.post(f"{reader}/library/zotero", data={"key": KEY, "collections": "Papers"})
        assert "Added: 1 paper." in client.get(sent.headers["location"]).text
        (one,) = listed(newsletter)
        assert (one["address"], one["papers"]) == (f"zotero:user/{USER}", 1)
        assert KEY not in client.get(reader).text
        zotero.add(title="Another Pareto Front", collections=[papers])
        assert client.post(f"{reader}/library/update").status_code == 303
        assert listed(newsletter)[0]["papers"] == 2
        # A key that was revoked leaves the papers, and the page says so.
        zotero.keys.clear()
        client.post(f"{reader}/library/update")
        assert "The last update failed" in client.get(reader).text
        assert listed(newsletter)[0]["papers"] == 2
    assert not any(KEY.encode() in path.read_bytes() for path in (newsletter.folder / "var").glob("newsletter.db*"))


def test_what_is_added_on_the_site_never_gets_a_key_of_the_operator(
    newsletter: Newsletter, reader: str, zotero: ZoteroServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_ZOTERO_KEY", KEY)
    with serving(newsletter) as where, site_client(where) as client:
        assert client.post(f"{reader}/library/zotero", data={"group": "456"}).status_code == 422
        zotero.faults = [Answer(503, "busy")] * newsletter.config.network.attempts
        assert "said=later" in client.post(f"{reader}/library/zotero", data={"group": "456"}).headers["location"]
        client.post(f"{reader}/library/update")
    assert "key: stored" in (newsletter.folder / "subscribers" / "ada.yaml").read_text()
    newsletter.run("library", "sync", code=1)
    # A key would have been looked up first.
    assert {request.path for request in zotero.requests} == {"/groups/456/collections"}
    # The operator may name it.
    newsletter.run("library", "add", "ada@example.org", "zotero:group/456", code=2)
    assert zotero.requests[-1].path == "/keys/current"


def test_readers_see_no_paths_and_no_commands(newsletter: Newsletter, reader: str, zotero: ZoteroServer) -> None:
    zotero.add(title="In no collection")
    file = newsletter.folder / "subscribers" / "ada.yaml"
    with serving(newsletter) as where, site_client(where) as client:
        said = [
            client.post(f"{reader}/library/zotero", data={"key": KEY, "each": "1"}),
            client.post(f"{reader}/library/zotero", data={"key": "short"}),
            client.post(f"{reader}/library/zotero", data={"group": "x"}),
        ]
        assert [one.status_code for one in said] == [422, 422, 422]
        client.post(f"{reader}/library/upload", files={"file": ("a.bib", BIB)})
        file.write_text(f"{file.read_text()}wrong: 1\n")
        said.append(client.post(f"{reader}/library/upload", files={"file": ("b.bib", BIB)}))
        said.append(client.post(f"{reader}/library/remove", data={"address": "upload:a.bib"}))
        assert [one.status_code for one in said[3:]] == [503, 503]
    for one in said:
        for foreign in (str(newsletter.folder), "ada.yaml", "--each", "command", "newsletter library", "var/"):
            assert foreign not in one.text
    assert "none of its collections has papers" in said[0].text
    assert "That did not work" in said[3].text


def test_an_orcid_id_adds_ones_own_publications(newsletter: Newsletter, reader: str, httpserver: HTTPServer) -> None:
    newsletter.configure(libraries={"openalex_url": httpserver.url_for("").rstrip("/")})
    work = {"id": "https://openalex.org/W1", "display_name": "My own paper", "title": "My own paper"}
    httpserver.expect_request("/works").respond_with_json(
        {"meta": {"count": 1}, "results": [work]}
    )
    with serving(newsletter) as where, site_client(where) as client:
        wrong = client.post(f"{reader}/library/orcid", data={"orcid": "0000-0002-1825-0098"})
        assert wrong.status_code == 422 and "check digit" in wrong.text
        sent = client.post(f"{reader}/library/orcid", data={"orcid": "https://orcid.org/0000-0002-1825-0097"})
        assert sent.status_code == 303
    assert [one["address"] for one in listed(newsletter)] == ["orcid:0000-0002-1825-0097"]


def sign_up(client: httpx.Client, mail: Mailbox, **files: object) -> str:
    asked = client.post("/subscribe", data={"email": BOB, "timezone": "UTC"}, files=files)
    assert asked.status_code == 303
    link = first_link(wait_for_messages(mail, 1)[0])
    confirmed = client.post(link)
    assert confirmed.status_code == 303
    return confirmed.headers["location"]


def test_a_library_may_come_with_the_sign_up(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    with serving(newsletter) as where, site_client(where) as client:
        page = client.get(sign_up(client, mail, library=("my.bib", BIB)))
        assert "Welcome! Your first digest will arrive within minutes." in page.text
        assert "2 papers" in page.text
        newsletter.run("send", "--due")
    digest = wait_for_messages(mail, 2)[-1].get_body(["plain"])
    assert digest is not None and GFLOWNETS not in digest.get_content()
    (row,) = newsletter.run("log", "--json").rows
    assert {paper["section"] for paper in row["papers"]} >= {"My"}


def test_a_file_that_cannot_be_read_does_not_stop_the_sign_up(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    with serving(newsletter) as where, site_client(where) as client:
        page = client.get(sign_up(client, mail, library=("my.bib", "@misc{c, note = {no title}}")))
        assert "Your file could not be read" in page.text
    assert [row["state"] for row in newsletter.run("subscribers", "list", "--json").rows] == ["active"]


@pytest.mark.both_stores
def test_an_upload_is_kept_until_it_is_stored(
    newsletter: Newsletter, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    newsletter.with_sample()

    def failing(*args: object) -> None:
        raise NewsletterError("the store failed")

    with serving(newsletter) as where, site_client(where) as client:
        with monkeypatch.context() as broken:
            broken.setattr(first_libraries, "add_upload", failing)
            page = client.get(sign_up(client, mail, library=("my.bib", BIB)))
        assert "If it is not listed here tomorrow, please upload it again" in page.text
    assert newsletter.run("library", "list", BOB, "--json").rows == []
    # Another process tries again, once whoever confirmed it had the time.
    newsletter.run("run", "--once", code=None, now="2025-11-28T09:20")
    assert [row["papers"] for row in newsletter.run("library", "list", BOB, "--json").rows] == [2]
    assert dump(newsletter)["sign_ups"] == []


def test_who_cannot_be_kept_room_for_is_told(
    newsletter: Newsletter, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    newsletter.with_sample()
    monkeypatch.setattr(signup, "_MOST_OF_UPLOADS", 1)
    with serving(newsletter) as where, site_client(where) as client:
        for email in ("eve@example.org", BOB):
            client.post("/subscribe", data={"email": email, "timezone": "UTC"}, files={"library": ("my.bib", BIB)})
        link = next(first_link(one) for one in wait_for_messages(mail, 2) if one["To"] == BOB)
        assert "There was no room to keep my.bib" in client.get(link).text
        page = client.get(client.post(link).headers["location"])
        assert "Please upload it again here" in page.text


@pytest.mark.system
def test_upload_and_first_digest_in_a_browser_without_script(
    newsletter: Newsletter, mail: Mailbox, browser: Browser, tmp_path: Path
) -> None:
    newsletter.with_sample()
    (tmp_path / "library.bib").write_text(BIB)
    page = browser.new_page(viewport={"width": 375, "height": 800}, java_script_enabled=False)
    with serving(newsletter) as where:
        began = time.monotonic()
        page.goto(f"{where}/subscribe")
        page.get_by_label("Your email address").fill(BOB)
        page.get_by_text("Start from papers you already have").click()
        page.get_by_label("A BibTeX or RIS file").set_input_files(tmp_path / "library.bib")
        page.get_by_role("button", name="Subscribe").click()
        page.goto(where + first_link(wait_for_messages(mail, 1)[0]))
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_text("2 papers")).to_be_visible()
        newsletter.run("send", "--due")
        wait_for_messages(mail, 2)
        assert time.monotonic() - began < 60
        page.get_by_text("Add a library").click()
        page.get_by_label("A file of your reference manager").set_input_files(tmp_path / "library.bib")
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_text("Added: 2 papers.")).to_be_visible()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("Add a library")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.close()
