"""Encode texts as vectors of their meaning, with a sentence model in ONNX format (``newsletter[semantic]``).

A sentence model is trained so that texts of similar meaning have similar vectors, whatever their words (Reimers and
Gurevych, "Sentence-BERT", 2019). A text's vector is the mean of its tokens' vectors, at length 1.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from newsletter.errors import UserError
from newsletter.ranking.tfidf import of_length_one

# Both are imported on first use: most newsletters rank without them.
if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MOST_TOKENS = 128
"""What a text has beyond this number of tokens does not count: MiniLM-L6 has seen no longer ones in its training."""

_CACHED = 4_096
_MODELS = ("model.onnx", "onnx/model.onnx")
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_EXTRA = ("onnxruntime", "tokenizers", "huggingface_hub")


@dataclass(frozen=True, slots=True)
class Encoder:
    """A sentence model in a file, and the tokenizer it was trained with. Both are opened on first use, in each process.

    Attributes:
        model: the ONNX file. ``tokenizer``: the ``tokenizer.json`` of the ``tokenizers`` library.
        fingerprint: identifies the contents of both: vectors of different fingerprints cannot be compared.
    """

    model: Path
    tokenizer: Path
    fingerprint: str

    @property
    def width(self) -> int:
        """The number of components of a vector."""
        return len(_encoded(self, ""))

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of some texts (texts × width), each of length 1.

        Each text is encoded alone: models with weights of one byte scale their intermediate values to the whole batch,
        so that a text's vector would depend on the others. On a processor without a GPU a batch would be no faster.

        Raises:
            UserError: the files are no longer those of the fingerprint, or the model is not a sentence model.
        """
        found = [_encode(self, text) for text in texts]
        return of_length_one(np.array(found, dtype=np.float32).reshape(len(texts), -1 if found else self.width))

    def encode_words(self, texts: Sequence[str]) -> np.ndarray:
        """Do the same for texts that recur, such as what interests say: each is encoded once in a process."""
        return np.array([_encoded(self, text) for text in texts], dtype=np.float32).reshape(len(texts), self.width)


def encoder_at(model: Path, where: str, tokenizer: Path | None = None, sha256: str | None = None) -> Encoder:
    """Open the sentence model in a file, or in a folder as Hugging Face has them, and check that it is one.

    Args:
        where: the setting or option that names the model, for errors.
        tokenizer: the tokenizer; by default ``tokenizer.json`` next to the model or in the folder above it.
        sha256: the checksum that the model must have, in hexadecimal digits; None to accept any.

    Raises:
        UserError: the extra is not installed, a file is missing, the checksum is another one, or the file is not a
            sentence model.
    """
    require_extra(where)
    file = model
    if model.is_dir():
        file = next((model / name for name in _MODELS if (model / name).is_file()), model / _MODELS[0])
    if tokenizer is None:
        beside = [folder / "tokenizer.json" for folder in (file.parent, file.parent.parent)]
        tokenizer = next((path for path in beside if path.is_file()), beside[0])
    digest = _digest(file, where)
    if sha256 is not None and digest != sha256.lower():
        raise UserError(
            f"{where}: {file} has the SHA-256 checksum {digest}, not {sha256}; get the right file, or write this "
            "checksum if you trust the file"
        )
    encoder = Encoder(file, tokenizer, _fingerprint(digest, _digest(tokenizer, where)))
    encoder.encode([""])
    return encoder


def require_extra(where: str) -> None:
    """Check that the libraries of the extra are installed.

    Args:
        where: the setting or option that needs them, for errors.

    Raises:
        UserError: one is missing.
    """
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        raise UserError(f"{where}: needs {' and '.join(missing)}; run: pip install 'newsletter[semantic]'")


def _fingerprint(model: str, tokenizer: str) -> str:
    return hashlib.sha256(f"{model} {tokenizer} {MOST_TOKENS}".encode()).hexdigest()[:12]


def _digest(path: Path, where: str) -> str:
    try:
        status = path.stat()
        return _digest_of(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{where}: {path}: {error.strerror or error}; write the path of the file") from None


@lru_cache(maxsize=8)
def _digest_of(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=_CACHED)
def _encoded(encoder: Encoder, text: str) -> np.ndarray:
    return np.asarray(encoder.encode([text])[0])


def _encode(encoder: Encoder, text: str) -> np.ndarray:
    session, tokenizer, names = _opened(encoder)
    tokens = tokenizer.encode(text)
    columns = dict(zip(_INPUTS, (tokens.ids, tokens.attention_mask, tokens.type_ids), strict=True))
    try:
        found = session.run(None, {name: np.array([columns[name]], dtype=np.int64) for name in names})[0]
    except Exception as error:  # onnxruntime's errors have no common class
        raise _not_a_sentence_model(encoder.model, str(error).splitlines()[0]) from None
    return np.asarray(found[0] if found.ndim == 2 else found[0].mean(axis=0), dtype=np.float32)


@lru_cache(maxsize=2)
def _opened(encoder: Encoder) -> tuple["InferenceSession", "Tokenizer", list[str]]:
    """Open both files; also return the names of the model's inputs.

    Raises:
        UserError: one of them is something else.
    """
    import onnxruntime

    model, where = encoder.model, "ranking.semantic"
    if _fingerprint(_digest(model, where), _digest(encoder.tokenizer, where)) != encoder.fingerprint:
        raise UserError(f"{where}: {model} or its tokenizer is another one here; copy both from where they were chosen")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    # Threads that wait in a loop take the cores from each other and from other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        raise _not_a_sentence_model(model, str(error).splitlines()[0]) from None
    names = [one.name for one in session.get_inputs()]
    if "input_ids" not in names or set(names) - set(_INPUTS):
        raise _not_a_sentence_model(model, f"its inputs are {', '.join(names)}")
    _check_output(model, session.get_outputs()[0])
    return session, _open_tokenizer(encoder.tokenizer), names


def _open_tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise UserError(
            f"{path}: not a tokenizer.json of the tokenizers library ({error}); get the model's own"
        ) from None
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def _check_output(model: Path, output: Any) -> None:
    """Check that a model returns a vector for each token or for each text."""
    if len(output.shape) not in (2, 3) or output.type not in ("tensor(float)", "tensor(float16)"):
        raise _not_a_sentence_model(model, f"its output {output.name} is {output.type} of the shape {output.shape}")


def _not_a_sentence_model(model: Path, why: str) -> UserError:
    return UserError(
        f"{model}: not a sentence model in ONNX format ({why}); its inputs must be input_ids, attention_mask and maybe "
        "token_type_ids, and its first output a vector for each token or each text"
    )
