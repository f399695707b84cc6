"""Which papers a digest takes: what is news, places left over, a category alone, Trending, and when nothing passes."""

import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

ADA = "ada@example.org"
THURSDAY, FRIDAY, SATURDAY = (f"2025-11-{day}T09:00" for day in (27, 28, 29))

EVERYTHING = """\
email: ada@example.org
interests:
  - {name: Words, text: looms that weave silk}
  - {name: People, authors: [Ada Lovelace]}
  - {name: Fields, categories: [cs.LO]}
"""

OLD_BIB = """\
@article{words, title={Looms that weave silk}, abstract={A loom weaves silk.}, year=2017, month=jun}
@article{people, title={On engines}, author={Lovelace, Ada}, year=1843}
@article{fields, title={On proofs}, primaryclass={cs.LO}, date={2024-03-02}}
@article{new, title={Looms that weave cotton and silk}, abstract={A loom.}, date={2025-11-20}}
@article{year, title={Silk from looms, as the year has it}, abstract={A loom weaves silk.}, year=2025}
@article{undated, title={Silk looms of no known date}, abstract={A loom weaves silk.}}
"""


def import_papers(newsletter: Newsletter, papers: Sequence[dict], now: str = FRIDAY) -> None:
    path = newsletter.folder / "papers.jsonl"
    path.write_text("".join(json.dumps({"abstract": "", **paper}) + "\n" for paper in papers))
    newsletter.run("import", path, now=now)


def background(newsletter: Newsletter, now: str = THURSDAY) -> None:
    """Papers that no interest of these tests matches, so that the words of the others stand out."""
    import_papers(newsletter, [{"title": f"Cogs number {n}", "abstract": f"Brass teeth, {n}."} for n in range(20)], now)


def ranked(newsletter: Newsletter, *arguments: str, now: str = FRIDAY) -> list[dict]:
    return newsletter.run("rank", ADA, "--top", "50", "--json", *arguments, now=now).rows


def preview(newsletter: Newsletter, now: str = FRIDAY) -> dict[str, Any]:
    (row,) = newsletter.run("preview", ADA, "--format", "json", now=now).rows
    return row


def titles(rows: Sequence[dict]) -> list[str]:
    return [row["title"] for row in rows]


def sent_titles(newsletter: Newsletter) -> list[list[str]]:
    names = {row["id"]: row["title"] for row in newsletter.run("papers", "list", "--json").rows}
    return [[names[paper["id"]] for paper in row["papers"]] for row in newsletter.run("log", ADA, "--json").rows]


def test_an_old_bib_sends_nothing_old(newsletter: Newsletter, mail: Mailbox) -> None:
    background(newsletter)
    newsletter.subscriber("ada", EVERYTHING)
    (newsletter.folder / "old.bib").write_text(OLD_BIB)
    newsletter.run("import", "old.bib")
    discussed = {"title": "Talk of the town", "published": "2025-08-01", "upvotes": 900}
    import_papers(newsletter, [discussed])
    news = {
        "Looms that weave cotton and silk",
        "Silk from looms, as the year has it",
        "Silk looms of no known date",
    }
    assert set(titles(ranked(newsletter))) == news
    assert set(titles(preview(newsletter)["papers"])) == news
    newsletter.run("send")
    assert set(sent_titles(newsletter)[0]) == news
    # The next day neither.
    newsletter.run("send", now=SATURDAY)
    assert "no new papers since 2025-11-28" in newsletter.run("log", "--why", ADA, "--json", now=SATURDAY).out
    # A longer age takes them all, Trending too.
    newsletter.configure(ranking={"max_publication_age_days": 100_000})
    assert set(titles(preview(newsletter)["papers"])) == {
        *("Looms that weave silk", "On engines", "On proofs", "Talk of the town"),
        *news,
    }


