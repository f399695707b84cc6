from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import UserError
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.daily_page import Page, read_page

AS_OF = date(2025, 11, 28)
SITE = (
    "new",
    "Get trending papers in your email inbox!",
    "Subscribe",
    "Daily Papers",
    "byAK and the research community",
)
HEADER = "".join(f"{line}\n\n" for line in SITE)
LONG = "The paper says at length what is done, why it is done and how well it is done, with numbers. " * 5


def read(body: str, as_of: date = AS_OF) -> Page:
    return read_page(HEADER + body, "page.txt", as_of)


def papers(body: str, as_of: date = AS_OF) -> list[Paper]:
    found = read(body, as_of).papers
    assert not [one for one in found if isinstance(one, SkippedPaper)]
    return [one for one in found if isinstance(one, Paper)]


def test_titles_and_abstracts() -> None:
    page = read("Nov 25\n\nFirst Paper\n\nIt says one thing.\n\nSecond Paper\n\nIt says another.\n")
    assert page.listed_on == date(2025, 11, 25)
    assert page.papers == (
        Paper(title="First Paper", abstract="It says one thing.", listed_on=date(2025, 11, 25)),
        Paper(title="Second Paper", abstract="It says another.", listed_on=date(2025, 11, 25)),
    )


def test_a_byline_has_authors_date_and_comments() -> None:
    (paper,) = papers(
        "Nov 11\n\nObjective Mismatch in Model-based Reinforcement Learning\n\nAbout models.\n\n"
        "  • 4 authors\n·\nFeb 11, 2020 1\n"
    )
    assert (paper.author_count, paper.organization) == (4, None)
    assert (paper.published, paper.comments) == (date(2020, 2, 11), 1)


@pytest.mark.parametrize(
    ("who", "organization", "count"),
    [
        ("apple Apple", "Apple", None),
        ("nvidia NVIDIA Research Labs", "NVIDIA Research Labs", None),
        ("Apple", "Apple", None),
        ("  • 1 authors", None, 1),
        ("• 1 author", None, 1),
        ("authors Authors", "Authors", None),
    ],
)
def test_who_wrote_a_paper(who: str, organization: str | None, count: int | None) -> None:
    (paper,) = papers(f"Nov 25\n\nLinEAS\n\nIt steers.\n\n{who}\n·\nMar 11 1\n")
    assert (paper.organization, paper.author_count) == (organization, count)
    assert (paper.published, paper.comments) == (date(2025, 3, 11), 1)


def test_a_paper_may_lack_its_byline_and_its_count() -> None:
    first, second, third = papers(
        f"Nov 25\n\nOne\n\n{LONG}\n\nTwo\n\n{LONG}\n\n• 2 authors\n·\nMay 23\n\nThree\n\n{LONG}\n\n·\nMay 1, 2024\n"
    )
    assert (first.title, first.published, first.author_count) == ("One", None, None)
    assert (second.title, second.published, second.comments) == ("Two", date(2025, 5, 23), None)
    assert (third.title, third.published, third.organization) == ("Three", date(2024, 5, 1), None)
    assert first.abstract == second.abstract == third.abstract == LONG.strip()


def test_angle_brackets_stay() -> None:
    (paper,) = papers("Nov 25\n\nFrom <Answer> to <Think>: A Study\n\nIf a<b then <think> & more.\n")
    assert paper.title == "From <Answer> to <Think>: A Study"
    assert paper.abstract == "If a<b then <think> & more."


def test_a_page_from_another_system() -> None:
    body = "Nov 25\n\n\n\nA\xa0Title  of spaces \n \t \n\nAn\tabstract\x07.  \n\n\n"
    body += "•\xa03 authors \n · \n\nOct\xa07, 2024  2\n"
    text = "\ufeff" + (HEADER + body).replace("\n", "\r\n")
    (paper,) = read_page(text, "page.txt", AS_OF).papers
    assert paper == Paper(
        title="A Title of spaces",
        abstract="An abstract.",
        author_count=3,
        published=date(2024, 10, 7),
        listed_on=date(2025, 11, 25),
        comments=2,
    )


@pytest.mark.parametrize("title", ["May 5", "new", "Subscribe", "Daily Papers", "Nov 25", "6 authors", "Oct 7, 2024 2"])
def test_a_title_may_look_like_something_else(title: str) -> None:
    first, second = papers(f"Nov 25\n\n{title}\n\n{LONG}\n\n• 2 authors\n·\nMay 23\n\nOther\n\n{LONG}\n")
    assert (first.title, second.title) == (title, "Other")


