"""Papers of the reading list in the reader's Zotero library, by the site and against a Zotero API on loopback."""

import io
import threading
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from newsletter.services.context import open_context
from newsletter.services.save_to_zotero import SaveOutcome, export_due, save_paper
from newsletter.store import reading, subscribers
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.web import links_of, path_of, row_of, serving, site_client
from tests.helpers.zotero import KEY, READ_ONLY_KEY, USER, Answer, Request, ZoteroServer, zotero_server

LIBRARY = f"zotero:user/{USER}"
JOURNAL = """\
{"title": "Looms and looming", "authors": ["Lovelace, Ada", "van der Berg, Jan", "ATLAS Collaboration"], \
"abstract": "We weave.", "doi": "10.1000/loom", "venue": "Journal of Looms", "published": "2025-11-20"}
{"title": "Engines", "authors": ["Charles Babbage"], "arxiv_id": "2511.00001", "published": "2025-11-21"}
"""


@pytest.fixture
def zotero(newsletter: Newsletter, reader: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoteroServer]:
    """The library of a reader, with two papers in the store of which it has none."""
    with zotero_server() as server:
        newsletter.configure(libraries={"zotero_url": server.url})
        (newsletter.folder / "new.jsonl").write_text(JOURNAL)
        newsletter.run("import", "new.jsonl")
        server.add(title="Another paper")
        connect(newsletter, reader, monkeypatch)
        server.requests.clear()
        yield server


