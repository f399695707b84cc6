"""The JSON API: what it answers, to whom, and that its OpenAPI document is true."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import httpx
import pytest

from newsletter.model import Scope
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import serving

Served = tuple[str, Newsletter]
PRIVATE = ("subscribers", "subscribers/1", "editions", "sends", "stats")


def bearer(newsletter: Newsletter, *options: str, now: str | None = None) -> dict[str, str]:
    """The header of a token that the command line makes."""
    at = {"now": now} if now else {}
    return {"Authorization": f"Bearer {newsletter.run('token', 'create', 'ada', *options, **at).out.strip()}"}


def test_papers_come_by_day_in_pages(served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample()
    everything = {row["id"]: row for row in newsletter.run("papers", "list", "--json", "--limit", 1000).rows}
    seen: list[dict] = []
    after: dict[str, str] = {}
    while True:
        page = httpx.get(f"{where}/api/papers", params={"limit": 40, **after}).json()
        seen += page["papers"]
        assert len(page["papers"]) <= 40
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert {paper["id"]: paper for paper in seen} == everything
    days = [paper["listed_on"] or paper["published"] or "" for paper in seen]
    assert days == sorted(days, reverse=True)

    day = max(days)
    moment = datetime.fromisoformat(day)
    for asked in ({"day": day}, {"week": f"{moment:%G-W%V}"}, {"month": day[:7]}):
        found = httpx.get(f"{where}/api/papers", params={**asked, "limit": 100}).json()["papers"]
        assert day in {paper["listed_on"] or paper["published"] for paper in found}, asked
        assert len(found) < len(everything), asked
    both = httpx.get(f"{where}/api/papers", params={"day": day, "month": "1999-01"}).json()
    assert both == {"papers": [], "next": None}


def test_one_paper_those_like_it_search_and_trending(served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample()
    (told,) = newsletter.run("papers", "search", "diffusion", "--limit", 1, "--json").rows
    (found,) = httpx.get(f"{where}/api/search", params={"q": "diffusion", "limit": 1}).json()["papers"]
    assert (found["paper"]["id"], found["score"], found["because"]) == (
        told["paper_id"],
        told["score"],
        told["because"],
    )
    one = found["paper"]["id"]
    assert httpx.get(f"{where}/api/papers/{one}").json() == found["paper"]
    like = httpx.get(f"{where}/api/similar/{one}", params={"limit": 3}).json()["papers"]
    rows = newsletter.run("papers", "similar", one, "--limit", 3, "--json").rows
    assert [match["paper"]["id"] for match in like] == [row["paper_id"] for row in rows]
    trending = httpx.get(f"{where}/api/trending", params={"limit": 5}).json()["papers"]
    scores = [match["score"] for match in trending]
    assert scores[0] == 1
    assert scores == sorted(scores, reverse=True)
    assert trending[0]["because"] == f"{trending[0]['paper']['comments']} comments"


def test_a_doi_is_an_id_too(served: Served) -> None:
    where, newsletter = served
    (newsletter.folder / "x.jsonl").write_text('{"title": "One", "doi": "10.1101/2025.11.01.1234"}')
    newsletter.run("import", "x.jsonl")
    for asked in ("10.1101/2025.11.01.1234", "10.1101%2F2025.11.01.1234"):
        assert httpx.get(f"{where}/api/papers/{asked}").json()["title"] == "One"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("papers?limit=101", "limit: is too large; it must be 100 or less"),
        ("papers?page=2", "page: is not known here; remove it"),
        ("papers?day=1764288000", "day: is not a day; write it like 2025-11-28"),
        ("search", "q: missing; add it"),
    ],
)
def test_what_cannot_be_answered_is_told(served: Served, asked: str, words: str) -> None:
    answer = httpx.get(f"{served[0]}/api/{asked}")
    assert (answer.status_code, answer.json()) == (422, {"error": words})


@pytest.mark.both_stores
def test_operators_see_what_the_command_line_shows(mail: Mailbox, reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample().run("send")
    newsletter.run("subscribe", "grace@example.org", "--no-file")
    with httpx.Client(base_url=where, headers=bearer(newsletter), verify=False) as client:
        first = client.get("/api/subscribers", params={"limit": 1}).json()
        second = client.get("/api/subscribers", params={"limit": 1, "after": first["next"]}).json()
        told = {row["email"]: row for row in newsletter.run("subscribers", "list", "--json").rows}
        for one in (*first["subscribers"], *second["subscribers"]):
            assert {**one, **told[one["email"]]} == one
        assert second["next"] is None
        ada = client.get("/api/subscribers", params={"email": "ADA@example.org"}).json()["subscribers"][0]
        assert client.get(f"/api/subscribers/{ada['id']}").json() == ada
        assert client.get("/api/subscribers/99").json() == {"error": "No subscriber has this id."}

        (line,) = client.get("/api/sends", params={"state": "sent"}).json()["sends"]
        (logged,) = newsletter.run("log", "--json").rows
        assert {key: line[key] for key in logged if key in line} == {key: logged[key] for key in logged if key in line}
        assert client.get("/api/sends", params={"state": ["failed", "deferred"]}).json() == {"sends": [], "next": None}
        assert client.get("/api/sends", params={"paper": line["papers"][0]["id"]}).json()["sends"] == [line]
        (edition,) = client.get("/api/editions").json()["editions"]
        assert edition == {"edition": line["edition"], "sends": {"sent": 1}}
        stats = client.get("/api/stats").json()
        assert (stats["papers"], stats["subscribers"]["active"], stats["sends"]["sent"]) == (145, 2, 1)


def test_only_a_token_that_holds_lets_in(served: Served) -> None:
    where, newsletter = served
    short = bearer(newsletter, "--days", "1", now="2025-11-27T08:00")  # ended an hour ago
    answers = [
        httpx.get(f"{where}/api/{path}", headers=headers)
        for path in PRIVATE
        for headers in ({}, {"Authorization": "Bearer nonesuch"}, short, {"Authorization": "Basic YTpi"})
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}

    newsletter.run("token", "revoke", "ada")
    good = bearer(newsletter, "--days", "1")
    assert httpx.get(f"{where}/api/stats", headers=good).status_code == 200
    (kept,) = newsletter.run("token", "list", "--json").rows
    assert datetime.fromisoformat(kept["last_used"]) == datetime(2025, 11, 28, 9, tzinfo=UTC)
    assert good["Authorization"].split()[1].encode() not in (newsletter.folder / "var" / "newsletter.db").read_bytes()
    newsletter.run("token", "revoke", "ada")
    assert httpx.get(f"{where}/api/stats", headers=good).status_code == 401


def test_who_asks_by_it_is_written_to_like_any_other(mail: Mailbox, reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.run("subscribers", "list")
    answers = [
        httpx.post(f"{where}/api/subscribe", json={"email": email, "interests": ["diffusion"]})
        for email in ("new@example.org", reader)
    ]
    assert {(one.status_code, one.text) for one in answers} == {(202, answers[0].text)}
    end = time.monotonic() + 30
    while len(mail.accepted) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert sorted(mail.recipients()) == [reader, "new@example.org"]
    states = {row["email"]: row["state"] for row in newsletter.run("subscribers", "list", "--json").rows}
    assert states == {reader: "active", "new@example.org": "pending"}
    wanted = {"email": "bob@example.org", "layout": "titles"}
    assert httpx.post(f"{where}/api/subscribe", json=wanted).status_code == 202
    (bob,) = newsletter.run("subscribers", "show", "bob@example.org", "--json").rows
    assert bob["layout"] == "titles"
    assert httpx.post(f"{where}/api/subscribe", json=wanted | {"layout": "posters"}).status_code == 422
    refused = httpx.post(f"{where}/api/subscribe", json={"email": "no address"})
    assert (refused.status_code, "error" in refused.json()) == (422, True)


SCHEMATHESIS = """\
# JSON Schema cannot say everything: whether a template exists, a query can be read, or a key was used before.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 422, 429]

