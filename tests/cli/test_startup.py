"""Help and completion import little, and commands only what they need."""

import inspect
import os
import subprocess
import sys
from importlib import import_module

import pytest

from newsletter.cli.app import COMMANDS
from newsletter.cli.lazy import Entry
from tests.conftest import Newsletter

STORE = {"sqlalchemy", "ruamel", "email_validator"}
HEAVY = {"numpy", "scipy", "sklearn", "fastapi", "uvicorn", "apscheduler", "feedparser", "httpx", "alembic", "jinja2"}
HEAVY |= {"mjml", "yagmail", "dkim", "keyring", "distributed", "bibtexparser", "imapclient", "structlog"}


def imported(newsletter: Newsletter, *arguments: str, **environment: str) -> set[str]:
    """The top-level packages that a command imports."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "newsletter", *arguments],
        cwd=newsletter.folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert ran.stdout
    lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
    found = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "typer" in found
    return found


@pytest.mark.parametrize("arguments", ["--version", "--help", "papers --help", "log --help", "send --help", "serve -h"])
def test_help_imports_neither_the_store_nor_anything_heavy(newsletter: Newsletter, arguments: str) -> None:
    assert not imported(newsletter, *arguments.split()) & (STORE | HEAVY)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("newsletter pap", "papers"), ("newsletter papers l", "list"), ("newsletter log --sin", "--since")],
)
def test_completion_imports_neither_the_store_nor_anything_heavy(
    newsletter: Newsletter, typed: str, completed: str
) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    asked = {"_NEWSLETTER_COMPLETE": "complete_bash", **words}
    assert not imported(newsletter, **asked) & (STORE | HEAVY)
    ran = subprocess.run(
        [sys.executable, "-m", "newsletter"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.split() == [completed]


@pytest.mark.parametrize("arguments", ["log", "papers list", "subscribers list", "sends resolve", "sources"])
def test_commands_that_only_read_the_store_import_nothing_heavy(newsletter: Newsletter, arguments: str) -> None:
    newsletter.run(*arguments.split())  # which makes the store
    assert not imported(newsletter, *arguments.split()) & HEAVY


def test_the_list_of_commands_has_their_help() -> None:
    entries = [
        entry
        for listed in COMMANDS.values()
        for one in listed
        for entry in ([one] if isinstance(one, Entry) else one.commands)
    ]
    assert len(entries) > 40
    for entry in entries:
        module, _, function = entry.target.partition(":")
        documented = inspect.getdoc(getattr(import_module(f"newsletter.cli.{module}"), function)) or ""
        assert " ".join(documented.split("\n\n")[0].split()) == entry.help, entry.target
