"""Commands for subscribers' interests."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import (
    Json,
    bring_index_up_to_date,
    load,
    open_context_for,
    options,
    print_json,
    say,
    say_wrapped,
    warn,
)
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.support.files import atomic_write_bytes, read_text, write_private
from newsletter.support.text import escape_for_terminal, shorten_middle

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from newsletter.config.settings import Ranking
    from newsletter.services.context import AppContext
    from newsletter.services.interest_findings import InterestFindings


Email = Annotated[str | None, typer.Argument(metavar="EMAIL", help="Subscriber's email address (default: all).")]

_CHANGED = "{}: it changed while you were editing; edit it again and merge the changes"


def check(ctx: typer.Context, email: Email = None, json: Json = False) -> None:
    """Check the files in subscribers/ and show each error with its line.

    With EMAIL, also say what each interest of this subscriber finds now.
    """
    from newsletter.audience.subscriber_file import files_in, read_preferences

    if email is not None:
        _check_one(ctx, email, json)
        return
    if json:
        raise UserError("--json: add the EMAIL of a subscriber to say what their interests find")
    folder = load(ctx).subscribers_folder
    paths, problems = files_in(folder)
    for path in paths:
        try:
            _say_ok(path, read_preferences(path))
        except UserError as error:
            problems.extend(error.lines)
    if problems:
        raise UserError(*problems)
    if not paths:
        say(f"No files in {folder}.")


def _say_ok(path: Path, preferences: Preferences) -> None:
    count = len(preferences.interests)
    say(f"{path}: ok; {preferences.email}, {count} interest{'' if count == 1 else 's'}")


def _check_one(ctx: typer.Context, email: str, json: bool) -> None:
    """Check one subscriber's file, if there is one, and say what each interest finds."""
    from newsletter.audience.subscriber_file import read_preferences
    from newsletter.services.interest_findings import find_interests
    from newsletter.services.ranking_snapshot import build_snapshot

    path = _file_with(load(ctx).subscribers_folder, email)
    preferences = read_preferences(path) if path is not None else None
    if path is not None and preferences is not None and not json:
        _say_ok(path, preferences)
    context = open_context_for(ctx, files=False)
    subscriber = _known_or_new(context, email, preferences)
    bring_index_up_to_date(context)
    snapshot = build_snapshot(context)
    if snapshot is None:
        warn("the store has no papers yet; run 'newsletter fetch'")
        return
    findings = find_interests(context, snapshot, subscriber)
    if json:
        print_json(asdict(one) for one in findings)
        return
    for one in findings:
        _say_findings(one, context.config.ranking)
    if not findings:
        say("No interests yet: gets trending papers.")


def _known_or_new(context: AppContext, email: str, preferences: Preferences | None) -> Subscriber:
    """Return a subscriber with the preferences in the file, if there is one; also one whom the store does not have."""
    from newsletter.store import reading
    from newsletter.store import subscribers as store

    with reading(context.engine) as connection:
        known = store.by_email(connection, email)
    if preferences is None:
        if known is None:
            folder = context.config.subscribers_folder
            raise UserError(
                f"{email!r} has no file in {folder} and is not in the store; see 'newsletter subscribers list'"
            )
        return known
    if known is None:
        return Subscriber(preferences=preferences, state=SubscriberState.PENDING, row=0)
    return replace(known, preferences=preferences)


def _say_findings(findings: InterestFindings, ranking: Ranking) -> None:
    from newsletter.services.interest_sentences import describe_findings

    say("")
    say(findings.interest)
    for sentence in describe_findings(findings, ranking.max_age_days, ranking.min_score):
        say_wrapped(sentence, "  ", "    ")


def show(ctx: typer.Context, email: Email = None, json: Json = False) -> None:
    """Show subscribers' interests."""
    from newsletter.audience import subscriptions
    from newsletter.cli.subscribers import alert_line, interest_line
    from newsletter.store import reading
    from newsletter.store import subscribers as store
    from newsletter.store.preferences import to_json

    context = open_context_for(ctx)
    with reading(context.engine) as connection:
        found = (
            [subscriptions.get_subscriber(connection, email)]
            if email is not None
            else store.page(connection, 0, 1_000_000)
        )
    if json:
        print_json({"email": one.email, **to_json(one.preferences)} for one in found)
        return
    for number, subscriber in enumerate(found):
        if number:
            say("")
        home = context.config.subscribers / subscriber.file if subscriber.file else "the store"
        say(f"{subscriber.email} ({home})")
        for interest in subscriber.preferences.interests:
            say(f"  {interest_line(interest)}")
        if not subscriber.preferences.interests:
            say("  no interests yet: gets trending papers")
        if subscriber.preferences.never:
            say(f"  never: {', '.join(subscriber.preferences.never)}")
        if subscriber.preferences.never_authors:
            say(f"  never by: {'; '.join(subscriber.preferences.never_authors)}")
        for alert in subscriber.preferences.alerts:
            say(f"  alert: {alert_line(alert)}")


