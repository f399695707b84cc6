"""Tags of subscribers: by command, in files, in exports and imports."""

import json
import sqlite3
from contextlib import closing

import pytest

from newsletter.support.tags import valid_tag
from tests.helpers.newsletter import Newsletter


def tags(newsletter: Newsletter, email: str) -> list[str]:
    found: list[str] = newsletter.run("subscribers", "show", email, "--json").rows[0]["tags"]
    return found


def test_tags_are_added_removed_listed_and_recorded(newsletter: Newsletter) -> None:
    for name in ("ann", "ben"):
        newsletter.run("subscribe", f"{name}@x.org", "--no-file")
    ran = newsletter.run("subscribers", "tag", "ann@x.org", "ben@x.org", "--add", "lab", "--add", "b-2")
    assert ran.out == "ann@x.org: b-2, lab\nben@x.org: b-2, lab\n"
    assert newsletter.run("subscribers", "tag", "ANN@x.org", "--remove", "lab").out == "ann@x.org: b-2\n"
    assert "tags: b-2" in newsletter.run("subscribers", "show", "ann@x.org").out
    assert [row["email"] for row in newsletter.run("subscribers", "list", "--tag", "lab", "--json").rows] == [
        "ben@x.org"
    ]
    assert newsletter.run("subscribers", "list", "--tag", "other").out == "No subscribers with the tag 'other'.\n"
    ran = newsletter.run("subscribers", "tag", "nobody@x.org", "ben@x.org", "--remove", "b-2", code=2)
    assert (ran.out, "'nobody@x.org' is not a subscriber" in ran.err) == ("ben@x.org: lab\n", True)
    with closing(sqlite3.connect(newsletter.store)) as store:
        lines = store.execute("SELECT actor, action, target, details FROM audit_log ORDER BY row").fetchall()
    assert {line[:2] for line in lines} == {("command line", "subscriber.tag")}
    assert [(line[2], json.loads(line[3])) for line in lines] == [
        ("ann@x.org", {"added": ["b-2", "lab"], "removed": []}),
        ("ben@x.org", {"added": ["b-2", "lab"], "removed": []}),
        ("ann@x.org", {"added": [], "removed": ["lab"]}),
        ("ben@x.org", {"added": [], "removed": ["b-2"]}),
    ]
    newsletter.run("subscribers", "forget", "ann@x.org", "--yes")


def test_tags_in_a_file_win_and_are_written_back(newsletter: Newsletter) -> None:
    path = newsletter.folder / "subscribers" / "cal.yaml"
    path.write_text("# mine\nemail: cal@x.org\ntags: [lab, old]  # groups\ninterests:\n  - looms\n")
    newsletter.run("library", "sync", code=None)
    assert tags(newsletter, "cal@x.org") == ["lab", "old"]
    newsletter.run("subscribers", "tag", "cal@x.org", "--add", "new", "--remove", "old")
    written = path.read_text()
    assert written.startswith("# mine\nemail: cal@x.org\n") and "new" in written and "old" not in written
    path.write_text(written.replace("lab", "team"))
    newsletter.run("library", "sync", code=None)
    assert tags(newsletter, "cal@x.org") == ["new", "team"]
    newsletter.run("subscribe", "cal@x.org", "--papers", "3")
    assert "team" in path.read_text()


def test_exports_and_imports_have_tags(newsletter: Newsletter) -> None:
    newsletter.run("subscribe", "dee@x.org", "--no-file")
    newsletter.run("subscribers", "tag", "dee@x.org", "--add", "lab", "--add", "team")
    for format, name in (("csv", "people.csv"), ("jsonl", "people.jsonl")):
        newsletter.run("subscribers", "export", "--format", format, "-o", name)
        newsletter.run("subscribers", "tag", "dee@x.org", "--remove", "lab", "--add", "own")
        newsletter.run("subscribers", "import", name)
        # An import takes no tag away.
        assert tags(newsletter, "dee@x.org") == ["lab", "own", "team"]
        newsletter.run("subscribers", "tag", "dee@x.org", "--remove", "own")
    (newsletter.folder / "wrong.csv").write_text("email,tags\neli@x.org,Big Lab\n")
    ran = newsletter.run("subscribers", "import", "wrong.csv", code=2)
    assert "wrong.csv:2: tags.1: 'Big Lab' is not a tag; use lower-case letters, digits and '-'" in ran.err


@pytest.mark.parametrize("wrong", ["", "Lab", "my lab", "a_b", "-a", "a-", "a,b", "a" * 51, "ß!"])
def test_other_names_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"is not a tag|is longer than 50"):
        valid_tag(wrong)
