"""A newsletter without a public site: readers give feedback, change their interests and unsubscribe by email alone."""

import base64
import json
import re
import smtplib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from email import policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from newsletter.delivery.bounces.bounce_mailbox import PASSWORD_VARIABLE
from newsletter.services.demo import LoopbackServer
from newsletter.store import feedback, open_store, reading, subscribers
from tests.audience.test_subscriptions import state
from tests.helpers.imap import PASSWORD, ImapServer
from tests.helpers.mail_program import links, links_named, part, written
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

READER, OWN = "ada@example.org", "papers@example.org"

ADA = """\
# Ada reads at breakfast.
email: ada@example.org
name: Ada
interests:
  - name: Several goals # at once
    text: multi-objective reinforcement learning and Pareto fronts
    keywords: [hypervolume]
  - language models
"""

LONG = f"[interests]\n- {'loom' * 80}\n[end]\n"


class PostOffice(Mailbox):
    """A mail server that delivers what is sent to the newsletter into its IMAP mailbox."""

    def __init__(self, mailbox: ImapServer) -> None:
        super().__init__()
        self._mailbox = mailbox
        self._number = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if envelope.rcpt_tos != [OWN]:
            return await super().handle_DATA(server, session, envelope)
        self._number += 1
        self._mailbox.put(str(self._number), envelope.original_content)
        return "250 delivered"


@pytest.fixture(scope="module")
def imap() -> Iterator[ImapServer]:
    with ImapServer(trustme.CA()) as server:
        yield server


@pytest.fixture
def home(newsletter: Newsletter) -> Newsletter:
    """A newsletter without a site, with one reader, papers, and a Maildir."""
    path = newsletter.folder / "config.yaml"
    path.write_text(path.read_text().replace("  url: https://papers.example.org\n", ""))
    for name in ("new", "cur", "tmp"):
        (newsletter.folder / "mailbox" / name).mkdir(parents=True)
    newsletter.configure(bounces={"maildir": "mailbox"})
    newsletter.subscriber("ada", ADA)
    return newsletter.with_sample()


def digest(newsletter: Newsletter, mail: Mailbox) -> EmailMessage:
    """Send today's digest to the reader."""
    newsletter.run("send")
    return mail.messages()[-1]


def deliver(newsletter: Newsletter, *messages: EmailMessage | bytes, now: str = "2025-11-28T10:00") -> str:
    """Put messages into the mailbox and have the newsletter read them; returns its log."""
    for number, message in enumerate(messages):
        content = message if isinstance(message, bytes) else message.as_bytes()
        (newsletter.folder / "mailbox" / "new" / f"{now[-5:]}-{number:02}").write_bytes(content)
    return newsletter.run("run", "--once", now=now).out


def verdicts(newsletter: Newsletter) -> list[tuple[str, str | None]]:
    """The stored feedback of the reader: verdict and interest."""
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        ada = subscribers.by_email(connection, READER)
        assert ada is not None
        given = feedback.of(connection, [ada.row])[ada.row]
    engine.dispose()
    return sorted((one.verdict.value, one.interest) for one in given)


def interests(newsletter: Newsletter) -> list[str]:
    return [one["name"] for one in state(newsletter)["interests"]]


