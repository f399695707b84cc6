"""One paper is one row, however many sources name it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from newsletter.errors import NewsletterError, UserError
from newsletter.model import Paper
from newsletter.store import open_store, papers, reading, writing
from tests.conftest import Newsletter

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)


pytestmark = pytest.mark.both_stores


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def keep(engine: Engine, *found: Paper, source: str = "a", now: datetime = NOW) -> papers.Kept:
    with writing(engine) as connection:
        return papers.keep(connection, found, source, now)


def everything(engine: Engine) -> list[Paper]:
    with reading(engine) as connection:
        return list(papers.by_rows(connection, papers.rows_after(connection, 0)).values())


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


@settings(max_examples=60)
@given(st.lists(some_papers, max_size=8))
def test_fetching_the_same_again_changes_nothing(found: list[Paper]) -> None:
    engine = open_store("sqlite://")
    for _ in range(3):
        keep(engine, *found)
    settled = everything(engine)
    assert keep(engine, *found).new == 0
    assert len(everything(engine)) == len(settled)
    assert len({paper.id for paper in settled}) == len(settled)
    # Two entries of one fetch may disagree about a paper; but the same fetch ends in the same state each time.
    assert everything(engine) == settled
    engine.dispose()


def test_a_store_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"store\.url: .*choose a folder that can be written"):
        open_store(f"sqlite:///{tmp_path}/file/store.db")
    (tmp_path / "broken.db").write_bytes(b"this is no database, it only looks like a long file" * 100)
    with pytest.raises(NewsletterError, match=r"broken\.db is damaged, or no newsletter's store: .*; restore it"):
        open_store(f"sqlite:///{tmp_path}/broken.db")
    with pytest.raises(UserError, match="cannot be used"):
        open_store("nosuchbase://x")
    with pytest.raises(UserError, match=r"'soon'; write it like sqlite:///var/newsletter\.db"):
        open_store(f"sqlite:///{tmp_path}/store.db?timeout=soon")


def test_a_store_that_turns_bad_is_told(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    path = newsletter.folder / "var" / "newsletter.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:  # all but what is looked at when it is opened
        file.seek(4096 * 4)
        file.write(b"rust" * (path.stat().st_size // 4 - 4096))
    for command in ("papers list", "subscribers list", "import x.jsonl"):
        (newsletter.folder / "x.jsonl").write_text('{"title": "One"}')
        (line,) = newsletter.run(*command.split(), code=1).err.splitlines()
        assert line.startswith("error: store: ")
        assert "newsletter.db is damaged" in line
        assert line.endswith("restore it from a backup")


def test_a_command_that_reads_has_no_word_of_what_was_kept(newsletter: Newsletter) -> None:
    newsletter.run("subscribers", "list")
    newsletter.subscriber("ada", "email: ada@example.org\n")
    (line,) = newsletter.run_on_full_disk("subscribers", "list").stderr.splitlines()
    assert line.startswith("error: store: ")
    assert line.endswith("; check the disk and who else uses it, then run it again")


def test_a_store_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    engine = open_store(url)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(NewsletterError, match=r"was made by a newer newsletter \(9999\); upgrade this program"):
        open_store(url)


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from newsletter.store.database import HEAD
    from newsletter.store.schema import metadata

    engine = open_store(f"sqlite:///{tmp_path}/store.db")
    with reading(engine) as connection:
        migrations = MigrationContext.configure(connection)
        assert migrations.get_current_revision() == HEAD
        assert compare_metadata(migrations, metadata) == []
    engine.dispose()
