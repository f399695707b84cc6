"""One paper is one row, however many sources name it."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from newsletter.model import Paper
from newsletter.store import open_store, paper_upsert, papers, reading, writing
from tests.helpers.newsletter import create_store

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)


pytestmark = pytest.mark.both_stores


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def keep(engine: Engine, *found: Paper, source: str = "a", now: datetime = NOW) -> paper_upsert.UpsertCounts:
    with writing(engine) as connection:
        return paper_upsert.upsert(connection, found, source, now)


def everything(engine: Engine) -> list[Paper]:
    with reading(engine) as connection:
        return sorted(papers.listing(connection, papers.PaperFilter()), key=lambda paper: paper.row)


def test_sources_meet_in_one_row(engine: Engine) -> None:
    keep(engine, Paper(title="Deep Looms", comments=2), source="page")
    keep(engine, Paper(title="Deep  looms!", arxiv_id="2501.00001", version=1, abstract="Text."), source="arxiv")
    keep(engine, Paper(title="Other title now", arxiv_id="2501.00001", upvotes=7, doi="10.1/x"), source="hf")
    keep(engine, Paper(title="Third", doi="10.1/x", organization="Looms Ltd"), source="feed")
    (paper,) = everything(engine)
    assert (paper.title, paper.abstract, paper.comments, paper.upvotes) == ("Deep  looms!", "Text.", 2, 7)
    assert paper.organization == "Looms Ltd"
    assert paper.sources == ("arxiv", "feed", "hf", "page")
    assert paper.first_seen == NOW


def test_the_thumbnail_of_the_first_source_that_has_one_is_kept(engine: Engine) -> None:
    keep(engine, Paper(title="Looms"))
    keep(engine, Paper(title="Looms", thumbnail_url="https://a.example/1.png"), source="b")
    keep(engine, Paper(title="Looms", thumbnail_url="https://b.example/2.png"), source="c")
    assert [paper.thumbnail_url for paper in everything(engine)] == ["https://a.example/1.png"]


def test_a_summary_is_kept_with_who_made_it(engine: Engine) -> None:
    keep(engine, Paper(title="Looms", summary="In short."))
    keep(engine, Paper(title="Looms", summary="Other words.", summary_by="Somebody"), source="b")
    assert [(paper.summary, paper.summary_by) for paper in everything(engine)] == [("In short.", None)]
    keep(engine, Paper(title="Looms", summary="In short.", summary_by="Hugging Face"), source="c")
    assert [(paper.summary, paper.summary_by) for paper in everything(engine)] == [("In short.", "Hugging Face")]
    keep(engine, Paper(title="Nets", abstract="Nets hold. They do.", summary="Nets hold.", summary_by="Hugging Face"))
    keep(engine, Paper(title="Nets", abstract="Nets hold. They do.", summary="Holding.", summary_by="Hugging Face"))
    assert everything(engine)[1].summary == "Holding."
    keep(engine, Paper(title="Cards"), Paper(title="Cards", summary="Cards.", summary_by="Hugging Face"))
    assert everything(engine)[2].summary_by == "Hugging Face"


def test_a_newer_version_replaces_the_text_and_an_older_one_does_not(engine: Engine) -> None:
    keep(engine, Paper(title="Looms", abstract="one", arxiv_id="2501.00001", version=1))
    keep(engine, Paper(title="Looms II", abstract="two", arxiv_id="2501.00001", version=2))
    keep(engine, Paper(title="Looms", abstract="one", arxiv_id="2501.00001", version=1))
    (paper,) = everything(engine)
    assert (paper.title, paper.abstract, paper.version) == ("Looms II", "two", 2)
    with reading(engine) as connection:
        assert papers.find(connection, "looms ii") == paper


def test_same_title_with_contradicting_identifiers_are_two_papers(engine: Engine) -> None:
    keep(engine, Paper(title="Editorial", doi="10.1/a"), Paper(title="Editorial", doi="10.1/b"))
    keep(engine, Paper(title="???"), Paper(title="!!!"))
    assert len({paper.id for paper in everything(engine)}) == 4


def test_counts_are_refreshed_and_gaps_are_no_news(engine: Engine) -> None:
    keep(engine, Paper(title="Looms", upvotes=5, comments=3, published=date(2025, 1, 2)))
    keep(engine, Paper(title="Looms", upvotes=4))
    (paper,) = everything(engine)
    assert (paper.upvotes, paper.comments, paper.published) == (4, 3, date(2025, 1, 2))


@pytest.mark.parametrize(
    "named",
    ["2501.00001", "2501.00001v4", "arXiv:2501.00001", "https://arxiv.org/pdf/2501.00001v2", "deep looms", "10.1000/X"],
)
def test_a_paper_is_found_by_any_of_its_names(engine: Engine, named: str) -> None:
    keep(engine, Paper(title="Deep Looms", arxiv_id="2501.00001", doi="10.1000/x"))
    with reading(engine) as connection:
        found = papers.find(connection, named)
        assert found is not None
        assert found.title == "Deep Looms"
        assert papers.find(connection, "2501.99999") is None


def test_no_text_is_too_strange_to_be_kept(engine: Engine) -> None:
    strange = "a\0b \\N \t %s {} '\" 织机 \U0001f9f5"
    keep(engine, Paper(title=f"Looms {strange}", abstract=strange, authors=(strange,), keywords=(strange,)))
    (paper,) = everything(engine)
    # PostgreSQL keeps no NUL.
    assert paper.abstract in (strange, strange.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    assert (paper.authors, paper.keywords) == ((strange,), (strange,))
    with reading(engine) as connection:
        assert papers.find(connection, f"looms {paper.abstract}") == paper


titles = st.sampled_from(["Looms", "looms!", "Engines", "Engine notes", "?", "织机"])
some_papers = st.builds(
    Paper,
    title=titles,
    abstract=st.sampled_from(["", "one", "two"]),
    arxiv_id=st.sampled_from([None, "2501.00001", "2501.00002"]),
    version=st.sampled_from([None, 1, 2]),
    doi=st.sampled_from([None, "10.1/a", "10.1/b"]),
    upvotes=st.sampled_from([None, 0, 9]),
    authors=st.sampled_from([(), ("Ada",)]),
)


@given(st.lists(some_papers, max_size=8))
def test_fetching_the_same_again_changes_nothing(found: list[Paper]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_store(create_store(Path(folder, "store.db")))
        for _ in range(3):
            keep(engine, *found)
        settled = everything(engine)
        assert keep(engine, *found).new == 0
        assert len(everything(engine)) == len(settled)
        assert len({paper.id for paper in settled}) == len(settled)
        # Two entries of one fetch may disagree about a paper; but the same fetch ends in the same state each time.
        assert everything(engine) == settled
        engine.dispose()
