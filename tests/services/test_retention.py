"""Forgetting: what is old goes by itself, people go for good, and nothing of them touches who comes after."""

import json
import sqlite3
import threading
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import create_engine, text

from newsletter import store
from newsletter.model import Digest
from newsletter.store import open_store, plans, reading, retention, secure_delete, writing
from tests.audience.test_subscriptions import state
from tests.helpers import bounce_reports as reports
from tests.helpers.bounce_reports import About
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import links_of, path_of, row_of, serving, site_client
from tests.services.test_bounces import Senders, listed, suppressed, take

READER = "ada@example.org"


def save_paper(newsletter: Newsletter, email: str, paper: int) -> str:
    """Save a paper (by row) by the link of an email; return its title."""
    path = path_of(links_of(newsletter).save_url(row_of(newsletter, email), paper))
    with serving(newsletter) as where, site_client(where) as client:
        assert client.post(path).status_code == 303
    (title,) = rows_of(newsletter, f"SELECT title FROM papers WHERE row = {paper}")[0]
    return str(title)


def some_papers(newsletter: Newsletter, name: str, now: str) -> None:
    about = ("Multi-objective reinforcement learning and Pareto fronts", "Language models")
    rows = [json.dumps({"title": f"{text}, {name}", "abstract": text}) for text in about]
    (newsletter.folder / "new.jsonl").write_text("\n".join(rows))
    newsletter.run("import", "new.jsonl", now=now)


def rows_of(newsletter: Newsletter, query: str) -> list[tuple[object, ...]]:
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return rows


def bytes_kept(newsletter: Newsletter) -> bytes:
    """All that is in the folder, of whatever kind."""
    return b"\n".join(path.read_bytes() for path in sorted(newsletter.folder.rglob("*")) if path.is_file())


@pytest.fixture
def known(newsletter: Newsletter, mail: Mailbox, reader: str) -> About:
    """Bob and Ada were sent a digest each. Ada, who came last, judged a paper, and one of hers bounced."""
    # One session: senders are seen in the order of the messages.
    newsletter.configure(bounces={"address": "bounces@papers.example.org"}, smtp={"sessions": 1})
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [language models]\n")
    path = newsletter.folder / "subscribers" / "ada.yaml"
    path.rename(path.with_name("zoe-ada.yaml"))
    some_papers(newsletter, "one", "2025-11-27T08:00")
    senders = Senders(mail)
    newsletter.run("send", now="2025-11-27T09:00")
    newsletter.run("feedback", reader, "Language models, one", "less", now="2025-11-27T10:00")
    sent = dict(zip(mail.recipients(), zip(senders.seen, mail.messages(), strict=True), strict=True))
    return_path, message = sent[reader]
    about = About(reader, return_path, message["Message-ID"])
    take(newsletter, reports.postfix(about, "5.2.2", "smtp; 552 5.2.2 mailbox full"), now="2025-11-27T11:00")
    (newsletter.folder / "came.eml").unlink()
    return about


def test_nothing_is_left_of_who_is_forgotten(newsletter: Newsletter, mail: Mailbox, known: About) -> None:
    save_paper(newsletter, READER, 1)
    kept = bytes_kept(newsletter)
    assert b"ada@" in kept
    assert b"Pareto fronts" in kept  # her interest, which a paper's title has too
    out = newsletter.run("subscribers", "forget", "Ada@example.org", "--yes").out
    assert out.splitlines() == [
        f"ada@example.org: active since 2025-11-27 09:00 UTC; 1 log line, 1 rated paper, 1 saved paper, 1 bounce, "
        f"{newsletter.folder / 'subscribers' / 'zoe-ada.yaml'}",
        "ada@example.org is deleted.",
    ]
    kept = bytes_kept(newsletter)
    assert b"ada@" not in kept.lower()
    assert b"Several goals" not in kept
    assert b"mailbox full" not in kept
    assert known.message_id.encode() not in kept
    assert [row["email"] for row in newsletter.run("log", "--json").rows] == ["bob@example.org"]
    assert rows_of(newsletter, "PRAGMA foreign_key_check") == []
    for table in ("sends", "send_papers", "ranked_with", "feedback", "saved_papers", "bounces"):
        assert {row[0] for row in rows_of(newsletter, f"SELECT subscriber FROM {table}")} <= {1}
    assert "is no longer a subscriber: forgotten on 2025-11-28" in newsletter.run("log", READER, code=2).err


def test_no_file_and_no_import_brings_back_who_was_forgotten(newsletter: Newsletter, known: About) -> None:
    newsletter.run("subscribers", "forget", READER, "--yes")
    assert suppressed(newsletter) == [(None, "forgotten")]
    path = newsletter.subscriber("ada", "email: ada@example.org\n")
    assert "is suppressed and gets no mail (forgotten, 2025-11-28)" in newsletter.run("subscribers", "list").err
    (newsletter.folder / "list.csv").write_text("email,state\nADA@example.org,active\n")
    assert "1 unchanged" in newsletter.run("subscribers", "import", "list.csv").out
    path.unlink()
    ran = newsletter.run("subscribe", READER, code=2)
    assert ran.err.endswith("(forgotten, 2025-11-28); pass --again if that person asked to come back\n")
    newsletter.run("subscribe", READER, "--again")
    assert state(newsletter)["state"] == "active"
    assert suppressed(newsletter) == []


