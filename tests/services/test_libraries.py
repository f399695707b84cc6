"""Libraries of subscribers, by the command line and against a Zotero API on loopback."""

import io
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import Connection

from newsletter.audience import subscriptions
from newsletter.audience.data_export import export_data
from newsletter.errors import UserError
from newsletter.model import Interest, LibraryItem, LibraryKind, LibraryRef, Preferences, Subscriber, SubscriberState
from newsletter.services.context import AppContext, open_context
from newsletter.services.libraries import add_upload, remove_library, sync_due
from newsletter.services.openalex_budget import BudgetSpentError, spend
from newsletter.store import libraries, open_store, reading, subscribers, writing
from newsletter.store.retention import forget_person
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.newsletter import NOW, CommandResult, Newsletter
from tests.helpers.web import dump
from tests.helpers.zotero import KEY, READ_ONLY_KEY, USER, Answer, Request, ZoteroServer, zotero_server

LIBRARY = f"zotero:user/{USER}"
LATER, NEXT_DAY = "2025-11-28T12:00", "2025-11-29T09:00"


@pytest.fixture
def zotero(newsletter: Newsletter) -> Iterator[ZoteroServer]:
    with zotero_server() as server:
        newsletter.configure(libraries={"zotero_url": server.url})
        yield server


class Library:
    """The commands for libraries, with a key on standard input."""

    def __init__(self, newsletter: Newsletter, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.newsletter, self.reader, self._monkeypatch = newsletter, reader, monkeypatch

    def add(self, *options: str, key: str = KEY, library: str = LIBRARY, code: int = 0) -> CommandResult:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
        return self.newsletter.run("library", "add", self.reader, library, *options, code=code)

    def sync(self, code: int = 0, now: str = NOW) -> dict[str, object]:
        (row,) = self.newsletter.run("library", "sync", self.reader, "--json", code=code, now=now).rows
        return {name: value for name, value in row.items() if value}

    @property
    def listed(self) -> dict[str, object]:
        (row,) = self.newsletter.run("library", "list", self.reader, "--json").rows
        return row

    def data(self) -> dict[str, Any]:
        """All data about the reader, as the site exports it."""
        engine = open_store(self.newsletter.config.store_url)
        with reading(engine) as connection:
            data = export_data(connection, subscriptions.get_subscriber(connection, self.reader))
        engine.dispose()
        return data

    def papers(self) -> dict[str, dict]:
        """The papers of all libraries, by title."""
        return {paper["title"]: paper for library in self.data()["libraries"] for paper in library["papers"]}


@pytest.fixture
def library(newsletter: Newsletter, reader: str, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.delenv("NEWSLETTER_ZOTERO_KEY", raising=False)
    return Library(newsletter, reader, monkeypatch)


def asked(zotero: ZoteroServer) -> list[str]:
    """The requests since the last call, without the user's prefix."""
    found = [request.short.removeprefix(f"/users/{USER}") for request in zotero.requests]
    zotero.requests.clear()
    return found


@pytest.mark.both_stores
def test_a_second_sync_asks_for_changes_only(zotero: ZoteroServer, library: Library) -> None:
    keys = zotero.fill(500)
    began = time.monotonic()
    assert "500 papers" in library.add().out
    assert time.monotonic() - began < 10
    pages = [f"/items/top?limit=100&start={start}" for start in range(0, 500, 100)]
    assert asked(zotero) == ["/keys/current", "/collections?limit=100&start=0", *pages]
    assert library.sync() == {"email": library.reader, "address": LIBRARY, "total": 500}
    since = f"since={zotero.version}"
    assert asked(zotero) == ["/keys/current", f"/items/top?includeTrashed=1&limit=100&{since}&start=0"]
    zotero.add(key=keys[0], title="A new title")
    zotero.add(title="A new paper")
    zotero.add(key=keys[1], deleted=1)
    zotero.delete(keys[2])
    changed = {"added": 1, "changed": 1, "removed": 2, "total": 499}
    assert library.sync() == {"email": library.reader, "address": LIBRARY, **changed}
    assert asked(zotero) == [
        "/keys/current",
        f"/items/top?includeTrashed=1&limit=100&{since}&start=0",
        f"/deleted?{since}",
        f"/collections?limit=1&{since}",
        "/collections?limit=100&start=0",
    ]
    titles = library.papers()
    assert {"A new title", "A new paper"} <= set(titles)
    assert not {f"Paper {number} on E. coli" for number in (1, 2, 3)} & set(titles)
    # What comes back out of the trash is a paper again.
    zotero.add(key=keys[1], deleted=0)
    assert library.sync()["added"] == 1


def test_items_become_papers(zotero: ZoteroServer, library: Library) -> None:
    zotero.add(
        title="The role of H<sub>2</sub>O in <i>E. coli</i>",
        creators=[
            {"creatorType": "editor", "firstName": "Ed", "lastName": "Itor"},
            {"creatorType": "author", "firstName": "Grace", "lastName": "Hopper"},
            {"creatorType": "author", "name": "ATLAS Collaboration"},
        ],
        date="May 2021",
        DOI="https://doi.org/10.1000/ABC",
        publicationTitle="Nature",
        url="javascript:alert(1)",
        tags=[{"tag": "water"}, {"tag": "bacteria", "type": 1}],
    )
    zotero.add("preprint", title="By its archive", archiveID="arXiv:2402.01310", repository="arXiv")
    zotero.add(title="By its journal", publicationTitle="arXiv:1706.03762 [cs]", extra="", url="http://x.org/")
    zotero.add(title="By extra", extra="Citation Key: x\narXiv: hep-th/9901001\nDOI: 10.1000/extra")
    zotero.add("conferencePaper", title="At a conference", proceedingsTitle="Proceedings of X", date="2020-02-31")
    zotero.add("attachment", title="A PDF")
    zotero.add("note", note="Mine")
    zotero.add(title="")
    zotero.add(title="Damaged", creators="nobody")
    library.add()
    papers = library.papers()
    water = papers.pop("The role of H2O in E. coli")
    assert water["authors"] == ["Grace Hopper", "ATLAS Collaboration"]
    assert (water["venue"], water["published"], water["doi"]) == ("Nature", "2021-05-01", "10.1000/abc")
    assert (water["url"], water["keywords"]) == ("https://doi.org/10.1000/abc", ["water", "bacteria"])
    assert {title: (one["arxiv_id"], one["doi"], one["venue"]) for title, one in papers.items()} == {
        "By its archive": ("2402.01310", None, None),
        "By its journal": ("1706.03762", None, None),
        "By extra": ("hep-th/9901001", "10.1000/extra", None),
        "At a conference": (None, None, "Proceedings of X"),
    }


def test_only_chosen_collections_count_and_another_choice_reads_all(zotero: ZoteroServer, library: Library) -> None:
    papers = zotero.collection("Papers")
    chemistry = zotero.collection("Chemistry", papers)
    deep = zotero.collection("Organic", chemistry)
    hobby = zotero.collection("Gardening")
    places = {"Top": [papers], "Chem": [chemistry], "Deep": [deep], "Both": [hobby, deep], "Rose": [hobby], "None": []}
    keys = {title: zotero.add(title=title, collections=where) for title, where in places.items()}
    library.add("--collection", "Papers/*")
    assert set(library.papers()) == {"Chem", "Deep", "Both"}
    assert library.papers()["Both"]["collections"] == ["Gardening", "Papers/Chemistry/Organic"]
    zotero.add(key=keys["Chem"], collections=[hobby])
    zotero.add(key=keys["Rose"], collections=[deep])
    assert library.sync()["removed"] == 1
    assert set(library.papers()) == {"Rose", "Deep", "Both"}
    # An item does not change when its collection is moved or renamed.
    zotero.collection("Organic", None, key=deep)
    zotero.collection("Plants", chemistry, key=hobby)
    library.sync()
    assert set(library.papers()) == {"Chem", "Both"}
    library.add("--collection", "papers")
    assert set(library.papers()) == {"Top"}
    file = library.newsletter.folder / "subscribers" / "ada.yaml"
    assert "collections:" in file.read_text()
    file.write_text(re.sub(r" *collections:.*\n( *- papers\n)?", "", file.read_text()))
    asked(zotero)
    library.sync()
    assert set(library.papers()) == set(places)
    assert not any("since" in request for request in asked(zotero))


def test_each_collection_is_an_interest(zotero: ZoteroServer, library: Library) -> None:
    top = zotero.collection("Papers")
    zotero.add(title="In no collection")
    for name in ("Looms", "Engines"):
        zotero.add(title=f"On {name}", collections=[zotero.collection(name, top)])
    library.add("--each-collection", "--collection", "Papers/*")
    shown = library.newsletter.run("interests", "show", library.reader, "--json").rows[0]["interests"]
    named = {one["name"]: one.get("zotero") for one in shown}
    assert named["Looms"] == [{"user": USER, "collections": ["Papers/Looms"]}]
    assert set(named) == {"Several goals", "Looms", "Engines"}
    assert library.listed["collections"] == ["Papers/Engines", "Papers/Looms"]
    asked(zotero)
    assert library.sync()["total"] == 2
    assert len(asked(zotero)) == 2


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ([], "", "needs a key for this library"),
        ([], "bbbbFoyLeZu2bZNvvuQPDWsd", "does not know the key"),
        ([], "not a key", "not a Zotero API key"),
        (["--collection", "Paper"], KEY, "did you mean 'Papers'?"),
        (["--interest", "Several goal"], KEY, "did you mean 'Several goals'?"),
        (["--key-env", "NOT_SET"], KEY, "NOT_SET is not set"),
    ],
)
def test_a_wrong_library_is_not_added(
    zotero: ZoteroServer, library: Library, options: list[str], key: str, words: str
) -> None:
    zotero.add(title="X", collections=[zotero.collection("Papers")])
    before = (library.newsletter.folder / "subscribers" / "ada.yaml").read_text()
    ran = library.add(*options, key=key, code=2)
    assert words in ran.err
    assert not key or key not in ran.err + ran.out
    assert (library.newsletter.folder / "subscribers" / "ada.yaml").read_text() == before
    assert library.newsletter.run("library", "list", "--json").rows == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("zotero:user/99", "check the number"),
        ("zotero:user/x", "is not a Zotero ID"),
        ("library.docx", "is not a library"),
        ("missing.bib", "no such file"),
        ("orcid:0000-0002-1825-0098", "check digit"),
    ],
)
def test_what_is_no_library_is_explained(zotero: ZoteroServer, library: Library, address: str, words: str) -> None:
    assert words in library.add(library=address, code=2).err


