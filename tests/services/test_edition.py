"""The road, end to end: preview, send and log agree; nothing is sent twice; a killed run goes on."""

import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from newsletter.rendering.template import BUNDLED
from newsletter.services.demo import LoopbackServer
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.postgresql import PostgreSQL
from tests.helpers.smtp import Mailbox


@pytest.mark.both_stores
def test_rank_preview_send_and_log_agree_paper_by_paper(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    ranked = newsletter.run("rank", reader, "--top", "50", "--json").rows
    (preview,) = newsletter.run("preview", reader, "--format", "json").rows
    text = newsletter.run("preview", reader, "--format", "text").out
    newsletter.run("preview", reader, "--output", "preview.eml")
    newsletter.run("send")
    (row,) = newsletter.run("log", reader, "--json").rows
    (message,) = mail.messages()

    assert row["papers"] == [
        {key: paper[key] for key in ("id", "rank", "score", "section")} for paper in preview["papers"]
    ]
    matched = [paper for paper in row["papers"] if paper["section"] == "Several goals"]
    assert [(one["paper_id"], one["score"]) for one in ranked][: len(matched)] == [
        (one["id"], one["score"]) for one in matched
    ]
    sent_text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert sent_text == text
    # The preview is what is sent, byte for byte: headers, boundary, links and all.
    assert (newsletter.folder / "preview.eml").read_bytes() == mail.accepted[0][1]
    for paper in preview["papers"]:
        assert f"{paper['rank']}. {paper['title'][:40]}" in sent_text.replace("\n", " ")
    assert row["message_id"] == message["Message-ID"]
    assert (row["state"], row["edition"], row["smtp_reply"]) == ("sent", "2025-11-28", "250 taken")
    assert row["sent_at"] == "2025-11-28T09:00:00+00:00"
    # What was sent today can still be previewed, and is the same.
    assert newsletter.run("preview", reader, "--format", "text").out == text


def test_a_second_send_on_the_same_day_sends_nothing(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    assert newsletter.run("send").out == "1 sent\n"
    assert newsletter.run("send").out == "Everyone already has today's digest (see 'newsletter log').\n"
    assert newsletter.run("run", "--once", now="2025-11-28T23:00").code == 0
    assert len(mail.accepted) == 1


def test_two_subscribers_get_what_is_theirs(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [robustness under distribution shift]\n")
    newsletter.run("send")
    ada, bob = ({paper["id"] for paper in row["papers"]} for row in newsletter.run("log", "--json").rows)
    assert len(ada & bob) <= 4
    assert sorted(mail.recipients()) == ["ada@example.org", "bob@example.org"]
    assert mail.messages()[0]["Subject"] != mail.messages()[1]["Subject"]


def test_send_only_and_dry_run(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    newsletter.run("subscribe", "bob@example.org", "-i", "robustness")
    dry = newsletter.run("send", "--dry-run", "--json").rows
    assert [row["email"] for row in dry] == ["ada@example.org", "bob@example.org"]
    assert newsletter.run("log").out == "Nothing was sent yet.\n"
    newsletter.run("send", "--only", "BOB@example.org")
    assert mail.recipients() == ["bob@example.org"]
    newsletter.run("send")
    assert mail.recipients() == ["bob@example.org", "ada@example.org"]
    (row,) = newsletter.run("log", "bob@example.org", "--json").rows
    assert row["papers"] == next(one["papers"] for one in dry if one["email"] == "bob@example.org")


def test_angle_brackets_are_shown_as_text(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [supervision of the reasoning process]\n")
    newsletter.run("send")
    html = mail.messages()[0].get_body(("html",)).get_content()
    assert "From &lt;Answer&gt; to &lt;Think&gt;" in html
    assert "From <Answer> to <Think>" in mail.messages()[0].get_body(("plain",)).get_content()


def test_a_refused_recipient_fails_and_the_others_get_theirs(
    newsletter: Newsletter, mail: Mailbox, reader: str
) -> None:
    newsletter.with_sample()
    newsletter.run("subscribe", "bob@example.org", "-i", "robustness")
    mail.on_recipient = lambda address: "550 5.7.1 not from you" if address.startswith("ada") else None
    ran = newsletter.run("send", code=1)
    assert ran.out == "1 sent, 1 failed\n"
    row = newsletter.run("log", reader, "--json").rows[0]
    assert (row["state"], row["smtp_reply"], row["sent_at"]) == ("failed", "550 5.7.1 not from you", None)
    # Its papers are free for the next day.
    mail.on_recipient = lambda address: None
    newsletter.run("send", now="2025-11-29T09:00", code=None)
    assert newsletter.run("log", reader, "--json").rows[1]["papers"] == row["papers"]


@pytest.mark.both_stores
def test_what_was_put_off_is_sent_when_its_time_comes(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "450 4.7.1 greylisted"
    assert newsletter.run("send").out.startswith("1 deferred until 2025-11-28 09:0")
    mail.on_recipient = lambda address: None
    newsletter.run("send", now="2025-11-28T09:04")
    assert mail.accepted == []
    assert newsletter.run("send", now="2025-11-28T09:16").out == "1 sent\n"
    assert len(newsletter.run("log", "--json").rows) == len(mail.accepted) == 1


def test_a_server_that_cannot_be_reached_loses_nothing(newsletter: Newsletter, reader: str) -> None:
    newsletter.with_sample()
    ran = newsletter.run("send", code=1)
    assert ran.err == "error: smtp: cannot reach 127.0.0.1:1: Connection refused; check smtp.host and port\n"
    assert newsletter.run("log", "--json").rows[0]["state"] == "planned"
    box = Mailbox()
    with LoopbackServer(box) as server:
        newsletter.configure(smtp={"port": server.port})
        newsletter.run("send")
    assert box.recipients() == [reader]


def test_days_without_a_mail_server_give_one_digest_of_all_that_is_new(newsletter: Newsletter, reader: str) -> None:
    newsletter.with_sample()
    newsletter.run("send", code=1)
    (newsletter.folder / "new.jsonl").write_text(
        '{"title": "Pareto fronts", "abstract": "Multi-objective reinforcement learning and Pareto fronts."}\n'
    )
    newsletter.run("import", "new.jsonl", now="2025-11-29T08:00")
    (preview,) = newsletter.run("preview", reader, "--format", "json", now="2025-11-29T09:00").rows
    (dry,) = newsletter.run("send", "--dry-run", "--json", now="2025-11-29T09:00").rows
    newsletter.run("send", code=1, now="2025-11-29T09:00")
    box = Mailbox()
    with LoopbackServer(box) as server:
        newsletter.configure(smtp={"port": server.port})
        assert newsletter.run("send", now="2025-11-29T10:00").out == "1 sent\n"
        assert newsletter.run("send", now="2025-11-29T10:01").out.startswith("Everyone already")
    first, second = newsletter.run("log", "--json").rows
    assert first["state"] == "skipped"
    assert first["reason"] == "replaced by the digest of 2025-11-29 before it was sent"
    assert second["state"] == "sent"
    # The new paper, and those that the first one held.
    assert second["papers"][0]["id"] not in {paper["id"] for paper in first["papers"]}
    assert {paper["id"] for paper in second["papers"]} & {paper["id"] for paper in first["papers"]}
    # What was shown before is what came.
    assert second["papers"] == dry["papers"]
    assert [paper["id"] for paper in second["papers"]] == [paper["id"] for paper in preview["papers"]]


def test_what_waited_goes_to_the_address_of_now_under_the_message_id_of_then(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    path = newsletter.subscriber("ada", "email: ada@example.org\ninterests: [language models]\n")
    newsletter.run("send", code=1)
    (planned,) = newsletter.run("log", "--json").rows
    path.write_text(path.read_text().replace("ada@", "lovelace@"))
    (newsletter.folder / "var" / "secret.key").unlink()
    box = Mailbox()
    with LoopbackServer(box) as server:
        newsletter.configure(smtp={"port": server.port})
        newsletter.run("send")
    (message,) = box.messages()
    (sent,) = newsletter.run("log", "--json").rows
    assert box.recipients() == ["lovelace@example.org"]
    assert message["To"].addresses[0].addr_spec == sent["email"] == "lovelace@example.org"
    assert message["Message-ID"] == sent["message_id"] == planned["message_id"]


@pytest.mark.system
@pytest.mark.parametrize("broken", ["accepted", "unheard"])
def test_a_run_that_is_killed_goes_on_and_repeats_nothing(newsletter: Newsletter, mail: Mailbox, broken: str) -> None:
    newsletter.with_sample()
    newsletter.configure(smtp={"sessions": 1})
    for number in range(8):
        newsletter.subscriber(f"r{number}", f"email: r{number}@example.org\ninterests: [language models]\n")
    stopped: list[subprocess.Popen[str]] = []

    def on_data(address: str) -> str | None:
        if len(mail.accepted) == 3 and not stopped[0].poll():
            if broken == "accepted":
                mail.accepted.append((address, b"Subject: x\r\n\r\n"))
            stopped[0].send_signal(signal.SIGKILL)
            time.sleep(0.2)
            return "451 nobody hears this"
        return None

    mail.on_data = on_data
    process = newsletter.start("--now", NOW, "send")
    stopped.append(process)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    mail.on_data = lambda address: None

    ran = newsletter.run("send", code=1)
    assert "4 sent, 1 unsure" in ran.out
    assert "2025-11-28: unsure: a process ended while sending it" in ran.err
    states = [row["state"] for row in newsletter.run("log", "--json").rows]
    assert sorted(states) == ["sent"] * 7 + ["unsure"]
    # Whether the server had taken the one in doubt or not, it is not sent blindly again.
    assert len(mail.accepted) == len(set(mail.recipients())) == (8 if broken == "accepted" else 7)
    newsletter.run("send")
    assert len(mail.accepted) == (8 if broken == "accepted" else 7)


@pytest.mark.system
def test_a_store_that_is_restarted_meanwhile_loses_and_repeats_nothing(
    newsletter: Newsletter, mail: Mailbox, own_postgresql: PostgreSQL
) -> None:
    url = own_postgresql.fresh()
    newsletter.configure(smtp={"sessions": 2}, store={"url": url})
    newsletter.with_sample()
    for number in range(40):
        newsletter.subscriber(f"r{number}", f"email: r{number}@example.org\ninterests: [language models]\n")

    def on_data(address: str) -> None:
        if len(mail.accepted) == 10:
            own_postgresql.stop()
            own_postgresql.start()

    mail.on_data = on_data
    ran = newsletter.run("send", code=None)
    assert all(line.count("store: ") <= 1 for line in ran.err.splitlines())
    newsletter.run("send", code=None)
    assert sorted(mail.recipients()) == sorted(f"r{number}@example.org" for number in range(40))
    assert {row["state"] for row in newsletter.run("log", "--json").rows} == {"sent"}


@pytest.mark.system
@pytest.mark.parametrize(("number", "sessions"), [(signal.SIGINT, 1), (signal.SIGTERM, 3)])
def test_a_stop_comes_after_the_messages_on_the_wire(
    newsletter: Newsletter, mail: Mailbox, number: signal.Signals, sessions: int
) -> None:
    newsletter.with_sample()
    newsletter.configure(smtp={"sessions": sessions})
    for reader in range(12):
        newsletter.subscriber(f"r{reader}", f"email: r{reader}@example.org\ninterests: [language models]\n")
    stopped: list[subprocess.Popen[str]] = []

    def on_data(address: str) -> str | None:
        if len(mail.accepted) == 2:
            stopped[0].send_signal(number)
            time.sleep(1)
        return None

    mail.on_data = on_data
    process = newsletter.start("--now", NOW, "send")
    stopped.append(process)
    out, err = process.communicate(timeout=60)
    states = Counter(row["state"] for row in newsletter.run("log", "--json").rows)
    # The third, and what other sessions had on the wire: nothing is in doubt, and nothing more began.
    assert 3 <= states["sent"] < 12
    assert states == {"sent": states["sent"], "planned": 12 - states["sent"]}
    assert (process.returncode, out) == (1, f"{states['sent']} sent; {states['planned']} waiting\n")
    assert f"interrupted: {states['planned']} left; run it again to continue" in err
    assert newsletter.run("send").out == f"{states['planned']} sent\n"
    assert len(set(mail.recipients())) == len(mail.accepted) == 12


@pytest.mark.system
@pytest.mark.both_stores
def test_two_processes_at_once_deliver_each_digest_once(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    for number in range(30):
        newsletter.subscriber(f"r{number}", f"email: r{number}@example.org\ninterests: [language models]\n")
    processes = [newsletter.start("--now", NOW, "send") for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert len(mail.accepted) == len(set(mail.recipients())) == 30


def test_a_template_that_fails_leaves_everything_planned(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    (newsletter.folder / "own").mkdir()
    (newsletter.folder / "own" / "digest.txt").write_text("{{ nonesuch }}")
    (newsletter.folder / "config.yaml").write_text("templates: own\n" + (newsletter.folder / "config.yaml").read_text())
    assert "digest.txt:1: 'nonesuch' is undefined; correct the template" in newsletter.run("send", code=2).err
    (newsletter.folder / "own" / "digest.txt").unlink()
    assert newsletter.run("send").out == "1 sent\n"


def test_an_empty_store_says_so(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    assert newsletter.run("send").out.startswith("1 skipped")
    (row,) = newsletter.run("log", "--json").rows
    assert row["reason"] == "the store has no papers yet; run 'newsletter fetch'"
    newsletter.with_sample()
    # A skip is no digest: once there is something, it is sent the same day.
    assert newsletter.run("send").out == "1 sent\n"


def test_who_gets_mail_once_a_week_may_get_another_template(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    templates = newsletter.folder / "templates"
    templates.mkdir()
    for ending in ("mjml", "txt"):
        (templates / f"review.{ending}").write_text((BUNDLED / f"digest.{ending}").read_text())
    with (templates / "review.txt").open("a") as file:
        file.write("Also this week\n")
    newsletter.configure(digest={"weekly_template": "review"})
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [energy-based models]\n")
    newsletter.subscriber(
        "bob", "email: bob@example.org\nschedule: {days: weekly}\npapers: 12\ninterests: [energy-based models]\n"
    )
    newsletter.run("send")
    text = {str(one["To"]): one.get_body(("plain",)).get_content() for one in mail.messages()}
    assert "Your papers for today." in text["ada@example.org"]
    assert "Your papers for this week." in text["bob@example.org"]
    assert "Also this week" in text["bob@example.org"]
    assert "Also this week" not in text["ada@example.org"]
    newsletter.configure(digest={"template": "nonesuch"})
    ran = newsletter.run("preview", "ada@example.org", "--format", "text", code=2)
    assert ran.err == "error: templates/nonesuch.mjml: missing; run 'newsletter init' to create it\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"template": "compact"}, "remove the line of config.yaml that names it, and set digest.layout to compact"),
        ({"weekly_template": "weekly"}, "remove the line of config.yaml that names it"),
    ],
)
def test_a_template_of_a_former_version_is_named_with_what_replaces_it(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    newsletter.with_sample()
    (name,) = settings.values()
    built_in, own = tmp_path / "built-in", newsletter.folder / "templates"
    shutil.copytree(BUNDLED, built_in)
    monkeypatch.setattr("newsletter.rendering.template.BUNDLED", built_in)
    newsletter.configure(digest=settings)
    newsletter.subscriber("bob", "email: bob@example.org\nschedule: {days: weekly}\ninterests: [language models]\n")
    ran = newsletter.run("preview", "bob@example.org", "--format", "text", code=2)
    assert ran.err == f"error: templates/{name}.mjml: no longer part of the program; {said}\n"
    # Who has a copy keeps it.
    own.mkdir()
    for ending in ("mjml", "txt"):
        (own / f"{name}.{ending}").write_text((BUNDLED / f"digest.{ending}").read_text())
    assert "language" in newsletter.run("preview", "bob@example.org", "--format", "text").out


@pytest.mark.both_stores
def test_what_nobody_knows_is_settled_as_the_operator_says(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    for name in ("ada", "grace"):
        newsletter.subscriber(name, f"email: {name}@example.org\ninterests: [language models]\n")
    mail.on_data = lambda address: "what is this"
    newsletter.run("send", code=1)
    unsure = newsletter.run("sends", "resolve", "--json").rows
    assert {row["email"] for row in unsure} == {"ada@example.org", "grace@example.org"}
    assert "answer is invalid" in newsletter.run("sends", "resolve").out
    assert newsletter.run("sends", "resolve", "--sent", code=2).err.startswith("error: no subscriber given")
    assert newsletter.run("sends", "resolve", "--sent", "ada@example.org").out == "1 send marked as sent.\n"
    assert newsletter.run("sends", "resolve", "--again", "--all").out.startswith("1 send planned again")
    assert newsletter.run("sends", "resolve").out == "No sends of unknown outcome.\n"
    mail.on_data = lambda address: None
    assert newsletter.run("send").out == "1 sent\n"
    (message,) = mail.messages()
    assert message["Message-ID"] in {row["message_id"] for row in unsure if row["email"] == "grace@example.org"}
    assert {row["state"] for row in newsletter.run("log", "--json").rows} == {"sent"}
