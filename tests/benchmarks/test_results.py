"""Results are written with the machine and what was left out; one benchmark that fails does not stop the others."""

import json
import os
import re
import runpy
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.everything import BENCHMARKS, Benchmark, Outcome, run, run_all
from benchmarks.plots import bars, draw_all
from benchmarks.programs import debian_program, npm_folder
from benchmarks.publish import publish
from benchmarks.results import LeftOut, Results, show
from tests.docs.pages import ROOT


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder of its own, so that results of real runs stay."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def measure(name: str = "sending") -> Path:
    results = Results(name, full=False, sizes={"readers": 3_000, "alerts": (1, 2)})
    speeds = iter([100.0, 9.0, 7.0, 300.0, 11.0])

    def missing() -> float:
        raise LeftOut("npm is not installed")

    rates = results.interleave({"ours": lambda: next(speeds), "peer_one": lambda: next(speeds), "peer_two": missing}, 2)
    results.figures = {"messages_per_second": rates, "ours_times_as_fast_as": show("a second", rates, "ours")}
    return results.write()


def test_results_are_written(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = measure()
    assert path == Path("var/bench/sending.json")
    written = json.loads(path.read_text())
    # Rounds in turn: 100 and 7, 9 and 300.
    assert written["messages_per_second"] == {"ours": 53.5, "peer_one": 154.5, "peer_two": None}
    assert written["ours_times_as_fast_as"] == {"peer_one": 0.3463, "peer_two": None}
    assert written["left_out"] == {"peer_two": "npm is not installed"}
    assert written["sizes"] == {"readers": 3_000, "alerts": [1, 2]}
    assert written["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert {"date", "version", "commit", "seconds"} <= set(written)
    printed = capsys.readouterr().out
    assert "peer two: left out, npm is not installed" in printed
    assert "0.3463 times as fast" in printed


def test_one_that_fails_does_not_stop_the_others(elsewhere: Path) -> None:
    outcomes = list(
        run_all(
            [
                Benchmark("publish", small=("--no-such-option",)),
                Benchmark("publish", small=("--help",)),
                Benchmark("ranking", needs_data=True),
            ],
            full=False,
            data=[],
        )
    )
    assert [(one.name, one.result) for one in outcomes] == [
        ("publish", "failed"),
        ("publish", "done"),
        ("ranking", "skipped"),
    ]
    assert outcomes[0].reason == "exit code 2"
    assert "no folders are given" in outcomes[2].reason


def test_one_that_takes_too_long_fails(elsewhere: Path) -> None:
    outcome = run(Benchmark("delivery"), ["--slow-server"], limit=0.2)
    assert (outcome.result, outcome.reason) == ("failed", "took longer than 0 seconds")


def test_the_summary_has_the_reasons(elsewhere: Path) -> None:
    measure("publish")
    outcome = run(Benchmark("publish"), ["--help"], limit=60)
    assert outcome == Outcome("publish", "done", outcome.seconds, "without peer_two: npm is not installed")


def run_module(name: str, *arguments: str) -> int:
    """Run a benchmark in this process, in which most of what it imports is imported already; return its exit code."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", [name, *arguments])
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    return int(ended.value.code or 0)


# runpy says that a module that another one imported runs twice, which is what is wanted.
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("name", [*(one.module for one in BENCHMARKS), "mail_pictures", "mail_programs"])
def test_each_has_help_and_a_target(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(rf"-m benchmarks\.{name}\b", (ROOT / "Makefile").read_text())
    assert run_module(name, "--help") == 0
    assert capsys.readouterr().out.startswith("usage:")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("name", ["ranking", "calibration"])
def test_missing_data_is_said(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_module(name) == 2
    assert 'DATA="FOLDER ..."' in capsys.readouterr().err


def test_missing_programs_are_said(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(elsewhere))
    npm_folder.cache_clear()
    with pytest.raises(LeftOut, match="npm is not installed; install"):
        npm_folder("peers")
    with pytest.raises(LeftOut, match="no-such-program is not installed; install the package nowhere"):
        debian_program("no-such-program", "nowhere")


def test_published_results_are_drawn(elsewhere: Path) -> None:
    measure()
    Path("var/bench/summary.json").write_text("{}")
    assert publish(Path("var/bench"), elsewhere / "docs") == ["sending"]
    page = draw_all("<!-- plot sending messages_per_second -->\n\n<!-- measured sending -->", elsewhere / "docs")
    drawing, _, text = page.partition("\n\n")
    svg = ElementTree.fromstring(drawing)[0]
    assert (
        svg.attrib["aria-label"] == "Bar chart. Messages per second. ours: 53.5; peer one: 154.5; peer two: left out."
    )
    assert svg.attrib["viewBox"].startswith("0 0 340 ")
    drawn = [(one.attrib["class"], one.attrib["width"]) for one in svg.iter("rect")]
    assert drawn == [("ours", "117.7"), ("peer", "340.0")]
    assert "readers: 3,000" in text
    assert "small sizes" in text
    assert "Left out: peer two, since npm is not installed." in text


def test_nested_figures_are_drawn_with_all_names() -> None:
    assert list(bars({"head": {"ours": 1, "uvicorn": None}})) == [("head, ours", 1), ("head, uvicorn", None)]


def test_a_figure_that_does_not_exist_is_an_error(elsewhere: Path) -> None:
    measure()
    with pytest.raises(ValueError, match=r"sending\.json has no figure 'nothing\.seconds'"):
        draw_all("<!-- plot sending nothing.seconds -->", elsewhere / "var/bench")


def test_results_that_are_not_published_are_said_to_be_missing(elsewhere: Path) -> None:
    page = draw_all("<!-- plot sending seconds -->\n\n<!-- measured sending -->", elsewhere)
    assert page.strip() == "No results of `sending` are published yet."


def test_the_page_has_a_plot_of_each_figure_it_names() -> None:
    page = draw_all((ROOT / "docs/reference/benchmarks.md").read_text(), ROOT / "docs/benchmarks")
    assert "<svg" in page
    assert "<!-- plot" not in page
    assert "<!-- measured" not in page
