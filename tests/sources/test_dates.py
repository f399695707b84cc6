import time
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.sources.dates import DateStyle, WrittenDate, parse_date, parse_month, published_on, style_of, to_day

FULL = [
    # RFC 822 and what passes for it.
    "Wed, 05 Mar 2025 10:20:30 GMT",
    "Wed, 5 Mar 2025 10:20:30",
    "5 Mar 2025 10:20 +0100",
    "Wed, 05 Mar 25 10:20:30 EST",
    "Wednesday, 05-Mar-25 10:20:30 UTC",
    "Wed, 05 Mar 2025 10:20:30 +0100 (CET)",
    "Wed, 05 Mar 2025 10:20:30 GMT+02:00",
    "Wed, 05 Mar 2025 10:20:30 Europe/Paris",
    "Wed, 05 Mar 2025 10:20:60 XYZ",
    "Tue, 04 Mar 2025 23:30:00 -0500",
    "Tue, 04 Mar 2025 11:30:00 PM EST",
    "Tue, 04 Mar 2025 24:00:00 GMT",
    "Thu, 06 Mar 2025 00:30:00 +0100",
    "Wed, 05 Mar 2025 00:00:00 +0900",  # Midnight stands for the day.
    "Wed Mar  5 10:20:30 2025",
    "Tue Mar 4 23:20:30 PST 2025",
    # ISO 8601.
    "2025-03-05", "2025-03-05T10:20:30Z", "2025-03-05t10:20z", "2025-03-05 10:20:30.123456789",
    "2025-03-04T22:00-05:00",
    "20250305", "20250305T102030Z", "20250305102030", "2025-W10-3", "2025W103", "2025-064", "+2025-03-05",
    # A Unix time.
    "1741168800", "1741168800000", "1741168800.25", "1741168800000000",
    # Other numbers.
    "2025/03/05 10:20", "2025.3.5", "2025. 3. 5.", "5.3.2025", "05.03.25", "2025年3月5日", "2025년 3월 5일",
    "２０２５-０３-０５", "2025/03/05/", "2025-3-5",
    # Words.
    "March 5, 2025", "March 5th, 2025", "5 March 2025 at 10:20 am", "5th of March 2025", "MAR 5 2025", "2025 Mar 5",
    "2025-Mar-05", "5-Mar-2025", "Mar 5, 25", "Published online: 5 March 2025", "Issued 2025/03/05",
    # Words of other languages.
    "mié, 5 mar 2025 10:20:30 +0000", "5 de marzo de 2025", "mer., 5 mars 2025", "Mi, 5 Mrz 2025", "5. März 2025",
    "wo, 5 mrt 2025", "5 de março de 2025", "środa, 5 marca 2025", "5 марта 2025 г.", "Ср, 5 Мар 2025 10:20:30 +0300",
    "5. března 2025", "2025. március 5.", "5 Μαρτίου 2025", "5 Mart 2025", "5. maaliskuuta 2025", "ons 5 mars 2025",
    "周三, 5 三月 2025 10:20:30 +0000", "5 tháng 3 năm 2025", "٥ مارس ٢٠٢٥", "5 मार्च 2025",
]  # fmt: skip


