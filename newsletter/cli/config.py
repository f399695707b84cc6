"""Commands for the configuration."""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter.cli.common import Json, load, options, print_json, print_table


def show(
    ctx: typer.Context,
    section: Annotated[
        str, typer.Argument(metavar="SECTION", help="Only settings whose key begins so, such as web.")
    ] = "",
    json: Json = False,
) -> None:
    """Show each setting, its value and where it comes from.

    Secrets are only said to be set or not. A running process may have an earlier configuration, until it reloads it.
    """
    from newsletter.services.settings_in_force import settings_in_force

    found = settings_in_force(load(ctx), options(ctx).config.name)
    shown = [one for one in found if one.key == section or one.key.startswith(f"{section}." if section else "")]
    if json:
        print_json(
            {
                "key": one.key,
                "value": one.value,
                "from": one.origin,
                "line": one.line,
                "secret": one.is_secret,
                "reload": one.reloads,
                "description": one.description,
            }
            for one in shown
        )
        return
    columns = (("key", "left"), ("from", "left"), ("value", "wide"))
    print_table(columns, ((one.key, one.origin, one.value) for one in shown))
