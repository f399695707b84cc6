"""A newsletter that the version before made still works: configuration, subscriber files, templates, store and links.

``former_version/`` was made with the commands of the version with schema revision 0015, before tables got their present
names: eight subscribers, one edition (one message refused, one deferred), feedback, a pending sign-up, an operator's
token, and the scheduler's jobs, which that version stored with the names of its functions.
"""

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.helpers.newsletter import Newsletter, wait_until
from tests.helpers.smtp import Mailbox
from tests.helpers.web import serving

FORMER = Path(__file__).parent / "former_version"
SITE = {"Host": "papers.example.org", "Origin": "https://papers.example.org"}
OPERATOR_TOKEN = "nl_nNGgGxbv-w1GorFQoWQ_EU84dqXHcYBRV3k7Hcjh8bs"
PREFERENCES = "/preferences/1.6441292740389463f8cabf0041585ad7ae877358f15417eae4b22c7808f6f6f1"
IN_BROWSER = "/digest/1.20251128.855d8440382f452d65d39dcf9abb350a5935e4ec6d0a284b7bb82836d11dd905"
LESS_OF_PAPER_9 = "/feedback/1.9.less.e0515fbd3f3f32594dcdc6e052c4b3a8fec171906764ffbc6028fffbc4fb243a"
UNSUBSCRIBE_HAL = "/unsubscribe/7.151db5b70e7edc9ac8f056f7bd3bc62e693dabad258988f7533271a15fb25e76"
CONFIRM_NEW = "/confirm/1.1764322201340370.b2101e6791d2332c5b95cc6377fc2650e09ecb92edf157a2301609d5538a9cdc"


@pytest.fixture
def former(newsletter: Newsletter, mail: Mailbox) -> Iterator[Newsletter]:
    """The newsletter of the version before, whose mail goes to ``mail``."""
    port = newsletter.config.smtp.port
    shutil.copytree(FORMER, newsletter.folder, dirs_exist_ok=True)
    var = newsletter.folder / "var"
    for name in ("cur", "new", "tmp"):
        (var / "bounces" / name).mkdir(parents=True)
    (newsletter.folder / "secret.key").rename(var / "secret.key")
    (var / "secret.key").chmod(0o600)
    newsletter.store.unlink()
    with closing(sqlite3.connect(newsletter.store)) as store:
        store.executescript((newsletter.folder / "store.sql").read_text())
    config = newsletter.folder / "config.yaml"
    config.write_text(config.read_text().replace("port: 1,", f"port: {port},"))
    (newsletter.folder / "papers.jsonl").write_text(
        '{"title": "Gene sequences read by language models", "abstract": "Language models of gene sequences.", '
        '"listed_on": "2025-11-30"}\n'
        '{"title": "Bayesian optimization of looms", "abstract": "Gaussian processes choose the next sample.", '
        '"listed_on": "2025-11-30"}\n'
    )
    yield newsletter


def test_its_subscribers_and_log_are_read(former: Newsletter) -> None:
    states = {row["email"]: row["state"] for row in former.run("subscribers", "list", "--json").rows}
    assert states == {
        "ada@example.org": "active",
        "ben@example.net": "active",
        "defer@example.net": "active",
        "gone@example.net": "bounced",
        "hal@example.net": "active",
        "new@example.net": "pending",
        "pau@example.net": "paused",
        "uma@example.net": "unsubscribed",
    }
    log = {row["email"]: row["state"] for row in former.run("log", "--json").rows}
    assert log["gone@example.net"] == "failed"
    assert log["defer@example.net"] == "deferred"
    assert list(log.values()).count("sent") == 4
    assert former.run("subscribers", "list").err == ""  # Its subscriber file has no errors.


def test_its_deferred_digest_and_the_next_edition_are_sent(former: Newsletter, mail: Mailbox) -> None:
    former.run("send", now="2025-11-28T09:10")
    assert mail.recipients() == ["defer@example.net"]
    former.run("fetch", now="2025-12-01T08:00")
    former.run("send", now="2025-12-01T08:00")
    assert sorted(mail.recipients()[1:]) == [
        "ada@example.org",
        "ben@example.net",
        "defer@example.net",
        "hal@example.net",
    ]
    for message in mail.messages():
        text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
        # From the newsletter's own templates.
        assert "OUR OWN GREETING" in text
        assert "OUR OWN GREETING" in html


def test_no_paper_is_sent_again(former: Newsletter, mail: Mailbox) -> None:
    before = {paper["id"] for paper in former.run("papers", "list", "--json").rows}
    former.run("fetch", now="2025-12-01T08:00")
    former.run("send", now="2025-12-01T08:00")
    (ada,) = (message for message in mail.messages() if message["To"] == "Ada <ada@example.org>")
    text = ada.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Bayesian optimization of looms" in text
    assert "A Tutorial on Bayesian Optimization" not in text
    assert len(before) == 14


def test_its_papers_are_found_by_author(former: Newsletter) -> None:
    with closing(sqlite3.connect(former.store)) as store, store:
        store.execute("""UPDATE papers SET authors = '["Hopper, Grace", "J. Doe"]' WHERE row = 3""")
    (paper,) = [one for one in former.run("papers", "list", "--json").rows if "J. Doe" in one["authors"]]
    found = former.run("papers", "search", "Grace Hopper", "--json").rows
    assert (found[0]["paper_id"], found[0]["because"]) == (paper["id"], "by Hopper, Grace"), found[0]


def test_links_in_its_emails_work(former: Newsletter) -> None:
    with serving(former, now="2025-11-28T12:00") as site, httpx.Client(base_url=site, headers=SITE) as client:
        assert "Bayesian optimization and Gaussian processes" in client.get(PREFERENCES).text
        assert "InfFeed" in client.get(IN_BROWSER).text
        assert client.post(LESS_OF_PAPER_9).status_code in (200, 303)
        assert client.post(UNSUBSCRIBE_HAL, data={"List-Unsubscribe": "One-Click"}).status_code == 200
        assert client.post(CONFIRM_NEW).status_code == 303
    states = {row["email"]: row["state"] for row in former.run("subscribers", "list", "--json").rows}
    assert (states["hal@example.net"], states["new@example.net"]) == ("unsubscribed", "active")
    with closing(sqlite3.connect(former.folder / "var" / "newsletter.db")) as store:
        assert store.execute("SELECT paper, verdict FROM feedback WHERE subscriber = 1 ORDER BY paper").fetchall() == [
            (2, "more"),
            (9, "less"),
        ]


def test_its_operator_token_opens_the_metrics(former: Newsletter) -> None:
    with serving(former) as site:
        headers = SITE | {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
        assert httpx.get(f"{site}/metrics", headers=headers).status_code == 200


def test_its_scheduled_jobs_are_taken_over(former: Newsletter) -> None:
    process = former.start("run")

    def jobs() -> set[str]:
        with closing(sqlite3.connect(former.folder / "var" / "newsletter.db")) as store:
            rows = store.execute("SELECT id, job_state FROM scheduled_jobs").fetchall()
        return {name for name, state in rows if b"newsletter.schedule:" not in state}

    wait_until(lambda: jobs() == {"fetch", "tick", "libraries", "housekeeping", "bounces"}, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
