"""Why a paper is in a subscriber's digest of today, or why it is not: ``rank EMAIL --why PAPER``."""

import json
import re

import pytest

from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox

FILE = """\
email: ada@example.org
papers: 5
schedule: {days: daily}
never: [survey]
interests:
  - name: Several goals
    text: multi-objective reinforcement learning and Pareto fronts
  - name: Looms
    text: weaving looms with cogs
    liked: [Liked looms]
"""
PAPERS = [
    {"title": "Weaving looms", "abstract": "Weaving looms with cogs.", "arxiv_id": "2511.00001"},
    {"title": "Liked looms", "abstract": "Weaving looms with cogs."},
    {"title": "Survey of looms", "abstract": "Weaving looms with cogs."},
    {"title": "Xylophones", "abstract": "Zithers."},
]


@pytest.fixture
def ada(newsletter: Newsletter) -> Newsletter:
    newsletter.with_sample()
    (newsletter.folder / "looms.jsonl").write_text("".join(json.dumps(paper) + "\n" for paper in PAPERS))
    newsletter.run("import", "looms.jsonl")
    newsletter.subscriber("ada", FILE)
    return newsletter


def why(newsletter: Newsletter, paper: str, now: str = NOW) -> dict:
    (row,) = newsletter.run("rank", "ada@example.org", "--why", paper, "--json", now=now).rows
    return dict(row)


def test_the_place_is_the_one_in_the_digest_and_in_the_ranking(ada: Newsletter) -> None:
    ranked = {row["paper_id"]: row for row in ada.run("rank", "ada@example.org", "--top", "1000", "--json").rows}
    previewed = json.loads(ada.run("preview", "ada@example.org", "--format", "json").out)["papers"]
    digest = {paper["id"]: paper for paper in previewed}
    assert 0 < len(digest) <= 5 < len(ranked)
    every = [row["id"] for row in ada.run("papers", "list", "--json").rows]
    for paper in [*digest, *[one for one in ranked if one not in digest][:4], *every[:6]]:
        found = why(ada, paper)
        assert found["place"] == (digest[paper]["rank"] if paper in digest else None)
        assert found["rank"] == (ranked[paper]["rank"] if paper in ranked else None)
        expected = (
            {"chosen"} if paper in digest else {"crowded_out"} if paper in ranked else {"below_minimum", "hidden"}
        )
        assert found["reason"] in expected, found
        if paper in ranked:
            assert found["score"] == pytest.approx(max(found["matches"].values()), abs=1e-6)
            assert found["interest"] == max(found["matches"], key=found["matches"].get)
    said = ada.run("rank", "ada@example.org", "--why", "2511.00001v1").out
    assert said.startswith("Weaving looms (2511.00001)\nIt is ")
    assert "of 5 in today’s digest, in “Looms”, with a match of" in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 80


def test_a_place_that_another_interest_has_is_told(ada: Newsletter) -> None:
    ada.configure(digest={"trending": 0})
    ada.subscriber("ada", FILE.replace("papers: 5", "papers: 1"))
    (shown,) = json.loads(ada.run("preview", "ada@example.org", "--format", "json").out)["papers"]
    best = ada.run("rank", "ada@example.org", "--top", "1", "--json").rows[0]
    assert (best["title"], shown["section"]) == ("Weaving looms", "Several goals")
    assert why(ada, "Weaving looms")["explanation"] == (
        "It is 1st by match, but the places of the digest are shared (Several goals 1), and within an "
        "interest, papers that are less alike are preferred."
    )


def test_each_reason_for_absence_is_told(ada: Newsletter) -> None:
    for paper, reason, words in (
        ("No such paper", "not_stored", "“No such paper” is not in the store."),
        ("Liked looms", "rated", "It was rated as liked for “Looms”."),
        ("Survey of looms", "hidden", "It contains “survey”, which is under never."),
        ("Xylophones", "below_minimum", "It has no word, author or category in common with any interest."),
    ):
        found = why(ada, paper)
        assert (found["reason"], found["explanation"]) == (reason, words)
        assert found["place"] is found["rank"] is None
    ranked = ada.run("rank", "ada@example.org", "--top", "1000", "--json").rows
    last = why(ada, ranked[-1]["paper_id"])
    assert (last["reason"], last["rank"]) == ("crowded_out", len(ranked))
    assert re.fullmatch(
        rf"It is {len(ranked)}(th|st|nd|rd) by match, and the digest has at most 5 papers.", last["explanation"]
    )
    ada.configure(ranking={"min_score": 0.99})
    low = why(ada, ranked[-1]["paper_id"])
    assert low["reason"] == "below_minimum"
    assert f"“{ranked[-1]['interest']}” ({ranked[-1]['because']}); the minimum is 99%" in low["explanation"]
    old = why(ada, "Weaving looms", now="2026-02-01T09:00")
    assert (old["reason"], old["explanation"]) == (
        "too_old",
        "It was first seen on Friday, 28 November 2025, more than 14 days ago (ranking.max_age_days).",
    )
    ada.run("feedback", "ada@example.org", "Xylophones", "less", "--interest", "Looms")
    assert why(ada, "Xylophones")["explanation"] == "It was rated as disliked for “Looms” on Friday, 28 November 2025."


def test_what_was_sent_or_considered_is_told_from_the_next_day_on(ada: Newsletter, mail: Mailbox) -> None:
    ada.run("subscribers", "list")
    ranked = ada.run("rank", "ada@example.org", "--top", "1000", "--json").rows
    before = why(ada, "Weaving looms")
    ada.run("send")
    assert len(mail.messages()) == 1
    assert why(ada, "Weaving looms") == before
    tomorrow = "2025-11-29T09:00"
    assert why(ada, "Weaving looms", now=tomorrow)["explanation"] == (
        "It was in the digest of Friday, 28 November 2025."
    )
    # What was considered and not sent may still have a place that is left over.
    assert {why(ada, row["paper_id"], now=tomorrow)["reason"] for row in ranked[5:]} >= {"chosen"}


def test_without_interests_papers_are_discussed_or_not(ada: Newsletter) -> None:
    ada.subscriber("ada", "email: ada@example.org\npapers: 2\n")
    ranked = ada.run("rank", "ada@example.org", "--top", "1000", "--json").rows
    assert why(ada, ranked[0]["paper_id"])["explanation"].startswith(
        "It is 1st of 2 in today’s digest, in “Trending”: "
    )
    assert (
        why(ada, ranked[2]["paper_id"])["explanation"]
        == "It is 3rd by discussion, and the digest has at most 2 papers."
    )
    assert why(ada, "Xylophones")["reason"] == "not_discussed"


def test_why_is_about_today(ada: Newsletter) -> None:
    told = ada.run("rank", "ada@example.org", "--why", "Xylophones", "--edition", "2025-11-28", code=2).err
    assert "--why explains the digest of today; remove --edition" in told
