"""Command for the tags of subscribers."""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter.cli.common import open_context_for, parsed_tag, say
from newsletter.errors import UserError


def tag_subscribers(
    ctx: typer.Context,
    emails: Annotated[list[str], typer.Argument(metavar="EMAIL", help="Subscribers' email addresses.")],
    add: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag to add; may be repeated.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag to remove; may be repeated.")] = None,
) -> None:
    """Add and remove tags of subscribers, or show their tags.

    A tag has lower-case letters, digits and '-', up to 50 characters. Tags are also kept in the subscriber's file, if
    there is one.
    """
    from newsletter.audience import subscriptions
    from newsletter.store import audit, tags, writing

    added, removed = ([parsed_tag(one) for one in given or ()] for given in (add, remove))
    if both := set(added) & set(removed):
        raise UserError(f"{sorted(both)[0]!r} is both added and removed; choose one")
    context = open_context_for(ctx)
    problems: list[str] = []
    for email in dict.fromkeys(emails):
        try:
            with writing(context.engine) as connection:
                subscriber = subscriptions.get_subscriber(connection, email)
                before = tags.of_subscribers(connection, [subscriber.row]).get(subscriber.row, [])
                folder = context.config.subscribers_folder
                now = subscriptions.change_tags(connection, subscriber, added, removed, folder)
                if now != before:
                    audit.record(
                        connection,
                        audit.COMMAND_LINE,
                        "subscriber.tag",
                        subscriber.email,
                        context.clock(),
                        subscriber.row,
                        added=sorted(set(now) - set(before)),
                        removed=sorted(set(before) - set(now)),
                    )
        except UserError as error:
            problems.extend(error.lines)
            continue
        say(f"{subscriber.email}: {', '.join(now) or 'no tags'}")
    if problems:
        raise UserError(*problems)
