"""The outbox: sends taken one by one, claimed before the wire and settled after the server's answer."""

import os
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from newsletter.delivery.transport import Outcome
from newsletter.model import Send, SendState
from newsletter.store import reading, writing
from newsletter.store import sends as store

FIRST_RETRY = timedelta(minutes=15)
RETRY_FOR = timedelta(hours=24)
CLAIM_HOLDS = timedelta(minutes=30)
"""Longer than any one message can be on the wire; after it a claim's owner is taken to be gone, unless it is known to
live.
"""

_BLOCK = 100
_UNMARKED = uuid.uuid4().hex[:8]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a claim: a process on a host, with a mark of its own since its number may be used again."""

    host: str
    process: int
    mark: str

    @classmethod
    def here(cls) -> "Owner":
        """This process."""
        return cls(socket.gethostname(), os.getpid(), _mark(os.getpid()) or _UNMARKED)

    def __str__(self) -> str:
        return f"{self.host}/{self.process}/{self.mark}"


def waiting(engine: Engine, now: datetime, subscriber: int | None = None) -> Iterator[list[Send]]:
    """The sends that may go on the wire now, in blocks; each is seen once."""
    after = 0
    while True:
        with reading(engine) as connection:
            block = store.waiting(connection, now, subscriber, after, _BLOCK)
        if not block:
            return
        yield block
        after = block[-1].row


def claim(engine: Engine, send: Send, owner: Owner, now: datetime) -> bool:
    """Take a send, to go to the address it names; False when it is not there to take any more."""
    with writing(engine) as connection:
        return store.claim(connection, send.row, send.email, str(owner), now)


def settle(engine: Engine, send: Send, owner: Owner, outcome: Outcome, now: datetime) -> SendState:
    """Write down what became of a claimed send; returns the state it is in now.

    What the server put off is tried again after a quarter of an hour, then twice that, and so on for a day; then it
    has failed.
    """
    settlement = _settlement(send, outcome, now)
    with writing(engine) as connection:
        held = store.settle(connection, send.row, str(owner), settlement, now)
    # Given up meanwhile, as a claim of half an hour is: it was told of as unsure, and stays so.
    return settlement.state if held else SendState.UNSURE


def _settlement(send: Send, outcome: Outcome, now: datetime) -> store.Settlement:
    reply, reason = outcome.smtp_reply, outcome.reason
    if outcome.state is not SendState.DEFERRED:
        return store.Settlement(state=outcome.state, smtp_reply=reply, reason=reason)
    again = now + FIRST_RETRY * 2**send.attempts
    if again > send.planned_at + RETRY_FOR:
        reason = f"still put off after {send.attempts + 1} tries"
        return store.Settlement(state=SendState.FAILED, smtp_reply=reply, reason=reason)
    return store.Settlement(state=SendState.DEFERRED, smtp_reply=reply, reason=reason, not_before=again)


def give_back(engine: Engine, send: Send, owner: Owner) -> None:
    """Put a claimed send back whose message certainly was not sent."""
    with writing(engine) as connection:
        store.unclaim(connection, send.row, str(owner))


def settle_orphans(engine: Engine, now: datetime) -> list[Send]:
    """Mark the claims of processes that are gone as unsure: their messages may or may not have arrived.

    Returns:
        The sends now unsure.
    """
    with reading(engine) as connection:
        held = store.claims(connection)
    orphans: list[int] = []
    for row, owner, since in held:
        if not _is_gone(owner, since, now):
            continue
        reason = f"the sending process ended while the message was on the wire (since {since:%Y-%m-%d %H:%M:%S} UTC)"
        with writing(engine) as connection:
            if store.give_up_claim(connection, row, owner, reason, now):
                orphans.append(row)
    with reading(engine) as connection:
        return store.by_rows(connection, orphans)


def _is_gone(owner: str, since: datetime, now: datetime) -> bool:
    here = Owner.here()
    host, process, mark = (*owner.split("/"), "", "")[:3]
    if host == here.host and process.isdigit():
        number = int(process)
        present = here.mark if number == here.process else _mark(number)
        if present is not None:
            return mark != present
        if not _lives(number):
            return True
    return now - since > CLAIM_HOLDS


def _mark(process: int) -> str | None:
    """What tells a process of this host from all others that have, or had, its number: the boot and the moment it
    started at. None where the system does not tell (it is no Linux), or there is no such process.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        facts = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may hold anything; after it come the state, and 19 further on the start (proc(5)).
    state, *rest = facts.rpartition(")")[2].split()
    return "ended" if state in "ZX" else f"{boot[:8]}-{rest[18]}"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
