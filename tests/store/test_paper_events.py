"""One paper has one row, preprint or published, and what becomes of it is recorded once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from newsletter.model import (
    Digest,
    DigestItem,
    EventKind,
    LibraryItem,
    Notice,
    Paper,
    PaperEvent,
    PaperStatus,
    PaperUpdate,
    Preferences,
    SendState,
    SubscriberState,
)
from newsletter.store import (
    feedback,
    libraries,
    open_store,
    paper_events,
    paper_upsert,
    papers,
    plans,
    reading,
    saved_papers,
    send_log,
    sends,
    subscribers,
    writing,
)
from newsletter.store.feedback import Verdict

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PREPRINT = Paper(
    title="Sleep and the growth of barley roots",
    abstract="Roots grow at night. We measure how much.",
    authors=("Ada Smith", "Bo Jones"),
    doi="10.1101/2025.10.01.123456",
    version=1,
    url="https://www.biorxiv.org/content/10.1101/2025.10.01.123456v1",
    published=date(2025, 10, 1),
)
ARTICLE = Paper(
    title="Sleep and the growth of barley roots",
    authors=("Smith, A.", "Jones, B."),
    doi="10.1038/s41586-025-00001-1",
    venue="Nature",
    url="https://doi.org/10.1038/s41586-025-00001-1",
    published=date(2025, 11, 20),
)

pytestmark = pytest.mark.both_stores


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def keep(engine: Engine, *found: Paper | Notice, now: datetime = NOW) -> paper_upsert.UpsertCounts:
    with writing(engine) as connection:
        return paper_upsert.upsert(connection, found, "test", now)


def all_papers(engine: Engine) -> list[Paper]:
    with reading(engine) as connection:
        return list(papers.listing(connection, papers.PaperFilter()))


def events(engine: Engine, paper: int = 1) -> list[PaperEvent]:
    with reading(engine) as connection:
        return paper_events.history(connection, paper)


def test_a_preprint_and_its_article_are_one_paper_by_title_and_authors(engine: Engine) -> None:
    keep(engine, PREPRINT)
    assert keep(engine, ARTICLE, now=NOW + HOUR).events == 1
    (paper,) = all_papers(engine)
    assert (paper.doi, paper.other_ids, paper.venue) == (PREPRINT.doi, (ARTICLE.doi,), "Nature")
    assert (paper.url, paper.links) == (PREPRINT.url, (ARTICLE.url,))
    assert (paper.published, paper.first_seen) == (date(2025, 10, 1), NOW)
    (event,) = events(engine)
    assert (event.kind, event.venue, event.doi, event.day) == (
        EventKind.PUBLISHED,
        "Nature",
        ARTICLE.doi,
        date(2025, 11, 20),
    )
    assert keep(engine, PREPRINT, ARTICLE, now=NOW + 2 * HOUR) == paper_upsert.UpsertCounts(papers=2)


@pytest.mark.parametrize(
    "other",
    [
        Paper(title=ARTICLE.title, authors=("Cy Roe",), doi="10.1038/other", venue="Nature"),
        Paper(
            title=ARTICLE.title, authors=ARTICLE.authors, doi="10.1101/2019.01.01.999999", published=date(2019, 1, 1)
        ),
        Paper(title="Editorial", authors=("Ada Smith",), doi="10.1016/2"),
    ],
)
def test_papers_of_one_title_stay_apart_if_something_speaks_against_it(engine: Engine, other: Paper) -> None:
    keep(engine, PREPRINT, Paper(title="Editorial", authors=("Ada Smith",), doi="10.1016/1"))
    keep(engine, other)
    assert len(all_papers(engine)) == 3


@pytest.mark.parametrize(
    ("authors", "number"),
    [
        (("The Barley Collaboration",), 1),
        (("Smith, Ada", "Jones, B.", "Cy Roe"), 1),
        ((), 1),
        (("Cy Roe", "Di Poe"), 2),
    ],
)
def test_authors_decide_between_papers_of_one_title(engine: Engine, authors: tuple[str, ...], number: int) -> None:
    keep(engine, Paper(title=ARTICLE.title, authors=PREPRINT.authors, arxiv_id="2510.00001"))
    keep(engine, Paper(title=ARTICLE.title, authors=authors, doi="10.1016/7"))
    assert len(all_papers(engine)) == number


def test_a_relation_makes_one_paper_of_two_titles(engine: Engine) -> None:
    keep(engine, PREPRINT)
    related = Paper(title="Barley sleeps", doi="10.1016/9", venue="Field Crops", other_ids=(PREPRINT.doi or "",))
    keep(engine, related)
    (paper,) = all_papers(engine)
    assert paper.other_ids == ("10.1016/9",)
    for name in ("10.1016/9", "https://doi.org/10.1016/9", PREPRINT.doi or ""):
        with reading(engine) as connection:
            found = papers.by_id(connection, name)
        assert found == paper


def test_two_rows_that_turn_out_to_be_one_paper_are_merged(engine: Engine) -> None:
    article = Paper(title="Barley sleeps", abstract="Short.", authors=("Bo Jones",), doi="10.1016/9", venue="Crops")
    keep(engine, PREPRINT, article, Paper(title="Another"))
    with writing(engine) as connection:
        for number in (1, 2):
            person = Preferences(email=f"r{number}@example.org")
            subscribers.add(connection, person, SubscriberState.ACTIVE, "test", NOW, file=None)
        saved_papers.save(connection, 1, 2, NOW)
        feedback.give(connection, 1, 2, Verdict.MORE, None, NOW)
        feedback.give(connection, 2, 1, Verdict.MORE, None, NOW)
        feedback.give(connection, 2, 2, Verdict.LESS, None, NOW)
        row = sent_to(connection, 1, 2, NOW)
    settle(engine, row, "sent", NOW)
    old_id = article.doi or ""
    counts = keep(engine, Paper(title="Barley sleeps", doi="10.1016/9", other_ids=(PREPRINT.doi or "",)))
    assert (counts.new, counts.changed) == (0, 1)
    merged, other = sorted(all_papers(engine), key=lambda paper: paper.row)
    assert (merged.row, merged.title, merged.venue, other.title) == (1, PREPRINT.title, "Crops", "Another")
    with reading(engine) as connection:
        assert papers.by_id(connection, old_id) == merged
        assert papers.find(connection, "Barley sleeps") == merged
        assert papers.by_rows(connection, [2, 1]) == {1: merged, 2: merged}
        assert papers.names(connection, [2])[2].row == 1
        assert papers.find_all(connection, [old_id])[old_id].row == 1
        assert [one.paper for one in saved_papers.of(connection, 1)] == [1]
        assert {one.verdict for one in feedback.of(connection, [2])[2]} == {Verdict.MORE}
        assert send_log.held_papers(connection, [1], NOW - HOUR) == {1: {1}}
        assert papers.count(connection) == 2
        assert papers.passing(connection, [1, 2, 3], papers.PaperFilter()) == [1, 3]


def test_a_submission_on_openreview_is_published_when_it_is_accepted(engine: Engine) -> None:
    submission = Paper(title="Looms that learn", other_ids=("openreview:aBcD12345_",))
    keep(engine, submission)
    assert keep(engine, replace(submission, venue="ICLR 2026 Oral")).events == 1
    assert [(event.kind, event.venue) for event in events(engine)] == [(EventKind.PUBLISHED, "ICLR 2026 Oral")]


def test_two_arxiv_papers_are_never_merged(engine: Engine) -> None:
    keep(engine, Paper(title="One", arxiv_id="2501.00001"), Paper(title="Two", arxiv_id="2501.00002"))
    keep(engine, Paper(title="Three", doi="10.1016/3", other_ids=("2501.00001", "2501.00002")))
    assert len(all_papers(engine)) == 2


def test_a_new_version_is_an_event_with_what_changed(engine: Engine) -> None:
    keep(engine, PREPRINT)
    second = Paper(
        title="Sleep and the growth of barley",
        abstract="Roots grow at night. We measure it in 40 fields.",
        doi=PREPRINT.doi,
        version=2,
    )
    keep(engine, second, now=NOW + HOUR)
    keep(engine, second, now=NOW + 2 * HOUR)
    (event,) = events(engine)
    assert (event.kind, event.version, event.former_title) == (EventKind.REVISED, 2, PREPRINT.title)
    assert (event.added, event.removed) == (("We measure it in 40 fields.",), ("We measure how much.",))


def test_a_withdrawn_version_keeps_the_text(engine: Engine) -> None:
    keep(engine, PREPRINT)
    gone = Paper(
        title=PREPRINT.title,
        abstract="This paper has been withdrawn.",
        doi=PREPRINT.doi,
        version=2,
        status=PaperStatus.WITHDRAWN,
    )
    keep(engine, gone)
    (paper,) = all_papers(engine)
    assert (paper.status, paper.version, paper.abstract) == (PaperStatus.WITHDRAWN, 2, PREPRINT.abstract)
    assert [event.kind for event in events(engine)] == [EventKind.WITHDRAWN]


@pytest.mark.parametrize("of", [(PREPRINT.doi,), ("10.9999/unknown", PREPRINT.doi)])
def test_a_notice_changes_the_paper_it_is_about(engine: Engine, of: tuple[str, ...]) -> None:
    keep(engine, PREPRINT)
    told = Notice(
        kind=EventKind.RETRACTED, of=of, day=date(2025, 11, 27), doi="10.1038/notice", url="https://n.example"
    )
    assert keep(engine, told).events == 1
    assert keep(engine, told).events == 0
    (paper,) = all_papers(engine)
    (event,) = events(engine)
    assert paper.status is PaperStatus.RETRACTED
    assert (event.kind, event.day, event.doi, event.url) == (
        EventKind.RETRACTED,
        date(2025, 11, 27),
        "10.1038/notice",
        "https://n.example",
    )


def test_notices_of_publication_correction_and_unknown_papers(engine: Engine) -> None:
    keep(engine, PREPRINT)
    ours = (PREPRINT.doi or "",)
    published = Notice(kind=EventKind.PUBLISHED, of=ours, venue="Nature", doi=ARTICLE.doi, day=date(2025, 11, 20))
    corrected = [Notice(kind=EventKind.CORRECTED, of=(ARTICLE.doi or "",), doi=f"10.1038/c{one}") for one in (1, 2)]
    unknown = Notice(kind=EventKind.RETRACTED, of=("10.1/unknown",))
    assert keep(engine, published, *corrected, unknown).events == 3
    (paper,) = all_papers(engine)
    assert (paper.status, paper.venue, paper.other_ids) == (None, "Nature", (ARTICLE.doi,))
    assert [event.kind for event in events(engine)] == [EventKind.PUBLISHED, EventKind.CORRECTED, EventKind.CORRECTED]


def test_a_library_holds_a_paper_by_any_of_its_identifiers(engine: Engine) -> None:
    keep(engine, PREPRINT)
    keep(engine, Paper(title="Barley sleeps", doi="10.1016/9", other_ids=(PREPRINT.doi or "",)))
    with writing(engine) as connection:
        person = Preferences(email="r1@example.org")
        subscribers.add(connection, person, SubscriberState.ACTIVE, "test", NOW, file=None)
        library = libraries.ensure(connection, 1, "file:mine.bib")
        mine = Paper(title="Barley at night", authors=("Cy Roe",), doi="10.1016/9")
        libraries.put_items(connection, library.row, [LibraryItem(key="a", paper=mine)])
        assert libraries.held_papers(connection, [1]) == {1: {1}}
        paper_upsert.upsert(connection, [Paper(title="Another")], "test", NOW)
        assert [libraries.holds(connection, library.row, row) for row in (1, 3)] == [True, False]


def sent_to(
    connection: object, subscriber: int, paper: int, at: datetime, updates: tuple[PaperUpdate, ...] = ()
) -> int:
    """Plan a digest with a paper, and mark it as sent."""
    known = papers.by_rows(connection, [paper])  # type: ignore[arg-type]
    choices = (DigestItem(known[paper], 1, 0.5, "A", ""),) if paper else ()
    digest = Digest(edition=at.date(), choices=choices, considered=1, since=None, seen_row=3, updates=updates)
    identity = f"<{at.date()}.{subscriber}@x>"
    plan = plans.Plan(subscriber=subscriber, email=f"r{subscriber}@example.org", message_id=identity, digest=digest)
    (row,) = plans.plan(connection, [plan], at)  # type: ignore[arg-type]
    return row


def settle(engine: Engine, row: int, state: str, at: datetime) -> None:
    with writing(engine) as connection:
        outcome = sends.SendOutcome(state=SendState(state), smtp_reply="250 ok" if state == "sent" else "550 no")
        claimed = sends.claim(connection, sends.ClaimFilter(), "me", at, 10)
        assert [one.row for one in claimed] == [row]
        sends.record_outcomes(connection, {row: outcome}, "me", at, on_wire=False)


def test_an_event_is_told_once_to_those_who_had_the_paper_before(engine: Engine) -> None:
    keep(engine, PREPRINT)
    with writing(engine) as connection:
        for number in (1, 2, 3):
            person = Preferences(email=f"r{number}@example.org")
            subscribers.add(connection, person, SubscriberState.ACTIVE, "test", NOW, file=None)
        row = sent_to(connection, 1, 1, NOW)
        saved_papers.save(connection, 2, 1, NOW)
    settle(engine, row, "sent", NOW)
    keep(engine, Notice(kind=EventKind.RETRACTED, of=(PREPRINT.doi or "",)), now=NOW + HOUR)
    with writing(engine) as connection:
        saved_papers.save(connection, 3, 1, NOW + 2 * HOUR)  # Knew it then.

    def unreported(since: datetime = NOW) -> dict[int, list[PaperUpdate]]:
        with reading(engine) as connection:
            return paper_events.unreported(connection, [1, 2, 3], since)

    found = unreported()
    assert set(found) == {1, 2}
    assert found[1][0].paper.status is PaperStatus.RETRACTED
    assert unreported(NOW + 2 * HOUR) == {}
    tomorrow = NOW + timedelta(days=1)
    with writing(engine) as connection:
        row = sent_to(connection, 1, 0, tomorrow, tuple(found[1]))
    assert set(unreported()) == {1, 2}, "a planned digest is replaced by the next"
    settle(engine, row, "failed", tomorrow)
    assert set(unreported()) == {1, 2}, "a failed one told nothing"
    with writing(engine) as connection:
        row = sent_to(connection, 1, 0, tomorrow + timedelta(days=1), tuple(found[1]))
    settle(engine, row, "sent", tomorrow)
    assert set(unreported()) == {2}
    with reading(engine) as connection:
        send = send_log.of_edition(connection, 1, (tomorrow + timedelta(days=1)).date())
        assert send is not None
        assert send_log.digests(connection, [send])[send.row].updates == tuple(found[1])
        # The same event in another digest: the plan is dropped.
    with writing(engine) as connection:
        again = plans.Plan(
            subscriber=1,
            email="r1@example.org",
            message_id="<again@x>",
            digest=Digest(
                edition=date(2025, 12, 9), choices=(), considered=0, since=None, seen_row=1, updates=tuple(found[1])
            ),
        )
        assert plans.plan(connection, [again], tomorrow) == []


def test_who_learned_of_an_event_before_a_merge_is_not_told_again(engine: Engine) -> None:
    article = replace(ARTICLE, title="Barley sleeps")
    keep(engine, PREPRINT, article)
    with writing(engine) as connection:
        for number in (1, 2):
            person = Preferences(email=f"r{number}@example.org")
            subscribers.add(connection, person, SubscriberState.ACTIVE, "test", NOW, file=None)
            saved_papers.save(connection, number, 2, NOW)
    for paper in (PREPRINT, article):
        keep(engine, Notice(kind=EventKind.RETRACTED, of=(paper.doi or "",)), now=NOW + HOUR)
    with reading(engine) as connection:
        found = paper_events.unreported(connection, [1, 2], NOW)
    with writing(engine) as connection:
        row = sent_to(connection, 1, 0, NOW + 2 * HOUR, tuple(found[1]))
    settle(engine, row, "sent", NOW + 2 * HOUR)
    keep(engine, replace(article, other_ids=(PREPRINT.doi or "",)), now=NOW + 3 * HOUR)
    assert len(events(engine)) == 1
    with reading(engine) as connection:
        assert set(paper_events.unreported(connection, [1, 2], NOW)) == {2}
        send = send_log.of_edition(connection, 1, NOW.date())
        assert send is not None
        (update,) = send_log.digests(connection, [send])[send.row].updates
    assert (update.paper.row, update.event.paper) == (1, 1)


def test_a_new_version_has_its_own_day(engine: Engine) -> None:
    keep(engine, PREPRINT)
    keep(engine, replace(PREPRINT, version=2, version_day=date(2025, 10, 9)), now=NOW + HOUR)
    (event,) = events(engine)
    assert (event.kind, event.version, event.day) == (EventKind.REVISED, 2, date(2025, 10, 9))
