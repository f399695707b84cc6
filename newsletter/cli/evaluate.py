"""The command that evaluates the ranking on readers' libraries."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.common import Json, print_json, print_table, say

_BAR = 40


def evaluate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with papers.jsonl.gz and libraries.jsonl.")],
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="Show quality by the number of liked papers.")
    ] = False,
    json: Json = False,
) -> None:
    """Evaluate the ranking on readers' libraries, by how well it finds held-out papers."""
    from newsletter.config.settings import Ranking
    from newsletter.ranking import evaluate as trials

    trial = trials.read_dataset(directory)
    if learning_curve:
        _curve(trials.learning_curve(trial), json)
        return
    measured = trials.evaluate(trial, Ranking().variety_lambda)
    rows = list(trials.summary(measured))
    if json:
        values = {
            name: {"mean": round(mean, 6), "low": round(low, 6), "high": round(high, 6)}
            for name, mean, (low, high) in rows
        }
        seconds = {"seconds": round(measured.seconds, 3), "fit_seconds": round(measured.fit_seconds, 3)}
        print_json([{"readers": len(trial.libraries), "candidates": len(trial.new), **values, **seconds}])
        return
    print_table(
        (("measure", "left"), ("mean", "right"), ("95% interval", "left")),
        [(name, f"{mean:.4f}", f"{low:.4f} to {high:.4f}") for name, mean, (low, high) in rows],
    )
    say(f"{len(trial.libraries)} readers, {len(trial.new)} candidates each; profiles and ranking took")
    say(f"{measured.seconds:.2f} s, after fitting the TF-IDF model in {measured.fit_seconds:.1f} s.")


def _curve(curve: list[tuple[int, int, float]], json: bool) -> None:
    if json:
        print_json({"liked": liked, "readers": readers, "nDCG@10": round(mean, 6)} for liked, readers, mean in curve)
        return
    highest = max(mean for _, _, mean in curve) or 1.0
    print_table(
        (("liked papers", "right"), ("nDCG@10", "right"), ("", "left")),
        [(liked, f"{mean:.4f}", "█" * round(_BAR * mean / highest)) for liked, _, mean in curve],
    )
    say(f"Readers: the {curve[0][1]} with at least {curve[-1][0]} liked papers; profiles use the first N of these.")