def edit(
    ctx: typer.Context, email: Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")]
) -> None:
    """Edit a subscriber's interests in $EDITOR. They are checked when you save."""
    from newsletter.audience import subscriptions
    from newsletter.audience.subscriber_file import new_text
    from newsletter.store import open_store, writing

    config = load(ctx)
    engine = open_store(config.store_url)
    clock = options(ctx).clock()
    path = _file_with(config.subscribers_folder, email)
    if path is None:
        with writing(engine) as connection:
            subscriptions.sync_files(connection, config.subscribers_folder, clock())
            subscriber = subscriptions.get_subscriber(connection, email)
        path = config.subscribers_folder / subscriber.file if subscriber.file else None
    before = read_text(path, str(path)) if path else new_text(subscriber.preferences)
    with _draft(before) as draft:
        text = _edited(draft, before, email)
        if text is None:
            say("Nothing was changed.")
            return
        if path is None:
            _keep_in_store(engine, subscriber, text, clock())
        elif read_text(path, str(path)) != before:
            raise UserError(_CHANGED.format(path))
        else:
            atomic_write_bytes(path, text.encode(), mode=0o600)
    if path is not None:
        with writing(engine) as connection:
            problems = subscriptions.sync_files(connection, config.subscribers_folder, clock()).problems
        for problem in problems:
            warn(problem)
    say(f"Saved: {path if path else 'in the store'}. To see the matches, run 'newsletter rank {email}'.")


def _file_with(folder: Path, email: str) -> Path | None:
    """Find the file of an address, even if the file has errors, so that it can be edited."""
    from newsletter.audience.subscriber_file import files_in
    from newsletter.store import subscribers as store

    wanted = store.email_key(email)
    for path in files_in(folder)[0] if folder.exists() else ():
        try:
            lines = read_text(path, str(path)).splitlines()
        except UserError:
            continue  # It may belong to another subscriber; checking that one reports the error.
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() == "email" and store.email_key(value.partition(" #")[0].strip().strip("'\"")) == wanted:
                return path
    return None


@contextmanager
def _draft(text: str) -> Iterator[Path]:
    """Yield a temporary file to edit a text in. Unsaved edits are kept, and a warning names the file."""
    path = Path(tempfile.mkdtemp(prefix="newsletter-")) / "interests.yaml"
    write_private(path, text.encode())
    saved = False
    try:
        yield path
        saved = True
    finally:
        if saved or not path.exists() or path.read_bytes() == text.encode():
            shutil.rmtree(path.parent, ignore_errors=True)
        else:
            warn(f"your edits are kept in {path}")


def _edited(path: Path, before: str, email: str) -> str | None:
    """Return the edited text once it is valid; None if it was not changed."""
    from newsletter.audience.subscriber_file import read_preferences_text
    from newsletter.store import subscribers as store

    while True:
        _run_editor(path)
        saved = read_text(path, path.name)
        if saved == before:
            return None
        try:
            preferences = read_preferences_text(saved, path.name)
            if store.email_key(preferences.email) != store.email_key(email):
                raise UserError(
                    f"{path.name}: email: it must stay {email}; to use another address, subscribe that address"
                )
            return saved
        except UserError as error:
            _show_problems(saved, error.lines)
            if not typer.confirm("Continue editing?", default=True):
                raise UserError("Nothing was saved.") from None


def _show_problems(text: str, problems: Sequence[str]) -> None:
    lines = text.splitlines()
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
        number = problem.split(":")[1] if problem.count(":") > 1 else ""
        if number.isdigit() and 0 < int(number) <= len(lines):
            typer.echo(f"    {number} | {shorten_middle(escape_for_terminal(lines[int(number) - 1]), 120)}", err=True)


def _run_editor(path: Path) -> None:
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or shutil.which("editor") or shutil.which("vi")
    if not command:
        raise UserError("EDITOR: no editor found; set EDITOR to your editor")
    try:
        done = subprocess.run([*shlex.split(command), str(path)], check=False)  # noqa: S603 - the user's own editor
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"EDITOR: cannot run {command!r}: {why}; set EDITOR to your editor") from None
    if done.returncode:
        raise UserError(f"EDITOR: {command!r} exited with {done.returncode}; nothing was saved")


def _keep_in_store(engine: Engine, subscriber: Subscriber, text: str, now: datetime) -> None:
    from newsletter.audience import subscriptions
    from newsletter.audience.subscriber_file import read_contents
    from newsletter.store import writing

    contents = read_contents(text, "interests.yaml")
    with writing(engine) as connection:
        present = subscriptions.get_subscriber(connection, subscriber.email)
        if (present.preferences, present.file) != (subscriber.preferences, None):
            raise UserError(_CHANGED.format(subscriber.email))
        subscriptions.change_preferences(connection, subscriber, contents.preferences, None, now)
        if contents.tags is not None:
            subscriptions.set_tags(connection, subscriber.row, contents.tags)
