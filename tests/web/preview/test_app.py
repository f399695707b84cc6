"""The live preview: a real server process, looked at with a real browser."""

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter.rendering.template import BUNDLED
from tests.helpers.images import image
from tests.helpers.newsletter import NOW, Newsletter

SHOWN = ("phone-light", "desktop-light", "phone-dark", "desktop-dark")
MISTAKE = re.compile(r"/own/partials/header\.mjml:3: 'nonesuch' is undefined; correct the template$")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in whose frames the colour scheme is not set from outside."""
    opened = browser.new_page(color_scheme="null", viewport={"width": 1280, "height": 900})
    yield opened
    opened.close()


@pytest.fixture
def serve(newsletter: Newsletter, reader: str) -> Callable[..., str]:
    """Starts the live preview as a process of its own; gives where it is."""
    scratch = newsletter.folder / "scratch"
    scratch.mkdir()

    def start(*arguments: str, **environment: str) -> str:
        command = ("--now", NOW, "preview", reader, "--serve", *arguments)
        process = newsletter.start(*command, TMPDIR=str(scratch), **environment)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"{reader}: http://127.0.0.1:"), (line, process.poll())
        return line.split()[1]

    return start


def in_frame(page: Page, name: str, expression: str) -> object:
    frame = page.locator(f"#{name}").element_handle().content_frame()
    assert frame is not None
    frame.wait_for_load_state()
    return frame.evaluate(expression)


def test_it_shows_the_message_as_it_would_be_sent_and_what_lies_behind_it(
    newsletter: Newsletter, reader: str, serve: Callable[..., str], page: Page
) -> None:
    newsletter.with_sample()
    newsletter.subscriber(
        "ada",
        """\
        email: ada@example.org
        never: [alignment]
        interests:
          - {name: Several goals, text: Pareto fronts, liked: [Multi-Objective GFlowNets]}
        """,
    )
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    where = serve()
    page.goto(where)
    for name in ("html", "eml"):
        newsletter.run("preview", reader, "--output", f"x.{name}")
        assert httpx.get(f"{where}message.{name}").content == (newsletter.folder / f"x.{name}").read_bytes()
    (digest,) = newsletter.run("preview", reader, "--format", "json").rows

    subject = str(message_from_bytes((newsletter.folder / "x.eml").read_bytes(), policy=policy.default)["Subject"])
    assert subject.endswith(f" + {len(digest['papers']) - 1} more")
    expect(page.locator("h1")).to_have_text(subject)
    for name in SHOWN:
        assert in_frame(page, name, "innerWidth") == (375 if name.startswith("phone") else 800)
        colour = str(in_frame(page, name, "getComputedStyle(document.body).backgroundColor"))
        lightness = sum(map(int, re.findall(r"\d+", colour))) / 3
        assert lightness < 40 if name.endswith("dark") else lightness > 220, (name, colour)
    expect(page.locator(".unlike:visible")).to_have_count(0)
    size = len((newsletter.folder / "x.html").read_bytes())
    expect(page.locator(".size")).to_contain_text(f"{size:,} bytes of HTML")
    assert page.locator("meter").evaluate("meter => [meter.value, meter.max]") == [size, 102_000]

    titles = page.locator("#papers article h3").all_inner_texts()
    assert titles == [paper["title"] for paper in digest["papers"]]
    first = page.locator("#papers article").first
    for words in (digest["papers"][0]["because"], "Several goals · ", "pareto", "Multi-Objective GFlowNets"):
        expect(first).to_contain_text(words)
    expect(page.locator("#papers")).to_contain_text("“alignment”")
    text = newsletter.run("preview", reader, "--format", "text").out
    assert page.locator("#text pre").text_content() == text
    expect(page.locator("#headers dl")).to_contain_text("List-Unsubscribe")
    expect(page.locator("#headers pre")).to_contain_text("To: ada@example.org\nSubject: ")

    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert said == []
    assert newsletter.run("log").out == "Nothing was sent yet.\n"


def test_it_follows_every_change_and_says_what_is_wrong(
    newsletter: Newsletter, serve: Callable[..., str], page: Page
) -> None:
    newsletter.with_sample()
    config = newsletter.folder / "config.yaml"
    config.write_text("templates: own\n" + config.read_text())
    page.goto(serve())
    message = page.frame_locator("#phone-light").locator("body")
    expect(message).to_contain_text("Test Papers")

    partial = newsletter.folder / "own" / "partials" / "header.mjml"
    good = (BUNDLED / "partials" / "header.mjml").read_text()
    partial.parent.mkdir(parents=True)
    partial.write_text(good.replace("{{ greeting }}", "A new greeting"))
    expect(message).to_contain_text("A new greeting")
    partial.write_text(good.replace("<mj-column>", "<mj-column><mj-text>{{ nonesuch }}</mj-text>"))
    expect(page.get_by_role("alert").locator("code")).to_have_text(MISTAKE)
    expect(page.locator("iframe")).to_have_count(0)
    partial.unlink()
    expect(message).to_contain_text("8 papers · 2 min read")

    config.write_text(config.read_text().replace("name: Test Papers", "name: [Test]"))
    expect(page.get_by_role("alert")).to_contain_text("config.yaml:3: site.name: is not text")
    config.write_text(config.read_text().replace("name: [Test]", "name: Other Papers"))
    expect(message).to_contain_text("Other Papers")

    in_frame(page, "phone-light", "scrollTo(0, 400)")
    newsletter.subscriber("ada", "email: ada@example.org\nname: Countess\ninterests: [energy-based models]\n")
    expect(message).to_contain_text("Countess, your papers for today.")
    # One is still where one had scrolled to.
    for _ in range(100):
        if in_frame(page, "phone-light", "scrollY") == 400:
            break
        page.wait_for_timeout(50)
    assert in_frame(page, "phone-light", "scrollY") == 400
    newsletter.subscriber("ada", "email: ada@example.org\nname: Countess\npapers: many\n")
    expect(page.get_by_role("alert")).to_contain_text("ada.yaml:3: papers: 'many' is not a whole number")
    # What was good before counts until it is mended.
    expect(message).to_contain_text("Countess, your papers for today.")
    newsletter.subscriber("ada", "email: ada@example.org\nnever: [a, the, of, in, we, is]\n")
    expect(page.locator("h1")).to_have_text("Nothing would be sent")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_nobody_else_looks_in(newsletter: Newsletter, serve: Callable[..., str]) -> None:
    newsletter.with_sample()
    where = serve()
    root = f"http://{urlsplit(where).netloc}/"
    assert httpx.get(where).status_code == 200
    # Neither who does not know the path, nor a page that calls this machine by a name of its own.
    assert httpx.get(root).status_code == httpx.get(f"{root}0123456789abcdef/").status_code == 404
    for host in ("evil.example", "evil.example:8100", "127.0.0.1.evil.example", "localhost.evil.example"):
        assert httpx.get(where, headers={"Host": host}).status_code == 400
    for method in ("POST", "PUT", "DELETE"):
        assert httpx.request(method, where).status_code == 405
    for name in ("", "version", "message.html", "preview.js"):
        headers = httpx.get(where + name).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_what_others_wrote_is_shown_and_does_nothing(
    newsletter: Newsletter, reader: str, serve: Callable[..., str], page: Page
) -> None:
    title = "Pareto <script>top.taken = 1</script><img src=x onerror='top.taken = 1'> multi-objective"
    (newsletter.folder / "x.jsonl").write_text(json.dumps({"title": title, "abstract": title, "authors": [title]}))
    newsletter.with_sample().run("import", "x.jsonl")
    (newsletter.folder / "templates" / "partials").mkdir(parents=True)
    header = (BUNDLED / "partials" / "header.mjml").read_text()
    script = "<mj-raw><script>top.taken = 1; document.title = 'taken'</script></mj-raw>\n"
    (newsletter.folder / "templates" / "partials" / "header.mjml").write_text(script + header)
    page.goto(serve())
    expect(page.locator("#papers")).to_contain_text(title)
    expect(page.frame_locator("#phone-light").locator("body")).to_contain_text(title)
    assert "<script>top.taken" in str(in_frame(page, "phone-light", "document.documentElement.outerHTML"))
    assert page.evaluate("window.taken") is None
    assert page.locator("#papers img, #papers script").count() == 0


def test_without_papers_it_shows_the_sample_and_ends_without_a_trace(
    newsletter: Newsletter, serve: Callable[..., str], page: Page
) -> None:
    browser, opened = newsletter.folder / "browser", newsletter.folder / "opened"
    os.mkfifo(opened)
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    where = serve("--open", BROWSER=str(browser))
    assert opened.read_text() == where
    page.goto(where)
    expect(page.locator(".note")).to_contain_text("No papers yet, so this uses sample papers.")
    expect(page.frame_locator("#phone-light").locator("body")).to_contain_text("8 papers · 2 min read")
    assert newsletter.run("papers", "list", "--json").rows == []
    (process,) = newsletter.processes
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert list((newsletter.folder / "scratch").iterdir()) == []
    expect(page.locator("#live")).to_have_text("the preview has stopped")


def test_an_attached_logo_is_shown_and_followed(
    newsletter: Newsletter, reader: str, serve: Callable[..., str], page: Page
) -> None:
    logo = newsletter.folder / "logo.png"
    logo.write_bytes(image(size=(200, 96)))
    newsletter.configure(brand={"logo": "logo.png"}, site={"url": None})
    newsletter.with_sample()
    where = serve()
    page.goto(where)
    sizes = "[...document.images].map(image => [image.naturalWidth, image.height])"
    page.wait_for_load_state("networkidle")
    assert in_frame(page, "phone-light", sizes) == [[200, 48]]
    logo.write_bytes(image(size=(120, 24)))
    expect(page.frame_locator("#phone-light").locator("img")).to_have_attribute("width", "120", timeout=20_000)
