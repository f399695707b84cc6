"""Digests: shares of the interests, Trending, and never a paper twice."""

from collections import Counter

from tests.conftest import NOW, Newsletter
from tests.smtp import Mailbox


def digest(newsletter: Newsletter, now: str = NOW) -> list[dict]:
    (row,) = newsletter.run("preview", "ada@example.org", "--format", "json", now=now).rows
    return row["papers"]


def test_each_interest_has_its_share(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.configure(digest={"trending": 0})
    newsletter.subscriber(
        "ada",
        """\
        email: ada@example.org
        papers: 9
        interests:
          - {name: A, text: reinforcement learning from human feedback, weight: 2}
          - {name: B, text: energy-based models}
        """,
    )
    chosen = digest(newsletter)
    assert Counter(choice["section"] for choice in chosen) == {"A": 6, "B": 3}
    assert [choice["rank"] for choice in chosen] == list(range(1, 10))
    assert len({choice["id"] for choice in chosen}) == 9


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
    newsletter.configure(ranking={"max_age_days": 100})
    newsletter.subscriber("ada", "email: ada@example.org\ninterests:\n  - language models\n")
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
    assert second["reason"] == "no new papers since 2025-11-28"
    ids = [paper["id"] for row in (first, third) for paper in row["papers"]]
    assert len(ids) == len(set(ids)) == 12
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
            "reason": "no new papers in the last 14 days",
        }
    ]
