"""Names and titles that look like headers: whatever the entry point, they arrive as plain text and add no header."""

import json
import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import parseaddr

from pytest_httpserver import HTTPServer

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import links_of, path_of, row_of, serving, site_client

INJECTION = "=?utf-8?q?=0D=0ABcc:_evil=40x.test?="
CONTROLS = "Ada\r\nBcc: evil@x.test\0\x1b[2J"
CLEANED = "Ada Bcc: evil@x.test[2J"
LONG = "Bartholomew Featherstonehaugh-Cholmondeley, Esquire, of the Royal Society of Sciences and Letters"
FEED = """\
<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>F</title><id>f</id>
<updated>2025-11-27T00:00:00Z</updated><entry><title>=?utf-8?q?=0D=0ABcc:_evil=40x.test?= language models</title>
<id>1</id><link href="https://x.example/1"/><updated>2025-11-27T00:00:00Z</updated><author><name>%s</name></author>
<summary>Language models, which speak of language models.</summary></entry></feed>
"""


def unfolded(value: str) -> str:
    return re.sub(r"\r?\n(?=[ \t])", "", value)


def names_of(mail: Mailbox) -> dict[str, str]:
    """By address the name in To of each message that came. No message has a field that should not be there."""
    found = {}
    for recipient, content in mail.accepted:
        message = message_from_bytes(content)
        assert message["Bcc"] is None
        assert len(message.get_all("To", [])) == len(message.get_all("Subject", [])) == 1
        assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", content.partition(b"\r\n\r\n")[0])
        name, address = parseaddr(unfolded(message["To"]))
        assert address == recipient
        found[address] = str(make_header(decode_header(name)))
    return found


def test_a_name_arrives_as_it_was_written_whichever_way_it_came(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    expected = {}

    def row(address: str, name: str) -> str:
        expected[f"{address}@example.org"] = CLEANED if name == CONTROLS else name
        return f"{address}@example.org"

    for kind, name in (("word", INJECTION), ("controls", CONTROLS), ("long", LONG)):
        # YAML in double quotes has the escapes of JSON.
        newsletter.subscriber(f"yaml-{kind}", f"email: {row(f'yaml-{kind}', name)}\nname: {json.dumps(name)}\n")
        (newsletter.folder / "people.jsonl").write_text(json.dumps({"email": row(f"json-{kind}", name), "name": name}))
        newsletter.run("subscribers", "import", "people.jsonl")
        if kind != "controls":  # A row of CSV and an argument hold no NUL.
            csv = f'email,name\n{row(f"csv-{kind}", name)},"{name}"\n'
            (newsletter.folder / "people.csv").write_text(csv)
            newsletter.run("subscribers", "import", "people.csv")
            newsletter.run("subscribe", row(f"command-{kind}", name), "--name", name)
    newsletter.run("subscribe", row("argument-controls", CONTROLS), "--name", CONTROLS.replace("\0", ""))
    for kind, name in (("word", INJECTION), ("controls", CONTROLS), ("long", LONG)):
        newsletter.run("subscribe", row(f"form-{kind}", name), "--no-file")
        page = path_of(
            links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, f"form-{kind}@example.org"))
        )
        with serving(newsletter) as where, site_client(where) as client:
            mark = re.findall(r'name="mark" value="([^"]*)"', client.get(page).text)[0]
            fields = {"act": "save", "mark": mark, "name": name, "day": "fri", "time": "07:30", "timezone": "UTC"}
            assert client.post(page, data={**fields, "papers": "10"}).status_code == 303
    assert newsletter.run("send").out == f"{len(expected)} sent\n"
    assert names_of(mail) == expected
    (newsletter.folder / "new.jsonl").write_text('{"title": "Looms", "upvotes": 500, "listed_on": "2025-11-29"}\n')
    newsletter.run("import", "new.jsonl", now="2025-11-29T08:00")
    assert newsletter.run("send", now="2025-11-29T09:00").out == f"{len(expected)} sent\n"


def test_a_title_of_a_feed_adds_no_header(newsletter: Newsletter, mail: Mailbox, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/feed").respond_with_data(FEED % INJECTION, content_type="application/atom+xml")
    newsletter.configure(sources={"f": {"kind": "feed", "url": httpserver.url_for("/feed")}})
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [language models]\n")
    newsletter.run("fetch")
    assert newsletter.run("send").out == "1 sent\n"
    assert names_of(mail) == {"ada@example.org": ""}
    (message,) = [message_from_bytes(content) for _, content in mail.accepted]
    assert str(make_header(decode_header(message["Subject"]))) == f"{INJECTION} language models"


def test_the_names_of_the_site_add_no_header(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.configure(
        site={
            "name": INJECTION,
            "from": f"{INJECTION} <papers@example.org>",
            "reply_to": f'"{LONG} <daily> \\"it\\"" <help@example.org>',
        }
    )
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [language models]\n")
    assert newsletter.run("send").out == "1 sent\n"
    assert names_of(mail) == {"ada@example.org": ""}
    (message,) = [message_from_bytes(content) for _, content in mail.accepted]
    for name, expected in (
        ("From", (INJECTION, "papers@example.org")),
        ("Reply-To", (f'{LONG} <daily> "it"', "help@example.org")),
    ):
        phrase, address = parseaddr(unfolded(message[name]))
        assert (str(make_header(decode_header(phrase))), address) == expected
    assert str(make_header(decode_header(unfolded(message["List-Id"])))) == f"{INJECTION} <papers.example.org>"
    for ending in ("", "\\r\\nBcc: evil@x.test", "\\0"):
        text = (newsletter.folder / "config.yaml").read_text()
        changed = re.sub(r"(?m)^  name: .*$", lambda _, ending=ending: f'  name: "Papers{ending}"', text)
        (newsletter.folder / "config.yaml").write_text(changed)
        ran = newsletter.run("subscribers", "list", code=2 if ending else 0)
        assert ("has a line break or control character" in ran.err) == bool(ending)


def test_a_name_that_is_in_the_store_already_stops_nobody(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    for number, name in enumerate((INJECTION, CONTROLS, "half \ud83d a pair", LONG)):
        newsletter.run("subscribe", f"ada{number}@example.org", "-i", "language models", "--no-file")
        newsletter.damage(f"ada{number}@example.org", name=name)  # As a program before this one may have kept it.
    assert newsletter.run("send").out == "4 sent\n"
    assert names_of(mail) == {
        "ada0@example.org": INJECTION,
        "ada1@example.org": CLEANED,
        "ada2@example.org": "half a pair",
        "ada3@example.org": LONG,
    }
