"""The command that records feedback on a paper."""

from typing import Annotated, Literal

import typer

from newsletter.cli.common import open_context_for, say
from newsletter.errors import UserError


def feedback(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")],
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="Paper's id, arXiv id, DOI, URL or title.")],
    verdict: Annotated[
        Literal["more", "less"], typer.Argument(metavar="more|less", help="Ask for more or less like this paper.")
    ],
    interest: Annotated[
        str | None, typer.Option(metavar="NAME", help="Interest it counts for (default: best match).")
    ] = None,
) -> None:
    """Record that a subscriber wants more or less like a paper. The next ranking takes it into account."""
    from newsletter.audience import subscriptions
    from newsletter.services.feedback_effect import best_interest
    from newsletter.store import feedback as store
    from newsletter.store import papers, reading, writing

    context = open_context_for(ctx)
    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, email)
        found = papers.find(connection, paper)
    if found is None:
        raise UserError(f"No paper matches {paper!r}; search with 'newsletter papers list --title WORD'")
    names = [one.name for one in subscriber.preferences.interests]
    if interest is not None and interest not in names:
        raise UserError(
            f"--interest: {interest!r} is not an interest of {subscriber.email}; choose from: {', '.join(names)}"
        )
    chosen = interest or best_interest(context, subscriber, found)
    with writing(context.engine) as connection:
        store.give(connection, subscriber.row, found.row, store.Verdict(verdict), chosen, context.clock())
    say(f"Noted: {verdict} like “{found.title}”{f', for {chosen}' if chosen else ''}.")
