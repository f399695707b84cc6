"""Moving in from other programs: their exports and suppression lists, columns mapped by hand, and dry runs."""

import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.column_map import parse_column_map
from newsletter.audience.import_export import MAPPED, read_lines
from newsletter.audience.import_rows import FileRemark, ImportRow
from newsletter.audience.other_programs.base import moment_of
from newsletter.audience.suppression_lists import SuppressedAddress, read_suppressed
from newsletter.errors import UserError
from newsletter.support.tags import to_tag, valid_tag
from tests.helpers.newsletter import Newsletter


def rows(folder: Path, name: str, content: str, *pairs: str) -> list[ImportRow]:
    """Write a file, and read it as an import; nothing in it may be wrong."""
    path = folder / name
    path.write_text(content)
    found = list(read_lines(path, mapping=parse_column_map(pairs, MAPPED)))
    assert not [one for one in found if isinstance(one, UserError)]
    return [one for one in found if isinstance(one, ImportRow)]


def facts(row: ImportRow) -> tuple[str, str, str | None, tuple[str, ...], str]:
    created = f"{row.created_at:%Y-%m-%d}" if row.created_at else ""
    return row.preferences.email, row.preferences.name, row.state and row.state.value, row.tags, created


GHOST = """\
id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,deleted_at,labels,tiers
a1,ida@x.org,Ida Rhodes,met in May,true,false,,2021-07-09T10:11:12.000Z,,"Lab, Reading Group",Gold
a2,jo@x.org,,,false,false,,2021-07-10T10:11:12.000Z,,,
a3,kit@x.org,Kit,,true,true,cus_1,2021-07-11T10:11:12.000Z,2023-01-02T00:00:00.000Z,,
"""


def test_ghosts_members_are_read(tmp_path: Path) -> None:
    read = rows(tmp_path, "members.csv", GHOST)
    assert [facts(row) for row in read] == [
        ("ida@x.org", "Ida Rhodes", None, ("lab", "reading-group"), "2021-07-09"),
        ("jo@x.org", "", "unsubscribed", (), "2021-07-10"),
        ("kit@x.org", "Kit", "unsubscribed", (), "2021-07-11"),
    ]
    assert read[0].consent == "by Ghost: member since 2021-07-09T10:11:12.000Z"


@pytest.mark.parametrize(
    ("heading", "lines"),
    [
        (
            "email,active_subscription,expiry,plan,email_disabled,created_at,first_payment_at",
            "lou@x.org,false,,other,false,2022-08-01T00:00:00.000Z,\n"
            "max@x.org,true,2030-01-01,yearly,true,2022-08-02T00:00:00.000Z,",
        ),
        (
            "Email,Active,Subscription type,Expiry,Email disabled,Subscription date",
            "lou@x.org,false,Free,,No,2022-08-01\nmax@x.org,true,Yearly,2030-01-01,Yes,2022-08-02",
        ),
        (
            "Email,Name,Stripe plan,Cancel date,Start date,Activity,Email disabled",
            "lou@x.org,,,,2022-08-01T00:00:00.000Z,4,false\nmax@x.org,,Yearly,,2022-08-02,0,true",
        ),
    ],
)
def test_substacks_subscribers_are_read(tmp_path: Path, heading: str, lines: str) -> None:
    read = rows(tmp_path, "email_list.csv", f"{heading}\n{lines}\n")
    assert [facts(row) for row in read] == [
        ("lou@x.org", "", None, (), "2022-08-01"),
        ("max@x.org", "", "unsubscribed", (), "2022-08-02"),
    ]


