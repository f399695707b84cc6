"""What alerts find is in the digest, above the interests, once, with all reasons."""

import json

import pytest
from sqlalchemy import event

from newsletter.store import open_store, openalex, papers, reading, writing
from newsletter.store.openalex import CitedWork, Work
from newsletter.support.clock import parse_moment
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox

PAPERS = [
    {"title": "Looms that weave silk", "abstract": "We weave silk.", "authors": ["Jane Doe", "A. Mueller"]},
    {
        "title": "Silk from spiders",
        "abstract": "A survey of spiders.",
        "authors": ["J. Doe"],
        "categories": ["q-bio.BM"],
    },
    {"title": "Wool of sheep", "abstract": "Sheep have wool.", "authors": ["Ben Müller"]},
    {"title": "Cotton fields", "abstract": "Cotton grows in fields.", "authors": ["Eve Stone"]},
]


def with_papers(newsletter: Newsletter, papers: list[dict] = PAPERS) -> None:
    (newsletter.folder / "papers.jsonl").write_text("\n".join(map(json.dumps, papers)))
    newsletter.run("import", "papers.jsonl")


def digest_of(newsletter: Newsletter, **options: str) -> list[tuple[str, str, str]]:
    """Send the digest of Ada; return the section, title and reason of its papers, in order."""
    shown = json.loads(newsletter.run("preview", "ada@example.org", "--format", "json", **options).out)
    newsletter.run("send", **options)
    sent = newsletter.run("log", "--json").rows[-1]
    assert [one["id"] for one in sent["papers"]] == [one["id"] for one in shown["papers"]]
    return [(one["section"], one["title"], one["because"]) for one in shown["papers"]]


def test_alerts_come_first_each_paper_once_with_all_reasons(newsletter: Newsletter, mail: Mailbox) -> None:
    with_papers(newsletter)
    newsletter.subscriber(
        "ada",
        """\
email: ada@example.org
papers: 1
trending: 0
interests: [cotton fields]
alerts:
  - silk
  - author: Jane Doe
  - {author: B. Muller, name: Our wool group}
""",
    )
    found = digest_of(newsletter)
    assert [one[:2] for one in found] == [
        ("Your alerts", "Wool of sheep"),
        ("Your alerts", "Silk from spiders"),
        ("Your alerts", "Looms that weave silk"),
        ("cotton fields", "Cotton fields"),
    ]
    reasons = {title: because for _, title, because in found}
    assert "silk" in reasons["Looms that weave silk"] and "Jane Doe" in reasons["Looms that weave silk"]
    assert "possibly" in reasons["Silk from spiders"]
    assert "Our wool group" in reasons["Wool of sheep"]
    # None of them comes again.
    assert (
        newsletter.run("preview", "ada@example.org", "--text", now="2025-11-29T09:00", code=None).out.count("silk") == 0
    )


def test_never_words_hide_what_alerts_find_unless_they_say_always(newsletter: Newsletter, mail: Mailbox) -> None:
    with_papers(newsletter)
    hidden = "email: ada@example.org\ninterests: [cotton fields]\nnever: [survey]\nnever_authors: [Ben Muller]\n"
    newsletter.subscriber("ada", f"{hidden}alerts: [silk, wool]\n")
    assert [title for section, title, _ in digest_of(newsletter) if section == "Your alerts"] == [
        "Looms that weave silk"
    ]
    newsletter.subscriber("ada", f"{hidden}alerts: [{{query: silk OR wool, always: true}}]\n")
    # They were not sent yet, so they come although they are no longer new.
    found = digest_of(newsletter, now="2025-11-29T09:00")
    assert [title for section, title, _ in found if section == "Your alerts"] == ["Wool of sheep", "Silk from spiders"]


def test_more_than_one_digest_shows_comes_with_the_next_the_oldest_first(newsletter: Newsletter, mail: Mailbox) -> None:
    titles = [f"Silk number {number}" for number in range(230)]
    with_papers(newsletter, [{"title": title, "abstract": "Silk. " * 60} for title in titles])
    newsletter.subscriber("ada", "email: ada@example.org\nalerts: [silk]\n")
    first = [title for section, title, _ in digest_of(newsletter) if section == "Your alerts"]
    second = [title for section, title, _ in digest_of(newsletter, now="2025-11-29T09:00") if section == "Your alerts"]
    assert (first, second) == (titles[199::-1], titles[:199:-1])
    # Mail programs cut off longer ones.
    html = mail.messages()[0].get_body(("html",)).get_content()
    assert len(html.replace("\r", "").encode()) <= 102_000 and len(mail.accepted) == 2


def test_alerts_find_nothing_that_was_marked_as_sent(newsletter: Newsletter, mail: Mailbox) -> None:
    with_papers(newsletter, PAPERS[:1])
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [looms]\nalerts: [silk]\n")
    newsletter.run("subscribers", "list")
    newsletter.run("sends", "mark-sent", "--edition", NOW[:10], "--before", NOW)
    with_papers(newsletter, PAPERS[1:])
    found = digest_of(newsletter, now="2025-11-29T09:00")
    assert [title for section, title, _ in found if section == "Your alerts"] == ["Silk from spiders"]


