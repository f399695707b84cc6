"""Names of authors compared: one person in many spellings, and persons who only share initials."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.support.person_names import NameIndex, NameMatch, compare_names, parse_name, split_name

NONE, POSSIBLE, FULL = NameMatch

WORDS = st.text("abcdefghijklmnopqrstuvwxyzáçéñöøłß", min_size=4, max_size=9).map(str.capitalize)
GIVEN = st.lists(WORDS, min_size=1, max_size=3)
FAMILY = st.tuples(st.sampled_from(["", "van der ", "de ", "Le "]), WORDS).map("".join)
ANY_NAME = st.one_of(
    st.text(max_size=30),
    st.lists(
        st.sampled_from(
            ["Ada", "ADA", "A.", "AM", "J.-L.", "van", "de", "Byron", "Jr.", ",", "-", "宋", "飏", "Team", "I"]
        ),
        max_size=6,
    ).map(" ".join),
)


def compared(one: str, other: str) -> NameMatch:
    return compare_names(parse_name(one), parse_name(other))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Song, Yang", "Yang Song", FULL),
        ("SONG Yang", "Yang Song", NONE),
        ("Bernhard Schölkopf", "Bernhard Scholkopf", FULL),
        ("Łukasz Kaiser", "Kaiser, Lukasz", FULL),
        ("Geoffrey E. Hinton", "Geoffrey Hinton", FULL),
        ("Geoffrey Everest Hinton", "Geoffrey E. Hinton", FULL),
        ("GE Hinton", "Hinton, G. E.", FULL),
        ("Hinton G.E.", "G. E. Hinton", FULL),
        ("G. Hinton", "Geoffrey Hinton", POSSIBLE),
        ("GE Hinton", "Geoffrey Hinton", POSSIBLE),
        ("G. Hinton", "G. E. Hinton", POSSIBLE),
        ("Yu. Nesterov", "Yurii Nesterov", POSSIBLE),
        ("Geoffrey A. Hinton", "Geoffrey E. Hinton", NONE),
        ("Jian Sun", "Jie Sun", NONE),
        ("Jian Bo Sun", "Jian Sun", POSSIBLE),
        ("J. Sun", "Jian Song", NONE),
        ("Xiao-Ming Li", "Xiaoming Li", FULL),
        ("Xiao Ming Li", "Li, Xiaoming", FULL),
        ("X.-M. Li", "Xiaoming Li", POSSIBLE),
        ("JI CHEN", "Ji Chen", FULL),
        ("Laurens van der Maaten", "Maaten, Laurens van der", FULL),
        ("van der Maaten, L.", "Laurens van der Maaten", POSSIBLE),
        ("Yann LeCun", "Yann Le Cun", FULL),
        ("Di Wu", "Wu, Di", FULL),
        ("Robert Smith Jr.", "Smith, Jr., Robert", FULL),
        ("Juan García Pérez", "García-Pérez, Juan", FULL),
        ("Miles O'Brien", "Miles OBrien", FULL),
        ("Hinton", "Geoffrey Hinton", NONE),
        ("Hinton", "HINTON", FULL),
        ("宋飏", "宋 飏", FULL),
        ("宋飏", "宋浩", NONE),
        ("山田, 太郎", "山田太郎", FULL),
        ("The ATLAS Collaboration", "ATLAS Collaboration", FULL),
        ("ATLAS Collaboration", "A. Collaboration", NONE),
        ("on behalf of the CMS Collaboration", "CMS collaboration", FULL),
        ("OpenAI", "Open Ai", NONE),
        ("Qwen Team", "Qi Team", NONE),
        ("Gemini Team, Google", "Google Gemini Team", NONE),
        ("Ada Lovelace (Analytical Society)", "Ada Lovelace", FULL),
    ],
)
def test_spellings_of_a_name_are_told_from_other_names(one: str, other: str, expected: NameMatch) -> None:
    assert compared(one, other) is expected


@given(GIVEN, FAMILY)
def test_a_name_matches_itself_however_it_is_written(given_name: list[str], family: str) -> None:
    name = f"{' '.join(given_name)} {family}"
    for other in (
        f"{family}, {' '.join(given_name)}",
        f"{'-'.join(given_name)} {family}",
        name.upper(),
        unicodedata.normalize("NFD", name),
        "".join(one for one in unicodedata.normalize("NFD", name) if not unicodedata.combining(one)),
        f"{name} Jr.",
        f"  {name.replace(' ', '  ')} ",
    ):
        assert compared(name, other) is FULL
    initials = " ".join(f"{one[0]}." for one in given_name)
    assert compared(name, f"{initials} {family}") is POSSIBLE


@given(ANY_NAME, ANY_NAME)
def test_comparing_is_symmetric_and_names_that_match_have_a_key_in_common(one: str, other: str) -> None:
    assert compared(one, other) is compared(other, one)
    assert compared(one, one) is FULL
    if compared(one, other):
        assert set(parse_name(one).keys) & set(parse_name(other).keys)


@given(st.lists(ANY_NAME, max_size=8), ANY_NAME)
def test_an_index_finds_what_a_comparison_with_each_name_would(names: list[str], wanted: str) -> None:
    index = NameIndex((name, place) for place, name in enumerate(names))
    found = {place for _, places in index.find(wanted).values() for place in places}
    assert found == {place for place, name in enumerate(names) if compared(name, wanted)}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Ada Lovelace", "Lovelace, Ada"),
        ("Lovelace, Ada", "Lovelace, Ada"),
        ("Hinton G. E.", "Hinton, G. E."),
        ("Laurens van der Maaten", "van der Maaten, Laurens"),
        ("Maaten, Laurens van der", "van der Maaten, Laurens"),
        ("Luca D'Angelo", "D'Angelo, Luca"),
        ("Robert Downey Jr.", "Downey, Robert, Jr."),
        ("King, Martin Luther, Jr.", "King, Martin Luther, Jr."),
        ("Xiao-Ming Li (MIT)", "Li, Xiao-Ming"),
        ("宋飏", "宋飏"),
        ("宋, 飏", "宋, 飏"),
        ("Plato", "Plato"),
        ("Smith, Baker, Jones", "Smith, Baker, Jones"),
        ("ATLAS Collaboration", "ATLAS Collaboration"),
        ("Nokia Bell Labs, Inc.", "Nokia Bell Labs, Inc."),
    ],
)
def test_the_family_name_comes_first_where_it_is_known(written: str, expected: str) -> None:
    assert split_name(written).family_first == expected


@given(ANY_NAME)
def test_what_is_split_is_the_same_person(name: str) -> None:
    found = split_name(name)
    assert found.family or not name.strip()
    if found.given:
        assert compare_names(parse_name(f"{found.family}, {found.given}"), parse_name(name)) is not NONE


@given(GIVEN, FAMILY)
def test_a_usual_name_is_split_either_way(given: list[str], family: str) -> None:
    first = " ".join(given)
    for written in (f"{first} {family}", f"{family}, {first}"):
        found = split_name(written)
        if family.startswith("Le "):
            assert found.family_first.replace(",", "").split()[-1] == given[-1] or found.family in family
        else:
            assert (found.family, found.given) == (family, first)
