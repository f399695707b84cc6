"""The ratings page over HTTP: past feedback and its undo, and papers that are found and rated."""

import html
import re
from datetime import datetime
from urllib.parse import quote

import httpx
import pytest

from newsletter.audience.signed_links import TokenPurpose
from newsletter.model import Paper
from newsletter.store import feedback, libraries, open_store, writing
from newsletter.store.feedback import Verdict
from newsletter.store.libraries import LibraryItem
from newsletter.support.clock import parse_moment
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.web import dump, feedback_of, forged_paths, links_of, path_of, row_of, serving, site_client
from tests.web.pages.test_papers import DOI, WICKED, take_in

ADA = "ada@example.org"
FILE = """\
email: ada@example.org
interests:
  - name: Several goals
    text: multi-objective reinforcement learning, Pareto fronts
  - name: Weaving
    text: looms and the weaving of cloth
"""


@pytest.fixture
def page(newsletter: Newsletter) -> str:
    newsletter.with_sample()
    newsletter.subscriber("ada", FILE)
    newsletter.run("subscribers", "list")
    return page_of(newsletter)


def page_of(newsletter: Newsletter) -> str:
    return path_of(links_of(newsletter).url(TokenPurpose.RATINGS, row_of(newsletter, ADA)))


def give(newsletter: Newsletter, papers: dict[int, datetime]) -> None:
    """Store verdicts on papers (by row), given at these moments."""
    engine, row = open_store(newsletter.config.store_url), row_of(newsletter, ADA)
    with writing(engine) as connection:
        for paper, given_at in papers.items():
            feedback.give(connection, row, paper, Verdict.MORE, None, given_at)
    engine.dispose()


def headings(answer: httpx.Response) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'<h[23]><a [^>]*dir="auto">([^<]+)', answer.text)]


def posted(client: httpx.Client, answer: httpx.Response, action: str, number: int = 0) -> httpx.Response:
    """Send the nth form with an action as it stands, and follow where it leads."""
    forms = re.findall(rf'<form[^>]*action="([^"]*/{action})">(.*?)</form>', answer.text, re.DOTALL)
    path, inside = forms[number]
    fields = {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', inside)
    }
    acted = client.post(path, data=fields)
    assert acted.status_code == 303
    return client.get(acted.headers["location"])


@pytest.mark.both_stores
def test_feedback_is_listed_undone_and_put_back_as_it_was(newsletter: Newsletter, page: str) -> None:
    newsletter.run("feedback", ADA, "Multi-Objective GFlowNets", "more", now="2025-08-30T09:00")
    newsletter.run("feedback", ADA, "Pareto Domain Adaptation", "less", "--interest", "Weaving")
    before = dump(newsletter)["feedback"]
    with serving(newsletter) as where, site_client(where) as client:
        shown = client.get(page)
        assert (shown.headers["cache-control"], shown.headers["x-robots-tag"]) == ("no-store", "noindex")
        assert headings(shown) == ["Pareto Domain Adaptation", "Multi-Objective GFlowNets"]
        assert "<b>Less like this</b>, for Weaving" in shown.text
        assert "<b>More like this</b>, for Several goals" in shown.text
        # The half-life is 90 days.
        assert re.findall(r"<span>counts ([^<]+)<", shown.text) == ["100%", "50%"]
        assert "half after 90 days" in shown.text
        undone = posted(client, shown, "undo", 1)
        assert [one[0] for one in feedback_of(newsletter, ADA)] == ["Pareto Domain Adaptation"]
        assert re.search(r"Removed: <span[^>]*>Multi-Objective GFlowNets<", undone.text)
        again = posted(client, undone, "restore")
        assert "Saved." in again.text
        # With its interest and its time: it counts for half as before.
        assert dump(newsletter)["feedback"] == before
        # Of one that is there, nothing is to be put back.
        assert "Put it back" not in client.get(undone.url.raw_path.decode()).text
        assert client.get(f"{page}?removed=x&verdict=more&given=2025-11-01").status_code == 200
        assert client.get(f"{page}?removed=x&verdict=more&given=0001-01-01T00:00:00%2B23:59").status_code == 200
    assert dump(newsletter)["feedback"] == before


