"""The wheel: it carries all that a newsletter needs, and the command works from it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[1]


def test_a_newsletter_can_be_laid_out_from_the_wheel(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        tmp_path,
    ]
    subprocess.run([*build, ROOT], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
        names = set(packed.namelist())
    laid_out = ("layout/config.yaml", "layout/subscribers/ada.yaml.example")
    shown = ("templates/digest.mjml", "templates/digest.txt", "web/templates/preview.html")
    for name in (*shown, "data/highlights.json", *laid_out):
        assert f"newsletter/{name}" in names
    assert {name for name in names if name.startswith("tests/")} == set()

    def run(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "PYTHONSAFEPATH": "1"}
        command = [sys.executable, "-m", "newsletter", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    assert (
        str(tmp_path / "installed")
        in subprocess.run(
            [sys.executable, "-c", "import newsletter; print(newsletter.__file__)"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    run("init", "mine")
    assert (tmp_path / "mine" / "templates" / "digest.mjml").exists()
    assert "2 digests over SMTP" in run("demo", str(tmp_path / "demo"))
