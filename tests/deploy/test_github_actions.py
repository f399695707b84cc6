"""The workflow for GitHub Actions: valid, and its steps keep a newsletter from run to run.

The steps run as GitHub runs them, in a fresh clone each time, with a repository on this machine in place of GitHub's.
"""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from newsletter.config.secrets import signing_key
from newsletter.services.demo import SAMPLE_PAPERS
from tests.docs.pages import ROOT
from tests.helpers.fork_server import install
from tests.helpers.mail_program import links_named, written
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

WORKFLOW = ROOT / "deploy" / "github-actions.yml"

ADA = """\
email: ada@example.org # Ada
schedule: {days: daily, time: "00:00"}
interests:
  - multi-objective reinforcement learning
"""


def workflow() -> dict[str, Any]:
    return dict(YAML(typ="safe", pure=True).load(WORKFLOW))


def steps() -> list[dict[str, Any]]:
    return list(workflow()["jobs"]["run"]["steps"])


def git(*arguments: object, folder: Path) -> str:
    command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


class Hosted:
    """A repository with a newsletter, and runs of the workflow on it."""

    def __init__(self, newsletter: Newsletter, folder: Path) -> None:
        self.remote, self._folder, self._runs = folder / "remote.git", folder, 0
        self.mailbox = folder / "mailbox"
        for name in ("new", "cur", "tmp"):
            (self.mailbox / name).mkdir(parents=True)
        git("init", "--quiet", "--bare", "--initial-branch=main", self.remote, folder=folder)
        own = self._clone("own")
        (own / "mine" / "subscribers").mkdir(parents=True)
        (own / "mine" / "subscribers" / "ada.yaml").write_text(ADA)
        newsletter.configure(
            bounces={"maildir": str(self.mailbox)},
            sources={"sample": {"kind": "file", "path": str(SAMPLE_PAPERS)}},
            ranking={"max_publication_age_days": 365_000},
        )
        config = (newsletter.folder / "config.yaml").read_text()
        (own / "mine" / "config.yaml").write_text(config.replace("  url: https://papers.example.org\n", ""))
        git("add", ".", folder=own)
        git("commit", "--quiet", "-m", "My newsletter", folder=own)
        git("push", "--quiet", "origin", "HEAD:refs/heads/main", folder=own)
        self._program = folder / "bin" / "newsletter"

    def _clone(self, name: str) -> Path:
        git("clone", "--quiet", "--depth", "1", f"file://{self.remote}", self._folder / name, folder=self._folder)
        return self._folder / name

    def run(self, now: str) -> Path:
        """Run the workflow at a time; returns its clone. Each step must succeed."""
        self._runs += 1
        install(self._program, "--now", now)
        clone, temporary = self._clone(f"run-{self._runs}"), self._folder / f"temporary-{self._runs}"
        temporary.mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "NEWSLETTER_"))},
            **{name: str(value) for name, value in workflow()["env"].items()},
            "PATH": f"{self._program.parent}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(temporary),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_RUN_ID": str(self._runs),
        }
        for step in steps():
            if "run" not in step or step.get("name") == "Install":
                continue
            ran = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=clone / step.get("working-directory", "."),
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert ran.returncode == 0, (step["name"], ran)
        return clone


def test_it_is_as_github_wants_it() -> None:
    text = workflow()
    # YAML 1.1 reads the key "on" as true; GitHub, like YAML 1.2, does not.
    assert set(text) == {"name", "on", "permissions", "concurrency", "defaults", "env", "jobs"}
    (cron,) = (one["cron"] for one in text["on"]["schedule"])
    assert len(cron.split()) == 5
    assert text["concurrency"] == {"group": "newsletter", "cancel-in-progress": False}
    assert text["permissions"] == {"contents": "write"}
    for step in steps():
        assert ("run" in step) != ("uses" in step)
        assert set(step) <= {"name", "id", "uses", "with", "run", "env", "if", "working-directory"}
    (run,) = (step for step in steps() if step.get("name") == "Run")
    assert run["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in run["env"]}
    assert run["working-directory"] == text["env"]["FOLDER"]
    # What was sent is kept, whether or not the run succeeded.
    assert all(step["if"].startswith("always() && ") for step in steps() if step.get("name", "").startswith("Keep"))


def test_its_runs_share_a_store_and_keep_changed_interests(
    newsletter: Newsletter, mail: Mailbox, tmp_path: Path
) -> None:
    hosted = Hosted(newsletter, tmp_path)
    hosted.run("2025-11-28T05:23")
    hosted.run("2025-11-28T08:23")
    hosted.run("2025-11-29T02:23")
    assert mail.recipients() == ["ada@example.org"]  # once, and nothing new the day after
    change, *_ = links_named(mail.messages()[0], "Change your interests")
    email = written(change, body="[interests]\n- looms\n[end]\n")
    (hosted.mailbox / "new" / "1").write_bytes(email.as_bytes())
    clone = hosted.run("2025-11-29T05:23")
    file = git("show", "main:mine/subscribers/ada.yaml", folder=hosted.remote)
    assert "looms" in file and file.startswith("email: ada@example.org # Ada\n")
    assert git("log", "--format=%s", "main", folder=hosted.remote).splitlines()[0] == "Interests changed by email"
    assert git("rev-list", "--count", "newsletter-store", folder=hosted.remote) == "1\n"
    # The key of the links is the same in each run, so that those in old emails work.
    assert len({signing_key(folder / "mine", make=False) for folder in tmp_path.glob("run-*")}) == 1
    assert clone.exists()


def test_a_store_that_cannot_be_reached_is_not_begun_anew(
    newsletter: Newsletter, mail: Mailbox, tmp_path: Path
) -> None:
    hosted = Hosted(newsletter, tmp_path)
    hosted.run("2025-11-28T05:23")
    (step,) = (step for step in steps() if step.get("id") == "store")
    clone = tmp_path / "run-1"
    git("remote", "set-url", "origin", f"file://{tmp_path}/nowhere", folder=clone)
    environment = {**os.environ, "BRANCH": "newsletter-store", "FOLDER": "mine", "RUNNER_TEMP": str(tmp_path)}
    ran = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert ran.returncode not in (0, 2)


@pytest.mark.parametrize("step", [step for step in steps() if "newsletter " in step.get("run", "")])
def test_its_commands_exist(step: dict[str, Any], newsletter: Newsletter) -> None:
    for line in step["run"].splitlines():
        if line.strip().startswith("newsletter "):
            ran = newsletter.run(*shlex.split(line)[1:], "--help")
            assert "Usage: newsletter run" in ran.out