def test_what_became_known_late_is_news_only_to_alerts_that_need_it(newsletter: Newsletter, mail: Mailbox) -> None:
    with_papers(
        newsletter,
        [
            {"title": f"Paper {one}", "doi": f"10.1000/{one}", "abstract": "Silk.", "authors": ["Jane Doe"]}
            for one in "abc"
        ],
    )
    later = "2025-12-20T09:00"
    newsletter.configure(ranking={"max_age_days": 10})
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        described = {one.title[-1]: one.row for one in papers.first_seen_since(connection, parse_moment("2025-01-01"))}
        at, orcid = parse_moment(later), "0000-0002-1825-0097"
        known = Work(openalex_id="W1", authors=(("Jane Doe", orcid),), institutions=(("ETH Zurich", None),))
        openalex.save_work(connection, described["a"], known, at)
        openalex.save_citations(connection, [("10.1000/loom", described["b"])], at)
        openalex.save_citations(connection, [("10.1000/loom", described["a"])], parse_moment(NOW))
    engine.dispose()
    expected = {
        "silk": [],
        "{author: Jane Doe}": [],
        f"{{author: {{orcid: {orcid}}}}}": ["10.1000/a"],
        "{institution: ETH Zurich}": ["10.1000/a"],
        "{cites: 10.1000/loom}": ["10.1000/b"],
    }
    for number, alert in enumerate(expected):
        newsletter.subscriber(f"reader{number}", f"email: reader{number}@example.org\nalerts: [{alert}]\n")
    newsletter.run("send", now=later)
    sent = {row["email"]: [one["id"] for one in row["papers"]] for row in newsletter.run("log", "--json").rows}
    assert [sent[f"reader{number}@example.org"] for number in range(len(expected))] == [*expected.values()]


def test_a_digest_with_alerts_is_ranked_again_as_it_was(newsletter: Newsletter, mail: Mailbox) -> None:
    with_papers(newsletter)
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [silk, cotton]\nalerts: [spiders]\n")
    before = newsletter.run("rank", "ada@example.org", "--json").rows
    newsletter.run("send")
    (sent,) = newsletter.run("log", "--json").rows
    assert newsletter.run("rank", "ada@example.org", "--edition", sent["edition"], "--json").rows == before
    assert "Your alerts" in newsletter.run("rank", "ada@example.org", "--why", "Silk from spiders").out


def test_an_alert_that_is_no_query_is_an_error_in_the_file(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("ada", "email: ada@example.org\nalerts:\n  - 'silk AND (wool'\n")
    result = newsletter.run("interests", "check", code=2)
    assert f"{path.name}:3" in result.out + result.err


def test_a_paper_that_only_a_forgotten_reader_watched_is_forgotten_too(newsletter: Newsletter) -> None:
    with_papers(newsletter)
    newsletter.subscriber("ada", "email: ada@example.org\nalerts: [{cites: 10.1000/loom}, {cites: 10.1000/silk}]\n")
    newsletter.subscriber("bob", "email: bob@example.org\nalerts: [{cites: 10.1000/silk}]\n")
    newsletter.run("subscribers", "list")
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        for one in ("10.1000/loom", "10.1000/silk"):
            work = CitedWork(identifier=one, openalex_id=None, title=None, checked_at=parse_moment(NOW))
            openalex.save_cited(connection, work)
    newsletter.run("subscribers", "forget", "ada@example.org", "--yes")
    with reading(engine) as connection:
        assert list(openalex.cited(connection)) == ["10.1000/silk"]
    engine.dispose()


@pytest.mark.both_stores
def test_what_nobody_watches_any_longer_is_found_in_one_scan(newsletter: Newsletter, store_url: str) -> None:
    newsletter.configure(store={"url": store_url})
    # JSON escapes some characters; and a part of an identifier is another one.
    watched = ["10.1000/silk_100%", '10.1000/"lo"om', "10.1000/größe"]
    lines = "".join(f"  - cites: '{one}'\n" for one in watched)
    newsletter.subscriber("bob", f"email: bob@example.org\nalerts:\n{lines}")
    newsletter.subscriber("eve", "email: eve@example.org\ninterests: [10.1000/cotton]\n")
    newsletter.run("subscribers", "list")
    engine, queries = open_store(newsletter.config.store_url), list[str]()
    with writing(engine) as connection:
        for one in (*watched, "10.1000/silk", "10.1000/wool", "10.1000/cotton"):
            work = CitedWork(identifier=one, openalex_id=None, title=None, checked_at=parse_moment(NOW))
            openalex.save_cited(connection, work)
        event.listen(connection, "before_cursor_execute", lambda *of: queries.append(of[2]))
        openalex.forget_unwatched(connection, list(openalex.cited(connection)))
        assert {*openalex.cited(connection)} == {*watched}
    engine.dispose()
    assert sum("FROM subscribers" in query for query in queries) == 1
