"""Digests: shares of the interests, Trending, and never a paper twice."""

import json
from collections import Counter

import pytest

from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox


def digest(newsletter: Newsletter, now: str = NOW) -> list[dict]:
    (row,) = newsletter.run("preview", "ada@example.org", "--format", "json", now=now).rows
    return row["papers"]


def test_each_interest_has_its_share(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.configure(digest={"trending": 0}, ranking={"max_publication_age_days": 365, "min_score": 0.1})
    newsletter.subscriber(
        "ada",
        """\
        email: ada@example.org
        papers: 6
        interests:
          - {name: A, text: reinforcement learning from human feedback, weight: 2}
          - {name: B, text: energy-based models}
        """,
    )
    chosen = digest(newsletter)
    assert Counter(choice["section"] for choice in chosen) == {"A": 4, "B": 2}
    assert [choice["rank"] for choice in chosen] == list(range(1, 7))
    assert len({choice["id"] for choice in chosen}) == 6


def test_places_that_an_interest_cannot_fill_go_to_others(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.subscriber(
        "ada",
        """\
        email: ada@example.org
        papers: 8
        interests:
          - {name: A, text: reinforcement learning}
          - {name: B, text: quokkas}
        """,
    )
    assert Counter(choice["section"] for choice in digest(newsletter)) == {"A": 5, "Trending": 3}


def test_trending_fills_up_but_repeats_nothing(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.configure(digest={"trending": 20})
    newsletter.subscriber("ada", "email: ada@example.org\npapers: 30\ninterests:\n  - language models\n")
    chosen = digest(newsletter)
    assert len(chosen) == 30
    assert len({choice["id"] for choice in chosen}) == 30


def test_no_paper_is_sent_twice_and_nothing_new_is_said(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\npapers: 100\ninterests:\n  - language models\n")
    newsletter.run("send", now="2025-11-28T09:00")
    newsletter.run("send", now="2025-11-29T09:00")
    (newsletter.folder / "more.jsonl").write_text(
        '{"title": "Yet another language model", "abstract": "A language model."}\n'
        '{"title": "Language models again", "abstract": "More language models."}\n'
    )
    newsletter.run("import", "more.jsonl", now="2025-11-30T08:00")
    newsletter.run("send", now="2025-11-30T09:00")
    first, second, third = newsletter.run("log", "--json").rows
    assert (first["state"], second["state"], third["state"]) == ("sent", "skipped", "sent")
    assert second["reason"].startswith("no new papers since 2025-11-28; of ")
    ids = [paper["id"] for row in (first, third) for paper in row["papers"]]
    assert len(ids) == len(set(ids)) > 12
    assert "2 new papers since Friday, 28 November 2025" in mail.messages()[1].get_body(("plain",)).get_content()


def test_too_old_is_not_new(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\ninterests:\n  - language models\n")
    assert digest(newsletter, "2025-12-11T09:00")
    ran = newsletter.run("preview", "ada@example.org", "--format", "json", now="2025-12-13T09:00")
    assert ran.rows == [
        {
            "email": "ada@example.org",
            "edition": "2025-12-13",
            "considered": 0,
            "papers": [],
            "updates": [],
            "reason": "no new papers in the last 14 days",
            "sample": False,
        }
    ]


def papers_about(newsletter: Newsletter, *papers: dict) -> None:
    (newsletter.folder / "papers.jsonl").write_text("\n".join(map(json.dumps, papers)))
    newsletter.run("import", "papers.jsonl")


NEAR_REPEATS = (
    {"title": "Looms weave silk cloth with steam engines", "abstract": "A loom weaves silk cloth by steam."},
    {"title": "Looms weave silk cloth with steam engines, again", "abstract": "A loom weaves silk cloth by steam."},
    {
        "title": "Looms that mend themselves",
        "abstract": "A loom finds its broken threads of silk, and weaves on by steam.",
    },
    *({"title": f"Cogs number {number}", "abstract": f"Brass teeth, {number} of them."} for number in range(20)),
)
TWO_ON_LOOMS = (
    "email: ada@example.org\npapers: 2\ninterests:\n  - {name: Looms, text: looms that weave silk with steam}\n"
)


def test_among_good_papers_a_near_repeat_gives_way(newsletter: Newsletter) -> None:
    papers_about(newsletter, *NEAR_REPEATS)
    newsletter.subscriber("ada", TWO_ON_LOOMS)
    newsletter.configure(ranking={"variety_lambda": 1.0})
    assert sum("steam" in choice["title"] for choice in digest(newsletter)) == 2
    newsletter.configure(ranking={"variety_lambda": 0.5})
    varied = digest(newsletter)
    assert sum("steam" in choice["title"] for choice in varied) == 1
    assert varied[1]["title"] == "Looms that mend themselves"
    assert varied[0]["score"] > varied[1]["score"]


def test_a_followed_author_is_in_the_digest_however_full_it_is(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    papers_about(
        newsletter, *({"title": f"Cogs {number}", "authors": ["Ada Lovelace"], "abstract": ""} for number in range(4))
    )
    newsletter.subscriber(
        "ada",
        """\
        email: ada@example.org
        papers: 3
        interests:
          - {name: Models, text: energy-based models, weight: 10}
          - {name: People, authors: [Ada Lovelace], weight: 0.1}
        """,
    )
    chosen = digest(newsletter)
    assert {choice["title"] for choice in chosen} == {f"Cogs {number}" for number in range(4)}
    assert {choice["because"] for choice in chosen} == {"by Ada Lovelace, whom you follow"}
    newsletter.subscriber(
        "ada", "email: ada@example.org\npapers: 3\nnever: [cog]\ninterests:\n  - energy-based models\n"
    )
    assert not [choice for choice in digest(newsletter) if "Cogs" in choice["title"]]


@pytest.mark.parametrize(
    ("never", "hidden"),
    [
        ("survey", {"A survey of looms", "Surveys of looms", "Loom-survey"}),
        ("Surveys", {"A survey of looms", "Surveys of looms", "Loom-survey"}),
        ("star", set()),
        ("state of the art", {"State-of-the-art looms"}),
        ("state-of-the-art looms", {"State-of-the-art looms"}),
        ("c++", {"Looms in C++"}),
        ("学習", {"強化学習 looms"}),
        ("loom-survey", {"Loom-survey"}),
        ("batteries", {"Looms on battery"}),
        (".*", set()),
    ],
)
def test_never_words_hide_whole_words_and_say_so(newsletter: Newsletter, never: str, hidden: set[str]) -> None:
    titles = [
        *("A survey of looms", "Surveys of looms", "Loom-survey", "Surveyed looms", "Looms startle"),
        *("State-of-the-art looms", "Looms in C++", "強化学習 looms", "Looms on battery"),
    ]
    papers_about(newsletter, *({"title": title, "abstract": "Looms."} for title in titles))
    newsletter.subscriber("ada", f"email: ada@example.org\nnever: ['{never}']\ninterests: [looms]\n")
    newsletter.configure(ranking={"min_score": 0.0})
    rows = newsletter.run("rank", "ada@example.org", "--top", "50", "--json").rows
    assert set(titles) - {row["title"] for row in rows} == hidden
    told = newsletter.run("rank", "ada@example.org").out
    assert told.count("idden by never") == min(len(hidden), 5)


def test_when_never_words_hide_everything_the_log_says_so(newsletter: Newsletter, mail: Mailbox) -> None:
    papers_about(newsletter, {"title": "Looms", "abstract": "A survey."}, {"title": "Cogs", "abstract": "A review."})
    newsletter.subscriber("ada", "email: ada@example.org\nnever: [survey, review]\ninterests: [looms]\n")
    newsletter.run("send")
    (row,) = newsletter.run("log", "--json").rows
    assert row["reason"] == "no new papers in the last 14 days (2 more hidden by never: “review”, “survey”)"
