"""The outbox: sends taken one by one, claimed before the wire and settled after the server's answer."""

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine

from newsletter.delivery.transport import Outcome
from newsletter.errors import NewsletterError
from newsletter.model import Send, SendState
from newsletter.store import reading, writing
from newsletter.store import sends as store

FIRST_RETRY = timedelta(minutes=15)
RETRY_FOR = timedelta(hours=24)
CLAIM_HOLDS = timedelta(minutes=30)
"""Longer than any one message can be on the wire; after it a claim's owner is taken to be gone, unless it is known to
live.
"""

PATIENCE = timedelta(minutes=5)
"""For how long the store is asked again to take what became of a message: with the longest message, less than a claim
holds.
"""

_PAUSE = 2.0
_BLOCK = 100
_UNMARKED = uuid.uuid4().hex[:8]

Stopping = Callable[[], bool]
"""Asked between tries; whether to give up."""

_Write = Callable[[Connection], SendState]
"""Writes down what became of a claimed send; returns the state it is in now."""

_unwritten: dict[tuple[str, int], _Write] = {}
"""What this process knows of a send (by store and row) and the store would not take. Nobody else knows it."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


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


def settle(
    engine: Engine, send: Send, owner: Owner, outcome: Outcome, now: datetime, stopping: Stopping = never
) -> SendState:
    """Write down what became of a claimed send; returns the state it is in now.

    What the server put off is tried again after a quarter of an hour, then twice that, and so on for a day; then it
    has failed.

    Raises:
        NewsletterError: the store did not take it, however often it was asked; the text says what became of the send.
    """
    settlement = _settlement(send, outcome, now)

    def write(connection: Connection) -> SendState:
        if store.settle(connection, send.row, str(owner), settlement, now):
            return settlement.state
        # Given up meanwhile, or written by a try that was told it had failed.
        return store.by_rows(connection, [send.row])[0].state

    reply = outcome.smtp_reply or outcome.reason
    return _write_down(engine, send, write, f"{outcome.state} ({reply})" if reply else outcome.state.value, stopping)


def _settlement(send: Send, outcome: Outcome, now: datetime) -> store.Settlement:
    reply, reason = outcome.smtp_reply, outcome.reason
    if outcome.state is not SendState.DEFERRED:
        return store.Settlement(state=outcome.state, smtp_reply=reply, reason=reason)
    again = now + FIRST_RETRY * 2**send.attempts
    if again > send.planned_at + RETRY_FOR:
        reason = f"still put off after {send.attempts + 1} tries"
        return store.Settlement(state=SendState.FAILED, smtp_reply=reply, reason=reason)
    return store.Settlement(state=SendState.DEFERRED, smtp_reply=reply, reason=reason, not_before=again)


def give_back(engine: Engine, send: Send, owner: Owner, stopping: Stopping = never) -> None:
    """Put a claimed send back whose message certainly was not sent.

    Raises:
        NewsletterError: as :func:`settle`.
    """

    def write(connection: Connection) -> SendState:
        store.unclaim(connection, send.row, str(owner))
        return SendState.PLANNED

    _write_down(engine, send, write, "not sent", stopping)


def _write_down(engine: Engine, send: Send, write: _Write, what: str, stopping: Stopping) -> SendState:
    """Have the store told with patience: what is not written down now, the log can only call unsure later."""
    end = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            with writing(engine) as connection:
                return write(connection)
        except NewsletterError as error:
            if stopping() or time.monotonic() > end:
                _unwritten[str(engine.url), send.row] = write
                why = str(error).partition(";")[0]
                raise NewsletterError(
                    f"{send.email}, {send.edition}: {what}, but that could not be written down: {why}; note it, since "
                    "the log will call it unsure if this process ends"
                ) from error
        time.sleep(_PAUSE)


def settle_unwritten(engine: Engine) -> list[SendState]:
    """Write down what this process knows of sends and the store did not take at the time.

    Returns:
        The states they are in now.
    """
    states = []
    for key, write in list(_unwritten.items()):
        if key[0] == str(engine.url):
            with writing(engine) as connection:
                states.append(write(connection))
            del _unwritten[key]
    return states


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
