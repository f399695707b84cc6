import json
from datetime import date
from pathlib import Path

import pytest

from newsletter.config.sources import FileSource
from newsletter.errors import UserError
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.factory import make_source
from newsletter.sources.files import FileReader, read_file
from newsletter.sources.http import HttpClient

from .test_arxiv import announced
from .test_arxiv import feed as arxiv_feed
from .test_feed import ATOM, RSS
from .test_huggingface import entry

AS_OF = date(2025, 11, 28)
CONTENTS = {
    "page.txt": "new\n\nNov 25\n\nOne\n\nA page.\n",
    "papers.jsonl": '{"title": "One"}\n',
    "PAPERS.NDJSON": '\ufeff{"title": "One"}\n',
    "day.json": json.dumps([entry(title="One")]),
    "library.bib": "@article{a, title={One}}",
    "saved.xml": ATOM,
    "saved.atom": arxiv_feed(announced(1, "replace", 2)),
    "saved.rss": RSS,
}


@pytest.mark.parametrize("name", CONTENTS)
def test_the_ending_says_how_a_file_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(CONTENTS[name], encoding="utf-8")
    paper = next(read_file(path, name, AS_OF))
    assert isinstance(paper, Paper)
    assert paper.title in ("One", "Paper number 1", "On E. coli & $a<b$")
    assert paper.sources == ()


def test_a_saved_arxiv_feed_is_known_as_such(tmp_path: Path) -> None:
    path = tmp_path / "saved.xml"
    path.write_text(CONTENTS["saved.atom"])
    (paper,) = read_file(path, "saved.xml", AS_OF)
    assert isinstance(paper, Paper)
    assert (paper.version, paper.abstract) == (2, "If $a<b$, then <think>.")


def test_a_saved_answer_has_links_to_its_site(tmp_path: Path) -> None:
    path = tmp_path / "day.json"
    path.write_text(json.dumps([entry(), {}]))
    paper, bad = read_file(path, "day.json", AS_OF)
    assert isinstance(paper, Paper)
    assert paper.url == "https://huggingface.co/papers/2511.00001"
    assert bad == SkippedPaper("day.json: paper 2", "paper: missing")


@pytest.mark.parametrize(
    ("name", "content", "first_problem"),
    [
        ("page.pdf", b"%PDF", "page.pdf: unknown extension '.pdf'; known extensions: .txt"),
        ("page", b"x", "page: unknown extension ''"),
        ("page.txt", b"", "page.txt: the file is empty"),
        ("saved.xml", b"", "saved.xml: the file is empty"),
        ("page.txt", b" \n\n", "page.txt: the file is empty"),
        ("page.txt", b"\xff\xfeN\0o\0v\0", "page.txt: byte 0 is not UTF-8"),
        ("page.txt", b"Nov 25\n\0\0\0", "page.txt: not a text file"),
        (
            "page.txt",
            b"Dear all",
            "page.txt:1: expected the date of a saved Daily Papers page, like 'Nov 25', but found 'Dear all'",
        ),
        ("papers.jsonl", b"\x80abc", "papers.jsonl: byte 0 is not UTF-8"),
        ("day.json", b"{}", "day.json:1: not a list"),
        ("day.json", b"[\n{]", "day.json:2: not JSON"),
        ("day.json", b"[" * 100_000, "day.json: JSON that cannot be parsed"),
        ("saved.xml", b"<html></html>", "saved.xml: neither RSS nor Atom"),
        ("saved.rss", RSS[:600].encode(), "saved.rss: the feed is incomplete or not XML"),
        ("saved.xml", b"\0\xff\x89PNG", "saved.xml: "),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    tmp_path: Path, name: str, content: bytes, first_problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        list(read_file(path, name, AS_OF))
    assert str(error.value).startswith(first_problem)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_file(tmp_path / name, name, AS_OF)
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="directory"):
        read_file(tmp_path / name, name, AS_OF)


def test_a_file_is_a_source_that_is_read_again(tmp_path: Path, http: HttpClient) -> None:
    source = make_source("mine", FileSource(kind="file", path=Path("page.txt")), tmp_path)
    assert isinstance(source, FileReader)
    assert source.name == "mine"
    window = DateRange(None, AS_OF)
    with pytest.raises(UserError, match=r"^page\.txt: No such file"):
        source.fetch(window, http)
    for title in ("One", "Two"):
        (tmp_path / "page.txt").write_text(f"Nov 25\n\n{title}\n\nAn abstract.\n")
        (paper,) = source.fetch(window, http)
        assert isinstance(paper, Paper)
        assert (paper.title, paper.listed_on) == (title, date(2025, 11, 25))
