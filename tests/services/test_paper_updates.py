"""What became of a paper, day by day, as two readers learn of it: in emails, on pages, in commands and files."""

import json
import os
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from newsletter.model import EventKind, Notice
from newsletter.store import open_store, paper_upsert, writing
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import links_of, path_of, row_of, serving, site_client

TITLE = "Night growth of barley roots in dry soil"
PREPRINT, ARTICLE = "10.1101/2025.11.20.654321", "10.5555/roots.2025.17"
FIRST = {
    "title": TITLE,
    "abstract": "Roots of barley grow at night. We measured 12 plants. Growth doubles in dry soil.",
    "authors": ["Ada Smith", "Bo Jones"],
    "doi": PREPRINT,
    "version": 1,
    "published": "2025-11-24",
}
SECOND = FIRST | {
    "version": 2,
    "title": "Night growth of barley roots",
    "abstract": "Roots of barley grow at night. We measured 480 plants in $3$ years. Growth does not double.",
}
THIRD = SECOND | {"venue": "Journal of Roots", "other_ids": [ARTICLE]}
FOURTH = THIRD | {"status": "retracted"}
DAYS = {"2025-11-24": FIRST, "2025-11-25": SECOND, "2025-11-26": THIRD, "2025-11-27": FOURTH, "2025-11-28": FOURTH}


def fetch(newsletter: Newsletter, day: str, paper: dict[str, object]) -> str:
    other = {"title": f"Gardens of {day}", "abstract": "On gardens.", "published": day, "doi": f"10.5555/{day}"}
    lines = [json.dumps(one) + "\n" for one in (paper, other)]
    (newsletter.folder / "papers.jsonl").write_text("".join(lines))
    return newsletter.run("fetch", now=f"{day}T06:00").out


def texts_since(mail: Mailbox, number: int) -> dict[str, str]:
    found = {}
    for message in mail.messages()[number:]:
        body = message.get_body(["plain"])
        assert body is not None
        assert message["To"] not in found
        found[str(message["To"])] = f"Subject: {message['Subject']}\n\n" + body.get_content().replace("\r\n", "\n")
    return found


@pytest.fixture
def two_readers(newsletter: Newsletter, mail: Mailbox) -> Newsletter:
    newsletter.configure(sources={"lab": {"kind": "file", "path": "papers.jsonl"}})
    newsletter.subscriber("ada", "email: ada@example.org\nalerts: [barley]\n")
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [superconducting qubits]\n")
    return newsletter


def four_days(newsletter: Newsletter, mail: Mailbox) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return what each reader's digest says each day (text part), and what each fetch prints."""
    told, fetched = {}, []
    for day, paper in DAYS.items():
        fetched.append(fetch(newsletter, day, paper))
        before = len(mail.accepted)
        newsletter.run("send", now=f"{day}T09:00")
        if day == "2025-11-26":
            newsletter.run("send", now=f"{day}T10:00")
        told[day] = texts_since(mail, before)
        if day == "2025-11-25":
            links = links_of(newsletter)
            with serving(newsletter, f"{day}T12:00") as where, site_client(where) as client:
                assert client.post(path_of(links.save_url(row_of(newsletter, "bob@example.org"), 1))).status_code == 303
    return told, fetched


def write_down(told: dict[str, dict[str, str]]) -> None:
    if folder := os.environ.get("FOUR_DAYS"):
        parts = [f"##### {day}, {to}\n\n{text}" for day, own in told.items() for to, text in sorted(own.items())]
        Path(folder).write_text("\n".join(parts))


def updates_of(text: str) -> str:
    """Return the section of a text part; empty if it has none."""
    found = re.search(r"UPDATES\n=======\n(.*?)(?:\n[A-Z ]+\n==+|\n-- \n)", text, re.DOTALL)
    return found[1] if found else ""


def test_each_reader_is_told_each_event_once(two_readers: Newsletter, mail: Mailbox) -> None:
    newsletter = two_readers
    told, fetched = four_days(newsletter, mail)
    write_down(told)
    first, second, third, fourth, fifth = (told[day] for day in DAYS)
    assert [("1 update on papers" in out) for out in fetched] == [False, True, True, True, False]
    assert [*first] == ["ada@example.org"]
    assert "YOUR ALERTS" in first["ada@example.org"]
    assert "UPDATES" not in first["ada@example.org"]
    assert [*second] == ["ada@example.org"]
    told_second = updates_of(second["ada@example.org"])
    assert "Revised (version 2)" in told_second
    assert f"Former title: “{TITLE}”" in told_second
    assert "“We measured 480 plants in 3 years.”" in " ".join(told_second.split())
    assert "No longer in the abstract: “We measured 12 plants.”" in " ".join(told_second.split())
    assert "Sent to you on 24 November.\n" in told_second
    for own in (third, fourth):
        assert {*own} == {"ada@example.org", "bob@example.org"}
        assert "You saved it.\n" in updates_of(own["bob@example.org"])
        assert "Sent to you on 24 November.\n" in updates_of(own["ada@example.org"])
    for text in third.values():
        assert text.startswith("Subject: Published: Night growth of barley roots\n")
        assert f"Published in Journal of Roots\n  Article: https://doi.org/{ARTICLE}\n" in updates_of(text)
        assert "Revised" not in text
    for text in fourth.values():
        assert text.startswith("Subject: Retracted: Night growth of barley roots\n")
        assert "Published" not in updates_of(text)
    assert fifth == {}
    lines = [re.sub(r"\s+", " ", updates_of(text)) for own in told.values() for text in own.values()]
    assert sum("Revised" in one for one in lines) == 1
    commands_and_files_know_the_history(newsletter)
    pages_and_feeds_know_the_history(newsletter, fourth["ada@example.org"])