def test_a_reader_gives_feedback_and_unsubscribes_by_mail_alone(
    newsletter: Newsletter, imap: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    path = newsletter.folder / "config.yaml"
    path.write_text(path.read_text().replace("  url: https://papers.example.org\n", ""))
    file = newsletter.subscriber("ada", ADA)
    newsletter.with_sample().configure(bounces={"imap": imap.settings().model_dump(mode="json", exclude_none=True)})
    office = PostOffice(imap)
    with LoopbackServer(office) as server:
        newsletter.configure(smtp={"port": server.port})
        newsletter.run("subscribers", "list", now="2025-11-28T05:00")
        newsletter.run("run", "--once", now="2025-11-28T09:00")
        (message,) = office.messages()
        more, less = links_named(message, "More like this"), links_named(message, "Less like this")
        change, *_ = links_named(message, "Change your interests")
        (unsubscribe,) = links_named(message, "Unsubscribe")

        def send(email: EmailMessage) -> None:
            with smtplib.SMTP("127.0.0.1", server.port) as smtp:
                smtp.send_message(email)

        send(written(more[0]))
        send(written(less[1]))
        send(written(change, body=body_of(change).replace("- language models", "diffusion models for images")))
        out = newsletter.run("run", "--once", now="2025-11-28T10:00").out
        assert "event='command' kind='feedback' email='ada@example.org' done='more like " in out
        assert sorted(kind for kind, _ in verdicts(newsletter)) == ["less", "more"]
        assert interests(newsletter) == ["Several goals", "diffusion models for images"]
        # What was not touched keeps its keywords, and the file its comments.
        assert "# Ada reads at breakfast.\n" in file.read_text() and "keywords: [hypervolume]" in file.read_text()
        answer = office.messages()[-1]
        assert (answer["To"], answer["Subject"]) == (READER, "Your interests in Test Papers")
        assert "changed by email. They are now:\n\n[interests]\n- Several goals\n- diffusion" in part(answer, "plain")
        send(written(unsubscribe))
        out = newsletter.run("run", "--once", now="2025-11-28T11:00").out
        assert "event='came_back' kind='unsubscribe' email='ada@example.org' effect='unsubscribed'" in out
        assert state(newsletter)["state"] == "unsubscribed"
        newsletter.run("run", "--once", now="2025-12-01T09:00")
    assert len(office.accepted) == 2  # the digest and the answer
    processed = [path.name.partition(":2,")[2] for path in (imap.mail / ".Processed" / "cur").iterdir()]
    assert processed == ["S"] * 4


def body_of(link: str) -> str:
    return str(written(link).get_content())


@pytest.mark.parametrize("layout", ["full", "compact", "titles"])
def test_no_link_leads_to_a_site(home: Newsletter, mail: Mailbox, layout: str) -> None:
    home.configure(digest={"layout": layout})
    paper = {"title": "Hypervolume and Pareto fronts", "url": "https://papers.example.net/1", "abstract": "A front."}
    (home.folder / "new.jsonl").write_text(json.dumps(paper))
    home.run("import", "new.jsonl", now="2025-11-28T08:00")
    message = digest(home, mail)
    papers = [href for _, href in links(message) if not href.startswith(("mailto:", "#"))]
    assert {*papers} == {"https://papers.example.net/1"}
    emails = {urlsplit(href).path for _, href in links(message) if href.startswith("mailto:")}
    assert emails == {OWN}
    shown = part(message, "html") + part(message, "plain")
    assert "None" not in shown and "papers.example.org" not in shown
    assert "View in browser" not in part(message, "plain")
    (unsubscribe,) = links_named(message, "Unsubscribe")
    assert message["List-Unsubscribe"] == f"<{unsubscribe}>"
    assert message["List-Unsubscribe-Post"] is None
    assert f"Unsubscribe: {unsubscribe}" in part(message, "plain").replace("\n", " ")


def test_without_a_mailbox_the_links_are_left_out(home: Newsletter, mail: Mailbox) -> None:
    path = home.folder / "config.yaml"
    path.write_text(path.read_text().partition("bounces:")[0] + "\n")
    home.configure(smtp={"port": home.config.smtp.port}, site={"reply_to": "me@example.org"})
    message = digest(home, mail)
    emails = [(text, href.partition("?")[0]) for text, href in links(message) if href.startswith("mailto:")]
    assert emails == [("Unsubscribe", "mailto:me@example.org")]
    assert "More like this" not in part(message, "plain") and "interests" not in part(message, "plain")


def as_reply(email: EmailMessage) -> bytes:
    subject = email["Subject"]
    del email["Subject"]
    email["Subject"] = f"Re: [EXTERNAL] {subject}"
    return email.as_bytes()


def folded(email: EmailMessage) -> bytes:
    """As a mail program that folds after each word."""
    text = email.as_string(policy=policy.compat32.clone(max_line_length=0))
    return re.sub("^Subject: .*$", lambda line: line[0].replace(" ", "\r\n "), text, flags=re.MULTILINE).encode()


def encoded(email: EmailMessage) -> bytes:
    """As a mail program that encodes each subject (RFC 2047), in pieces of 20 characters."""
    subject = email["Subject"]
    words = [base64.b64encode(subject[at : at + 20].encode()).decode() for at in range(0, len(subject), 20)]
    lines = "\r\n ".join(f"=?utf-8?B?{word}?=" for word in words)
    return re.sub(rb"^Subject: .*$", f"Subject: {lines}".encode(), email.as_bytes(), flags=re.MULTILINE)


def forwarded(email: EmailMessage) -> bytes:
    """As sent from another account, to an alias, with the digest below it."""
    del email["From"], email["To"]
    email["From"], email["To"] = "Ada at work <ada@work.example>", "alias@example.net"
    email.set_content("Yes!\n\nOn Fri, Papers wrote:\n> More like this\n> Unsubscribe\n")
    return email.as_bytes()


def upper_case(email: EmailMessage) -> bytes:
    subject = email["Subject"]
    return email.as_bytes().replace(subject.encode(), subject.upper().encode())


@pytest.mark.parametrize("sent_by", [as_reply, folded, encoded, forwarded, upper_case])
def test_what_mail_programs_add_does_not_matter(home: Newsletter, mail: Mailbox, sent_by: Any) -> None:
    more = links_named(digest(home, mail), "More like this")
    deliver(home, sent_by(written(more[0])))
    assert [verdict for verdict, _ in verdicts(home)] == ["more"]


@pytest.mark.both_stores
def test_an_email_that_arrives_twice_has_one_effect(home: Newsletter, mail: Mailbox) -> None:
    message = digest(home, mail)
    more, less = (links_named(message, f"{verdict} like this")[0] for verdict in ("More", "Less"))
    first = written(more)
    assert "done='more like" in deliver(home, first)
    deliver(home, written(less), now="2025-11-28T10:10")
    # An older copy, by another road, does not undo the newer one.
    copy = b"Received: from there by here; Fri, 28 Nov 2025 10:15:00 +0000\r\n" + first.as_bytes()
    out = deliver(home, first, copy, now="2025-11-28T10:20")
    assert "event='bounces' again=2" in out and "'command'" not in out
    assert [verdict for verdict, _ in verdicts(home)] == ["less"]
    assert [row["kind"] for row in home.run("bounces", "list", "--json").rows] == ["feedback"] * 2


def tampered(email: EmailMessage) -> EmailMessage:
    """The same with the last digit of its signature changed."""
    subject = str(email["Subject"])
    del email["Subject"]
    email["Subject"] = f"{subject[:-1]}{'0' if subject[-1] != '0' else '1'}"
    return email


def test_a_forged_email_changes_nothing_and_gets_no_answer(home: Newsletter, mail: Mailbox) -> None:
    message = digest(home, mail)
    more, change = (links_named(message, words)[0] for words in ("More like this", "Change your interests"))
    (unsubscribe,) = links_named(message, "Unsubscribe")
    # A token is not valid for another purpose either.
    swapped = written(change)
    token = str(written(more)["Subject"]).rpartition(" ")[2]
    del swapped["Subject"]
    swapped["Subject"] = f"change my interests {token.replace('.more', '')}"
    forged = [tampered(written(link)) for link in (more, change, unsubscribe)]
    out = deliver(home, *forged, swapped)
    refused = [line for line in out.splitlines() if "'command_refused'" in line]
    assert len(refused) == 4 and all("reason='no valid token'" in line for line in refused)
    assert (verdicts(home), interests(home)) == ([], ["Several goals", "language models"])
    assert state(home)["state"] == "active"
    assert len(mail.accepted) == 1
    # It stays in the mailbox, for a person to see.
    assert len([*(home.folder / "mailbox" / "cur").iterdir()]) == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [("Auto-Submitted", "auto-replied"), ("Auto-Submitted", "auto-generated"), ("X-Autoreply", "yes")],
)
def test_a_program_that_answers_by_itself_changes_nothing(
    home: Newsletter, mail: Mailbox, name: str, value: str
) -> None:
    change, *_ = links_named(digest(home, mail), "Change your interests")
    email = written(change, body=body_of(change).replace("- language models\n", ""))
    email[name] = value
    deliver(home, email)
    assert interests(home) == ["Several goals", "language models"]
    assert len(mail.accepted) == 1


