import time
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.sources.links import repair_link

BASE = "http://user:secret@sand.example/j/feed.rss?key=secret#top"


@pytest.mark.parametrize(
    ("link", "whole"),
    [
        ("/Papers/1", "http://sand.example/Papers/1"),
        ("../a/4?id=9", "http://sand.example/a/4?id=9"),
        ("./a", "http://sand.example/j/a"),
        ("paper.html", "http://sand.example/j/paper.html"),
        ("index.php/j/article/view/1", "http://sand.example/j/index.php/j/article/view/1"),
        ("?p=3", "http://sand.example/j/feed.rss?p=3"),
        ("//gravel.example/A", "http://gravel.example/A"),
        ("gravel.example/A", "http://gravel.example/A"),
        ("www.gravel.example", "http://www.gravel.example"),
        ("gravel.example:8080/A", "http://gravel.example:8080/A"),
        ("https://gravel.example/A b/ü", "https://gravel.example/A%20b/ü"),
        ("\n\t https://gravel.example/A/\n\t  b ", "https://gravel.example/A/b"),
        ("<https://gravel.example/A>", "https://gravel.example/A"),
        ("https://gravel.example/?a=1&amp;b=2", "https://gravel.example/?a=1&b=2"),
        ("https://gravel.example/a%20b?utm_source=x", "https://gravel.example/a%20b?utm_source=x"),
        ("HTTPS://gravel.example/A", "https://gravel.example/A"),
        ("https:/gravel.example/A", "https://gravel.example/A"),
        ("https:///gravel.example/A", "https://gravel.example/A"),
        ("https//gravel.example/A", "https://gravel.example/A"),
        ("http://https://gravel.example/A", "https://gravel.example/A"),
        ("feed:https://gravel.example/A", "https://gravel.example/A"),
        ("https://sand.example/get/http://gravel.example/A", "https://sand.example/get/http://gravel.example/A"),
        ("javascript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("mailto:nora@sand.example", None),
        ("ftp://sand.example/a", None),
        ("tag:sand.example,2025:1", None),
        ("urn:uuid:1", None),
        ("doi:10.1000/x", None),
        ("https://", None),
        ("https://[bad/a", None),
        (" ", None),
    ],
)
def test_a_link_in_a_feed(link: str, whole: str | None) -> None:
    assert repair_link(link, BASE) == whole


def test_a_link_without_a_base() -> None:
    assert repair_link("//gravel.example/A") == "https://gravel.example/A"
    assert repair_link("www.gravel.example/A") == "https://www.gravel.example/A"
    assert repair_link("/A") is None
    assert repair_link("a.html", "file:///tmp/feed.rss") is None
    assert repair_link(None) is None


PIECES = ["http", "https", ":", "//", "/", "www.", "x.org", " ", "\n", "@", "?", "#", "[", "]", "..", "javascript", "é"]


@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES)).map("".join), st.sampled_from(["", BASE, "http://["]))
def test_any_text_gives_a_web_link_or_none(text: str, base: str) -> None:
    link = repair_link(text, base)
    if link is not None:
        assert urlsplit(link).scheme in ("http", "https")
        assert not any(map(str.isspace, link))
        assert repair_link(link, base) == link


@pytest.mark.parametrize("piece", ["http:/", "http://", "a.", "\n", "&amp;", "../", "www."])
def test_a_hostile_link_takes_no_time(piece: str) -> None:
    start = time.process_time()
    repair_link(piece * 20_000, BASE)
    assert time.process_time() - start < 1
