"""The command for more, or less, like a paper."""

from typing import Annotated

import typer

from newsletter.audience import subscriptions
from newsletter.cli.common import open_context_for, say
from newsletter.errors import UserError
from newsletter.services.recommend import best_interest
from newsletter.store import feedback as store
from newsletter.store import papers, reading, writing


def feedback(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="Whose.")],
    paper: Annotated[str, typer.Argument(help="Its id, arXiv id, DOI, URL or title.")],
    verdict: Annotated[store.Verdict, typer.Argument(help="More, or less, like this.")],
    interest: Annotated[str | None, typer.Option(help="For this interest; the one it fits best unless given.")] = None,
) -> None:
    """Say that a subscriber wants more, or less, like a paper; the next ranking heeds it."""
    context = open_context_for(ctx)
    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, email)
        found = papers.find(connection, paper)
    if found is None:
        raise UserError(f"{paper!r} is no paper in the store; 'newsletter papers list --title WORD' looks for one")
    names = [one.name for one in subscriber.preferences.interests]
    if interest is not None and interest not in names:
        raise UserError(f"--interest: {interest!r} is none of {subscriber.email}'s interests: {', '.join(names)}")
    chosen = interest or best_interest(context, subscriber, found)
    with writing(context.engine) as connection:
        store.give(connection, subscriber.row, found.row, verdict, chosen, context.clock())
    say(f"Noted: {verdict.value} like “{found.title}”{f', for {chosen}' if chosen else ''}.")
