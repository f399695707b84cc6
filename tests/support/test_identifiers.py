"""Names of papers brought to one form."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.support.identifiers import arxiv_id, doi, normal_id, pmcid, pmid, title_id, title_key, versioned_doi


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
        ("cond-mat.mes-hall/0401001v2", ("cond-mat/0401001", 2)),
        ("oai:arXiv.org:math.AG/0401001", ("math/0401001", None)),
        ("https://doi.org/10.48550/arXiv.cs.LG/0401001", ("cs/0401001", None)),
        ("DOI: 10.48550/ARXIV.2402.01234v2", ("2402.01234", 2)),
        ("arXiv:2402.01234v1 [cs.CL]", ("2402.01234", 1)),
        ("arXiv: 2402.01234.", ("2402.01234", None)),
        ("arXiv.2402.01234", ("2402.01234", None)),
        ("<https://arxiv.org/abs/2402.01234>", ("2402.01234", None)),
        ("arxiv.org/abs/math%2F0401001", ("math/0401001", None)),
        ("https://arxiv.org/abs/arXiv:2402.01234?context=cs", ("2402.01234", None)),
        ("https://browse.arxiv.org/html/2402.01234v3#S2", ("2402.01234", 3)),
        ("https://www.alphaxiv.org/overview/2402.01234", ("2402.01234", None)),
        ("https://ar5iv.labs.arxiv.org/html/2402.01234", ("2402.01234", None)),
        ("https://arxiv.org.proxy.example.edu/abs/2402.01234", ("2402.01234", None)),
        ("https://arxiv-org.proxy.example.edu/pdf/2402.01234v1.pdf", ("2402.01234", 1)),
        ("https://www.semanticscholar.org/arxiv/2402.01234", ("2402.01234", None)),
        ("https://example.org/2402.01234", None),
        ("report/0401001", None),
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
        ("DOI 10.1000/Abc", "10.1000/abc"),
        ("doi.org/10.1000/abc", "10.1000/abc"),
        ("dx.doi.org/10.1000/abc", "10.1000/abc"),
        ("http://dx.doi.org/doi:10.1000/abc", "10.1000/abc"),
        ("https://doi.org/https://doi.org/10.1000/abc", "10.1000/abc"),
        ("https://doi.org/10.1000%2Fabc", "10.1000/abc"),
        ("https://doi.org/10.1000%252Fabc", "10.1000/abc"),
        ("https://doi-org.proxy.example.edu/10.1000/abc", "10.1000/abc"),
        ("https://doi.org.proxy.example.edu/10.1000/abc", "10.1000/abc"),
        ("https://login.proxy.example.edu/login?url=https://doi.org/10.1000/abc", "10.1000/abc"),
        ("info:doi/10.1000/abc", "10.1000/abc"),
        ("DOI：10.1000.5/abc", "10.1000.5/abc"),
        ("(10.1000/abc).", "10.1000/abc"),
        ("10.1000/a(5)1-b", "10.1000/a(5)1-b"),
        ("10.1000/a(5)1-b)]", "10.1000/a(5)1-b"),
        ("<10.1000/abc>;", "10.1000/abc"),
        ("10.1000/(SICI)12(19990101)7:1<5::AID-X8>3.0.CO;2-Z", "10.1000/(sici)12(19990101)7:1<5::aid-x8>3.0.co;2-z"),
        ("https://doi.org/10.1000/(SICI)7:1%3C5::X8%3E3.0.CO;2-Z", "10.1000/(sici)7:1<5::x8>3.0.co;2-z"),
        ("10.1000/a; 10.1000/b", "10.1000/a"),
        ("10.1000/a,https://doi.org/10.1000/b", "10.1000/a"),
        ("https://press.example/doi/full/10.1000/abc?needAccess=true#s2", "10.1000/abc"),
        ("https://press.example/doi/pdf/10.1000/abc.pdf", "10.1000/abc"),
        ("https://press.example/articles/10.1000/abc/abstract", "10.1000/abc"),
        ("https://press.example/article?id=10.1000/abc&type=printable", "10.1000/abc"),
        ("https://academic.oup.com/jx/article/doi/10.1093/jx/abc012/7654321", "10.1093/jx/abc012"),
        ("10.20944/preprints202401.0001.v1", "10.20944/preprints202401.0001.v1"),
        ("10.21203/rs.3.rs-12345/v2", "10.21203/rs.3.rs-12345/v2"),
        ("10.1000/", None),
        ("10.1000/...", None),
        ("https://press.example/v10.1000/abc", None),
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://www.biorxiv.org/content/10.1101/2024.02.03.123456v2.full.pdf", ("10.1101/2024.02.03.123456", 2)),
        ("https://www.medrxiv.org/content/10.64898/2026.02.03.26123456v1", ("10.64898/2026.02.03.26123456", 1)),
        ("10.1101/123456v3.full-text", ("10.1101/123456", 3)),
        ("10.1101/2024.02.03.123456", ("10.1101/2024.02.03.123456", None)),
        ("10.26434/chemrxiv-2024-abcde-v2", ("10.26434/chemrxiv-2024-abcde-v2", None)),
        ("10.48550/arXiv.2402.01234v1", None),
    ],
)
def test_dois_of_preprints_have_versions(text: str, expected: object) -> None:
    assert versioned_doi(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PMID: 7654321", "7654321"),
        ("pmid 0765", "765"),
        ("info:pmid/765", "765"),
        ("PMID:765.", "765"),
        ("https://pubmed.ncbi.nlm.nih.gov/765/", "765"),
        ("http://www.ncbi.nlm.nih.gov/pubmed/765?dopt=x", "765"),
        ("https://www.ncbi.nlm.nih.gov/pubmed/?term=765", "765"),
        ("https://europepmc.org/abstract/MED/765", "765"),
        ("765", None),
        ("PMID: none", None),
        ("https://pubmed.ncbi.nlm.nih.gov/?term=sand", None),
        ("", None),
    ],
)
def test_ids_of_pubmed(text: str, expected: str | None) -> None:
    assert pmid(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PMC765", "PMC765"),
        ("PMCID: pmc765", "PMC765"),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC765/", "PMC765"),
        ("https://www.ncbi.nlm.nih.gov/pmc/articles/PMC765/pdf/a.pdf", "PMC765"),
        ("765", None),
        ("PMC", None),
    ],
)
def test_ids_of_pubmed_central(text: str, expected: str | None) -> None:
    assert pmcid(text) == expected


IDENTIFIERS = st.lists(
    st.sampled_from(
        [
            "10.1000/",
            "doi:",
            "https://",
            "doi.org/",
            "arxiv.org/abs/",
            "2402.01234",
            "math.GT/0401001",
            "v2",
            ".pdf",
            "/full",
            "(",
            ")",
            "<",
            ">",
            ";",
            ".",
            "%2F",
            "%",
            "?a=",
            "#",
            "abc",
            " ",
            "PMID: ",
            "PMC",
            "123",
        ]
    ),
    max_size=8,
)


@given(IDENTIFIERS)
def test_what_is_recognised_is_recognised_again(pieces: list[str]) -> None:
    text = "".join(pieces)
    for parse in (doi, pmcid):
        assert (found := parse(text)) is None or parse(found) == found
    assert (number := pmid(text)) is None or pmid(f"PMID: {number}") == number
    assert (named := arxiv_id(text)) is None or arxiv_id(named[0]) == (named[0], None)


@pytest.mark.parametrize("piece", [".pdf", "/full", "doi.", "a.", "%25", "10.1000/a;", ")", "abs/"])
def test_long_texts_are_no_identifiers(piece: str) -> None:
    start = time.process_time()
    for before in ("", "10.1000/", "https://"):
        assert arxiv_id(before + piece * 50_000) is None
        doi(before + piece * 50_000)
    assert time.process_time() - start < 1


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
