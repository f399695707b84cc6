"""The commands in the documentation work.

The ``sh`` blocks of a page are run one after another in one shell, in a newsletter with the sample papers, subscribers
and an edition that was sent. A comment directly above a block excludes it: ``<!-- not run: needs a Gmail account -->``.
"""

import os
import subprocess

import pytest

from tests.docs.pages import PAGES, blocks
from tests.helpers.fork_server import install
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox

SHELL = ("sh", "bash", "console")


def to_run(page: str) -> str:
    """A script with the blocks of a page, which names the line of the block that failed."""
    parts = [f"at={page}:{block.line}\n{block.text}" for block in blocks(page, *SHELL) if block.marker != "not run"]
    return "\n".join(["set -eu", "trap 'echo \"failed: $at\" >&2' ERR", *parts])


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page).count("\nat=")])
def test_commands_of_a_page_run(page: str, newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.subscriber("you", "email: you@example.org\ninterests: [energy-based models]\n")
    newsletter.with_sample().run("send")
    programs = newsletter.folder.parent / "bin"
    # The examples in the documentation are of this day.
    install(programs / "newsletter", "--now", NOW)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "EDITOR": "true"}
    ran = subprocess.run(
        ["bash", "-c", to_run(page)],
        cwd=newsletter.folder,
        env={name: value for name, value in environment.items() if name != "VISUAL"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, f"{ran.stdout[-2000:]}{ran.stderr}"
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("page", PAGES)
def test_a_block_that_is_not_run_has_a_reason(page: str) -> None:
    for block in blocks(page, *SHELL, "yaml"):
        if block.marker:
            assert block.marker == ("not loaded" if block.language == "yaml" else "not run"), f"{page}:{block.line}"
            assert block.reason, f"{page}:{block.line}"


@pytest.mark.parametrize("page", PAGES)
def test_every_marker_belongs_to_a_block(page: str) -> None:
    marked = sum(block.marker is not None for block in blocks(page, *SHELL, "yaml"))
    assert marked == sum(line.strip().startswith("<!-- not ") for line in PAGES[page].read_text().splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_every_block_names_its_language(page: str) -> None:
    fences = [line.strip() for line in PAGES[page].read_text().splitlines() if line.strip().startswith("```")]
    assert all(fences[::2]) and all(len(fence) > 3 for fence in fences[::2])
    assert all(fence == "```" for fence in fences[1::2])