def test_what_is_put_back_is_from_the_past_and_for_an_interest_there_is(newsletter: Newsletter, page: str) -> None:
    paper = newsletter.run("papers", "list", "--json").rows[0]
    fields = {"removed": paper["id"], "verdict": "more", "given": "2099-01-01T00:00:00+00:00", "interest": "None"}
    with serving(newsletter) as where, site_client(where) as client:
        for wrong in ({"verdict": "maybe"}, {"given": "soon"}, {"removed": "none"}):
            assert client.post(f"{page}/restore", data=fields | wrong).headers["location"] == f"{page}?page=1"
        assert feedback_of(newsletter, ADA) == []
        assert client.post(f"{page}/restore", data=fields).status_code == 303
        assert re.findall(r"<span>counts ([^<]+)<", client.get(page).text) == ["100%"]
    assert feedback_of(newsletter, ADA) == [(paper["title"], "more", None)]


def test_there_are_fifty_on_a_page(newsletter: Newsletter, page: str) -> None:
    give(newsletter, {row: parse_moment(f"2025-11-20T08:{row % 60:02}") for row in range(1, 53)})
    with serving(newsletter) as where, site_client(where) as client:
        first, second = client.get(page), client.get(f"{page}?page=2")
        assert "52 ratings, newest first · page 1 of 2." in first.text
        assert len(headings(first)) == 50
        assert len(headings(second)) == 2
        assert not {*headings(first)} & {*headings(second)}
        for _ in range(2):
            second = posted(client, second, "undo")
        # The last page is gone, so the one before it is shown, with the way back.
        assert len(headings(second)) == 50
        assert "Put it back" in second.text
        assert client.get(f"{page}?page=0").status_code == 404
        assert len(headings(posted(client, second, "restore"))) == 50
    assert len(feedback_of(newsletter, ADA)) == 51


SHOWN = '<script>alert(1)</script> & "quotes" in α²-looms'
TYPED = {
    "2511.00001": SHOWN,
    "https://arxiv.org/abs/2511.00001v3": SHOWN,
    f"https://doi.org/{quote(DOI)}": SHOWN,
    "https://example.org/looms": SHOWN,
    "  multi-objective\tGFLOWNETS ": "Multi-Objective GFlowNets",
    "gflownets": "Multi-Objective GFlowNets",
}


def test_a_paper_is_found_and_rated_for_the_interest_that_fits(newsletter: Newsletter, page: str) -> None:
    wicked = {"title": WICKED, "abstract": "We weave cloth on looms.", "doi": DOI, "arxiv_id": "2511.00001"}
    take_in(newsletter, {**wicked, "url": "https://example.org/looms"})
    with serving(newsletter) as where, site_client(where) as client:
        for typed, title in TYPED.items():
            asked = client.post(f"{page}/find", data={"q": typed})
            assert asked.status_code == 303
            found = client.get(asked.headers["location"])
            assert found.headers["cache-control"] == "no-store"
            assert headings(found)[0] == title, typed
            assert "<script>alert" not in found.text
            assert feedback_of(newsletter, ADA) == []
            (paper,) = re.findall(r'name="paper" value="([^"]+)"', found.text)[:1]
            acted = client.post(f"{page}/give", data={"paper": html.unescape(paper), "verdict": "more", "q": typed})
            rated = client.get(acted.headers["location"])
            assert "Saved." in rated.text and "Rated: more like this." in rated.text
            interest = "Weaving" if title == SHOWN else "Several goals"
            assert [one[1:] for one in feedback_of(newsletter, ADA)] == [("more", interest)]
            # The button next to what is rated takes it back, and the search stays.
            removed = posted(client, rated, "undo")
            assert "Removed." in removed.text
            assert headings(removed) == headings(found)
        nothing = client.get(f"{page}?q=10.1000/unknown").text
        assert "Nothing found." in nothing
    assert feedback_of(newsletter, ADA) == []


def test_papers_in_a_library_are_marked(newsletter: Newsletter, page: str) -> None:
    engine, row = open_store(newsletter.config.store_url), row_of(newsletter, ADA)
    with writing(engine) as connection:
        library = libraries.ensure(connection, row, "file:papers.bib")
        item = LibraryItem(key="one", paper=Paper(title="Multi-objective GFlowNets"))
        libraries.put_items(connection, library.row, [item])
    engine.dispose()
    with serving(newsletter) as where, site_client(where) as client:
        found = client.get(f"{page}?q=multi-objective+gflownets")
    assert found.text.count("In your library.") == 1
    assert headings(found)[0] == "Multi-Objective GFlowNets"
    assert len(headings(found)) > 1


