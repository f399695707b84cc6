"""The terms of a text: where they are, and that a word is the same word however it is written."""

from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.ranking.tokens import terms_of, tokens_of, wanted_tokens, word_spans, words_of

ANY_SCRIPT = st.text(
    st.sampled_from(
        "aAéR c+#*.-'’=\"\n1²ﬁ\u0301\u0308\u0327ßİیَعربيםשׁ״हिन्दी์รู้ำสกก強化学習っつーロﾛﾞ한국ᄒ\u200b\u200c\u200d\u00ad😀🏽"
    )
    | st.characters()
)


@given(ANY_SCRIPT)
@example(".NET C++ A* =x 学\u0301習 ﾛﾞ")
def test_tokens_are_where_they_say(text: str) -> None:
    for read in (tokens_of, wanted_tokens):
        ended = 0
        for token in read(text):
            assert ended <= token.start < token.end <= len(text)
            ended = token.end
    for start, end, terms in word_spans(text):
        assert text[start:end] and terms
    for term in terms_of(text):
        assert term.strip() == term and "\n" not in term


@given(ANY_SCRIPT)
@example("Ù\U0003d000")
def test_composed_and_decomposed_spellings_are_the_same_words(text: str) -> None:
    assert terms_of(normalize("NFC", text)) == terms_of(normalize("NFD", text))


@given(
    st.text(st.sampled_from("aeRst cαβéж3½²+#.-'’(\n,;:“–") | st.characters(codec="latin-1", exclude_categories=["Cf"]))
)
def test_a_word_of_another_script_changes_no_other_word(text: str) -> None:
    # A text with a Chinese character is read by other rules than one without, to the same result.
    assert terms_of(f"{text} | 学") == [*terms_of(f"{text} | "), "=学"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Graph-neural networks", ["graph", "neural", "graph neural", "network", "neural network"]),
        ("the use of it", []),
        # Combining marks and joiners are parts of words.
        ("हिन्दी भाषा", ["हिन्दी", "भाषा", "हिन्दी भाषा"]),
        ("می\u200cخواهم", ["میخواهم"]),
        # Vowel signs may be left out, and so may be written.
        ("تَعَلُّم", ["تعلم"]),
        ("שָׁלוֹם", ["שלום"]),
        ("צה״ל", ["צהל"]),
        # Full-width, subscript and joined letters are letters; a soft hyphen is invisible.
        ("ＬＬＭ H₂O deﬁned", ["llm", "h2o", "llm h2o", "defined", "h2o defined"]),
        ("black\u00adbox", ["blackbox"]),
        # Scripts without spaces match by pairs and triples of characters, never across scripts.
        ("学習ロボ", ["=学", "=習", "学習", "=ロ", "=ボ", "ロボ"]),
        ("학습을", ["=학", "=습", "학습", "=을", "습을", "학습을"]),
        ("กำลัง", ["=กํา", "=ลั", "กําลั", "=ง", "ลัง", "กําลัง"]),
        ("BERT模型", ["bert", "=模", "=型", "模型"]),
        # Names with signs.
        ("C++ vs. F#, .NET and A*", ["c++", "vs", "c++ vs", "f#", ".net", "a*", "=.net and a*"]),
        ("C++, c++11", ["c++", "c++", "11"]),
        # A capital that stands alone is a name; an initial of a genus, "A" and "I" are not.
        ("We use R.", ["=R"]),
        ("A model. I think C. elegans", ["model", "think", "=think c", "elegan"]),
        ("f(X) = $R$, the U.S.'s", []),
        # With a neighbour also others are.
        ("T cells", ["=T", "cell", "=t cell"]),
        ("k-means", ["mean", "=k mean"]),
        ("vitamin A", ["vitamin", "=vitamin a"]),
        ("type 2 diabetes", ["type", "=type 2", "diabete"]),
        # A short common word holds a phrase together, another does not.
        ("learning-to-rank", ["learning", "rank", "=learning to rank"]),
        ("Point of\ncare", ["point", "care", "=point of care"]),
        ("learning about ranks", ["learning", "rank"]),
    ],
)
def test_terms(text: str, terms: list[str]) -> None:
    assert terms_of(text) == terms


def test_bags_of_words_have_words_only() -> None:
    assert words_of("Learning to rank by R 学習") == ["learning", "rank"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("r", ["=R"]),
        ("i", []),
        ("猫", ["=猫"]),
        ("学習", ["学習"]),
        ("R for 猫", ["=R", "=猫"]),
    ],
)
def test_what_an_interest_names(text: str, terms: list[str]) -> None:
    assert [term for token in wanted_tokens(text) for term in token.terms] == terms
