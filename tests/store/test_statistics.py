"""Figures for operators that do not cost more the longer the log is."""

from datetime import date

import pytest
from sqlalchemy import select, update

from newsletter.model import SendState
from newsletter.services.context import open_context
from newsletter.store import reading, statistics, writing
from newsletter.store.schema import edition_counts, sends
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

Counts = dict[str, dict[SendState, int]]


def counted(newsletter: Newsletter) -> Counts:
    context = open_context(newsletter.config, frozen_clock(parse_moment("2025-12-09T09:00")))
    with reading(context.engine) as connection:
        found = statistics.editions(connection, 30)
    context.engine.dispose()
    return {str(day): counts for day, counts in found.items()}


@pytest.mark.both_stores
def test_an_edition_that_is_past_is_counted_once(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample().run("subscribe", "grace@example.org", "--no-file", "--interest", "robots")
    days = ("2025-11-28", "2025-11-29", "2025-12-08")
    for day in days:
        (newsletter.folder / "one.jsonl").write_text(f'{{"title": "Robots of {day}", "abstract": "Robots grasp."}}')
        newsletter.run("import", "one.jsonl", now=f"{day}T08:00")
        newsletter.run("send", now=f"{day}T09:00")
    before = counted(newsletter)
    assert list(before) == sorted(days, reverse=True)
    context = open_context(newsletter.config, frozen_clock(parse_moment("2025-12-09T09:00")))
    with writing(context.engine) as connection:
        doubtful = sends.c.edition == date(2025, 11, 29)
        connection.execute(update(sends).where(doubtful).values(state=SendState.UNSURE.value))
    newsletter.run("run", "--once", now="2025-12-09T04:00", code=None)
    with reading(context.engine) as connection:
        # That of yesterday may change yet, and so may one with sends that are in doubt.
        assert statistics.to_be_kept(connection, date(2025, 12, 9)) == [date(2025, 12, 8), date(2025, 11, 29)]
    assert counted(newsletter)["2025-11-28"] == before["2025-11-28"]
    newsletter.run("subscribers", "forget", "grace@example.org", "--yes")
    after = counted(newsletter)
    assert after["2025-11-28"] == before["2025-11-28"]
    assert sum(after["2025-12-08"].values()) == sum(before["2025-12-08"].values()) - 1
    newsletter.run("subscribers", "forget", reader, "--yes", code=None)
    newsletter.run("run", "--once", now="2025-12-09T05:00", code=None)
    with reading(context.engine) as connection:
        assert connection.execute(select(edition_counts)).all() == []
    context.engine.dispose()
    assert counted(newsletter) == {}
