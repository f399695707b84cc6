"""Commands that pause all sending and continue it."""

from typing import Annotated

import typer

from newsletter.cli.common import Json, open_context_for, print_json, say
from newsletter.store import circuit_breakers, pauses, reading, writing
from newsletter.support.text import to_single_line


def pause(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the log and the operator's page.")] = "",
    json: Json = False,
) -> None:
    """Stop all sending now, also by processes that are running.

    The message on the wire is finished; everything else stays planned until 'newsletter resume'.
    """
    context = open_context_for(ctx, files=False)
    with writing(context.engine) as connection:
        pauses.begin(connection, to_single_line(reason), context.clock())
        begun = pauses.find(connection)
    if json:
        print_json([{"paused_since": begun.since.isoformat(), "reason": begun.reason} if begun else {}])
    else:
        say("All sending is paused; 'newsletter resume' continues it.")


def resume(ctx: typer.Context, json: Json = False) -> None:
    """Continue sending after 'newsletter pause', and use accounts again that were set aside.

    'newsletter run' goes on by itself; 'newsletter send' sends what waits at once.
    """
    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        set_aside = [one.account for one in circuit_breakers.set_aside(connection)]
    with writing(context.engine) as connection:
        was_paused = pauses.end(connection)
        circuit_breakers.reset(connection, set_aside)
    if json:
        print_json([{"was_paused": was_paused, "accounts": set_aside}])
        return
    if was_paused:
        say("Sending continues.")
    for account in set_aside:
        say(f"Account {account} is used again.")
    if not was_paused and not set_aside:
        say("Sending was not paused, and no account was set aside.")
