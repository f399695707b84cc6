"""Names of papers brought to one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.support.identifiers import arxiv_id, doi, normal_id, title_id, title_key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2508.13426", ("2508.13426", None)),
        ("2508.13426v3", ("2508.13426", 3)),
        ("arXiv:2508.13426v1", ("2508.13426", 1)),
        ("oai:arXiv.org:2508.13426v1", ("2508.13426", 1)),
        ("https://arxiv.org/abs/2508.13426", ("2508.13426", None)),
        ("http://www.arxiv.org/pdf/2508.13426v2.pdf", ("2508.13426", 2)),
        ("https://huggingface.co/papers/2508.13426", ("2508.13426", None)),
        ("https://doi.org/10.48550/arXiv.2508.13426", ("2508.13426", None)),
        ("hep-th/9901001v2", ("hep-th/9901001", 2)),
        ("math.GT/0309136", ("math/0309136", None)),
        ("A paper of 2508.13426 things", None),
        ("10.1101/2025.08.01.123456", None),
        ("", None),
        ("2508.13426v99999999999999999999", None),
    ],
)
def test_arxiv_ids_are_recognised(text: str, expected: object) -> None:
    assert arxiv_id(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1101/2025.08.01.123456", "10.1101/2025.08.01.123456"),
        ("https://doi.org/10.1000/ABC", "10.1000/abc"),
        ("doi: 10.1000/abc", "10.1000/abc"),
        ("10.48550/arXiv.2508.13426", None),
        ("see 10.1000/abc", None),
    ],
)
def test_dois_are_recognised(text: str, expected: str | None) -> None:
    assert doi(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("openreview:HrJk7lMno3", "openreview:HrJk7lMno3"),
        ("OpenReview: HrJk7lMno3", "openreview:HrJk7lMno3"),
        ("https://openreview.net/forum?id=Hr-k7l_no3", "openreview:Hr-k7l_no3"),
        ("https://openreview.net/forum?id=HrJk7lMno3&noteId=AbCd123456", "openreview:HrJk7lMno3"),
        ("https://openreview.net/forum?referrer=%5Bx%5D&id=HrJk7lMno3#discussion", "openreview:HrJk7lMno3"),
        ("http://www.openreview.net/pdf?id=HrJk7lMno3", "openreview:HrJk7lMno3"),
        ("https://openreview.net/group?id=ICLR.cc/2026/Conference", None),
        ("https://openreview.net/pdf/0123456789abcdef.pdf", None),
        ("https://example.org/forum?id=HrJk7lMno3", None),
        ("openreview:", None),
        ("PMID: 123", "pmid:123"),
        ("arXiv:2508.13426v2", "2508.13426"),
        ("https://doi.org/10.1000/ABC", "10.1000/abc"),
    ],
)
def test_identifiers_in_the_form_in_which_they_are_stored(text: str, expected: str | None) -> None:
    assert normal_id(text) == expected
    assert expected is None or normal_id(expected) == expected


def test_titles_that_differ_in_writing_alone_share_a_key() -> None:
    assert title_key("LinEAS:  End-to-End\nLearning") == title_key("lineas end to end learning")
    assert title_key("多目标强化学习") != title_key("强化学习")
    assert title_key("???") != title_key("!!!")


@given(st.text())
def test_any_text_is_read_without_a_crash(text: str) -> None:
    assert title_key(title_key(text)) == title_key(text)
    assert title_id(text).startswith("t-")
    found = arxiv_id(text)
    assert found is None or arxiv_id(found[0]) == (found[0], None)
    named = doi(text)
    assert named is None or doi(named) == named
