"""Encodings are kept next to the index: each paper is encoded once, whatever happens to the index."""

import json
from pathlib import Path

import pytest

from newsletter.services.context import open_context
from newsletter.services.index import saved_index
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.newsletter import NOW, Newsletter, wait_until
from tests.helpers.sentence_model import SETTINGS
from tests.helpers.smtp import Mailbox


def folder(newsletter: Newsletter) -> Path:
    (found,) = (newsletter.folder / "var" / "index" / "meaning").iterdir()
    return found


def state(newsletter: Newsletter) -> dict:
    return json.loads((folder(newsletter) / "state.json").read_text())


def vectors(newsletter: Newsletter) -> dict[str, int]:
    """The files of vectors, and how many papers each has."""
    return {path.name: (path.stat().st_size - 128) // 384 for path in folder(newsletter).glob("vectors-*.npy")}


def add(newsletter: Newsletter, *titles: str, **fields: object) -> None:
    lines = [json.dumps({"title": title, "abstract": f"{title}, looms.", **fields}) for title in titles]
    (newsletter.folder / "more.jsonl").write_text("\n".join(lines))
    newsletter.run("import", "more.jsonl")


@pytest.fixture
def semantic(newsletter: Newsletter) -> Newsletter:
    """A newsletter of three papers that ranks by meaning."""
    add(newsletter, "Jacquard looms", "Analgesia in neonates", "Bond markets")
    # Among three papers, none stands out much.
    newsletter.configure(ranking={"semantic": SETTINGS, "min_score": 0.1})
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [pain relief for newborn babies]\n")
    newsletter.run("index")
    return newsletter


def test_only_new_papers_are_encoded_and_a_refit_encodes_none(semantic: Newsletter) -> None:
    assert vectors(semantic) == {"vectors-1.npy": 3}
    add(semantic, "Steam engines")
    semantic.run("index")
    assert vectors(semantic) == {"vectors-1.npy": 3, "vectors-2.npy": 1}
    before = {path.name: path.stat().st_mtime_ns for path in folder(semantic).glob("*.npy")}
    semantic.run("index", "--refit", now="2025-12-20T09:00")
    assert {path.name: path.stat().st_mtime_ns for path in folder(semantic).glob("*.npy")} == before


def test_a_paper_with_a_new_text_is_encoded_again(newsletter: Newsletter) -> None:
    add(newsletter, "Looms", arxiv_id="2501.00001", version=1)
    newsletter.configure(ranking={"semantic": SETTINGS})
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [{name: x, text: anaesthesia for infants}]\n")
    newsletter.run("index")
    add(newsletter, "Pain relief for newborn babies", arxiv_id="2501.00001", version=2)
    newsletter.run("index")
    assert vectors(newsletter) == {"vectors-1.npy": 1, "vectors-2.npy": 1}
    assert state(newsletter)["held"] == 1


def test_many_parts_become_one(semantic: Newsletter) -> None:
    for number in range(9):
        add(semantic, f"Looms {number}")
        semantic.run("index")
    assert sum(vectors(semantic).values()) == state(semantic)["held"] == 12
    assert len(vectors(semantic)) < 9
    assert len(state(semantic)["parts"]) == len(vectors(semantic))


def test_a_damaged_part_is_encoded_again(semantic: Newsletter) -> None:
    ranked = semantic.run("rank", "ada@example.org", "--json").rows
    assert ranked[0]["title"] == "Analgesia in neonates"
    (folder(semantic) / "vectors-1.npy").write_bytes(b"damaged")
    add(semantic, "Steam engines")
    semantic.run("index")
    assert state(semantic)["held"] == 4
    assert semantic.run("rank", "ada@example.org", "--json").rows[0]["title"] == "Analgesia in neonates"


def test_what_was_encoded_when_the_program_was_killed_is_kept(newsletter: Newsletter) -> None:
    add(newsletter, *(f"Looms and the number {number}" for number in range(1_200)))
    newsletter.configure(ranking={"semantic": SETTINGS})
    process = newsletter.start("index")
    kept = newsletter.folder / "var" / "index" / "meaning"
    wait_until(lambda: [*kept.glob("*/state.json")], process)
    process.kill()
    process.wait()
    held = state(newsletter)["held"]
    assert 0 < held < 1_200
    before = (folder(newsletter) / "vectors-1.npy").stat().st_mtime_ns
    newsletter.run("index")
    assert state(newsletter)["held"] == 1_200
    assert (folder(newsletter) / "vectors-1.npy").stat().st_mtime_ns == before


def test_the_saved_index_has_the_encodings_so_far(semantic: Newsletter) -> None:
    add(semantic, "Steam engines")
    context = open_context(semantic.config, frozen_clock(parse_moment(NOW)))
    index = saved_index(context)
    context.engine.dispose()
    assert index is not None and index.meaning is not None
    assert [part.vectors.shape for part in index.meaning.parts] == [(3, 384)]


def test_another_store_gets_encodings_of_its_own(semantic: Newsletter) -> None:
    for path in (semantic.folder / "var").glob("newsletter.db*"):
        path.unlink()
    add(semantic, "Pain relief for newborn babies", "Looms")
    semantic.run("index")
    assert vectors(semantic) == {"vectors-2.npy": 2}


def test_a_digest_is_replayed_by_the_model_that_ranked_it(semantic: Newsletter, mail: Mailbox) -> None:
    semantic.run("send")
    (sent,) = semantic.run("log", "--json").rows
    plain = (semantic.folder / "config.yaml").read_text()
    replay = ("rank", "ada@example.org", "--edition", "2025-11-28", "--json")
    first = semantic.run(*replay).rows
    assert first[0]["because"] == "close in meaning to what you describe"
    assert [one["id"] for one in sent["papers"]] == [row["paper_id"] for row in first][: len(sent["papers"])]
    semantic.configure(ranking={"semantic": None})
    assert "set ranking.semantic as it was then" in semantic.run(*replay, code=2).err
    # Refitted since, the old version keeps its space of meaning.
    (semantic.folder / "config.yaml").write_text(plain)
    add(semantic, *(f"Looms {number}" for number in range(5)))
    semantic.run("index", "--refit", now="2025-12-20T09:00")
    assert semantic.run(*replay).rows == first
