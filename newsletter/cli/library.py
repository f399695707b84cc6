"""Commands for subscribers' libraries."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.common import (
    Json,
    err,
    format_iso,
    format_moment,
    note,
    open_context_for,
    print_json,
    print_table,
    say,
    say_wrapped,
    stoppable,
    warn,
)
from newsletter.errors import NewsletterError, Stopped, UserError
from newsletter.model import LibraryKind, LibraryRef, Subscriber

if TYPE_CHECKING:
    from newsletter.config.settings import Config
    from newsletter.services.context import AppContext
    from newsletter.services.libraries import SyncResult
    from newsletter.store.libraries import Library


_PAGE = 500
_ZOTERO = (LibraryKind.ZOTERO_USER, LibraryKind.ZOTERO_GROUP)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")]
AnyEmail = Annotated[str | None, typer.Argument(metavar="EMAIL", help="Subscriber's email address (default: all).")]


def add(
    ctx: typer.Context,
    email: Email,
    library: Annotated[
        str,
        typer.Argument(
            metavar="LIBRARY",
            help="A .bib or .ris file, zotero:user/123, zotero:group/456, orcid:0000-0002-1825-0097 or "
            "openalex:A5023888391.",
        ),
    ],
    interest: Annotated[
        str | None, typer.Option(metavar="NAME", help="Interest that gets it (default: one of its own).")
    ] = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection", metavar="PATTERN", help="Only this collection, like Papers or 'Papers/*'; may be repeated."
        ),
    ] = None,
    each_collection: Annotated[
        bool, typer.Option("--each-collection", help="Make each collection an interest of its own.")
    ] = False,
    key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable with the Zotero key, read at each sync.")
    ] = None,
    json: Json = False,
) -> None:
    """Add a library to a subscriber's interests and read it now.

    The key of a Zotero library is asked for, or read from standard input, and stored encrypted. Leave it empty for a
    public library. With --key-env it is not stored.
    """
    from newsletter.services.libraries import add_library
    from newsletter.sources.library_files import MAX_LIBRARY_ENTRIES

    if interest is not None and each_collection:
        raise UserError("--interest and --each-collection are mutually exclusive; pass one of them")
    context = open_context_for(ctx)
    subscriber = _subscriber(context, email)
    ref = _reference(context.config, library, tuple(collection or ()), key_env)
    if each_collection and ref.kind not in _ZOTERO:
        raise UserError(f"--each-collection: {ref.address} has no collections; leave the option out")
    key = _ask_for_key(ref, subscriber) if ref.kind in _ZOTERO and key_env is None else None
    with stoppable() as stopped, _spinner(f"reading {ref.address}"):
        try:
            result = add_library(context, subscriber, ref, key, interest, each_collection, stopped.is_set)
        except Stopped:
            raise NewsletterError(f"{ref.address}: stopped, nothing was added; run the command again") from None
    if json:
        print_json([asdict(result)])
    elif result.error is None:
        names = ", ".join(f"“{name}”" for name in _interests_with(_subscriber(context, email), ref.address))
        say(f"{ref.address} was added to {names}: {_papers(result.total)}.")
        if result.skipped:
            entries = "1 entry was" if result.skipped == 1 else f"{result.skipped:,} entries were"
            note(f"note: {entries} left out: without a title, or unreadable")
        if result.left_out:
            note(
                f"note: {result.left_out:,} more entries of the file were left out: it has more than "
                f"{MAX_LIBRARY_ENTRIES:,}; export a smaller collection"
            )
    if result.error is not None:
        warn(result.error)
        note(f"{ref.address} was added and will be read at the next sync.")
        raise typer.Exit(1)


def _interests_with(subscriber: Subscriber, address: str) -> list[str]:
    """Return the names of the interests that name a library."""
    interests = subscriber.preferences.interests
    return [one.name for one in interests if any(ref.address == address for ref in one.libraries)]


def _subscriber(context: AppContext, email: str) -> Subscriber:
    from newsletter.audience import subscriptions
    from newsletter.store import reading

    with reading(context.engine) as connection:
        return subscriptions.get_subscriber(connection, email)


def _reference(config: Config, text: str, collections: tuple[str, ...], key_env: str | None) -> LibraryRef:
    from newsletter.audience.identifiers import parse_library, valid_key_place

    try:
        ref = parse_library(text)
    except ValueError as error:
        raise UserError(f"LIBRARY: {text!r} {error}") from None
    if ref.kind is LibraryKind.UPLOAD:
        raise UserError(f"LIBRARY: {text!r} is uploaded on the site; pass the path of the file instead")
    if ref.kind not in _ZOTERO and (collections or key_env):
        raise UserError("--collection, --key-env: only Zotero libraries have them; leave the option out")
    if ref.kind is LibraryKind.FILE:
        return replace(ref, id=_path_from_folder(Path(ref.id), config.folder))
    try:
        place = valid_key_place(f"env:{key_env}") if key_env is not None else ""
    except ValueError:
        raise UserError(f"--key-env: {key_env!r} is not the name of an environment variable") from None
    return replace(ref, collections=collections, key=place)


def _path_from_folder(path: Path, folder: Path) -> str:
    """Return a path, typed in the current folder, as it is written in a subscriber's file."""
    if not path.exists():
        raise UserError(f"LIBRARY: {str(path)!r}: no such file; check the path")
    whole = path.resolve()
    home = folder.resolve()
    return str(whole.relative_to(home) if whole.is_relative_to(home) else whole)


