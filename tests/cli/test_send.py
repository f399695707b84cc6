"""What 'send' waits for, what it says is left, and that one 'send --due' runs at a time."""

import json
import threading
import time
from collections import Counter

import pytest

from tests.helpers.newsletter import NOW, Newsletter, wait_until
from tests.helpers.smtp import Mailbox
from tests.services.test_containment import with_readers

LATER = "2025-12-01T09:00"


@pytest.mark.parametrize("limits", [{"per_day": 5}, {"per_hour": 5}])
def test_due_never_waits_for_a_limit_that_lies_far_away(
    newsletter: Newsletter, mail: Mailbox, limits: dict[str, int]
) -> None:
    newsletter.with_sample()
    with_readers(newsletter, 12)
    newsletter.configure(smtp=limits)
    began = time.monotonic()
    ran = newsletter.run("send", "--due", now=LATER)
    assert time.monotonic() - began < 50
    name = "daily" if "per_day" in limits else "hourly"
    assert ran.out.startswith(f"5 sent; 7 waiting: {name} limit of account smtp until ")
    (row,) = newsletter.run("send", "--due", "--json", now=LATER).rows
    assert (row["left"]["waiting"], row["left"]["why"]) == (7, f"{name} limit of account smtp")
    assert row["left"]["until"]
    # Plain 'send' waits only as long as it is told.
    assert "7 waiting" in newsletter.run("send", "--wait", "1s", now=LATER).out


def test_limits_a_second_need_no_patience(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    with_readers(newsletter, 12)
    newsletter.configure(smtp={"per_second": 4})
    assert newsletter.run("send", "--wait", "0").out == "12 sent\n"


def test_a_wrong_wait_is_told(newsletter: Newsletter) -> None:
    for wrong in ("soon", "-5", "5d", "1e9999", "nan"):
        assert "--wait" in newsletter.run("send", "--wait", wrong, code=2).err


def test_what_is_deferred_is_said(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "451 4.3.0 later"
    assert newsletter.run("send").out.startswith("1 deferred until 2025-11-28 09:0")
    assert newsletter.run("send").out.startswith("1 deferred until 2025-11-28 09:0")
    newsletter.run("unsubscribe", reader)
    mail.on_recipient = lambda address: None
    newsletter.run("send", now="2025-11-28T12:00")
    assert "No active subscribers" in newsletter.run("send", now="2025-11-28T12:00").out
    assert newsletter.run("send", "--due", now="2025-11-28T12:00").out == "Nobody is due.\n"


def test_a_second_due_ends_at_once_while_the_first_sends(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    emails = with_readers(newsletter, 12)

    go_on = threading.Event()

    def hang_after_the_first(address: str) -> None:
        if mail.accepted:
            go_on.wait(90)

    mail.on_data = hang_after_the_first
    newsletter.configure(smtp={"sessions": 1})
    first = newsletter.start("--now", LATER, "send", "--due")
    wait_until(lambda: mail.accepted, first)
    ran = newsletter.run("send", "--due", now=LATER)
    assert first.poll() is None
    assert ran.out.startswith("Another 'newsletter send --due' is already running (since ")
    assert f"process {first.pid}" in ran.out
    assert newsletter.run("send", "--due", "--json", now=LATER).rows[0]["already_running"]["process"] == first.pid
    # One that is killed leaves no lock.
    first.kill()
    first.wait()
    go_on.set()
    mail.on_data = lambda address: None
    newsletter.run("send", "--due", now=LATER, code=None)
    newsletter.run("sends", "resolve", "--sent", "--all", now=LATER)
    counts = Counter(mail.recipients())
    assert set(counts.values()) == {1}
    assert len(counts) >= len(emails) - 1


def test_numbers_of_what_failed_are_said(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    first, second, *_ = with_readers(newsletter, 5)
    mail.on_recipient = lambda address: "550 5.7.1 no" if address in (first, second) else None
    ran = newsletter.run("send", code=1)
    assert ran.out == "3 sent, 2 failed\n"
    assert ran.err.endswith("error: 2 digests failed; see 'newsletter log'\n")
    assert json.loads(newsletter.run("log", first, "--json", now=NOW).out)["state"] == "failed"
