"""The command that updates, shows and refits the index of the papers."""

from typing import Annotated

import typer

from newsletter.cli.common import (
    Json,
    bring_index_up_to_date,
    format_iso,
    format_moment,
    open_context_for,
    print_json,
    say,
)


def index(
    ctx: typer.Context,
    refit: Annotated[bool, typer.Option("--refit", help="Refit the TF-IDF model now.")] = False,
    json: Json = False,
) -> None:
    """Update the index of the papers and show when it was fitted and when the next fit is due.

    Editions and 'newsletter run' update it automatically: new papers are added daily, and the TF-IDF model is refitted
    every ranking.refit_days days or when the store has grown by 10%.
    """
    from newsletter.services.index import read_state
    from newsletter.store import papers, reading

    context = open_context_for(ctx, files=False)
    bring_index_up_to_date(context, refit)
    state = read_state(context.config.index_folder)
    with reading(context.engine) as connection:
        held = papers.count(connection)
    if state is None:
        say("No papers yet; add some with 'newsletter fetch' or 'newsletter import'.")
        return
    next_fit = state.next_fit(context.config.ranking.refit_days)
    if json:
        row = {
            "version": state.version,
            "fitted_at": format_iso(state.fitted_on),
            "fitted_papers": state.papers,
            "papers": state.held,
            "next_fit": format_iso(next_fit),
        }
        print_json([row])
        return
    say(f"version:  {state.version}, fitted {format_moment(state.fitted_on)} UTC on {state.papers} papers")
    say(f"papers:   {state.held} of {held} in the index")
    say(f"next fit: {format_moment(next_fit)} UTC, or when the store has grown by 10%")