def _ask_for_key(ref: LibraryRef, subscriber: Subscriber) -> str | None:
    """Ask for a key without showing it, or read it from standard input; None if it is empty."""
    import getpass
    import os

    from newsletter.config.libraries import ZOTERO_KEY

    if os.environ.get(ZOTERO_KEY) and subscriber.file is not None:
        return None
    if not sys.stdin.isatty():
        return sys.stdin.readline(1_000).strip() or None
    note(f"{ref.address} needs a key unless it is public; create one at https://www.zotero.org/settings/keys")
    return getpass.getpass("Zotero API key (not shown; empty for none): ").strip() or None


def list_libraries(ctx: typer.Context, email: AnyEmail = None, json: Json = False) -> None:
    """List the libraries of subscribers, and the state of each."""
    from newsletter.store import libraries, reading

    context = open_context_for(ctx)
    rows = []
    for people in _people(context, email):
        with reading(context.engine) as connection:
            found = libraries.of_all(connection, [one.row for one in people])
            counts = libraries.counts(connection, [one.row for own in found.values() for one in own])
        for one in people:
            own = {library.address: library for library in found.get(one.row, ())}
            # What a file names since the last sync.
            named = {ref.address: None for interest in one.preferences.interests for ref in interest.libraries}
            rows += [_row(one, address, own.get(address), counts) for address in {**own, **named}]
    if json:
        print_json(rows)
    elif not rows:
        say("No libraries yet; add one with 'newsletter library add EMAIL LIBRARY'.")
    else:
        columns = (("subscriber", "wide"), ("library", "wide"), ("papers", "right"), ("synced (UTC)", "left"))
        print_table(columns, ((row["email"], _described(row), row["papers"], _synced(row)) for row in rows))
        for row in rows:
            if row["error"]:
                say_wrapped(f"{row['email']}: {row['error']}", "", "  ")


def _people(context: AppContext, email: str | None) -> Iterator[list[Subscriber]]:
    from newsletter.store import reading, subscribers

    if email is not None:
        yield [_subscriber(context, email)]
        return
    after = 0
    while True:
        with reading(context.engine) as connection:
            page = subscribers.page(connection, after, _PAGE)
        if not page:
            return
        yield page
        after = page[-1].row


def _row(subscriber: Subscriber, address: str, library: Library | None, counts: Mapping[int, int]) -> dict[str, Any]:
    interests = subscriber.preferences.interests
    return {
        "email": subscriber.email,
        "address": address,
        "interests": [one.name for one in interests if address in {ref.address for ref in one.libraries}],
        "collections": list(library.collections) if library else [],
        "papers": counts.get(library.row, 0) if library else 0,
        "has_key": library is not None and library.encrypted_key is not None,
        "can_write": library is not None and library.can_write,
        "synced_at": format_iso(library.synced_at) if library else None,
        "error": library.error if library else None,
    }


def _described(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["address"],
        *(f"  {pattern}" for pattern in row["collections"]),
        *(["  failed"] if row["error"] else []),
    )


def _synced(row: dict[str, Any]) -> str:
    return format_moment(datetime.fromisoformat(row["synced_at"])) if row["synced_at"] else "never"


def sync(ctx: typer.Context, email: AnyEmail = None, json: Json = False) -> None:
    """Bring libraries up to date now.

    Without EMAIL, those of all active subscribers.
    """
    from newsletter.services.libraries import sync_due, sync_subscriber

    context = open_context_for(ctx)
    results: list[SyncResult] = []
    with stoppable() as stopped, suppress(Stopped), _spinner("syncing libraries") as on_library:
        synced = (
            sync_due(context, stopped.is_set, early=True)
            if email is None
            else sync_subscriber(context, _subscriber(context, email), stopped.is_set)
        )
        for result in synced:
            results.append(result)
            on_library(result.address)
    if json:
        print_json(map(asdict, results))
    for result in results:
        if result.error is not None:
            warn(f"{result.email}: {result.error}")
        elif not json:
            _say_synced(result)
    if not results and not json:
        say("No libraries yet; add one with 'newsletter library add EMAIL LIBRARY'.")
    if any(result.error is not None for result in results):
        raise typer.Exit(1)


def _say_synced(result: SyncResult) -> None:
    where = f"{result.email}, {result.address}"
    counts = {"new": result.added, "changed": result.changed, "removed": result.removed}
    changes = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    say(f"{where}: {_papers(result.total)}; {changes or 'nothing changed'}.")


def remove(
    ctx: typer.Context,
    email: Email,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Library, as 'library list' shows it.")],
) -> None:
    """Remove a library, with its papers and its key.

    It is also removed from the interests; an interest that had nothing else is removed too.
    """
    from newsletter.services.libraries import remove_library

    context = open_context_for(ctx)
    count = remove_library(context, _subscriber(context, email), address)
    say(f"{address} was removed from {email}, with {_papers(count)}.")


def _papers(count: int) -> str:
    return f"{count:,} paper{'' if count == 1 else 's'}"


@contextmanager
def _spinner(what: str) -> Iterator[Any]:
    """Show on a terminal that work is going on; gives a function that names what is done."""
    with err.status(what) if err.is_terminal else nullcontext() as status:
        yield lambda done: status.update(f"{what}: {done}") if status else None