def test_paragraphs_of_one_abstract() -> None:
    lines = papers(f"Nov 25\n\nOne\n\nFirst line,\nsecond line.\n\nTwo\n\n{LONG}\n")
    assert [paper.abstract for paper in lines] == ["First line, second line.", LONG.strip()]

    long_second = papers(f"Nov 25\n\nOne\n\n{LONG}\n\n{LONG}\n\nTwo\n\n{LONG}\n")
    assert [paper.title for paper in long_second] == ["One", "Two"]
    assert long_second[0].abstract == f"{LONG.strip()} {LONG.strip()}"

    code = papers(
        f"Nov 25\n\nOne\n\n{LONG}\n\nCode is at https://x.org/one\n\nTwo\n\n{LONG}\n\n• 2 authors\n·\nMay 2\n"
    )
    assert [paper.title for paper in code] == ["One", "Two"]
    assert code[0].abstract.endswith("numbers. Code is at https://x.org/one")


def test_a_title_may_end_with_a_full_stop() -> None:
    found = papers(f"Nov 25\n\nAttention Helps.\n\n{LONG}\n\nIt Really Does.\n\n{LONG}\n\nThird\n\n{LONG}\n")
    assert [paper.title for paper in found] == ["Attention Helps.", "It Really Does.", "Third"]


def test_short_abstracts_without_full_stops() -> None:
    found = papers("Nov 25\n\nOne\n\nwe count\n\nTwo\n\nwe count on\n\nThree\n\nwe go on\n")
    assert [(paper.title, paper.abstract) for paper in found] == [
        ("One", "we count"),
        ("Two", "we count on"),
        ("Three", "we go on"),
    ]


def test_a_title_without_an_abstract_is_told_with_its_line() -> None:
    *_, last = read(f"Nov 25\n\nOne\n\n{LONG}\n\nLast One\n").papers
    assert last == SkippedPaper("page.txt:17", "'Last One' has no abstract below it")

    one, bad, three = read(f"Nov 25\n\nOne\n\n{LONG}\n\nTwo\n\nThree\n\n{LONG}\n").papers
    assert isinstance(one, Paper)
    assert bad == SkippedPaper("page.txt:17", "'Two' has no abstract below it")
    assert isinstance(three, Paper)


def test_a_title_with_a_byline_alone_is_a_paper() -> None:
    first, second = papers(f"Nov 25\n\nOne\n\n• 2 authors\n·\nMay 23\n\nTwo\n\n{LONG}\n\n• 1 authors\n·\nMay 24\n")
    assert (first.title, first.abstract, first.author_count) == ("One", "", 2)
    assert second.title == "Two"


@pytest.mark.parametrize("day", ["Feb 30", "Sep 31, 2024", "Feb 29, 2023"])
def test_a_day_that_does_not_exist_costs_one_paper(day: str) -> None:
    bad, good = read(f"Nov 25\n\nOne\n\n{LONG}\n\n• 2 authors\n·\n{day}\n\nTwo\n\n{LONG}\n").papers
    assert bad == SkippedPaper("page.txt:19", f"the date {day!r} does not exist")
    assert isinstance(good, Paper)


def test_a_stray_byline_is_told() -> None:
    bad, good = read(f"Nov 25\n\n• 2 authors\n·\nMay 23\n\nOne\n\n{LONG}\n").papers
    assert bad == SkippedPaper("page.txt:13", "authors and a date without a title above")
    assert isinstance(good, Paper)


@pytest.mark.parametrize(
    ("written", "bylines", "as_of", "listed_on"),
    [
        ("Nov 25", [], date(2025, 11, 25), date(2025, 11, 25)),
        ("Nov 25", [], date(2025, 11, 24), date(2024, 11, 25)),
        ("Nov 25", ["Dec 31, 2024"], date(2026, 3, 1), date(2025, 11, 25)),
        ("Jun 13", ["Nov 1, 2019"], date(2025, 11, 28), date(2025, 6, 13)),
        ("Feb 29", [], date(2025, 11, 28), date(2024, 2, 29)),
        ("Mar 1", ["Feb 29"], date(2025, 11, 28), date(2024, 3, 1)),
        ("Nov 25, 2021", ["Dec 31, 2024"], date(2025, 11, 28), date(2021, 11, 25)),
    ],
)
def test_the_year_of_a_page(written: str, bylines: list[str], as_of: date, listed_on: date) -> None:
    body = "".join(f"Paper {number}\n\n{LONG}\n\n• 2 authors\n·\n{day}\n\n" for number, day in enumerate(bylines))
    assert read(f"{written}\n\n{body}", as_of).listed_on == listed_on


