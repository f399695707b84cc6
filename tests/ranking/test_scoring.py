"""Ranking on the sample corpus: what an interest asks for stands on top, with the reason."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from newsletter.model import Interest, Paper, PaperRef
from newsletter.ranking.explain import liked_parts, profile_part, term_parts
from newsletter.ranking.index import Index, build_matrix, make_index, make_segment
from newsletter.ranking.profile import WeightedInterest, make_profiles
from newsletter.ranking.scoring import content_matches, gather, make_candidates, matches
from newsletter.ranking.search import best_first, by_paper, by_words
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tfidf import fit, paper_text
from newsletter.services.demo import SAMPLE_PAPERS
from tests.helpers.newsletter import Newsletter


def follow(newsletter: Newsletter, yaml: str) -> list[dict]:
    newsletter.with_sample()
    newsletter.subscriber("ada", f"email: ada@example.org\n{yaml}")
    return newsletter.run("rank", "ada@example.org", "--top", "8", "--json").rows


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("multi-objective reinforcement learning and Pareto fronts", ("multi-objective", "pareto", "objective")),
        ("robustness under distribution shift", ("shift", "robust")),
        ("energy-based models", ("energy",)),
        ("diffusion models for images", ("diffusion",)),
    ],
)
def test_the_first_five_are_about_what_was_asked(newsletter: Newsletter, text: str, words: tuple[str, ...]) -> None:
    rows = follow(newsletter, f"interests:\n  - {text}\n")
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    for row in rows[:5]:
        assert any(word in row["because"].lower() for word in words), row
        (paper,) = newsletter.run("papers", "show", row["paper_id"], "--json").rows
        assert any(word in f"{paper['title']} {paper['abstract']}".lower() for word in words)


def test_a_liked_paper_leads_to_its_neighbours_and_is_named(newsletter: Newsletter) -> None:
    # One liked paper says little, so few papers reach the usual minimum.
    newsletter.configure(ranking={"min_score": 0.1, "max_age_days": 9999})
    rows = follow(newsletter, 'interests:\n  - name: Goals\n    liked: ["Multi-Objective GFlowNets"]\n')
    assert sum("multi-objective" in row["title"].lower() for row in rows[:6]) >= 2
    assert "like “Multi-Objective GFlowNets”" in rows[0]["because"]
    # Who likes a paper knows it already.
    assert "Multi-Objective GFlowNets" not in [row["title"] for row in rows]


def test_disliked_papers_push_their_kind_down(newsletter: Newsletter) -> None:
    liking = "interests:\n  - name: Learning\n    text: reinforcement learning, reward models, language models\n"
    before = follow(newsletter, liking)
    after = follow(newsletter, f'{liking}    disliked: ["{before[0]["title"]}"]\n')
    assert after[0]["title"] != before[0]["title"]


def test_keywords_weigh_as_they_are_told(newsletter: Newsletter) -> None:
    rows = follow(
        newsletter, "interests:\n  - name: Both\n    keywords: {energy-based model: 9, federated learning: 1}\n"
    )
    assert "energy" in rows[0]["title"].lower() or "energy" in rows[0]["because"].lower()


def test_followed_authors_and_categories_count(newsletter: Newsletter) -> None:
    (newsletter.folder / "more.jsonl").write_text(
        '{"title": "Notes on looms", "authors": ["Ada Lovelace"], "abstract": "Weaving."}\n'
        '{"title": "Notes on cogs", "categories": ["cs.XY"], "abstract": "Brass."}\n'
    )
    newsletter.run("import", "more.jsonl")
    rows = follow(
        newsletter, "interests:\n  - {name: People, authors: [ada lovelace]}\n  - {name: Field, categories: [CS.xy]}\n"
    )
    assert (rows[0]["title"], rows[0]["because"]) == ("Notes on looms", "by Ada Lovelace, whom you follow")
    assert (rows[1]["title"], rows[1]["interest"], rows[1]["because"]) == ("Notes on cogs", "Field", "in cs.XY")


def test_authors_match_by_any_spelling_and_possibly_by_initials(newsletter: Newsletter) -> None:
    written = ["Gödel, K.", "KURT GÖDEL", "Karl Gödel", "Kurt Gödel-Escher", "The Kurt Collaboration"]
    (newsletter.folder / "more.jsonl").write_text(
        "".join(json.dumps({"title": f"Notes, part {name}", "authors": ["A. Nother", name]}) + "\n" for name in written)
    )
    newsletter.run("import", "more.jsonl")
    rows = follow(newsletter, "interests:\n  - {name: People, authors: [Kurt Godel, Kurt Collaboration, Nother]}\n")
    assert {(row["because"], row["score"]) for row in rows} == {
        ("by KURT GÖDEL, whom you follow", 1.0),
        ("by The Kurt Collaboration, whom you follow", 1.0),
        ("possibly by Gödel, K., whom you follow", 0.5),
    }
    assert "possibly" in rows[-1]["because"]


def test_what_is_never_wanted_is_not_shown(newsletter: Newsletter) -> None:
    newsletter.configure(ranking={"min_score": 0.05, "max_age_days": 9999})
    rows = follow(newsletter, "never: [PARETO]\ninterests:\n  - multi-objective learning and Pareto fronts\n")
    assert rows
    for row in rows:
        (paper,) = newsletter.run("papers", "show", row["paper_id"], "--json").rows
        assert "pareto" not in f"{paper['title']} {paper['abstract']}".lower()


def test_without_interests_the_ranking_is_what_is_trending(newsletter: Newsletter) -> None:
    rows = follow(newsletter, "interests: []\n")
    assert {row["interest"] for row in rows} == {"Trending"}
    assert "comment" in rows[0]["because"]


def test_words_the_store_does_not_know_find_nothing_and_say_so(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\ninterests:\n  - xylophone zither quokka\n")
    ran = newsletter.run("rank", "ada@example.org")
    assert "none reached a match of 18%; none has a word of the interests" in ran.out
    # Trending still has something for such a reader.
    assert newsletter.run("preview", "ada@example.org", "--format", "json").rows[0]["papers"]


def test_feedback_moves_the_ranking_at_once_and_fades(newsletter: Newsletter) -> None:
    newsletter.configure(ranking={"min_score": 0.05, "max_age_days": 9999})
    before = follow(newsletter, "interests:\n  - {name: Learning, text: reinforcement learning}\n")
    liked = "Learning Energy-Based Models by Cooperative Diffusion Recovery Likelihood"
    ran = newsletter.run("feedback", "ada@example.org", liked, "more")
    assert ran.out == f"Noted: more like “{liked}”, for Learning.\n"
    after = newsletter.run("rank", "ada@example.org", "--top", "60", "--json").rows
    # What had nothing of the interest's own words is found now.
    assert any("energy" in row["because"].lower() for row in after)
    assert liked not in [row["title"] for row in after]
    faded = newsletter.run("rank", "ada@example.org", "--top", "8", "--json", now="2035-01-01T09:00").rows
    assert [row["title"] for row in faded] == [row["title"] for row in before]


def test_feedback_goes_to_the_interest_it_fits_and_the_last_word_counts(newsletter: Newsletter) -> None:
    follow(newsletter, "interests: [Pareto fronts, energy-based models]\n")
    title, score = "Multi-Objective GFlowNets", {}
    for verdict in (None, "more", "less"):
        if verdict is not None:
            ran = newsletter.run("feedback", "ada@example.org", title, verdict)
            assert ran.out == f"Noted: {verdict} like “{title}”, for Pareto fronts.\n"
        rows = newsletter.run("rank", "ada@example.org", "--top", "99", "--json").rows
        score[verdict] = {row["title"]: row["score"] for row in rows if row["interest"] == "Pareto fronts"}
    # Whatever shares words with what is disliked stands out less than without the verdict, never more.
    for akin in set(score[None]) - {title}:
        assert score["less"].get(akin, 0) <= score[None][akin]
    assert score["less"] != score[None]


def test_feedback_alone_makes_an_interest(newsletter: Newsletter) -> None:
    follow(newsletter, "interests: []\n")
    newsletter.run("feedback", "ada@example.org", "Multi-Objective GFlowNets", "more")
    rows = newsletter.run("rank", "ada@example.org", "--json").rows
    assert rows[0]["interest"] == "From your feedback"
    assert "multi-objective" in rows[0]["title"].lower()


def test_feedback_on_what_is_not_there(newsletter: Newsletter) -> None:
    follow(newsletter, "interests: [looms]\n")
    assert "No paper matches" in newsletter.run("feedback", "ada@example.org", "2501.99999", "more", code=2).err
    ran = newsletter.run("feedback", "ada@example.org", "Multi-Objective GFlowNets", "more", "--interest", "x", code=2)
    assert ran.err == "error: --interest: 'x' is not an interest of ada@example.org; choose from: looms\n"
    assert newsletter.run("feedback", "ada@example.org", "Multi-Objective GFlowNets", "perhaps", code=2)


def test_a_dislike_or_feedback_leaves_an_interest_its_name(newsletter: Newsletter) -> None:
    before = follow(newsletter, "interests:\n  - name: diffusion models\n")
    for verdict in ("less", "more"):
        newsletter.run("feedback", "ada@example.org", before[0]["paper_id"], verdict)
        after = newsletter.run("rank", "ada@example.org", "--json").rows
        assert {row["title"] for row in after[:6]} & {row["title"] for row in before[1:]}


def index_of(papers: list[Paper]) -> Index:
    model = fit(paper_text(paper) for paper in papers)
    assert model is not None
    return make_index(model, (make_segment(model, papers),))


def name(paper: Paper) -> PaperRef:
    return PaperRef(paper.row, paper.id, paper.title)


def test_the_parts_add_up_to_the_score() -> None:
    read = [json.loads(line) for line in SAMPLE_PAPERS.read_text().splitlines()]
    papers = [Paper(title=row["title"], abstract=row["abstract"], row=number) for number, row in enumerate(read, 1)]
    index = index_of(papers)
    candidates = make_candidates(index, papers, date(2025, 11, 28), 3.0)
    interest = Interest(name="x", text="robust preference learning", keywords={"diffusion model": 2.0})
    liked = ((name(papers[3]), 1.0), (name(papers[40]), 0.25))
    follows = [
        WeightedInterest(interest, liked, ((name(papers[9]), 1.0),)),
        WeightedInterest(interest),
        WeightedInterest(interest, liked),
    ]
    profiles = make_profiles(index, follows)
    usual = (
        profiles.by_terms.mean / profiles.by_terms.deviation
        + profiles.topics_weight * profiles.by_topics.mean / profiles.by_topics.deviation
    )
    rows, places, evidence = gather(index, profiles, candidates.paper_matrix, least=-np.inf)
    assert {*rows.tolist()} == {0, 1, 2}
    for row, place, total in zip(rows, places, evidence.total, strict=True):
        paper = row_of(candidates.paper_matrix.vectors, place)
        parts = term_parts(index.model, profiles, row, paper, candidates.paper_matrix.factor[place])
        assert parts.sum() - usual[row] == pytest.approx(total, abs=0.01)
        # What the liked papers gave, with what text and keywords gave, is the profile's side of it.
        titles, contributions = liked_parts(profiles, row, paper)
        assert titles == [one.title for one, _ in follows[row].liked]
        if not follows[row].disliked:
            assert contributions.sum() <= profile_part(row_of(profiles.vectors, row), paper) * 1.001 + 1e-4


def test_profiles_made_together_are_those_made_alone() -> None:
    read = [json.loads(line) for line in SAMPLE_PAPERS.read_text().splitlines()]
    papers = [Paper(title=row["title"], abstract=row["abstract"], row=number) for number, row in enumerate(read, 1)]
    index = index_of(papers)
    follows = [
        WeightedInterest(Interest(name="nothing known: quokka")),
        WeightedInterest(Interest(name="a", text="energy"), ((name(papers[5]), 1.0), (name(papers[2]), 0.5))),
        WeightedInterest(Interest(name="b", keywords={"pareto front": 3, "reward": 1}), (), ((name(papers[7]), 0.3),)),
        WeightedInterest(Interest(name="c", authors=("Ada Lovelace",))),
    ]
    together = make_profiles(index, follows)
    for row, one in enumerate(follows):
        alone = make_profiles(index, [one])
        assert abs(together.vectors[row] - alone.vectors).max() < 1e-6
        assert together.example_counts[row] == pytest.approx(alone.example_counts[0])
        (contributions, giver), (alone_gifts, alone_giver) = together.liked_by(row), alone.liked_by(0)
        assert contributions.terms.tolist() == alone_gifts.terms.tolist()
        assert contributions.values == pytest.approx(alone_gifts.values, abs=1e-6)
        assert giver.tolist() == alone_giver.tolist()


@pytest.mark.parametrize("papers", [1, 2, 3, 7, 30])
def test_a_store_of_a_few_papers_ranks_too(papers: int) -> None:
    known = [
        Paper(title=f"Engines number {number}", abstract="They turn.", row=number) for number in range(2, papers + 1)
    ]
    known.insert(0, Paper(title="Weaving looms", abstract="Looms weave cloth.", row=1))
    index = index_of(known)
    profiles = make_profiles(index, [WeightedInterest(Interest(name="looms"))])
    matrix = matches(index, profiles, make_candidates(index, known, date(2025, 11, 28), 3.0))
    assert matrix[0].argmax() == 0
    assert matrix[0, 0] > 0.4
    assert (matrix[0, 1:] == 0).all()


def test_a_search_ranks_as_an_interest_does() -> None:
    texts = [
        f"Looms number {number} weave {'reinforcement learning' if number % 3 else 'silk'}" for number in range(60)
    ]
    found = [Paper(title=text, abstract=text * (1 + row % 3), row=row) for row, text in enumerate(texts, 1)]
    model = fit([paper_text(paper) for paper in found])
    assert model is not None
    changed = replace(found[4], abstract="Silk looms and learning.")
    index = make_index(model, (make_segment(model, found), make_segment(model, [changed])))
    name = PaperRef(3, "3", "")
    for profile, followed in (
        (
            by_words(index, "silk looms, silk learning"),
            WeightedInterest(Interest(name="x", text="silk looms, silk learning")),
        ),
        (by_paper(index, 3), WeightedInterest(Interest(name="x", liked=("3",)), ((name, 1.0),))),
        (by_words(index, "nonesuch"), WeightedInterest(Interest(name="x", text="nonesuch"))),
    ):
        profiles = make_profiles(index, [followed])
        part = build_matrix(model, index.vectors(np.arange(1, 61)))
        (expected,) = content_matches(index, profiles, part, least=-np.inf)
        told = {row: value for block in best_first(index, profile) for row, value in block.items()}
        assert sorted(told) == (np.flatnonzero(expected > 0) + 1).tolist()
        assert list(told.values()) == sorted(told.values(), reverse=True)
        assert [told[row] for row in sorted(told)] == pytest.approx(expected[expected > 0].tolist(), abs=1e-4)
