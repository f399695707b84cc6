"""Announcements, from the command line to the mailbox."""

import re
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from newsletter.audience import subscriptions
from newsletter.audience.signed_links import TokenPurpose
from newsletter.errors import UserError
from newsletter.services import single_messages
from newsletter.services.context import open_context
from newsletter.store import writing
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers import bounce_reports as reports
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import links_of, path_of, row_of, serving

TEXT = """\
---
preheader: Two things changed
---
# New on {{ site.name }}

{{ greeting }} we have **two** changes.

- Digests have [a new layout](https://papers.example.org/layouts).
- <b>Feedback</b> works by email.
"""


def _write(newsletter: Newsletter, name: str = "news.md", text: str = TEXT) -> Path:
    path = newsletter.folder / name
    path.write_text(text)
    return path


def _subscribe(newsletter: Newsletter, *people: tuple[str, str]) -> None:
    for email, zone in people:
        newsletter.run("subscribe", email, "--timezone", zone, "--no-file", now="2025-11-01T09:00")


def _parts(message: EmailMessage) -> tuple[str, str]:
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None and text is not None
    return html.get_content(), " ".join(text.get_content().split())


@pytest.mark.both_stores
def test_an_announcement_goes_to_all_active_subscribers_once(newsletter: Newsletter, mail: Mailbox) -> None:
    _subscribe(newsletter, ("ada@example.org", "UTC"), ("bo@example.org", "Asia/Tokyo"), ("no@example.org", "UTC"))
    newsletter.run("subscribe", "no@example.org", "--no-announcements")
    newsletter.run("subscribe", "gone@example.org", "--no-file")
    newsletter.run("unsubscribe", "gone@example.org")
    said = newsletter.run("announce", _write(newsletter), "--yes").out
    assert said == "Announcement 1: 2 sent.\n"
    assert sorted(mail.recipients()) == ["ada@example.org", "bo@example.org"]
    (message, *_) = mail.messages()
    html, text = _parts(message)
    assert message["Subject"] == "New on Test Papers"
    assert message["List-Id"] == '"Test Papers announcements" <announcements.example.org>'
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "https://papers.example.org/announcements/" in message["List-Unsubscribe"]
    assert "<strong>two</strong>" in html and "&lt;b&gt;Feedback&lt;/b&gt;" in html and "1 Test Street" in html
    assert "Two things changed" in html and "Two things changed" not in text
    assert "* Digests have a new layout <https://papers.example.org/layouts>." in text
    assert "Stop announcements, keep digests" in text and "Unsubscribe from everything" in text
    row = newsletter.run("announcements", "list", "--json").rows[0]
    assert (row["state"], row["sends"]["sent"], row["subject"]) == ("sent", 2, "New on Test Papers")
    logged = newsletter.run("log", "--announcement", 1, "--json").rows
    assert [(one["kind"], one["papers"]) for one in logged] == [("announcement", [])] * 2


def test_local_time_is_by_the_clock_of_each_subscriber(newsletter: Newsletter, mail: Mailbox) -> None:
    _subscribe(
        newsletter,
        ("east@example.org", "Pacific/Kiritimati"),
        ("utc@example.org", "UTC"),
        ("west@example.org", "America/Los_Angeles"),
    )
    at = ("--at", "2025-12-03T09:00", "--local-time", "--yes")
    said = newsletter.run("announce", _write(newsletter), *at, now="2025-12-01T08:00").out
    assert said == "Announcement 1 is scheduled for 2025-12-03 09:00 local time.\n"
    seen = {}
    for now in ("2025-12-02T06:00", "2025-12-02T19:01", "2025-12-03T09:00", "2025-12-03T17:01"):
        newsletter.run("send", "--due", now=now)
        seen[now] = len([one for one in mail.messages() if "announcements" in str(one["List-Id"])])
    assert list(seen.values()) == [0, 1, 2, 3]
    lines = {one["email"]: one["edition"] for one in newsletter.run("log", "--announcement", 1, "--json").rows}
    assert set(lines.values()) == {"2025-12-03"}