def commands_and_files_know_the_history(newsletter: Newsletter) -> None:
    (shown,) = newsletter.run("papers", "show", PREPRINT, "--json").rows
    assert shown["status"] == "retracted"
    assert [one["kind"] for one in shown["history"]] == ["revised", "published", "retracted"]
    assert shown["history"][0]["former_title"] == TITLE
    out = newsletter.run("papers", "show", ARTICLE).out
    assert f"history: Published in Journal of Roots, seen on 2025-11-26, https://doi.org/{ARTICLE}\n" in out
    assert "[Retracted] Night growth" in newsletter.run("papers", "search", "barley").out
    assert "[Retracted] Night growth" in newsletter.run("papers", "list").out
    why = newsletter.run("rank", "ada@example.org", "--why", PREPRINT, "--json").rows
    assert (why[0]["reason"], why[0]["explanation"]) == ("retracted", "It was retracted, and such papers are not sent.")
    bibtex = newsletter.run("papers", "export", "--format", "bibtex", "--title", "barley").out
    assert f"doi = {{{ARTICLE}}}" in bibtex
    assert "note = {Retracted}" in bibtex
    assert "journal = {Journal of Roots}" in bibtex
    ris = newsletter.run("papers", "export", "--format", "ris", "--title", "barley").out
    assert f"DO  - {ARTICLE}" in ris
    assert "N1  - Retracted" in ris
    (csl,) = json.loads(newsletter.run("papers", "export", "--format", "csljson", "--title", "barley").out)
    assert (csl["DOI"], csl["note"], csl["type"]) == (ARTICLE, "Retracted", "article-journal")


def pages_and_feeds_know_the_history(newsletter: Newsletter, digest: str) -> None:
    browser = re.search(r"View in browser: (\S+)", digest)
    assert browser is not None
    with serving(newsletter) as where, site_client(where) as client:
        page = client.get(f"/papers/{PREPRINT}").text
        assert "<b>Retracted.</b>" in page
        assert page.index("Retracted</span>") < page.index("Published in") < page.index("Revised (version 2)")
        assert "<details><summary>What changed</summary>" in page
        assert f'<a href="https://doi.org/{ARTICLE}">doi.org/{ARTICLE}</a>' in page
        assert f'Preprint (bioRxiv): <a href="https://doi.org/{PREPRINT}">' in page
        assert '<span class="status">Retracted</span>' in client.get("/papers?q=barley+night").text
        assert "<title>Retracted: Night growth" in client.get("/feeds/papers.atom").text
        answer = client.get(f"/api/papers/{PREPRINT}").json()
        assert (answer["status"], [one["kind"] for one in answer["history"]][-1]) == ("retracted", "retracted")
        shared = client.get(path_of(browser[1]))
        assert shared.status_code == 200
        assert "Retracted" in shared.text
        assert "Sent to you" not in shared.text


def test_readers_choose_what_they_are_told(two_readers: Newsletter, mail: Mailbox) -> None:
    newsletter = two_readers
    newsletter.subscriber("ada", "email: ada@example.org\nalerts: [barley]\nupdates: [retracted]\n")
    newsletter.subscriber("eve", "email: eve@example.org\nalerts: [barley]\nupdates: []\n")
    for day, paper in (("2025-11-24", FIRST), ("2025-11-25", THIRD), ("2025-11-26", FOURTH)):
        fetch(newsletter, day, paper)
        newsletter.run("send", now=f"{day}T09:00")
    assert sorted(mail.recipients()[:2]) == ["ada@example.org", "eve@example.org"]
    assert mail.recipients()[2:] == ["ada@example.org"]
    assert mail.messages()[-1]["Subject"] == "Retracted: Night growth of barley roots"
    assert "updates: retracted\n" in newsletter.run("subscribers", "show", "ada@example.org").out
    assert "updates: none\n" in newsletter.run("subscribers", "show", "eve@example.org").out
    newsletter.run("subscribe", "ada@example.org", "--updates", "published, withdrawn")
    assert "updates: published, withdrawn\n" in newsletter.run("subscribers", "show", "ada@example.org").out
    wrong = newsletter.run("subscribe", "ada@example.org", "--updates", "reprinted", code=2)
    assert "updates" in wrong.err
    table = newsletter.run("subscribers", "export").out
    assert ",published;withdrawn," in table
    assert ",none," in table
    (newsletter.folder / "again.csv").write_text("email,updates\neve@example.org,corrected\nada@example.org,none\n")
    newsletter.run("subscribers", "import", "again.csv")
    rows = {one["email"]: one["updates"] for one in newsletter.run("subscribers", "list", "--json").rows}
    assert rows == {
        "ada@example.org": [],
        "eve@example.org": ["corrected"],
        "bob@example.org": ["published", "revised", "corrected", "concern", "withdrawn", "retracted"],
    }


