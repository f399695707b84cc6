"""What an operator does to sends: retry, cancel and mark-sent, and that no digest is ever sent twice."""

import sqlite3
from collections import Counter
from contextlib import closing
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.store import open_store, reading
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.services.test_containment import damage, states, with_readers

DAY = "2025-11-28"


@pytest.mark.both_stores
def test_a_failed_send_is_tried_again_under_its_message_id(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "550 5.7.1 not now"
    newsletter.run("send", code=1)
    (before,) = newsletter.run("log", "--json").rows
    assert newsletter.run("sends", "retry", "--dry-run").out.startswith("1 send would be planned again")
    assert states(newsletter) == {reader: "failed"}
    assert newsletter.run("sends", "retry", "--failed", "--domain", "other.example").out == "No sends to retry.\n"
    out = newsletter.run("sends", "retry", "--failed", "--edition", DAY, "--only", reader).out
    assert out == "1 send planned again; send them with 'newsletter send'.\n"
    mail.on_recipient = lambda address: None
    newsletter.run("send")
    (after,) = newsletter.run("log", "--json").rows
    assert (after["state"], after["message_id"], after["papers"]) == ("sent", before["message_id"], before["papers"])
    assert newsletter.run("sends", "retry").out == "No sends to retry.\n"
    newsletter.run("send")
    assert mail.recipients() == [reader]


@pytest.mark.both_stores
def test_a_paper_that_went_out_meanwhile_is_left_out(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "550 5.7.1 not now"
    newsletter.run("send", code=1)
    mail.on_recipient = lambda address: None
    newsletter.run("send", now="2025-12-01T09:00")
    out = newsletter.run("sends", "retry", "--edition", DAY, now="2025-12-01T10:00").out
    assert out == "1 send unchanged: every paper was sent in another digest.\n"
    newsletter.run("send", now="2025-12-01T10:00")
    assert len(mail.accepted) == 1


def test_deferred_sends_are_tried_at_once_unless_only_failed_are_meant(
    newsletter: Newsletter, mail: Mailbox, reader: str
) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "450 4.2.1 try later"
    newsletter.run("send")
    mail.on_recipient = lambda address: None
    assert newsletter.run("sends", "retry", "--failed").out == "No sends to retry.\n"
    newsletter.run("sends", "retry")
    newsletter.run("send")
    assert mail.recipients() == [reader]


def test_who_gets_no_mail_any_more_is_left_alone(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "550 5.7.1 not now"
    newsletter.run("send", code=1)
    newsletter.run("unsubscribe", reader)
    out = newsletter.run("sends", "retry").out
    assert out == "1 send unchanged: the subscriber currently gets no mail.\n"


@pytest.mark.both_stores
def test_a_digest_that_could_not_be_made_is_made_again(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    bad, _ = with_readers(newsletter, 2)
    damage(newsletter, bad, "[]")
    newsletter.run("send", code=1)
    newsletter.run("subscribe", bad, "-i", "robustness")
    out = newsletter.run("sends", "retry").out
    assert out == "1 send will be composed again by the next run: composing the digest had failed.\n"
    newsletter.run("run", "--once", code=None, now="2025-11-28T09:05")
    assert Counter(mail.recipients())[bad] == 1


@pytest.mark.both_stores
def test_what_is_cancelled_stays_so(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "450 4.2.1 try later"
    newsletter.run("send")
    assert newsletter.run("sends", "cancel", "--edition", DAY).out == "1 send cancelled.\n"
    mail.on_recipient = lambda address: None
    newsletter.run("send", now="2025-11-28T12:00")
    newsletter.run("send", "--only", reader, now="2025-11-28T12:00")
    assert mail.accepted == []
    (row,) = newsletter.run("log", "--json").rows
    assert (row["state"], row["reason"]) == ("skipped", "cancelled by the operator")
    # Its papers may come in the next one.
    newsletter.run("send", now="2025-12-01T09:00")
    assert newsletter.run("log", "--json").rows[1]["papers"] == row["papers"]


@pytest.mark.both_stores
def test_after_a_restore_nobody_gets_twice_what_is_marked_as_sent(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    early = with_readers(newsletter, 3)
    newsletter.subscriber(
        "late",
        "email: late@example.org\nschedule: {time: '18:00', timezone: UTC}\ninterests: [reinforcement learning]\n",
    )
    out = newsletter.run("sends", "mark-sent", "--edition", DAY, "--before", f"{DAY}T09:00").out
    assert out.startswith("3 sends marked as sent.\n1 active subscriber was not due")
    newsletter.run("run", "--once", code=None, now=f"{DAY}T19:00")
    assert mail.recipients() == ["late@example.org"]
    # What the store had of papers then is not new to them on the next day either.
    newsletter.run("run", "--once", code=None, now="2025-12-01T19:00")
    assert not {*early} & {*mail.recipients()}
    ran = newsletter.run("sends", "mark-sent", "--edition", DAY, "--before", f"{DAY}T20:00", now="2025-12-01T19:00")
    assert ran.out == "0 sends marked as sent.\n4 sends already in the log.\n"
    newsletter.run("sends", "mark-sent", "--edition", DAY, "--before", "2025-12-02T00:00", code=2)


ANSWERS = {"yes": None, "no": "550 5.7.1 no", "later": "450 4.2.1 later"}
STEPS = st.lists(
    st.sampled_from([*ANSWERS, "retry", "cancel", "mark-sent", "tomorrow", "resolve"]), min_size=3, max_size=7
)


def test_no_sequence_of_changes_sends_anything_twice(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store:
        store.execute("VACUUM INTO ?", [str(newsletter.folder / "clean.db")])
    clean, numbers = (newsletter.folder / "clean.db").read_bytes(), count(1)

    @settings(max_examples=8, suppress_health_check=[*HealthCheck])
    @given(STEPS)
    def holds(steps: list[str]) -> None:
        # A store of its own: connections of the one before may be open yet.
        store = f"var/{next(numbers)}.db"
        (newsletter.folder / store).write_bytes(clean)
        newsletter.configure(store={"url": f"sqlite:///{store}"})
        mail.accepted.clear()
        day = 1
        for minute, step in enumerate(steps):
            now = f"2025-12-0{min(day, 9)}T09:{minute:02}"
            edition = ("--edition", now[:10])
            if step in ANSWERS:
                mail.on_recipient = lambda address, step=step: ANSWERS[step]
                newsletter.run("send", code=None, now=now)
            elif step == "tomorrow":
                day += 1
            elif step == "retry":
                newsletter.run("sends", "retry", now=now)
            elif step == "resolve":
                newsletter.run("sends", "resolve", "--again", "--all", now=now)
            else:
                newsletter.run("sends", step, *edition, now=now)
        rows = newsletter.run("log", "--json").rows
        assert len({(row["edition"], row["email"]) for row in rows}) == len(rows)
        messages = [message["Message-ID"] for message in mail.messages()]
        assert len(set(messages)) == len(messages)
        sent = [row for row in rows if row["state"] == "sent"]
        papers = Counter(paper["id"] for row in sent for paper in row["papers"])
        assert set(papers.values()) <= {1}
        assert set(messages) <= {row["message_id"] for row in sent}

    holds()
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    engine.dispose()
