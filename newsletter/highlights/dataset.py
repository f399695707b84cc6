"""Labelled abstracts, in which readers marked what states the idea and what states the result."""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ValidationError

from newsletter.config.messages import describe, quoted
from newsletter.errors import UserError
from newsletter.highlights.classifier import LABELS
from newsletter.highlights.sentences import sentences
from newsletter.support.files import MAX_LIST_BYTES, read_bytes

Span = tuple[int, int]
"""Start and end of a marked text, in characters of the abstract."""


@dataclass(frozen=True, slots=True)
class LabelledAbstract:
    """An abstract in which readers marked the idea and the result.

    Attributes:
        found: its sentences as plain text, each in one line.
        places: the position of each in the abstract (sentences × 2: start and end, in characters).
        spans: the marked texts, by label.
        fits: whether all marks, of any label, are within the abstract and begin and end between words. If not, they
            were made in another version of the abstract.
    """

    found: list[str]
    places: np.ndarray
    spans: Mapping[str, Sequence[Span]]
    fits: bool


class _Line(BaseModel):
    abstract: str
    spans: list[tuple[int, int, Literal["problem", "task", "idea", "result"]]]


def read_labelled(path: Path, to_text: Callable[[str], str] = str) -> list[LabelledAbstract]:
    """Read JSON lines with ``abstract`` and ``spans``, a list of ``[start, end, label]``; gzipped or not.

    Args:
        to_text: converts a sentence to plain text, as :func:`newsletter.rendering.plain_text.readable` does.

    Raises:
        UserError: the file or a line of it cannot be read, or it is empty.
    """
    lines = _text(path).split("\n")
    read = [_labelled(line, f"{path}:{number}", to_text) for number, line in enumerate(lines, 1) if line.strip()]
    if not read:
        raise UserError(f"{path}: no labelled abstracts; see docs/how-to/train-highlights.md")
    return read


def _text(path: Path) -> str:
    content = read_bytes(path, str(path), MAX_LIST_BYTES)
    try:
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{path}: incomplete gzip file; compress it again") from None


def _labelled(text: str, where: str, to_text: Callable[[str], str]) -> LabelledAbstract:
    try:
        line = _Line.model_validate(json.loads(text))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(map(str, problem["loc"])) or "the line"
        words = " ".join(part for part in (quoted(problem["input"]), describe(problem)) if part)
        raise UserError(f"{where}: {field}: {words}; see docs/how-to/train-highlights.md") from None
    except (ValueError, RecursionError):
        raise UserError(f"{where}: not JSON; each line is one object") from None
    places = _places(line.abstract)
    return LabelledAbstract(
        found=[" ".join(to_text(line.abstract[start:end]).split()) for start, end in places],
        places=places,
        spans={label: [(start, end) for start, end, of in line.spans if of == label] for label in LABELS},
        fits=all(_fits(line.abstract, start, end) for start, end, _ in line.spans),
    )


def _places(abstract: str) -> np.ndarray:
    """Return the positions of the sentences, without the white space around them."""
    places, start = [], 0
    for piece in sentences(abstract):
        if piece.strip():
            places.append((start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
        start += len(piece)
    return np.array(places, dtype=int).reshape(-1, 2)


def _fits(abstract: str, start: int, end: int) -> bool:
    inside_word = any(abstract[at - 1 : at].isalnum() and abstract[at : at + 1].isalnum() for at in (start, end))
    return 0 <= start < end <= len(abstract) and not inside_word


def shares(one: LabelledAbstract, label: str) -> np.ndarray:
    """Return each sentence's share of the marked text; the shares add up to 1, or are all 0."""
    characters = _overlaps(one, label).sum(axis=1)
    return np.asarray(characters / max(1, characters.sum()))


def right(one: LabelledAbstract, label: str) -> np.ndarray:
    """Return which sentences are right for a label: their overlap with a mark exceeds half of the shorter of the two.

    Returns:
        One truth value per sentence.
    """
    # A span that ends before it begins marks nothing, so no sentence is right by it.
    shorter = np.maximum(np.minimum(np.diff(one.places), np.diff(_array(one.spans[label])).ravel()), 0)
    return np.asarray((2 * _overlaps(one, label) > shorter).any(axis=1))


def _overlaps(one: LabelledAbstract, label: str) -> np.ndarray:
    """Return by how many characters sentences overlap the marks (sentences × spans)."""
    marked = _array(one.spans[label])
    ends = np.minimum(one.places[:, 1:], marked[:, 1]) - np.maximum(one.places[:, :1], marked[:, 0])
    return np.asarray(np.maximum(ends, 0))


def _array(spans: Sequence[Span]) -> np.ndarray:
    return np.array(spans, dtype=int).reshape(-1, 2)
