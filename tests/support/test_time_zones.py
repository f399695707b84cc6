"""Time zones: which names are accepted wherever one is given, and one that the store has and this machine does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from newsletter.audience.signed_links import TokenPurpose
from newsletter.support import time_zones
from newsletter.web.pages.signup import zones
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import (
    first_link,
    links_of,
    path_of,
    row_of,
    serving,
    session_of,
    site_client,
    wait_for_messages,
)

NOT_ZONES = (
    *("right/Europe/London", "posix/Europe/London", "posixrules", "localtime", "Factory", "europe/london", "UTC ", ""),
    *("../zoneinfo/Europe/London", "/usr/share/zoneinfo/Europe/London", "Europe", "Europe/", "Europe/London/", "."),
    *("Europe/../Europe/London", "zone.tab", "tzdata.zi", "leapseconds", "Mars/One", "Europe\\London", "A" * 10_000),
)
ZONES = ("Europe/London", "Asia/Calcutta", "US/Eastern", "Asia/Kolkata", "America/Argentina/Buenos_Aires", "UTC", "EST")
UNKNOWN = "America/Newly_Founded"


@pytest.mark.parametrize("name", NOT_ZONES)
def test_what_is_not_a_zone_is_refused_wherever_it_is_given(newsletter: Newsletter, name: str) -> None:
    said, row = json.dumps(name), {"email": "cy@example.org", "schedule": {"timezone": name}}
    newsletter.subscriber("ada", f"email: ada@example.org\nschedule: {{timezone: {said}}}\n")
    assert "is not a time zone" in newsletter.run("interests", "check", code=2).err
    assert "is not a time zone" in newsletter.run("subscribe", "bob@example.org", "--timezone", name, code=2).err
    (newsletter.folder / "in.jsonl").write_text(json.dumps(row))
    assert "is not a time zone" in newsletter.run("subscribers", "import", "in.jsonl", code=2).err
    if name.strip() == name and name:  # Of CSV an empty value says nothing, and space around one does not count.
        (newsletter.folder / "in.csv").write_text(f'email,timezone\ndan@example.org,"{name}"\n')
        assert "is not a time zone" in newsletter.run("subscribers", "import", "in.csv", code=2).err
    (newsletter.folder / "subscribers" / "ada.yaml").unlink()
    newsletter.configure(schedule={"timezone": name})
    assert "schedule.timezone" in newsletter.run("subscribers", "list", code=2).err


@pytest.mark.parametrize("name", ZONES)
def test_names_of_iana_are_kept_as_they_are_given(newsletter: Newsletter, name: str) -> None:
    newsletter.subscriber("ada", f"email: ada@example.org\nschedule: {{timezone: {name}}}\n")
    newsletter.run("subscribe", "bob@example.org", "--timezone", name)
    newsletter.configure(schedule={"timezone": name})
    rows = newsletter.run("subscribers", "list", "--json").rows
    assert [row["schedule"]["timezone"] for row in rows] == [name, name]


def test_a_near_name_is_suggested(newsletter: Newsletter) -> None:
    for said in ("europe/london", "Europe/Lodnon", "right/Europe/London"):
        ran = newsletter.run("subscribe", "bob@example.org", "--timezone", said, code=2)
        assert f"'{said}' is not a time zone; did you mean Europe/London?" in ran.err


def test_every_name_that_is_accepted_can_be_used() -> None:
    assert {"Europe/London", "Asia/Calcutta", "Asia/Kolkata", "UTC"} <= time_zones.names()
    assert [name for name in time_zones.names() if time_zones.get_zone(name).key != name] == []
    assert {name for named in zones().values() for name in named} <= time_zones.names()


def test_the_names_are_the_same_whatever_the_machine_has(tmp_path: Path) -> None:
    # A folder of the system with files that are no zones, a damaged one, and one that IANA does not have.
    for name, content in (("posixrules", b"TZif"), ("Mars/One", b"x"), ("Europe/Berlin", b"damaged")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "Europe" / "London").mkdir()
    show = (
        "from newsletter.support import time_zones as t; "
        "print(len(t.names()), t.is_known('Mars/One'), [t.get_zone(n).key for n in ('Europe/Berlin', 'Europe/London')])"
    )
    environment = {**os.environ, "PYTHONTZPATH": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", show], env=environment, capture_output=True, text=True, check=True)
    number, known, keys = ran.stdout.split(" ", 2)
    assert (int(number), known) == (len(time_zones.names()), "False")
    assert "UTC" in keys


def test_a_sign_up_from_a_browser_with_a_strange_zone_counts_by_utc(newsletter: Newsletter, mail: Mailbox) -> None:
    for number, name in enumerate(("Asia/Calcutta", "posixrules", "Etc/Unknown")):
        with serving(newsletter) as where, site_client(where) as client:
            fields = {"email": f"ada{number}@example.org", "interests": "looms", "timezone": name}
            assert client.post("/subscribe", data=fields).status_code == 303
            assert client.post(first_link(wait_for_messages(mail, number + 1)[-1])).status_code == 303
    rows = newsletter.run("subscribers", "list", "--json").rows
    assert [row["schedule"]["timezone"] for row in rows] == ["Asia/Calcutta", "UTC", "UTC"]


def test_the_preferences_page_takes_no_zone_that_is_none(newsletter: Newsletter) -> None:
    newsletter.run("subscribe", "ada@example.org", "--no-file")
    page = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, "ada@example.org")))
    with serving(newsletter) as where, site_client(where) as client:
        for name in ("right/Europe/London", "posixrules", "../etc/passwd"):
            fields = {"act": "save", "mark": "", "day": "fri", "time": "07:30", "timezone": name, "papers": "10"}
            answer = client.post(page, data=fields)
            assert (answer.status_code, "Time zone: " in answer.text) == (422, True)


@pytest.mark.both_stores
def test_a_stored_zone_that_is_not_known_here_harms_nobody(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    for name in ("ada", "bob", "cy"):
        newsletter.run("subscribe", f"{name}@example.org", "-i", "language models", "--no-file", "--time", "09:00")
    newsletter.damage("bob@example.org", schedule={"timezone": UNKNOWN})
    newsletter.damage("cy@example.org", schedule={"timezone": "right/Europe/London"})
    # A digest since an earlier one tells of a day, by the zone.
    sent = newsletter.run("send", now="2025-11-27T12:00")
    assert sent.out.endswith("3 sent\n")
    said = f"bob@example.org: time zone '{UNKNOWN}' (unknown here, so UTC is used)"
    assert said in " ".join(sent.err.split())
    assert "cy@example.org: time zone 'right/Europe/London'" in " ".join(sent.err.split())
    assert "ada@example.org" not in sent.err
    (newsletter.folder / "new.jsonl").write_text('{"title": "Language models", "abstract": "Of language models."}\n')
    newsletter.run("import", "new.jsonl", now="2025-11-28T08:00")
    newsletter.run("send", "--due", "--dry-run", now="2025-11-28T09:01")
    ran = newsletter.run("run", "--once", now="2025-11-28T09:01")
    assert said in ran.out.replace("\\'", "'")
    assert sorted(mail.recipients()) == sorted(f"{name}@example.org" for name in ("ada", "bob", "cy") for _ in "12")
    due = {row["email"]: row["next_due"] for row in newsletter.run("subscribers", "list", "--json").rows}
    assert due["bob@example.org"] == "2025-12-01T09:00:00+00:00"
    assert "so UTC is used" in newsletter.run("subscribers", "show", "bob@example.org").out
    why = newsletter.run("log", "--why", "bob@example.org").out
    assert "so UTC is used" in " ".join(why.split())
    assert "so UTC is used" not in newsletter.run("log", "--why", "ada@example.org").out
    exported = [
        json.loads(line) for line in newsletter.run("subscribers", "export", "--format", "jsonl").out.splitlines()
    ]
    assert [row["schedule"]["timezone"] for row in exported][1:] == [UNKNOWN, "right/Europe/London"]
    page = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, "bob@example.org")))
    with serving(newsletter) as where, site_client(where) as client:
        shown = client.get(page).text
        assert f"The time zone {UNKNOWN} is unknown" in shown
        assert '<option selected value="UTC">' in shown
        cookie = {"Cookie": f"operator={session_of(newsletter)['operator']}"}
        assert "Overview" in client.get("/admin", headers=cookie).text
        assert client.post(f"{page}/pause").status_code == 303
        assert "Paused until" in client.get(page).text
        assert client.post(f"{page}/resume").status_code == 303
    newsletter.run("subscribe", "bob@example.org", "--timezone", "Europe/London")
    (repaired,) = newsletter.run("subscribers", "show", "bob@example.org", "--json").rows
    assert repaired["schedule"]["timezone"] == "Europe/London"


@pytest.mark.parametrize("command", [["--due"], ["--only", "bob@example.org"], []])
def test_a_stored_zone_that_is_not_known_is_said_by_each_way_to_send(
    newsletter: Newsletter, mail: Mailbox, command: list[str]
) -> None:
    newsletter.with_sample()
    newsletter.run("subscribe", "bob@example.org", "-i", "language models", "--no-file", now="2025-11-27T12:00")
    newsletter.damage("bob@example.org", schedule={"timezone": UNKNOWN})
    ran = newsletter.run("send", *command, now="2025-11-28T12:00")
    assert UNKNOWN in ran.err
    assert mail.recipients() == ["bob@example.org"]
