"""The outbox: who holds which sends, what becomes of them, and what to do about holders that are gone."""

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
"""So long a claim holds that is not renewed, unless its owner is known to live, or to be gone."""

_JITTER = 0.2
_UNMARKED = uuid.uuid4().hex[:8]


@dataclass(frozen=True, slots=True)
class ClaimOwner:
    """Who holds a claim: a process on a host, with a mark of its own since its number may be used again. What comes
    behind these, after a slash, tells apart what one process does for several runs.
    """

    host: str
    process: int
    mark: str

    @classmethod
    def here(cls) -> "ClaimOwner":
        """This process."""
        return cls(socket.gethostname(), os.getpid(), _mark(os.getpid()) or _UNMARKED)

    def __str__(self) -> str:
        return f"{self.host}/{self.process}/{self.mark}"


def to_send_outcome(send: Send, outcome: Outcome, retry: Delivery, now: datetime) -> store.SendOutcome:
    """What is written down of an outcome.

    What the server put off is tried again after ``retry_minutes``, then twice that, and so on, each up to a fifth
    longer so that not all come back at once. What would come later than ``retry_hours`` after it was planned has
    failed.
    """
    reply, reason = outcome.smtp_reply, outcome.reason
    if outcome.state is not SendState.DEFERRED:
        return store.SendOutcome(state=outcome.state, smtp_reply=reply, reason=reason)
    wait = timedelta(minutes=retry.retry_minutes) * 2 ** min(send.attempts, 30)
    again = now + wait * (1 + _JITTER * random.random())  # noqa: S311 - no secret
    if again > send.planned_at + timedelta(hours=retry.retry_hours):
        reason = f"still put off after {send.attempts + 1} tries"
        return store.SendOutcome(state=SendState.FAILED, smtp_reply=reply, reason=reason)
    return store.SendOutcome(state=SendState.DEFERRED, smtp_reply=reply, reason=reason, not_before=again)


def release_orphans(engine: Engine, now: datetime, lost: Collection[str] = ()) -> list[Send]:
    """Settle the claims of processes that are gone: what was on the wire is unsure, since it may or may not have
    arrived; the rest is put back.

    Args:
        lost: owners that cannot be reached, though they may live; what they have on the wire stays theirs for as long
            as any claim holds.

    Returns:
        The sends now unsure.
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
    """How many sends some owners hold."""
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
    # One from far ahead was made by a clock that was wrong, and would hold until that time comes.
    return abs(now - since) > LEASE


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
