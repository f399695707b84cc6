"""Containment: what goes wrong with one subscriber fails that one, with its name and reason; the others get theirs."""

import json
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from newsletter.store import open_store, writing
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

DAMAGED = ('{"half', "[]", '{"name": "Ada"}', "null", '{"interests": 5}')
WRONG = (
    {"interests": [{"name": "x", "text": 5}]},
    {"interests": [None]},
    {"interests": [{"name": "x", "liked": [5, None]}]},
    {"never": [7]},
    {"papers": "ten"},
)


def damage(newsletter: Newsletter, email: str, preferences: str) -> None:
    """Write into the store, past all checks, what a subscriber is said to prefer."""
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        statement = "UPDATE subscribers SET preferences = %s WHERE email = %s"
        if engine.dialect.name == "sqlite":
            statement = statement.replace("%s", "?")
        done = connection.exec_driver_sql(statement, (preferences, email))
        assert done.rowcount == 1
    engine.dispose()


def with_readers(newsletter: Newsletter, number: int) -> list[str]:
    """Subscribers with an interest each, brought in as JSON lines."""
    emails = [f"reader{place}@example.org" for place in range(number)]
    lines = [json.dumps({"email": email, "interests": ["reinforcement learning"]}) for email in emails]
    (newsletter.folder / "people.jsonl").write_text("\n".join(lines))
    newsletter.run("subscribers", "import", "people.jsonl")
    return emails


def states(newsletter: Newsletter) -> dict[str, str]:
    return {row["email"]: row["state"] for row in newsletter.run("log", "--json").rows}


@pytest.mark.both_stores
@pytest.mark.parametrize("stored", [*DAMAGED[1:], *WRONG], ids=str)
def test_one_damaged_subscriber_fails_alone(
    newsletter: Newsletter, mail: Mailbox, stored: str | dict, backend: str
) -> None:
    newsletter.with_sample()
    _, bad, *_ = emails = with_readers(newsletter, 4)
    whole = {"name": "", "papers": 10, "never": [], "schedule": {"days": ["fri"], "time": "07:30", "timezone": "UTC"}}
    fields = {"name": "x", "text": "", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": []}
    if isinstance(stored, dict):
        interests = [{**fields, "weight": 1.0, **one} if one else one for one in stored.get("interests", [fields])]
        stored = json.dumps({**whole, **stored, "interests": interests})
    damage(newsletter, bad, stored)
    ran = newsletter.run("send", code=1)
    assert f"{bad}, 2025-11-28: failed: " in ran.err
    assert states(newsletter) == {email: "failed" if email == bad else "sent" for email in emails}
    assert sorted(mail.recipients()) == sorted({*emails} - {bad})
    # The next edition goes on in the same way.
    newsletter.with_sample()
    newsletter.run("run", "--once", now="2025-12-01T09:00", code=None)
    newsletter.run("subscribers", "list")


def test_damaged_json_hides_nobody_else(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    first, *others = with_readers(newsletter, 3)
    damage(newsletter, first, '{"half')
    newsletter.run("send", "--due", now="2025-12-01T09:00", code=1)
    assert sorted(mail.recipients()) == others
    assert first in newsletter.run("subscribers", "list").out
    newsletter.run("subscribers", "export", "--output", "people.jsonl", "--format", "jsonl", code=None)


def test_five_hundred_readers_three_of_them_broken(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    emails = with_readers(newsletter, 500)
    header, zone, interests = emails[17], emails[230], emails[499]
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store, store:
        change = "UPDATE subscribers SET preferences = json_set(preferences, ?, json(?)) WHERE email = ?"
        name = json.dumps("=?utf-8?q?=0D=0ABcc:_evil=40x.test?=")
        store.execute(change, ("$.name", name, header))
        store.execute(change, ("$.schedule.timezone", json.dumps("Mars/Olympus"), zone))
        store.execute(change, ("$.interests", json.dumps([{"name": 5}]), interests))
    ran = newsletter.run("run", "--once", now="2025-12-01T09:00", code=1)
    assert "Traceback" not in ran.out + ran.err
    counts = Counter(states(newsletter).values())
    assert counts["sent"] >= 497
    assert counts["sent"] + counts["failed"] == 500
    assert interests in ran.out
    assert all(b"\r\nBcc:" not in content for _, content in mail.accepted)
    again = newsletter.run("run", "--once", now="2025-12-01T09:05")
    assert len(mail.accepted) == counts["sent"], again


def test_a_template_that_fails_for_one_reader_fails_that_one(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    emails = with_readers(newsletter, 3)
    newsletter.subscriber("ada", "email: ada@example.org\nname: Ada\ninterests: [graph neural networks]\n")
    own = newsletter.folder / "templates"
    own.mkdir(exist_ok=True)
    (own / "digest.txt").write_text("{{ greeting.nothing.at_all if greeting.startswith('Ada') else greeting }}\n")
    ran = newsletter.run("send", code=1)
    assert "ada@example.org, 2025-11-28: failed: the message could not be rendered" in ran.err
    assert states(newsletter) == {**dict.fromkeys(emails, "sent"), "ada@example.org": "failed"}
    assert sorted(mail.recipients()) == emails


def test_a_template_that_fails_for_everybody_stops_at_once(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    with_readers(newsletter, 3)
    own = newsletter.folder / "templates"
    own.mkdir(exist_ok=True)
    (own / "digest.txt").write_text("Hello {{ nothing.at.all }}\n")
    ran = newsletter.run("send", code=2)
    assert "digest.txt" in ran.err
    assert mail.accepted == []
    assert set(states(newsletter).values()) == {"planned"}
