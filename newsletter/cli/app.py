"""The root of the command line: the global options and the list of all commands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from newsletter import __version__
from newsletter.cli.lazy import HELP_OPTIONS, Entry, Group, LazyGroup
from newsletter.errors import UserError

COMMANDS: Mapping[str, tuple[Entry | Group, ...]] = {
    "Getting started": (
        Entry(
            "init",
            "init:init",
            "Create a new newsletter in a folder: config.yaml, templates and two example subscriber files.",
        ),
        Entry(
            "demo",
            "init:demo",
            "Run the whole pipeline without an account or network: papers in, personal emails out, the log.",
        ),
        Entry("doctor", "doctor:doctor", "Check the set-up and suggest a fix for each problem."),
        Group(
            "config",
            "Show the settings in force.",
            (Entry("show", "config:show", "Show each setting, its value and where it comes from."),),
        ),
        Group(
            "store",
            "Copy the store to another database.",
            (
                Entry(
                    "copy", "store:copy", "Copy the whole store into an empty one, such as from SQLite to PostgreSQL."
                ),
            ),
        ),
    ),
    "Papers": (
        Entry("fetch", "papers:fetch", "Fetch new papers from the sources."),
        Entry("import", "papers:import_files", "Import papers from files."),
        Group(
            "sources",
            "List, add, test and remove sources of papers. Without a command, list them.",
            (
                Entry("list", "sources:list_sources", "List the sources and the state of each."),
                Entry("add", "sources:add", "Add a source to config.yaml."),
                Entry("test", "sources:test", "Read a few papers of a source, and store nothing."),
                Entry("remove", "sources:remove", "Remove a source from config.yaml. Its papers stay in the store."),
            ),
            default="list",
        ),
        Entry(
            "index",
            "index:index",
            "Update the index of the papers and show when it was fitted and when the next fit is due.",
        ),
        Group(
            "papers",
            "List, search, show and export papers.",
            (
                Entry("list", "papers:list_papers", "List the papers in the store, newest first."),
                Entry(
                    "search",
                    "papers:search_papers",
                    'Search all papers by words, author, identifier or "phrase", best match first.',
                ),
                Entry("similar", "papers:similar_papers", "Find the papers most similar to one in the store."),
                Entry("show", "papers:show_paper", "Show one paper."),
                Entry("export", "paper_export:export_papers", "Export papers as BibTeX, RIS or CSL-JSON."),
            ),
        ),
    ),
    "Subscribers": (
        Entry("subscribe", "subscribers:subscribe", "Subscribe an address, or change a subscriber's preferences."),
        Entry(
            "unsubscribe",
            "subscribers:unsubscribe",
            "Unsubscribe an address. Files and imports cannot resubscribe it; only 'subscribe --again' can.",
        ),
        Entry(
            "feedback",
            "feedback:feedback",
            "Record that a subscriber wants more or less like a paper. The next ranking takes it into account.",
        ),
        Group(
            "subscribers",
            "List, show, tag, import, export and delete subscribers.",
            (
                Entry("list", "subscribers:list_subscribers", "List the subscribers."),
                Entry("show", "subscribers:show_subscriber", "Show one subscriber."),
                Entry(
                    "tag", "subscriber_tags:tag_subscribers", "Add and remove tags of subscribers, or show their tags."
                ),
                Entry(
                    "import",
                    "imports:import_subscribers",
                    "Import subscribers and suppressed addresses from files, also those of other programs.",
                ),
                Entry(
                    "export",
                    "subscribers:export_subscribers",
                    "Export the subscribers, for another program or a later import.",
                ),
                Entry("forget", "subscribers:forget", "Delete all data of a subscriber permanently."),
            ),
        ),
        Group(
            "library",
            "Add, sync and remove subscribers' own libraries: Zotero, files and publications.",
            (
                Entry("add", "library:add", "Add a library to a subscriber's interests and read it now."),
                Entry("list", "library:list_libraries", "List the libraries of subscribers, and the state of each."),
                Entry("sync", "library:sync", "Bring libraries up to date now."),
                Entry("remove", "library:remove", "Remove a library, with its papers and its key."),
            ),
        ),
        Group(
            "interests",
            "Check, show and edit subscribers' interests.",
            (
                Entry("check", "interests:check", "Check the files in subscribers/ and show each error with its line."),
                Entry("show", "interests:show", "Show subscribers' interests."),
                Entry(
                    "edit",
                    "interests:edit",
                    "Edit a subscriber's interests in $EDITOR. They are checked when you save.",
                ),
            ),
        ),
        Group(
            "alerts",
            "Test a query, and check what subscribers' alerts find.",
            (
                Entry("test", "alerts:test", "Show which papers of the last days an alert would have found, and why."),
                Entry("check", "alerts:check", "Show each alert of a subscriber with the number of papers it found."),
            ),
        ),
    ),
    "Digests": (
        Entry("rank", "preview:rank", "Rank the papers for a subscriber's digest, with the reason for each."),
        Entry(
            "preview", "preview:preview", "Render a subscriber's email as it would be sent today, without sending it."
        ),
        Entry(
            "evaluate",
            "evaluate:evaluate",
            "Evaluate the ranking on readers' libraries or judged interests, by how well it finds the relevant papers.",
        ),
        Entry("send", "send:send", "Send today's edition now to every active subscriber who has not received it."),
        Entry("run", "send:run", "Run the newsletter: fetch papers and send each digest at the subscriber's own time."),
        Entry(
            "announce",
            "announce:announce",
            "Send an announcement to all active subscribers, or to those with a tag, now or at a given time.",
        ),
        Group(
            "announcements",
            "List, show, pause, resume and cancel announcements.",
            (
                Entry(
                    "list",
                    "announce:list_announcements",
                    "List the announcements, newest first, with how many were sent.",
                ),
                Entry("show", "announce:show_announcement", "Show an announcement and its progress."),
                Entry("pause", "announce:pause", "Pause an announcement. Messages that are being sent are finished."),
                Entry(
                    "resume",
                    "announce:resume",
                    "Resume a paused announcement. The next 'newsletter run' or 'newsletter send' sends what became "
                    "due meanwhile.",
                ),
                Entry("cancel", "announce:cancel", "Cancel an announcement: nobody else gets it."),
            ),
        ),
        Entry("pause", "pause:pause", "Pause all sending now, including in running processes."),
        Entry(
            "resume",
            "pause:resume",
            "Resume sending after 'newsletter pause', and use accounts again that were set aside.",
        ),
        Entry(
            "serve",
            "serve:serve",
            "Serve the site: sign-up, preferences, the papers by day, search, feeds and the API.",
        ),
        Entry("log", "log:log", "Show what was sent to each subscriber and when, or why nothing was sent."),
        Group(
            "highlights",
            "Train and evaluate the sentence classifier, and check what it shows.",
            (
                Entry("train", "highlights:train_highlights", "Train the sentence classifier and write its weights."),
                Entry(
                    "evaluate",
                    "highlights:evaluate_highlights",
                    "Evaluate how often the classifier picks the right sentence, with cross-validation.",
                ),
                Entry(
                    "check",
                    "highlights:check_highlights",
                    "Measure whether the sentences shown of the stored papers stand alone, have no markup and are "
                    "short.",
                ),
            ),
        ),
        Group(
            "operators",
            "Manage the accounts of operators, who log in to the admin site.",
            (
                Entry("add", "operators:add", "Add an operator, who can log in to the admin site."),
                Entry(
                    "list",
                    "operators:list_operators",
                    "List the operators: the role of each, and when each last logged in.",
                ),
                Entry("role", "operators:role", "Change an operator's role. The operator must log in again."),
                Entry(
                    "password", "operators:password", "Set an operator's password. All sessions of the operator end."
                ),
                Entry("remove", "operators:remove", "Remove an operator. All sessions of the operator end."),
            ),
        ),
        Group(
            "token",
            "Manage API tokens.",
            (
                Entry("create", "tokens:create", "Create a token for a program that uses the API or reads /metrics."),
                Entry(
                    "list",
                    "tokens:list_tokens",
                    "List the tokens: what each allows, when it expires, and when it was last used.",
                ),
                Entry("revoke", "tokens:revoke", "Revoke a token."),
            ),
        ),
        Group(
            "webhooks",
            "List and test the endpoints that events are posted to.",
            (
                Entry(
                    "list",
                    "webhooks:list_endpoints",
                    "List the endpoints, and how many events wait, were delivered and failed.",
                ),
                Entry("test", "webhooks:test", "Post an event webhook.test to an endpoint now, and show the answer."),
                Entry(
                    "failures",
                    "webhooks:failures",
                    "List the events that endpoints did not accept, newest first, up to 1,000.",
                ),
                Entry(
                    "retry",
                    "webhooks:retry",
                    "Try all events again that an endpoint did not accept. 'newsletter run' posts them within seconds.",
                ),
                Entry("secret", "webhooks:secret", "Print a new secret for an endpoint. Nothing is stored."),
            ),
        ),
        Group(
            "sends",
            "Retry, cancel, resolve and archive sends.",
            (
                Entry("resolve", "log:resolve", "List sends of unknown outcome, or resolve them."),
                Entry("retry", "sends:retry", "Plan failed and deferred sends again, to be sent at once."),
                Entry(
                    "cancel",
                    "sends:cancel",
                    "Cancel the planned and deferred sends of an edition or of an announcement. No later run sends "
                    "them.",
                ),
                Entry(
                    "mark-sent",
                    "sends:mark_sent",
                    "Mark an edition as sent that is missing from the log, such as after restoring a backup.",
                ),
                Entry(
                    "archive",
                    "log:archive",
                    "Move old log entries from the store into compressed files, one per month.",
                ),
            ),
        ),
        Group(
            "bounces",
            "Process bounces and complaints.",
            (
                Entry(
                    "read",
                    "bounces:read",
                    "Process bounces, complaints and subscribers' emails from the mailbox, a file or standard input.",
                ),
                Entry("list", "bounces:list_bounces", "List the recorded bounces and complaints."),
                Entry(
                    "suppressed",
                    "bounces:list_suppressed",
                    "List the suppressed addresses, which get no mail even when they are imported again.",
                ),
                Entry("forgive", "bounces:forgive", "Remove addresses from the suppression list."),
            ),
        ),
    ),
}
"""All commands by the panel of the help that lists them."""


class Root(LazyGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for panel, listed in COMMANDS.items():
            self.list_in(panel, listed)


app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
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
    from newsletter.cli.common import Options  # Imported here: help and completion do not need it.

    if not config.strip():
        raise UserError("--config: the file name is empty; write it like --config config.yaml")
    ctx.obj = Options(Path(config), now)
