"""Recall and precision on papers written for the purpose, see README.md in this folder."""

import json
from pathlib import Path

import pytest

from newsletter.alerts.matching import AlertPapers, Institution, PaperFacts, Person, match_alert
from newsletter.model import Alert, AlertKind, Paper
from newsletter.rendering.plain_text import latex_to_text
from newsletter.sources.jsonl import read_lines

HERE = Path(__file__).parent
LABELLED = [json.loads(line) for line in (HERE / "labelled.jsonl").read_text().splitlines()]
ALERTS = json.loads((HERE / "queries.json").read_text())
OWN_FIELDS = ("row", "facts", "cites", "made_for", "why", "found_by")


def alert_of(said: dict[str, str]) -> Alert:
    if "query" in said:
        return Alert(kind=AlertKind.QUERY, value=said["query"])
    if "cites" in said:
        return Alert(kind=AlertKind.CITES, value=said["cites"])
    if "institution" in said:
        return Alert(kind=AlertKind.INSTITUTION, value=said["institution"], identifier=said.get("ror"))
    return Alert(kind=AlertKind.AUTHOR, value=said.get("author", ""), identifier=said.get("orcid"))


@pytest.fixture(scope="module")
def prepared() -> AlertPapers:
    papers, facts, citations = [], {}, dict[str, set[int]]()
    for row, one in enumerate(LABELLED, 1):
        fields = {key: value for key, value in one.items() if key not in OWN_FIELDS}
        (paper,) = read_lines(json.dumps(fields), "labelled.jsonl")
        assert isinstance(paper, Paper), paper
        papers.append(Paper(**{**{name: getattr(paper, name) for name in paper.__slots__}, "row": row}))
        known = one.get("facts", {})
        facts[row] = PaperFacts(
            tuple(Person(*person) for person in known.get("authors", ())),
            tuple(Institution(*institution) for institution in known.get("institutions", ())),
        )
        for cited in one.get("cites", ()):
            citations.setdefault(cited, set()).add(row)
    return AlertPapers(papers=papers, facts=facts, citations=citations, plain=latex_to_text)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_finds_exactly_the_papers_written_for_it(name: str, prepared: AlertPapers) -> None:
    found = {
        LABELLED[match.paper]["why"] + f" (row {match.paper + 1})": "possibly" if match.possibly else "hit"
        for match in match_alert(prepared, alert_of(ALERTS[name]))
    }
    expected = {
        one["why"] + f" (row {row})": one["found_by"][name]
        for row, one in enumerate(LABELLED, 1)
        if name in one["found_by"]
    }
    assert found == expected


def test_the_set_has_what_its_readme_says() -> None:
    assert (len(LABELLED), len(ALERTS)) == (300, 25)
    assert {one["made_for"] for one in LABELLED} == ALERTS.keys()
