"""A reader's library from a file, whatever the program that wrote it and whatever else was given by mistake."""

import io
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import UserError
from newsletter.sources import library_files
from newsletter.sources.library_files import check_library_file, read_library_file

BIBTEX = "@article{smith, title={Über Bäume}, author={Müller, Eva}, year=2020, groups={Forests, Woods}}\n"
RIS = "TY  - JOUR\nTI  - Über Bäume\nAU  - Müller, Eva\nPY  - 2020\nER  - \n"


def zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml" if name else "x.txt", "x")
        archive.writestr(name or "y.txt", "y")
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("name", ["library.bib", "library.ris", "library.txt", "library"])
@pytest.mark.parametrize("text", [BIBTEX, RIS, BIBTEX.replace("\n", "\r\n"), RIS.replace("\n", "\r")])
def test_the_content_says_what_a_file_is(text: str, name: str, encoding: str) -> None:
    (item,), skipped, _ = read_library_file(text.encode(encoding), name)
    assert (item.paper.title, item.paper.authors, skipped) == ("Über Bäume", ("Eva Müller",), [])
    assert item.collections == (("Forests", "Woods") if text.startswith("@") else ())


def test_joined_files_in_two_encodings() -> None:
    items, *_ = read_library_file(BIBTEX.encode() * 2 + BIBTEX.encode("cp1252"), "library.bib")
    assert [item.paper.authors for item in items] == [("Eva Müller",)] * 3


def test_the_name_decides_where_one_format_is_inside_of_the_other() -> None:
    inside = f"{RIS.replace('ER  - ', '')}N1  - from BibTeX:\n{BIBTEX}ER  - \n"
    for name in ("x.ris", "x.txt"):
        assert len(read_library_file(inside.encode(), name)[0]) == 1
    note = f"@article{{a, title={{T}}, note={{\n{RIS}}}}}"
    assert [item.key for item in read_library_file(note.encode(), "x.bib")[0]] == ["a"]


def test_keys_differ() -> None:
    keys = ("smith", "smith-2", "smith", "smith", "x" * 500)
    text = "".join(f"@article{{{key}, title={{T{number}}}}}\n" for number, key in enumerate(keys))
    items, *_ = read_library_file(text.encode(), "library.bib")
    assert [item.paper.title for item in items] == ["T0", "T1", "T2", "T3", "T4"]
    assert [item.key for item in items[:4]] == ["smith", "smith-2", "smith-3", "smith-4"]
    assert len(items[4].key) < 100


def test_a_key_in_ris_is_that_of_the_paper() -> None:
    (one, two, other), *_ = read_library_file((RIS * 2 + RIS.replace("TI", "DO  - 10.1000/x\nTI")).encode(), "x.ris")
    assert two.key == f"{one.key}-2"
    assert other.key != one.key
    # Whatever else is in the file and in the record.
    later, *_ = read_library_file((RIS.replace("Über", "Unter") + RIS.replace("2020", "2021")).encode(), "y.ris")
    assert later[1].key == one.key


def test_entries_that_are_no_papers_are_reported() -> None:
    items, skipped, _ = read_library_file(f"@article{{b, author={{X}}}}\n{BIBTEX}".encode(), "library.bib")
    assert ([item.key for item in items], [one.where for one in skipped]) == (["smith"], ["library.bib:1"])


def test_long_texts_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    (item,), *_ = read_library_file(f"@article{{a, title={{{'word ' * 5000}}}}}".encode(), "x.bib")
    assert len(item.paper.title) <= 1_000
    monkeypatch.setattr(library_files, "MAX_LIBRARY_ENTRIES", 2)
    for copies, left_out in ((2, 0), (5, 3)):
        for text in (RIS, BIBTEX):
            items, skipped, more = read_library_file((text * copies).encode(), "x")
            assert (len(items), skipped, more) == (2, [], left_out)


