"""The root of the command line: the global options and all commands."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter import __version__
from newsletter.cli import (
    bounces,
    doctor,
    evaluate,
    feedback,
    highlights,
    index,
    init,
    interests,
    log,
    papers,
    pause,
    preview,
    send,
    sends,
    serve,
    store,
    subscribers,
    tokens,
)
from newsletter.cli.common import Options
from newsletter.errors import UserError

app = typer.Typer(
    help="A personalised email newsletter of new research papers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"newsletter {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[str, typer.Option(metavar="FILE", help="Configuration file.")] = "config.yaml",
    now: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Use this time as the current time (ISO 8601; default time zone: UTC)."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A personalised email newsletter of new research papers.

    Start with 'newsletter demo', which needs no account and no network. Create your own with 'newsletter init DIR'.
    """
    if not config.strip():
        raise UserError("--config: the file name is empty; write it like --config config.yaml")
    ctx.obj = Options(Path(config), now)


papers_group = typer.Typer(help="List, search and show papers.", no_args_is_help=True)
subscribers_group = typer.Typer(help="List, show, import, export and delete subscribers.", no_args_is_help=True)
bounces_group = typer.Typer(help="Process bounces and complaints.", no_args_is_help=True)
sends_group = typer.Typer(help="Retry, cancel, resolve and archive sends.", no_args_is_help=True)
interests_group = typer.Typer(help="Check, show and edit subscribers' interests.", no_args_is_help=True)
token_group = typer.Typer(help="Manage API and operator tokens.", no_args_is_help=True)
store_group = typer.Typer(help="Copy the store to another database.", no_args_is_help=True)
highlights_group = typer.Typer(help="Train and evaluate the sentence classifier.", no_args_is_help=True)

START, READ, PEOPLE, SEND = "Getting started", "Papers", "Subscribers", "Digests"

app.command(rich_help_panel=START)(init.init)
app.command(rich_help_panel=START)(init.demo)
app.command(rich_help_panel=START)(doctor.doctor)
app.add_typer(store_group, name="store", rich_help_panel=START)
store_group.command("copy")(store.copy)
app.command(rich_help_panel=READ)(papers.fetch)
app.command("import", rich_help_panel=READ)(papers.import_files)
app.command(rich_help_panel=READ)(papers.sources)
app.command(rich_help_panel=READ)(index.index)
app.add_typer(papers_group, name="papers", rich_help_panel=READ)
papers_group.command("list")(papers.list_papers)
papers_group.command("search")(papers.search_papers)
papers_group.command("similar")(papers.similar_papers)
papers_group.command("show")(papers.show_paper)
app.command(rich_help_panel=PEOPLE)(subscribers.subscribe)
app.command(rich_help_panel=PEOPLE)(subscribers.unsubscribe)
app.add_typer(subscribers_group, name="subscribers", rich_help_panel=PEOPLE)
subscribers_group.command("list")(subscribers.list_subscribers)
subscribers_group.command("show")(subscribers.show_subscriber)
subscribers_group.command("import")(subscribers.import_subscribers)
subscribers_group.command("export")(subscribers.export_subscribers)
subscribers_group.command("forget")(subscribers.forget)
app.add_typer(interests_group, name="interests", rich_help_panel=PEOPLE)
interests_group.command("check")(interests.check)
interests_group.command("show")(interests.show)
interests_group.command("edit")(interests.edit)
app.command(rich_help_panel=PEOPLE)(feedback.feedback)
app.command(rich_help_panel=SEND)(preview.rank)
app.command(rich_help_panel=SEND)(preview.preview)
app.command(rich_help_panel=SEND)(evaluate.evaluate)
app.add_typer(highlights_group, name="highlights", rich_help_panel=SEND)
highlights_group.command("train")(highlights.train_highlights)
highlights_group.command("evaluate")(highlights.evaluate_highlights)
app.command(rich_help_panel=SEND)(send.send)
app.command(rich_help_panel=SEND)(send.run)
app.command(rich_help_panel=SEND)(pause.pause)
app.command(rich_help_panel=SEND)(pause.resume)
app.command(rich_help_panel=SEND)(serve.serve)
app.add_typer(token_group, name="token", rich_help_panel=SEND)
token_group.command("create")(tokens.create)
token_group.command("list")(tokens.list_tokens)
token_group.command("revoke")(tokens.revoke)
app.command(rich_help_panel=SEND)(log.log)
app.add_typer(sends_group, name="sends", rich_help_panel=SEND)
sends_group.command("resolve")(log.resolve)
sends_group.command("retry")(sends.retry)
sends_group.command("cancel")(sends.cancel)
sends_group.command("mark-sent")(sends.mark_sent)
sends_group.command("archive")(log.archive)
app.add_typer(bounces_group, name="bounces", rich_help_panel=SEND)
bounces_group.command("read")(bounces.read)
bounces_group.command("list")(bounces.list_bounces)
bounces_group.command("suppressed")(bounces.list_suppressed)
bounces_group.command("forgive")(bounces.forgive)
