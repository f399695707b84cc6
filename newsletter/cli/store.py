"""Commands for the store as a whole."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.common import Json, err, print_json, print_table, say
from newsletter.errors import UserError


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="URL of the store to copy.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="URL of an empty store.")],
    json: Json = False,
) -> None:
    """Copy the whole store into an empty one, such as from SQLite to PostgreSQL.

    Write URLs like sqlite:///var/newsletter.db or postgresql://USER@HOST/DATABASE; set the password with PGPASSWORD or
    ~/.pgpass. Stop 'newsletter run' first: changes to FROM during the copy are not copied.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from sqlalchemy.engine import make_url

    from newsletter.store import copying, open_store

    _check("FROM", source)
    _check("TO", target)
    url = make_url(source)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise UserError(f"FROM: {source!r}: no such file; write it like sqlite:///var/newsletter.db")
    origin, copied = open_store(source, "FROM"), open_store(target, "TO")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("")
        sums = copying.copy(
            origin, copied, lambda name, done, rows: bar.update(task, description=name, completed=done, total=rows)
        )
    if json:
        print_json({"table": name, "rows": one.rows, "checksum": one.checksum} for name, one in sums.items())
        return
    print_table(
        (("table", "left"), ("rows", "right"), ("checksum (same in both)", "wide")),
        ((name, f"{one.rows:,}", one.checksum) for name, one in sums.items()),
    )
    say(f"Copied everything to {make_url(target).render_as_string()}. To use it, set store.url to this URL.")


def _check(named: str, written: str) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(written)
    except (ArgumentError, ValueError):
        raise UserError(f"{named}: not a database URL; write it like sqlite:///var/newsletter.db") from None
    if url.password is not None or "password" in url.query:
        raise UserError(f"{named}: the URL contains a password; use PGPASSWORD or ~/.pgpass instead")
