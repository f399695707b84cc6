"""The command that shows the index of the papers, and fits it anew."""

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
from newsletter.services.index import read_state
from newsletter.store import papers, reading


def index(
    ctx: typer.Context,
    refit: Annotated[bool, typer.Option("--refit", help="Fit the space anew now.")] = False,
    json: Json = False,
) -> None:
    """Bring the index of the papers up to date, and say when it was fitted and when it will be again.

    Editions and 'newsletter run' do it by themselves: what is new is added each day, and the whole is fitted anew
    every ranking.refit_days, or when the store has grown by a tenth.
    """
    context = open_context_for(ctx, files=False)
    bring_index_up_to_date(context, refit)
    state = read_state(context.config.index_folder)
    with reading(context.engine) as connection:
        held = papers.count(connection)
    if state is None:
        say("The store has no papers yet; 'newsletter fetch' or 'newsletter import'.")
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
    say(f"version:  {state.version}, fitted {format_moment(state.fitted_on)} UTC on a store of {state.papers} papers")
    say(f"papers:   {state.held} of {held} in the index")
    say(f"next fit: {format_moment(next_fit)} UTC, or when the store has grown by a tenth")
