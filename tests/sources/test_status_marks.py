from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import EventKind, Notice, Paper, PaperStatus
from newsletter.sources.bounds import within_bounds
from newsletter.sources.status_marks import is_notice_title, split_status, withdrawn_by_text

R, W = PaperStatus.RETRACTED, PaperStatus.WITHDRAWN


@pytest.mark.parametrize(
    ("title", "plain", "status"),
    [
        ("RETRACTED: Moss on slate roofs", "Moss on slate roofs", R),
        ("Retracted: Moss on slate roofs", "Moss on slate roofs", R),
        ("RETRACTED ARTICLE: Moss on slate roofs", "Moss on slate roofs", R),
        ("Retracted article : Moss on slate roofs", "Moss on slate roofs", R),
        ("RETRACTED CHAPTER: Moss on slate roofs", "Moss on slate roofs", R),
        ("[Retracted] Moss on slate roofs", "Moss on slate roofs", R),
        ("[RETRACTED ARTICLE] Moss on slate roofs", "Moss on slate roofs", R),
        ("(Retracted) Moss on slate roofs", "Moss on slate roofs", R),
        ("[Retracted]: Moss on slate roofs", "Moss on slate roofs", R),
        ("*RETRACTED*: Moss on slate roofs", "Moss on slate roofs", R),
        ("RETRACTED - Moss on slate roofs", "Moss on slate roofs", R),
        ("Moss on slate roofs (Retracted)", "Moss on slate roofs", R),
        ("Moss on slate roofs (Retracted article. See vol. 12, pg 3, 2020)", "Moss on slate roofs", R),
        ("Moss on slate roofs [RETRACTED]", "Moss on slate roofs", R),
        ("Moss on slate roofs – RETRACTED", "Moss on slate roofs", R),
        ("WITHDRAWN: Moss on slate roofs", "Moss on slate roofs", W),
        ("WITHDRAWN – Moss on slate roofs", "Moss on slate roofs", W),
        ("WITHDRAWN— Moss on slate roofs", "Moss on slate roofs", W),
        ("[Withdrawn] Moss on slate roofs", "Moss on slate roofs", W),
        ("WITHDRAWN ARTICLE: Moss on slate roofs", "Moss on slate roofs", W),
        ("TEMPORARY REMOVAL: Moss on slate roofs", "Moss on slate roofs", W),
        ("REMOVED: Moss on slate roofs", "Moss on slate roofs", W),
        ("WITHDRAWN", "WITHDRAWN", W),
        ("Retracted papers on moss: a survey", None, None),
        ("Retracted articles – who cites them?", None, None),
        ("Withdrawn-state dynamics of snails", None, None),
        ("Withdrawn drugs and their successors", None, None),
        ("Why are papers retracted? A survey", None, None),
        ("Citations of papers that were retracted", None, None),
        ("Retraction notice to “Moss on slate roofs”", None, None),
        ("Retraction: Moss on slate roofs", None, None),
        ("A study of retracted: colons in titles", None, None),
        ("Features removed", None, None),
    ],
)
def test_a_mark_of_a_title(title: str, plain: str | None, status: PaperStatus | None) -> None:
    assert split_status(title) == (plain or title, status)


@pytest.mark.parametrize(
    "text",
    [
        "This paper has been withdrawn by the author due to an error in Lemma 2.",
        "This submission has been withdrawn by arXiv administrators due to unclear authorship.",
        "This manuscript was temporarily withdrawn because its data are checked again.",
        "This paper is withdrawn.",
        "The authors have withdrawn this manuscript because of duplicate posting.",
        "The authors have withdrawn their manuscript, since a control was missing.",
        "Withdrawn by the authors; a new version will follow.",
        "Withdrawn.",
        "[Withdrawn] An error was found.",
        "Paper withdrawn: the bound is wrong",
        "We count snails. This article has been retracted at the request of its authors.",
        "This paper (v2) has been withdrawn due to a crucial sign error.",
        "We hereby retract this paper.",
    ],
)
def test_an_abstract_that_says_that_the_paper_is_withdrawn(text: str) -> None:
    assert withdrawn_by_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "We study papers that have been withdrawn from arXiv.",
        "Withdrawn drugs are compared with those still sold.",
        'Many pages say "This article has been retracted", without a reason.',
        "This paper was withdrawn from a conference after review.",
        "This paper studies how money is withdrawn by the authors of a bank's rules.",
        "The authors have removed outliers.",
        "This work has been removed from its shelf in every library but one.",
        "Participants withdrawn by the author were replaced.",
    ],
)
def test_an_abstract_about_something_else(text: str) -> None:
    assert not withdrawn_by_text(text)


@pytest.mark.parametrize(
    "title",
    [
        "Retraction: Moss on slate roofs",
        "Retraction notice to “Moss on slate roofs”",
        "Retraction Note: Moss on slate roofs",
        "Correction to: Moss on slate roofs",
        "Correction to ‘Moss on slate roofs’",
        "Author Correction: Moss on slate roofs",
        "Publisher's correction: Moss on slate roofs",
        "Corrigendum to Moss on slate roofs",
        "Erratum",
        "Errata for Moss on slate roofs",
        "Expression of Concern: Moss on slate roofs",
        "Editorial Expression of Concern: Moss on slate roofs",
        "Withdrawal: Moss on slate roofs",
        "Addendum: Moss on slate roofs",
    ],
)
def test_a_notice(title: str) -> None:
    assert is_notice_title(title)
    assert split_status(title) == (title, None)


@pytest.mark.parametrize(
    "title",
    [
        "Corrections to scaling in a lattice model",
        "Retraction of the claws of cats",
        "Withdrawal symptoms of coffee drinkers",
        "Error correction for the rest of us",
        "RETRACTED: Moss on slate roofs",
        "Addenda of the old Romans",
        "Removal of dyes: a review",
    ],
)
def test_a_paper_is_no_notice(title: str) -> None:
    assert not is_notice_title(title)


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    plain, status = split_status(text)
    assert plain in text
    assert plain or not text
    assert (status is None) <= (plain == text)
    withdrawn_by_text(text)
    is_notice_title(text)


@pytest.mark.parametrize("piece", ["(retracted ", " - ", "retracted: ", "This paper ", "the authors have ", "[", ". "])
def test_hostile_texts_take_no_time(piece: str) -> None:
    text = piece * 5_000
    start = perf_counter()
    split_status(text[:2_000])
    withdrawn_by_text(text)
    is_notice_title(text)
    assert perf_counter() - start < 0.5


def test_papers_of_every_source_get_their_status() -> None:
    def bounded(**changes: object) -> Paper:
        found = within_bounds(Paper(**({"title": "Moss"} | changes))).item  # type: ignore[arg-type]
        assert isinstance(found, Paper)
        return found

    marked = bounded(title="RETRACTED: Moss")
    assert (marked.title, marked.status) == ("Moss", R)
    assert bounded(abstract="This paper has been withdrawn by the authors.").status is W
    assert bounded(title="Withdrawn: Moss", status=R).status is R
    assert bounded().status is None
    revised = within_bounds(
        Notice(kind=EventKind.REVISED, of=("2508.00001",), paper=Paper(title="Moss", abstract="Withdrawn."))
    ).item
    assert isinstance(revised, Notice)
    assert revised.paper is not None
    assert revised.paper.status is W
