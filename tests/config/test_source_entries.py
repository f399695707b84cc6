"""Sources are added to and removed from the text of a config file, and nothing else in it changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.config.source_entries import with_entry, without_entry
from newsletter.config.yaml import parse
from newsletter.errors import UserError

FEED = {"kind": "feed", "url": "https://journal.example/feed.xml"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "site: x\nsources:\n    one:\n        kind: a # why\n        # more\n\n# Below.\nlog: y\n",
            "site: x\nsources:\n    one:\n        kind: a # why\n        # more\n    new:\n        kind: feed\n"
            "        url: https://journal.example/feed.xml\n\n# Below.\nlog: y\n",
            id="block, indented by four",
        ),
        pytest.param(
            "sources:\r\n  one: {kind: a}",
            "sources:\r\n  one: {kind: a}\r\n  new:\r\n    kind: feed\r\n    url: https://journal.example/feed.xml\r\n",
            id="CRLF, and no end of the last line",
        ),
        pytest.param(
            "site: x\n# The end.\n",
            "site: x\n# The end.\n\nsources:\n  new:\n    kind: feed\n    url: https://journal.example/feed.xml\n",
            id="no sources",
        ),
        pytest.param(
            "site: x\n...\n",
            "site: x\nsources:\n  new:\n    kind: feed\n    url: https://journal.example/feed.xml\n...\n",
            id="no sources, and a mark of the end",
        ),
        pytest.param(
            "sources: {} # none\nsite: x\n",
            "sources: # none\n  new:\n    kind: feed\n    url: https://journal.example/feed.xml\nsite: x\n",
            id="an empty mapping",
        ),
        pytest.param(
            "sources:\n  # one:\n  #   kind: a\nsite: x\n",
            "sources:\n  new:\n    kind: feed\n    url: https://journal.example/feed.xml\n  # one:\n  #   kind: a\n"
            "site: x\n",
            id="only comments",
        ),
        pytest.param(
            "sources: {one: {kind: a}, # first\n}\n",
            "sources: {one: {kind: a}, new: {kind: feed, url: https://journal.example/feed.xml}, # first\n}\n",
            id="flow style",
        ),
        pytest.param(
            "{site: x}",
            "{site: x, sources: {new: {kind: feed, url: https://journal.example/feed.xml}}}",
            id="all in flow style",
        ),
    ],
)
def test_a_source_goes_after_the_others(before: str, after: str) -> None:
    assert with_entry(before, "new", FEED, "config.yaml") == after


def test_values_keep_their_meaning() -> None:
    values = {"kind": "x", "list": ["a, b", "null", "2402.01310"], "yes": True, "number": 3.0, "text": "#1: it's"}
    for before in ("site: x\n", "{site: x}"):
        read = parse(with_entry(before, "new", values, "c"), "c").data["sources"]["new"]
        assert read == {**values, "yes": "true", "number": "3.0"}


def test_a_removed_source_leaves_the_comments_of_others() -> None:
    text = "sources:\n  # On one.\n  one:\n    kind: a # its own\n    # its own\n\n  # On two.\n  two: {kind: b}\n"
    without = without_entry(text, "one", "c")
    assert without == "sources:\n  # On one.\n\n  # On two.\n  two: {kind: b}\n"
    assert without_entry(without, "two", "c") == "sources: {}\n  # On one.\n\n  # On two.\n"
    flow = "sources: {one: {kind: a}, two: {kind: b}, } # all\n"
    assert without_entry(flow, "one", "c") == "sources: {two: {kind: b}, } # all\n"
    empty = "sources:\n  one: {kind: a}\n  two:\n    kind: b\n    text:\n# Below.\nsite: x\n"
    assert without_entry(empty, "two", "c") == "sources:\n  one: {kind: a}\n# Below.\nsite: x\n"
    assert without_entry(flow, "two", "c") == "sources: {one: {kind: a}, } # all\n"


def test_a_form_that_leaves_no_place_is_refused() -> None:
    with pytest.raises(UserError, match=r"by hand: new: \{kind: feed"):
        with_entry("? sources\n: ? one\n  : kind: a\n", "new", FEED, "config.yaml")


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
comments = st.sampled_from(["", "\n", "# A comment: of {all}\n", "# ä\n\n", "\n\n# x\n"])
values = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20),
    st.lists(st.text("abc ,:#[]{}'\"-", min_size=1, max_size=8), min_size=1, max_size=3),
)


@st.composite
def config_files(draw: st.DrawFn) -> str:
    """Config files as people write them: any indents, comments and order, block or flow style below the sources."""
    step = " " * draw(st.integers(1, 5))
    lines = [draw(comments), "site:\n", f"{step}name: 'X  y' # who\n", draw(comments), "sources:\n"]
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        about = draw(comments)
        lines += [f"{step}{line}" if line.strip() else line for line in about.splitlines(keepends=True)]
        if draw(st.booleans()):
            lines.append(f"{step}{name}: {{kind: a, list: [b,  c]}} # flow\n")
        else:
            lines.append(f"{step}{name}: # block\n{step}{step}kind: 'a'\n{step}{step}text: >-\n{step}{step}{step}t\n")
    lines += [draw(comments), *draw(st.sampled_from([[], ["log:\n", f"{step}days: 0o7\n"], ["digest: {}\n", "# end"]]))]
    text = "".join(lines)
    return draw(st.sampled_from([text, text.rstrip("\n"), text.replace("\n", "\r\n")]))


@given(config_files(), names, st.dictionaries(names, values, min_size=1, max_size=4))
def test_what_is_added_and_removed_leaves_the_file_as_it_was(text: str, name: str, entry: dict) -> None:
    before = parse(text, "c").data
    name = f"{name}-new"
    added = with_entry(text, name, entry, "c")
    assert parse(added, "c").data == {**before, "sources": {**before["sources"], name: entry}}
    assert without_entry(added, name, "c") in (text, f"{text}\n", f"{text}\r\n")
    kept = [line for line in added.splitlines(keepends=True) if line in text.splitlines(keepends=True)]
    assert "".join(kept).startswith(text[: text.index("sources:")])
    assert added.count("#") - str(entry).count("#") >= text.count("#")
    for other in before["sources"]:
        left = without_entry(text, other, "c")
        assert parse(left, "c").data["sources"] == {k: v for k, v in before["sources"].items() if k != other}
        assert left.count("A comment") == text.count("A comment")
