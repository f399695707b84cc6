"""LaTeX in titles and abstracts: read where it is some, left alone where it is none, and never a reason to fail."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering.plain_text import latex_to_text, shorten

FORMULAS = [
    (r"From $r$ to $Q^*$: what a reward hides", "From r to Q*: what a reward hides"),
    (r"Sorting in $\mathcal{O}(n \log n)$ steps", "Sorting in O(n log n) steps"),
    (r"$O(n\log n)$ and $O(\log\log n)$", "O(n log n) and O(log log n)"),
    (r"a bound of $\tilde{O}(\sqrt{T})$", "a bound of Õ(√T)"),
    (r"$\ell_2$ balls in $\mathbb{R}^d$", "ℓ₂ balls in ℝᵈ"),
    (r"$\mathbb{E}_{x\sim p}[f(x)]$ over $\mathbb{R}^{n \times d}$", "E_{x∼p}[f(x)] over ℝ^{n × d}"),
    (r"$x_{ij}^2$ and $x_{i,j}$, $d_{model}$, $d_{model}x$", "xᵢⱼ² and x_{i,j}, d_model, d_{model}x"),
    (r"$\theta_{\text{max}}$ at step $x_{t+1}^{(k)}$", "θₘₐₓ at step xₜ₊₁⁽ᵏ⁾"),
    (r"$e^{-\lambda t}$, $2^{n/2}$, $10^{-5}$, $L^\infty$", "e^{-λt}, 2^{n/2}, 10⁻⁵, L^∞"),
    (r"$\frac{a}{b}$, $\frac{a+b}{2n}$, $\frac12$, $\tfrac{\partial f}{\partial x}$", "a/b, (a+b)/(2n), 1/2, ∂f/∂x"),
    (r"$2\frac{x^2}{\sigma^2}y$", "2 x²/σ² y"),
    (r"$\sqrt{n}$, $\sqrt{n+1}$, $\sqrt[3]{x}$, $\sqrt[k]{x}$, $\sqrt 2$", "√n, √(n+1), ∛x, ᵏ√x, √2"),
    (r"$\alpha x + \beta y = \gamma$ and $\Delta E$", "αx + βy = γ and ΔE"),
    (r"$a \in A$, $a\in A$, $f: X \to Y$, $p(x\mid y)$", "a ∈ A, a∈A, f: X → Y, p(x|y)"),
    (r"64$\times$ faster, 3$\times $ smaller, $\sim$5%, $\pm 2$", "64× faster, 3× smaller, ∼5%, ±2"),
    (r"$x \leq y \geq z \neq 0$, $x \approx y$, $x \ll y$", "x ≤ y ≥ z ≠ 0, x ≈ y, x ≪ y"),
    (r"$\hat{x}$, $\bar y$, $\tilde\theta$, $\vec{v}$", "x̂, ȳ, θ̃, v"),
    (r"$f'(x)$, $f''$, $A^\top$, $A^T$, $30^\circ$", "f′(x), f″, Aᵀ, Aᵀ, 30°"),
    (r"$\sum_{i=1}^n x_i$ and $\int_0^1 f(x)\,dx$", "∑ᵢ₌₁ⁿ xᵢ and ∫₀¹ f(x) dx"),
    (r"$\sum\limits_{i} x$, $\max_{x \in X} f$, $\arg\max_\theta L$", "∑ᵢ x, max_{x ∈ X} f, arg max_θ L"),
    (r"$\operatorname{argmin}_x f$, $\mathrm{KL}(p\|q)$", "argminₓ f, KL(p‖q)"),
    (r"$\{1, \dots, n\}$, $\left( x + y \right)$, $\left. f \right|_0$", "{1, …, n}, (x + y), f |₀"),
    (r"$n \choose k$ or $\binom{n}{k}$", "n choose k or (n choose k)"),
    (r"$a \equiv b \pmod n$ and $a \bmod n$", "a ≡ b (mod n) and a mod n"),
    (r"$\not= 0$, $x \not\in A$, $A \setminus B$", "≠ 0, x ∉ A, A ∖ B"),
    (r"$\mathbf{x}$, $\boldsymbol{\theta}$, $\mathfrak{g}$, $\mathbb{1}[x]$", "x, θ, g, 1[x]"),
    (r"a $k$-means, the $k$th, a $k$NN, the $1^{st}$", "a k-means, the kth, a kNN, the 1ˢᵗ"),
    (r"$\textbf{S}$calable $\textbf{A}$ttention ($\textbf{+3 mAP}$)", "Scalable Attention (+3 mAP)"),
    (r"$30-40\%$ less, 52.6$\%$ more, $+1.07$ and $-2$", "30-40% less, 52.6% more, +1.07 and -2"),
    (r"$p < 0.05$ and $p=0.01$", "p < 0.05 and p=0.01"),
    (r"$$E = mc^2$$ and \[ x^2 \] and \(256\times256\)", "E = mc² and x² and 256×256"),
    (r"\begin{equation} a = b \end{equation} holds", "a = b holds"),
    (r"$\begin{pmatrix} a & b \\ c & d \end{pmatrix}$", "(a b; c d)"),
    (r"$a$$b$ and $ n $ and $T_1 $", "ab and n and T₁"),
    (r"\\$T_1 \\times T_2\\$ escaped twice", "T₁ × T₂ escaped twice"),
    (r"Net$_{EM}$ and Pose$^{+}$, H$_2$O, CO$_2$", "Net_EM and Pose⁺, H₂O, CO₂"),
    (r"$\bx\by$ and $n\logdet A$", "bx by and n logdet A"),
    (r"$x \methodname{} y$ and $\R^d$", "x methodname y and Rᵈ"),
    (r"$\overset{!}{=}$, $\stackrel{d}{\to}$, $\underset{x}{\min}$", "=^!, →ᵈ, minₓ"),
    (r"$\mathrm{if }x$; $a \text{ if } b$", "if x; a if b"),
    (r"\mathcal{O}(1), \ell_2-norms, \ell^{1} and \chi^2 bare", "O(1), ℓ₂-norms, ℓ¹ and χ² bare"),
    (r"O(epsilon^{-3}) steps at 25^\circ C", "O(epsilon⁻³) steps at 25° C"),
    (r"{\alpha}-divergence over 360{\deg} at 5{\%}", "α-divergence over 360° at 5%"),
    (r"3\times faster, 5 \pm 2, a \to b", "3× faster, 5 ± 2, a → b"),
    (r"$(\epsilon, \delta)$-DP with $\varepsilon \to 0$", "(ε, δ)-DP with ε → 0"),
]

TEXT = [
    (r"many classes (\eg, dogs), \ie those; \etal. and \etc", "many classes (e.g., dogs), i.e. those; et al. and etc."),
    (r"such as e.g.\ the rate, e.g.~this one", "such as e.g. the rate, e.g. this one"),
    (r"a {\em finite sample} of {\it S. cerevisiae}, {\bf bold}", "a finite sample of S. cerevisiae, bold"),
    (r"\textbf{bold} \emph{it {nested} here} \textsc{Small}Caps", "bold it nested here SmallCaps"),
    (r"\methodname beats \methodname{} and \methodname's", "methodname beats methodname and methodname's"),
    (r"we call it \ours, the \best{state of the art}", "we call it ours, the state of the art"),
    (r"code at \url{https://example.org/a_b~c}.", "code at https://example.org/a_b~c."),
    (r"\url{https://example.org/a\_b\%20c\#d}", "https://example.org/a_b%20c#d"),
    (r"\href{https://example.org}{our page}", "our page (https://example.org)"),
    (r"\href{https://example.org/x}{https://example.org/x}", "https://example.org/x"),
    (r"\href{https://example.org/x/}{example.org/x}", "https://example.org/x/"),
    (r"as shown~\cite{knuth84,lamport}. As \citep[see][p.~3]{x} shows", "as shown. As shows"),
    (r"see (\cite{a}), Figure~\ref{fig:1} and [\cite{b}]!", "see, Figure and!"),
    (r"3.5\% of A\&B, C\#, a\_b, \{x\}", "3.5% of A&B, C#, a_b, {x}"),
    (r"\$5 to \$10 an hour", "$5 to $10 an hour"),
    (r"A title\footnote{Code is public.} of two\thanks{Thanks.} parts", "A title (Code is public.) of two parts"),
    (r"\begin{itemize} \item one \item two \end{itemize} done", "• one • two done"),
    (r"\section*{Methods} first line\\ second\newline third", "Methods first line second third"),
    (r"\textcolor{red}{hot} {\color{blue} cold} \verb|a_b| \texttt{c\_d}", "hot cold a_b c_d"),
    (r"the 5\textsuperscript{th} H\textsubscript{2}O, 5\textdegree", "the 5ᵗʰ H₂O, 5°"),
    (r"p{\textless}0.05 {\copyright} 2020 \textendash{} now", "p<0.05 © 2020 – now"),
    ("% a comment\n\\emph{text}\n% another\nmore", "text\nmore"),
    (r'the \semantic web" problem', 'the semantic web" problem'),
    (r"{\textless}I{\textgreater} escaped {\\textless}twice{\\textgreater}, 5\\%", "<I> escaped <twice>, 5%"),
    (r"He said \"yes\", it\'s what we don\'t know", "He said \"yes\", it's what we don't know"),
]
ACCENTS = [
    (r"Erd\H{o}s, G\"odel and Schr\"{o}dinger", "Erdős, Gödel and Schrödinger"),
    (r"Fr\'echet, B\'{e}zier, \'etale and Poincar\'e", "Fréchet, Bézier, étale and Poincaré"),
    (r"na\"{\i}ve, na\"\i ve and na{\"i}ve", "naïve, naïve and naïve"),
    (r"Fran\c{c}ois, \v{S}koda, Ho\v rava, Mart\'{\i}n", "François, Škoda, Hořava, Martín"),
    (r"\L ukasz S\o rensen, Wei{\ss}, {\AA}ngstr\"om, 0.2 \AA of", "Łukasz Sørensen, Weiß, Ångström, 0.2 Å of"),
    (r"Nguy\~{\^{e}}n, \^ile, \`a la, \~nandu, \=o, \.Z", "Nguyễn, île, à la, ñandu, ō, Ż"),
    (r"www.example.org/\~user and a \~{} alone", "www.example.org/~user and a ~ alone"),
]
PRINT = [
    ("pages 10--20, the bias--variance trade-off", "pages 10–20, the bias–variance trade-off"),
    ("one model---the last---and -- so -- on --- yes", "one model—the last—and – so – on — yes"),
    ("the ``first'' and ``second\" and `third' case", "the “first” and “second” and ‘third’ case"),
    ("a filter~(UKF), Fig.~1, ISO/TS~12913, al.~(2017)", "a filter (UKF), Fig. 1, ISO/TS 12913, al. (2017)"),
    ("random{''} and {``}words{''}, 3{--}4", "random'' and “words”, 3–4"),
]
UNTOUCHED = [
    "$5 to $10 per hour",
    "costs $3.5M",
    "a lone $ and US$5 or CA$10",
    "$5-$10, $5/$10, between $ 5 and $ 10",
    "between 5$-10$ or 5$ and 10$",
    "the $1,000 genome with a $20,000 price tag",
    "cut from $100k/year to 10$ or $5 (US$6)",
    "A$AP and Ke$ha, $HOME/bin:$PATH, ${a}-${b}, $HOME and $USER",
    "花费$5买了书和$6的笔",
    "100% of 5%, 50 % off, 3 % 2",
    "snake_case and __init__ and CamelCase_x",
    "C# & F#, #1, R&D, AT&T",
    "about ~5% in ~/bin, 10~20%, p~N(0,1), noise~Normal(0, 1)",
    "x^2 + y^2 = z^2, L^p, D^2O, a^b^c",
    r"C:\Users\ada\papers and D:\new\table.txt",
    r"\\server\share\folder, src\main\java",
    r"\d+\w*\s and \n or \t, \[1\]",
    '{"a": [1, {"b": 2}], "c": {}}',
    'def f(x): return {x: {"y": x}} or f"{x!r}"',
    "set {1, 2} and {RNA} and {x_i}",
    "a <think> b </think> x<y>z <!-- note -->",
    "https://example.org/~user/a--b_c?d=%20&e=f#g",
    "mail to ada.lovelace+x@example.org",
    "git commit --amend --file; i--; -----; a->b; x-->y",
    "| a | --- | b |",
    "```python``` and ``code`` and `code` and don't",
    "rock 'n' roll, 5'10'', ''eigen'' arrays",
    "👩‍🔬 🇩🇪 👍🏽 émigré",
    "量子コンピュータ 양자 컴퓨터",
    "الحوسبة الكمومية וחישוב קוונטי",
    "e\u0301 a\u0308\u0323 क्षि",
    "α-stable, ℓ₂, ∑ᵢ xᵢ ≤ 5 × 10⁻³ — “so” – ‘it’ is…",
    "  two  spaces\nand\tlines \n",
    "",
]
BROKEN = [
    ("unbalanced $x and {foo and } bar", "unbalanced $x and {foo and } bar"),
    (r"ends in \frac{a and \sqrt", "ends in frac{a and √"),
    (r"\frac and \sqrt of \textbf words", "frac and √ of words"),
    (r"an open \textbf{group and $\alpha$", "an open {group and α"),
    (r"\begin{equation x = y \end", "begin{equation x = y end"),
    (r"$x_$ and $^2$ and $\frac{}{}$ and x", "x_ and ² and frac and x"),
    (r"a } and { b with \emph{c}", "a } and { b with c"),
    (r"\cite{open and \ref", "cite{open and ref"),
    (r"$$ and $$$ and \( and \[", r"$$ and $$$ and \( and \["),
    ("trailing \\", "trailing \\"),
    (r"\'5 and \" and \^ and \v", "'5 and \" and ^ and \\v"),
]


@pytest.mark.parametrize(("text", "seen"), FORMULAS + TEXT + ACCENTS + PRINT + BROKEN)
def test_latex_reads_as_text(text: str, seen: str) -> None:
    assert latex_to_text(text) == seen


@pytest.mark.parametrize("text", UNTOUCHED)
def test_what_is_no_latex_stays(text: str) -> None:
    assert latex_to_text(text) == text


@pytest.mark.parametrize("text", [text for text, _ in FORMULAS + TEXT + ACCENTS + PRINT + BROKEN] + UNTOUCHED)
def test_a_second_time_changes_nothing(text: str) -> None:
    assert latex_to_text(latex_to_text(text)) == latex_to_text(text)


ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=200)
PIECES = re.findall(
    r"\S+",
    r"\alpha \frac \sqrt \textbf{ {\em \begin{x} \end{x} \item \cite{a} \url{ \left( \right. \mathbb{R} \not \hat \' \""
    r" \\ \( \) \[ \] \$ \% \{ \} \ours \ { } $ $$ ^ _ ^{ & ~ -- --- `` '' ` ' word 5 3.5 é 量",
)
LATEX = st.lists(st.sampled_from([*PIECES, " ", " "]), max_size=60).map("".join)
SENTENCE = re.findall(r"\S+", "well known words, of (plain) text with $5 or $10 and 3% or x_1 in it")


@given(ANY_TEXT | LATEX)
def test_nothing_makes_it_fail(text: str) -> None:
    seen = latex_to_text(text)
    assert len(seen) <= 4 * len(text)


@given(st.text(alphabet=st.characters(exclude_characters="\\${}~-`'", codec=None), max_size=200))
def test_any_text_without_latex_stays(text: str) -> None:
    assert latex_to_text(text) == text


@given(st.text(alphabet=st.sampled_from("abc XYZ 059 _^%&#~-`'\"()[]<>/.,:;!?éß量ع\n\u0301"), max_size=120))
def test_no_word_is_lost_without_macros(text: str) -> None:
    assert words(latex_to_text(text)) == words(text)
    assert latex_to_text(latex_to_text(text)) == latex_to_text(text)


@given(st.lists(st.sampled_from(["$", "{", "}", "^", "_", "$$", " ", "one", "Two", "x", "5", "-", ","]), max_size=40))
def test_no_letter_is_lost_when_dollars_and_braces_do_not_match(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert letters(latex_to_text(text)) == letters(text)


@given(st.lists(st.sampled_from(SENTENCE)))
def test_money_survives_in_any_sentence(pieces: list[str]) -> None:
    assert latex_to_text(" ".join(pieces)) == " ".join(pieces)


NASTY = ["{", "}", "$", "\\", "^{", "_{", "$x", "$x$ ", "{\\em ", "\\frac", "\\frac{", "\\sqrt", "x^{a}", "\\textbf{",
         "\\cite{", "\\cite[", "\\(", "\\begin{equation}", "\\href{", "``", "`a ", "--", " ~", "\\'", "\\\"a", "\\not",
         "\\ell_", "\\left", "$$", "\\$", "% \n", "\\verb|", "   ", "a\\b", "C:\\"]  # fmt: skip


@pytest.mark.parametrize("piece", NASTY)
def test_time_grows_with_the_length_and_no_faster(piece: str) -> None:
    short, long = (calls(piece * (size // len(piece))) for size in (1500, 3000))
    assert long <= 2.2 * short + 200


@pytest.mark.parametrize(
    "piece", ["{", "{\\em ", "\\textbf{", "^{", "_{", "$x^{", "\\frac{", "\\sqrt{", "\\ours{", "\\'{"]
)
def test_thousands_of_levels_lose_no_word(piece: str) -> None:
    for text in (f"first {piece * 3000} middle {'}' * 3000} last", f"first {piece * 3000} middle last"):
        assert {"first", "middle", "last"} <= set(words(latex_to_text(text)))


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def letters(text: str) -> list[str]:
    """The letters and digits, whether they are raised, lowered or neither."""
    return [character for character in unicodedata.normalize("NFKC", text) if character.isalnum()]


def calls(text: str) -> int:
    """How many calls it takes to read a text: a measure of time that no busy machine changes."""
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(counted)
    try:
        latex_to_text(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("short enough", 12, "short enough"),
        ("cut between the words", 15, "cut between…"),
        ("cut between, the words", 14, "cut between…"),
        ("fits to the space here", 12, "fits to the…"),
        ("Donaudampfschifffahrt", 10, "Donaudamp…"),
        ("a Donaudampfschifffahrt", 12, "a Donaudamp…"),
        ("量子コンピュータの研究", 6, "量子コンピ…"),
        ("cafe\u0301s", 5, "caf…"),
        ("a👩‍🔬👩‍🔬", 6, "a👩‍🔬…"),
        ("🇩🇪🇫🇷🇮🇹", 4, "🇩🇪…"),
        ("ab👍🏽c", 4, "ab…"),
        ("क्षिक्षि", 7, "क्षि…"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", 5, "\u1112\u1161\u11ab…"),
        ("x\ud83d\ude00y\ud83d\ude00", 3, "x…"),
        ("a" + "\u0301" * 50, 9, "…"),
        ("anything", 1, "…"),
        ("", 1, ""),
    ],
)
def test_shortened(text: str, limit: int, cut: str) -> None:
    assert shorten(text, limit) == cut


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="0 characters"):
        shorten("text", 0)


@given(ANY_TEXT | LATEX, st.integers(min_value=1, max_value=100))
def test_a_shortened_text_is_the_beginning_of_it(text: str, limit: int) -> None:
    cut = shorten(text, limit)
    assert len(cut) <= limit
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))
    if cut != text and (rest := text[len(cut) - 1 :]) and cut != "…":
        assert unicodedata.category(rest[0])[0] != "M"
        assert "\u200d" not in (rest[0], cut[-2])