def test_a_revoked_key_is_reported_once_and_the_papers_stay(zotero: ZoteroServer, library: Library) -> None:
    zotero.fill(3)
    library.add()
    run = library.newsletter.run
    del zotero.keys[KEY]
    first = run("run", "--once", code=None, now=NEXT_DAY).out
    assert first.count("event='library_failed'") == 1
    assert "does not know the key" in first
    assert "library_failed" not in run("run", "--once", code=None, now="2025-11-30T09:00").out
    assert library.listed["papers"] == 3
    assert "https://www.zotero.org/settings/keys" in str(library.listed["error"])
    zotero.keys[KEY] = True
    assert library.sync(now="2025-11-30T10:00")["total"] == 3
    assert library.listed["error"] is None


def test_another_error_is_reported_again_and_each_once(zotero: ZoteroServer, library: Library) -> None:
    zotero.fill(1)
    library.add()
    zotero.keys.clear()

    def reported(day: int) -> int:
        out = library.newsletter.run("run", "--once", code=None, now=f"2025-12-{day:02}T09:00").out
        return out.count("event='library_failed'")

    assert [reported(1), reported(2)] == [1, 0]
    zotero.before = lambda request: zotero.faults.append(Answer(503, "busy"))
    assert [reported(3), reported(4)] == [1, 0]


