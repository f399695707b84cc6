"""Sources that mean harm, fetched as ``newsletter fetch`` does: each ends in time, and harms no other."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from string import ascii_lowercase

import pytest

from newsletter.config.sources import FileSource, Network
from newsletter.sources import source_reader
from newsletter.sources.base import DateRange
from newsletter.sources.bounds import MAX_RESPONSE_BYTES
from newsletter.sources.errors import SourceError
from newsletter.sources.factory import make_source
from newsletter.sources.source_reader import SourceAccess, SourceReader
from tests.helpers.hostile_servers import (
    NESTED,
    SLOW_TO_PARSE,
    HostileServer,
    RawHandler,
    answering,
    atom,
    dribbling,
    empty_blocks,
    endless,
    head,
    saying,
    silent,
)
from tests.helpers.newsletter import Newsletter, wait_until

GOOD = atom("<title>A good paper</title>")
SECONDS = 2


def fetching(newsletter: Newsletter, talk: RawHandler, kind: str = "feed", **changes: float) -> dict:
    """What ``fetch`` says of one source."""
    with HostileServer(talk) as url:
        named = {"feed": "url", "huggingface": "endpoint", "arxiv": "feed_url"}[kind]
        more = {"categories": ["cs.LG"]} if kind == "arxiv" else {}
        limits = {"source_seconds": 60, "attempts": 1, "timeout_seconds": 30, **changes}
        newsletter.configure(network=limits, sources={"s": {"kind": kind, named: url, **more}})
        ran = newsletter.run("fetch", "--json", code=None)
    (row,) = ran.rows
    assert ran.code == (1 if row["error"] else 0)
    return row


@pytest.mark.parametrize(
    "talk",
    [
        dribbling(head(10_000_000)),
        dribbling(b"HTTP/1.1 200 OK\r\nX-Long: "),
        dribbling(head(None, "Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
        dribbling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        silent,
        saying(SLOW_TO_PARSE),
        answering("503 Busy", "Retry-After: 59"),
        answering("302 Found", "Location: http://127.0.0.1:1/"),
    ],
    ids=["body", "header", "chunks", "100 Continue", "silence", "slow to parse", "Retry-After", "waits between tries"],
)
def test_the_time_of_a_source_is_bounded(newsletter: Newsletter, talk: RawHandler) -> None:
    began = time.monotonic()
    row = fetching(newsletter, talk, source_seconds=SECONDS, attempts=20, wait_seconds=2)
    assert row["error"] == (
        f"took longer than {SECONDS} s in total; the papers received so far are kept; "
        "raise network.source_seconds if it needs longer"
    )
    assert time.monotonic() - began < 40  # It would go on for minutes.


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (endless, "the response is larger than 50 MB"),
        (empty_blocks, "the response is larger than 50 MB"),
        (answering("302 Found", "Location: /again"), "too many redirects"),
        (answering("429 No", "Retry-After: 99999"), "status 429, retry after 99999 s"),
        (answering("302 Found", "Location: file:///etc/passwd"), "redirected to a URL that is not http or https"),
        (answering("302 Found", "Location: gopher://127.0.0.1/"), "redirected to a URL that is not http or https"),
        (saying(b"x" * 9, "Content-Encoding: zstd"), "the response is compressed with 'zstd', which was not requested"),
        (saying(b"x" * 9, "Content-Encoding: br"), "the response is compressed with 'br', which was not requested"),
        (saying(b"x" * 9, "Content-Encoding: gzip, gzip"), "the response is compressed more than once"),
        (saying(b"\n" * (MAX_RESPONSE_BYTES + 1)), "the response is larger than 50 MB"),
    ],
    ids=["endless", "empty blocks", "round", "long wait", "file", "gopher", "zstd", "br", "twice", "large"],
)
def test_what_is_refused(newsletter: Newsletter, talk: RawHandler, error: str) -> None:
    assert error in fetching(newsletter, talk)["error"]


LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))


@pytest.mark.parametrize(
    ("body", "papers"),
    [
        (NESTED, 1),
        (atom("<title>T</title>" + "<x>" * 300_000 + "</x>" * 300_000), 1),
        (atom("<title>T</title><summary>&l9;</summary>", before=f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]>'), 1),
        (atom("<title>T</title><summary>&e;</summary>", before='<!DOCTYPE x [<!ENTITY e SYSTEM "/etc/passwd">]>'), 1),
        (atom('<title>T</title><summary type="html">&amp;#' + "9" * 5000 + ";</summary>"), 1),
        (atom("<title>T</title><summary>" + "&lt;!--" * 300_000 + "</summary>"), 1),
        (atom("<title>T</title><author><name>" + "A B, " * 100_000 + "</name></author>"), 1),
        (atom("<title>T\0\1</title>"), 1),
        (b"\xef\xbb\xbf" + atom("<title>T</title>"), 1),
        (atom("<title>T\N{REPLACEMENT CHARACTER}</title>").replace("\N{REPLACEMENT CHARACTER}".encode(), b"\xff"), 1),
        (atom("<title>T</title><published>0001-01-01T00:00:00Z</published>"), 1),
        (atom("<title>T</title><published>9999-12-31T23:59:59Z</published>"), 1),
        (atom("<title></title>"), 0),
    ],
    ids=["div", "elements", "laughs", "external entity", "reference", "comments", "authors", "NUL", "BOM",
         "not UTF-8", "year 1", "year 9999", "no title"],
)  # fmt: skip
def test_a_feed_that_means_harm_is_a_paper_like_another(newsletter: Newsletter, body: bytes, papers: int) -> None:
    row = fetching(newsletter, saying(body))
    assert (row["papers"], row["error"]) == (papers, None)
    for paper in newsletter.run("papers", "list", "--json").rows:
        assert len(paper["abstract"]) <= 10_000
        assert "root:" not in paper["abstract"]


HARMFUL_JSON = {
    "brackets": (b"[" * 100_000, "the response is not JSON"),
    "number": (
        b'[{"paper":{"id":"2501.00001","title":"T","upvotes":' + b"9" * 5000 + b"}}]",
        "the response is not JSON",
    ),
    "no list": (b'{"error": "no"}', "the response is not a list"),
    "NaN": (b'[{"paper":{"id":"2501.00001","title":"T","upvotes":NaN}}]', None),
    "large number": (b'[{"paper":{"id":"2501.00001","title":"T","upvotes":%d}}]' % 2**40, None),
    "negative number": (b'[{"paper":{"id":"2501.00001","title":"T","upvotes":-5}}]', None),
}


@pytest.mark.parametrize("which", HARMFUL_JSON)
def test_json_that_means_harm(newsletter: Newsletter, which: str) -> None:
    body, error = HARMFUL_JSON[which]
    row = fetching(newsletter, saying(body), "huggingface")
    assert row["papers"] == 0
    assert error in row["error"] if error else row["bad"][0]["why"].startswith("paper.upvotes: ")


def test_pages_without_end(newsletter: Newsletter) -> None:
    page = json.dumps([{"paper": {"id": f"2501.{number:05}", "title": f"T {number}"}} for number in range(100)])
    row = fetching(newsletter, saying(page.encode()), "huggingface", source_papers=1050)
    assert row["error"] == (
        "returns more than 1,050 papers; the rest was left out; raise network.source_papers if that is expected"
    )
    assert (row["papers"], row["new"]) == (1050, 100)


@pytest.mark.system
def test_a_source_that_takes_too_much_memory_is_ended_alone(newsletter: Newsletter) -> None:
    # Half a gigabyte as a list in Python.
    with HostileServer(saying(b"[" + b"[],[]," * 8_000_000 + b"[]]")) as large, HostileServer(saying(GOOD)) as good:
        newsletter.configure(
            network={"attempts": 1},
            sources={"large": {"kind": "huggingface", "endpoint": large}, "good": {"kind": "feed", "url": good}},
        )
        command = f"ulimit -v 1000000; exec {shlex.quote(sys.executable)} -m newsletter fetch --json"
        ran = subprocess.run(
            ["bash", "-c", command], cwd=newsletter.folder, capture_output=True, text=True, timeout=120
        )
    too_large, fine = map(json.loads, ran.stdout.splitlines())
    assert too_large["error"] == "ran out of memory; the papers received so far are kept"
    assert (fine["papers"], fine["error"]) == (1, None)


def test_pages_that_came_before_the_deadline_are_kept_and_asked_for_again(newsletter: Newsletter) -> None:
    page = json.dumps([{"paper": {"id": f"2501.{number:05}", "title": f"T {number}"}} for number in range(100)])
    asked: list[bytes] = []

    def talk(connection) -> None:
        asked.append(b"")
        saying(page.encode(), 'ETag: "x"')(connection) if len(asked) == 1 else silent(connection)

    row = fetching(newsletter, talk, "huggingface", source_seconds=5)
    assert (row["papers"], row["new"]) == (100, 100)
    assert "took longer" in row["error"]
    conditions: list[bool] = []

    def later(connection) -> None:
        saying(b"[]")(connection)

    server = HostileServer(later)
    with server as url:
        newsletter.configure(sources={"s": {"kind": "huggingface", "endpoint": url}})
        newsletter.run("fetch")
    conditions += [b"if-none-match" in request.lower() for request in server.requests]
    assert not any(conditions)


@pytest.mark.system
def test_slow_sources_keep_no_other_waiting(newsletter: Newsletter) -> None:
    servers = [HostileServer(talk) for talk in (silent, saying(SLOW_TO_PARSE), dribbling(head()), saying(GOOD))]
    urls = [server.__enter__() for server in servers]
    newsletter.configure(
        network={"source_seconds": 120, "attempts": 1},
        sources={name: {"kind": "feed", "url": url} for name, url in zip("abcd", urls, strict=True)},
    )
    process = newsletter.start("fetch")
    wait_until(lambda: newsletter.run("papers", "list", "--json").rows, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "warning: interrupted; papers fetched so far are stored, and the next fetch gets the rest\n"
    for server in servers:
        server.__exit__(None, None, None)


STOPPED_WHILE = {
    "body": dribbling(head(10_000_000)),
    "silence": silent,
    "parsing": saying(SLOW_TO_PARSE),
    "waiting": answering("503 Busy", "Retry-After: 59"),
    "receiving": dribbling(head(), b"x" * 10_000, 0.01),
}


@pytest.mark.system
@pytest.mark.parametrize("command", [["fetch"], ["run", "--once"], ["run"]], ids=" ".join)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_fetch_stops_within_seconds(newsletter: Newsletter, number: signal.Signals, command: list[str]) -> None:
    """Four sources are read at once, each in the middle of something else."""
    left_out = "receiving" if number == signal.SIGTERM else "body"
    with ExitStack() as servers:
        all_of_them = {name: HostileServer(talk) for name, talk in STOPPED_WHILE.items() if name != left_out}
        sources = {name: {"kind": "feed", "url": servers.enter_context(one)} for name, one in all_of_them.items()}
        newsletter.configure(sources=sources)
        process = newsletter.start(*command)
        wait_until(lambda: all(one.requests for one in all_of_them.values()), process)
        time.sleep(1)  # They are in the middle of it.
        children = children_of(process.pid)
        assert len(children) >= len(all_of_them)
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=90)
    # They would go on for minutes.
    assert time.monotonic() - began < 40
    assert process.returncode == (130 if command == ["fetch"] else 0), out + err
    assert "Traceback" not in err
    assert wait_for_end(children)


def test_a_process_that_reads_a_source_ends_with_a_newsletter_that_was_killed(newsletter: Newsletter) -> None:
    asked = threading.Event()

    def talk(connection) -> None:
        asked.set()
        silent(connection)

    with HostileServer(talk) as url:
        newsletter.configure(sources={"s": {"kind": "feed", "url": url}})
        process = newsletter.start("fetch")
        assert asked.wait(60)
        children = children_of(process.pid)
        process.kill()
        process.communicate()
        assert children
        assert wait_for_end(children)


def reading(path: Path, **settings: object) -> SourceReader:
    """A file that is a source, read in a process of its own."""
    network = Network(attempts=1).model_copy(update=settings)
    source = make_source("s", FileSource(kind="file", path=path.name), path.parent)
    return SourceReader(source, DateRange(None, date(2025, 12, 1)), SourceAccess(network, "x"))


def test_large_papers_are_handed_on_in_small_blocks(tmp_path: Path) -> None:
    path = tmp_path / "papers.jsonl"
    names = (f"{first}{second}" for first in ascii_lowercase for second in ascii_lowercase)
    authors = [f"Ada {'Bo' * 94} C{name}" for name in names]
    lines = [json.dumps({"title": f"Paper {number}", "authors": authors}) for number in range(50)]
    path.write_text("\n".join(lines))
    with reading(path) as reader:
        blocks = list(reader.blocks())
    assert sum(map(len, blocks)) == 50
    assert max(map(len, blocks)) <= 32


def test_a_source_without_papers_has_no_blocks(tmp_path: Path) -> None:
    with reading(tmp_path / "none.jsonl") as reader, pytest.raises(SourceError, match="No such file"):
        next(reader.blocks())


def test_a_client_that_cannot_be_made_is_the_failure_of_its_source(tmp_path: Path) -> None:
    failed = pytest.raises(SourceError, match=r"cannot be read: ValueError: .*nonesuch")
    with reading(tmp_path / "papers.jsonl", proxy="nonesuch://127.0.0.1:1") as reader, failed:
        list(reader.blocks())


@pytest.mark.parametrize(("error", "why"), [(EOFError("unexpected EOF"), "unexpected EOF"), (OSError(11, "No"), "No")])
def test_a_process_that_cannot_be_started_is_the_failure_of_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    context = source_reader.process_context()

    def start(self: object) -> None:
        raise error

    monkeypatch.setattr(context.Process, "start", start)  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match=f"cannot start a process to read it: {why}"):
        reading(tmp_path / "papers.jsonl")


def test_a_process_that_reads_a_source_gives_way_to_others(newsletter: Newsletter) -> None:
    asked = threading.Event()

    def talk(connection) -> None:
        asked.set()
        silent(connection)

    with HostileServer(talk) as url:
        newsletter.configure(sources={"s": {"kind": "feed", "url": url}})
        process = newsletter.start("fetch")
        assert asked.wait(60)
        levels = [os.getpriority(os.PRIO_PROCESS, child) for child in children_of(process.pid)]
        ours = os.getpriority(os.PRIO_PROCESS, process.pid)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert max(levels) == min(19, ours + 10) > ours


def children_of(pid: int) -> list[int]:
    """The processes below one, also those of its children."""
    printed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in printed.splitlines()]
    found = [pid]
    for above in found:
        found += [child for child, parent in pairs if parent == above]
    return found[1:]


def wait_for_end(pids: list[int]) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not any(is_running(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_file_that_is_a_source_is_read_in_time_too(newsletter: Newsletter) -> None:
    os.mkfifo(newsletter.folder / "pipe.jsonl")
    (newsletter.folder / "slow.xml").write_bytes(SLOW_TO_PARSE)
    # These two end at once, but a process may take a while to start.
    sources = {name: {"kind": "file", "path": name} for name in ("pipe.jsonl", "none.jsonl")}
    newsletter.configure(network={"source_seconds": 60}, sources=sources)
    pipe, none = newsletter.run("fetch", "--json", code=1).rows
    assert "not a file, but a pipe" in pipe["error"]
    assert "none.jsonl: No such file" in none["error"]
    newsletter.configure(
        network={"source_seconds": SECONDS}, sources={"slow.xml": {"kind": "file", "path": "slow.xml"}}
    )
    errors = {row["source"]: row["error"] for row in newsletter.run("fetch", "--json", code=1).rows}
    assert "took longer than" in errors["slow.xml"]


@pytest.mark.both_stores
def test_what_no_database_keeps_is_left_out(newsletter: Newsletter) -> None:
    row = fetching(newsletter, saying(atom("<title>T &#x1F600; \ufdfa</title>" + "<summary>a\ufffe\0b</summary>")))
    assert (row["papers"], row["error"]) == (1, None)
    long = "\ufdfa" * 3000
    row = fetching(newsletter, saying(atom(f"<title>{long}</title>", f"<title>{long}!</title>")))
    assert (row["papers"], row["new"], row["error"]) == (2, 1, None)
    assert "title cut to 1,000" in row["cut"][0]