def test_why_somebody_got_no_mail_outlives_being_forgotten(newsletter: Newsletter, known: About) -> None:
    take(newsletter, reports.yahoo_complaint(known))
    newsletter.run("subscribers", "forget", READER, "--yes")
    assert suppressed(newsletter) == [(None, "complaint")]
    assert "(complaint, 2025-11-28)" in newsletter.run("subscribe", READER, "--again", code=2).err


def test_what_the_forgotten_had_in_hand_does_nothing_to_who_comes_after(
    newsletter: Newsletter, mail: Mailbox, known: About
) -> None:
    letter = next(str(one["List-Unsubscribe"]) for one in mail.messages() if str(one["To"]).startswith("Ada"))
    subject = letter.partition("subject=")[2].rstrip(">").replace("%20", " ")
    newsletter.run("subscribers", "forget", READER, "--yes", now="2025-11-27T12:00")
    newsletter.run("subscribe", "zoe@example.org", "-i", "Pareto fronts", "--no-file", now="2025-11-27T13:00")
    newsletter.run("send", now="2025-11-27T14:00")
    (zoe,) = newsletter.run("log", "zoe@example.org", "--json").rows
    assert zoe["edition"] == "2025-11-27"
    assert zoe["message_id"] != known.message_id
    for came in (reports.letter(subject), reports.postfix(known), reports.yahoo_complaint(known)):
        assert take(newsletter, came).startswith("Ignored: ")
    assert state(newsletter, "zoe@example.org")["state"] == "active"
    assert listed(newsletter) == []


@pytest.mark.both_stores
def test_whose_digest_is_on_the_wire_is_forgotten_when_it_is_settled(
    newsletter: Newsletter, mail: Mailbox, reader: str
) -> None:
    some_papers(newsletter, "one", "2025-11-28T08:00")
    arrived, answer = threading.Event(), threading.Event()

    def wait(address: str) -> None:
        arrived.set()
        assert answer.wait(60)

    mail.on_data = wait
    process = newsletter.start("--now", "2025-11-28T09:00", "send")
    assert arrived.wait(60), process.communicate()
    ran = newsletter.run("subscribers", "forget", READER, "--yes", code=1)
    assert ran.err.endswith(
        "the digest of 2025-11-28 is being sent right now, so nothing was deleted; run it again in a minute\n"
    )
    assert state(newsletter)["state"] == "active"
    answer.set()
    assert process.wait(60) == 0
    newsletter.run("subscribers", "forget", READER, "--yes")
    assert newsletter.run("log").out == "Nothing was sent yet.\n"


@pytest.mark.both_stores
def test_a_plan_for_who_was_forgotten_meanwhile_holds_up_no_other(newsletter: Newsletter, known: About) -> None:
    engine = open_store(newsletter.config.store_url)
    nothing = Digest(edition=date(2025, 11, 29), choices=(), considered=0, since=None, seen_row=0)
    made = [plans.Plan(subscriber=row, email=f"{row}@x", message_id=f"<{row}@x>", digest=nothing) for row in (1, 2)]
    with secure_delete(engine) as connection:
        retention.forget_person(connection, 2, datetime.fromisoformat("2025-11-29T09:00+00:00"))
    with writing(engine) as connection:
        assert len(plans.plan(connection, made, datetime.fromisoformat("2025-11-29T09:00+00:00"))) == 1
    engine.dispose()


def test_nobody_is_forgotten_by_mistake(newsletter: Newsletter, known: About) -> None:
    ran = newsletter.run("subscribers", "forget", READER, code=2)
    assert ran.err == "error: cannot ask for confirmation here; pass --yes\n"
    assert newsletter.run("subscribers", "forget", READER, "ada@exampel.org", "--yes", code=2).err == (
        "error: 'ada@exampel.org' is not a subscriber; did you mean ada@example.org?\n"
    )
    assert state(newsletter)["state"] == "active"


def test_other_files_that_name_the_forgotten_are_told(newsletter: Newsletter, known: About) -> None:
    beside = newsletter.folder / "subscribers" / "ada.yaml~"
    beside.write_text("email: ADA@example.org\n")
    ran = newsletter.run("subscribers", "forget", READER, "--yes")
    assert ran.err == f"warning: {beside}: also contains ada@example.org; check it\n"


