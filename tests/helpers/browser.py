"""A real Chromium, shared by all processes of a test run."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, sync_playwright

from tests.helpers.run import Run, watched


@contextmanager
def shared_browser(run: Run) -> Iterator[Browser]:
    """Connect to the browser of a test run; what is opened in it is seen by no other connection, and ends with this."""
    endpoint = run.once("browser", lambda: _start(run))
    with sync_playwright() as tools:
        yield tools.chromium.connect(endpoint)


def _start(run: Run) -> str:
    """Start the browser, and return the address of its WebSocket."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing; 'make test' installs it"
    settings = run.folder / "browser-settings.json"
    settings.write_text(json.dumps({"executablePath": chromium, "args": ["--no-sandbox"], "headless": True}))
    driver = [*compute_driver_executable(), "launch-server", "--browser", "chromium", "--config", str(settings)]
    with run.lifeline() as lifeline, (run.folder / "browser.log").open("wb") as log:
        server = subprocess.Popen(
            watched("TERM", *driver), stdin=lifeline, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    assert server.stdout is not None
    endpoint = server.stdout.readline().decode().strip()
    assert endpoint.startswith("ws://"), (run.folder / "browser.log").read_text()
    return endpoint