def connect(newsletter: Newsletter, reader: str, monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    newsletter.run("library", "add", reader, LIBRARY)


def save(newsletter: Newsletter, reader: str, paper: int, now: str = NOW) -> SaveOutcome:
    """Save a paper, as the page does."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(now)))
    with reading(context.engine) as connection:
        subscriber = subscribers.by_email(connection, reader)
    assert subscriber is not None
    outcome = save_paper(context, subscriber, paper)
    context.engine.dispose()
    return outcome


def later(newsletter: Newsletter, now: str) -> dict[str, int]:
    """Do what the job does."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(now)))
    done = export_due(context)
    context.engine.dispose()
    return {name: count for name, count in done.items() if count}


def titles(zotero: ZoteroServer) -> list[str]:
    return sorted(one["data"]["title"] for one in zotero.items.values())


def test_the_page_saves_to_the_list_and_to_zotero(newsletter: Newsletter, reader: str, zotero: ZoteroServer) -> None:
    links = links_of(newsletter)
    first, second = (path_of(links.save_url(row_of(newsletter, reader), paper)) for paper in (1, 2))
    with serving(newsletter) as where, site_client(where) as client:
        assert client.get(first).status_code == 200
        assert zotero.requests == []
        client.post(first)
        assert "Saved to your reading list and to Zotero." in client.get(first).text
        zotero.faults = [Answer(503, "busy")]
        client.post(second)
        assert "we’ll try again" in client.get(second).text
    items = {one["data"]["title"]: one["data"] for one in zotero.items.values()}
    loom = items["Looms and looming"]
    assert loom["creators"] == [
        {"creatorType": "author", "firstName": "Ada", "lastName": "Lovelace"},
        {"creatorType": "author", "firstName": "Jan", "lastName": "van der Berg"},
        {"creatorType": "author", "name": "ATLAS Collaboration"},
    ]
    wanted = ("journalArticle", "We weave.", "2025-11-20", "10.1000/loom", "Journal of Looms", [])
    assert tuple(loom[key] for key in ("itemType", "abstractNote", "date", "DOI", "publicationTitle", "tags")) == wanted
    assert later(newsletter, "2025-11-28T09:06") == {"in_zotero": 1}
    engines = {one["data"]["title"]: one["data"] for one in zotero.items.values()}["Engines"]
    assert (engines["itemType"], engines["archiveID"]) == ("preprint", "arXiv:2511.00001")
    assert engines["DOI"] == "10.48550/arXiv.2511.00001"
    assert later(newsletter, "2025-12-28T09:00") == {}


def test_a_repeated_request_makes_no_second_item(newsletter: Newsletter, reader: str, zotero: ZoteroServer) -> None:
    zotero.lose_writes = 1
    assert save(newsletter, reader, 1) is SaveOutcome.LATER
    assert titles(zotero) == ["Another paper", "Looms and looming"]
    assert save(newsletter, reader, 1) is SaveOutcome.IN_ZOTERO
    assert later(newsletter, NOW) == {}
    # Two clicks at the same moment: both requests are sent before either is answered.
    both = threading.Barrier(2, timeout=10)
    zotero.before = lambda request: None
    posts: list[Request] = []
    answer = zotero.answer

    def meet(request: Request, key: str | None, content: bytes) -> Answer:
        if request.method == "POST":
            posts.append(request)
            both.wait()
        return answer(request, key, content)

    zotero.answer = meet  # type: ignore[method-assign]
    outcomes: list[SaveOutcome] = []
    clicks = [threading.Thread(target=lambda: outcomes.append(save(newsletter, reader, 2))) for _ in range(2)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert outcomes == [SaveOutcome.IN_ZOTERO] * 2
    assert len(posts) == 2
    assert titles(zotero) == ["Another paper", "Engines", "Looms and looming"]


def test_what_the_library_has_is_not_written(newsletter: Newsletter, reader: str, zotero: ZoteroServer) -> None:
    zotero.add(title="Loom", DOI="10.1000/LOOM")
    zotero.add("preprint", title="engines")
    newsletter.run("library", "sync", reader)
    zotero.requests.clear()
    assert [save(newsletter, reader, paper) for paper in (1, 2)] == [SaveOutcome.IN_ZOTERO] * 2
    assert zotero.requests == []


def test_attempts_wait_longer_each_time_and_end(newsletter: Newsletter, reader: str, zotero: ZoteroServer) -> None:
    zotero.faults = [Answer(500, "no")] * 100
    assert save(newsletter, reader, 1) is SaveOutcome.LATER
    assert later(newsletter, "2025-11-28T09:04") == {}
    tried = parse_moment("2025-11-28T09:05")
    for wait in (15, 45, 135, 405, 1215, 3645):
        assert later(newsletter, tried.isoformat()) == {"later": 1}
        assert later(newsletter, (tried + timedelta(minutes=wait - 1)).isoformat()) == {}
        tried += timedelta(minutes=wait)
    assert later(newsletter, tried.isoformat()) == {"failed": 1}
    zotero.faults = []
    with serving(newsletter) as where, site_client(where) as client:
        page = client.get(path_of(links_of(newsletter).save_url(row_of(newsletter, reader), 1))).text
    assert "could not be saved to Zotero" in page


def test_a_refused_key_is_reported_once_and_a_new_one_resumes(
    newsletter: Newsletter, reader: str, zotero: ZoteroServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    zotero.keys[KEY] = False
    assert save(newsletter, reader, 1) is SaveOutcome.LATER
    (row,) = newsletter.run("library", "list", "--json").rows
    assert "does not allow writing" in row["error"]
    # With a key that allows only reading, papers are not tried there.
    newsletter.run("library", "sync", reader)
    zotero.requests.clear()
    assert save(newsletter, reader, 2) is SaveOutcome.LISTED
    assert later(newsletter, "2025-11-28T10:00") == {"later": 1}
    assert zotero.requests == []
    zotero.keys[KEY] = True
    newsletter.run("library", "sync", reader)
    assert later(newsletter, "2025-11-29T10:00") == {"in_zotero": 1}
    connect(newsletter, reader, monkeypatch, READ_ONLY_KEY)
    assert save(newsletter, reader, 2) is SaveOutcome.LISTED


def test_a_reader_waits_at_most_five_seconds(newsletter: Newsletter, reader: str, zotero: ZoteroServer) -> None:
    hold = threading.Event()
    zotero.before = lambda request: hold.wait(30) and None
    link = path_of(links_of(newsletter).save_url(row_of(newsletter, reader), 1))
    with serving(newsletter) as where, httpx.Client(base_url=where, timeout=7, verify=False) as client:
        assert client.post(link).status_code == 303
        hold.set()
        assert "we’ll try again" in client.get(link).text


def test_exports_stop_when_zotero_does_not_answer(newsletter: Newsletter, reader: str, zotero: ZoteroServer) -> None:
    (newsletter.folder / "more.jsonl").write_text("".join(f'{{"title": "More {n}"}}\n' for n in range(3)))
    newsletter.run("import", "more.jsonl")
    zotero.before = lambda request: zotero.faults.append(Answer(503, "busy"))
    assert {save(newsletter, reader, paper) for paper in range(1, 6)} == {SaveOutcome.LATER}
    assert later(newsletter, "2025-11-28T09:06") == {"later": 3}
    zotero.before = lambda request: None
    assert later(newsletter, "2025-11-28T09:06") == {"in_zotero": 2}
