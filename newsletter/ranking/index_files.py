"""Store spaces and segments of an index in files: written once, then memory-mapped by readers."""

import json
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.ranking.abbreviations import Abbreviation, Abbreviations
from newsletter.ranking.index import PaperMatrix, Segment, no_meaning
from newsletter.ranking.tfidf import TfidfModel, make_counter

_MANY_PAPERS = 1_000_000
"""What is assumed of spaces of earlier versions, which do not say how many papers they were fitted on."""

_ARRAYS = ("idf", "mean", "topics", "strengths", "variance")


def write_model(folder: Path, model: TfidfModel) -> None:
    """Write a space into a new folder."""
    folder.mkdir(parents=True)
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(model, name))
    _write_matrix(folder, "sample", model.sample)
    (folder / "terms.txt").write_text("\n".join(model.terms.tolist()), encoding="utf-8", newline="\n")
    numbers = {"pivot": model.pivot, "usual": model.usual, "ordinary": model.ordinary, "papers": model.papers}
    (folder / "space.json").write_text(json.dumps(numbers), encoding="utf-8")
    (folder / "abbreviations.json").write_text(json.dumps(model.abbreviations.known), encoding="utf-8")


def read_model(folder: Path) -> TfidfModel:
    """Read the result of :func:`write_model`.

    Raises:
        OSError, ValueError: it does not exist, or is damaged.
    """
    numbers = json.loads((folder / "space.json").read_text(encoding="utf-8"))
    terms = np.array((folder / "terms.txt").read_text(encoding="utf-8").split("\n"), dtype=object)
    # Earlier versions wrote the topics and their strengths as one.
    arrays = _former_topics(folder) if (folder / "directions.npy").exists() else {}
    arrays |= {name: read_array(folder / f"{name}.npy") for name in _ARRAYS if name not in arrays}
    if len(terms) != len(arrays["idf"]):
        raise ValueError(f"{folder}: its files are inconsistent")
    sample = _read_matrix(folder, "sample", len(terms))
    return TfidfModel(
        counter=make_counter(terms),
        terms=terms,
        sample=sample,
        pivot=float(numbers["pivot"]),
        usual=float(numbers["usual"]),
        ordinary=int(numbers.get("ordinary", len(terms))),
        abbreviations=_read_abbreviations(folder / "abbreviations.json"),
        papers=int(numbers.get("papers", _MANY_PAPERS)),
        **arrays,
    )


def _former_topics(folder: Path) -> dict[str, np.ndarray]:
    directions = read_array(folder / "directions.npy")
    strengths = np.sqrt((directions**2).sum(axis=0))
    return {"topics": directions / np.where(strengths > 0, strengths, 1), "strengths": strengths}


def _read_abbreviations(path: Path) -> Abbreviations:
    # Earlier versions wrote spaces without abbreviations and without named terms.
    if not path.exists():
        return Abbreviations()
    return Abbreviations(tuple(Abbreviation(*one) for one in json.loads(path.read_text(encoding="utf-8"))))


def write_segment(folder: Path, segment: Segment) -> None:
    """Write a segment into a new folder."""
    folder.mkdir(parents=True)
    np.save(folder / "rows.npy", segment.rows)
    np.save(folder / "centre.npy", segment.paper_matrix.centre)
    np.save(folder / "factor.npy", segment.paper_matrix.factor)
    np.save(folder / "topics.npy", segment.paper_matrix.topics)
    _write_matrix(folder, "vectors", segment.paper_matrix.vectors)
    _write_matrix(folder, "turned", segment.paper_matrix.turned)


def read_segment(folder: Path, terms: int) -> Segment:
    """Read the result of :func:`write_segment`, for a space with the given number of terms.

    Raises:
        OSError, ValueError: it does not exist, or is damaged.
    """
    rows = read_array(folder / "rows.npy")
    vectors = _read_matrix(folder, "vectors", terms)
    turned = _read_matrix(folder, "turned", len(rows))
    background = [read_array(folder / f"{name}.npy") for name in ("centre", "factor", "topics")] + [
        no_meaning(len(rows))
    ]
    return Segment(rows, PaperMatrix(vectors, turned, *background))


def _write_matrix(folder: Path, name: str, matrix: csr_matrix) -> None:
    # One dtype, and the smallest that will do: otherwise SciPy would copy the arrays, and copies are not memory-mapped.
    kind = np.int32 if max(matrix.nnz, *matrix.shape) < 2**31 else np.int64
    np.save(folder / f"{name}-data.npy", matrix.data.astype(np.float32, copy=False))
    np.save(folder / f"{name}-indices.npy", matrix.indices.astype(kind, copy=False))
    np.save(folder / f"{name}-indptr.npy", matrix.indptr.astype(kind, copy=False))


def _read_matrix(folder: Path, name: str, width: int) -> csr_matrix:
    data, indices, indptr = (read_array(folder / f"{name}-{segment}.npy") for segment in ("data", "indices", "indptr"))
    if len(data) != len(indices) or indptr[-1] != len(data):
        raise ValueError(f"{folder / name}: its files are inconsistent")
    return csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, width), copy=False)


def read_array(path: Path) -> np.ndarray:
    """Read an array from a file, memory-mapped.

    Raises:
        OSError, ValueError: it does not exist, or is damaged.
    """
    # An empty file cannot be mapped.
    return np.asarray(np.load(path, mmap_mode="r" if path.stat().st_size > 4096 else None))
