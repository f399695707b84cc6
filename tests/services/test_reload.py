"""Reloading the configuration: by a signal to a real process, and by one process for the others."""

import signal
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from newsletter.errors import UserError
from newsletter.services.context import AppContext, open_context
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.services.reload import FIXED_FOR_SITE, Reloader
from newsletter.support.clock import system_clock
from tests.helpers.newsletter import Newsletter, free_port, wait_until
from tests.helpers.smtp import Mailbox


class Lines:
    """The lines that a process prints, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.text = ""
        self._process = process
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in iter(self._process.stdout.readline, ""):
            self.text += line

    def wait_for(self, text: str) -> None:
        """Wait until a line has some text."""
        wait_until(lambda: text in self.text, self._process)


def make_due(newsletter: Newsletter, email: str, year: int = 2020) -> None:
    with closing(sqlite3.connect(newsletter.store, timeout=30)) as store, store:
        store.execute("UPDATE subscribers SET next_due = ? WHERE email = ?", (f"{year}-01-01 00:00:00.000000", email))


@pytest.mark.system
def test_a_signal_reloads_the_site_the_emails_and_the_jobs(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.run(
        *("subscribe", "ann@example.org", "--no-file", "-i", "language models", "--days", "daily", "--time", "00:00")
    )
    port = free_port()
    newsletter.configure(
        web={"port": port},
        ranking={"max_age_days": 3650},
        schedule={"tick_seconds": 3600},
        sources={"sample": {"kind": "file", "path": str(SAMPLE_PAPERS)}},
    )
    make_due(newsletter, "ann@example.org", 2100)
    process = newsletter.start("run", "--web")
    lines = Lines(process)
    page = f"http://127.0.0.1:{port}/papers"
    lines.wait_for("event='fetched'")
    assert "Test Papers" in httpx.get(page, headers={"Host": "papers.example.org"}).text

    path = newsletter.folder / "config.yaml"
    good = path.read_text()
    path.write_text(good.replace("name: Test Papers", "name: Other Papers\n  nmae: x"))
    process.send_signal(signal.SIGHUP)
    lines.wait_for("event='reload_failed'")
    assert "config.yaml:3: site.nmae: unknown key; did you mean 'name'?" in lines.text
    assert "Test Papers" in httpx.get(page, headers={"Host": "papers.example.org"}).text

    path.write_text(
        good.replace("Test Papers", "Other Papers").replace(f"port: {port}", "port: 1").replace("3600\n", "1\n")
    )
    checks = {row["name"]: row for row in newsletter.run("doctor", "--offline", "--json", code=None).rows}
    assert checks["reload"]["state"] == "warning"
    assert "config.yaml:3: site.nmae" in checks["reload"]["found"]
    process.send_signal(signal.SIGHUP)
    lines.wait_for("event='reloaded'")
    assert "changed='site.name,web.port,schedule.tick_seconds' needs_restart='web.port'" in lines.text
    assert "Other Papers" in httpx.get(page, headers={"Host": "papers.example.org"}).text
    make_due(newsletter, "ann@example.org")
    wait_until(lambda: mail.accepted, process)
    assert "Other Papers" in mail.messages()[0].as_string()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def make_reloader(newsletter: Newsletter, process: str, log: list[str]) -> Reloader:
    context = open_context(newsletter.config, system_clock)
    path = newsletter.folder / "config.yaml"
    return Reloader(context, path, process, lambda event, **facts: log.append(f"{event} {facts}"), FIXED_FOR_SITE)


def test_other_processes_follow(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.services.reload._LOOK_SECONDS", 0.05)
    logs: dict[str, list[str]] = {"run": [], "serve": []}
    run, serve = (make_reloader(newsletter, name, log) for name, log in logs.items())
    newsletter.configure(site={"name": "Other Papers"})
    with run.watching():
        result = serve.reload("ada")
        wait_until(lambda: run.context.config.site.name == "Other Papers", seconds=20)
        wait_until(lambda: logs["run"], seconds=20)
    assert (result.changed, result.needs_restart, result.problems) == (("site.name",), (), ())
    assert serve.context.config.site.name == "Other Papers"
    # Following is no request, which the first would follow in turn.
    with serve.watching():
        threading.Event().wait(0.3)
    assert [len(log) for log in logs.values()] == [1, 1]
    with closing(sqlite3.connect(newsletter.store)) as store:
        assert store.execute("SELECT actor, action FROM audit_log").fetchall() == [("ada", "config.reload")]


def test_what_a_part_refuses_changes_nothing(newsletter: Newsletter) -> None:
    log: list[str] = []
    reloader = make_reloader(newsletter, "run", log)
    applied: list[AppContext] = []

    def prepare(context: AppContext):
        if context.config.site.url is None:
            raise UserError("site.url: not set")
        return lambda: applied.append(context)

    reloader.add_part(lambda context: lambda: applied.append(context))
    reloader.add_part(prepare)
    before = reloader.context
    path = newsletter.folder / "config.yaml"
    path.write_text(path.read_text().replace("url:", "# url:"))
    assert reloader.reload("ada").problems == ("site.url: not set",)
    assert (reloader.context, applied) == (before, [])
    path.unlink()
    assert "config.yaml" in reloader.reload("ada").problems[0]
    assert reloader.context is before


def test_what_is_fixed_keeps_its_value(newsletter: Newsletter, tmp_path: Path) -> None:
    reloader = make_reloader(newsletter, "serve", [])
    before = reloader.context
    newsletter.configure(
        store={"url": "sqlite:///var/other.db"}, web={"port": 1, "keep_seconds": 1}, site={"name": "New"}
    )
    result = reloader.reload("ada")
    assert set(result.needs_restart) == {"store.url", "web.port"}
    config = reloader.context.config
    assert (config.store_url, config.web.port) == (before.config.store_url, before.config.web.port)
    assert (config.web.keep_seconds, config.site.name, config.folder) == (1, "New", before.config.folder)
    assert reloader.context.engine is before.engine and reloader.context.pending is before.pending
    assert not (newsletter.folder / "var" / "other.db").exists()
