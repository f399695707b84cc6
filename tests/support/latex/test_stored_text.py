"""LaTeX in stored texts: what becomes characters, and what stays."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.support.latex.stored_text import decode_field, decode_latex

FORMULAS = [
    r"of $\mathcal{O}(k \log k)$ and $y_{2}$",
    r"an $m$-tree with $p < 0.01$, \(z_1\), \[z^2\]",
    r"H$_2$S at 10$^{-7}$",
    r"\begin{align} a &= b \end{align}",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_stay(text: str) -> None:
    assert decode_latex(text) == text
    assert decode_field(text) == text


@pytest.mark.parametrize(
    "text",
    [
        r"C:\temp\new and D:\data",
        r"\\host\share\file",
        "$HOME/bin:$PATH",
        "from $7 to $9, US$10",
        r"\d+\w*",
        r"\d{3}-\b",
        r"`\n` and \t",
        "{'a': 1} {x}",
        "a -- b, --flag, x~y, ``q''",
        "2^10 and O(n^{2})",
        "100% of R&D",
        "#1_a",
        "[1] {2}",
    ],
)
def test_what_only_looks_like_latex_stays(text: str) -> None:
    assert decode_latex(text) == text


SIGNS = [
    (r"B\'ezout, H{\"o}lder, \v{C}ech, \L{}ukasiewicz, Stra{\ss}e", "Bézout, Hölder, Čech, Łukasiewicz, Straße"),
    (r"7\% of \emph{all} \textit{B. cereus} \& co", "7% of all B. cereus & co"),
    (r"$\gamma$-rays, $\sim$3, 4$\times$5, 20$^\circ$C, 9$^{\circ}$", "γ-rays, ∼3, 4×5, 20°C, 9°"),
    (r"x $<$ 3 {\textless} y, $\less$z$\greater$", "x < 3 < y, <z>"),
    (r"Mal$\acute{y}$, P$\check{\rm r}$ibram", "Malý, Příbram".replace("ří", "ři")),
    (r"\texorpdfstring{$\mu$}{mu}-nets \cite{a,b}", "mu-nets"),
    (r"\mymacro{kept} \textsc{Cap} \mbox{box} \underline{u}", "kept Cap box u"),
    (r"the 2\textsuperscript{nd}, 10\textsuperscript{6}, N\textsubscript{2}", "the 2nd, 10⁶, N2"),
    (r"\textquotesingle a\textquotesingle{} \LaTeX{} \ldots{} \S", "'a' LaTeX … §"),
]


@pytest.mark.parametrize(("latex", "text"), SIGNS)
def test_signs_become_characters_in_both(latex: str, text: str) -> None:
    assert decode_field(latex) == text
    if r"\textquotesingle a" not in latex:  # In plain text the space after a macro stays.
        assert decode_latex(latex) == text


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        ("{The {GAN} of}~{B}ob, 3--5 and a---b, ``q''", "The GAN of Bob, 3–5 and a—b, “q”"),
        (r"first\\second one\@. a\/b \xspace c\-d 1\,000", "first second one. ab cd 1 000"),
        (r"\textmu m, S\o ren, \AA ngstr\"om, \i \j", "µm, Søren, Ångström, ıȷ"),
        (r"{\noopsort{1990b}}1990 \ifmmode \acute{s}\else \'{s}\fi{}roda", "1990 środa"),
        (
            r"\ensuremath{\beta}-fold \href{https://x.org/a}{page} \url{https://x.org/~b--c}",
            "β-fold page https://x.org/~b--c",
        ),
        (r"{\it a} {\bf b} {\relax C}\protect\emph{d} \' e", "a b Cd é"),
        (r"C:\Users\me is kept", r"C:\Users\me is kept"),
        (r"unbalanced {a and b} } c {", "unbalanced a and b  c "),
    ],
)
def test_fields_are_all_latex(latex: str, text: str) -> None:
    assert decode_field(latex) == text


LATEX = st.lists(
    st.sampled_from(
        [
            "\\",
            "{",
            "}",
            "$",
            "\\emph{",
            "\\alpha",
            "\\'",
            "\\v ",
            "^",
            "_",
            "~",
            "--",
            "x",
            " ",
            "\\href{",
            "\\ifmmode",
            "\\else",
            "\\fi",
            "\\(",
            "\\)",
            "$<$",
            "\\cite{a}",
            "C:\\",
            "\\noopsort{",
            "\\textsuperscript{",
            "9",
        ]
    )
    | st.text(max_size=4),
    max_size=25,
)


@given(LATEX)
def test_any_text_is_read(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert isinstance(decode_latex(text), str)
    assert isinstance(decode_field(text), str)
    if "\\" not in text and "$" not in text:
        assert decode_latex(text) == text


@pytest.mark.parametrize(
    "piece",
    ["\\ifmmode ", "\\cite{", "\\emph{", "$", "$<$", "{", "\\href{a}{", "\\textsuperscript{", "\\noopsort{", "C:\\a"],
)
def test_the_time_is_proportional_to_the_length(piece: str) -> None:
    start = time.process_time()
    decode_latex(piece * 10_000)
    decode_field(piece * 10_000)
    assert time.process_time() - start < 3
