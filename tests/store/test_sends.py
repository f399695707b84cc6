"""Whatever happens to sends, in whatever order: what was sent stays sent; nobody gets a paper or an event twice."""

import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from newsletter.config.loader import load_config
from newsletter.model import Digest, DigestItem, Paper, PaperUpdate, Preferences, SendState, SubscriberState
from newsletter.services import bounces, forgive_bounces
from newsletter.services.context import open_context
from newsletter.services.forgive_bounces import Selection
from newsletter.store import (
    paper_events,
    paper_upsert,
    papers,
    plans,
    reading,
    send_changes,
    send_log,
    sends,
    subscribers,
    writing,
)
from newsletter.store.sends import ClaimFilter, SendOutcome
from newsletter.support.clock import Clock
from tests.helpers.newsletter import CONFIG, create_store

OUTCOMES = st.sampled_from(
    [
        SendOutcome(state=SendState.SENT, smtp_reply="250 taken"),
        SendOutcome(state=SendState.FAILED, smtp_reply="550 5.1.1 no such user"),
        SendOutcome(state=SendState.FAILED, smtp_reply="554 5.7.1 refused"),
        SendOutcome(state=SendState.DEFERRED, smtp_reply="450 4.7.1 later"),
        SendOutcome(state=SendState.UNSURE, reason="no answer"),
    ]
)
READERS = st.integers(1, 2)
EDITIONS = st.integers(0, 2)
PAPERS = st.sets(st.integers(1, 3), min_size=1)


class Sending(RuleBasedStateMachine):
    """Two readers, three papers and three editions; a server that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name, "config.yaml")
        path.write_text(CONFIG)
        create_store(path.parent / "var" / "newsletter.db")
        self._now = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
        clock: Clock = lambda: self._now  # noqa: E731
        self.context = open_context(load_config(path), clock)
        self.taken: list[str] = []
        with writing(self.context.engine) as connection:
            found = [Paper(title=f"Paper {one}", arxiv_id=f"2511.0000{one}") for one in range(3)]
            paper_upsert.upsert(connection, found, "test", self._now)
            published = [replace(one, venue="A journal") for one in found]
            paper_upsert.upsert(connection, published, "test", self._now)
            known = papers.by_rows(connection, [1, 2, 3])
            self.updates = [PaperUpdate(known[row], paper_events.history(connection, row)[0]) for row in (1, 2, 3)]
            for one in (1, 2):
                person = Preferences(email=f"r{one}@example.org")
                subscribers.add(connection, person, SubscriberState.ACTIVE, "test", self._now, file=None)

    def teardown(self) -> None:
        self.context.engine.dispose()
        self._folder.cleanup()

    @rule(hours=st.sampled_from([0.1, 1, 30]))
    def time_passes(self, hours: float) -> None:
        self._now += timedelta(hours=hours)

    @rule(reader=READERS, edition=EDITIONS, chosen=PAPERS)
    def plan(self, reader: int, edition: int, chosen: set[int]) -> None:
        day = date(2025, 11, 28 + edition)
        with writing(self.context.engine) as connection:
            known = papers.by_rows(connection, sorted(chosen))
            choices = tuple(DigestItem(known[row], rank, 0.5, "A", "") for rank, row in enumerate(sorted(chosen), 1))
            # Of other papers than those that are chosen, so that papers and events come and go on their own.
            told = tuple(one for one in self.updates if one.paper.row % 3 + 1 in chosen)
            digest = Digest(edition=day, choices=choices, considered=3, since=None, seen_row=3, updates=told)
            email, identity = f"r{reader}@example.org", f"<{day}.{reader}@x>"
            one = plans.Plan(subscriber=reader, email=email, message_id=identity, digest=digest)
            plans.plan(connection, [one], self._now)

    @rule(outcomes=st.lists(OUTCOMES, min_size=2, max_size=6))
    def send(self, outcomes: list[SendOutcome]) -> None:
        engine = self.context.engine
        with writing(engine) as connection:
            claimed = sends.claim(connection, ClaimFilter(), "me", self._now, len(outcomes))
            gone = sends.mark_on_wire(connection, {one.row: "smtp" for one in claimed}, "me", self._now)
        for one, settled in zip(claimed, outcomes, strict=False):
            if one.row not in gone:
                continue
            if settled.state is SendState.SENT:
                self.taken.append(one.message_id)
            if settled.state is SendState.DEFERRED:
                settled = replace(settled, not_before=self._now + timedelta(minutes=5))
            with writing(engine) as connection:
                sends.record_outcomes(connection, {one.row: settled}, "me", self._now)
            if settled.state is SendState.FAILED:
                bounces.process_refusal(self.context, one, settled.smtp_reply)

    @rule(reader=READERS, edition=EDITIONS, chosen=PAPERS, outcome=OUTCOMES)
    def plan_and_send(self, reader: int, edition: int, chosen: set[int], outcome: SendOutcome) -> None:
        self.plan(reader, edition, chosen)
        self.send([outcome] * 6)

    @rule(reader=READERS, dry_run=st.booleans())
    def forgive(self, reader: int, dry_run: bool) -> None:
        forgive_bounces.forgive(self.context, f"r{reader}@example.org", dry_run)

    @rule(dry_run=st.booleans())
    def forgive_all(self, dry_run: bool) -> None:
        list(forgive_bounces.forgive_all(self.context, Selection(), dry_run))

    @rule(minutes=st.sampled_from([1, 120, 10_000]))
    def account_is_set_aside(self, minutes: int) -> None:
        with writing(self.context.engine) as connection:
            rows = send_changes.plan_refused_again(connection, "smtp", self._now - timedelta(minutes=minutes))
        bounces.undo_refusals(self.context, rows)

    @rule(arrived=st.booleans())
    def resolve(self, arrived: bool) -> None:
        with writing(self.context.engine) as connection:
            sends.resolve(connection, [one.row for one in sends.unsure(connection)], arrived, self._now)

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        with reading(self.context.engine) as connection:
            logged = list(send_log.log(connection))
        assert len({(line.send.edition, line.send.subscriber) for line in logged}) == len(logged)
        sent = [line for line in logged if line.send.state is SendState.SENT]
        assert len(self.taken) == len(set(self.taken))
        assert {*self.taken} <= {line.send.message_id for line in sent}
        arrived = [(line.send.subscriber, paper.id) for line in sent for paper in line.papers]
        assert len(arrived) == len(set(arrived))
        with reading(self.context.engine) as connection:
            updates = paper_events.of_sends(connection, [line.send.row for line in sent])
        told = [(line.send.subscriber, one.event.row) for line in sent for one in updates.get(line.send.row, ())]
        assert len(told) == len(set(told))


TestSending = Sending.TestCase
TestSending.settings = settings(stateful_step_count=20)


def test_of_two_failed_digests_with_one_paper_the_later_is_planned_again() -> None:
    sending = Sending()
    refused = SendOutcome(state=SendState.FAILED, smtp_reply="554 5.7.1 refused")
    sending.plan_and_send(1, 0, {1, 2}, refused)
    sending.plan_and_send(1, 1, {2, 3}, refused)
    sending.account_is_set_aside(minutes=120)
    with reading(sending.context.engine) as connection:
        logged = {line.send.edition.day: line.send.state for line in send_log.log(connection)}
    assert logged == {28: SendState.FAILED, 29: SendState.PLANNED}
    sending.send([SendOutcome(state=SendState.SENT)] * 2)
    sending.nothing_is_sent_twice()
    sending.teardown()
