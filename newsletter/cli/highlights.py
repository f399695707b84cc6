"""Commands that train and evaluate the sentence classifier."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.common import Json, err, print_json, print_table, say

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


@contextmanager
def _progress(what: str, of: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar at a terminal; yields a function that updates it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    counts = (MofNCompleteColumn(), TimeRemainingColumn()) if of else ()
    with Progress(*columns, *counts, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=of)
        yield lambda done: bar.update(task, completed=done)
