"""Subscribers' files in and out: broken rows, strange files, other programs' exports, and formulas."""

import csv
import io
import json
import re
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.import_export import csv_text, read_lines
from newsletter.audience.import_rows import FileRemark, ImportRow
from newsletter.errors import UserError
from newsletter.model import Interest, Preferences, Subscriber, SubscriberState
from newsletter.support.csv_files import escape_formula, unescape_formula
from newsletter.support.line_files import MOST_OF_A_LINE
from newsletter.support.text import to_single_line
from tests.audience.test_subscriber_file import phrases, preferences
from tests.audience.test_subscriptions import state
from tests.helpers.newsletter import Newsletter


def read(
    folder: Path, content: bytes | str, name: str = "people.csv", ignore_unknown: bool = False
) -> tuple[list[ImportRow], list[str], list[str]]:
    """What reading a file gives: the subscribers, the lines that are wrong, and the remarks."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = list(read_lines(path, ignore_unknown))
    wrong = [line.replace(f"{folder}/", "") for one in found if isinstance(one, UserError) for line in one.lines]
    remarks = [one.text.replace(f"{folder}/", "") for one in found if isinstance(one, FileRemark)]
    return [one for one in found if isinstance(one, ImportRow)], wrong, remarks


def refused(folder: Path, content: bytes | str, name: str = "people.csv") -> str:
    with pytest.raises(UserError) as caught:
        read(folder, content, name)
    return str(caught.value).replace(f"{folder}/", "")


def emails(lines: Iterable[ImportRow]) -> list[str]:
    return [line.preferences.email.partition("@")[0] for line in lines]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ('b@x.org,"Bob', "quote"),
        ('"b@x.org,Bob', "quote"),
        ('b@x.org,"Bob"by",', "double quotes inside values"),
        ("b@x.org,B\0ob", "contains a NUL character; remove it"),
        (f"b@x.org,{'B' * 200_000}", "a value of more than 131,072 characters; shorten it"),
        (f"b@x.org,{'B,' * MOST_OF_A_LINE}", "longer than 1,000,000 characters; shorten it"),
        (f"{'b' * 70}@x.org,Bob", "is not an email address"),
        ("b@x.org,Bob,1,surplus", "more values than columns"),
        ("Bob", "is not an email address"),
        ("b@x.org,B\udcffb", "contains bytes that are not text; save the file as UTF-8"),
    ],
)
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_broken_row_costs_nothing_but_itself(tmp_path: Path, broken: str, told: str, quoting: int) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=quoting, lineterminator="\n")
    writer.writerows([["email", "name", "papers"], ["a@x.org", "Ada, née Byron ñandú é è", "5"]])
    before = out.getvalue()
    out.truncate(out.seek(0))
    writer.writerows([["c@x.org", 'Cy "the\n\nman"', "5"], ["d@x.org", "Dan", "5"], *[["e@x.org", "", "5"]] * 300])
    content = f"{before}{broken}\n{out.getvalue()}".encode("utf-8", "surrogateescape")
    lines, wrong, remarks = read(tmp_path, content)
    assert emails(lines) == ["a", "c", "d", *["e"] * 300]
    assert lines[1].preferences.name == 'Cy "the man"'
    assert remarks == []
    assert len(wrong) == 1 and wrong[0].startswith("people.csv:3: ")
    assert told in wrong[0]


def test_a_quote_that_is_never_closed_costs_its_own_row(tmp_path: Path) -> None:
    rest = "".join(f"r{number}@x.org,Reader\n" for number in range(1_000))
    lines, wrong, _ = read(tmp_path, f'email,name\na@x.org,Ada\nb@x.org,"Bob\n{rest}')
    assert len(lines) == 1_001
    assert wrong == ["people.csv:3: a quote is not closed; close it, or double quotes inside values"]
    # Two that cancel each other would make a name of all that lies between.
    lines, wrong, _ = read(tmp_path, 'email,name,papers\na@x.org,"Ada,5\nb@x.org,Bob,5\nc@x.org,Cy",5\nd@x.org,Dan,5\n')
    assert emails(lines) == ["b", "d"]
    assert wrong == [
        "people.csv:2: a quote is not closed before the next row; check the quotes",
        "people.csv:4: is not a complete row, and follows a quote that is not closed; check the quotes",
    ]


def test_the_rest_of_a_broken_value_is_nobody(tmp_path: Path) -> None:
    content = 'email,name,papers\na@x.org,"Ada "of"\nfriend@x.org\nfriend@x.org,of hers", 5\nb@x.org,Bob,5\n'
    lines, wrong, _ = read(tmp_path, content)
    assert emails(lines) == ["b"]
    assert [line.partition(": ")[0] for line in wrong] == ["people.csv:2", "people.csv:3", "people.csv:4"]


def test_rows_that_leave_out_the_last_values_are_rows_after_a_broken_one_too(tmp_path: Path) -> None:
    content = 'email,name,papers\na@x.org,Ada\nb@x.org,"Bob\nc@x.org,Cy\nd@x.org,Dan,5\nrest of it\n'
    lines, wrong, _ = read(tmp_path, content)
    assert (emails(lines), len(wrong)) == (["a", "c", "d"], 2)


names = st.text(st.sampled_from('ab ,;"\n\té='), max_size=12).map(str.strip)


@given(
    st.lists(names, min_size=1, max_size=6),
    st.integers(0, 5),
    st.sampled_from(['x@x.org,"open', '"x@x.org,open', "x@x.org,n\0l", f"x@x.org,{'y' * 140_000}"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_wherever_a_broken_row_stands_all_others_are_read(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], place: int, broken: str, quoting: int
) -> None:
    rows = []
    for number, name in enumerate(names):
        out = io.StringIO()
        csv.writer(out, quoting=quoting, lineterminator="\n").writerow([f"r{number}@x.org", name])
        rows.append(out.getvalue())
    rows.insert(min(place, len(rows)), f"{broken}\n")
    lines, wrong, _ = read(tmp_path_factory.mktemp("csv"), "email,name\n" + "".join(rows))
    assert [line.preferences.name for line in lines] == [to_single_line(unescape_formula(name)) for name in names]
    assert len(wrong) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_of_other_programs_and_countries_are_read(
    tmp_path: Path, encoding: str, delimiter: str, end: str
) -> None:
    rows = [["Email ", "NAME", "interests"], ["zoe@x.org", f"Zoë {delimiter} Müller", "looms; engines"]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    lines, wrong, remarks = read(tmp_path, out.getvalue().encode(encoding))
    assert (emails(lines), wrong) == (["zoe"], [])
    assert lines[0].preferences.name == to_single_line(f"Zoë {delimiter} Müller")
    assert [interest.name for interest in lines[0].preferences.interests] == ["looms", "engines"]
    told = ["people.csv: not UTF-8, so it is read as Windows-1252; if names look wrong, save it as UTF-8"]
    assert remarks == (told if encoding == "cp1252" else [])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "people.csv: is empty; its first line must name the columns"),
        ("\n\n", "people.csv: is empty; its first line must name the columns"),
        ("email,name,Name\n", "people.csv:1: column 'name' appears twice; keep one of them"),
        ("e\0mail\n", "people.csv:1: the heading is not text; save it as UTF-8"),
        ('email,"name\n', "people.csv:1: a quote is not closed"),
        ("a," * 600_000, "people.csv:1: longer than 1,000,000 characters; shorten it"),
        ("name;vorname\n", "people.csv:1: no column 'email'; the columns are email, name,"),
        ("email,a,b,a\n", "people.csv:1: unknown columns 'a', 'b'; the columns are"),
    ],
)
def test_a_file_without_a_heading_to_go_by_is_refused(tmp_path: Path, content: str, expected: str) -> None:
    assert refused(tmp_path, content).startswith(expected)


def test_what_a_table_program_adds_is_no_mistake(tmp_path: Path) -> None:
    assert read(tmp_path, "email,name\n") == ([], [], [])
    lines, wrong, _ = read(tmp_path, "sep=;\nemail;name;papers\n\na@x.org;Ada;;;\n;;\nb@x.org\n")
    assert (emails(lines), wrong) == (["a", "b"], [])


def test_a_line_of_any_length_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    with path.open("wb") as file:
        file.write(b"email\na@x.org\n")
        file.truncate(150_000_000)
        file.seek(0, 2)
        file.write(b"\nb@x.org\n")
    tracemalloc.start()
    found = list(read_lines(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000
    assert [one.preferences.email for one in found if isinstance(one, ImportRow)] == ["a@x.org", "b@x.org"]
    assert "people.csv:3: longer than 1,000,000 characters" in str(found[1])


def test_unknown_columns_are_all_named_and_left_out_when_asked_for(newsletter: Newsletter) -> None:
    columns = [f"extra {number}" for number in range(30)]
    content = f"email,{','.join(columns)},name\na@x.org,{',' * 29},Ada\n"
    (newsletter.folder / "people.csv").write_text(content)
    ran = newsletter.run("subscribers", "import", "people.csv", code=2)
    assert "people.csv:1: unknown columns 'extra 0', 'extra 1'," in ran.err
    assert "'extra 19' and 10 more; the columns are email, name," in ran.err
    assert "ignore the others with --ignore-unknown" in ran.err
    ran = newsletter.run("subscribers", "import", "people.csv", "--ignore-unknown")
    assert ran.out.startswith("1 added")
    assert "people.csv: columns ignored: 'extra 0'," in ran.err
    assert state(newsletter, "a@x.org")["name"] == "Ada"
    (newsletter.folder / "people.jsonl").write_text('{"email": "b@x.org", "shoe": 1}\n{"email": "c@x.org", "hat": 2}\n')
    assert newsletter.run("subscribers", "import", "people.jsonl", code=2).err.count("unknown key") == 2
    ran = newsletter.run("subscribers", "import", "people.jsonl", "--ignore-unknown")
    assert ran.out.startswith("2 added")
    assert "people.jsonl: keys ignored: 'shoe', 'hat'" in ran.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "not JSON; write one object per line"),
        ('{"email": "b@x.org", "name": "B\0"}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a":' * 100_000, "not JSON"),
        ('{"email": "b@x.org", "interests": ' + "[" * 800 + "]" * 800 + "}", "interests"),
        ('{"email": "b@x.org", "papers": ' + "9" * 5_000 + "}", "not JSON"),
        ('{"email": "b@x.org", "papers": ' + "9" * 4_000 + "}", "papers"),
        ('{"email": "b@x.org", "papers": 1e999}', "papers"),
        ('{"email": "b@x.org", "state": {"a": 1}}', "is not a state"),
        ('{"email": "b@x.org", "state": ["active"]}', "is not a state"),
        ('{"email": "b@x.org", "email": "e@x.org"}', "email: duplicate key; keep one of them"),
        ('{"email": "b@x.org", "name": "' + "b" * MOST_OF_A_LINE + '"}', "longer than 1,000,000 characters"),
        ('{"email": "b@x.org", "interests": [' + "1," * 400_000 + "1]}", "more than 20,000 keys and values"),
        ('{"email": "b@x.org", "name": "B\udcff"}', "not UTF-8; save the file"),
    ],
)
def test_a_broken_line_of_json_costs_nothing_but_itself(tmp_path: Path, line: str, told: str) -> None:
    content = f'\ufeff{{"email": "a@x.org", "name": "Adé ñ é"}}\n{line}\r\n{{"email": "c@x.org"}}'
    lines, wrong, _ = read(tmp_path, content.encode("utf-8", "surrogateescape"), "people.jsonl")
    assert emails(lines) == ["a", "c"]
    assert len(wrong) == 1 and wrong[0].startswith("people.jsonl:2: ") and told in wrong[0]


def test_json_is_never_in_windows_1252(tmp_path: Path) -> None:
    lines, wrong, remarks = read(
        tmp_path, b'{"email": "a@x.org", "name": "Zo\xeb"}\n{"email": "b@x.org"}', "people.jsonl"
    )
    assert (emails(lines), remarks) == (["b"], [])
    assert wrong == ["people.jsonl:1: not UTF-8; save the file as UTF-8"]


def test_a_name_with_a_nul_in_json_is_cleaned(tmp_path: Path) -> None:
    lines, _, _ = read(tmp_path, '{"email": "b@x.org", "name": "B\\u0000ob"}', "people.jsonl")
    assert lines[0].preferences.name == "Bob"


@given(st.text(st.sampled_from("=+-@＝＠\t\r\n'\" ;,ax")) | st.text())
def test_guarding_a_cell_can_be_undone(text: str) -> None:
    assert unescape_formula(escape_formula(text)) == text


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    " =1",
    '"=1',
    "＝1+1",
    "＋1",
    "－1",
    "＠a",
    "x;=1",
    "x\t-1",
    "'=1",
]


@given(st.lists(st.text(st.sampled_from("=+-@＝\t'\" ;,ax\n")) | st.sampled_from(FORMULAS), min_size=1, max_size=3))
def test_no_table_program_finds_a_formula(cells: list[str]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([escape_formula(cell) for cell in cells])
    for delimiter in (",", ";", "\t"):
        for row in csv.reader(out.getvalue().splitlines(), delimiter=delimiter):
            for cell in row:
                assert delimiter == ";" or not re.match(r"[\s\"]*[=+\-@＝＋－＠]", cell)
                assert not cell.startswith(("=", "+", "-", "@", "＝"))


@given(preferences, st.sampled_from(["", "=cmd|' /C calc'!A0", "'=1", "''-x", "＋1", "Ada; =1+1", "\\;=\\"]), phrases)
def test_an_export_read_again_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, said: Preferences, name: str, word: str
) -> None:
    texts = dict.fromkeys([f"{word}; {name}", "a\\", "\\;b", *(one.name for one in said.interests)])
    interests = tuple(
        Interest(name=to_single_line(text), text=to_single_line(text)) for text in texts if to_single_line(text)
    )
    wanted = replace(
        said, email="=ada+x@example.org", name=to_single_line(name), interests=interests, never=(word, f";{word}")
    )
    subscriber = Subscriber(preferences=wanted, state=SubscriberState.PAUSED, row=1)
    lines, wrong, _ = read(tmp_path_factory.mktemp("csv"), csv_text([subscriber], heading=True))
    assert wrong == []
    assert (lines[0].preferences, lines[0].state) == (wanted, SubscriberState.PAUSED)


def test_an_export_has_no_formulas_and_keeps_what_hides_in_it(newsletter: Newsletter) -> None:
    newsletter.run("subscribe", "=ada@example.org", "--no-file", "--name", "=HYPERLINK(1)", "-i", "a;-b", "-i", "'=c")
    before = state(newsletter, "=ada@example.org")
    exported = newsletter.run("subscribers", "export").out
    assert exported.splitlines()[1].startswith("'=ada@example.org,'=HYPERLINK(1),active,")
    (newsletter.folder / "people.csv").write_text(exported)
    assert newsletter.run("subscribers", "import", "people.csv").out.startswith("0 added, 1 updated")
    assert state(newsletter, "=ada@example.org") == before
    assert '"name": "=HYPERLINK(1)"' in newsletter.run("subscribers", "export", "--format", "jsonl").out


LISTMONK = """\
uuid,email,name,attributes,status,created_at,updated_at
0f6b1c1e-0000-4000-8000-000000000001,Ada@x.org,Ada Lovelace,"{""city"": ""London"", ""timezone"": ""Europe/London""}",\
enabled,2024-03-05 10:20:30.123456 +0000 UTC,2024-03-06 10:20:30 +0000 UTC
0f6b1c1e-0000-4000-8000-000000000002,bob@x.org,,{},blocklisted,2024-03-05 10:20:30 +0000 UTC,2024-03-06 +0000 UTC
0f6b1c1e-0000-4000-8000-000000000003,cy@x.org,Cy,"{""timezone"": ""Mars/Base""}",disabled,2024-03-05 10:20:30 +0000 UTC,
0f6b1c1e-0000-4000-8000-000000000004,dan@x.org,Dan,not json,gone,2024-03-05 10:20:30 +0000 UTC,
0f6b1c1e-0000-4000-8000-000000000005,eve@x.org,'=Eve,[1],enabled,,
"""


def consent_of(newsletter: Newsletter, email: str) -> str:
    (row,) = newsletter.run("subscribers", "show", email, "--json").rows
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store:
        return str(store.execute("SELECT consent FROM subscribers WHERE email = ?", (row["email"],)).fetchone()[0])


def test_listmonks_export_is_read_as_it_is(newsletter: Newsletter) -> None:
    (newsletter.folder / "subscribers.csv").write_text(LISTMONK)
    ran = newsletter.run("subscribers", "import", "subscribers.csv", code=2)
    assert ran.out.startswith("4 added")
    assert "subscribers.csv: read as listmonk's export of all contacts" in ran.err
    assert "subscribers.csv:5: status: 'gone' is not a status; use one of enabled, disabled, blocklisted" in ran.err
    rows = {row["email"]: row for row in newsletter.run("subscribers", "list", "--json").rows}
    assert {email: (row["state"], row["name"]) for email, row in rows.items()} == {
        "Ada@x.org": ("active", "Ada Lovelace"),
        "bob@x.org": ("unsubscribed", ""),
        "cy@x.org": ("paused", "Cy"),
        "eve@x.org": ("active", "'=Eve"),
    }
    assert rows["Ada@x.org"]["schedule"]["timezone"] == "Europe/London"
    assert rows["cy@x.org"]["schedule"]["timezone"] == "UTC"
    expected = "import subscribers.csv, by listmonk: added 2024-03-05 10:20:30.123456 +0000 UTC"
    assert consent_of(newsletter, "Ada@x.org") == expected
    suppressed = newsletter.run("bounces", "suppressed", "--json").rows
    assert [(row["email"], row["reason"]) for row in suppressed] == [("bob@x.org", "unsubscribed")]


_SYSTEM = (
    "MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION"
)
_TAIL = "LAST_CHANGED,LEID,EUID,NOTES,TAGS"
SUBSCRIBED = (
    f'"Email Address","First Name","Last Name",Address,{_SYSTEM},{_TAIL}\n'
    'ada@x.org,Ada,Lovelace,"12 High St\nLondon",2,"2020-02-03 04:05:06",192.0.2.7,"2020-02-03 04:06:00",192.0.2.8,'
    '51.5,-0.1,0,1,Europe/London,GB,LND,"2021-01-01 00:00:00",123,abc,,"""VIP"",""Blog"""\n'
    'zoe@x.org,Zoë,,,2,,,"2020-02-03 04:06:00",,,,,,Nowhere/City,,,"2021-01-01 00:00:00",124,abd,,\n'
    'bob@x.org,Bob,,,2,,,,,,,,,,,,"2021-01-01 00:00:00",125,abe,,\n'
)
UNSUBSCRIBED = (
    f'"Email Address","First Name","Last Name",{_SYSTEM},UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,'
    f"UNSUB_REASON,UNSUB_REASON_OTHER,LEID,EUID,NOTES,TAGS\n"
    'bob@x.org,Bob,Brown,2,,,,,,,,,,,,"2022-05-06 07:08:09","May",c1,"No longer interested",,126,abf,,\n'
    "dora@x.org,Dora,,2,,,,,,,,,,,,,,,,,127,abg,,\n"
)
CLEANED = (
    f'"Email Address","First Name","Last Name",{_SYSTEM},CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID,{_TAIL}\n'
    'cy@x.org,Cy,,2,,,,,,,,,,,,"2022-05-06 07:08:09",,,"2022-05-06 07:08:09",128,abh,,\n'
)


def states(newsletter: Newsletter) -> dict[str, str]:
    return {row["email"][:-6]: row["state"] for row in newsletter.run("subscribers", "list", "--json").rows}


@pytest.mark.parametrize("where", ["members_export_1a2b/", ""])
@pytest.mark.parametrize("middle", ["members_export", "email_audience_export"])
def test_mailchimps_archive_is_read_as_it_is(newsletter: Newsletter, where: str, middle: str) -> None:
    with zipfile.ZipFile(newsletter.folder / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for kind, content in (
            ("subscribed", SUBSCRIBED),
            ("unsubscribed", UNSUBSCRIBED),
            ("cleaned", CLEANED),
            ("nonsubscribed", SUBSCRIBED.replace("@x.org", "@never.org")),
        ):
            archive.writestr(f"{where}{kind}_{middle}_1a2b3c.csv", content)
        archive.writestr(f"__MACOSX/._subscribed_{middle}_1a2b3c.csv", b"\0\1")
        archive.writestr("campaigns/sent.csv", "Title,Sent\nMay,2022\n")
    ran = newsletter.run("subscribers", "import", "export.zip")
    assert ran.out.startswith("5 added, 0 updated, 1 unchanged")
    assert states(newsletter) == {
        "bob": "unsubscribed",
        "dora": "unsubscribed",
        "cy": "bounced",
        "ada": "active",
        "zoe": "active",
    }
    assert f"nonsubscribed_{middle}_1a2b3c.csv: nonsubscribed contacts never agreed to get mail; skipped" in ran.err
    assert "read as Mailchimp's export of subscribed contacts; columns ignored: 'address', 'latitude'" in ran.err
    ada = state(newsletter, "ada@x.org")
    assert (ada["name"], ada["schedule"]["timezone"]) == ("Ada Lovelace", "Europe/London")
    assert state(newsletter, "zoe@x.org")["schedule"]["timezone"] == "UTC"
    assert consent_of(newsletter, "ada@x.org") == (
        "import export.zip, by Mailchimp: opted in 2020-02-03 04:05:06 from 192.0.2.7, "
        "confirmed 2020-02-03 04:06:00 from 192.0.2.8"
    )
    # Read again, it brings nobody back.
    newsletter.run("unsubscribe", "ada@x.org")
    newsletter.run("subscribers", "import", "export.zip")
    assert "active" not in set(states(newsletter).values()) - {states(newsletter)["zoe"]}
    assert states(newsletter)["ada"] == "unsubscribed"


def test_who_gets_mail_elsewhere_stays_paused_here(newsletter: Newsletter) -> None:
    (newsletter.folder / "list.csv").write_text("email,state\nada@x.org,paused\n")
    (newsletter.folder / "subscribed_members_export_1.csv").write_text(SUBSCRIBED)
    (newsletter.folder / "subscribers.csv").write_text(LISTMONK.replace("gone", "enabled"))
    for name in ("list.csv", "subscribed_members_export_1.csv", "subscribers.csv"):
        newsletter.run("subscribers", "import", name)
    assert states(newsletter)["ada"] == "paused"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("unsubscribed_members_export_1.csv", UNSUBSCRIBED, {"bob": "unsubscribed", "dora": "unsubscribed"}),
        ("people.csv", UNSUBSCRIBED, {"bob": "unsubscribed", "dora": "unsubscribed"}),
        ("people.csv", CLEANED, {"cy": "bounced"}),
        ("cleaned_segment_export_1.csv", SUBSCRIBED, {"ada": "bounced", "zoe": "bounced", "bob": "bounced"}),
        ("my unsubscribed.csv", SUBSCRIBED, dict.fromkeys(("ada", "zoe", "bob"), "unsubscribed")),
        ("subscribed_members_export_1.csv", UNSUBSCRIBED, {"bob": "unsubscribed", "dora": "active"}),
        (
            "people.csv",
            SUBSCRIBED.replace("Email Address", "Dirección de correo"),
            dict.fromkeys(("ada", "zoe", "bob"), "active"),
        ),
        ("nonsubscribed_email_audience_export_1.csv", SUBSCRIBED, {}),
        ("people.csv", "Email Address,UNSUB_TIME\nbob@x.org,\n", {"bob": "unsubscribed"}),
        ("cleaned_members_export_1.csv", "Email Address,First Name\ncy@x.org,Cy\n", {"cy": "bounced"}),
    ],
)
def test_a_file_of_mailchimps_is_known_by_name_and_columns(
    newsletter: Newsletter, name: str, content: str, expected: dict[str, str]
) -> None:
    (newsletter.folder / name).write_text(content)
    newsletter.run("subscribers", "import", name)
    assert states(newsletter) == expected


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "people.zip: cannot unpack it (File is not a zip file)" in refused(tmp_path, "x", "people.zip")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "x")
    assert "people.zip: contains no CSV file" in refused(tmp_path, out.getvalue(), "people.zip")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("subscribed_members_export_1.csv", SUBSCRIBED * 100)
    broken = bytearray(out.getvalue())
    broken[100:200] = bytes(100)
    assert "people.zip: cannot unpack it (" in refused(tmp_path, bytes(broken), "people.zip")


def test_far_too_many_mistakes_are_counted(newsletter: Newsletter) -> None:
    (newsletter.folder / "people.csv").write_text("email\n" + "nobody\n" * 1_500 + "a@x.org\n")
    ran = newsletter.run("subscribers", "import", "people.csv", code=2)
    assert ran.out.startswith("1 added")
    assert len(ran.err.splitlines()) == 1_001
    assert "people.csv: 1,500 lines have errors; the first ones are listed above" in ran.err


def test_json_lines_are_not_touched_by_guarding(newsletter: Newsletter) -> None:
    (newsletter.folder / "people.jsonl").write_text(json.dumps({"email": "a@x.org", "name": "'=x"}))
    newsletter.run("subscribers", "import", "people.jsonl")
    assert state(newsletter, "a@x.org")["name"] == "'=x"
