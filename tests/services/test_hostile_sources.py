"""Sources that mean harm, beside an edition that is due: real processes, real servers."""

import random
import signal
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from tests.helpers.hostile_servers import (
    NESTED,
    SLOW_TO_PARSE,
    HostileServer,
    atom,
    dribbling,
    empty_blocks,
    endless,
    head,
    saying,
    silent,
)
from tests.helpers.newsletter import Newsletter, faketime_environment, wait_until
from tests.helpers.smtp import Mailbox

pytestmark = pytest.mark.system

DUE = datetime(2025, 11, 28, 7, 30, tzinfo=UTC)
PATIENCE = 40
"""Seconds to stop within, on a busy machine too; the sources would go on for minutes."""


def flood(papers: int, characters: int) -> bytes:
    """A feed whose papers take long to index, since each has words of its own."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(100_000)]
    return atom(
        *(
            f"<title>Paper {number}</title><summary>{' '.join(chance.choices(words, k=characters // 8))}</summary>"
            for number in range(papers)
        )
    )


HOSTILE = {
    "dribbles": dribbling(head(10_000_000)),
    "endless": endless,
    "nested": saying(NESTED),
    "silent": silent,
    "slow": saying(SLOW_TO_PARSE),
    "empty": empty_blocks,
}


@pytest.mark.both_stores
def test_an_edition_is_sent_within_a_minute_beside_hostile_sources(newsletter: Newsletter, mail: Mailbox) -> None:
    due(newsletter)
    servers = [HostileServer(talk) for talk in HOSTILE.values()]
    urls = [server.__enter__() for server in servers]
    sources = {name: {"kind": "feed", "url": url} for name, url in zip(HOSTILE, urls, strict=True)}
    newsletter.configure(sources=sources)

    process = newsletter.start("run", **faketime_environment(f"@{DUE - timedelta(seconds=12):%Y-%m-%d %H:%M:%S}"))
    wait_until(lambda: mail.accepted, process)
    out, seconds = stopped(process)
    for server in servers:
        server.__exit__(None, None, None)

    assert mail.recipients() == ["ada@example.org"]
    assert lateness(mail) < timedelta(minutes=1)
    assert seconds < PATIENCE
    # The four that read for ever were read all the while; what ended, ended with a word.
    assert "event='fetched' source='dribbles'" not in out
    assert "event='stopped'" in out


def test_an_edition_waits_for_no_index(newsletter: Newsletter, mail: Mailbox) -> None:
    due(newsletter)
    with HostileServer(saying(flood(4000, 8000))) as url:
        newsletter.configure(sources={"flood": {"kind": "feed", "url": url}})
        process = newsletter.start("run", **faketime_environment(f"@{DUE - timedelta(seconds=12):%Y-%m-%d %H:%M:%S}"))
        wait_until(lambda: mail.accepted, process)
        out, seconds = stopped(process)
    assert mail.recipients() == ["ada@example.org"]
    assert lateness(mail) < timedelta(minutes=1)
    assert seconds < PATIENCE
    assert "event='fitted'" not in out  # It was still at it.


def test_a_fetch_that_has_just_begun_is_waited_for(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.subscriber("ada", "email: ada@example.org\nschedule: {days: daily}\ninterests: [looms]\n")
    newsletter.run("subscribers", "list", now="2025-11-28T07:00")
    feed = saying(atom("<title>Looms of glass</title><summary>On looms and looms.</summary>"))

    def talk(connection) -> None:
        time.sleep(2)
        feed(connection)

    with HostileServer(talk) as url:
        newsletter.configure(
            sources={"feed": {"kind": "feed", "url": url}}, ranking={"min_score": 0}, schedule={"tick_seconds": 5}
        )
        process = newsletter.start("run", **faketime_environment(f"@{DUE + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}"))
        wait_until(lambda: mail.accepted, process)
        stopped(process)
    assert "Looms of glass" in mail.messages()[0].get_body(("plain",)).get_content()


@pytest.mark.both_stores
def test_fetches_and_ticks_at_once_lose_nothing(newsletter: Newsletter, mail: Mailbox) -> None:
    """Papers come in while editions are ranked, the space is fitted anew, and the store is written from both sides."""
    newsletter.with_sample()
    for number in range(40):
        newsletter.subscriber(
            f"reader{number}",
            f"email: reader{number}@example.org\n"
            "schedule: {days: daily, time: '07:30'}\ninterests: [language models]\n",
        )
    newsletter.run("subscribers", "list", now="2025-11-28T07:00")
    servers = [HostileServer(saying(flood(400, 500).replace(b"Paper ", name.encode()))) for name in ("One ", "Two ")]
    urls = [server.__enter__() for server in servers]
    newsletter.configure(
        sources={f"feed{number}": {"kind": "feed", "url": url} for number, url in enumerate(urls)},
        schedule={"tick_seconds": 1},
        ranking={"max_age_days": 3650, "refit_days": 0.01},
    )
    process = newsletter.start("run", **faketime_environment(f"@{DUE - timedelta(seconds=2):%Y-%m-%d %H:%M:%S}"))
    wait_until(lambda: len(mail.accepted) >= 40, process)
    out, _ = stopped(process)
    for server in servers:
        server.__exit__(None, None, None)
    assert sorted(mail.recipients()) == sorted(f"reader{number}@example.org" for number in range(40))
    assert "_failed" not in out
    assert len(newsletter.run("papers", "list", "--source", "feed0", "--limit", "1000", "--json").rows) == 400
    assert len(newsletter.run("papers", "list", "--source", "feed1", "--limit", "1000", "--json").rows) == 400
    newsletter.run("index")


def due(newsletter: Newsletter) -> None:
    """A subscriber whose digest is due at 07:30, of sample papers that are indexed."""
    newsletter.with_sample()
    newsletter.subscriber(
        "ada", "email: ada@example.org\nschedule: {days: daily, time: '07:30'}\ninterests: [language models]\n"
    )
    newsletter.configure(ranking={"max_age_days": 3650})
    newsletter.run("subscribers", "list", now="2025-11-28T07:00")
    newsletter.run("papers", "search", "models", now="2025-11-28T07:00")


def stopped(process) -> tuple[str, float]:
    """What a process that was sent SIGTERM had printed, and how many seconds it took to end."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out, time.monotonic() - began


def lateness(mail: Mailbox) -> timedelta:
    return max(parsedate_to_datetime(message["Date"]) for message in mail.messages()) - DUE
