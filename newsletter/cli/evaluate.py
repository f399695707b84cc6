"""The command that measures the ranking on real readers."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.common import Json, print_json, print_table, say
from newsletter.config.settings import Ranking
from newsletter.ranking import evaluate as trials

_BAR = 40


def evaluate(
    directory: Annotated[Path, typer.Argument(help="A folder with papers.jsonl.gz and libraries.jsonl.")],
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="Quality against the number of liked papers.")
    ] = False,
    json: Json = False,
) -> None:
    """Measure the ranking on readers' libraries: how well are papers found that were held back?"""
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
    say(f"{measured.seconds:.2f} s, fitting the space {measured.fit_seconds:.1f} s before.")


def _curve(curve: list[tuple[int, int, float]], json: bool) -> None:
    if json:
        print_json({"liked": liked, "readers": readers, "nDCG@10": round(mean, 6)} for liked, readers, mean in curve)
        return
    highest = max(mean for _, _, mean in curve) or 1.0
    print_table(
        (("liked papers", "right"), ("nDCG@10", "right"), ("", "left")),
        [(liked, f"{mean:.4f}", "█" * round(_BAR * mean / highest)) for liked, _, mean in curve],
    )
    say(f"The {curve[0][1]} readers who like at least {curve[-1][0]} papers, of which so many were shown.")