@pytest.mark.parametrize(("kind", "is_news"), [(EventKind.PUBLISHED, False), (EventKind.RETRACTED, True)])
def test_what_a_source_reports_years_later_is_news_only_if_it_is_a_warning(
    two_readers: Newsletter, mail: Mailbox, kind: EventKind, is_news: bool
) -> None:
    newsletter = two_readers
    fetch(newsletter, "2023-11-24", FIRST | {"published": "2023-11-24"})
    newsletter.run("send", now="2023-11-24T09:00")
    late = Notice(kind=kind, of=(PREPRINT,), day=date(2024, 1, 9), doi=ARTICLE, venue="Journal of Roots")
    with writing(open_store(newsletter.config.store_url)) as connection:
        paper_upsert.upsert(connection, [late], "journals", datetime(2025, 11, 24, 8, tzinfo=UTC))
    before = len(mail.accepted)
    newsletter.run("send", now="2025-11-24T09:00")
    assert len(mail.accepted) - before == is_news
    assert kind.value in newsletter.run("papers", "show", PREPRINT).out.lower()


def test_a_preview_and_a_dry_run_show_the_updates(two_readers: Newsletter, mail: Mailbox) -> None:
    newsletter = two_readers
    for day in ("2025-11-24", "2025-11-25"):
        fetch(newsletter, day, DAYS[day])
        if day == "2025-11-24":
            newsletter.run("send", now=f"{day}T09:00")
    now = "2025-11-25T08:00"
    (row,) = newsletter.run("preview", "ada@example.org", "--format", "json", now=now).rows
    assert [(one["kind"], one["sent_on"], one["saved"]) for one in row["updates"]] == [("revised", "2025-11-24", False)]
    planned = {one["email"]: one for one in newsletter.run("send", "--dry-run", "--json", now=now).rows}
    assert [one["version"] for one in planned["ada@example.org"]["updates"]] == [2]
    assert planned["bob@example.org"]["updates"] == []
    why = newsletter.run("rank", "ada@example.org", "--why", PREPRINT, now=now).out
    assert "Today’s digest reports an update: Revised (version 2)." in " ".join(why.split())
    assert "  [Updates] Revised: Night growth of barley roots\n" in newsletter.run("send", "--dry-run", now=now).out
    newsletter.run("send", now="2025-11-25T09:00")
    out = newsletter.run("log", "--why", "ada@example.org", now="2025-11-25T10:00").out
    assert "0 papers and 1 update, accepted by the server" in " ".join(out.split())


def test_a_fetch_of_past_days_tells_no_old_events_except_warnings(two_readers: Newsletter, mail: Mailbox) -> None:
    newsletter = two_readers
    names = {"grain": "2023-05-04", "malt": "2025-11-02", "husk": "2023-06-07", "stem": "2025-01-01"}
    preprints = [
        {"title": f"Barley and the growth of its {one}", "authors": ["Ada Smith"], "arxiv_id": f"2511.0000{number}"}
        for number, one in enumerate(names, start=1)
    ]
    store = newsletter.folder / "papers.jsonl"
    store.write_text("".join(json.dumps(one) + "\n" for one in preprints))
    newsletter.run("fetch", now="2025-11-20T06:00")
    newsletter.run("send", now="2025-11-20T09:00")
    articles = [
        {"title": one["title"], "authors": ["Ada Smith"], "doi": f"10.5555/{name}", "venue": "Roots", "published": day}
        for one, (name, day) in zip(preprints, names.items(), strict=True)
    ]
    articles[2]["status"] = "retracted"
    store.write_text("".join(json.dumps(one) + "\n" for one in articles))
    newsletter.run("fetch", now="2025-11-21T06:00")
    before = len(mail.accepted)
    newsletter.run("send", now="2025-11-21T09:00")
    told = updates_of(texts_since(mail, before)["ada@example.org"])
    # The first of January may stand for the whole year.
    assert [one in told for one in ("grain", "malt", "husk", "stem")] == [False, True, True, True]
    assert "Retracted" in told
    assert told.count("Published in Roots") == 2
    (shown,) = newsletter.run("papers", "show", "2511.00001", "--json").rows
    assert [(one["kind"], one["day"]) for one in shown["history"]] == [("published", "2023-05-04")]