@pytest.mark.parametrize(
    "entry",
    [
        "@article{a, title={T}, year=2023, month=2, day=30}",
        "@article{a, title={T}, year=1500}",
        "@article{a, title={T}, date={2023-13-45}}",
        "@article{a, title={T}, year={0000}}",
        "@article{a, title={T}, doi={10.1000/abc\u200bdef}}",
        f"@article{{a, title={{T}}, doi={{10.1000/{'a' * 400}}}}}",
        "TY  - JOUR\nTI  - T\nDA  - 2023/02/30\nER  - \n",
        "TY  - JOUR\nTI  - T\nPY  - 2999\nER  - \n",
        f"TY  - JOUR\nTI  - T\nDO  - 10.1000/{'a' * 400}\nER  - \n",
    ],
)
def test_a_bad_date_or_identifier_leaves_the_paper(entry: str) -> None:
    # A paper that is missing here could be sent to its owner as a new one.
    items, skipped, _ = read_library_file(entry.encode(), "x")
    assert [(item.paper.title, item.paper.published, item.paper.doi) for item in items] == [("T", None, None)]
    assert skipped == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b" \r\n", "the file is empty"),
        (b"%PDF-1.7\n%\xe2", "is a PDF"),
        (zipped("word/document.xml"), "is a Word document"),
        (zipped(""), "is a ZIP archive or an office document"),
        (b"\n<!DOCTYPE html><html>@article{a, title={x}}", "is a web page (HTML)"),
        ("﻿<?xml version='1.0'?><xml><records/></xml>".encode(), "is XML"),
        (b'[{"id": "a", "type": "article-journal", "title": "x"}]', "is CSL-JSON"),
        (b'{"papers": []}', "is JSON"),
        (b"PMID- 123\nTI  - x\n", "is a PubMed file (nbib)"),
        (b"Dear all,\nsee you", "is neither BibTeX nor RIS"),
        (b"\0\1\2@article{a,", "is neither BibTeX nor RIS"),
        (b"@article{a, year=2020}", "has no entry with a title (x.dat:1: 'a' has no title)"),
        (b"x" * 10_000_001, "larger than 10 MB"),
    ],
)
def test_other_files_are_named(content: bytes, what: str) -> None:
    with pytest.raises(UserError) as error:
        read_library_file(content, "x.dat")
    (line,) = error.value.lines
    assert line.startswith(f"x.dat: {what}")
    assert "export" in line


@pytest.mark.parametrize(
    "content",
    [
        "@article{a, title={T}}\n" + "".join(f"@string{{s{n + 1} = s{n} # s{n}}}\n" for n in range(10_000)),
        '@string{s = "word "}\n' + "@string{s = s # s}\n" * 50 + f"@article{{a, title={{T}}, note={'s # ' * 50_000}s}}",
        "@article{a, title={T}}\n" + "@xdata{d, xdata={d, d, d}, note={x}}\n" * 100,
        "TY  - JOUR\nTI  - T\n" + "wrapped\n" * 200_000,
        "x" + "\n" * 200_000 + "@article{a, title={T}}",
    ],
)
def test_time_and_memory_are_bounded(content: str) -> None:
    start = time.process_time()
    assert len(read_library_file(content.encode(), "x")[0]) == 1
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        (b"PK\x03\x04", b"[Content_Types].xml"),
        (b"PK\x03\x04", b"[Content_Types].xml word"),
        (b"", b"["),
        (b"", b'{"a":'),
        (b"[1.", b"1"),
        (b"[", b"1,"),
        (b"", b" "),
        (b"x", b" \n"),
        (b"", b"@a\n"),
        (b"@a", b"\n"),
        (b"@", b" "),
        (b"@", b"a"),
        (b"", b"TY \n"),
        (b"FN ", b"x"),
        (b"", "é€".encode() + b"\xff"),
    ],
)
def test_a_strangers_file_is_checked_in_linear_time(start: bytes, repeated: bytes) -> None:
    content = start + repeated * (1_000_000 // len(repeated))
    began = time.process_time()
    with pytest.raises(UserError):
        check_library_file(content, "x")
    assert time.process_time() - began < 2


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"TY  - JOUR\nTI  - x\n{text}".encode()))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    try:
        items, *_ = read_library_file(content, "x")
    except UserError:
        return
    assert items