def test_pause_resume_and_cancel(newsletter: Newsletter, mail: Mailbox) -> None:
    _subscribe(newsletter, ("ada@example.org", "UTC"))
    path = _write(newsletter)
    for number in (1, 2):
        newsletter.run("announce", path, "--at", "2025-11-28T10:00", "--yes")
        newsletter.run("announcements", "pause", number)
    newsletter.run("send", "--due", now="2025-11-28T10:01")
    assert mail.recipients() == []
    newsletter.run("announcements", "resume", 1)
    newsletter.run("announcements", "cancel", 2)
    newsletter.run("send", "--due", now="2025-11-28T10:02")
    assert mail.recipients() == ["ada@example.org"]
    assert "already sent" in newsletter.run("announcements", "pause", 1, code=2).err
    states = [one["state"] for one in newsletter.run("announcements", "list", "--json").rows]
    assert states == ["cancelled", "sent"]


def test_who_turns_announcements_off_gets_none_that_waits(newsletter: Newsletter, mail: Mailbox) -> None:
    _subscribe(newsletter, ("ada@example.org", "UTC"))
    newsletter.run("announce", _write(newsletter), "--at", "2025-11-28T20:00", "--local-time", "--yes")
    newsletter.run("send", "--due")
    newsletter.run("subscribe", "ada@example.org", "--no-announcements")
    newsletter.run("send", "--due", now="2025-11-28T21:00")
    assert not [one for one in mail.messages() if "announcements" in str(one["List-Id"])]
    (line,) = newsletter.run("log", "--announcement", 1, "--json").rows
    assert (line["state"], line["reason"]) == ("skipped", "the subscriber wants no announcements")


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.md", "no heading", "a.md: no subject; give it a first line like '# Subject', or pass a subject"),
        ("a.md", "# Hi\n\n{{ unknown }}", "a.md:3: 'unknown' is undefined; correct the template"),
        ("a.md", "# Hi\n\ntext\n{% if %}", "a.md:4: Expected an expression, got 'end of statement block'; correct it"),
        ("a.md", "# Hi\n\n[x](javascript:alert)", "a.md:3: 'javascript:alert' does not work in an email; use https"),
        (
            "a.md",
            "# Hi\n\n{{ ''.__class__.mro() }}",
            "a.md:3: access to attribute '__class__' of 'str' object is unsafe",
        ),
        ("a.md", "---\nsubjekt: x\n---\nText", "a.md:2: subjekt: unknown"),
        ("a.mjml", "<mjml><mj-body></mj-body></mjml>", "a.mjml: no subject"),
        ("a.mjml", "<mjml>\n<mj-title>T</mj-title>\n<mj-bdy>\n</mj-bdy>\n</mjml>", "a.mjml:3: MJML has no <mj-bdy>"),
        ("a.txt", "x", "a.txt: unknown file type; name it .md or .mjml"),
    ],
)
def test_errors_name_file_and_line(newsletter: Newsletter, name: str, text: str, error: str) -> None:
    assert error in newsletter.run("announce", _write(newsletter, name, text), "--yes", code=2).err


def test_mjml_without_the_links_gets_the_usual_footer(newsletter: Newsletter, mail: Mailbox) -> None:
    _subscribe(newsletter, ("ada@example.org", "UTC"))
    document = "<mjml><mj-head><mj-title>Hi {{ email }}</mj-title></mj-head><mj-body>%s</mj-body></mjml>"
    section = "<mj-section><mj-column><mj-text>%s</mj-text></mj-column></mj-section>"
    own = '<a href="{{ announcements_url }}">stop</a> <a href="{{ unsubscribe_url }}">end</a> {{ site.postal_address }}'
    for name, body in (("plain", "Some news"), ("own", own)):
        newsletter.run("announce", _write(newsletter, f"{name}.mjml", document % (section % body)), "--yes")
    plain, complete = mail.messages()
    assert plain["Subject"] == "Hi ada@example.org"
    assert "Stop announcements, keep digests" in _parts(plain)[0] and "Some news" in _parts(plain)[1]
    assert "Stop announcements, keep digests" not in _parts(complete)[0]
    assert re.search(r"stop <https://papers.example.org/announcements/\S+>", _parts(complete)[1])


