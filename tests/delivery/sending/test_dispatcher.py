"""Many sessions and several accounts: weights, failover, limits and servers that ask for patience."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from ruamel.yaml import YAML

from newsletter.services.demo import LoopbackServer
from tests.helpers.newsletter import Newsletter, faketime_environment
from tests.helpers.smtp import Mailbox


@pytest.fixture
def readers(newsletter: Newsletter) -> int:
    """So many subscribers."""
    newsletter.with_sample()
    for number in range(12):
        domain = "slow.example" if number % 3 == 0 else "example.org"
        newsletter.subscriber(f"r{number}", f"email: r{number}@{domain}\ninterests: [language models]\n")
    return 12


@contextmanager
def servers(newsletter: Newsletter, **accounts: dict[str, Any]) -> Iterator[dict[str, Mailbox]]:
    """A mail server for each account, with these settings besides."""
    boxes = {name: Mailbox() for name in accounts}
    with ExitStack() as stack:
        for name, box in boxes.items():
            server = stack.enter_context(LoopbackServer(box))
            accounts[name] = {"host": "127.0.0.1", "port": server.port, "security": "none", **accounts[name]}
        newsletter.configure(accounts=accounts)
        yaml, path = YAML(), newsletter.folder / "config.yaml"
        document = yaml.load(path.read_text())
        del document["smtp"]
        yaml.dump(document, path)
        yield boxes


def delivered(*boxes: Mailbox) -> Counter[str]:
    return Counter(recipient for box in boxes for recipient in box.recipients())


def test_several_sessions_carry_each_message_once(newsletter: Newsletter, mail: Mailbox, readers: int) -> None:
    mail.on_data = lambda address: time.sleep(0.05)
    newsletter.configure(smtp={"sessions": 5, "messages_per_session": 2})
    assert newsletter.run("send").out == "12 sent\n"
    assert set(delivered(mail).values()) == {1}
    # More than one at a time, and none for more messages than it may carry.
    assert 6 <= mail.connections <= 10


def test_accounts_have_their_shares(newsletter: Newsletter, readers: int) -> None:
    with servers(newsletter, big={"weight": 2}, small={}, spare={"weight": 0}) as boxes:
        assert newsletter.run("send").out == "12 sent\n"
        rows = newsletter.run("log", "--json").rows
    assert {row["state"] for row in rows} == {"sent"}
    assert len(delivered(*boxes.values())) == readers
    assert boxes["spare"].accepted == []
    assert {row["account"] for row in rows} <= {"big", "small"}


def test_a_broken_account_leaves_its_mail_to_the_others(newsletter: Newsletter, readers: int) -> None:
    with servers(newsletter, main={}, spare={"weight": 0}) as boxes:
        boxes["main"].on_sender = lambda address: "550 5.7.1 you are blocked"
        ran = newsletter.run("send")
    assert ran.out == "12 sent\n"
    assert "warning: account main: smtp: 127.0.0.1:" in ran.err
    assert "refuses the sender" in ran.err
    assert len(boxes["spare"].accepted) == readers
    assert set(delivered(*boxes.values()).values()) == {1}


def test_an_account_whose_key_is_missing_leaves_its_mail_to_the_others(newsletter: Newsletter, readers: int) -> None:
    with servers(newsletter, main={"dkim_selector": "s", "dkim_key_file": "nonesuch"}, spare={"weight": 0}) as boxes:
        ran = newsletter.run("send")
    assert ran.out == "12 sent\n"
    assert "warning: account main: " in ran.err
    assert "nonesuch" in ran.err
    assert len(boxes["spare"].accepted) == readers


def test_without_any_account_that_works_all_stays_planned(newsletter: Newsletter, readers: int) -> None:
    with servers(newsletter, one={}, two={}) as boxes:
        for box in boxes.values():
            box.on_sender = lambda address: "550 5.7.1 you are blocked"
        assert "refuses the sender" in newsletter.run("send", code=1).err
        states = {row["state"] for row in newsletter.run("log", "--json").rows}
        assert states == {"planned"}
        for box in boxes.values():
            box.on_sender = lambda address: None
        assert newsletter.run("send").out == "12 sent\n"
    assert set(delivered(*boxes.values()).values()) == {1}


def test_fewer_sessions_than_wanted_are_no_fault(newsletter: Newsletter, mail: Mailbox, readers: int) -> None:
    """A server that takes two sessions at a time carries all the same."""
    open_now: set[str] = set()
    mail.on_data = lambda address: time.sleep(0.05)
    original = mail.handle_MAIL

    async def one_of_two(server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        open_now.add(str(session.peer))
        if sorted(open_now).index(str(session.peer)) > 1:
            return "550 5.7.1 too many sessions"
        return await original(server, session, envelope, address, options)

    mail.handle_MAIL = one_of_two  # type: ignore[method-assign]
    newsletter.configure(smtp={"sessions": 4})
    newsletter.run("send", code=None)
    newsletter.run("send", code=None)
    assert set(delivered(mail).values()) == {1}


def test_messages_to_a_limited_domain_are_spaced_out_and_hold_nobody_up(
    newsletter: Newsletter, mail: Mailbox, readers: int
) -> None:
    arrived: dict[str, float] = {}

    def note(address: str) -> None:
        arrived[address] = time.monotonic()

    mail.on_data = note
    newsletter.configure(delivery={"domains": {"Slow.example": {"per_second": 4}}})
    assert newsletter.run("send").out == "12 sent\n"
    slow = sorted(moment for address, moment in arrived.items() if address.endswith("@slow.example"))
    assert len(slow) == 4
    # Spaced by a quarter of a second, but for what the wire itself takes.
    assert slow[-1] - slow[0] > 0.6


def test_a_days_limit_leaves_the_rest_planned_and_says_until_when(
    newsletter: Newsletter, mail: Mailbox, readers: int
) -> None:
    newsletter.configure(smtp={"per_day": 5}, schedule={"tick_seconds": 1})
    newsletter.run("run", "--once")
    out = newsletter.run("run", "--once", now="2025-12-01T09:00").out
    assert "event='edition' sent=5" in out
    assert "event='left' what='7 waiting: daily limit of account smtp until " in out
    # Also for a run that comes later.
    newsletter.run("run", "--once", now="2025-12-01T09:05")
    assert len(mail.accepted) == 5
    newsletter.configure(smtp={"per_day": 50})
    newsletter.run("send", now="2025-12-01T09:10")
    assert len(mail.accepted) == readers
    assert set(delivered(mail).values()) == {1}


def test_a_server_that_closes_in_the_middle_is_left_alone_for_a_while(
    newsletter: Newsletter, mail: Mailbox, readers: int
) -> None:
    newsletter.configure(smtp={"sessions": 1}, schedule={"tick_seconds": 1})
    mail.on_recipient = lambda address: "421 4.3.2 closing" if len(mail.accepted) == 3 else None
    newsletter.run("run", "--once")
    out = newsletter.run("run", "--once", now="2025-12-01T09:00").out
    assert "sent=3" in out and "deferred=1" in out
    assert "8 waiting: pause requested by the server of account smtp until " in out
    states = Counter(row["state"] for row in newsletter.run("log", "--json").rows)
    assert states == {"sent": 3, "deferred": 1, "planned": 8}
    # Later by the machine's clock, which the server is left alone by, and by that of the newsletter.
    mail.on_recipient = lambda address: None
    process = newsletter.start("--now", "2025-12-01T10:00", "send", **faketime_environment("+1h"))
    assert process.communicate(timeout=60) == ("9 sent\n", "")
    assert sorted(delivered(mail).values()) == [1] * readers


def test_one_message_that_breaks_the_server_keeps_no_other_from_going(
    newsletter: Newsletter, mail: Mailbox, readers: int
) -> None:
    original = mail.handle_RCPT

    async def break_off(server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address == "r4@example.org":
            server.transport.close()
        return await original(server, session, envelope, address, options)

    mail.handle_RCPT = break_off  # type: ignore[method-assign]
    assert newsletter.run("send").out.startswith("11 sent; 1 deferred until ")
    (put_off,) = [row for row in newsletter.run("log", "--json").rows if row["state"] == "deferred"]
    assert put_off["email"] == "r4@example.org"
    assert "closed the connection" in put_off["reason"]


def test_smtp_and_accounts_are_one_too_many(newsletter: Newsletter) -> None:
    newsletter.configure(accounts={"one": {"host": "mail.example.org"}})
    ran = newsletter.run("log", code=2)
    assert "accounts: cannot be combined with smtp; remove one of them" in ran.err
