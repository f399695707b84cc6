"""Alerts and never-authors on the preferences page, over HTTP, and as commands show them."""

import html
import re

import httpx
import pytest

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import links_of, path_of, row_of, serving, site_client
from tests.web.pages.test_preferences import filled, kept

FILE = """\
email: ada@example.org
interests:
  - name: Several goals
    text: multi-objective reinforcement learning
    zotero: {user: 475425, collections: [Papers/*]}  # hers
never_authors: [Charles Babbage, "O'Neil, <Sam>"]
alerts:
  # for the seminar
  - '"graph neural network*" AND molecul*'
  - author: {name: Ada Lovelace, orcid: 0000-0002-1825-0097}
    name: Ada
    always: true
  - institution: {ror: 05a28rw58}
  - cites: 2402.01310
"""
ALERTS = [
    {"query": '"graph neural network*" AND molecul*'},
    {"author": {"name": "Ada Lovelace", "orcid": "0000-0002-1825-0097"}, "name": "Ada", "always": True},
    {"institution": {"ror": "05a28rw58"}},
    {"cites": "2402.01310"},
]


@pytest.fixture
def page(newsletter: Newsletter) -> str:
    newsletter.subscriber("ada", FILE)
    newsletter.run("subscribers", "list")
    return path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, "ada@example.org")))


def file_of(newsletter: Newsletter) -> str:
    return (newsletter.folder / "subscribers" / "ada.yaml").read_text()


def block(answer: httpx.Response, number: int) -> str:
    """The part of a page that has an alert."""
    return html.unescape(answer.text.partition(f'id="a{number}-heading"')[2].partition("</div>")[0])


def test_a_form_sent_as_it_is_changes_nothing(newsletter: Newsletter, page: str) -> None:
    assert kept(newsletter)["alerts"] == ALERTS
    with serving(newsletter) as where, site_client(where) as client:
        shown = client.get(page)
        assert shown.text.count('-value" name="a') == 5
        assert "Alert 2: Ada" in block(shown, 1)
        assert all("identifier" in block(shown, number) for number in range(5))
        assert "<Sam>" not in shown.text
        assert client.post(page, data=filled(client, page)).status_code == 303
    assert file_of(newsletter) == FILE


def test_alerts_are_changed_added_and_removed(newsletter: Newsletter, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page)
        fields |= {"a0-value": "title:looms\r\n OR cloth", "a0-always": ["yes"], "a1-always": [], "a2-remove": "yes"}
        fields |= {"a3-value": "https://doi.org/10.1000/XYZ123", "a4-kind": "author"}
        fields |= {"a4-identifier": "https://orcid.org/0000-0001-5109-3700", "never_authors": "Grace Hopper\n\n"}
        looked = client.post(page, data=fields | {"act": "preview"})
        assert "Not saved yet." in looked.text
        assert 'value="https://orcid.org/0000-0001-5109-3700"' in block(looked, 3)
        assert file_of(newsletter) == FILE
        assert client.post(page, data=fields).headers["location"] == f"{page}?said=saved"
    now = kept(newsletter)
    assert now["alerts"] == [
        {"query": "title:looms OR cloth", "always": True},
        {"author": ALERTS[1]["author"], "name": "Ada"},
        {"cites": "10.1000/xyz123"},
        {"author": {"orcid": "0000-0001-5109-3700"}},
    ]
    assert now["never_authors"] == ["Grace Hopper"]
    # What the form does not have stays, with the comments.
    assert now["interests"][0]["zotero"] == [{"user": "475425", "collections": ["Papers/*"]}]
    assert "# hers" in file_of(newsletter)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"a1-identifier": "0000-0002-1825-0098"},
            "'0000-0002-1825-0098' is not an ORCID iD: its check digit is wrong",
        ),
        ({"a1-kind": "institution"}, "'0000-0002-1825-0097' is not a ROR id"),
        ({"a1-kind": "query"}, "only an author has an ORCID iD and only an institution a ROR id"),
        ({"a1-kind": "cites", "a1-identifier": ""}, "'Ada Lovelace' is neither a DOI nor an arXiv id"),
        ({"a1-value": "x" * 1_001}, "1000"),
    ],
)
def test_an_error_stands_next_to_its_alert_and_what_was_written_stays(
    newsletter: Newsletter, page: str, wrong: dict[str, str], said: str
) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        answer = client.post(
            page, data=filled(client, page) | {"a0-remove": "yes", "a3-value": "</textarea><b>"} | wrong
        )
    assert answer.status_code == 422
    (at_top,) = re.findall(r'<div class="note bad" role="alert">(.*?)</div>', answer.text, re.DOTALL)
    # The first alert is to be removed, so the second is the first now.
    assert "<p>Alert 1: " in at_top and said in html.unescape(at_top)
    first = block(answer, 0)
    assert said in first
    assert 'aria-invalid="true" aria-describedby="a0-problem"' in first
    assert f'value="{wrong.get("a1-kind", "author")}">' in first
    assert "&lt;/textarea&gt;&lt;b&gt;</textarea>" in answer.text
    assert 'id="a1-problem"' not in answer.text
    assert file_of(newsletter) == FILE


def test_a_field_with_an_unknown_kind_is_a_query(newsletter: Newsletter, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        for kind in ("", "always", "<b>"):
            fields = filled(client, page) | {"a0-kind": kind, "a4-kind": kind, "a4-value": "  "}
            assert client.post(page, data=fields).status_code == 303
    assert kept(newsletter)["alerts"] == ALERTS


def test_the_saved_version_has_them_when_both_were_changed(newsletter: Newsletter, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page) | {"a0-value": "mine"}
        newsletter.subscriber("ada", FILE.replace("Babbage", "Darwin"))
        newsletter.run("subscribers", "list")
        answer = client.post(page, data=fields)
    assert answer.status_code == 409
    saved = html.unescape(answer.text.partition('id="kept"')[2].partition("</section>")[0])
    assert "Never by: Charles Darwin; O'Neil, <Sam>" in saved
    assert re.findall(r"<li>([^<]+)</li>", saved) == [ALERTS[0]["query"], "Ada", "05a28rw58", "2402.01310"]
    assert ">mine</textarea>" in answer.text


def test_many_alerts_fit_into_the_form(newsletter: Newsletter, page: str) -> None:
    many = "\n".join(f"  - author: {{name: Person {number}}}" for number in range(500))
    newsletter.subscriber("ada", f"email: ada@example.org\nalerts:\n{many}\n")
    newsletter.run("subscribers", "list")
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page)
        assert client.post(page, data=fields | {"a7-value": "Person seven"}).status_code == 303
        answer = client.post(page, data=filled(client, page) | {"a500-value": "One more"})
    assert answer.status_code == 422
    assert "Alerts: " in answer.text
    assert len(kept(newsletter)["alerts"]) == 500
    assert kept(newsletter)["alerts"][7] == {"author": {"name": "Person seven"}}


def test_commands_show_them(newsletter: Newsletter, page: str) -> None:
    lines = [
        'alert: query "graph neural network*" AND molecul*',
        "alert: Ada: author Ada Lovelace (ORCID 0000-0002-1825-0097); also if hidden by never",
        "alert: institution ROR 05a28rw58",
        "alert: cites 2402.01310",
    ]
    never = "never by: Charles Babbage; O'Neil, <Sam>"
    shown = newsletter.run("subscribers", "show", "ada@example.org").out.splitlines()
    assert shown[-5:] == [never, *lines]
    shown = newsletter.run("interests", "show", "ada@example.org").out.splitlines()
    assert [line.strip() for line in shown[-5:]] == [never, *lines]
