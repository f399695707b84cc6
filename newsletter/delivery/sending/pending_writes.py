"""Outcomes of sends that the store could not record."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from newsletter.model import SendState
from newsletter.store import sends as store
from newsletter.store import writing


@dataclass(slots=True)
class PendingWrites:
    """Outcomes of sends that the store could not record. They are known nowhere else.

    Attributes:
        known: by the send's row and whether it was on the wire: the claim's owner, and the outcome (None if it was not
            sent).
    """

    known: dict[tuple[int, bool], tuple[str, store.SendOutcome | None]] = field(default_factory=dict)

    def take(self) -> "PendingWrites":
        """Hand everything over to a process that outlives this one."""
        taken = PendingWrites(dict(self.known))
        self.known.clear()
        return taken

    def add(self, others: "PendingWrites") -> None:
        """Add the outcomes of another process."""
        self.known.update(others.known)

    def write(self, engine: Engine, now: datetime) -> list[tuple[str, SendState]]:
        """Try again to record everything.

        Returns:
            For each outcome that was recorded, the owner of the claim, and the state.
        """
        states: list[tuple[str, SendState]] = []
        for (row, on_wire), (owner, outcome) in list(self.known.items()):
            with writing(engine) as connection:
                if outcome is None:
                    store.release_claims(connection, [row], owner, on_wire)
                elif store.record_outcomes(connection, {row: outcome}, owner, now, on_wire):
                    states.append((owner, outcome.state))
            del self.known[row, on_wire]
        return states