def test_the_log_counts_what_was_published_too_long_ago(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.subscriber("ada", EVERYTHING)
    (newsletter.folder / "old.bib").write_text("\n".join(OLD_BIB.splitlines()[:3]))
    newsletter.run("import", "old.bib")
    newsletter.run("send")
    (row,) = newsletter.run("log", "--json").rows
    assert row["reason"] == "no new papers in the last 14 days (3 more published too long ago)"


def preprint(number: int, day: str, **changes: str) -> dict[str, str]:
    return {
        "title": f"Looms that weave silk, part {number}",
        "authors": "Lovelace, A.",
        "doi": f"10.1101/2025.02.03.{number:06}",
        "date": day,
        "version": "1",
        "category": "cell biology",
        "abstract": "A loom weaves silk.",
        "server": "bioRxiv",
        **changes,
    }


def test_catching_up_with_since_sends_nothing_old(
    newsletter: Newsletter, mail: Mailbox, httpserver: HTTPServer
) -> None:
    newsletter.configure(sources={"biorxiv": {"kind": "biorxiv", "api_url": httpserver.url_for("/details")}})
    days = ["2025-06-02", "2025-08-04", "2025-11-03", "2025-11-26"]
    found = {
        "messages": [{"status": "ok", "cursor": 0, "count": 5, "total": "5"}],
        "collection": [preprint(number, day) for number, day in enumerate(days)],
    }
    # A new version of an old preprint is not news either.
    found["collection"][3] |= {"title": "Looms that weave silk, revised", "version": "2"}
    found["collection"] += [preprint(3, "2025-11-27", doi="10.1101/2025.11.25.000003")]
    httpserver.expect_request("/details/biorxiv/2025-06-01/2025-11-28/0/json").respond_with_json(found)
    background(newsletter)
    newsletter.subscriber("ada", EVERYTHING)
    newsletter.run("fetch", "--since", "2025-06-01")
    newsletter.run("send")
    assert {title[-1] for title in sent_titles(newsletter)[0]} == {"2", "3"}


def on_looms(*names: str, **more: object) -> list[dict]:
    return [{"title": f"Looms that weave silk, {name}", "abstract": f"A loom, {name}.", **more} for name in names]


LOOMS = "email: ada@example.org\npapers: {papers}\ninterests:\n  - {{name: Looms, text: looms that weave silk}}\n"


@pytest.mark.both_stores
def test_places_left_over_go_to_good_papers_not_sent_yet(newsletter: Newsletter, mail: Mailbox) -> None:
    background(newsletter)
    newsletter.configure(ranking={"min_score": 0.02})
    import_papers(
        newsletter, [*on_looms("one", "two", "three", "four", "five"), {"title": "Talk", "upvotes": 9}], THURSDAY
    )
    newsletter.subscriber("ada", LOOMS.format(papers=3))
    newsletter.run("send", now=THURSDAY)
    weaker = {"title": "Looms at rest", "abstract": "What a loom does on holidays, by the sea and in the hills."}
    import_papers(newsletter, [*on_looms("six"), weaker])
    shown = preview(newsletter)
    assert [paper["earlier"] for paper in shown["papers"]] == [False, False, True]
    assert shown["papers"][1]["score"] < shown["papers"][2]["score"]  # New papers come first all the same.
    assert (shown["considered"], shown["reason"]) == (2, None)
    newsletter.run("send")
    newsletter.run("send", now=SATURDAY)
    newsletter.run("send", now="2025-11-30T09:00")
    # Nothing is sent twice, and Trending repeats nothing.
    sent = [paper for digest in sent_titles(newsletter) for paper in digest]
    assert len(sent) == len(set(sent)) == 8
    texts = [" ".join(message.get_body(("plain",)).get_content().split()) for message in mail.messages()]
    assert "from the last days" not in texts[0]
    assert "match, from the last days: " in texts[1]
    assert "2 new papers since Thursday, 27 November 2025; 1 more is from the last days." in texts[1]
    assert "There are no new papers since Friday, 28 November 2025, so these are from the last days" in texts[2]
    assert newsletter.run("log", ADA, "--json").rows[-1]["state"] == "skipped"


def test_left_over_places_take_nothing_rated_hidden_poor_or_old(newsletter: Newsletter, mail: Mailbox) -> None:
    background(newsletter, "2025-11-10T08:00")
    import_papers(newsletter, on_looms("expired"), "2025-11-12T09:00")
    # Not the reader's interest at that time.
    newsletter.subscriber("ada", LOOMS.format(papers=5).replace("looms that weave silk", "cogs"))
    import_papers(newsletter, on_looms("rated", "surveyed as a survey", "good"), "2025-11-24T08:00")
    newsletter.run("send", now="2025-11-24T09:00")
    newsletter.run("feedback", ADA, "Looms that weave silk, rated", "more", now="2025-11-24T10:00")
    newsletter.subscriber("ada", LOOMS.format(papers=5) + "never: [survey]\n")
    assert titles(preview(newsletter)["papers"]) == ["Looms that weave silk, good"]


def test_an_edition_with_earlier_papers_is_ranked_again_as_it_was(newsletter: Newsletter, mail: Mailbox) -> None:
    background(newsletter)
    import_papers(newsletter, on_looms("one", "two", "three", "four", "five", "six"), THURSDAY)
    newsletter.subscriber("ada", LOOMS.format(papers=2))
    newsletter.run("send", now=THURSDAY)
    (newsletter.folder / "old.bib").write_text(OLD_BIB)
    newsletter.run("import", "old.bib")
    newsletter.subscriber("ada", LOOMS.format(papers=5))
    before = ranked(newsletter)
    assert {row["earlier"] for row in before if row["in_digest"]} == {False, True}
    newsletter.run("send")
    newsletter.subscriber("ada", LOOMS.format(papers=9).replace("looms that weave silk", "cogs"))
    newsletter.configure(ranking={"max_publication_age_days": 100_000})
    assert ranked(newsletter, "--edition", "2025-11-28", now=SATURDAY) == before


FIELD = [
    {"title": "Quiet and old", "listed_on": "2025-11-20"},
    {"title": "Quiet and new", "listed_on": "2025-11-27"},
    {"title": "Talked of a little", "listed_on": "2025-11-27", "upvotes": 2},
    {"title": "Talked of a lot", "listed_on": "2025-11-27", "upvotes": 40},
    {"title": "Talked of a lot, the same paper almost", "listed_on": "2025-11-27", "upvotes": 39},
    {"title": "Quiet, new and later in the store", "listed_on": "2025-11-27"},
]
IN_ORDER = [FIELD[place]["title"] for place in (3, 4, 2, 5, 1, 0)]


@pytest.mark.parametrize("papers", [3, 10])
def test_a_category_alone_is_in_the_order_of_trending(newsletter: Newsletter, mail: Mailbox, papers: int) -> None:
    background(newsletter)
    same = "Words that these papers share, so that one repeats the other."
    import_papers(newsletter, [{**paper, "abstract": same, "categories": ["cs.LO"]} for paper in FIELD])
    newsletter.subscriber(
        "ada", f"email: {ADA}\npapers: {papers}\ntrending: 0\ninterests:\n  - {{name: F, categories: [cs.LO]}}\n"
    )
    rows = ranked(newsletter)
    assert titles(rows) == IN_ORDER
    assert [row["in_digest"] for row in rows] == [place < papers for place in range(6)]
    assert titles(preview(newsletter)["papers"]) == IN_ORDER[:papers]
    newsletter.run("send")
    assert sent_titles(newsletter) == [IN_ORDER[:papers]]
    # The counts of that day are not stored, but its order is.
    import_papers(newsletter, [{**FIELD[0], "categories": ["cs.LO"], "upvotes": 500}], SATURDAY)
    again = ranked(newsletter, "--edition", "2025-11-28", now=SATURDAY)
    assert titles(again)[:papers] == IN_ORDER[:papers]
    assert [row["in_digest"] for row in again] == [place < papers for place in range(6)]


TALK = [
    {"title": "Looms that weave silk", "abstract": "A loom.", "upvotes": 30},
    {"title": "Of kites", "abstract": "A kite.", "upvotes": 40},
    {"title": "Of survey kites", "abstract": "A survey.", "upvotes": 99},
    {"title": "Of whales", "abstract": "A whale.", "upvotes": 100},
]


def trending_of(newsletter: Newsletter) -> list[str]:
    return titles([paper for paper in preview(newsletter)["papers"] if paper["section"] == "Trending"])


def test_trending_prefers_what_fits_and_can_be_set_by_each_subscriber(newsletter: Newsletter) -> None:
    background(newsletter)
    import_papers(newsletter, TALK)
    # Nothing is good enough for a section of its own, but Trending knows what fits.
    newsletter.configure(ranking={"min_score": 1.0})
    looms = LOOMS.format(papers=10) + "never: [survey]\n"
    newsletter.subscriber("ada", looms)
    assert trending_of(newsletter) == ["Of whales", "Looms that weave silk", "Of kites"]
    newsletter.subscriber("ada", looms + "trending: 1\n")
    assert trending_of(newsletter) == ["Of whales"]
    newsletter.subscriber("ada", looms + "trending: 0\n")
    assert trending_of(newsletter) == []
    newsletter.configure(digest={"trending": 0})
    assert trending_of(newsletter) == []
    newsletter.subscriber("ada", looms + "trending: 2\n")
    assert trending_of(newsletter) == ["Of whales", "Looms that weave silk"]
    # Without interests there is nothing else.
    newsletter.subscriber("ada", f"email: {ADA}\ntrending: 0\n")
    assert trending_of(newsletter) == ["Of whales", "Of survey kites", "Of kites", "Looms that weave silk"]


@pytest.mark.parametrize("name", ["people.jsonl", "people.csv"])
def test_the_number_for_trending_is_exported_and_imported(newsletter: Newsletter, name: str) -> None:
    newsletter.subscriber("ada", f"email: {ADA}\ntrending: 0\ninterests: [looms]\n")
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [looms]\n")
    exported = newsletter.run("subscribers", "export", "--format", name.partition(".")[2]).out
    (newsletter.folder / name).write_text(exported)
    assert "papers: at most 10, of them 0 from Trending" in newsletter.run("subscribers", "show", ADA).out
    for path in (newsletter.folder / "subscribers").iterdir():
        path.write_text(path.read_text().replace("trending: 0\n", "trending: 5\n"))
    assert newsletter.run("interests", "show", ADA, "--json").rows[0]["trending"] == 5
    newsletter.run("subscribers", "import", name)
    known = {row["email"]: row["trending"] for row in newsletter.run("subscribers", "list", "--json").rows}
    assert known == {ADA: 0, "bob@example.org": None}
    assert "trending: 0" in (newsletter.folder / "subscribers" / "ada.yaml").read_text()


NEAR = {"title": "Looms that mend", "abstract": "A loom that mends nets with threads of many colours and kinds."}


def test_when_nothing_passes_no_email_goes_out_and_the_log_says_what_came_nearest(
    newsletter: Newsletter, mail: Mailbox
) -> None:
    background(newsletter)
    import_papers(newsletter, [NEAR])
    newsletter.configure(ranking={"min_score": 0.999})
    newsletter.subscriber("ada", LOOMS.format(papers=5))
    newsletter.run("send")
    assert mail.accepted == []
    (row,) = newsletter.run("log", "--json").rows
    assert row["state"] == "skipped"
    begin, _, rest = row["reason"].partition("; the nearest was “Looms that mend” with ")
    assert begin == "of 21 new papers in the last 14 days, none reached a match of 100%"
    percentage, _, interest = rest.partition("% for ")
    assert 0 < int(percentage) < 100
    assert interest == "“Looms”"
    told = " ".join(newsletter.run("log", "--why", ADA).out.split())
    assert row["reason"] in told


@pytest.mark.both_stores
@pytest.mark.parametrize("days", ["daily", "[fri]"])
def test_an_email_can_say_that_there_is_nothing(newsletter: Newsletter, mail: Mailbox, days: str) -> None:
    background(newsletter)
    newsletter.configure(digest={"when_nothing": "send"})
    newsletter.subscriber("ada", LOOMS.format(papers=5) + f"name: Ada\nschedule: {{days: {days}}}\n")
    shown = newsletter.run("preview", ADA, "--format", "eml")
    assert f"{ADA} would get an email that there is nothing new: of 20 new papers" in shown.err
    newsletter.run("send")
    newsletter.run("send")
    (message,) = mail.messages()
    assert message["Subject"] == "Nothing new for you"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    when = "today" if days == "daily" else "this week"
    for part in ("plain", "html"):
        text = " ".join(message.get_body((part,)).get_content().split())
        assert f"Ada, nothing new for you {when}." in text
        assert "Of 20 new papers, none comes close enough to your interests." in text
        assert "Unsubscribe" in text
        assert "View in browser" not in text
    (row,) = newsletter.run("log", "--json").rows
    assert (row["state"], row["papers"], row["smtp_reply"]) == ("sent", [], "250 taken")
    assert row["reason"].startswith("of 20 new papers in the last 14 days, none reached a match of 18%")
    told = " ".join(newsletter.run("log", "--why", ADA).out.split())
    assert "an email that there is nothing new, accepted by the server at 09:00:00: of 20 new papers" in told
    # What came on that day is not new on the next.
    newsletter.run("send", now=SATURDAY)
    assert newsletter.run("log", "--json").rows[-1]["reason"].startswith("no new papers since 2025-11-28")


def test_readers_are_told_how_well_a_paper_matches(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.configure(ranking={"min_score": 0.0, "max_publication_age_days": 9999}, digest={"trending": 0})
    newsletter.subscriber("ada", f"email: {ADA}\npapers: 30\ninterests: [multi-objective learning and Pareto fronts]\n")
    newsletter.run("send")
    (message,) = mail.messages()
    text, page = (message.get_body((part,)).get_content() for part in ("plain", "html"))
    scores = [paper["score"] for paper in newsletter.run("log", "--json").rows[0]["papers"]]
    expected = ["Strong match" if score >= 0.5 else "Good match" if score >= 0.18 else "Weak match" for score in scores]
    assert set(expected) == {"Strong match", "Good match", "Weak match"}
    assert [line.strip().partition(":")[0] for line in text.splitlines() if re.match(r" *\w+ match:", line)] == expected
    for score, words in zip(scores, expected, strict=True):
        assert f'title="{max(1, round(100 * score))}% match">{words}</span>' in page
    assert "%" not in text.partition("--")[0]


def test_the_sample_papers_are_news_however_old_they_are(newsletter: Newsletter, tmp_path: Path) -> None:
    newsletter.subscriber("ada", f"email: {ADA}\ninterests: [energy-based models]\n")
    later = date(2025, 11, 28) + timedelta(days=3000)
    shown = preview(newsletter, f"{later}T09:00")
    assert (shown["sample"], shown["considered"]) == (True, 145)


def test_an_author_followed_today_does_not_flood_the_digest_with_earlier_papers(
    newsletter: Newsletter, mail: Mailbox
) -> None:
    background(newsletter)
    engines = [{"title": f"On engines, {number}", "authors": ["Ada Lovelace"]} for number in range(6)]
    import_papers(newsletter, engines, THURSDAY)
    newsletter.subscriber("ada", LOOMS.format(papers=3).replace("looms that weave silk", "cogs"))
    newsletter.run("send", now=THURSDAY)
    newsletter.subscriber(
        "ada", f"email: {ADA}\npapers: 4\ninterests:\n  - {{name: People, authors: [Ada Lovelace]}}\n"
    )
    assert len(preview(newsletter)["papers"]) == 4
    # All new ones are in it.
    import_papers(newsletter, [{**paper, "title": f"{paper['title']}, again"} for paper in engines])
    assert [paper["earlier"] for paper in preview(newsletter)["papers"]] == [False] * 6


@pytest.mark.parametrize(("papers", "trending", "own"), [(1, 0, None), (3, 1, None), (10, 3, None), (3, 3, 3)])
def test_trending_takes_at_most_half_of_a_digest_unless_the_subscriber_wants_more(
    newsletter: Newsletter, papers: int, trending: int, own: int | None
) -> None:
    import_papers(newsletter, [{"title": f"Looms that weave silk, part {n}", "abstract": "Silk."} for n in range(12)])
    import_papers(newsletter, [{"title": f"Cogs number {n}", "abstract": "Brass.", "upvotes": 9} for n in range(12)])
    chosen = "" if own is None else f"trending: {own}\n"
    newsletter.subscriber("ada", f"email: {ADA}\npapers: {papers}\ninterests: [looms that weave silk]\n{chosen}")
    sections = [one["section"] for one in preview(newsletter)["papers"]]
    assert sections.count("Trending") == trending
    assert len(sections) == papers