[phases.coverage]
unexpected-methods = ["TRACE"]
"""


def test_its_document_is_true(mail: Mailbox, reader: str, newsletter: Newsletter) -> None:
    newsletter.configure(web={"api_per_minute": 100_000})
    newsletter.with_sample().run("send")
    newsletter.run("subscribers", "tag", reader, "--add", "guests")
    templates = newsletter.folder / "templates" / "messages"
    templates.mkdir(parents=True)
    (templates / "receipt.md").write_text("# Receipt {{ number }}\n\n[See it]({{ link }})\n")
    (newsletter.folder / "schemathesis.toml").write_text(SCHEMATHESIS)
    token = bearer(newsletter, *(option for scope in Scope for option in ("--scope", scope.value)))["Authorization"]
    with serving(newsletter) as where:
        operations = [
            operation
            for path in httpx.get(f"{where}/api/openapi.json").json()["paths"].values()
            for operation in path.values()
        ]
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{where}/api/openapi.json"]
        limits = [
            "--phases=coverage,fuzzing",
            "--max-examples=1",
            "--workers=1",
            "--request-timeout=60",
            "--seed=1",
            "--no-color",
        ]
        ran = subprocess.run(
            [*command, *limits, "--header", f"Authorization: {token}"],
            cwd=newsletter.folder,
            env={**os.environ, "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            timeout=900,
        )
    assert ran.returncode == 0, ran.stdout
    assert len(operations) == 29
    assert f"Tested: {len(operations)}" in ran.stdout