def test_a_wrong_announcement_fails_alone(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    # Wrong for one reader alone, so that no check can find it.
    text = "# Hi\n\n{% if email == 'bo@example.org' %}{{ nothing }}{% endif %}"
    _subscribe(newsletter, ("bo@example.org", "UTC"))
    result = newsletter.run("announce", _write(newsletter, text=text), "--yes", code=1)
    assert "1 sent, 1 failed" in result.out
    newsletter.run("send", "--only", reader)
    assert mail.recipients() == [reader, reader]
    (line,) = [one for one in newsletter.run("log", "bo@example.org", "--json").rows if one["kind"] == "announcement"]
    assert "'nothing' is undefined" in line["reason"]


def test_a_test_goes_to_any_address_and_is_not_logged(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.run("announce", _write(newsletter), "--test", "boss@example.com")
    (message,) = mail.messages()
    assert (message["To"], message["Subject"]) == ("Ada <boss@example.com>", "[Test] New on Test Papers")
    assert newsletter.run("log", "--json").rows == newsletter.run("announcements", "list", "--json").rows == []


def test_tags_select_who_gets_it(newsletter: Newsletter, mail: Mailbox) -> None:
    error = newsletter.run("announce", _write(newsletter), "--to", "beta", "--yes", code=2).err
    assert "to: no subscriber has the tag 'beta'; no subscriber has a tag" in error


def _stop_link(message: EmailMessage) -> str:
    (page,) = re.findall(r"<(https://[^>]*/announcements/[^>]*)>", str(message["List-Unsubscribe"]).replace("\n", ""))
    return str(page)


def test_the_link_ends_announcements_and_nothing_else(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.run("announce", _write(newsletter), "--yes")
    path = path_of(_stop_link(mail.messages()[0]))
    home = newsletter.folder / "subscribers" / "ada.yaml"
    with serving(newsletter) as url, httpx.Client(base_url=url, timeout=60) as client:
        asked = client.get(path).text
        assert "Stop announcements" in asked and "Unsubscribe from everything" in asked
        assert "announcements: false" not in home.read_text()
        ended = client.post(path, data={"List-Unsubscribe": "One-Click"}, headers={"Origin": "https://mail.example"})
        assert ended.status_code == 200 and "Your digests go on." in ended.text
        assert client.post(path, headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.get("/announcements/1.abc").status_code == 404
    assert "announcements: false" in home.read_text()
    one = newsletter.run("subscribers", "show", reader, "--json").rows[0]
    assert (one["state"], one["announcements"]) == ("active", False)
    newsletter.run("announce", _write(newsletter), "--yes")
    assert len(mail.accepted) == 1


def test_the_form_has_a_box_for_announcements(newsletter: Newsletter, reader: str) -> None:
    newsletter.run("subscribers", "list")
    page = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, reader)))
    with serving(newsletter) as url, httpx.Client(base_url=url, timeout=60, follow_redirects=True) as client:
        shown = client.get(page).text
        assert 'name="announcements" value="yes" checked' in shown
        mark = re.search(r'name="mark" value="(\w+)"', shown)
        assert mark is not None
        fields = {"mark": mark[1], "day": "mon", "time": "07:30", "timezone": "UTC", "papers": "10", "act": "save"}
        assert "Saved." in client.post(page, data={**fields, "announcements": ""}).text
    assert newsletter.run("subscribers", "show", reader, "--json").rows[0]["announcements"] is False


def test_an_email_ends_announcements_and_a_bounce_counts(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.configure(bounces={"address": "bounces@papers.example.org"})
    senders: list[str] = []
    mail.on_sender = lambda address: senders.append(address)
    newsletter.run("announce", _write(newsletter), "--yes")
    (message,) = mail.messages()
    subject = unquote(re.findall(r"subject=([^>]*)", str(message["List-Unsubscribe"]))[0])
    about = reports.About(reader, senders[-1], message["Message-ID"])
    for name, content in (("letter", reports.letter(subject)), ("report", reports.gone(about))):
        (newsletter.folder / name).write_bytes(content)
    newsletter.run("bounces", "read", "letter")
    one = newsletter.run("subscribers", "show", reader, "--json").rows[0]
    assert (one["state"], one["announcements"]) == ("active", False)
    newsletter.run("bounces", "read", "report")
    assert newsletter.run("subscribers", "show", reader, "--json").rows[0]["state"] == "bounced"


def test_announcements_and_digests_are_told_apart(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    newsletter.run("announce", _write(newsletter), "--yes")
    newsletter.run("send")
    kinds = [one["kind"] for one in newsletter.run("log", reader, "--json").rows]
    assert sorted(kinds) == ["announcement", "digest"] and len(mail.accepted) == 2
    why = " ".join(newsletter.run("log", "--why", reader).out.split())
    assert "announcement “New on Test Papers”, accepted by the server" in why
    assert newsletter.run("rank", reader, "--edition", "2025-11-28", "--json").rows
    exported = newsletter.run("subscribers", "export", "--format", "csv").out.splitlines()
    assert exported[0].endswith(",announcements") and exported[1].endswith(",yes")


def test_a_message_of_a_program_is_sent_to_one(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    folder = newsletter.folder / "templates" / "messages"
    folder.mkdir(parents=True)
    (folder / "receipt.md").write_text("# Receipt {{ number }}\n\n{{ greeting }} [see it]({{ link }})\n")
    newsletter.run("subscribe", reader, "--no-announcements")
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))

    def plan(template: str = "receipt", **data: object) -> None:
        with writing(context.engine) as connection:
            to = subscriptions.get_subscriber(connection, reader)
            single_messages.plan_message(context, connection, subscriber=to, template=template, data=data, actor="test")

    for wrong, why in (
        ({"number": 1}, "'link' is undefined"),
        ({"number": 1, "link": "x", "site": "x"}, "'site' is the name of a variable of every message"),
        ({"template": "../digest"}, "template '../digest': not in"),
    ):
        with pytest.raises(UserError, match=re.escape(why)):
            plan(**wrong)
    plan(number="{{ 7 * 7 }}", link="javascript:alert(1)")
    newsletter.run("send", "--due")
    (message,) = mail.messages()
    html, text = _parts(message)
    assert message["Subject"] == "Receipt {{ 7 * 7 }}" and message["List-Unsubscribe"] is None
    assert 'href="#"' in html and "javascript:" not in html and "Unsubscribe" not in text
    newsletter.run("unsubscribe", reader)
    with pytest.raises(UserError, match="is unsubscribed and gets no mail"):
        plan(number=8, link="https://example.org")
    context.engine.dispose()


def test_a_test_of_a_digest_uses_nothing_up(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    newsletter.run("send", "--test", "boss@example.com", "--as", reader)
    (message,) = mail.messages()
    assert str(message["Subject"]).startswith("[Test] ") and message["To"] == "Ada <boss@example.com>"
    assert newsletter.run("log", "--json").rows == []
    page = re.findall(r"<(https://[^>]*/unsubscribe/[^>]*)>", str(message["List-Unsubscribe"]))[0]
    with serving(newsletter) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert client.post(path_of(page), data={"List-Unsubscribe": "One-Click"}).status_code in (404, 410)
    newsletter.run("send")
    assert mail.recipients() == ["boss@example.com", reader]


def test_old_announcements_are_deleted_with_their_log(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.run("announce", _write(newsletter), "--yes")
    newsletter.run("run", "--once", now="2028-11-28T09:00", code=None)
    assert newsletter.run("announcements", "list", "--json", now="2028-11-28T09:00").rows == []
