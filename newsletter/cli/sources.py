"""Commands for the sources of papers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.common import (
    Json,
    err,
    format_iso,
    format_moment,
    load,
    open_context_for,
    options,
    print_json,
    print_table,
    say,
    say_wrapped,
    suggestion,
)
from newsletter.errors import UserError

if TYPE_CHECKING:
    from newsletter.config.settings import Config
    from newsletter.config.source_changes import ConfigChange
    from newsletter.config.source_kinds import SourceKind
    from newsletter.services.source_check import SourceCheck
    from newsletter.store.source_status import SourceStatus

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Value of a setting; separate several by commas. May be repeated."
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the source in config.yaml.")]


def list_sources(ctx: typer.Context, json: Json = False) -> None:
    """List the sources and the state of each.

    Counts are of the last success. The next fetch tries a failed source again.
    """
    from newsletter.store import openalex, reading, source_status

    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        records = source_status.statuses(connection)
    configured = context.config.sources
    names = [*configured, *(name for name in records if name not in configured)]
    if json:
        for name in names:
            record = records.get(name)
            row: dict[str, object] = {"name": name, "kind": configured[name].kind if name in configured else None}
            for item in fields(source_status.SourceStatus)[1:]:
                value = getattr(record, item.name, None)
                row[item.name] = format_iso(value) if item.name in ("last_try", "last_success") else value
            print_json([row])
        return
    if not names:
        say("No sources configured; add one with 'newsletter sources add'.")
        return
    rows = []
    for name in names:
        kind = configured[name].kind if name in configured else "alerts" if name == openalex.SOURCE else "removed"
        rows.append((name, kind, *_state(records.get(name))))
    columns = (("source", "narrow"), ("kind", "left"), ("last success", "left"))
    counts = (("papers", "right"), ("new", "right"), ("skipped", "right"))
    print_table((*columns, *counts, ("state", "wide")), rows)
    _explain_failures(context.config, [records[name] for name in names if name in records])


def _state(record: SourceStatus | None) -> tuple[object, ...]:
    if record is None:
        return "never", "", "", "", "not fetched"
    counts = (record.papers, record.new_papers, record.bad_papers)
    return format_moment(record.last_success) or "never", *counts, "failed" if record.error else "ok"


def _explain_failures(config: Config, records: list[SourceStatus]) -> None:
    failing = [record for record in records if record.error]
    for record in failing:
        say("")
        say_wrapped(f"{record.name}: failed {format_moment(record.last_try)}: {record.error}", "", "  ")
    if failing:
        times = ", ".join(f"{time:%H:%M}" for time in config.schedule.fetch_at)
        say("")
        say_wrapped(
            f"'newsletter run' fetches again at {times} ({config.schedule.timezone}), 'newsletter fetch NAME' now. "
            "'newsletter sources test NAME' shows what a source returns."
        )


def add(
    ctx: typer.Context,
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="Kind of source, such as arxiv or feed.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the source (default: suggested).")] = None,
    settings: Set = None,
    yes: Annotated[bool, typer.Option("--yes", help="Add it without asking, even if the test fails.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not test the source.")] = False,
) -> None:
    """Add a source to config.yaml.

    On a terminal it asks for what is not given. The source is tested first: a few papers are read, and none are stored.
    Secrets are never written into config.yaml; they come from environment variables.
    """
    from newsletter.cli.source_questions import ask_kind, ask_settings, at_terminal
    from newsletter.config.source_changes import add_source
    from newsletter.config.source_entries import entry_text
    from newsletter.config.source_kinds import find_kind, source_kinds

    path, config, asking = options(ctx).config, load(ctx), at_terminal()
    if kind is None and not asking:
        raise UserError(f"KIND: missing; pass one of {', '.join(source_kinds())}")
    chosen = find_kind(kind) if kind is not None else ask_kind()
    given = _given(chosen, settings or [])
    values = ask_settings(chosen, given, optional=not (yes or settings)) if asking else given
    checked = _checked(chosen, values)
    written = _new_values(config, chosen, checked, values)
    name = _chosen_name(config, checked, name, asking and not yes)
    change = add_source(path, name, written)
    say(f"{path}, sources:")
    for line in entry_text(name, written).splitlines():
        say(f"  {line}")
    if not (no_test or _passed(ctx, change.config, name)):
        _keep_anyway(asking, yes)
    elif asking and not yes:
        typer.confirm(f"Add it to {path}?", default=True, abort=True)
    change.write()
    say_wrapped(f"Added {name} to {path}; fetch it with 'newsletter fetch {name}'.")
    say("If 'newsletter run' is running, restart it.")


def _given(kind: SourceKind, settings: list[str]) -> dict[str, Any]:
    """Return the values of ``--set``; those of a list that is given several times are joined."""
    values: dict[str, Any] = {}
    for one in settings:
        key, equals, text = one.partition("=")
        if not equals:
            raise UserError("--set: has no '='; write it like --set field=value")
        try:
            field = kind.find(key.strip())
            value = field.parse(text)
        except UserError as error:
            raise UserError(*(f"--set {line}" for line in error.lines)) from None
        if field.name in values and not field.is_list:
            raise UserError(f"--set {field.name}: given twice; keep one of them")
        values[field.name] = [*values[field.name], *value] if field.name in values else value
    return values


def _checked(kind: SourceKind, values: Mapping[str, Any]) -> Any:
    missing = [field for field in kind.fields.values() if field.required and field.name not in values]
    if missing:
        raise UserError(
            *(
                f"--set {one.name}=VALUE: missing; pass it{f': {one.description}' if one.description else ''}"
                for one in missing
            )
        )
    try:
        return kind.settings(values)
    except UserError as error:
        raise UserError(*(f"--set {line}" for line in error.lines)) from None


def _new_values(config: Config, kind: SourceKind, checked: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to write, as the settings have normalised them; a source that exists already is refused."""
    for name, present in config.sources.items():
        if present.model_dump() == checked.model_dump():
            raise UserError(f"{name!r} is a source with the same settings; change a setting, or use that one")
    dumped = checked.model_dump(mode="json", by_alias=True)
    return {"kind": kind.name, **{key: dumped[key] for key in values}}


