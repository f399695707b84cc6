"""A pseudo-terminal as standard input, for commands that ask questions."""

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def typed(monkeypatch: pytest.MonkeyPatch, *answers: str) -> Iterator[None]:
    """Let commands of this process read answers from a terminal, one a line; after them comes the end of the input."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, "".join(f"{answer}\n" for answer in answers).encode() + b"\x04")
        with os.fdopen(theirs, "r", closefd=False) as terminal, monkeypatch.context() as patched:
            patched.setattr(sys, "stdin", terminal)
            yield
    finally:
        os.close(ours)
        os.close(theirs)
