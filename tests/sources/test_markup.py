"""HTML, JATS, MathML and the codes of preprint servers, as plain text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.sources.highwire_codes import with_labels, with_symbols, without_codes
from newsletter.sources.text import from_html, from_latex


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Sand &amp; gravel at p &lt; 0.01, n &gt; 7", "Sand & gravel at p < 0.01, n > 7"),
        ("J&J and B&B, C&amp;A", "J&J and B&B, C&A"),
        ("How browsers show &amp;amp; and &amp;lt;", "How browsers show &amp; and &lt;"),
        ("The &lt;b&gt; element is old", "The <b> element is old"),
        ("&lt;p&gt;Sand &amp;amp; gravel&lt;/p&gt;", "Sand & gravel"),
        ("a&reg=1, b&copy c, &unknown; &Auml;rger &#252;ber &#xdf;", "a&reg=1, b&copy c, &unknown; Ärger über ß"),
        ("if x <y and z> w, vector<int>, <plan>go</plan>", "if x <y and z> w, vector<int>, <plan>go</plan>"),
        ("a <b and c> d", "a <b and c> d"),
        ("The tags <list> and <title> and </label>", "The tags <list> and <title> and </label>"),
    ],
)
def test_entities_are_decoded_as_often_as_they_were_escaped(written: str, shown: str) -> None:
    assert from_html(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<jats:title>Abstract</jats:title><jats:p>Sand is <jats:italic>wet</jats:italic>.</jats:p>", "Sand is wet."),
        (
            "<jats:sec><jats:title>Aims</jats:title><jats:p>To dig.</jats:p></jats:sec>"
            "<jats:sec><jats:title>Findings:</jats:title><jats:p>Sand.</jats:p></jats:sec>",
            "Aims: To dig. Findings: Sand.",
        ),
        ("<h3>OBJECTIVE</h3><p>To dig.</p><p><b>Methods</b> Spades.</p>", "OBJECTIVE: To dig. Methods: Spades."),
        ("<p><strong>Results</strong>: Sand.</p><p><b>Limitations.</b> Rain.</p>", "Results: Sand. Limitations. Rain."),
        ("The <b>methods</b> fail and <i>results</i> vary", "The methods fail and results vary"),
        ("<p>Results vary</p><p>a lot</p>", "Results vary a lot"),
        ("Dug before<jats:sup><jats:xref ref-type='bibr' rid='r4'>4,5</jats:xref></jats:sup>.", "Dug before."),
        ("See <xref ref-type='fig'>Figure 2</xref>", "See Figure 2"),
        ("<list><list-item><p>Sand.</p></list-item><list-item><p>Mud.</p></list-item></list>", "Sand. Mud."),
        ("One<jats:break/>two<br/>three", "One two three"),
        ("CO<sub>2</sub>, Mg<sup>2+</sup>, the 3<sup>rd</sup> of 10<sup>4</sup>", "CO2, Mg2+, the 3rd of 10⁴"),
        ("<fig><label>Figure 1</label><caption>A pit</caption></fig>Sand.", "Sand."),
        ("<![CDATA[a < b]]> and <bold>mud</bold>", "a < b and mud"),
        ("Mud <ext-link xlink:href='https://x.org'>here</ext-link>", "Mud here"),
    ],
)
def test_markup_of_journals(written: str, shown: str) -> None:
    assert from_html(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<inline-formula><tex-math>$$k_n $$</tex-math></inline-formula>-nets", "$k_n$-nets"),
        (
            "<jats:inline-formula><jats:alternatives><jats:tex-math>$$\\lambda $$</jats:tex-math>"
            "<mml:math><mml:mi>λ</mml:mi></mml:math></jats:alternatives></jats:inline-formula>-sets",
            "λ-sets",
        ),
        (
            "<tex-math><![CDATA[\\documentclass{minimal}\\begin{document}$$y^3$$\\end{document}]]></tex-math>",
            "$y^3$",
        ),
        ("<alternatives><mml:math><mml:mi>q</mml:mi></mml:math></alternatives>-series", "q-series"),
        ("<mml:math xmlns:mml='m'><mml:msup><mml:mi>y</mml:mi><mml:mn>3</mml:mn></mml:msup></mml:math>", "$y^{3}$"),
        ("<math><msub><mi>K</mi><mrow><mi>s</mi><mi>t</mi></mrow></msub></math> mesons", "$K_{st}$ mesons"),
        ("<math><mi>p</mi><mo>&lt;</mo><mn>0.01</mn></math>", "p < 0.01"),
        ("<math><mfrac><mn>1</mn><mi>n</mi></mfrac><msqrt><mi>x</mi></msqrt></math>", r"$\frac{1}{n}\sqrt{x}$"),
        ("<math><mi>&gamma;</mi></math>-rays", "γ-rays"),
        ("<math><mmultiscripts><mi>U</mi><mprescripts/><none/><mn>238</mn></mmultiscripts></math>", "$^{238}U$"),
        ("<math><mover><mi>x</mi><mo>¯</mo></mover></math>", r"$\bar{x}$"),
        ("<math><msup><mi>broken</mi></math> rest", "broken rest"),
    ],
)
def test_formulas_are_stored_in_one_form(written: str, shown: str) -> None:
    assert from_html(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Frau MÃ¼ller â€“ cafÃ©", "Frau Müller – café"),
        ("Ångström à la carte: 5 °C ± 1 «x» São", "Ångström à la carte: 5 °C ± 1 «x» São"),
        ("eﬃcient ﬂow of co\u00adefficients\u200b", "efficient flow of coefficients"),
    ],
)
def test_garbled_characters_and_ligatures(written: str, shown: str) -> None:
    assert from_html(written) == from_latex(written) == shown


FIGURE = (
    'O_FIG O_LINKSMALLFIG WIDTH=200 HEIGHT=90 SRC="FIGDIR/small/1_ufig1.gif" ALT="Figure 1">\n'
    "View larger version (12K):\norg.highwire.dtl.DTLVardef@1a2b3corg.highwire.dtl.DTLVardef@4d5e6f_HPS_FORMAT_FIGEXP"
    "  M_FIG O_FLOATNOFig 1C_FLOATNO A pit. C_FIG"
)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("O_ST_ABSAimsC_ST_ABSTo dig.\n\nO_ST_ABSFindings:C_ST_ABSSand.", "Aims: To dig. Findings: Sand."),
        ("AO_SCPLOWBSTRACTC_SCPLOWThe SO_SCPLOWANDC_SCPLOW tool.", "The SAND tool."),
        ("IO_SCPLOWMPORTANCEC_SCPLOWSand matters.", "IMPORTANCE: Sand matters."),
        ("AO_SCPLOWBSTRACTC_SCPLOWO_ST_ABSMotivationC_ST_ABSSand.", "Motivation: Sand."),
        ("PO_SCPCAPIC_SCPCAPT", "PIT"),
        ("O_LISand.\nC_LIo_LIMud.\nC_LI", "Sand. Mud."),
        (f"Dug.\n\nGraphical abstract\n\n{FIGURE} Then rain.", "Dug. Then rain."),
        (
            "Dug. O_TBL View this table:\norg.highwire.dtl.DTLVardef@1a\nM_TBL C_TBL O_QDSo it goes.C_QD",
            "Dug. So it goes.",
        ),
        ("View O_FIG that never ends", "View that never ends"),
        ("MO_DEL and O_STAT3 are names", "MO_DEL and O_STAT3 are names"),
    ],
)
def test_codes_of_preprint_servers(written: str, shown: str) -> None:
    assert " ".join(without_codes(written).split()) == shown or from_html(written) == shown


def test_labels_that_run_into_their_paragraph() -> None:
    text = "BackgroundSand is wet.\n\nMethodsDNA was dug.\n\nResultsnet is a name. MethodsX is one."
    assert with_labels(text) == (
        "Background: Sand is wet.\n\nMethods: DNA was dug.\n\nResultsnet is a name. MethodsX is one."
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("TNF-{alpha} and IL-1{beta} at 4{degrees}C, 3 {+/-} 1 {micro}g", "TNF-α and IL-1β at 4°C, 3 ± 1 µg"),
        ("[&ge;]3, [~]5, [->] x [isin] A, 7{middle dot}5%", "≥3, ~5, → x ∈ A, 7·5%"),
        ("a rate{lambda} of", "a rate λ of"),
        ("{name} and {a, b} [1] [sic] [A]", "{name} and {a, b} [1] [sic] [A]"),
    ],
)
def test_symbols_of_preprint_servers(written: str, shown: str) -> None:
    assert with_symbols(written) == shown


PIECES = st.lists(
    st.sampled_from(
        [
            "<p>",
            "</p>",
            "<sup>",
            "</sup>",
            "<b>",
            "</b>",
            "<title>",
            "</title>",
            "<math>",
            "</math>",
            "<mi>",
            "x",
            " ",
            "2",
            "<alternatives>",
            "</alternatives>",
            "<tex-math>",
            "</tex-math>",
            "$",
            "&lt;",
            "&amp;",
            "<",
            ">",
            "Results",
            "\\alpha",
            "O_FIG",
            "C_FIG",
            "O_ST_ABS",
            "C_ST_ABS",
            "Ã©",
            "{",
            "}",
            "<xref ref-type='bibr'>",
            "</xref>",
            "<![CDATA[",
            "\n",
        ]
    )
    | st.text(max_size=4),
    max_size=25,
)


@given(PIECES)
def test_any_markup_gives_one_line(pieces: list[str]) -> None:
    text = from_html(with_symbols("".join(pieces)))
    assert text == " ".join(text.split())


@pytest.mark.parametrize(
    ("piece", "end"),
    [
        *(
            (piece, "")
            for piece in ("<sup>", "<title>abstract</title>", "<b>results</b>", "<alternatives>", "<tex-math>")
        ),
        *((piece, "") for piece in ("O_FIG ", "O_ST_ABS\n", "org.highwire.", "\n ", "{a", "[&", "AO_SCPLOWB ", "Ã©")),
        *((f"<{name}>", f"</{name}>") for name in ("list", "alternatives", "math", "tex-math", "fig", "sup", "b")),
    ],
)
def test_the_time_is_proportional_to_the_length(piece: str, end: str) -> None:
    start = time.process_time()
    from_html(with_symbols(with_labels(piece * 20_000 + end)))
    assert time.process_time() - start < 3