def test_links_that_were_signed_out_do_nothing(home: Newsletter, mail: Mailbox) -> None:
    more = links_named(digest(home, mail), "More like this")[0]
    with closing(sqlite3.connect(home.store)) as store:
        store.execute("UPDATE subscribers SET link_version = 1")
        store.commit()
    assert "'command_refused'" in deliver(home, written(more))
    assert verdicts(home) == []


@pytest.mark.parametrize("body", ["Please send me fewer.", "[interests]\n\n[end]\n", "[interests]\n- looms\n", LONG])
def test_an_email_without_a_usable_list_changes_nothing_and_is_answered(
    home: Newsletter, mail: Mailbox, body: str
) -> None:
    change, *_ = links_named(digest(home, mail), "Change your interests")
    out = deliver(home, written(change, sender="stranger@example.net", body=body))
    assert "done='interests not changed: " in out
    assert interests(home) == ["Several goals", "language models"]
    answer = mail.messages()[-1]
    assert mail.recipients()[-1] == READER  # not who sent it
    assert "nothing was changed. Your interests are:\n\n[interests]\n- Several goals\n" in part(answer, "plain")
    assert links_named(answer, "Change your interests") == [change]
    assert answer["Auto-Submitted"] == "auto-generated"


def test_answers_are_limited(home: Newsletter, mail: Mailbox) -> None:
    change, *_ = links_named(digest(home, mail), "Change your interests")
    deliver(home, *(written(change, body=f"[interests]\n- looms {number}\n[end]\n") for number in range(12)))
    assert interests(home) == ["looms 11"]
    assert 1 < len(mail.accepted) < 8


