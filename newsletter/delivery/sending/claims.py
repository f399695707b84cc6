"""Claims: which process holds which sends, their outcomes, and the release of claims of processes that ended."""

import os
import random
import socket
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from newsletter.config.mail import Delivery
from newsletter.delivery.smtp.transport import Outcome
from newsletter.model import Send, SendState
from newsletter.store import reading, writing
from newsletter.store import sends as store

LEASE = timedelta(minutes=30)
"""How long a claim holds if it is not renewed, unless its owner is known to be alive, or to have ended."""

_JITTER = 0.2
_UNMARKED = uuid.uuid4().hex[:8]


@dataclass(frozen=True, slots=True)
class ClaimOwner:
    """The owner of a claim: a process on a host, with a unique mark, since process numbers are reused.

    A suffix, after a slash, distinguishes several runs in one process.
    """

    host: str
    process: int
    mark: str

    @classmethod
    def here(cls) -> "ClaimOwner":
        """Return the owner for this process."""
        return cls(socket.gethostname(), os.getpid(), _mark(os.getpid()) or _UNMARKED)

    def __str__(self) -> str:
        return f"{self.host}/{self.process}/{self.mark}"


def to_send_outcome(send: Send, outcome: Outcome, retry: Delivery, now: datetime) -> store.SendOutcome:
    """Convert an outcome to what the store records.

    A deferred message is retried after ``retry_minutes``, then twice that, and so on, each with up to a fifth added so
    that not all come back at the same time. If the retry would be later than ``retry_hours`` after planning, the send
    fails.
    """
    reply, reason = outcome.smtp_reply, outcome.reason
    if outcome.state is not SendState.DEFERRED:
        return store.SendOutcome(state=outcome.state, smtp_reply=reply, reason=reason)
    wait = timedelta(minutes=retry.retry_minutes) * 2 ** min(send.attempts, 30)
    again = now + wait * (1 + _JITTER * random.random())  # noqa: S311 - no secret
    if again > send.planned_at + timedelta(hours=retry.retry_hours):
        reason = f"still deferred after {send.attempts + 1} attempts"
        return store.SendOutcome(state=SendState.FAILED, smtp_reply=reply, reason=reason)
    return store.SendOutcome(state=SendState.DEFERRED, smtp_reply=reply, reason=reason, not_before=again)


def release_orphans(engine: Engine, now: datetime, lost: Collection[str] = ()) -> list[Send]:
    """Settle the claims of processes that ended: sends on the wire are unsure, since they may or may not have arrived;
    the others are released.

    Args:
        lost: owners that cannot be reached, though they may be alive; their sends on the wire stay claimed for as long
            as any claim holds.

    Returns:
        The sends that are unsure now.
    """
    with reading(engine) as connection:
        held = store.claims(connection)
    orphans: list[int] = []
    for claim in held:
        gone = _is_gone(claim.owner, claim.since, now)
        if not gone and (claim.owner not in lost or claim.wire_at is not None):
            continue
        with writing(engine) as connection:
            if claim.wire_at is None:
                store.release_claims(connection, [claim.row], claim.owner, on_wire=False)
                continue
            reason = (
                "the sending process ended while the message was on the wire "
                f"(since {claim.wire_at:%Y-%m-%d %H:%M:%S} UTC)"
            )
            if store.mark_unsure(connection, claim.row, claim.owner, reason, now):
                orphans.append(claim.row)
    with reading(engine) as connection:
        return store.by_rows(connection, orphans)


def held_by(engine: Engine, owners: Collection[str]) -> int:
    """Return the number of sends claimed by some owners."""
    with reading(engine) as connection:
        return sum(claim.owner in owners for claim in store.claims(connection))


def _is_gone(owner: str, since: datetime, now: datetime) -> bool:
    here = ClaimOwner.here()
    host, process, mark = (*owner.split("/"), "", "")[:3]
    if host == here.host and process.isdigit():
        number = int(process)
        present = here.mark if number == here.process else _mark(number)
        if present is not None:
            return mark != present
        if not _lives(number):
            return True
    # A claim from far ahead was made while the clock was wrong, and would hold until that time.
    return abs(now - since) > LEASE


def _mark(process: int) -> str | None:
    """Return what identifies a process on this host even if its number is reused: the boot id and its start time.

    None if the system does not provide it (it is not Linux), or there is no such process.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        facts = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may contain anything; after it come the state and, 19 fields on, the start time (proc(5)).
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
