"""Bounds of what one subscriber may say, the same wherever it comes from, and addresses no mail server would take."""

import json

import pytest

from newsletter.audience.subscriber_file import preferences_from_mapping, read_preferences_text
from newsletter.audience.subscriber_schema import MOST_INTERESTS
from newsletter.config.fields import plain_address
from newsletter.errors import UserError
from tests.helpers.newsletter import Newsletter

START = "email: ada@example.org\n"
MANY = 60_000


def refused(text: str) -> str:
    with pytest.raises(UserError) as caught:
        read_preferences_text(text, "ada.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("interests:\n" + "".join(f"- a{number}\n" for number in range(MANY)), 19998),
        ("interests: [" + ", ".join(f"a{number}" for number in range(MANY)) + "]\n", 2),
        ("interests:\n- name: x\n  keywords:\n" + "".join(f"    a{number}: 1\n" for number in range(MANY)), 10000),
        ("interests:\n- name: x\n  liked:\n" + "    - a\n" * MANY, 19995),
        (START * MANY, 10000),
        ("".join(f"k{number}: &a{number} x\n" for number in range(MANY)), 10000),
        ("never: [" + "!!str a, " * MANY + "]\n", 2),
    ],
    ids=["list", "one line", "keywords", "liked", "one key", "anchors", "tags"],
)
def test_a_file_of_far_too_many_values_is_refused_where_that_shows(text: str, line: int) -> None:
    assert refused(START + text) == f"ada.yaml:{line}: more than 20,000 keys and values; remove some"


@pytest.mark.parametrize("text", ["never: " + "[" * MANY, "{" * MANY, "never:\n" + "- " * MANY, "? " * MANY])
def test_a_file_nested_without_end_is_refused_where_that_shows(text: str) -> None:
    assert "nested more than 50 levels deep; check brackets and indents" in refused("\n" + text)


def test_aliases_count_as_often_as_they_are_used() -> None:
    levels = "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcd", "bcde", strict=True)
    )
    text = f"{START}a: &a [x]\n{levels}f: [*e, *e, *e, *e]\n"
    assert "more than 20,000 keys and values through its aliases; write the values out" in refused(text)
    deep = "a: &a0 x\n" + "".join(f"k{number}: &a{number + 1} [*a{number}]\n" for number in range(100))
    assert "nested more than 50 levels deep through its aliases" in refused(START + deep)
    assert refused(f"{START}a: &a [*a]\n") == "ada.yaml:2: an alias contains itself; write the values out"


def test_keys_that_come_twice_and_merged_ones_are_refused() -> None:
    assert refused(f"{START}papers: 3\npapers: 4\n") == "ada.yaml:3: papers: duplicate key; keep one of them"
    assert "ada.yaml:3: schedule.<<: unknown key" in refused(f"{START}schedule:\n  <<: {{time: '07:00'}}\n")


def test_an_anchor_used_twice_is_no_noise(recwarn: pytest.WarningsRecorder) -> None:
    read_preferences_text(f"{START}interests: [&a engines, &a looms]\n", "ada.yaml")
    assert not recwarn.list


BOUNDS = [
    ("interests", [f"a{number}" for number in range(MOST_INTERESTS + 1)], "has too many entries; keep at most 100"),
    ("never", ["a"] * 501, "has too many entries; keep at most 500"),
    ("never", ["a" * 1_001], "is longer than 1000 characters; shorten it"),
    ("name", "a" * 201, "is longer than 200 characters; shorten it"),
    *[
        ("interests", [{"name": "x", key: value}], told)
        for key, value, told in (
            ("text", "a" * 20_001, "is longer than 20000 characters"),
            ("keywords", {f"a{number}": 1 for number in range(501)}, "has too many entries; keep at most 500"),
            ("keywords", {"a" * 1_001: 1}, "is longer than 1000 characters"),
            ("keywords", {"a": "nan"}, "is not a number; write one like 0.5"),
            ("weight", "inf", "is not a number; write one like 0.5"),
            ("liked", ["a"] * 5_001, "has too many entries; keep at most 5000"),
            ("disliked", ["a"] * 5_001, "has too many entries; keep at most 5000"),
            ("authors", ["a"] * 1_001, "has too many entries; keep at most 1000"),
            ("categories", ["a"] * 201, "has too many entries; keep at most 200"),
        )
    ],
]


@pytest.mark.parametrize(("key", "value", "told"), BOUNDS)
def test_each_part_has_a_bound(key: str, value: object, told: str) -> None:
    with pytest.raises(UserError) as caught:
        preferences_from_mapping({"email": "ada@example.org", key: value}, "line 1")
    assert told in str(caught.value)
    with pytest.raises(UserError) as caught:  # a file, in JSON's way of writing YAML
        read_preferences_text(json.dumps({"email": "ada@example.org", key: value}), "ada.yaml")
    assert told in str(caught.value) and str(caught.value).startswith("ada.yaml:1: ")


def test_what_comes_without_a_file_has_the_same_bound() -> None:
    values = {"email": "ada@example.org", "interests": [{"name": "x", "text": ["y"] * MANY}]}
    with pytest.raises(UserError, match=r"^form: more than 20,000 keys and values; remove some$"):
        preferences_from_mapping(values, "form")


def test_interests_added_one_by_one_come_to_an_end(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("ada", START + "interests: [" + ", ".join(f"a{n}" for n in range(100)) + "]\n")
    before = path.read_text()
    ran = newsletter.run("subscribe", "ada@example.org", "-i", "one more", code=2)
    assert "subscribe: interests: has too many entries; keep at most 100" in ran.err
    assert path.read_text() == before


LONG = {
    "a local part of 65 letters": "a" * 65 + "@example.org",
    "a local part of 66 bytes": "é" * 33 + "@example.org",
    "a local part of 100,000 letters": "a" * 100_000 + "@example.org",
    "255 bytes": "a" * 64 + "@" + ".".join(["b" * 60] * 3) + ".abc.org",
    "a domain of 256 letters": "a@" + ".".join(["b" * 63] * 4),
    "a label of 64 letters": "a@" + "b" * 64 + ".org",
}


@pytest.mark.parametrize("email", LONG.values(), ids=LONG)
def test_an_address_over_the_limits_of_smtp_is_refused(email: str) -> None:
    with pytest.raises(ValueError, match="is not an email address"):
        plain_address(email)


@pytest.mark.parametrize("email", ["a" * 64 + "@example.org", "é" * 32 + "@example.org"])
def test_an_address_at_the_limit_is_taken(email: str) -> None:
    assert plain_address(email) == email


def test_no_command_and_no_file_brings_such_an_address_in(newsletter: Newsletter) -> None:
    long = LONG["a local part of 65 letters"]
    (newsletter.folder / "list.csv").write_text(f"email\n{long}\n")
    (newsletter.folder / "list.jsonl").write_text(json.dumps({"email": long}))
    newsletter.subscriber("long", f"email: {long}\n")
    for arguments in (
        ("subscribe", long),
        ("subscribers", "import", "list.csv"),
        ("subscribers", "import", "list.jsonl"),
        ("interests", "check"),
    ):
        ran = newsletter.run(*arguments, code=2)
        assert "is not an email address: The email address is too long before the @-sign" in ran.err
    assert newsletter.run("subscribers", "list", "--json").rows == []
