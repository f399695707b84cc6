"""Items and collections of Zotero libraries, whatever they contain."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import Paper
from newsletter.sources.bounds import MAX_CHARACTERS, within_bounds
from newsletter.sources.library_items import MAX_PATH
from newsletter.sources.zotero_items import collection_paths, to_library_item, to_new_item
from newsletter.support.collection_paths import is_chosen

FIELDS = [
    "key",
    "itemType",
    "title",
    "creators",
    "abstractNote",
    "DOI",
    "url",
    "date",
    "extra",
    "archiveID",
    "publicationTitle",
    "bookTitle",
    "tags",
    "collections",
    "name",
    "parentCollection",
    "deleted",
    "creatorType",
    "firstName",
    "lastName",
    "tag",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=8),
    max_leaves=30,
)
WORDS = st.text(st.sampled_from(string.ascii_letters + " äßø語$-"), min_size=1, max_size=60).filter(str.strip)


@given(st.fixed_dictionaries({"data": JSON, "meta": JSON}), st.dictionaries(st.text(max_size=8), st.text(max_size=9)))
def test_any_json_is_a_paper_within_limits_or_none(item: dict, paths: dict[str, str]) -> None:
    read = to_library_item(item, paths)
    if read is not None:
        assert read.paper == within_bounds(read.paper).item
        assert len(read.paper.abstract) <= MAX_CHARACTERS["abstract"]
        assert set(read.collections) <= {path[:MAX_PATH] for path in paths.values()}


@given(st.lists(st.fixed_dictionaries({"data": JSON}), max_size=6))
def test_any_json_is_a_path_or_none(collections: list[dict]) -> None:
    assert all(0 < len(path) <= MAX_PATH for path in collection_paths(collections).values())


def test_collections_in_a_circle_and_below_missing_ones_end() -> None:
    named = {"A": "B", "B": "A", "C": "gone", "D": False}
    found = [{"data": {"key": key, "name": key, "parentCollection": parent}} for key, parent in named.items()]
    paths = collection_paths(found)
    assert paths["D"] == "D"
    assert "C" not in paths
    assert all(len(path) < 200 for path in paths.values())


@given(title=WORDS, authors=st.lists(WORDS, max_size=4), abstract=WORDS, preprint=st.booleans())
def test_a_paper_comes_back_from_its_item(title: str, authors: list[str], abstract: str, preprint: bool) -> None:
    identifiers = {"arxiv_id": "2402.01310"} if preprint else {"doi": "10.1000/x", "venue": "Nature"}
    paper = within_bounds(Paper(title=title, abstract=abstract, authors=tuple(authors), **identifiers)).item
    assert isinstance(paper, Paper)
    item = to_new_item(paper, "ABCD2345")
    read = to_library_item({"data": item}, {})
    assert read is not None
    assert (read.paper.title, read.paper.abstract) == (paper.title, paper.abstract)
    assert (read.paper.arxiv_id, read.paper.doi, read.paper.venue) == (paper.arxiv_id, paper.doi, paper.venue)
    assert len(read.paper.authors) == len(paper.authors)


@pytest.mark.parametrize(
    ("path", "pattern", "chosen"),
    [
        ("Papers", "Papers", True),
        ("Papers", "papers/", True),
        ("Papers", "Papers/*", False),
        ("Papers/A", "Papers", False),
        ("Papers/A/B", "Papers/*", True),
        ("Papers [old]/A", "Papers [old]/*", True),
        ("Mine/Chemistry", "*/Chemistry", True),
        ("a/b/c", "a*b*c", True),
        ("ab", "ab*b", False),
        ("A", "*", True),
    ],
)
def test_a_star_stands_for_any_characters(path: str, pattern: str, chosen: bool) -> None:
    assert is_chosen(path, [pattern]) is chosen


def test_many_stars_take_no_time() -> None:
    assert not is_chosen("a" * MAX_PATH, ["*a" * 400 + "b"])
