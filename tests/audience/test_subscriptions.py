"""Who is subscribed: files, commands and the states they can and cannot change."""

import pytest

from tests.helpers.newsletter import Newsletter

ADA = """\
email: ada@example.org
schedule:
  time: "09:30"
interests:
  - engines # and looms
"""


def state(newsletter: Newsletter, email: str = "ada@example.org") -> dict:
    (row,) = newsletter.run("subscribers", "show", email, "--json").rows
    return row


def test_a_file_makes_a_subscriber(newsletter: Newsletter) -> None:
    newsletter.subscriber("ada", ADA)
    row = state(newsletter)
    assert row["state"] == "active"
    assert row["file"] == "ada.yaml"
    assert row["next_due"] == "2025-11-28T09:30:00+00:00"
    assert [interest["name"] for interest in row["interests"]] == ["engines"]


def test_a_changed_file_is_read_again(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("ada", ADA)
    state(newsletter)
    path.write_text(ADA.replace("09:30", "08:15").replace("engines", "looms"))
    row = state(newsletter)
    assert row["next_due"] == "2025-12-01T08:15:00+00:00"
    assert [interest["name"] for interest in row["interests"]] == ["looms"]


def test_a_file_that_is_wrong_is_told_of_and_changes_nothing(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("ada", ADA)
    newsletter.subscriber("bob", "email: bob@example.org\n")
    state(newsletter)
    path.write_text(ADA.replace("interests:", "intrests:"))
    ran = newsletter.run("subscribers", "list", "--json")
    assert "ada.yaml:4: intrests: unknown key; did you mean 'interests'?" in ran.err
    assert [row["email"] for row in ran.rows] == ["ada@example.org", "bob@example.org"]
    assert [interest["name"] for interest in ran.rows[0]["interests"]] == ["engines"]


def test_no_file_and_no_import_undoes_an_unsubscribe(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("ada", ADA)
    newsletter.run("unsubscribe", "ADA@example.org")
    path.write_text(ADA.replace("engines", "looms"))
    row = state(newsletter)
    assert (row["state"], row["next_due"]) == ("unsubscribed", None)
    (newsletter.folder / "list.csv").write_text("email,state\nada@example.org,active\n")
    assert "1 unchanged" in newsletter.run("subscribers", "import", "list.csv").out
    assert state(newsletter)["state"] == "unsubscribed"
    ran = newsletter.run("subscribe", "ada@example.org", code=2)
    assert ran.err == "error: ada@example.org is unsubscribed; pass --again if that person asked to come back\n"
    newsletter.run("subscribe", "ada@example.org", "--again")
    assert state(newsletter)["state"] == "active"


def test_subscribing_by_command_makes_a_file_and_changes_keep_its_comments(newsletter: Newsletter) -> None:
    newsletter.run("subscribe", "Ada.L@example.org", "-i", "engines", "--timezone", "Europe/Paris")
    path = newsletter.folder / "subscribers" / "ada.l.yaml"
    text = path.read_text()
    path.write_text(text.replace("name: engines", "name: engines # analytical ones"))
    newsletter.run("subscribe", "ada.l@example.org", "-i", "looms", "--time", "6:45", "--days", "daily")
    assert "# analytical ones" in path.read_text()
    row = state(newsletter, "ada.l@example.org")
    assert [interest["name"] for interest in row["interests"]] == ["engines", "looms"]
    assert row["schedule"] == {
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "time": "06:45",
        "timezone": "Europe/Paris",
    }


def test_two_files_cannot_claim_one_address(newsletter: Newsletter) -> None:
    newsletter.subscriber("ada", ADA)
    newsletter.subscriber("zoe", ADA)
    assert "zoe.yaml: email: ada@example.org already has a file, ada.yaml" in newsletter.run("subscribers", "list").err


def test_a_file_may_be_renamed_and_its_address_changed(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("ada", ADA)
    state(newsletter)
    path.rename(path.with_name("lovelace.yaml"))
    assert state(newsletter)["file"] == "lovelace.yaml"
    path.with_name("lovelace.yaml").write_text(ADA.replace("ada@", "lovelace@"))
    rows = newsletter.run("subscribers", "list", "--json").rows
    assert [row["email"] for row in rows] == ["lovelace@example.org"]


def test_a_file_that_is_gone_is_told_of_once(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("ada", ADA)
    state(newsletter)
    path.unlink()
    assert (
        "the file was removed; ada@example.org keeps the previous interests"
        in newsletter.run("subscribers", "list").err
    )
    assert newsletter.run("subscribers", "list").err == ""


@pytest.mark.parametrize("written", ["Ada@BÜCHER.example", "ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"])
def test_an_address_is_found_however_its_domain_is_written(newsletter: Newsletter, written: str) -> None:
    newsletter.subscriber("ada", ADA.replace("example.org", "bücher.example"))
    assert state(newsletter, written)["email"] == "ada@bücher.example"
    newsletter.run("subscribe", written, "--papers", "7")
    assert [row["papers"] for row in newsletter.run("subscribers", "list", "--json").rows] == [7]


def test_domains_that_only_look_alike_are_two(newsletter: Newsletter) -> None:
    for email in ("ada@straße.example", "ada@strasse.example"):
        newsletter.run("subscribe", email, "--no-file")
    assert [row["email"] for row in newsletter.run("subscribers", "list", "--json").rows] == [
        "ada@straße.example",
        "ada@strasse.example",
    ]


def test_a_file_whose_name_cannot_be_kept_is_told_of(newsletter: Newsletter, reader: str) -> None:
    (newsletter.folder / "subscribers" / "b\udcffb.yaml").write_text("email: bob@example.org\n")
    ran = newsletter.run("subscribers", "list", "--json")
    assert [row["email"] for row in ran.rows] == [reader]
    assert ran.err.endswith("/subscribers/b\\udcffb.yaml: the file name is not UTF-8; rename the file\n")
    assert "name is not UTF-8" in newsletter.run("interests", "check", code=2).err
    assert "name is not UTF-8" in newsletter.run("run", "--once", code=1).out


def test_an_ending_in_capitals_is_an_ending(newsletter: Newsletter) -> None:
    newsletter.subscriber("ada", ADA).rename(newsletter.folder / "subscribers" / "Ada.YAML")
    (newsletter.folder / "subscribers" / "Bob.YML").write_text("email: bob@example.org\n")
    rows = newsletter.run("subscribers", "list", "--json").rows
    assert [(row["email"], row["file"]) for row in rows] == [
        ("ada@example.org", "Ada.YAML"),
        ("bob@example.org", "Bob.YML"),
    ]
    assert newsletter.run("interests", "check").out.count(": ok;") == 2


def test_a_folder_that_is_not_there_is_told_of_in_one_line(newsletter: Newsletter) -> None:
    folder = newsletter.folder / "subscribers"
    for name in ("ada", "bob"):
        newsletter.subscriber(name, f"email: {name}@example.org\n")
    newsletter.run("subscribers", "list")
    folder.rename(newsletter.folder / "people")
    told = f"{folder}: no such folder; create it, or set 'subscribers' in config.yaml\n"
    for _ in range(2):
        assert newsletter.run("subscribers", "list").err == f"warning: {told}"
    assert newsletter.run("interests", "check", code=2).err == f"error: {told}"
    (newsletter.folder / "people").rename(folder)
    assert [row["file"] for row in newsletter.run("subscribers", "list", "--json").rows] == ["ada.yaml", "bob.yaml"]
    folder.rename(newsletter.folder / "people")
    folder.touch()
    assert newsletter.run("subscribers", "list").err == (
        f"warning: {folder}: Not a directory; check 'subscribers' in config.yaml, and its permissions\n"
    )


def test_nobody_misses_the_folder_when_all_live_in_the_store(newsletter: Newsletter) -> None:
    (newsletter.folder / "subscribers").rmdir()
    assert "no such folder" in newsletter.run("subscribers", "list").err
    newsletter.run("subscribe", "ada@example.org", "--no-file")
    assert newsletter.run("subscribers", "list").err == ""


def test_csv_and_json_lines_go_round(newsletter: Newsletter, tmp_path) -> None:
    newsletter.subscriber("ada", ADA)
    newsletter.run("subscribe", "zoë@example.org", "-i", 'looms, "and" threads', "--no-file", "--name", "Zoë")
    newsletter.run("unsubscribe", "zoë@example.org")
    for ending in ("csv", "jsonl"):
        out = tmp_path / f"people.{ending}"
        newsletter.run("subscribers", "export", "--format", ending, "-o", out)
        other = Newsletter(tmp_path / ending, newsletter._monkeypatch, newsletter._capsys)
        assert other.run("subscribers", "import", out).out.startswith("2 added, 0 updated")
        rows = other.run("subscribers", "list", "--json").rows
        assert [(row["email"], row["state"], row["name"]) for row in rows] == [
            ("ada@example.org", "active", ""),
            ("zoë@example.org", "unsubscribed", "Zoë"),
        ]
        assert rows[1]["interests"][0]["name"] == 'looms, "and" threads'


def test_lines_of_an_import_that_are_wrong_stop_no_other(newsletter: Newsletter) -> None:
    (newsletter.folder / "list.csv").write_text(
        "email,papers,state\n"
        "ada@example.org,5,\n"
        "nobody,5,\n"
        "bob@example.org,many,\n"
        "eve@example.org,5,awake\n"
        "kim@example.org,5,active,surplus\n"
        "zoe@example.org,7,paused\n"
    )
    ran = newsletter.run("subscribers", "import", "list.csv", code=2)
    assert ran.out == "2 added, 0 updated, 0 unchanged (unsubscribed, bounced or suppressed)\n"
    assert [line.split(": ", 2)[1:] for line in ran.err.splitlines()] == [
        ["list.csv:3", ran.err.splitlines()[0].split(": ", 2)[2]],
        [
            "list.csv:4",
            "papers: 'many' is not a whole number; write one like 5",
        ],
        ["list.csv:5", "state: 'awake' is not a state; use one of pending, active, paused, unsubscribed, bounced"],
        ["list.csv:6", "more values than columns; put quotes around values with commas"],
    ]
    rows = newsletter.run("subscribers", "list", "--json").rows
    assert {row["email"]: row["state"] for row in rows} == {"ada@example.org": "active", "zoe@example.org": "paused"}


def test_imports_of_no_known_shape_are_refused(newsletter: Newsletter) -> None:
    for name, text, expected in (
        ("a.xls", "x", "a.xls: unknown file type; name it .csv, .jsonl, .json or .zip"),
        ("a.csv", "name\nAda\n", "a.csv:1: no column 'email'; the columns are"),
        ("b.csv", "email,shoe size\n", "b.csv:1: unknown column 'shoe size'; the columns are"),
        ("d.csv", "email,name, Email\n", "d.csv:1: column 'email' appears twice; keep one of them"),
        ("c.csv", 'email\n"ada\n', "c.csv:2: a quote is not closed; close it"),
        ("a.jsonl", "{", "a.jsonl:1: not JSON; write one object per line"),
        ("b.jsonl", "[1]", "b.jsonl:1: not an object"),
        (
            "c.jsonl",
            '{"email": "a@example.org", "interests": [{"name": "x", "keywords": [["y"]]}]}',
            "keywords: is not a mapping; write its keys",
        ),
        ("none.csv", None, "none.csv: No such file or directory; check the path and its permissions"),
    ):
        if text is not None:
            (newsletter.folder / name).write_text(text)
        assert expected in newsletter.run("subscribers", "import", name, code=2).err


def test_an_import_changes_only_what_it_says(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("ada", ADA + "  - {name: Looms, text: weaving, keywords: {warp: 2}, weight: 3}\n")
    before = state(newsletter)
    out = newsletter.folder / "people.csv"
    newsletter.run("subscribers", "export", "-o", out)
    assert newsletter.run("subscribers", "import", out).out.startswith("0 added, 1 updated")
    assert state(newsletter) == before
    out.write_text("email,name\nada@example.org,Ada L\n")
    newsletter.run("subscribers", "import", out)
    assert state(newsletter) == {**before, "name": "Ada L"}
    assert "# and looms" in path.read_text()
    out.write_text("email,time\nada@example.org,11:00\n")
    newsletter.run("subscribers", "import", out)
    assert state(newsletter)["next_due"] == "2025-11-28T11:00:00+00:00"
    assert state(newsletter)["interests"] == before["interests"]


def test_an_import_pauses_and_ends_a_pause(newsletter: Newsletter) -> None:
    newsletter.subscriber("ada", ADA)
    before = state(newsletter)
    for said, becomes in (
        ("paused", "paused"),
        ("", "paused"),
        ("pending", "paused"),
        ("active", "active"),
        ("pending", "active"),
        ("bounced", "bounced"),
        ("active", "bounced"),
        ("paused", "bounced"),
    ):
        (newsletter.folder / "list.csv").write_text(f"email,state\nAda@example.org,{said}\n")
        newsletter.run("subscribers", "import", "list.csv")
        row = state(newsletter)
        assert (row["state"], row["next_due"]) == (becomes, before["next_due"] if becomes == "active" else None)


def test_who_was_pending_agrees_by_an_import(newsletter: Newsletter) -> None:
    for said in ("pending", "active"):
        (newsletter.folder / "list.csv").write_text(f"email,state,time\nada@example.org,{said},10:00\n")
        newsletter.run("subscribers", "import", "list.csv")
        assert state(newsletter)["state"] == said
    assert state(newsletter)["next_due"] == "2025-11-28T10:00:00+00:00"


def test_what_the_list_prints_can_be_taken_in(newsletter: Newsletter) -> None:
    newsletter.subscriber("ada", ADA)
    listed = newsletter.run("subscribers", "list", "--json").out
    (newsletter.folder / "list.jsonl").write_text(listed)
    assert newsletter.run("subscribers", "import", "list.jsonl").out.startswith("0 added, 1 updated")


def test_an_interest_in_many_words_gets_a_short_name(newsletter: Newsletter) -> None:
    long = "how looms and engines weave " * 8
    newsletter.run("subscribe", "ada@example.org", "-i", long)
    (interest,) = state(newsletter)["interests"]
    assert len(interest["name"]) <= 80
    assert interest["text"] == long.strip()


def test_the_store_is_its_owners_alone(newsletter: Newsletter) -> None:
    newsletter.store.unlink()
    newsletter.run("subscribers", "list")
    assert newsletter.store.stat().st_mode & 0o077 == 0


def test_a_file_is_written_in_utf8_whatever_the_machine_speaks(newsletter: Newsletter) -> None:
    path = newsletter.subscriber("zoe", "email: zoe@example.org\nname: Zoë\n")
    (newsletter.folder / "list.csv").write_text("email,time\nzoe@example.org,11:00\n")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = newsletter.start("subscribers", "import", "list.csv", **ascii_only)
    assert (process.communicate()[1], process.returncode) == ("", 0)
    assert "name: Zoë" in path.read_text("utf-8")
    assert "11:00" in path.read_text("utf-8")