def test_a_list_is_looked_up_and_rated_together(newsletter: Newsletter, page: str) -> None:
    take_in(newsletter, {"title": WICKED, "doi": DOI}, {"title": "Known by its number", "arxiv_id": "2511.00002"})
    known = [f"doi:{DOI}", "arXiv:2511.00002v1", "Pareto Domain Adaptation"]
    lines = [*known, "", known[0], "10.1000/unknown", "<b>No such title</b>"]
    with serving(newsletter) as where, site_client(where) as client:
        found = client.post(f"{page}/find", data={"q": "\r\n".join(lines)})
        assert (found.status_code, found.headers["cache-control"]) == (200, "no-store")
        assert "3 papers found" in found.text
        (missing,) = re.findall(r'<ul class="named">(.*?)</ul>', found.text, re.DOTALL)
        assert re.findall(r"<li[^>]*>([^<]+)", missing) == ["10.1000/unknown", "&lt;b&gt;No such title&lt;/b&gt;"]
        papers = [html.unescape(one) for one in re.findall(r'name="paper" value="([^"]+)" checked', found.text)]
        assert len(papers) == 3
        acted = client.post(f"{page}/give", data={"paper": papers[:2], "verdict": "more"})
        assert "Saved: 2 papers rated." in client.get(acted.headers["location"]).text
        assert {one[0] for one in feedback_of(newsletter, ADA)} == {WICKED, "Known by its number"}
        again = client.post(f"{page}/find", data={"q": "\n".join(known)})
        # What is rated already is not ticked.
        assert re.findall(r'name="paper" value="([^"]+)" checked', again.text) == papers[2:]
        none = client.post(f"{page}/give", data={"verdict": "more"})
        assert "No paper was chosen." in client.get(none.headers["location"]).text
        for wrong in ({"verdict": "maybe", "paper": papers}, {"verdict": "less", "paper": "none"}):
            client.post(f"{page}/give", data=wrong)
        assert len(feedback_of(newsletter, ADA)) == 2
        long = client.post(f"{page}/find", data={"q": "\n".join(f"No title {number}" for number in range(53))})
        assert "Only the first 50 lines were looked up; 3 more were left out." in long.text
        assert long.text.count("<li dir") == 50


@pytest.mark.both_stores
def test_any_text_may_be_typed(newsletter: Newsletter, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        for typed in (
            "nul\0character",
            "\0",
            "%_'\"\\",
            "a" * 15_000,
            "AND OR (",
            "10.1/" + "x" * 900,
            "\ud7ff\u2028x",
        ):
            for text in (typed, f"{typed}\n{typed}2"):
                answer = client.post(f"{page}/find", data={"q": text})
                if answer.status_code == 303:
                    answer = client.get(answer.headers["location"])
                assert answer.status_code == 200, typed
            fields = dict.fromkeys(("paper", "removed", "q", "interest"), typed)
            for act in ("give", "undo", "restore"):
                acted = client.post(f"{page}/{act}", data={**fields, "verdict": "more", "given": NOW})
                assert client.get(acted.headers["location"]).status_code == 200, typed
    assert feedback_of(newsletter, ADA) == []


def test_wrong_links_and_other_sites_change_nothing(newsletter: Newsletter, page: str) -> None:
    give(newsletter, {1: parse_moment(NOW)})
    paper = newsletter.run("papers", "list", "--json").rows[0]["id"]
    other = path_of(links_of(newsletter).url(TokenPurpose.SAVED, row_of(newsletter, ADA))).rpartition("/")[2]
    before = dump(newsletter)
    fields = {"paper": paper, "verdict": "more", "removed": paper, "given": NOW}
    with serving(newsletter) as where, site_client(where) as client:
        for start in (page, page.replace("/ratings/", "/rate/")):
            for wrong in (*forged_paths(start), f"{start.rpartition('/')[0]}/{other}"):
                ends = ("/give", "/undo", "/restore", "/find") if start == page else ("",)
                assert {client.post(f"{wrong}{end}", data=fields).status_code for end in ends} == {404}
                assert client.get(wrong).status_code == 404
        for act in (f"{page}/give", f"{page}/undo", f"{page}/restore", page.replace("/ratings/", "/rate/")):
            assert client.post(act, data=fields, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
            client.get(act)
        for path in (page, f"{page}?q=pareto", page.replace("/ratings/", "/rate/")):
            assert client.head(path).status_code == client.get(path).status_code == 200
        assert dump(newsletter) == before
        preferences = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, ADA)))
        shown = client.get(preferences).text
        assert f'href="{page}"' in shown and f'href="{page.replace("/ratings/", "/rate/")}"' in shown
        client.post(f"{preferences}/sign-out")
        assert client.get(page).status_code == client.get(page.replace("/ratings/", "/rate/")).status_code == 410