def test_bytes_that_others_keep_from_going_are_told_and_go_the_next_time(
    newsletter: Newsletter, known: About, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.store.database._BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM subscribers").fetchone()
        ran = newsletter.run("subscribers", "forget", READER, "--yes")
        assert "warning: the store's file may still contain deleted data: store: " in ran.err
        reading.rollback()
    assert (
        newsletter.run("subscribers", "forget", READER, "--yes").out
        == f"{READER} was already deleted or unsubscribed.\n"
    )
    assert b"ada@" not in bytes_kept(newsletter).lower()


@pytest.mark.both_stores
def test_the_log_is_kept_as_long_as_it_says(newsletter: Newsletter, mail: Mailbox, known: About) -> None:
    newsletter.configure(log={"keep_days": 30, "keep_skipped_days": 5})
    saved = save_paper(newsletter, READER, 1)
    newsletter.run("send", now="2025-11-28T09:00")  # nothing new: skipped
    path = newsletter.folder / "subscribers" / "bob.yaml"
    path.write_text(path.read_text().replace("language models", "language models, looms"))
    some_papers(newsletter, "two", "2025-12-01T08:00")
    mail.on_data = lambda address: "999 what" if address == READER else None
    newsletter.run("send", now="2025-12-01T09:00", code=1)  # Ada's is unsure

    def tidy(now: str) -> tuple[str, list[str]]:
        # Nobody is due: the clock is theirs, the schedule is not.
        out = newsletter.run("run", "--once", now=now, code=None).out
        rows = newsletter.run("log", "--until", "2025-12-01", "--json").rows
        events = [line.partition(" event=")[2] for line in out.splitlines() if "event='forgot'" in line]
        return "".join(events), [f"{row['edition'][5:]} {row['email'][:3]} {row['state']}" for row in rows]

    first = ["11-27 bob sent", "11-27 ada sent"]
    last = ["12-01 bob sent", "12-01 ada unsure"]
    assert tidy("2025-12-02T03:00") == ("", [*first, "11-28 bob skipped", "11-28 ada skipped", *last])
    assert tidy("2025-12-03T10:00") == ("'forgot' skipped=2 settled=0 bounces=0", [*first, *last])
    assert listed(newsletter)[0][0] == "soft"
    followed = "SELECT content FROM ranked_with WHERE subscriber = 1 AND CAST(content AS TEXT) NOT LIKE '%looms%'"
    assert len(rows_of(newsletter, followed)) == 1
    assert tidy("2025-12-27T12:00")[1] == last
    assert listed(newsletter) == rows_of(newsletter, followed) == []
    assert tidy("2026-03-01T12:00")[1] == ["12-01 ada unsure"]
    assert rows_of(newsletter, "SELECT DISTINCT send FROM send_papers WHERE send NOT IN (SELECT row FROM sends)") == []
    # A reading list outlives the log.
    listed_then = newsletter.run("papers", "export", "--saved", READER, "--format", "csljson", now="2026-03-01T12:00")
    assert [one["title"] for one in json.loads(listed_then.out)] == [saved]


def test_the_log_is_kept_for_what_needs_it(newsletter: Newsletter) -> None:
    newsletter.configure(ranking={"max_age_days": 60}, log={"keep_days": 59})
    assert newsletter.run("log", code=2).err == (
        "error: config.yaml:16: log.keep_days: 59 is too small; it must be 60 or more, as ranking.max_age_days is\n"
    )
    newsletter.configure(ranking={"max_age_days": 500}, log={"keep_days": 500})
    written = (newsletter.folder / "config.yaml").read_text().replace("  keep_days: 500\n", "  keep_skipped_days: 5\n")
    (newsletter.folder / "config.yaml").write_text(written)
    assert newsletter.config.keep_days == 500
    newsletter.configure(schedule={"keep_skipped_days": 5})
    assert newsletter.run("log", code=2).err.endswith(
        "schedule.keep_skipped_days: was renamed; use log.keep_skipped_days\n"
    )


def test_a_store_of_before_never_gives_a_row_again(newsletter: Newsletter) -> None:
    path = newsletter.folder / "var" / "newsletter.db"
    path.unlink()
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0005")
        preferences = '{"name": "", "schedule": {"days": ["mon"], "time": "07:30", "timezone": "UTC"}, "papers": 5, '
        preferences += '"interests": [], "never": []}'
        for row, name in enumerate(("ada", "bob"), 1):
            connection.exec_driver_sql(
                "INSERT INTO subscribers (row, email, email_key, state, consent, preferences, seen_row, created_at, "
                "state_since) VALUES (?, ?, ?, 'active', 'test', ?, 0, '2025-11-01 09:00:00', '2025-11-01 09:00:00')",
                (row, f"{name}@example.org", f"{name}@example.org", preferences),
            )
            connection.exec_driver_sql(
                "INSERT INTO sends (edition, subscriber, email, state, message_id, considered, seen_row, planned_at, "
                "attempts) VALUES ('2025-11-03', ?, ?, 'sent', ?, 1, 1, '2025-11-03 07:30:00', 1)",
                (row, f"{name}@example.org", f"<{row}@example.org>"),
            )
    engine.dispose()
    assert [row["email"] for row in newsletter.run("log", "--json").rows] == ["ada@example.org", "bob@example.org"]
    assert state(newsletter, "bob@example.org")["created_at"] == "2025-11-01T09:00:00+00:00"
    assert rows_of(newsletter, "PRAGMA foreign_key_check") == []
    newsletter.run("subscribers", "forget", "bob@example.org", "--yes")
    newsletter.run("subscribe", "zoe@example.org", "--no-file")
    assert rows_of(newsletter, "SELECT row, email FROM subscribers") == [(1, READER), (3, "zoe@example.org")]