def test_long_lists_are_asked_for_first(home: Newsletter, mail: Mailbox) -> None:
    names = [f"a topic that has quite a long name, which is number {number}" for number in range(40)]
    home.subscriber("ada", f"email: {READER}\ninterests: {json.dumps(names)}\n")
    home.run("subscribers", "list")
    change, *_ = links_named(digest(home, mail), "Change your interests")
    assert len(change) < 1500
    deliver(home, written(change))
    answer = mail.messages()[-1]
    assert all(f"- {name}\n" in part(answer, "plain") for name in names)
    edited = part(answer, "plain").replace(names[7], "looms")
    deliver(home, written(change, body=edited), now="2025-11-28T10:10")
    assert interests(home) == [*names[:7], "looms", *names[8:]]


def test_a_file_with_an_error_is_left_alone(home: Newsletter, mail: Mailbox) -> None:
    change, *_ = links_named(digest(home, mail), "Change your interests")
    file = home.folder / "subscribers" / "ada.yaml"
    file.write_text(wrong := ADA.replace("name: Ada", "nmae: Ada"))
    content = written(change, body="[interests]\n- looms\n[end]\n").as_bytes()
    (home.folder / "came.eml").write_bytes(content)
    out = home.run("bounces", "read", "came.eml").out
    assert out.startswith("ada@example.org: interests; interests not changed: ")
    assert "nmae: unknown key; did you mean 'name'?" in out
    assert file.read_text() == wrong


def test_the_log_of_a_subscriber_tells_of_their_emails(home: Newsletter, mail: Mailbox) -> None:
    message = digest(home, mail)
    change, *_ = links_named(message, "Change your interests")
    deliver(home, written(links_named(message, "Less like this")[0]), written(change))
    told = home.run("log", "--why", READER, now="2025-11-28T11:00").out
    assert re.search("feedback received by email at 10:00: “less like .*”", " ".join(told.split()))
    assert "new interests received by email at 10:00: “interests changed”" in " ".join(told.split())


def test_the_site_needs_its_address(home: Newsletter) -> None:
    for command in (("serve",), ("run", "--web")):
        ran = home.run(*command, code=2)
        assert "site.url: not set, but the site's emails and feeds need it; set it in config.yaml" in ran.err
