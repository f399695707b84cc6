"""Commands that create a newsletter and run the demo."""

from __future__ import annotations

import mailbox
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Options, err, options, print_table, say
from newsletter.errors import UserError
from newsletter.support.files import write_private

if TYPE_CHECKING:
    from newsletter.services.context import AppContext


def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder; created if missing.")]) -> None:
    """Create a new newsletter in a folder: config.yaml, templates and two example subscriber files."""
    from newsletter.rendering.template import BUNDLED
    from newsletter.services.demo import create_project

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory}: {error.strerror}; choose a writable folder") from None
    made = create_project(directory, BUNDLED)
    for path in made:
        say(f"created {path}")
    if not made:
        say(f"{directory} already has a newsletter; nothing was changed.")
        return
    say("")
    say("Next:")
    say(f"  cd {directory}")
    say("  edit config.yaml: set the sender and your mail server")
    say("  newsletter subscribe you@example.org -i 'your topic'")
    say("  (the files in subscribers/ are examples of the format; they are not read)")
    say("  newsletter doctor: check the set-up and see how to fix problems")
    say("  newsletter fetch; newsletter preview you@example.org; newsletter send")
    say("  newsletter run: fetch and send every day")


def demo(
    ctx: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder (default: a new temporary folder).")
    ] = None,
) -> None:
    """Run the whole pipeline without an account or network: papers in, personal emails out, the log."""
    from newsletter.rendering.template import BUNDLED
    from newsletter.services.demo import SAMPLE_PAPERS, configure_demo, create_project, subscribe_examples
    from newsletter.services.due_subscribers import active_batches
    from newsletter.services.edition import run_edition
    from newsletter.services.fetch import import_file
    from newsletter.services.subscriber_files import read_files

    folder = (directory or Path(tempfile.mkdtemp(prefix="newsletter-demo-"))).absolute()
    _claim(folder)
    with err.status("Creating a newsletter with sample papers ..."):
        if folder / "config.yaml" in create_project(folder, BUNDLED):
            configure_demo(folder)
        subscribe_examples(folder)
        context = _context(folder, options(ctx))
        papers = import_file(context.engine, context.clock, SAMPLE_PAPERS, context.clock().date())
        read_files(context)
    say(f"1. Added {papers.papers} sample papers and two subscribers in {folder}.")
    maildir = folder / "Maildir"
    with _sending_to(maildir, context) as sending:
        report = run_edition(sending, active_batches(sending), lambda: False, lambda state, count: None)
    say(f"2. Ranked them for each subscriber and sent {report.counts.get('sent', 0)} digests over SMTP. The log:")
    say("")
    _show_log(context)
    say("")
    if not report.counts:
        say("   Everyone already has today's digest, so nothing was sent again.")
    say("3. What arrived:")
    for line in _unpack(maildir, folder):
        say(f"   {line}")
    say("")
    command = "newsletter" if shutil.which("newsletter") else shlex.quote(f"{Path(sys.executable).parent}/newsletter")
    say("Now try, in this folder:")
    say(f"   cd {shlex.quote(str(folder))}")
    say(f"   {command} rank ada@newsletter.example")
    say(f"   {command} interests edit ada@newsletter.example")
    say(f"   {command} preview ada@newsletter.example --serve")
    say(f"   {command} serve    # then the links in the emails work")
    say(f"Create your own newsletter: {command} init DIR")


def _claim(folder: Path) -> None:
    """Claim a folder for the demo; a real newsletter is refused, since the demo would log its digests as sent."""
    mark = folder / ".newsletter-demo"
    if (folder / "config.yaml").exists() and not mark.exists():
        raise UserError(f"{folder}: already has a newsletter; choose another folder, or none")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; choose a writable folder") from None


def _context(folder: Path, given: Options) -> AppContext:
    from newsletter.config.loader import load_config
    from newsletter.services.context import open_context

    return open_context(load_config(folder / "config.yaml"), given.clock())


@contextmanager
def _sending_to(maildir: Path, context: AppContext) -> Iterator[AppContext]:
    """Return the context with a mail server on loopback that stores what it receives."""
    from newsletter.services.demo import LoopbackServer, MaildirWriter

    with LoopbackServer(MaildirWriter(maildir)) as server:
        there = {"host": "127.0.0.1", "port": server.port, "security": "none", "user": None}
        smtp = context.config.smtp.model_copy(update=there)
        config = context.config.model_copy(update={"smtp": smtp})
        yield replace(context, config=config)


def _show_log(context: AppContext) -> None:
    from newsletter.store import reading, send_log

    with reading(context.engine) as connection:
        rows = [
            (
                line.send.edition,
                line.send.email,
                line.send.state.value,
                len(line.papers),
                line.send.smtp_reply or line.send.reason,
            )
            for line in send_log.log(connection)
        ]
    columns = (("edition", "left"), ("email", "left"), ("state", "left"), ("papers", "right"), ("server reply", "wide"))
    print_table(columns, rows)


def _unpack(maildir: Path, folder: Path) -> Iterator[str]:
    """Write each message of a Maildir as .eml and its HTML part as .html; yields lines that name them."""
    box = mailbox.Maildir(maildir, create=True)
    for key in sorted(box.keys()):
        content = box.get_bytes(key)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)  # noqa: S101 - by that policy
        address = str(message["To"].addresses[0].addr_spec)
        stem = folder / f"digest-{address.partition('@')[0]}"
        write_private(stem.with_suffix(".eml"), content)
        html = message.get_body(("html",))
        assert html is not None  # noqa: S101 - every digest has one
        write_private(stem.with_suffix(".html"), html.get_content().encode())
        yield f"{address}: {message['Subject']}"
        yield f"   {stem.with_suffix('.html')}"
        yield f"   {stem.with_suffix('.eml')}"
