"""Syntax errors are explained in terms of YAML, with the line as it should be."""

import pytest

from tests.helpers.newsletter import Newsletter


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("name: LLMs: x", '2:11: not YAML: a value that contains ": " needs quotes; write name: "LLMs: x"'),
        ('name: A "b": c # d', "write name: 'A \"b\": c'"),
        ("schedule: days: mon", "or, if it is a key of its own, put it on the next line, indented"),
        ("name: a\n  papers: 3", "3:9: not YAML: this line is indented further than the one above, which already has"),
        (
            "interests:\n  - LLMs: agents",
            'interests.1: has ": ", so YAML reads a key and a value; put quotes around it',
        ),
        ("interests:\n  - name: a\n    liked:\n      - A: b", 'liked.1: has ": ", so YAML reads a key and a value'),
        ("schedule:\n\tdays: mon", "3:1: not YAML: a tab is used for indentation; use spaces"),
        ("schedule:\n  time:7:30", "2: schedule: 'time:7:30' needs a space after the colon; write time: 7:30"),
        ("name: a\npapers:5", "3:1: not YAML: needs a space after the colon; write papers: 5"),
        ("papers:5\nname: a", "needs a space after the colon; write papers: 5"),
        ("interests:\n-name: a", "-name: unknown key; write '- name', with a space after the dash"),
        ("name: @ada", 'a value that starts with @ needs quotes, since @ is reserved; write name: "@ada"'),
        ("never: [a, b]\nname: *.x", "a value that starts with * needs quotes, since * refers to another value"),
        ("name: 100\nnever:\n  - %x", 'write - "%x"'),
        ("name: !ada x", 'a value that starts with ! needs quotes, since ! sets a type; write name: "!ada x"'),
        ("name: > x", "since > starts a text of several lines"),
        ('name: "ada" b', 'since " starts a quoted text; write name: \'"ada" b\''),
        ("name: 'it's'", 'write name: "it\'s"'),
        ("name: [RL] agents", 'since [ starts a list; write name: "[RL] agents"'),
        ('name: "ada\npapers: 3', '2:7: not YAML: a quote is opened here and never closed; write name: "ada"'),
        ("never: [a, b", "2:8: not YAML: the bracket [ is opened here and never closed; add ]"),
        ("interests:\n  - name: a\n - name: b", "4:2: not YAML: the indent of this line fits no line above"),
        ("name: - x", "a list starts on a line of its own"),
        ("---\nname: b", "a second document starts here; keep one"),
        ("name\npapers: 3", "'name' is neither 'key: value' nor part of a text"),
        ("email: b@example.org", "email: duplicate key; keep one of them"),
    ],
)
def test_a_syntax_error_is_explained(newsletter: Newsletter, written: str, expected: str) -> None:
    (newsletter.folder / "subscribers" / "ada.yaml").write_text(f"email: ada@example.org\n{written}\n")
    error = newsletter.run("interests", "check", code=2).err
    assert expected in error
    assert "subscribers/ada.yaml:" in error


@pytest.mark.parametrize(
    "text", ["2024-01-01", "no", "on", "1_000", "0123", "12:30", "a:b", "x\n      y z", "C++ & C#"]
)
def test_texts_that_look_like_something_else_stay_texts(newsletter: Newsletter, text: str) -> None:
    written = f"email: ada@example.org\ninterests:\n  - name: a\n    text: {text}\n"
    (newsletter.folder / "subscribers" / "ada.yaml").write_text(written)
    found = newsletter.run("interests", "show", "--json").rows[0]["interests"][0]["text"]
    assert found == " ".join(text.split())
