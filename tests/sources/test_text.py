import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.sources.text import excerpt, from_html, paper_link, pdf_link, web_link
from newsletter.support.text import to_single_line


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("<p>One.</p><p>Two<br>three</p>", "One. Two three"),
        ("x<sub>2</sub> &amp; <i>y</i> &lt;z&gt; caf&eacute;", "x2 & y <z> café"),
        ("if a < b and c > d", "if a < b and c > d"),
        ("$a<b$ and $x>y$", "$a<b$ and $x>y$"),
        ("$p<b and c>0$", "$p<b and c>0$"),
        ("for $5 <b>net</b> or $6 gross", "for $5 net or $6 gross"),
        ("From <Answer> to <Think>", "From <Answer> to <Think>"),
        ("<script>alert(1)</script><style>p{}</style>safe<!-- not seen -->", "safe"),
        ('<a href="javascript:x">link</a><img src=x onerror=y>', "link"),
        ("a <b", "a <b"),
        ("<jats:p>Journal text</jats:p>", "Journal text"),
        ("&#8206;<scr\0ipt>x</script>un&ZeroWidthSpace;seen&shy;", "unseen"),
    ],
)
def test_from_html(html: str, seen: str) -> None:
    assert from_html(html) == seen


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_any_text_can_be_cleaned(text: str) -> None:
    for line in (to_single_line(text), from_html(text), excerpt(text)):
        line.encode()
        assert line == " ".join(line.split())


@pytest.mark.parametrize("link", ["https://x.org/a?b=c#d", "http://x.org", "HTTPS://X.ORG/Ü"])
def test_web_links(link: str) -> None:
    assert web_link(f" {link}\n") == link


@pytest.mark.parametrize(
    "link",
    ["", None, "x.org", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "https://", "http://[", "ftp://x.org",
     "https://x.org/a b", "https://x.org/\x07", "//x.org", "java\nscript:x"],
)  # fmt: skip
def test_no_web_links(link: str | None) -> None:
    assert web_link(link) is None


def test_links_of_identifiers() -> None:
    assert paper_link("2508.13426", "10.1000/x") == "https://arxiv.org/abs/2508.13426"
    assert paper_link(None, "10.1000/x") == "https://doi.org/10.1000/x"
    assert paper_link(None, None) is None
    assert pdf_link("2508.13426") == "https://arxiv.org/pdf/2508.13426"
    assert pdf_link(None) is None


@pytest.mark.parametrize(
    ("piece", "end"),
    [
        ("<div>", "text"), ("<b>", "text"), ("<p><b>", "text"), ("<", ""), ("</div>", ""), ("<!--", ""),
        ("<![CDATA[", ""), ("<a ", ""), ('<a x="', ""), ("<a x='\"", ">"), ("<script>", ""), ("<jats:", ""), ("&", ""),
        ("&amp", ""), ("&#", ""), ("<a =", ">"), ("<a/", ""), ("$x<", ""), ("<?x ", ""), ("<style ", ">"), ("&#9", ";"),
        ("<table>", "x"),
    ],
)  # fmt: skip
def test_cleaning_takes_time_in_proportion_to_the_length(piece: str, end: str) -> None:
    def seconds(count: int) -> float:
        began = time.perf_counter()
        from_html(piece * count + end)
        return time.perf_counter() - began

    # What takes quadratic time takes sixteen times as long; the rest is for a machine that is busy.
    assert min(seconds(300_000) for _ in range(2)) < 8 * seconds(75_000) + 1


def test_nested_tags_leave_their_text() -> None:
    assert from_html("<div>" * 300_000 + "text" + "</div>" * 300_000) == "text"


@pytest.mark.parametrize("digits", ["9" * 5000, "0" * 5000 + "65", "x" + "f" * 5000])
def test_a_character_reference_without_end_is_one_character(digits: str) -> None:
    assert from_html(f"a &#{digits}; b") == "a \N{REPLACEMENT CHARACTER} b"


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ('<a title="x>y">link</a>', "link"),
        ("<a href='x' data-y>it's</a>", "it's"),
        ("a<!-- not > seen -->b<!-- nor this", "ab"),
        ("<SCRIPT type=x>a</b></SCRIPT >b", "b"),
        ("stray</script>", "stray"),
        ("<p\nclass=x>a</p\n>", "a"),
        ("<thing>", "<thing>"),
        ('<a x="<b>">', '<a x="">'),
    ],
)
def test_markup_of_odd_shapes(html: str, seen: str) -> None:
    assert from_html(html) == seen
