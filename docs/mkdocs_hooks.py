"""Write the command reference from the program itself, so that it cannot go out of date, and draw the benchmarks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

from benchmarks.plots import draw_all
from newsletter.cli import _command

_MARKER = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marker in ``reference/commands.md`` with a section for each command, and others with plots."""
    if _MARKER not in markdown:
        return _with_plots(markdown)
    return markdown.replace(_MARKER, "\n".join(_sections(_command(), "newsletter")))


def _with_plots(markdown: str) -> str:
    try:
        return draw_all(markdown, Path(__file__).parent / "benchmarks")
    except ValueError as error:
        raise PluginError(str(error)) from None


def _sections(command: Any, path: str) -> Iterator[str]:
    context = command.make_context(path, [], resilient_parsing=True)
    if hasattr(command, "list_commands"):
        if path != "newsletter":
            yield f"## {path}\n\n{command.help}\n"
        for name in command.list_commands(context):
            yield from _sections(command.get_command(context, name), f"{path} {name}")
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = [path, *(_argument(one) for one in arguments), *(["[OPTIONS]"] if options else [])]
    yield f"{'##' if path.count(' ') == 1 else '###'} {path}\n\n```text\n{' '.join(usage)}\n```\n\n{command.help}\n"
    if command.params:
        yield "| | |\n| --- | --- |"
        for one in arguments:
            yield f"| `{one.metavar}` | {_cell(one.help)} |"
        for one in options:
            names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
            value = f" `{one.metavar}`" if one.metavar else ""
            yield f"| {names}{_cell(value)} | {_cell(one.help)} |"
        yield ""


def _argument(argument: Any) -> str:
    name = str(argument.metavar)
    return name if argument.required else f"[{name}]"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", r"\|").replace("\n", " ")
