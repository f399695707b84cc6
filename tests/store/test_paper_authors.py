"""Authors of stored papers are found by any spelling, on either kind of store."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select

from newsletter.model import Paper
from newsletter.store import copying, open_store, paper_authors, paper_upsert, papers, reading, schema, writing
from newsletter.support.person_names import NameMatch
from tests.helpers.newsletter import create_store

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
CROWD = tuple(f"Member{chr(97 + number % 26)}{chr(97 + number // 26 % 26)} {number:04}" for number in range(1_200))

pytestmark = pytest.mark.both_stores


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    with writing(engine) as connection:
        found = (
            Paper(title="One", authors=("Geoffrey E. Hinton", "Érica Hinton")),
            Paper(title="Two", authors=("Hinton, G.", "Hintonberg, Gus")),
            Paper(title="Three", authors=("GEOFFREY HINTON", "Geoffrey E. Hinton", "宋飏")),
            Paper(title="Four", authors=("Hinton-Smith, Gina", "Zoë Hinton", *CROWD)),
        )
        paper_upsert.upsert(connection, found, "test", NOW)
    yield engine
    engine.dispose()


def test_spellings_of_a_name_with_their_papers(engine: Engine) -> None:
    with reading(engine) as connection:
        found = paper_authors.find(connection, ["Geoffrey Hinton", "宋 飏", "Nobody Else"])
        assert [(one.name, one.agrees, one.papers) for one in found["Geoffrey Hinton"]] == [
            ("Geoffrey E. Hinton", NameMatch.FULL, 2),
            ("GEOFFREY HINTON", NameMatch.FULL, 1),
            ("Hinton, G.", NameMatch.POSSIBLE, 1),
        ]
        assert [one.name for one in found["宋 飏"]] == ["宋飏"]
        assert found["Nobody Else"] == []
        by = paper_authors.papers_by(connection, ["Geoffrey E. Hinton", "Hinton, G."], 10)
        titles = {row: paper.title for row, paper in papers.by_rows(connection, by).items()}
        assert [(titles[row], name) for row, name in by.items()] == [
            ("Three", "Geoffrey E. Hinton"),
            ("Two", "Hinton, G."),
            ("One", "Geoffrey E. Hinton"),
        ]
        assert [titles[row] for row in paper_authors.papers_by(connection, ["Geoffrey E. Hinton"], 1)] == ["Three"]
        assert paper_authors.papers_by(connection, [], 10) == {}


def test_a_family_name_finds_those_who_have_it_and_no_longer_ones(engine: Engine) -> None:
    with reading(engine) as connection:
        found = paper_authors.with_family_name(connection, "hinton", 10)
        assert (found[0].name, found[0].papers) == ("Geoffrey E. Hinton", 2)
        assert {one.name for one in found} == {
            "Geoffrey E. Hinton",
            "GEOFFREY HINTON",
            "Hinton, G.",
            "Zoë Hinton",
            "Érica Hinton",
        }
        assert len(paper_authors.papers_of_family_name(connection, "Hinton", 10)) == 4


def test_a_newer_version_replaces_the_authors_even_of_a_collaboration(engine: Engine) -> None:
    def count() -> int:
        with reading(engine) as connection:
            of_paper = schema.paper_authors.c.paper == papers.find(connection, "Four").row  # type: ignore[union-attr]
            query = select(func.count(schema.paper_authors.c.name.distinct())).where(of_paper)
            return connection.execute(query).scalar_one()

    assert count() == 1_202
    newer = Paper(title="Four", authors=(*CROWD[600:], "Ada Byron", "Ada Byron"), version=2)
    with writing(engine) as connection:
        paper_upsert.upsert(connection, [newer], "test", NOW)
    assert count() == 601
    with reading(engine) as connection:
        assert [one.papers for one in paper_authors.find(connection, ["Byron, Ada"])["Byron, Ada"]] == [1]
        assert paper_authors.find(connection, ["Gina Hinton-Smith"])["Gina Hinton-Smith"] == []


def test_a_copy_of_the_store_finds_them_too(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    copied = open_store(create_store(tmp_path_factory.mktemp("copy") / "store.db"))
    sums = copying.copy(engine, copied, lambda *_: None)
    assert sums["paper_authors"].rows > 1_200
    with reading(copied) as connection:
        assert len(paper_authors.papers_of_family_name(connection, "Hinton", 10)) == 4
    copied.dispose()
