"""Subscribers' files: checked with line numbers, and rewritten with comments and order kept."""

from datetime import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.subscriber_file import (
    new_text,
    preferences_from_mapping,
    read_preferences_text,
    rewritten,
    write_preferences,
)
from newsletter.errors import UserError
from newsletter.model import Day, Interest, Preferences, Schedule
from newsletter.support.text import to_single_line

FULL = """\
# Ada's file
email: ada@example.org   # her own
name: Ada Lovelace
papers: 5
schedule:
    days: [sun, mon]     # unusual indents and order stay
    time: 7:05
    timezone: Europe/London
never:
- "stock market"
interests:
# the first
- name: Engines   # by hand
  text: >
    analytical engines
    and their notes
  keywords: {difference engine: 2.5, punched card: 1}
  liked: [2402.01310, "Notes by the Translator"]
- Bernoulli numbers
"""


def test_a_full_file_is_read() -> None:
    preferences = read_preferences_text(FULL, "ada.yaml")
    assert preferences.email == "ada@example.org"
    assert preferences.schedule == Schedule((Day.MON, Day.SUN), time(7, 5), "Europe/London")
    assert preferences.papers == 5
    assert preferences.never == ("stock market",)
    engines, bernoulli = preferences.interests
    assert engines.text == "analytical engines and their notes"
    assert engines.keywords == {"difference engine": 2.5, "punched card": 1.0}
    # An arXiv id that looks like a number keeps its last zero.
    assert engines.liked == ("2402.01310", "Notes by the Translator")
    assert bernoulli == Interest(name="Bernoulli numbers", text="Bernoulli numbers")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("papers: 5", "papres: 5", "ada.yaml:4: papres: unknown key; did you mean 'papers'?"),
        ("keywords:", "keyword:", "ada.yaml:17: interests.1.keyword: unknown key; did you mean 'keywords'?"),
        ("papers: 5", "papers: 500", "ada.yaml:4: papers: '500' is too large; it must be 100 or less"),
        ("time: 7:05", "time: 25:05", "ada.yaml:7: schedule.time: '25:05' is not a time of day; write it like"),
        ("Europe/London", "Europe/Londn", "ada.yaml:8: schedule.timezone: 'Europe/Londn' is not a time zone"),
        ("[sun, mon]", "[sun, someday]", "ada.yaml:6: schedule.days.2: 'someday' is not one of mon, tue, wed"),
        ("ada@example.org ", "ada@@example.org", "ada.yaml:2: email: 'ada@@example.org' is not an email address"),
        ("email: ada@example.org   # her own\n", "", "ada.yaml:2: email: missing; add it"),
        ("- Bernoulli numbers", "- Engines", "interests.2.name: 'Engines' is a duplicate name; rename one"),
        ("punched card: 1", "punched card: -1", "interests.1.keywords.punched card: '-1' is too small"),
        ("- Bernoulli numbers", '- " "', "is empty; enter a value"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        read_preferences_text(FULL.replace(old, new, 1), "ada.yaml")
    assert expected in str(caught.value)


def test_what_cannot_be_seen_is_left_out() -> None:
    text = """\
    email: ada@example.org
    name: "A\\u200bda\\x1b[1m\\nL\\u202e."
    interests: ["lo\\u00adoms"]
    never: ["\\u2060art"]
    """
    read = read_preferences_text(text, "ada.yaml")
    assert (read.name, read.interests[0].name, read.never) == ("Ada[1m L.", "looms", ("art",))


def test_a_change_touches_only_what_changed() -> None:
    before = read_preferences_text(FULL, "ada.yaml")
    changed = Preferences(
        email=before.email,
        name=before.name,
        schedule=Schedule(before.schedule.days, time(8, 0), before.schedule.timezone),
        papers=before.papers,
        interests=(*before.interests, Interest(name="Looms", text="weaving")),
        never=before.never,
    )
    after = rewritten(FULL, changed, "ada.yaml")
    assert read_preferences_text(after, "ada.yaml") == changed
    lines_before, lines_after = ([" ".join(line.split()) for line in text.splitlines()] for text in (FULL, after))
    assert set(lines_before) - set(lines_after) == {"time: 7:05"}
    assert [line for line in lines_after if line not in ("time: 08:00", "- name: Looms", "text: weaving")] == [
        line for line in lines_before if line != "time: 7:05"
    ]
    for comment in ("# Ada's file", "# her own", "# unusual indents and order stay", "# the first", "# by hand"):
        assert comment in after


def test_an_interest_can_go_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "ada.yaml"
    path.write_text(FULL)
    before = read_preferences_text(FULL, "ada.yaml")
    wanted = Preferences(
        email=before.email, name=before.name, schedule=before.schedule, papers=5, interests=before.interests[1:]
    )
    write_preferences(path, wanted)
    assert read_preferences_text(path.read_text(), "ada.yaml") == wanted
    assert "# her own" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644 & ~0o022 | 0o044
    assert [one.name for one in tmp_path.iterdir()] == ["ada.yaml"]


words = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
phrases = st.lists(words, min_size=1, max_size=3).map(" ".join).map(to_single_line).filter(bool)
interests = st.builds(
    Interest,
    name=phrases,
    text=st.one_of(st.just(""), phrases),
    keywords=st.dictionaries(phrases, st.sampled_from([0.5, 1.0, 2.0, 7.25]), max_size=3),
    liked=st.lists(phrases, max_size=2).map(tuple),
    disliked=st.lists(phrases, max_size=2).map(tuple),
    authors=st.lists(phrases, max_size=2).map(tuple),
    categories=st.lists(phrases, max_size=2).map(tuple),
    weight=st.sampled_from([0.25, 1.0, 3.0]),
)
preferences = st.builds(
    Preferences,
    email=st.just("ada@example.org"),
    name=st.one_of(st.just(""), phrases),
    schedule=st.builds(
        Schedule,
        days=st.sets(st.sampled_from(list(Day)), min_size=1).map(lambda days: tuple(sorted(days, key=list(Day).index))),
        time=st.builds(time, hour=st.integers(0, 23), minute=st.integers(0, 59)),
        timezone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
    ),
    papers=st.integers(1, 100),
    interests=st.lists(interests, max_size=3, unique_by=lambda one: one.name).map(tuple),
    never=st.lists(phrases, max_size=2).map(tuple),
)


@given(preferences)
def test_what_is_written_is_read_back(wanted: Preferences) -> None:
    assert read_preferences_text(new_text(wanted), "x.yaml") == wanted


@given(preferences)
def test_a_file_can_be_rewritten_to_anything(wanted: Preferences) -> None:
    assert read_preferences_text(rewritten(FULL, wanted, "ada.yaml"), "ada.yaml") == wanted


@given(st.text())
def test_any_text_is_preferences_or_a_clear_error(text: str) -> None:
    try:
        read_preferences_text(text, "x.yaml")
    except UserError as error:
        assert all(line.startswith("x.yaml") for line in str(error).splitlines() if line)


def test_a_line_of_an_import_is_checked_too() -> None:
    with pytest.raises(UserError, match=r"list\.csv:3: schedule\.time: '99:00' is not a time of day"):
        preferences_from_mapping({"email": "a@example.org", "schedule": {"time": "99:00"}}, "list.csv:3")


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("mon, thu", "mon thu"),
        ("[Monday, thu]", "mon thu"),
        ("weekend", "sat sun"),
        ("daily", "mon tue wed thu fri sat sun"),
        ("[weekdays, sun]", "mon tue wed thu fri sun"),
    ],
)
def test_days_may_be_written_as_people_do(written: str, days: str) -> None:
    read = read_preferences_text(f"email: a@example.org\nschedule:\n  days: {written}\n", "x.yaml")
    assert " ".join(read.schedule.days) == days


def test_a_key_in_a_file_is_refused_and_not_repeated() -> None:
    secret = "P9NiFoyLeZu2bZNvvuQPDWsd"
    text = f"email: ada@example.org\ninterests:\n  - {{name: Mine, zotero: {{user: 1, key: {secret}}}}}\n"
    with pytest.raises(UserError) as refused:
        read_preferences_text(text, "ada.yaml")
    (line,) = refused.value.lines
    assert line.startswith("ada.yaml:3: interests.1.zotero")
    assert "a key does not belong in this file" in line
    assert secret not in line
