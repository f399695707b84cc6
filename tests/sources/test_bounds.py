from dataclasses import fields, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.model import EventKind, Notice, Paper, SkippedPaper
from newsletter.sources import bounds
from newsletter.sources.bounds import all_within_bounds, brief, within_bounds
from newsletter.sources.errors import SourceError
from newsletter.store import open_store, paper_upsert, papers, reading, writing
from newsletter.support.identifiers import title_key
from tests.helpers.newsletter import Newsletter

PAPER = Paper(title="A title", abstract="An abstract.", authors=("Ada Lovelace",), doi="10.1000/x")


def bounded(**changes: object) -> tuple[Paper, str]:
    found = within_bounds(replace(PAPER, **changes))
    assert isinstance(found.item, Paper), found.item
    return found.item, "\n".join(found.cut)


@pytest.mark.parametrize(("name", "most"), bounds.MAX_CHARACTERS.items())
def test_a_text_that_is_too_long_is_cut_at_a_word(name: str, most: int) -> None:
    paper, cut = bounded(**{name: "word " * most})
    text = getattr(paper, name)
    assert text.endswith("word…")
    assert most - 10 <= len(text) <= most
    assert f"{name} cut to {most:,} of {5 * most - 1:,} characters" in cut
    unbroken, _ = bounded(**{name: "x" * (most + 1)})
    assert getattr(unbroken, name) == "x" * (most - 1) + "…"
    assert bounded(**{name: "x" * most})[1] == ""


@pytest.mark.parametrize(("name", "most", "longest"), [(name, *both) for name, both in bounds.MAX_ITEMS.items()])
def test_a_list_that_is_too_long_is_cut(name: str, most: int, longest: int) -> None:
    paper, cut = bounded(**{name: tuple(f"{number} {'x' * longest}" for number in range(most + 3))})
    fitting = bounds.MAX_AUTHOR_CHARACTERS // longest if name == "authors" else most
    assert len(getattr(paper, name)) == fitting
    assert {len(item) for item in getattr(paper, name)} == {longest}
    assert f"{name} cut to the first {most:,} of {most + 3:,}" in cut
    assert f"{name}: {most:,} cut to {longest} characters" in cut


def test_the_names_of_all_authors_together_have_a_bound() -> None:
    names = tuple(f"{number:0100}" for number in range(5_000))
    paper, cut = bounded(authors=names, author_count=5_000)
    assert (paper.authors, paper.author_count) == (names[:2_000], 5_000)
    assert "authors cut to the first 2,000, the maximum is 200,000 characters" in cut
    assert bounded(authors=names[:2_000])[1] == ""


def test_an_author_count_that_is_told_stays_when_names_are_cut() -> None:
    paper, _ = bounded(authors=("A B",) * 20_000, author_count=20_000)
    assert (len(paper.authors), paper.author_count) == (5_000, 20_000)


@pytest.mark.parametrize("name", ["upvotes", "comments", "code_stars", "version", "author_count"])
@pytest.mark.parametrize("value", [-1, 2**31, 2**63, 10**4000, -(2**70)], ids=str)
def test_a_count_that_no_database_holds_is_left_out(name: str, value: int) -> None:
    paper, cut = bounded(**{name: value})
    assert getattr(paper, name) is None
    assert f"{name} left out" in cut
    assert getattr(bounded(**{name: 2**31 - 1})[0], name) == 2**31 - 1


@pytest.mark.parametrize("name", ["published", "listed_on"])
@pytest.mark.parametrize("day", [date.min, date(1599, 12, 31), date(2201, 1, 1), date.max], ids=str)
def test_a_day_of_no_paper_is_left_out(name: str, day: date) -> None:
    paper, cut = bounded(**{name: day})
    assert getattr(paper, name) is None
    assert f"{name} left out, since {day}" in cut


def test_the_address_of_a_thumbnail_is_https() -> None:
    paper, cut = bounded(thumbnail_url="http://x.org/y.png")
    assert paper.thumbnail_url is None
    assert "thumbnail_url left out, since it does not begin with https://" in cut
    assert bounded(thumbnail_url="HTTPS://x.org/y.png")[0].thumbnail_url == "HTTPS://x.org/y.png"


@pytest.mark.parametrize("name", ["url", "pdf_url", "code_url", "project_url", "thumbnail_url"])
def test_a_url_that_is_too_long_or_none_is_left_out(name: str) -> None:
    paper, cut = bounded(**{name: "https://x.org/" + "y" * 2000})
    assert getattr(paper, name) is None
    assert f"{name} left out, since it is longer than 2,000 characters" in cut
    for value in ("javascript:alert(1)", "https://x.org/\0", "https://x.org/a b"):
        assert getattr(bounded(**{name: value})[0], name) is None
    assert getattr(bounded(**{name: "https://x.org/y"})[0], name) == "https://x.org/y"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"doi": "10.1000/" + "x" * 300}, "doi: longer than 300 characters, got '10.1000/xxx"),
        ({"doi": "10.1000/x\0y"}, "doi: contains characters that are not allowed in identifiers"),
        ({"doi": "10.1000/x\u200by"}, "doi: contains characters that are not allowed in identifiers"),
        ({"doi": ""}, "doi: contains characters that are not allowed in identifiers"),
        ({"arxiv_id": "a" * 301 + "/1234567"}, "arxiv_id: longer than 300 characters"),
        ({"title": " \0\u200b "}, "title: missing"),
    ],
)
def test_a_paper_that_cannot_be_told_apart_is_a_bad_one(changes: dict, why: str) -> None:
    found = within_bounds(replace(PAPER, **changes)).item
    assert isinstance(found, SkippedPaper)
    assert found.why.startswith(why)