@pytest.mark.parametrize("text", FULL)
def test_a_day(text: str) -> None:
    assert parse_date(text) == (2025, 3, 5)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2025-03", (2025, 3, None)),
        ("202503", (2025, 3, None)),
        ("3/2025", (2025, 3, None)),
        ("March 2025", (2025, 3, None)),
        ("2025", (2025, None, None)),
        ("c. 2025", (2025, None, None)),
        ("[2025?]", (2025, None, None)),
        ("2024-2025", (2024, None, None)),
        ("2024/25", (2024, None, None)),
        ("2024-02/2025-03", (2024, 2, None)),
        ("Feb-Mar 2025", (2025, 2, None)),
        ("Dec 2024/Jan 2025", (2024, 12, None)),
        ("3--5 March 2025", (2025, 3, None)),
        ("2025 Mar 3-5", (2025, 3, None)),
        ("Winter 2025", (2025, None, None)),
        ("Q3 2025", (2025, None, None)),
        ("2025-22", (2025, None, None)),
        ("March", (None, 3, None)),
        ("in press", (None, None, None)),
        ("soon", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_a_date_says_what_it_says(text: str, written: tuple[int | None, ...]) -> None:
    assert parse_date(text) == written


def test_a_month_that_means_another_in_another_language() -> None:
    assert parse_date("5 listopada 2025", DateStyle("pl")).month == 11
    assert parse_date("5 listopada 2025", DateStyle("hr")).month == 10
    assert parse_date("środa, 5 listopada 2025").month == 11
    assert parse_date("5 listopada 2025").month is None


def test_a_day_of_the_week_that_reads_like_a_month() -> None:
    assert parse_date("mar, 4 nov 2025", DateStyle("es")) == (2025, 11, 4)
    assert parse_date("4 mar 2025", DateStyle("es")) == (2025, 3, 4)


@pytest.mark.parametrize(
    ("entries", "language", "month"),
    [
        ([["5/3/2025"]], "fr", 3),
        ([["5/3/2025"]], "en-GB", 3),
        ([["5/3/2025"]], "en-US", 5),
        ([["5/3/2025"]], "", 5),
        ([["5/3/2025"]], "no language", 5),
        ([["5/3/2025"], ["25/3/2025"]], "en-US", 3),
        ([["5/3/2025"], ["3/25/2025"]], "fr", 5),
        ([["5/3/2025"], ["3/25/2025"], ["25/3/2025"]], "fr", 3),
        ([["5/3/2025", "2025-03-05T10:00:00Z"]], "en-US", 3),
        ([["5/3/2025", "2025-07-05"]], "en-US", 5),
    ],
)
def test_the_order_of_day_and_month(entries: list[list[str]], language: str, month: int) -> None:
    written = parse_date("5/3/2025", style_of(entries, language))
    assert (written.month, written.day) == ((3, 5) if month == 3 else (5, 3))


def test_an_order_that_would_be_in_the_future() -> None:
    today = datetime.now(UTC).date()
    if today.month == 12 or today.day > 12 or today.day == today.month:
        today = date(today.year, 3, 5)
        entries = [[f"5/3/{today.year}", f"{today.year}-03-05"]]
    else:
        entries = [[f"{today.day}/{today.month}/{today.year}", today.isoformat()]]
    assert style_of(entries).day_first is True


@pytest.mark.parametrize(
    ("texts", "day"),
    [
        (["2025-02-30", "2025-03-05"], date(2025, 3, 5)),
        (["0001-01-01", "2025-03-05"], date(2025, 3, 5)),
        (["Thu, 01 Jan 1970 00:00:00 GMT", "2025-03-05"], date(2025, 3, 5)),
        (["0", "2025-03-05"], date(2025, 3, 5)),
        (["2399-01-01", "2025-03-05"], date(2025, 3, 5)),
        (["soon", "2025-03-05"], date(2025, 3, 5)),
        (["2025", "2025-03-05"], date(2025, 3, 5)),
        (["2025-02", "2025-03-05"], date(2025, 2, 1)),
        (["2024", "2025-03-05"], date(2024, 1, 1)),
        (["2025", "MAR 5"], date(2025, 3, 5)),
        (["Thu, 01 Jan 1970 00:00:00 GMT"], None),
        (["1970"], date(1970, 1, 1)),
        (["in press"], None),
    ],
)
def test_a_bad_date_hides_no_good_one(texts: list[str], day: date | None) -> None:
    assert published_on(map(parse_date, texts)) == day


def test_a_date_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="the date '2025-2-30' does not exist"):
        published_on([parse_date("2025"), parse_month("feb", "30")])


def test_days_ahead() -> None:
    year = datetime.now(UTC).year
    assert to_day(WrittenDate(year + 1, 3)) == date(year + 1, 3, 1)
    assert to_day(WrittenDate(year + 5, 3)) is None


DAYS = st.dates(date(1990, 1, 1), date(2026, 1, 1))
FORMS = ["%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y 12:30:00 GMT", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d-%b-%y"]


@given(DAYS, st.sampled_from(FORMS))
def test_any_day_in_any_form(day: date, form: str) -> None:
    assert parse_date(day.strftime(form)) == (day.year, day.month, day.day)


@given(DAYS, st.sampled_from(["fr", "de", "en-GB", "nl", "pt-BR"]))
def test_any_day_in_numbers(day: date, language: str) -> None:
    assert parse_date(day.strftime("%d/%m/%Y"), style_of([], language)) == (day.year, day.month, day.day)


PIECES = ["2025", "31", "0", "Mar", "mars", "/", "-", ".", "T", ":", "12:30", "+0100", "年", "W10", " ", "٥", "²"]


@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES)).map("".join), st.sampled_from(["", "de", "xx-!", "fa"]))
def test_any_text_gives_a_date_or_none(text: str, language: str) -> None:
    style = style_of([[text, text]], language)
    day = to_day(parse_date(text, style))
    assert day is None or 1600 <= day.year <= datetime.now(UTC).year + 2


@pytest.mark.parametrize("piece", ["9", "9-", "Mar ", "12:30 ", "/", "年", "a", " "])
def test_a_hostile_text_takes_no_time(piece: str) -> None:
    start = time.process_time()
    for _ in range(20):
        parse_date(piece * 50_000)
    assert time.process_time() - start < 2