def test_substacks_archive_also_has_posts(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("posts.csv", "post_id,title\n1,Hello\n")
        archive.writestr("email_list.mine.csv", "email,active_subscription,email_disabled\nlou@x.org,false,false\n")
    assert [one.preferences.email for one in read_lines(path) if isinstance(one, ImportRow)] == ["lou@x.org"]


def listmonk(email: str, status: str, *lists: tuple[str, str, str]) -> dict:
    """A subscriber as listmonk's API has it, with lists by name, subscription status and opt-in."""
    return {
        "id": 7,
        "created_at": "2020-02-03T04:05:06.123456789+01:00",
        "uuid": f"uuid-{email}",
        "email": email,
        "name": "Mo",
        "attribs": {"timezone": "Asia/Seoul", "city": "Seoul"},
        "status": status,
        "lists": [{"name": name, "subscription_status": said, "optin": how} for name, said, how in lists],
    }


LISTMONK = [
    listmonk("a@x.org", "enabled", ("Group A", "confirmed", "double"), ("Old news", "unsubscribed", "single")),
    listmonk("b@x.org", "enabled", ("Old news", "unsubscribed", "single")),
    listmonk("c@x.org", "enabled", ("Group A", "unconfirmed", "single")),
    listmonk("d@x.org", "enabled", ("Group A", "unconfirmed", "double")),
    listmonk("e@x.org", "blocklisted"),
    listmonk("f@x.org", "disabled", ("Group A", "confirmed", "single")),
]


@pytest.mark.parametrize(
    "document", [{"data": {"results": LISTMONK, "total": 6, "page": 1}}, {"data": LISTMONK}, LISTMONK]
)
def test_listmonks_api_is_read_with_its_lists(tmp_path: Path, document: object) -> None:
    read = rows(tmp_path, "subscribers.json", json.dumps(document, indent=1))
    assert [facts(row)[:4:2] + facts(row)[2:4] for row in read] == [
        ("a@x.org", None, None, ("group-a",)),
        ("b@x.org", "unsubscribed", "unsubscribed", ()),
        ("c@x.org", None, None, ("group-a",)),
        ("d@x.org", "pending", "pending", ("group-a",)),
        ("e@x.org", "unsubscribed", "unsubscribed", ()),
        ("f@x.org", "paused", "paused", ("group-a",)),
    ]
    assert read[0].preferences.schedule.timezone == "Asia/Seoul"
    assert read[0].created_at == datetime(2020, 2, 3, 3, 5, 6, 123456, UTC)


def test_listmonks_export_of_one_persons_data_is_read(tmp_path: Path) -> None:
    profile = {key: value for key, value in LISTMONK[0].items() if key != "lists"}
    document = {"email": "a@x.org", "profile": [profile], "subscriptions": LISTMONK[0]["lists"], "link_clicks": []}
    (read,) = rows(tmp_path, "data.json", json.dumps(document))
    assert read.tags == ("group-a",)


def test_mailchimps_tags_are_read(tmp_path: Path) -> None:
    heading = "Email Address,First Name,OPTIN_TIME,LEID,EUID,TAGS"
    content = f'{heading}\nnan@x.org,Nan,2019-03-04 05:06:07,1,e1,"""VIP"",""A, B"""\n'
    (read,) = rows(tmp_path, "subscribed_members_export.csv", content)
    assert facts(read) == ("nan@x.org", "Nan", None, ("vip", "a-b"), "2019-03-04")


def test_columns_are_mapped(tmp_path: Path) -> None:
    content = "Vorname;Nachname;E-Mail+;Seit;Shoe\nOla;Nord;ola@x.org;2018-09-10;44\n;Ost;per@x.org;3/4/2018;\n"
    pairs = ("name=vorname + Nachname", "email=E-Mail+", "created_at=Seit")
    read = rows(tmp_path, "crm.csv", content, *pairs)
    assert [facts(row) for row in read] == [
        ("ola@x.org", "Ola Nord", None, (), "2018-09-10"),
        ("per@x.org", "Ost", None, (), ""),
    ]
    assert [row.consent for row in read] == ["since 2018-09-10", "since 3/4/2018"]


def test_mapped_columns_add_to_what_an_export_says(tmp_path: Path) -> None:
    content = GHOST.replace("Gold", "looms;engines", 1)
    read = rows(tmp_path, "members.csv", content, "interests=Tiers", "tags=note")
    assert [one.name for one in read[0].preferences.interests] == ["looms", "engines"]
    assert read[0].tags == ("lab", "reading-group", "met-in-may")


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("nmae=First", "--map: 'nmae' is not a key; did you mean 'name'? The keys are email, name, state,"),
        ("shoe=First", "--map: 'shoe' is not a key; the keys are email, name, state,"),
        ("name", "--map: 'name' is not a mapping; write it like name=first_name+last_name"),
        ("name=First+Lost", "people.csv:1: no column 'Lost', which --map names for 'name'; "),
    ],
)
def test_what_cannot_be_mapped_is_told_with_all_that_can(tmp_path: Path, pair: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        rows(tmp_path, "people.csv", "email,First,Last\n", pair)
    assert told in str(caught.value)
    if "people.csv" in told:
        assert "columns are 'email', 'First', 'Last'" in str(caught.value)


def suppressed(folder: Path, name: str, content: str) -> dict[str, str]:
    """Read a suppression list: the reasons by address, and errors under the line they are in."""
    path = folder / name
    path.write_text(content)
    found = [one for one in read_suppressed(path) if not isinstance(one, FileRemark)]
    good = {one.email: one.reason.value for one in found if isinstance(one, SuppressedAddress)}
    return good | {
        str(one).partition(": ")[0].rpartition("/")[2]: "error" for one in found if isinstance(one, UserError)
    }


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "list.txt",
            "a@x.org\n\nB@x.org\nnobody\n",
            {"a@x.org": "unsubscribed", "B@x.org": "unsubscribed", "list.txt:4": "error"},
        ),
        ("hard bounces.txt", "a@x.org\n", {"a@x.org": "bounced"}),
        ("ses.csv", "a@x.org,BOUNCE\nb@x.org,COMPLAINT\n", {"a@x.org": "bounced", "b@x.org": "complaint"}),
        (
            "ses.json",
            '{"SuppressedDestinationSummaries": [{"EmailAddress": "a@x.org", "Reason": "COMPLAINT"}]}',
            {"a@x.org": "complaint"},
        ),
        (
            "export.csv",
            'status,reason,email,created\n5.1.1,"550 5.1.1 no, spam",a@x.org,1700000000\n,unknown,b@x.org,1700000000\n',
            {"a@x.org": "bounced", "b@x.org": "bounced"},
        ),
        ("spam_reports.csv", "email,created\na@x.org,1700000000\n", {"a@x.org": "complaint"}),
        ("export.csv", "ip,email,created\n192.0.2.1,a@x.org,1700000000\n", {"a@x.org": "complaint"}),
        ("suppression_unsubscribes.csv", "email,created\na@x.org,17\n", {"a@x.org": "unsubscribed"}),
        ("mailgun.csv", "address,code,error,created_at\na@x.org,605,Not delivering,x\n", {"a@x.org": "bounced"}),
        ("mailgun.csv", "address,tags,created_at\na@x.org,*,x\n", {"a@x.org": "unsubscribed"}),
        (
            "complaints.json",
            '{"items": [{"address": "a@x.org", "created_at": "x"}], "paging": {}}',
            {"a@x.org": "complaint"},
        ),
        (
            "postmark.json",
            '{"Suppressions": [{"EmailAddress": "a@x.org", "SuppressionReason": "HardBounce", "Origin": "Recipient"},'
            '{"EmailAddress": "b@x.org", "SuppressionReason": "SpamComplaint"},'
            '{"EmailAddress": "c@x.org", "SuppressionReason": "ManualSuppression", "Origin": "Customer"}]}',
            {"a@x.org": "bounced", "b@x.org": "complaint", "c@x.org": "unsubscribed"},
        ),
        (
            "brevo.json",
            '{"contacts": [{"email": "a@x.org", "senderEmail": "n@y.org", "reason": {"code": "hardBounce"}},'
            '{"email": "b@x.org", "reason": {"code": "contactFlaggedAsSpam"}},'
            '{"email": "c@x.org", "reason": {"code": "unsubscribedViaMA"}}], "count": 3}',
            {"a@x.org": "bounced", "b@x.org": "complaint", "c@x.org": "unsubscribed"},
        ),
        ("brevo.csv", "EMAIL;BLOCKLISTED\na@x.org;TRUE\nb@x.org;FALSE\n", {"a@x.org": "unsubscribed"}),
        (
            "bounces.json",
            '{"data": {"results": [{"id": 1, "type": "hard", "email": "a@x.org", "meta": {}},'
            '{"id": 2, "type": "soft", "email": "b@x.org"}, {"id": 3, "type": "complaint", "email": "c@x.org"}]}}',
            {"a@x.org": "bounced", "c@x.org": "complaint"},
        ),
        ("listmonk.json", json.dumps(LISTMONK), {"b@x.org": "unsubscribed", "e@x.org": "unsubscribed"}),
        ("members.csv", GHOST, {"jo@x.org": "unsubscribed", "kit@x.org": "unsubscribed"}),
        ("cleaned_x.csv", "Email Address,LEID,EUID,CLEAN_TIME\na@x.org,1,2,x\n", {"a@x.org": "bounced"}),
        ("subscribed_x.csv", "Email Address,LEID,EUID,LAST_CHANGED\na@x.org,1,2,x\n", {}),
        ("own.csv", "email,state\na@x.org,active\nb@x.org,bounced\n", {"b@x.org": "bounced"}),
        (
            "own.jsonl",
            '{"email": "a@x.org", "reason": "forgotten"}\n{"email": 1}\n',
            {"a@x.org": "unsubscribed", "own.jsonl:2": "error"},
        ),
    ],
)
def test_suppression_lists_of_programs_and_providers_are_read(
    tmp_path: Path, name: str, content: str, expected: dict[str, str]
) -> None:
    assert suppressed(tmp_path, name, content) == expected