def _chosen_name(config: Config, checked: Any, name: str | None, asking: bool) -> str:
    from newsletter.cli.source_questions import ask_name
    from newsletter.config.fields import valid_source_name
    from newsletter.config.source_kinds import suggested_name

    taken = set(config.sources)
    suggested = suggested_name(checked, taken)

    def check(written: str) -> None:
        try:
            valid_source_name(written)
        except ValueError as error:
            raise UserError(f"--name: {written!r} {error}") from None
        if written in taken:
            free = next(one for number in range(2, len(taken) + 3) if (one := f"{written}-{number}") not in taken)
            raise UserError(f"--name: {written!r} is taken; use another name, like {free!r}")

    if name is None and asking:
        return ask_name(suggested, check)
    check(name or suggested)
    return name or suggested


def _passed(ctx: typer.Context, config: Config, name: str) -> bool:
    from newsletter.cli.source_report import failed, print_check

    say("")
    check = _check(ctx, config, name, None)
    print_check(name, config.sources[name].kind, check)
    say("")
    return not failed(check)


def _keep_anyway(asking: bool, yes: bool) -> None:
    """Ask whether to add a source whose test failed; without a terminal it is not added unless ``--yes`` says so."""
    if yes:
        return
    if not asking:
        say("Nothing was changed. Pass --yes to add the source anyway.")
        raise typer.Exit(1)
    typer.confirm("The test failed. Add the source anyway?", default=False, abort=True)


def test(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of a source, or a kind of source that is not configured yet.")
    ],
    settings: Set = None,
    days: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=366,
            help="Read papers of the last N days, 1 to 366 (default: what a fetch reads, else up to 30 days back).",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Read a few papers of a source, and store nothing.

    Shows the requests, the first five papers as they would be stored, and what was cut or skipped, with one attempt per
    request. With --set, the source is tested with other settings than those in config.yaml.
    """
    from newsletter.cli.source_report import check_json, failed, print_check

    config = _with_settings(load(ctx), name, settings or [])
    check = _check(ctx, config, name, days)
    kind = config.sources[name].kind
    if json:
        print_json([check_json(name, kind, check)])
    else:
        print_check(name, kind, check)
    if failed(check):
        raise typer.Exit(1)


def _with_settings(config: Config, name: str, settings: list[str]) -> Config:
    """Return the configuration with the source to test: as configured, with other settings, or a new one of a kind."""
    from newsletter.config.source_kinds import find_kind, source_kinds

    if name in config.sources:
        present = config.sources[name]
        kind, values = find_kind(present.kind), present.model_dump(mode="json", by_alias=True, exclude_unset=True)
        del values["kind"]
    else:
        known = [*config.sources, *source_kinds()]
        if name not in known:
            fix = suggestion(name, known, f"known: {', '.join(known)}")
            raise UserError(f"NAME: {name!r} is neither a source nor a kind of source; {fix}")
        kind, values = find_kind(name), {}
    checked = _checked(kind, {**values, **_given(kind, settings)})
    return config.model_copy(update={"sources": {**config.sources, name: checked}})


def _check(ctx: typer.Context, config: Config, name: str, days: int | None) -> SourceCheck:
    from newsletter.services.source_check import check_latest, check_source
    from newsletter.sources.base import DateRange

    today = options(ctx).clock()().date()
    with err.status(f"Reading {name} ..."):
        if days is not None:
            return check_source(config, name, DateRange(today - timedelta(days=days - 1), today))
        return check_latest(config, name, DateRange(None, today))


def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a source from config.yaml. Its papers stay in the store.

    Comments in the file stay, except those within the lines of the source.
    """
    from newsletter.config.source_changes import remove_source
    from newsletter.store import source_status, writing

    path, context = options(ctx).config, open_context_for(ctx, files=False)
    configured = name in context.config.sources
    if configured:
        change: ConfigChange = remove_source(Path(path), name)
        change.write()
    with writing(context.engine) as connection:
        known = source_status.forget(connection, name)
    if not (configured or known):
        known_names = list(context.config.sources)
        fix = suggestion(name, known_names, f"sources: {', '.join(known_names) or 'none'}")
        raise UserError(f"NAME: {name!r} is not a source; {fix}")
    say(f"Removed {name}; its papers stay. If 'newsletter run' is running, restart it.")
