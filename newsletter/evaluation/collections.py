"""Read collections to evaluate the ranking on: libraries of real readers, and interests with judged papers."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from newsletter.errors import UserError
from newsletter.model import Interest, Paper
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tfidf import fit, paper_text

NEW_FOLD = 0
DRAWS = 30
"""How often examples are drawn from the relevant papers of a judged interest."""

SEE = "see docs/explanation/ranking.md"
_LEAST_KNOWN = 3
_KEYWORDS = 3


class Words(StrEnum):
    """Which words of a liked paper stand for it."""

    TITLE = "title"
    KEYWORDS = "keywords"


@dataclass(frozen=True, slots=True)
class Question:
    """An interest, and what is to be found for it.

    Attributes:
        interest: its text and keywords. ``liked``: its liked papers (by index in the collection's ``store``).
        relevant: the papers to find (by index in ``candidates``).
        among: the papers to find them among, ascending; None for all candidates.
    """

    interest: Interest
    liked: np.ndarray
    relevant: np.ndarray
    among: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """Papers and questions.

    Attributes:
        store: the texts of the papers that everything is fitted on. ``candidates``: those of the papers to rank, the
            same list if they are the store's own.
        phrases: whether word order is meaningful.
        noun: what a question stands for, in the plural: readers or interests.
    """

    store: list[str]
    candidates: list[str]
    questions: list[Question]
    phrases: bool
    noun: str


def read_collection(
    folder: Path, fold: int = NEW_FOLD, liked: int | None = None, words: Words | None = None
) -> Collection:
    """Read a folder with ``papers.jsonl.gz`` and either ``libraries.jsonl`` or ``interests.jsonl``.

    A file whose papers have a text without a title contains bags of words: their order means nothing.

    Args:
        fold: the fold whose papers are new, for libraries.
        liked: the number of example papers, drawn with a fixed seed: from each library, or ``DRAWS`` times from the
            relevant papers of each interest. By default the whole library, or what the interest says.
        words: what to rank by instead of papers: the title or three keywords of a paper drawn from each library.

    Raises:
        UserError: a file is missing, a line is invalid, or the folder has nothing to evaluate.
    """
    papers = list(_lines(folder / "papers.jsonl.gz"))
    judged = folder / "interests.jsonl"
    try:
        if judged.exists():
            if words:
                raise UserError(f"--words is for readers' libraries; the interests of {folder} have words already")
            return _judged(folder, papers, list(_lines(judged)), liked)
        return _libraries(folder, papers, list(_lines(folder / "libraries.jsonl")), fold, liked, words)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder}: a line is invalid ({error}); {SEE}") from None


def _judged(folder: Path, papers: Sequence[Any], interests: Sequence[Any], liked: int | None) -> Collection:
    place = {paper["id"]: number for number, paper in enumerate(papers)}
    questions = []
    for one in interests:
        relevant = np.array([place[name] for name in one["relevant"]], dtype=int)
        among = np.array(sorted({place[name] for name in one.get("among", place)}), dtype=int)
        if liked is None:
            examples = np.array([place[name] for name in one.get("liked", [])], dtype=int)
            questions.append(_question(examples, relevant, among, text=one.get("text", "")))
        elif len(relevant) > liked:
            for draw in range(DRAWS):
                drawn = np.random.default_rng(draw).permutation(relevant)
                questions.append(_question(drawn[:liked], drawn[liked:], among))
    if not questions:
        raise UserError(f"{folder}: no interest has more than {liked or 0} relevant papers; {SEE}")
    texts = [_text(paper) for paper in papers]
    return Collection(texts, texts, questions, "title" in papers[0], "interests")


def _question(liked: np.ndarray, relevant: np.ndarray, among: np.ndarray, text: str = "") -> Question:
    return Question(_interest(text), liked, np.setdiff1d(relevant, liked), np.setdiff1d(among, liked))


def _interest(text: str = "", keywords: Sequence[str] = ()) -> Interest:
    return Interest(name="", text=text, keywords=dict.fromkeys(keywords, 1.0))


def _libraries(
    folder: Path, papers: Sequence[Any], libraries: Sequence[Any], fold: int, liked: int | None, words: Words | None
) -> Collection:
    is_new = [paper["fold"] == fold for paper in papers]
    known = [paper for paper, new in zip(papers, is_new, strict=True) if not new]
    new = [paper for paper, new in zip(papers, is_new, strict=True) if new]
    old_place = {paper["id"]: number for number, paper in enumerate(known)}
    new_place = {paper["id"]: number for number, paper in enumerate(new)}
    readers = []
    for one in libraries:
        for name in one["papers"]:
            if name not in old_place and name not in new_place:
                raise KeyError(name)
        own = np.array([old_place[name] for name in one["papers"] if name in old_place], dtype=int)
        held_out = np.array([new_place[name] for name in one["papers"] if name in new_place], dtype=int)
        if len(own) >= _LEAST_KNOWN and len(held_out):
            readers.append((own, held_out))
    if not readers:
        raise UserError(f"{folder}: no reader has three known papers and one held out; {SEE}")
    if liked is not None or words:
        chance = np.random.default_rng(0)
        readers = [(chance.permutation(own)[: liked or 1], held_out) for own, held_out in readers]
    store, phrases = [_text(paper) for paper in known], "title" in papers[0]
    if words is Words.TITLE and not phrases:
        raise UserError(f"--words title: the papers of {folder} have no titles")
    spoken = _spoken(store, known, [own[0] for own, _ in readers], words, phrases)
    questions = [
        Question(interest, own[:0] if words else own, held_out)
        for interest, (own, held_out) in zip(spoken, readers, strict=True)
    ]
    return Collection(store, [_text(paper) for paper in new], questions, phrases, "readers")


def _spoken(
    store: list[str], papers: Sequence[Any], chosen: Sequence[int], words: Words | None, phrases: bool
) -> list[Interest]:
    """Return the interest of each chosen paper (by index in the store): its title or its keywords, or no words."""
    if words is None:
        return [_interest()] * len(chosen)
    if words is Words.TITLE:
        return [_interest(text=str(papers[one]["title"])) for one in chosen]
    model = fit(store, phrases)
    if model is None:
        return [_interest()] * len(chosen)
    found = []
    for one in chosen:
        row = row_of(model.without_named(model.vectors([store[one]])), 0)
        heaviest = [str(model.terms[term]) for term in row.terms[np.argsort(-row.values, kind="stable")]]
        found.append(_interest(keywords=[term for term in heaviest if " " not in term][:_KEYWORDS]))
    return found


def read_texts(folder: Path) -> list[str]:
    """Return the texts of a folder's papers.

    Raises:
        UserError: the file is missing, or a line is invalid.
    """
    try:
        return [_text(paper) for paper in _lines(folder / "papers.jsonl.gz")]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder}: a line is invalid ({error}); {SEE}") from None


def _text(paper: Any) -> str:
    if "text" in paper:
        return str(paper["text"])
    return paper_text(Paper(title=str(paper["title"]), abstract=str(paper["abstract"])))


def _lines(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError:
                    raise UserError(f"{path}:{number}: not JSON; each line is one object") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(
            f"{path}: {what}; pass a folder with papers.jsonl.gz, and libraries.jsonl or interests.jsonl"
        ) from None
