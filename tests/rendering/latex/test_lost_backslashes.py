"""LaTeX whose backslashes and dollar signs were lost: restored where a script or a number gives it away."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering.plain_text import latex_to_text, readable
from newsletter.support.latex.lost_backslashes import restore_backslashes

LOST = [
    ("a 3.5times speed-up and 128times128 pixels", "a 3.5× speed-up and 128×128 pixels"),
    ("a threshold (tau^*=0.4).", "a threshold (τ*=0.4)."),
    ("the {ell_2} norm and the ell_2 norm", "the ℓ₂ norm and the ℓ₂ norm"),
    ("in O(epsilon^{-2}) steps", "in O(ε⁻²) steps"),
    ("S^2R, the L^2 error, R^d and 10^-5", "S²R, the L² error, Rᵈ and 10⁻⁵"),
    ("accuracy approx0.9 and sim12 points", "accuracy ≈0.9 and ∼12 points"),
    ("forall kgeq 1, and x_1,dots,x_n", "∀ k ≥ 1, and x₁,…,xₙ"),
    ("a rate of 1/sqrt{n} in mathbb{R}^d", "a rate of 1/√n in ℝᵈ"),
    ("the score Phi_R of calH", "the score Φ_R of H"),
    ("proptoleft(d/mright)", "∝(d/m)"),
]


@pytest.mark.parametrize(("written", "shown"), LOST)
def test_what_was_lost_is_restored(written: str, shown: str) -> None:
    assert readable(written) == shown
    assert readable(shown) == shown


STAYS = [
    "Four times as fast, and three times smaller",
    "The epsilon of a proof, and an approx of 5",
    "MyData_Attack600, my_variable and snake_case_names",
    "See https://example.org/a_{b}^2 or a_b@example.org",
    "A face ^_^ and a ^ b",
    "A copyright (right) and what is left",
    "The set {a, b} and foo{bar}",
]


@pytest.mark.parametrize("text", STAYS)
def test_words_names_and_addresses_stay(text: str) -> None:
    assert readable(text) == text


GLUED = ("times", "approx", "geq", "leq", "neq", "sim", "pm", "cdot", "cal", "math", "infty", "forall", "dots", "var")


@given(st.text(alphabet=st.characters(exclude_characters="^{}_\\", codec=None), max_size=200))
def test_a_text_without_scripts_changes_only_where_a_macro_is_glued(text: str) -> None:
    assert restore_backslashes(text) == text or any(name in text for name in GLUED)


PIECES = [
    "tau",
    "^",
    "_",
    "{",
    "}",
    "*",
    "2",
    "ell",
    "times",
    "geq",
    "(",
    ")",
    " ",
    "left(",
    "right)",
    "sqrt{",
    "x",
    ",",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_nothing_makes_it_fail_or_grow(text: str) -> None:
    assert len(latex_to_text(restore_backslashes(text))) <= 2 * len(text)


@pytest.mark.parametrize("piece", ["x^", "{", "a_{b", "left(", "2times", "ell_", "{a}", "((", "x^{", "calH"])
def test_the_time_is_proportional_to_the_length(piece: str) -> None:
    start = process_time()
    readable(piece * (200_000 // len(piece)))
    assert process_time() - start < 10
