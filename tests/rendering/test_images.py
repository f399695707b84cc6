"""Images in messages: any mail program finds them, and a message without images is what it always was."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import mailparser
import pytest

from newsletter.model import Digest, DigestItem, Message, Paper
from newsletter.rendering.images import ImageFile, Images, Picture, attached, embedded, linked, read_image
from newsletter.rendering.message import make_message, make_signup_message
from newsletter.rendering.template import Look, load_templates, render
from newsletter.rendering.template_context import signup_context
from tests.helpers.images import image, noise
from tests.rendering.test_message import EDITION, LINKS, SITE, subscriber

NOW = datetime(2025, 11, 28, 9, tzinfo=UTC)
LOGO = read_image(image("PNG", size=(600, 120)))


def thumbnail_file(paper: Paper) -> ImageFile:
    """A picture of a paper's own, of about 14 kB."""
    return read_image(noise((68, 68), seed=paper.row))


def thumbnail(paper: Paper) -> Picture | None:
    return attached(thumbnail_file(paper), "example.org") if paper.thumbnail_url else None


def papers(number: int, **values: object) -> list[Paper]:
    return [
        Paper(title=f"Paper {row}", row=row, id=f"p{row}", thumbnail_url="https://x.example/1.png", **values)
        for row in range(1, number + 1)
    ]


def made(found: list[Paper], images: Images, own: Path | None = None) -> Message:
    choices = tuple(DigestItem(paper, rank, 0.5, "Goals", "") for rank, paper in enumerate(found, 1))
    digest = Digest(edition=EDITION, choices=choices, considered=9, since=None, seen_row=1)
    templates = load_templates(own, look=Look(images=images))
    return make_message(SITE, templates, subscriber(), digest, LINKS, "<1@example.org>", NOW)


def parsed(message: Message) -> EmailMessage:
    read = message_from_bytes(message.content, policy=policy.default)
    assert isinstance(read, EmailMessage)
    assert not [defect for part in read.walk() for defect in part.defects]
    return read


def html_of(message: Message) -> str:
    body = parsed(message).get_body(("html",))
    assert body is not None
    return str(body.get_content())


def sources(message: Message) -> list[str]:
    return re.findall(r'<img[^>]* src="([^"]+)"', html_of(message))


def test_attached_images_are_found_by_any_reader() -> None:
    found = papers(3)
    message = made(found, Images(attached(LOGO, "example.org", 48), thumbnail))
    read = parsed(message)
    assert [part.get_content_type() for part in read.walk()] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        *["image/png"] * 4,
    ]
    related = list(read.iter_parts())[1]
    assert related.get_param("type") == "text/html"
    contents = {}
    for part in list(related.iter_parts())[1:]:
        assert part.get_content_disposition() == "inline"
        contents["cid:" + part["Content-ID"].strip("<>")] = part.get_content()
    assert sources(message) == list(contents)
    assert list(contents.values()) == [LOGO.content, *(thumbnail_file(paper).content for paper in found)]
    assert max(map(len, message.content.split(b"\r\n"))) <= 998

    other = mailparser.parse_from_bytes(message.content)
    assert [one["content-id"].strip("<>") for one in other.attachments] == [one[4:] for one in contents]
    assert "Paper 3" in other.text_html[0] and "Paper 3" in other.text_plain[0]


def test_the_same_digest_has_the_same_bytes() -> None:
    images = Images(attached(LOGO, "example.org"), thumbnail)
    assert made(papers(3), images).content == made(papers(3), images).content


def test_without_images_there_is_no_image_and_no_other_part() -> None:
    message = made(papers(3), Images())
    assert [part.get_content_type() for part in parsed(message).walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert b"<img" not in message.content
    assert made(papers(3), Images(thumbnail=lambda paper: None)).content == message.content


def test_linked_images_are_not_attached() -> None:
    images = Images(
        linked(LOGO, "https://papers.example.org/brand/logo?v=1", 48),
        lambda paper: linked(thumbnail_file(paper), f"https://papers.example.org/thumbnails/{paper.id}.jpg"),
    )
    message = made(papers(2), images)
    assert "multipart/related" not in message.content.decode()
    assert sources(message) == [
        "https://papers.example.org/brand/logo?v=1",
        "https://papers.example.org/thumbnails/p1.jpg",
        "https://papers.example.org/thumbnails/p2.jpg",
    ]


def test_the_logo_is_shown_at_most_48_pixels_high_with_the_name_for_those_who_see_no_images() -> None:
    (logo,) = re.findall("<img[^>]*>", html_of(made(papers(0), Images(linked(LOGO, "https://x.example/l", 48)))))
    assert 'width="240"' in logo and 'height="48"' in logo
    assert 'alt="Tägliche Papers"' in logo
    small = linked(read_image(image("GIF", size=(90, 30), mode="P")), "https://x.example/l", 48)
    assert (small.width, small.height) == (90, 30)


def test_only_papers_in_full_have_a_thumbnail_so_that_a_message_stays_small() -> None:
    found = papers(30)
    message = made(found, Images(attached(LOGO, "example.org"), thumbnail))
    shown = sources(message)
    assert shown[1:] == [thumbnail(paper).src for paper in found[:3]]
    parts = [part for part in parsed(message).walk() if part.get_content_maintype() == "image"]
    assert len(parts) == len(shown)
    assert "Paper 30" in html_of(message)


def test_an_image_that_a_template_does_not_show_is_not_attached(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials" / "full.mjml").write_text(
        "{% for item in section.full %}<p>{{ item.paper.title }}</p>{% endfor %}"
    )
    assert len(sources(made(papers(3), Images(attached(LOGO, "example.org"), thumbnail), tmp_path))) == 1
    message = made(papers(3), Images(None, thumbnail), tmp_path)
    assert "multipart/related" not in message.content.decode()


def test_one_image_of_two_papers_is_attached_once() -> None:
    same = attached(LOGO, "example.org")
    message = made(papers(2), Images(None, lambda paper: same))
    assert sources(message) == [same.src] * 2
    assert message.content.count(b"Content-ID") == 1


@pytest.mark.parametrize(("picture", "related"), [(attached(LOGO, "example.org"), True), (embedded(LOGO), False)])
def test_a_sign_up_email_has_the_logo_if_its_template_shows_it(tmp_path: Path, picture: Picture, related: bool) -> None:
    (tmp_path / "confirm.mjml").write_text(
        '<mjml><mj-body><mj-section><mj-column><mj-text><img src="{{ logo.src }}" alt="{{ site.name }}">{{ link }}'
        "</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    templates = load_templates(tmp_path, "confirm")
    values = signup_context(SITE, "Confirm", "https://x.example/c", 48, picture)
    html, text = render(templates.html, values), render(templates.text, values)
    message = make_signup_message(SITE, "ada@example.org", "Confirm", html, text, NOW, Images(picture))
    assert sources(message) == [picture.src]
    assert ("multipart/related" in message.content.decode()) is related
    plain = make_signup_message(SITE, "ada@example.org", "Confirm", "<p>x</p>", text, NOW, Images(picture))
    assert "multipart/related" not in plain.content.decode()


def test_a_title_cannot_add_an_image() -> None:
    (paper,) = papers(1)
    evil = replace(paper, title='<img src="cid:x">', thumbnail_url=None)
    assert sources(made([evil], Images(None, thumbnail))) == []