def test_what_is_said_of_a_bad_paper_is_bounded_too() -> None:
    found = within_bounds(SkippedPaper("w" * 100_000, "why\n" * 100_000)).item
    assert isinstance(found, SkippedPaper)
    assert max(len(found.where), len(found.why), len(brief("x" * 10_000))) <= bounds.MAX_PROBLEM


def test_papers_are_counted() -> None:
    found = all_within_bounds(iter([PAPER] * 4), 3, "raise it")
    assert [next(found).item for _ in range(3)] == [PAPER] * 3
    with pytest.raises(SourceError, match="returns more than 3 papers; the rest was left out; raise it"):
        next(found)
    assert len(list(all_within_bounds(iter([PAPER] * 3), 3, ""))) == 3


def test_notices_are_counted_apart() -> None:
    notice = Notice(kind=EventKind.RETRACTED, of=("pmid:1",))
    assert len(list(all_within_bounds(iter([PAPER, notice] * 3), 3, ""))) == 6
    with pytest.raises(SourceError, match="more than 3 notices about papers; the rest was left out; raise it"):
        list(all_within_bounds(iter([notice] * 4), 3, "raise it"))


any_text = st.text(alphabet=st.characters(codec=None)) | st.sampled_from(
    ["\0", "\ud800", "\ufdfa" * 2000, "𝔘" * 5000, "a\x00b", "x " * 30_000, "ß" * 1000]
)
any_number = st.none() | st.integers() | st.sampled_from([2**31, 2**63, -1])
any_paper = st.builds(
    Paper,
    title=any_text,
    abstract=any_text,
    authors=st.lists(any_text, max_size=3).map(tuple),
    author_count=any_number,
    organization=st.none() | any_text,
    arxiv_id=st.none() | any_text,
    version=any_number,
    doi=st.none() | any_text,
    published=st.none() | st.dates(),
    listed_on=st.none() | st.dates(),
    categories=st.lists(any_text, max_size=3).map(tuple),
    url=st.none() | any_text,
    code_stars=any_number,
    summary=st.none() | any_text,
    keywords=st.lists(any_text, max_size=60).map(tuple),
    upvotes=any_number,
    comments=any_number,
)


@pytest.mark.both_stores
def test_whatever_a_source_gives_can_be_stored(store_url: str) -> None:
    engine = open_store(store_url)

    @settings(suppress_health_check=list(HealthCheck))
    @given(st.lists(any_paper, max_size=3))
    def store(found: list[Paper]) -> None:
        items = [within_bounds(paper).item for paper in found]
        with writing(engine) as connection:
            paper_upsert.upsert(connection, [item for item in items if isinstance(item, Paper)], "x", datetime.now(UTC))
        for item in items:
            again = within_bounds(item)
            assert (again.item, again.cut) == (item, ())

    store()
    with reading(engine) as connection:
        assert all(len(paper.title) <= 1000 for paper in papers.listing(connection, papers.PaperFilter()))
    engine.dispose()


def test_every_field_of_a_paper_has_a_bound() -> None:
    """A field that is added to Paper needs one too."""
    known = {*bounds.MAX_CHARACTERS, *bounds.MAX_ITEMS, *bounds._COUNTS, *bounds._DAYS, *bounds._URLS}
    ours = {"arxiv_id", "doi", "links", "status", "sources", "first_seen", "id", "row"}
    assert {field.name for field in fields(Paper)} == known | ours


@pytest.mark.parametrize("title", ["\ufdfa" * 1000, "𝔘x" * 1000, "word " * 1000, "é" * 3000])
def test_the_key_of_a_long_title_fits_into_an_index(title: str) -> None:
    assert len(title_key(title).encode()) <= 2000
    assert title_key(title) != title_key(title + "y")
    assert title_key(title) == title_key(title.upper())


def test_the_bounds_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "sources.md").read_text()
    numbers = [*bounds.MAX_CHARACTERS.values(), *(number for both in bounds.MAX_ITEMS.values() for number in both)]
    numbers.append(bounds.MAX_AUTHOR_CHARACTERS)
    for number in [*numbers, bounds.MAX_URL, bounds.MAX_IDENTIFIER, bounds.MAX_COUNT, bounds.MAX_FILE_PAPERS]:
        assert f"{number:,}" in text


def test_an_imported_file_has_the_same_bounds(newsletter: Newsletter) -> None:
    long = "word " * 5000
    lines = [f'{{"title": "{long}", "abstract": "{long}"}}', '{"title": "x", "doi": "10.1000/' + "x" * 400 + '"}']
    (newsletter.folder / "papers.jsonl").write_text("\n".join(lines))
    ran = newsletter.run("import", "papers.jsonl")
    assert "title cut to 1,000 of 24,999 characters" in ran.err
    assert "abstract cut to 10,000 of 24,999 characters" in ran.err
    assert "skipped: doi: longer than 300 characters" in ran.err
    (row,) = newsletter.run("import", "papers.jsonl", "--json").rows
    assert len(row["cut"]) == 2
    (paper,) = newsletter.run("papers", "list", "--json").rows
    assert (len(paper["title"]), len(paper["abstract"])) == (1000, 10_000)