def test_a_day_without_a_year_is_of_the_year_of_the_page() -> None:
    (paper,) = papers(f"Nov 25\n\nOne\n\n{LONG}\n\n• 2 authors\n·\nMay 23\n", date(2024, 1, 1))
    assert (paper.listed_on, paper.published) == (date(2023, 11, 25), date(2023, 5, 23))


def test_no_year_fits() -> None:
    with pytest.raises(UserError) as error:
        read(f"Nov 25\n\nOne\n\n{LONG}\n\n• 2 authors\n·\nDec 11, 2024\n", date(2025, 1, 5))
    assert str(error.value) == (
        "page.txt:11: 'Nov 25' has no year, and none fits: it must be later than 2024 (line 19) and not after "
        "2025-01-05; say when the page was saved with --as-of 2025-11-25 or later"
    )
    with pytest.raises(UserError, match="--as-of 2028-02-29 or later"):
        read(f"Feb 29\n\nOne\n\n{LONG}\n\n• 2 authors\n·\nDec 11, 2024\n", date(2025, 1, 5))


@pytest.mark.parametrize(
    ("text", "first_problem"),
    [
        ("", "page.txt:1: the page's date, like 'Nov 25', is missing"),
        (HEADER, "page.txt:11: the page's date, like 'Nov 25', is missing"),
        (
            "Dear all,\n\nhello\n",
            "page.txt:1: expected the date of a saved Daily Papers page, like 'Nov 25', but found 'Dear all,'",
        ),
        (
            "new\n\nSubscribe\n\nModels\n\nNov 25\n",
            "page.txt:5: expected the date of a saved Daily Papers page, like 'Nov 25', but found 'Models'",
        ),
        (
            HEADER + "Nov 25 3\n",
            "page.txt:11: expected the date of a saved Daily Papers page, like 'Nov 25', but found 'Nov 25 3'",
        ),
        (HEADER + "Nov 31\n", "page.txt:11: the date 'Nov 31' does not exist"),
        (HEADER + "Feb 29, 2023\n", "page.txt:11: the date 'Feb 29, 2023' does not exist"),
    ],
)
def test_what_is_no_such_page(text: str, first_problem: str) -> None:
    with pytest.raises(UserError) as error:
        read_page(text, "page.txt", AS_OF)
    assert str(error.value).startswith(first_problem)
    assert "\n" not in str(error.value)


def test_a_page_without_papers() -> None:
    assert read("Nov 25\n") == Page(date(2025, 11, 25), ())


LINES = [
    *("", "Nov 25", "Feb 29", "Feb 30", "Oct 7, 2024 2", "Jan 1, 2999", "·", "• 3 authors", "apple Apple", "new"),
    *("A Title", "A sentence.", LONG, "\ufeff", "\xa0", "Subscribe"),
]


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=25), st.dates())
def test_any_text_gives_papers_or_one_line(lines: list[str], as_of: date) -> None:
    for text in ("\n".join(lines), HEADER + "Nov 25\n" + "\n".join(lines)):
        try:
            page = read_page(text, "page.txt", as_of)
        except UserError as error:
            assert str(error).startswith("page.txt:")
            assert "\n" not in str(error)
        else:
            assert all(one.title for one in page.papers if isinstance(one, Paper))


@given(st.lists(st.tuples(st.sampled_from(["One", "Two: A Study", "Is It?"]), st.booleans()), max_size=12))
def test_every_paper_of_a_page_is_found(wanted: list[tuple[str, bool]]) -> None:
    body = "".join(
        f"{title}\n\n{LONG}\n\n" + ("• 2 authors\n·\nMay 23, 2024 4\n\n" if byline else "") for title, byline in wanted
    )
    assert [(paper.title, paper.comments == 4) for paper in papers(f"Nov 25\n\n{body}")] == wanted