def test_a_suppression_list_without_addresses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"list.csv:1: no column with addresses; name it 'email'"):
        suppressed(tmp_path, "list.csv", "name,reason\nAda,bounce\n")


@given(
    st.dictionaries(
        st.emails().map(str.lower), st.sampled_from(["Bounce", "spam complaint", "un-subscribed"]), min_size=1
    )
)
def test_each_address_of_a_list_is_suppressed(tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("list") / "list.json"
    path.write_text(json.dumps([{"address": email, "reason": reason} for email, reason in wanted.items()]))
    found = list(read_suppressed(path))
    assert len(found) == len(wanted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-05 10:20:30.123456789 +0200 CEST", "2024-03-05T08:20:30.123456+00:00"),
        ("2024-03-05T10:20:30Z", "2024-03-05T10:20:30+00:00"),
        ("2024-03-05", "2024-03-05T00:00:00+00:00"),
        ("Tue, 05 Mar 2024 10:20:30 +0100", "2024-03-05T09:20:30+00:00"),
        ("1709634030", "2024-03-05T10:20:30+00:00"),
        ("3/5/2024", None),
        ("0001-01-01 00:00:00 +0000 UTC", None),
        ("9999-12-31T23:59:59-10:00", None),
        ("", None),
    ],
)
def test_moments_are_read_unless_they_are_unclear(text: str, expected: str | None) -> None:
    found = moment_of(text)
    assert (found.isoformat() if found else None) == expected


