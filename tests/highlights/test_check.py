"""`newsletter highlights check`, and a source's own summary instead of highlights, through the commands."""

import json

from tests.helpers.newsletter import Newsletter

PAPERS = [
    {
        "title": "Looms for several goals, Pareto fronts and multi-objective reinforcement learning",
        "abstract": "To address this issue, we propose a loom that reads cards. Experiments show that it is fast.",
        "listed_on": "2025-11-28",
        "summary": "A loom that reads\n cards is fast.\u202e",
        "summary_by": "Hugging  Face",
        "keywords": ["Pareto fronts"],
    },
    {"title": "Mills", "abstract": "It grinds. The latter grind.", "listed_on": "2025-11-28"},
    {"title": "Nothing", "abstract": " "},
]


def import_papers(newsletter: Newsletter) -> None:
    path = newsletter.folder / "papers.jsonl"
    path.write_text("".join(json.dumps(paper) + "\n" for paper in PAPERS))
    newsletter.run("import", path)


def test_the_sentences_of_the_stored_papers_are_measured(newsletter: Newsletter) -> None:
    assert newsletter.run("highlights", "check", "--json").rows[0]["sentences"] == 0
    import_papers(newsletter)
    (row,) = newsletter.run("highlights", "check", "--json").rows
    assert (row["papers"], row["sentences"], row["leaning"], row["markup"], row["too_long"]) == (2, 4, 2, 0, 0)
    assert row["median_words"] == 4.5
    listed = newsletter.run("highlights", "check", "--list").out
    assert "Idea: We propose a loom that reads cards." in listed
    assert listed.count("\n* ") + listed.startswith("* ") == 2
    assert "2 papers, 4 sentences; median 4.5 words, longest 7" in listed
    assert "50.0%" in listed


def test_a_summary_is_shown_instead_only_if_configured(newsletter: Newsletter, reader: str) -> None:
    import_papers(newsletter)
    shown = newsletter.run("preview", reader, "--format", "text").out
    assert "We propose a loom that reads cards." in shown
    assert "Summary" not in shown
    newsletter.configure(digest={"source_summaries": True})
    shown = " ".join(newsletter.run("preview", reader, "--format", "text").out.split())
    assert "Summary by Hugging Face: A loom that reads cards is fast." in shown
    assert "We propose a loom" not in shown
    (paper,) = [row for row in newsletter.run("papers", "list", "--json").rows if row["title"].startswith("Looms")]
    assert paper["summary_by"] == "Hugging Face"
