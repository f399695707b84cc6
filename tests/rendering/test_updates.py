"""What became of papers, in a digest: one entry a paper, warnings first, sentences bounded, never clipped."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from newsletter.model import Digest, DigestItem, EventKind, Layout, Paper, PaperEvent, PaperStatus, PaperUpdate
from newsletter.rendering.event_words import event_line
from newsletter.rendering.message import CLIPPED_FROM, render_parts
from newsletter.rendering.subject import updates_in_words
from newsletter.rendering.template_context import digest_context, shared_links
from tests.rendering.test_message import EDITION, LINKS, SITE, TEMPLATES, subscriber

SEEN = datetime(2025, 11, 28, 6, tzinfo=UTC)


def paper(row: int, title: str, status: PaperStatus | None = None) -> Paper:
    return Paper(title=title, row=row, id=f"p{row}", url=f"https://example.org/{row}", status=status)


TIDES, KNOTS = paper(1, "On tides of $\\alpha$"), paper(2, "On <knots>")
GONE = paper(3, "On ghosts", PaperStatus.RETRACTED)


def update(about: Paper, row: int, kind: EventKind, **more: object) -> PaperUpdate:
    event = PaperEvent(kind=kind, paper=about.row, row=row, seen_at=SEEN, **more)  # type: ignore[arg-type]
    return PaperUpdate(about, event, date(2025, 11, 3), saved=about is KNOTS)


REVISED = update(
    TIDES, 1, EventKind.REVISED, version=2, added=("A.", "B $\\beta$.", "C.", "D."), removed=("Long " * 100,)
)
PUBLISHED = update(TIDES, 2, EventKind.PUBLISHED, venue="Nature", day=date(2025, 11, 20), doi="10.1038/<1>")
CORRECTED = update(KNOTS, 3, EventKind.CORRECTED, url="javascript:alert(1)")
RETRACTED = update(GONE, 4, EventKind.RETRACTED, day=date(2024, 2, 29), url="https://example.org/notice?a=1&b=2")


def digest(*updates: PaperUpdate, papers: int = 2) -> Digest:
    choices = tuple(DigestItem(paper(10 + n, f"Paper {n}"), n, 0.3, "Goals", "") for n in range(1, papers + 1))
    return Digest(edition=EDITION, choices=choices, considered=9, since=None, seen_row=9, updates=updates)


def parts(made: Digest, layout: Layout = Layout.FULL) -> tuple[str, str]:
    reader = subscriber()
    reader = replace(reader, preferences=replace(reader.preferences, layout=layout))
    return render_parts(SITE, TEMPLATES, reader, made, LINKS)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_events_of_one_paper_are_one_entry_with_all_that_is_known() -> None:
    html, text = parts(digest(REVISED, PUBLISHED, CORRECTED))
    assert text.count("* On tides of α\n") == text.count("* On <knots>\n") == 1
    assert text.index("GOALS\n") < text.index("UPDATES\n") < text.index("\n-- \n")
    assert "Published in Nature on 20 November\n  Article: https://doi.org/10.1038/%3C1%3E\n" in text
    assert "New in the abstract: “A.” “B β.” and 2 more sentences" in flat(text)
    assert "Long…”" in flat(text)
    assert "Sent to you on 3 November; you saved it.\n" in text
    assert 'href="https://doi.org/10.1038/%3C1%3E"' in html
    assert "On &lt;knots&gt;" in html
    assert "javascript" not in html + text
    assert html.index(">Goals</h2>") < html.index(">Updates</h2>")


def test_a_warning_comes_before_the_papers_and_next_to_the_subject() -> None:
    made = digest(REVISED, RETRACTED)
    html, text = parts(made)
    assert html.index(">Updates</h2>") < html.index(">Goals</h2>")
    assert text.index("On ghosts") < text.index("On tides") < text.index("GOALS\n=")
    assert "Retracted on 29 February 2024\n  Notice: https://example.org/notice?a=1&b=2\n" in text
    values = digest_context(SITE, TEMPLATES, subscriber(), made, LINKS)
    assert values["preheader"].startswith("Retracted: On ghosts; ")
    assert values["extent"] == "2 papers · 2 updates · 1 min read"
    assert [one.name for one in values["contents"]] == ["Updates", "Goals"]


@pytest.mark.parametrize(
    ("updates", "subject"),
    [
        ((RETRACTED,), "Retracted: On ghosts"),
        ((REVISED, PUBLISHED), "Published: On tides of α"),
        ((REVISED, CORRECTED), "2 updates on papers you know"),
        ((REVISED, CORRECTED, RETRACTED), "Retracted: On ghosts + 2 more"),
    ],
)
def test_the_subject_of_a_digest_with_updates_alone(updates: tuple[PaperUpdate, ...], subject: str) -> None:
    assert updates_in_words(updates) == subject
    values = digest_context(SITE, TEMPLATES, subscriber(), digest(*updates, papers=0), LINKS)
    assert values["subject"] == subject
    assert values["greeting"] in ("Ada, your update for today.", "Ada, your updates for today.")
    assert values["made"] == "Of 9 new papers, none comes close enough to your interests."


def test_layouts_quote_less_and_a_shared_digest_does_not_say_what_its_reader_was_sent() -> None:
    made = digest(REVISED)
    assert "“A.” and 3 more sentences" in flat(parts(made, Layout.COMPACT)[1])
    assert "in the abstract" not in parts(made, Layout.TITLES)[1]
    html, text = render_parts(SITE, TEMPLATES, subscriber(), made, shared_links(SITE))
    assert "Revised (version 2)" in text
    assert "Sent to you" not in html + text


def test_a_retracted_paper_of_a_digest_has_its_label_in_each_layout() -> None:
    made = digest(papers=1)
    made = replace(made, choices=(replace(made.choices[0], paper=replace(GONE, row=0)),))
    for layout in Layout:
        html, text = parts(made, layout)
        assert ">Retracted</span>" in html
        assert "1. [Retracted] On ghosts\n" in text


@pytest.mark.parametrize("sign", ["x", "長"])
def test_the_longest_updates_do_not_make_mail_programs_clip_the_message(sign: str) -> None:
    long = {"added": (f"{sign * 500}.",) * 9, "removed": (f"{sign * 499}.",) * 9, "former_title": sign * 400}
    updates = [update(paper(100 + n, sign * 300), n, EventKind.REVISED, venue=sign * 99, **long) for n in range(1, 21)]
    made = digest(*updates, papers=30)
    html, text = parts(made)
    assert len(html.encode()) < CLIPPED_FROM
    assert html.count("Revised") == 20
    assert text.count("Revised") == 20


def test_a_date_of_another_year_has_its_year_and_an_unknown_one_is_left_out() -> None:
    event = RETRACTED.event
    assert event_line(event, year=2024).words == "Retracted on 29 February"
    assert event_line(event).words == "Retracted on 29 February 2024"
    assert event_line(replace(event, day=None)).words == "Retracted"