@given(st.text())
def test_the_name_of_any_list_makes_a_tag_or_none(name: str) -> None:
    tag = to_tag(name)
    assert not tag or valid_tag(tag) == tag


def consents(newsletter: Newsletter) -> dict[str, tuple[str, str]]:
    with closing(sqlite3.connect(newsletter.store)) as store:
        return {
            email: (said, at[:10])
            for email, said, at in store.execute("SELECT email, consent, created_at FROM subscribers")
        }


def test_a_dry_run_tells_what_the_import_then_does(newsletter: Newsletter) -> None:
    newsletter.run("subscribe", "gone@x.org", "--no-file")
    newsletter.run("unsubscribe", "gone@x.org")
    newsletter.run("subscribe", "here@x.org", "--no-file")
    newsletter.run("subscribe", "left@x.org", "--no-file")
    (newsletter.folder / "people.csv").write_text(
        "email,name,created_at\nnew@x.org,New,2019-05-06\nhere@x.org,Here,\ngone@x.org,,\nnobody,,\nbad@x.org,,\nnew@x.org,Newer,\n"
    )
    (newsletter.folder / "stop.csv").write_text(
        "email,reason\nbad@x.org,spam\nleft@x.org,bounce\ngone@x.org,unsubscribe\n"
    )
    arguments = [
        "subscribers",
        "import",
        "people.csv",
        "--suppressed",
        "stop.csv",
        "--tag",
        "moved",
        "--map",
        "created_at=created_at",
    ]
    counts = (
        "1 added, 2 updated, 2 unchanged (unsubscribed, bounced or suppressed)\n2 suppressed, 1 suppressed before\n"
    )
    before = newsletter.run("subscribers", "list", "--json").rows
    ran = newsletter.run(*arguments, "--dry-run", code=2)
    assert [line.split()[:4] for line in ran.out.splitlines()[1:10]] == [
        ["stop.csv:2", "bad@x.org", "suppressed", "complaint"],
        ["stop.csv:3", "left@x.org", "suppressed", "bounced"],
        ["stop.csv:4", "gone@x.org", "unchanged", "unsubscribed"],
        ["people.csv:2", "new@x.org", "added", "tag"],
        ["people.csv:3", "here@x.org", "updated", "tag"],
        ["people.csv:4", "gone@x.org", "kept", "out"],
        ["people.csv:5", "error", "email:", "'nobody'"],
        ["people.csv:6", "bad@x.org", "kept", "out"],
        ["people.csv:7", "new@x.org", "updated", "tag"],
    ] or ran.out
    assert ran.out.endswith(f"Dry run: nothing was changed. The import would result in:\n{counts}")
    assert newsletter.run("subscribers", "list", "--json").rows == before
    ran = newsletter.run(*arguments, code=2)
    assert ran.out == counts
    assert "people.csv:5: email: 'nobody'" in ran.err
    states = {row["email"]: (row["state"], row["tags"]) for row in newsletter.run("subscribers", "list", "--json").rows}
    assert states == {
        "gone@x.org": ("unsubscribed", []),
        "here@x.org": ("active", ["moved"]),
        "left@x.org": ("bounced", []),
        "new@x.org": ("active", ["moved"]),
    }
    assert consents(newsletter)["new@x.org"] == ("import people.csv, since 2019-05-06", "2019-05-06")
    # What is suppressed stays so, whatever is imported later.
    newsletter.run("subscribers", "import", "people.csv", "--map", "created_at=created_at", code=2)
    reasons = {row["email"]: row["reason"] for row in newsletter.run("bounces", "suppressed", "--json").rows}
    assert (reasons["left@x.org"], reasons["gone@x.org"]) == ("bounced", "unsubscribed")
    assert "bad@x.org" not in {row["email"] for row in newsletter.run("subscribers", "list", "--json").rows}


def test_a_list_of_suppressed_addresses_may_come_alone(newsletter: Newsletter) -> None:
    (newsletter.folder / "stop.txt").write_text("a@x.org\n")
    assert (
        newsletter.run("subscribers", "import", "--suppressed", "stop.txt").out == "1 suppressed, 0 suppressed before\n"
    )
    assert "no file to import" in newsletter.run("subscribers", "import", code=2).err


def test_files_of_those_who_left_are_read_first(newsletter: Newsletter) -> None:
    heading = "Email Address,LEID,EUID,LAST_CHANGED"
    for kind in ("subscribed", "unsubscribed"):
        (newsletter.folder / f"{kind}_members.csv").write_text(f"{heading}\na@x.org,1,2,x\n")
    newsletter.run("subscribers", "import", "subscribed_members.csv", "unsubscribed_members.csv")
    assert newsletter.run("subscribers", "show", "a@x.org", "--json").rows[0]["state"] == "unsubscribed"
