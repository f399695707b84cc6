"""Commands that train and evaluate the sentence classifier, and check what it shows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.common import Json, err, open_context_for, print_json, print_table, say
from newsletter.support.text import escape_for_terminal

LabelledFile = Annotated[
    Path, typer.Argument(metavar="LABELLED", help="Labelled abstracts (JSON lines, optionally gzipped).")
]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Output file (default: replace the weights in use).")
]


def train_highlights(labelled: LabelledFile, output: Output = None) -> None:
    """Train the sentence classifier and write its weights.

    See docs/how-to/train-highlights.md for the format of LABELLED.
    """
    from newsletter.highlights.classifier import WEIGHTS
    from newsletter.highlights.dataset import read_labelled
    from newsletter.highlights.training import train, write_model
    from newsletter.rendering.plain_text import readable

    with _progress("training", None):
        abstracts = read_labelled(labelled, readable)
        model = train(abstracts)
    target = output or WEIGHTS
    write_model(model, target)
    say(f"{len(abstracts)} abstracts, {len(model.weights)} features, {len(model.words)} of them words")
    say(f"written to {target}")


def evaluate_highlights(
    labelled: LabelledFile,
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Number of cross-validation folds.")] = 5,
    splits: Annotated[int, typer.Option(metavar="N", min=1, help="Number of random splits into folds.")] = 5,
    json: Json = False,
) -> None:
    """Evaluate how often the classifier picks the right sentence, with cross-validation.

    The baseline is a logistic regression over words and position, on the same folds.
    """
    from newsletter.highlights.dataset import read_labelled
    from newsletter.highlights.evaluation import WAYS, evaluate
    from newsletter.rendering.plain_text import readable

    with _progress("folds", folds * splits) as on_progress:
        rows = evaluate(read_labelled(labelled, readable), folds, splits, on_progress)
    if json:
        print_json(
            {
                "label": row.label,
                "only_fitting": row.fitting,
                "abstracts": row.abstracts,
                "best_possible": round(row.best, 6),
                **{
                    way: {"mean": round(mean, 6), "deviation": round(deviation, 6)}
                    for way, mean, deviation in zip(WAYS, row.means, row.deviations, strict=True)
                },
            }
            for row in rows
        )
        return
    print_table(
        (("label", "left"), ("abstracts", "left"), ("", "right"), *((way, "right") for way in WAYS), ("best", "right")),
        [
            (
                row.label,
                "matching labels" if row.fitting else "all",
                row.abstracts,
                *(f"{mean:.3f} ± {sd:.3f}" for mean, sd in zip(row.means, row.deviations, strict=True)),
                f"{row.best:.3f}",
            )
            for row in rows
        ],
    )
    say(f"Share of abstracts with the right sentence: mean and deviation over {splits} × {folds} folds;")
    say("best: the maximum reachable with the given labels.")


def check_highlights(
    ctx: typer.Context,
    list_all: Annotated[bool, typer.Option("--list", help="Print the sentences too; * marks those that lean.")] = False,
    json: Json = False,
) -> None:
    """Measure whether the sentences shown of the stored papers stand alone, have no markup and are short.

    A sentence leans if it refers to text that is not shown, as "To address this issue" does.
    """
    from dataclasses import asdict

    from newsletter.highlights.check import findings, measure
    from newsletter.services.highlight_check import highlights_of_stored

    shown = list(highlights_of_stored(open_context_for(ctx, files=False)))
    measured = measure(pair for _, pair in shown)
    if json:
        print_json([asdict(measured)])
        return
    for paper, pair in shown if list_all else ():
        for label, text in (("Idea", pair.idea), ("Result", pair.result)):
            if text:
                mark = "*" if findings(text, pair) else " "
                say(f"{mark} {escape_for_terminal(f'{paper} {label}: {text}')}")
    number = measured.sentences
    rows = (
        ("lean on text not shown", measured.leaning),
        ("remains of markup", measured.markup),
        ("openings that say nothing", measured.boilerplate),
        ("questions, notices, figures", measured.never),
        ("more than 30 words", measured.too_long),
    )
    print_table(
        (("", "left"), ("sentences", "right"), ("share", "right")),
        [(name, count, f"{count / max(1, number):.1%}") for name, count in rows],
    )
    say(
        f"{measured.papers} papers, {number} sentences; median {measured.median_words:g} words, "
        f"longest {measured.most_words}"
    )


@contextmanager
def _progress(what: str, of: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar at a terminal; yields a function that updates it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    counts = (MofNCompleteColumn(), TimeRemainingColumn()) if of else ()
    with Progress(*columns, *counts, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=of)
        yield lambda done: bar.update(task, completed=done)
