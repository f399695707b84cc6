import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.support.text import escape_for_terminal, shorten_middle, to_single_line

texts = st.text(alphabet=st.characters(codec=None), max_size=200)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("  Two\n  lines\tand a\xa0space ", "Two lines and a space"),
        ("bell\x07 nul\0 half\ud800 soft\xadhyphen turn\u202eed \ufeffBOM", "bell nul half softhyphen turned BOM"),
        ("zero\u200bwidth word\u2060joiner mark\u200eed", "zerowidth wordjoiner marked"),
        ("t\U000e0041ag gra\u034fpheme", "tag grapheme"),
        ("join\u200der non\u200cjoiner var\ufe0fiant filler\u3164", "joiner nonjoiner variant filler"),
        ("", ""),
    ],
)  # fmt: skip
def test_clean(text: str, seen: str) -> None:
    assert to_single_line(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "naïve 量子 café",
        "👩‍🔬 👩🏽‍🔬 ❤️‍🔥 1️⃣ ©️",
        "می‌خواهم",  # Persian, with a zero-width non-joiner
        "क्‍ष",  # Hindi, with a zero-width joiner
        "שיטות (NLP)\u200f חדשות",  # a mark that keeps the bracket in its place
    ],
)
def test_what_a_script_needs_stays(text: str) -> None:
    assert to_single_line(text) == text == escape_for_terminal(text)


def test_shown_says_what_cannot_be_seen() -> None:
    assert escape_for_terminal("  \x1b[31mred\x9b0m\r\nnext\u2028line pa\u200bper \u202eturned \udcff") == (
        "  \\x1b[31mred\\x9b0m  next line pa\\u200bper \\u202eturned \\udcff"
    )


def test_shortened_keeps_both_ends() -> None:
    assert shorten_middle("short", 5) == "short"
    assert shorten_middle("begin" + "x" * 5000 + "end", 30) == "beginxxxxxxxxxxxx … xxxxxxxend"


@given(texts)
def test_any_text_becomes_one_line(text: str) -> None:
    assert len(escape_for_terminal(text).splitlines()) <= 1
    assert to_single_line(escape_for_terminal(text)) == " ".join(escape_for_terminal(text).split())
    assert to_single_line(to_single_line(text)) == to_single_line(text)
    to_single_line(text).encode()
    escape_for_terminal(text).encode()


@given(texts, st.integers(10, 100))
def test_any_text_can_be_shortened(text: str, most: int) -> None:
    assert len(shorten_middle(text, most)) <= most
