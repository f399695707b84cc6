"""Commands that pause and resume all sending."""

from typing import Annotated

import typer

from newsletter.cli.common import Json, open_context_for, print_json, say
from newsletter.support.text import to_single_line


def pause(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Reason shown in the log and on the admin site.")] = "",
    json: Json = False,
) -> None:
    """Pause all sending now, including in running processes.

    Messages that are being sent are finished; everything else stays planned until 'newsletter resume'.
    """
    from newsletter.store import pauses, writing

    context = open_context_for(ctx, files=False)
    with writing(context.engine) as connection:
        pauses.begin(connection, to_single_line(reason), context.clock())
        begun = pauses.find(connection)
    if json:
        print_json([{"paused_since": begun.since.isoformat(), "reason": begun.reason} if begun else {}])
    else:
        say("All sending is paused; resume it with 'newsletter resume'.")


def resume(ctx: typer.Context, json: Json = False) -> None:
    """Resume sending after 'newsletter pause', and use accounts again that were set aside.

    'newsletter run' then continues automatically; run 'newsletter send' to send what waits at once.
    """
    from newsletter.store import circuit_breakers, pauses, reading, writing

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
        say("Sending is resumed.")
    for account in set_aside:
        say(f"Account {account} is in use again.")
    if not was_paused and not set_aside:
        say("Nothing to resume: sending was not paused and no account was set aside.")
