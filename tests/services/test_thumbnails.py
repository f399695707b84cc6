"""Thumbnails and the logo, from the source to the mailbox: real servers, and the command line."""

import json
import re
import sqlite3
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.services import thumbnails
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.sources.http import _tls
from tests.helpers.images import image
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import path_of, serving, site_client, wait_for_messages

OK = Response(image(), content_type="image/png")
LATER = "2025-11-29T10:00"


@pytest.fixture
def cdn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """A server of images, by https as all of them are."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    _tls.cache_clear()
    with HTTPServer("127.0.0.1", ssl_context=context, threaded=True) as server:
        yield server
    _tls.cache_clear()


@pytest.fixture
def pictured(newsletter: Newsletter, mail: Mailbox, reader: str, cdn: HTTPServer) -> Newsletter:
    """A newsletter whose papers all have a thumbnail."""
    lines = [json.loads(line) for line in SAMPLE_PAPERS.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["thumbnail_url"] = cdn.url_for(f"/{number}.png")
    papers = newsletter.folder / "papers.jsonl"
    papers.write_text("\n".join(map(json.dumps, lines)))
    newsletter.configure(network={"allow_private": ["127.0.0.1"], "attempts": 1})
    newsletter.run("import", papers)
    return newsletter


def html_of(message: EmailMessage) -> str:
    body = message.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def images_in(message: EmailMessage) -> list[str]:
    return re.findall(r'<img[^>]* src="([^"]+)"', html_of(message))


def sent_papers(newsletter: Newsletter) -> list[str]:
    return [paper["id"] for row in newsletter.run("log", "--json").rows for paper in row["papers"]]


def files(newsletter: Newsletter, ending: str = "*") -> list[Path]:
    return sorted((newsletter.folder / "var" / "thumbnails").glob(f"*.{ending}"))


def test_by_default_nothing_is_fetched_and_no_message_has_an_image(
    pictured: Newsletter, mail: Mailbox, cdn: HTTPServer
) -> None:
    pictured.run("send")
    (message,) = mail.messages()
    assert b"<img" not in mail.accepted[0][1]
    assert "<img" not in html_of(message)
    assert not message.get_body(("related",))
    assert cdn.log == []
    assert files(pictured) == []


def test_attached_thumbnails_are_fetched_once_and_only_for_papers_that_are_sent(
    pictured: Newsletter, mail: Mailbox, cdn: HTTPServer
) -> None:
    cdn.expect_request(re.compile(".*")).respond_with_response(OK)
    pictured.configure(digest={"thumbnails": "inline"})
    pictured.run("subscribe", "bob@example.org", "-i", "multi-objective reinforcement learning and Pareto fronts")
    pictured.run("send")
    papers = sent_papers(pictured)
    # Those that may be shown: of papers in full.
    assert 0 < len(cdn.log) == len(files(pictured, "jpg")) < len(set(papers))
    for message in mail.messages():
        # Of papers in full.
        assert len(images_in(message)) == html_of(message).count("Idea:") > 0
        assert {src.partition(":")[0] for src in images_in(message)} == {"cid"}
        assert cdn.host not in mail.accepted[0][1].decode()
    # An edition of the next day finds them.
    cdn.clear_log()
    pictured.run("preview", "ada@example.org", "--format", "html", "--output", "preview.html")
    assert cdn.log == []
    assert "data:image/jpeg;base64," in (pictured.folder / "preview.html").read_text()


def test_the_site_serves_what_it_has_and_nothing_else(pictured: Newsletter, mail: Mailbox, cdn: HTTPServer) -> None:
    cdn.expect_request(re.compile(".*")).respond_with_response(OK)
    pictured.configure(digest={"thumbnails": "site"})
    pictured.run("send")
    (message,) = mail.messages()
    papers = sent_papers(pictured)
    shown = images_in(message)
    assert len(shown) == html_of(message).count("Idea:") > 0
    assert set(shown) <= {f"https://papers.example.org/thumbnails/{paper}.jpg" for paper in papers}
    cdn.clear_log()
    every = {row["id"] for row in pictured.run("papers", "list", "--limit", "1000", "--json").rows}
    with serving(pictured) as where, site_client(where) as client:
        answer = client.get(f"/thumbnails/{papers[0]}.jpg")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.content == files(pictured)[0].read_bytes()
        again = client.get(f"/thumbnails/{papers[0]}.jpg", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = next(iter(every - set(papers)))
        for missing in (other, "nothing", "../newsletter.db", "%2e%2e/newsletter.db", "https://127.0.0.1/1.png"):
            assert client.get(f"/thumbnails/{missing}.jpg").status_code == 404
        # The page of the digest shows the same.
        link = re.search(r"View in browser: (\S+)", message.get_body(("plain",)).get_content())
        page = client.get(path_of(link[1]))
        assert page.text.count("<img") == len(shown)
        assert "https://papers.example.org/thumbnails/" in page.headers["Content-Security-Policy"]
    assert cdn.log == []


def test_a_bad_image_stops_nothing_and_is_asked_for_again_a_day_later(
    pictured: Newsletter, mail: Mailbox, cdn: HTTPServer, reader: str
) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        damaged = Response(image()[:99], content_type="image/png")
        kinds = (Response("no", 500), Response("<html>", content_type="text/html"), damaged, OK, OK)
        return kinds[int(request.path.strip("/.png")) % 5]

    cdn.expect_request(re.compile(".*")).respond_with_handler(answer)
    pictured.configure(digest={"thumbnails": "inline"})
    pictured.run("subscribe", reader, "--papers", "4")
    pictured.run("send", "--dry-run")
    assert asked == []
    pictured.run("send")
    (message,) = mail.messages()
    papers = sent_papers(pictured)
    assert 0 < len(images_in(message)) < len(papers)
    assert (len(files(pictured, "jpg")), len(files(pictured))) == (len(images_in(message)), len(papers))

    # Another reader of the same papers.
    failed, good = set(asked), len(images_in(message))
    pictured.run("subscribe", "bob@example.org", "-i", "multi-objective reinforcement learning and Pareto fronts")
    pictured.run("subscribe", "bob@example.org", "--papers", "4")
    pictured.run("preview", "bob@example.org", "--output", "a.eml", now="2025-11-28T20:00")
    assert len(asked) == len(papers)
    pictured.run("preview", "bob@example.org", "--output", "b.eml", now=LATER)
    assert len(failed & set(asked[len(papers) :])) == len(papers) - good


def test_digests_do_not_wait_long_for_a_slow_server(
    pictured: Newsletter, mail: Mailbox, cdn: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cdn.expect_request(re.compile(".*")).respond_with_handler(lambda request: time.sleep(4) or OK)
    monkeypatch.setattr(thumbnails, "_PATIENCE_SECONDS", 0.5)
    pictured.configure(digest={"thumbnails": "inline"})
    began = time.monotonic()
    pictured.run("send")
    assert time.monotonic() - began < 4
    assert images_in(mail.messages()[0]) == []


def test_thumbnails_are_forgotten_with_the_log_and_at_once_when_turned_off(
    pictured: Newsletter, cdn: HTTPServer
) -> None:
    cdn.expect_request(re.compile(".*")).respond_with_response(OK)
    pictured.configure(digest={"thumbnails": "inline"}, log={"keep_days": 30})
    pictured.run("send")
    made = files(pictured)
    assert made
    pictured.run("run", "--once", now="2026-01-05T09:00")
    assert set(made) <= set(files(pictured))
    pictured.run("run", "--once", now="2026-01-20T09:00")
    assert not set(made) & set(files(pictured))
    pictured.run("subscribe", "bob@example.org", "-i", "multi-objective reinforcement learning and Pareto fronts")
    pictured.run("preview", "bob@example.org", "--output", "a.eml")
    assert files(pictured)
    pictured.configure(digest={"thumbnails": False})
    pictured.run("run", "--once", now="2026-01-20T09:05")
    assert files(pictured) == []


def test_files_of_others_in_the_folder_stay(pictured: Newsletter) -> None:
    pictured.configure(store={"thumbnails": "var"})
    before = {path.name for path in (pictured.folder / "var").iterdir()}
    (pictured.folder / "var" / "a.jpg").write_bytes(b"mine")
    (pictured.folder / "var" / f"{'0' * 32}.jpg").write_bytes(b"a thumbnail")
    pictured.run("run", "--once", now="2026-01-20T09:05")
    after = {path.name for path in (pictured.folder / "var").iterdir()}
    assert before | {"a.jpg"} <= after
    assert f"{'0' * 32}.jpg" not in after


@pytest.mark.system
def test_worker_processes_fetch_them_too(pictured: Newsletter, mail: Mailbox, cdn: HTTPServer) -> None:
    cdn.expect_request(re.compile(".*")).respond_with_response(OK)
    pictured.configure(digest={"thumbnails": "inline"}, smtp={"sessions": 2})
    path = pictured.folder / "config.yaml"
    path.write_text(path.read_text() + "engine: processes:2\n")
    people = [f"reader{number}@example.org" for number in range(1_200)]
    rows = "\n".join(f"{one},multi-objective reinforcement learning and Pareto fronts" for one in people)
    (pictured.folder / "people.csv").write_text(f"email,interests\n{rows}\n")
    pictured.run("subscribers", "import", "people.csv")
    process = pictured.start("--now", NOW, "send")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert len(mail.accepted) == len(people) + 1
    with_images = [content for _, content in mail.accepted if b"Content-ID: <" in content]
    assert len(with_images) == len(mail.accepted)
    # Each process may have asked once.
    assert len(cdn.log) <= 2 * len(files(pictured))
    with closing(sqlite3.connect(pictured.store)) as store:
        assert store.execute("SELECT count(DISTINCT name) FROM worker_stats").fetchone() == (2,)


def test_a_logo_is_served_by_the_site(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    (newsletter.folder / "logo.png").write_bytes(image(size=(200, 96)))
    newsletter.configure(brand={"logo": "logo.png"})
    newsletter.with_sample()
    newsletter.run("send")
    (src,) = images_in(mail.messages()[0])
    assert src.startswith("https://papers.example.org/brand/logo?v=")
    with serving(newsletter) as where, site_client(where) as client:
        answer = client.get(path_of(src))
        assert answer.content == (newsletter.folder / "logo.png").read_bytes()
        assert answer.headers["Content-Type"] == "image/png"
        assert "immutable" in answer.headers["Cache-Control"]
        assert "immutable" not in client.get("/brand/logo?v=other").headers["Cache-Control"]
        assert client.head("/brand/logo").headers["Content-Length"] == str(len(answer.content))
        again = client.get("/brand/logo", headers={"If-None-Match": f"W/{answer.headers['ETag']}"})
        assert again.status_code == 304
    newsletter.configure(brand={"logo": None})
    with serving(newsletter) as where, site_client(where) as client:
        assert client.get("/brand/logo").status_code == 404


def test_without_a_site_the_logo_is_attached(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    (newsletter.folder / "logo.png").write_bytes(image(size=(200, 96)))
    newsletter.configure(brand={"logo": "logo.png"}, site={"url": None})
    newsletter.with_sample()
    newsletter.run("send")
    (message,) = mail.messages()
    (src,) = images_in(message)
    (part,) = [one for one in message.walk() if one["Content-ID"]]
    assert src == "cid:" + part["Content-ID"].strip("<>")
    assert part.get_content() == (newsletter.folder / "logo.png").read_bytes()


def test_a_sign_up_email_has_the_logo_too(newsletter: Newsletter, mail: Mailbox) -> None:
    (newsletter.folder / "logo.png").write_bytes(image(size=(200, 96)))
    (newsletter.folder / "templates").mkdir()
    (newsletter.folder / "templates" / "confirm.mjml").write_text(
        '<mjml><mj-body><mj-section><mj-column><mj-text>{% if logo %}<img src="{{ logo.src }}" alt="{{ site.name }}">'
        "{% endif %}{{ link }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    newsletter.configure(brand={"logo": "logo.png"})
    with serving(newsletter) as where, site_client(where) as client:
        client.post("/subscribe", data={"email": "bob@example.org", "timezone": "UTC", "interests": "robots"})
        (letter,) = wait_for_messages(mail, 1)
        (src,) = images_in(letter)
        assert client.get(path_of(src)).content == (newsletter.folder / "logo.png").read_bytes()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory; check the path and its permissions"),
        (b"<svg/>", "not a PNG, JPEG or GIF file, or damaged; save the logo in one of these formats"),
        (image("WEBP"), "not a PNG, JPEG or GIF file, or damaged; save the logo in one of these formats"),
        (image()[:-30], "not a PNG, JPEG or GIF file, or damaged; save the logo in one of these formats"),
        (image(size=(8_001, 1_000)), "has 8,001 x 1,000 pixels, more than 8,000,000"),
        (image() + bytes(100_000), "at most 100 kB fit into an email; make it smaller, 96 pixels high"),
    ],
)
def test_a_logo_that_cannot_be_used_is_left_out_with_a_warning(
    newsletter: Newsletter, mail: Mailbox, reader: str, content: bytes | None, why: str
) -> None:
    if content is not None:
        (newsletter.folder / "logo.png").write_bytes(content)
    newsletter.configure(brand={"logo": "logo.png"})
    newsletter.with_sample()
    ran = newsletter.run("send")
    (message,) = mail.messages()
    assert images_in(message) == []
    assert "Test Papers</h1>" in html_of(message).replace("\r\n", "").replace("\n", "")
    assert f"brand.logo: {newsletter.folder / 'logo.png'}: " in ran.err
    assert why in ran.err
    found = {row["name"]: row for row in newsletter.run("doctor", "--offline", "--json", code=1).rows}
    assert found["templates"]["state"] == "bad"
    assert "brand.logo" in found["templates"]["found"]


@pytest.mark.parametrize(("value", "site", "code"), [("site", None, 2), ("inline", None, 0), (False, None, 0)])
def test_a_site_is_needed_to_serve_thumbnails(newsletter: Newsletter, value: object, site: None, code: int) -> None:
    newsletter.configure(site={"url": site}, digest={"thumbnails": value})
    ran = newsletter.run("papers", "list", code=code)
    wanted = "digest.thumbnails: 'site' needs a site that serves the images; set site.url, or write 'inline'"
    assert (wanted in ran.err) is (code == 2)
    newsletter.configure(digest={"thumbnails": "on"})
    assert "'on' is not one of off, site, inline" in newsletter.run("papers", "list", code=2).err
