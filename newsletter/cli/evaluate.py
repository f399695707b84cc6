"""The command that evaluates the ranking on readers' libraries or judged interests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, print_json, print_table, say
from newsletter.evaluation.collections import NEW_FOLD, Words

if TYPE_CHECKING:
    import numpy as np

    from newsletter.evaluation.collections import Collection
    from newsletter.evaluation.evaluate import EvalResult
    from newsletter.ranking.encoder import Encoder

_BAR = 40


def evaluate(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder with papers.jsonl.gz, and libraries.jsonl or interests.jsonl."),
    ],
    against: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Rank 300 papers of this other field instead, and count those shown."),
    ] = None,
    liked: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Rank by N example papers, drawn at random.")
    ] = None,
    words: Annotated[
        Words | None,
        typer.Option(
            metavar="WORDS",
            help="Rank by the 'title', or three 'keywords', of one paper of each library.",
        ),
    ] = None,
    fold: Annotated[int, typer.Option(min=0, metavar="N", help="The fold of the new papers.")] = NEW_FOLD,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="MATCH", help="The minimum match of papers that count as shown, 0 to 1."),
    ] = None,
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="Show quality by the number of liked papers.")
    ] = False,
    semantic: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Rank by meaning too, with the sentence model in this ONNX file or folder."),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its tokenizer.json, if that is not next to it.")
    ] = None,
    json: Json = False,
) -> None:
    """Evaluate the ranking on readers' libraries or judged interests, by how well it finds the relevant papers."""
    from newsletter.config.settings import Ranking
    from newsletter.evaluation import collections
    from newsletter.evaluation import evaluate as evaluation

    settings = Ranking()
    least = settings.min_score if min_score is None else min_score
    encoder = _encoder(semantic, tokenizer) if semantic is not None else None
    collection = collections.read_collection(directory, fold, liked, words)
    if learning_curve:
        _curve(evaluation.learning_curve(collection, encoder), json)
    elif against is not None:
        others = collections.read_texts(against)
        shown = evaluation.shown_of_others(collection, others, least, encoder)
        _quiet_day(collection.noun, shown, min(len(others), evaluation.OTHERS), least, json)
    else:
        _quality(collection, evaluation.evaluate(collection, least, settings.variety_lambda, encoder), least, json)


def _encoder(model: Path, tokenizer: Path | None) -> "Encoder":
    from newsletter.ranking.encoder import encoder_at

    return encoder_at(model, "--semantic", tokenizer)


def _quality(collection: "Collection", measured: "EvalResult", least: float, json: bool) -> None:
    from newsletter.evaluation.evaluate import match_measures, summary

    rows, numbers = list(summary(measured)), match_measures(measured)
    number = len(collection.questions)
    if json:
        values = {name: _with_interval(mean, *interval) for name, mean, interval in rows}
        print_json(
            [
                {
                    collection.noun: number,
                    "candidates": len(collection.candidates),
                    **values,
                    **{name: round(value, 6) for name, value in numbers.items()},
                    "reliability": [
                        {
                            "low": one.low,
                            "high": one.high,
                            "papers": one.papers,
                            "match": round(one.match, 6),
                            "relevant": round(one.relevant, 6),
                        }
                        for one in measured.bins
                    ],
                    "seconds": round(measured.seconds, 3),
                    "fit_seconds": round(measured.fit_seconds, 3),
                }
            ]
        )
        return
    print_table(
        (("measure", "left"), ("mean", "right"), ("95% interval", "left")),
        [(name, f"{mean:.4f}", f"{low:.4f} to {high:.4f}") for name, mean, (low, high) in rows]
        + [(name, f"{value:.4f}", "") for name, value in numbers.items()],
    )
    say(f"Shown are papers of the top ten with a match of at least {least:.0%}.")
    say("")
    print_table(
        (("match", "left"), ("papers", "right"), ("mean match", "right"), ("relevant", "right"), ("", "left")),
        [
            (
                f"{one.low:.0%} to {one.high:.0%}",
                one.papers,
                f"{one.match:.0%}",
                f"{one.relevant:.0%}",
                "█" * round(_BAR / 2 * one.relevant),
            )
            for one in measured.bins
        ],
    )
    say(f"{number} {collection.noun}, {len(collection.candidates)} candidates; profiles and ranking took")
    say(f"{measured.seconds:.2f} s, after fitting the TF-IDF model in {measured.fit_seconds:.1f} s.")


def _quiet_day(noun: str, shown: "np.ndarray", candidates: int, least: float, json: bool) -> None:
    from newsletter.evaluation.measures import interval

    low, high = interval(shown)
    mean = float(shown.mean())
    if json:
        print_json([{noun: len(shown), "candidates": candidates, "shown": _with_interval(mean, low, high)}])
        return
    print_table(
        (("measure", "left"), ("mean", "right"), ("95% interval", "left")),
        [("shown", f"{mean:.2f}", f"{low:.2f} to {high:.2f}")],
    )
    say(f"Of {candidates} papers of the other field, a digest of ten shows so many to each of")
    say(f"{len(shown)} {noun}, with a minimum match of {least:.0%}.")


def _with_interval(mean: float, low: float, high: float) -> dict[str, float]:
    return {"mean": round(mean, 6), "low": round(low, 6), "high": round(high, 6)}


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
