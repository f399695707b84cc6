"""Commands for alerts, and what subscriber files say about a query that cannot be used."""

import json

import pytest

from newsletter.alerts.matching import AlertPapers
from newsletter.model import Alert, AlertHit, AlertKind, Paper
from newsletter.services.alerts import alert_matches
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

PAPERS = [
    {"title": "Kelp forests", "abstract": "A survey of kelp.", "authors": ["Ada Lovelace"], "doi": "10.1000/kelp"},
    {"title": "Graph neural networks", "abstract": r"For \\emph{kelp} maps.", "authors": ["A. Lovelace"]},
    {"title": "Sheep", "abstract": "Wool.", "authors": ["Ben Stone"], "organization": "ETH Zürich"},
]


@pytest.fixture
def papers(newsletter: Newsletter) -> Newsletter:
    (newsletter.folder / "papers.jsonl").write_text("\n".join(map(json.dumps, PAPERS)))
    newsletter.run("import", "papers.jsonl")
    return newsletter


def test_a_query_is_tested_on_the_papers_of_the_last_days(papers: Newsletter) -> None:
    rows = papers.run("alerts", "test", "kelp -survey", "--json").rows
    assert [(row["title"], row["reason"]) for row in rows] == [("Graph neural networks", "matches “kelp -survey”")]
    shown = papers.run("alerts", "test", "kelp").out
    assert shown.index("Graph neural networks") < shown.index("Kelp forests")
    assert "2 papers in the last 30 days." in shown
    later = papers.run("alerts", "test", "kelp", "--days", 10, now="2025-12-20T09:00")
    assert later.out == "0 papers in the last 10 days.\n"


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        (("--author", "Ada Lovelace"), ["possibly by Ada Lovelace (A. Lovelace)", "by Ada Lovelace"]),
        # One name alone is a family name, as in a query.
        (("--author", "Lovelace"), ["by Lovelace", "by Lovelace"]),
        (("author:Lovelace",), ["matches “author:Lovelace”", "matches “author:Lovelace”"]),
        (("--institution", "eth zurich"), ["from eth zurich"]),
        (("--orcid", "0000-0002-1825-0097"), []),
        (("--ror", "https://ror.org/05a28rw58"), []),
        (('"graph neural network*"',), ["matches “graph neural network*”"]),
    ],
)
def test_each_kind_of_alert_is_tested(options: tuple[str, ...], reasons: list[str], papers: Newsletter) -> None:
    assert [row["reason"] for row in papers.run("alerts", "test", *options, "--json").rows] == reasons


def test_an_error_in_a_query_has_a_caret_below_its_column(newsletter: Newsletter) -> None:
    ran = newsletter.run("alerts", "test", '猫 AND "graph', code=2)
    assert ran.err.splitlines() == [
        'error: QUERY: column 7: the quote is not closed; add another " at the end of the phrase',
        'error:   猫 AND "graph',
        "error:          ^",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Name one alert"),
        (("kelp", "--author", "Ada"), "Name one alert"),
        (("--orcid", "0000-0002-1825-0098"), "--orcid: '0000-0002-1825-0098' is not an ORCID iD"),
        (("--cites", "kelp"), "--cites: 'kelp' is neither a DOI nor an arXiv id"),
    ],
)
def test_options_that_name_no_alert_are_refused(options: tuple[str, ...], said: str, newsletter: Newsletter) -> None:
    assert said in newsletter.run("alerts", "test", *options, code=2).err


def test_a_cited_paper_that_was_not_looked_for_yet_is_said(papers: Newsletter) -> None:
    assert "not looked for yet" in papers.run("alerts", "test", "--cites", "10.1000/kelp").err


def test_the_alerts_of_a_subscriber_are_checked(papers: Newsletter) -> None:
    papers.subscriber("ada", "email: ada@example.org\nalerts:\n  - kelp\n  - {author: Ada Lovelace, name: Herself}\n")
    assert papers.run("alerts", "check", "ada@example.org", "--json").rows == [
        {"alert": {"query": "kelp"}, "papers": 2, "possibly": 0, "problem": None},
        {"alert": {"author": {"name": "Ada Lovelace"}, "name": "Herself"}, "papers": 2, "possibly": 1, "problem": None},
    ]
    assert "Herself: author Ada Lovelace" in papers.run("alerts", "check", "ada@example.org").out


def test_a_query_of_a_former_version_that_cannot_be_used_is_named(papers: Newsletter) -> None:
    papers.subscriber("ada", "email: ada@example.org\nalerts: [kelp]\n")
    papers.run("subscribers", "list")
    papers.damage("ada@example.org", alerts=[{"query": "kelp AND"}, {"query": "kelp"}])
    found = papers.run("alerts", "check", "ada@example.org", "--json").rows
    assert [(row["papers"], row["problem"] is None) for row in found] == [(0, False), (2, True)]
    assert "AND has nothing after it" in papers.run("alerts", "check", "ada@example.org").err


def test_the_operator_is_told_of_a_query_that_cannot_be_used(papers: Newsletter, mail: Mailbox) -> None:
    papers.subscriber("ada", "email: ada@example.org\nalerts: [kelp]\n")
    papers.run("subscribers", "list")
    papers.damage("ada@example.org", alerts=[{"query": "kelp AND"}, {"query": "kelp"}, {"query": "kelp OR"}])
    ran = papers.run("send")
    told = "ada@example.org: an alert finds nothing: 'kelp AND' is not a query: column 6: AND has nothing after it"
    assert told in ran.out + ran.err and "(1 more)" in ran.out + ran.err
    assert len(mail.accepted) == 1


def test_a_file_with_a_query_that_cannot_be_used_names_line_and_column(newsletter: Newsletter) -> None:
    newsletter.subscriber("ada", "email: ada@example.org\nalerts:\n  - kelp\n  - query: kelp OR\n")
    said = newsletter.run("interests", "check", code=2).err
    assert "ada.yaml:4: alerts.2.query: 'kelp OR' is not a query: column 6: OR has nothing after it; add" in said


def test_equal_alerts_of_many_are_found_once_and_a_bad_one_stops_nobody() -> None:
    kelp, bad = Alert(kind=AlertKind.QUERY, value="kelp", always=True), Alert(kind=AlertKind.QUERY, value="kelp AND")
    prepared = AlertPapers(papers=[Paper(title="Sheep", row=1), Paper(title="Kelp", row=2)])
    found = alert_matches(prepared, {7: [bad, kelp], 8: [bad], 9: [kelp, kelp]})
    hits = {1: (AlertHit("matches “kelp”", True),)}
    assert found == {7: hits, 9: hits}
