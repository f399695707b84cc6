"""Ranking an edition again gives what was ranked then, whatever has changed since."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

from newsletter.services.context import open_context
from newsletter.services.due_subscribers import active_batches
from newsletter.services.planning import plan_batch
from newsletter.services.ranking_snapshot import build_snapshot, from_payload, rated_papers, to_payload
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox

YAML = """\
email: ada@example.org
never: [survey]
interests:
  - {name: Learning, text: reinforcement learning from human feedback, liked: ["Multi-Objective GFlowNets"]}
  - {name: Models, text: energy-based models}
"""


def grow(newsletter: Newsletter) -> None:
    lines = [f'{{"title": "Looms {number}", "abstract": "Energy of looms {number}."}}' for number in range(90)]
    (newsletter.folder / "more.jsonl").write_text("\n".join(lines))
    newsletter.run("import", "more.jsonl")


def test_an_edition_is_ranked_again_as_it_was(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", YAML)
    newsletter.run("feedback", "ada@example.org", "Multi-Objective GFlowNets", "less", "--interest", "Models")
    before = newsletter.run("rank", "ada@example.org", "--top", "60", "--json").rows
    newsletter.run("send")
    (sent,) = newsletter.run("log", "--json").rows
    # The interests change, feedback comes, papers come, and the space is fitted anew.
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [diffusion models]\n")
    newsletter.run("feedback", "ada@example.org", before[0]["paper_id"], "less")
    grow(newsletter)
    newsletter.run("send", now="2025-11-29T09:00")
    rows = newsletter.run("log", "--json").rows
    assert rows[1]["model_version"] != rows[0]["model_version"] == sent["model_version"]
    again = newsletter.run("rank", "ada@example.org", "--edition", sent["edition"], "--top", "60", "--json").rows
    assert again == before
    scores = {row["paper_id"]: row["score"] for row in again}
    for paper in sent["papers"]:
        if paper["section"] != "Trending":
            assert scores[paper["id"]] == paper["score"]


def test_a_verdict_that_comes_while_blocks_are_handed_out_counts_from_the_next_edition_on(
    newsletter: Newsletter, mail: Mailbox
) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", YAML)
    before = newsletter.run("rank", "ada@example.org", "--top", "60", "--json").rows
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    field = build_snapshot(context)
    assert field is not None
    (block,) = active_batches(context)
    handed = replace(block, rated=rated_papers(context, field.index, block.editions))
    newsletter.run("feedback", "ada@example.org", before[0]["paper_id"], "less")
    newsletter.run("feedback", "ada@example.org", before[-1]["paper_id"], "more")
    plan_batch(context, from_payload(context, to_payload(field)), handed, "nobody")
    newsletter.run("send")
    (sent,) = newsletter.run("log", "--json").rows
    assert before[0]["paper_id"] in {paper["id"] for paper in sent["papers"]}
    again = newsletter.run("rank", "ada@example.org", "--edition", sent["edition"], "--top", "60", "--json").rows
    assert again == before


def test_a_reader_of_trending_alone_gets_the_same_list(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: []\n")
    newsletter.run("send")
    (sent,) = newsletter.run("log", "--json").rows
    again = newsletter.run("rank", "ada@example.org", "--edition", sent["edition"], "--json").rows
    assert [row["paper_id"] for row in again] == [paper["id"] for paper in sent["papers"]]


def test_a_digest_that_was_ranked_by_another_formula_is_not_ranked_again(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", YAML)
    newsletter.run("send")
    # As digests of versions before the formula was logged.
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store, store:
        store.execute("UPDATE ranked_with SET content = json_remove(content, '$.formula')")
    told = newsletter.run("rank", "ada@example.org", "--edition", "2025-11-28", code=2).err
    assert "was ranked by a version of the program that computed matches differently" in told
    shown = newsletter.run("log", "ada@example.org", "--edition", "2025-11-28", "--json").rows
    assert shown[0]["papers"]


def test_what_cannot_be_ranked_again_says_why(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", YAML)
    ran = newsletter.run("rank", "ada@example.org", "--edition", "2025-11-27", code=2)
    assert "the log has no digest of 2025-11-27 for ada@example.org" in ran.err
    newsletter.run("send")
    (sent,) = newsletter.run("log", "--json").rows
    grow(newsletter)
    newsletter.run("papers", "search", "looms")
    model = newsletter.folder / "var" / "index" / sent["model_version"]
    model.rename(model.with_name("elsewhere"))
    # In a process of its own: this one may have the space in memory still.
    process = newsletter.start("rank", "ada@example.org", "--edition", sent["edition"])
    _, err = process.communicate(timeout=60)
    assert (process.returncode, f"the index {sent['model_version']}" in err) == (2, True), err


def test_trending_fills_the_digest_of_a_reader_who_has_only_given_feedback(
    newsletter: Newsletter, mail: Mailbox
) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\n")
    newsletter.run("subscribers", "list")

    def sections() -> list[str]:
        shown = json.loads(newsletter.run("preview", "ada@example.org", "--format", "json").out)
        return [paper["section"] for paper in shown["papers"]]

    before = sections()
    assert set(before) == {"Trending"}
    newsletter.run("feedback", "ada@example.org", "Multi-Objective GFlowNets", "more")
    after = sections()
    assert after[0] == "From your feedback"
    assert len(after) == len(before)
    # Who has interests gets a short digest instead.
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [protein folding in yeast]\n")
    assert len(sections()) < len(before)