def test_another_key_keeps_the_collections(
    zotero: ZoteroServer, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    zotero.fill(2, collections=[zotero.collection("Papers")])
    zotero.fill(1)
    library.add("--collection", "Papers", key=READ_ONLY_KEY)
    assert (library.listed["collections"], library.listed["can_write"]) == (["Papers"], False)
    library.add()
    assert (library.listed["collections"], library.listed["can_write"]) == (["Papers"], True)
    monkeypatch.setenv("ADA_ZOTERO", READ_ONLY_KEY)
    library.add("--key-env", "ADA_ZOTERO")
    assert (library.listed["collections"], library.listed["can_write"]) == (["Papers"], False)
    file = (library.newsletter.folder / "subscribers" / "ada.yaml").read_text()
    assert "Papers" in file and "key: env:ADA_ZOTERO" in file and file.count("zotero:") == 1


def test_collections_that_are_changed_while_a_library_is_added_are_read_next(
    zotero: ZoteroServer, library: Library
) -> None:
    zotero.add(title="In one", collections=[zotero.collection("One")])
    zotero.add(title="In two", collections=[zotero.collection("Two")])
    library.add("--collection", "One")
    file = library.newsletter.folder / "subscribers" / "ada.yaml"

    def edit(_: Request) -> None:
        file.write_text(file.read_text().replace("One", "Two"))

    zotero.before = edit
    library.add()
    zotero.before = lambda _: None
    assert "Two" in file.read_text()
    library.sync()
    assert set(library.papers()) == {"In two"}


def person(context: AppContext, email: str, *interests: Interest) -> Subscriber:
    with writing(context.engine) as connection:
        preferences = Preferences(email=email, interests=interests)
        return subscribers.add(connection, preferences, SubscriberState.ACTIVE, "test", context.clock(), file=None)


def present(context: AppContext, subscriber: Subscriber) -> Preferences:
    with reading(context.engine) as connection:
        return subscribers.by_rows(connection, [subscriber.row])[subscriber.row].preferences


@pytest.fixture
def context(newsletter: Newsletter) -> Iterator[AppContext]:
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    yield context
    context.engine.dispose()


@pytest.mark.both_stores
def test_what_the_reader_saved_meanwhile_is_kept(context: AppContext) -> None:
    stale = person(context, "eve@example.org", Interest(name="A"))
    with writing(context.engine) as connection:
        newer = replace(stale.preferences, interests=(Interest(name="A"), Interest(name="B")), never=("survey",))
        subscribers.set_preferences(connection, stale.row, newer, parse_moment(NOW))
    add_upload(context, stale, "one.bib", BIB.encode())
    add_upload(context, stale, "two.bib", BIB.encode())
    assert [one.name for one in present(context, stale).interests] == ["A", "B", "One", "Two"]
    assert remove_library(context, stale, "upload:one.bib") == 1
    assert [one.name for one in present(context, stale).interests] == ["A", "B", "Two"]
    assert present(context, stale).never == ("survey",)
    with writing(context.engine) as connection:
        forget_person(connection, stale.row, parse_moment(NOW))
    with pytest.raises(UserError, match="no longer a subscriber"):
        add_upload(context, stale, "three.bib", BIB.encode())


def test_a_server_that_does_not_answer_is_soon_left_alone(
    zotero: ZoteroServer, newsletter: Newsletter, context: AppContext
) -> None:
    (newsletter.folder / "papers.bib").write_text(BIB)
    groups = [LibraryRef(kind=LibraryKind.ZOTERO_GROUP, id=str(number)) for number in range(1, 6)]
    for ref in (*groups, LibraryRef(kind=LibraryKind.FILE, id="papers.bib")):
        person(context, f"r{len(ref.id)}{ref.id}@example.org", Interest(name="A", libraries=(ref,)))
    zotero.before = lambda request: zotero.faults.append(Answer(503, "busy"))
    results = list(sync_due(context))
    assert [result.no_answer for result in results] == [True, True, True, False, False, False]
    assert len(zotero.requests) == 3 * context.config.network.attempts
    assert all("not tried, since Zotero did not answer" in str(result.error) for result in results[3:5])
    assert results[5].total == 1
    # The others are still due.
    zotero.before = lambda request: None
    assert [result.address for result in sync_due(context)] == ["zotero:group/4", "zotero:group/5"]


def test_a_bug_in_one_library_stops_no_other(
    newsletter: Newsletter, context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one.bib", "two.bib"):
        (newsletter.folder / name).write_text(BIB)
        ref = LibraryRef(kind=LibraryKind.FILE, id=name)
        person(context, f"{name}@example.org", Interest(name="A", libraries=(ref,)))
    merge = libraries.merge_items

    def with_a_bug(connection: Connection, library: int, items: Sequence[LibraryItem]) -> tuple[int, int]:
        if library == 1:
            raise ValueError("a bug")
        return merge(connection, library, items)

    monkeypatch.setattr(libraries, "merge_items", with_a_bug)
    one, two = sync_due(context)
    assert one.error is not None and "a bug" in one.error
    assert (two.error, two.total) == (None, 1)


def test_publications_count_as_requests_of_the_day(
    context: AppContext, newsletter: Newsletter, httpserver: HTTPServer
) -> None:
    newsletter.configure(libraries={"openalex_url": httpserver.url_for("").rstrip("/"), "openalex_requests_per_day": 2})
    httpserver.expect_request("/works").respond_with_json({"meta": {"count": 1}, "results": [work(1)]})
    run = newsletter.run
    run("subscribe", "eve@example.org", "--no-file")
    run("library", "add", "eve@example.org", "orcid:0000-0002-1825-0097")
    limited = replace(context, config=newsletter.config)
    spend(limited, parse_moment(NOW))
    assert "used up" in run("library", "sync", "eve@example.org", code=1).err
    assert len(httpserver.log) == 1
    run("library", "sync", "eve@example.org", now=NEXT_DAY)
    with pytest.raises(BudgetSpentError):
        for _ in range(2):
            spend(limited, parse_moment(NEXT_DAY))


def test_a_scheduled_sync_waits_for_its_time(zotero: ZoteroServer, library: Library) -> None:
    zotero.fill(1)
    library.add()
    zotero.fill(2)
    asked(zotero)
    library.newsletter.run("run", "--once", code=None, now=LATER)
    assert asked(zotero) == []
    out = library.newsletter.run("run", "--once", code=None, now=NEXT_DAY).out
    assert f"event='library_synced' email='{library.reader}' library='{LIBRARY}' added=2" in out


def test_a_busy_server_is_waited_for(zotero: ZoteroServer, library: Library) -> None:
    zotero.fill(1)
    zotero.faults = [Answer(429, "Too many requests", {"Retry-After": "1"})]
    began = time.monotonic()
    library.add()
    assert time.monotonic() - began >= 1
    zotero.faults = [Answer(200, {"userID": int(USER), "access": {"user": {"library": True}}}, {"Backoff": "1"})]
    began = time.monotonic()
    library.sync()
    assert time.monotonic() - began >= 1
    zotero.faults = [Answer(429, "Too many requests", {"Retry-After": "3600"})]
    assert "retry after 3600 s" in str(library.sync(code=1)["error"])
    assert library.listed["papers"] == 1


def test_an_unreachable_server_keeps_the_library_for_later(zotero: ZoteroServer, library: Library) -> None:
    zotero.fill(2)
    zotero.faults = [Answer(503, "busy")] * 2
    ran = library.add(code=1)
    assert "status 503" in ran.err
    assert "will be read at the next sync" in ran.err
    assert library.sync()["total"] == 2


def test_a_library_changed_while_it_is_read_is_read_again(zotero: ZoteroServer, library: Library) -> None:
    keys = zotero.fill(150)

    def change(request: Request) -> None:
        if request.query.get("start") == "100":
            zotero.before = lambda request: None
            zotero.delete(keys[149])

    zotero.before = change
    assert "149 papers" in library.add().out
    zotero.before = lambda request: zotero.collection("New") and None
    assert "changed 5 times" in str(library.sync(code=1)["error"])
    assert library.listed["papers"] == 149


def test_no_key_is_shown_stored_or_logged(
    zotero: ZoteroServer, library: Library, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")
    zotero.fill(1)
    said = [library.add()]
    zotero.faults = [Answer(500, "no")] * 2
    said.append(library.newsletter.run("library", "sync", code=1))
    zotero.faults = [Answer(302, None, {"Location": "http://localhost:1/"})]
    said.append(library.newsletter.run("library", "sync", code=1))
    assert "a redirect" in said[-1].err
    said.append(library.newsletter.run("run", "--once", code=None, now=NEXT_DAY))
    shown = "".join(one.out + one.err for one in said) + str(dump(library.newsletter)) + str(library.data())
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("newsletter"))
    assert KEY not in shown + logged
    assert KEY.encode() not in b"".join(one.read_bytes() for one in library.newsletter.folder.rglob("*.*"))
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", "another key of sixteen bytes or more")
    error = str(library.sync(code=1)["error"])
    assert "another signing key" in error
    assert library.listed["papers"] == 1
    library.add()
    assert library.sync()["total"] == 1


def test_a_key_in_the_environment_is_not_stored(
    zotero: ZoteroServer, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    zotero.fill(1)
    monkeypatch.setenv("ADA_ZOTERO", READ_ONLY_KEY)
    library.add()
    assert (library.listed["has_key"], library.listed["can_write"]) == (True, True)
    library.add("--key-env", "ADA_ZOTERO")
    assert (library.listed["has_key"], library.listed["can_write"]) == (False, False)
    assert "key: env:ADA_ZOTERO" in (library.newsletter.folder / "subscribers" / "ada.yaml").read_text()
    monkeypatch.delenv("ADA_ZOTERO")
    assert "ADA_ZOTERO is not set" in str(library.sync(code=1)["error"])
    # Whoever has no file may have signed up on the site, and gets no key of the operator.
    library.newsletter.run("subscribe", "eve@example.org", "--no-file")
    monkeypatch.setenv("NEWSLETTER_ZOTERO_KEY", KEY)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "needs a key" in library.newsletter.run("library", "add", "eve@example.org", LIBRARY, code=2).err
    zotero.public = True
    library.newsletter.run("library", "add", "eve@example.org", LIBRARY)


FIELDS = "id,doi,display_name,publication_date,authorships,abstract_inverted_index,primary_location,locations,keywords"
BIB = "@article{one, title = {Looms and looming}, author = {Ada Lovelace}, doi = {10.1000/loom}, year = 2020}\n"


def test_a_file_is_read_again_when_it_changes(library: Library) -> None:
    file = library.newsletter.folder / "papers.bib"
    file.write_text(BIB)
    assert "1 paper" in library.add(library="papers.bib").out
    assert "file: papers.bib" in (library.newsletter.folder / "subscribers" / "ada.yaml").read_text()
    assert library.sync() == {"email": library.reader, "address": "file:papers.bib", "total": 1}
    file.write_text(f"{BIB}@misc{{two, title = {{More looms}}}}\n")
    assert library.sync()["added"] == 1
    file.unlink()
    assert "No such file" in str(library.sync(code=1)["error"])
    assert len(library.papers()) == 2
    assert (
        "did you mean 'file:papers.bib'?"
        in library.newsletter.run("library", "remove", library.reader, "file:paper.bib", code=2).err
    )
    library.newsletter.run("library", "remove", library.reader, "file:papers.bib")
    assert "papers.bib" not in (library.newsletter.folder / "subscribers" / "ada.yaml").read_text()
    assert library.papers() == {}


def test_a_library_that_a_file_names_is_read_and_one_it_no_longer_names_is_removed(library: Library) -> None:
    folder = library.newsletter.folder
    (folder / "papers.bib").write_text(BIB)
    file = folder / "subscribers" / "ada.yaml"
    before = file.read_text()
    file.write_text(f"{before}    file: papers.bib\n")
    library.newsletter.run("run", "--once", code=None)
    assert set(library.papers()) == {"Looms and looming"}
    library.newsletter.run("unsubscribe", library.reader)
    file.write_text(before)
    # At once, whatever the reader's state.
    library.newsletter.run("run", "--once", code=None)
    assert library.data()["libraries"] == []
    assert library.newsletter.run("library", "list", "--json").rows == []


def work(number: int, **changes: object) -> dict[str, object]:
    """A work as OpenAlex writes it."""
    return {
        "id": f"https://openalex.org/W{number}",
        "doi": f"https://doi.org/10.1000/work.{number}",
        "display_name": f"Work {number} on <i>looms</i>",
        "publication_date": "2021-04-01",
        "authorships": [{"author_position": "first", "author": {"id": "A1", "display_name": "Ada Lovelace"}}],
        "abstract_inverted_index": {"weave": [1], "Looms": [0], "patterns.": [2]},
        "primary_location": {
            "landing_page_url": "https://x.org",
            "source": {"display_name": "Loom", "type": "journal"},
        },
        "locations": [{"landing_page_url": "http://arxiv.org/abs/2101.00001", "source": None}],
        "keywords": [{"id": "k", "display_name": "Weaving", "score": 0.5}],
        **changes,
    }


def test_publications_come_from_openalex(
    newsletter: Newsletter, library: Library, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_OPENALEX_KEY", "sesame")
    newsletter.configure(libraries={"openalex_url": httpserver.url_for("")})
    damaged = {"id": "https://openalex.org/W9", "display_name": None}
    pages = {"1": [work(1)], "2": [work(2, abstract_inverted_index=None), damaged]}
    for number, works in pages.items():
        query = {"filter": "author.orcid:0000-0002-1825-0097", "page": number, "per-page": "100"}
        sent = {**query, "select": FIELDS, "mailto": "papers@example.org", "api_key": "sesame"}
        httpserver.expect_request("/works", query_string=sent).respond_with_json(
            {"meta": {"count": 3}, "results": works}
        )
    library.add(library="https://orcid.org/0000-0002-1825-0097")
    first = library.papers()["Work 1 on looms"]
    assert (first["abstract"], first["venue"], first["arxiv_id"]) == ("Looms weave patterns.", "Loom", "2101.00001")
    assert (first["authors"], first["keywords"]) == (["Ada Lovelace"], ["Weaving"])
    assert library.sync() == {"email": library.reader, "address": "orcid:0000-0002-1825-0097", "total": 2}
    httpserver.clear()
    httpserver.expect_request("/works").respond_with_data("no", status=403)
    error = str(library.sync(code=1)["error"])
    assert "status 403" in error
    assert "sesame" not in error
    assert len(library.papers()) == 2


def test_forgetting_a_subscriber_deletes_libraries_papers_and_keys(zotero: ZoteroServer, library: Library) -> None:
    zotero.fill(2)
    library.add()
    held = dump(library.newsletter)
    assert (len(held["libraries"]), len(held["library_items"])) == (1, 2)
    library.newsletter.run("subscribers", "forget", library.reader, "--yes")
    held = dump(library.newsletter)
    assert (held["libraries"], held["library_items"]) == ([], [])


def test_a_reader_has_no_more_papers_than_can_be_ranked_by(
    newsletter: Newsletter, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.services.libraries.MOST_PAPERS", 3)
    for name, number, code in (("a", 2, 0), ("b", 2, 2), ("a", 3, 0)):
        entries = "".join(f"@misc{{{name}{n}, title = {{Paper {n} of {name}}}}}\n" for n in range(number))
        (newsletter.folder / f"{name}.bib").write_text(entries)
        said = newsletter.run("library", "add", reader, f"{name}.bib", code=code)
    assert [row["papers"] for row in newsletter.run("library", "list", reader, "--json").rows] == [3]
    # A file that has grown too large keeps its papers of before.
    (newsletter.folder / "a.bib").write_text("".join(f"@misc{{n{n}, title = {{Paper {n}}}}}\n" for n in range(4)))
    said = newsletter.run("library", "sync", reader, "--json", code=1)
    assert "together may have 3 papers" in said.rows[0]["error"]
    assert [row["papers"] for row in newsletter.run("library", "list", reader, "--json").rows] == [3]
