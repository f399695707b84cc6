"""Announcements and messages: Markdown or MJML that operators write, compiled once and filled for each reader.

The texts may come from a page of the site, so they run in Jinja2's sandbox.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, DictLoader, Environment, FileSystemLoader, StrictUndefined
from jinja2.exceptions import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from newsletter.config.settings import Site
from newsletter.errors import UserError
from newsletter.model import Subscriber
from newsletter.rendering.html_to_text import html_to_text, wrap_lines
from newsletter.rendering.markdown import first_heading, markdown_to_html, split_front_matter
from newsletter.rendering.palette import palette
from newsletter.rendering.template import (
    BUNDLED,
    CompiledPart,
    Look,
    SourceLine,
    compile_mjml,
    render,
    with_stand_ins,
    without_stand_ins,
)
from newsletter.support.text import to_single_line

FRAME = "announcement"
"""The name of the template that shows an announcement written in Markdown."""

_BODY = "partials/announcement_body.mjml"
_FOOTER = '<mj-include path="./partials/announcement_footer.mjml" />'
_REQUIRED = ("announcements_url", "unsubscribe_url", "postal_address")
_TITLE = re.compile(r"<mj-title[^<>]*>(?P<title>.*?)</mj-title>", re.DOTALL | re.IGNORECASE)
_END_OF_BODY = re.compile(r"</mj-body\s*>", re.IGNORECASE)
_HREF = re.compile(
    r"""(?P<start>(?:href|src)\s*=\s*)(?P<quote>["'])(?P<url>.*?)(?P=quote)""", re.DOTALL | re.IGNORECASE
)
_ALLOWED = re.compile(r"\s*(?:https?://|mailto:|cid:|#|\{\{|\{%|\./|$)", re.IGNORECASE)
_TAGS_ALONE = re.compile(r"^((?:[ \t]*\{%(?:(?!%\})[^\n])*%\})+)[ \t]*\n", re.MULTILINE)
_LONGEST_SUBJECT = 200

NAMES = ("subject", "preheader", "site", "logo", "name", "email", "greeting")
LINKS = ("announcements_url", "unsubscribe_url", "preferences_url")
"""The variables of every announcement and message, described in ``docs/reference/templates.md``."""


@dataclass(frozen=True, slots=True)
class MailingLinks:
    """A subscriber's links in an announcement; None for those it does not have.

    Attributes:
        announcements: ends announcements. ``unsubscribe``: ends all mail. ``preferences``: changes preferences.
        announcements_email: an email that ends announcements. ``one_click``: the page for RFC 8058.
    """

    preferences: str | None
    unsubscribe: str | None = None
    announcements: str | None = None
    announcements_email: str | None = None
    one_click: str | None = None


@dataclass(frozen=True, slots=True)
class CompiledMailing:
    """The compiled templates of an announcement or a message; ``preheader`` is what follows the subject in lists."""

    subject: CompiledPart
    html: CompiledPart
    text: CompiledPart
    preheader: str
    look: Look


def find_subject(source: str, is_mjml: bool, shown: str) -> str | None:
    """Return the subject that a file has: the front matter's, else its first heading, or the title of MJML.

    Raises:
        UserError: the front matter has an error.
    """
    if is_mjml:
        found = _TITLE.search(source)
        subject = to_single_line(unescape(found["title"])) if found else ""
        return subject if subject and not re.search(r"\{\{\s*subject\b", subject) else None
    said, text = split_front_matter(source, shown)
    return to_single_line(said.subject or first_heading(text) or "") or None


def compile_mailing(
    own_folder: Path | None, source: str, is_mjml: bool, shown: str, subject: str, look: Look, with_footer: bool = True
) -> CompiledMailing:
    """Compile an announcement or a message.

    Args:
        own_folder: the newsletter's own templates, before the built-in ones.
        shown: the name of the file, for errors.
        with_footer: add the usual footer to MJML that lacks the links to unsubscribe or the postal address.

    Raises:
        UserError: it has an error; the message names file and line.
    """
    if is_mjml:
        name, preheader, own = shown, "", {shown: _with_footer(source) if with_footer else source}
        lines = _lines(source, shown)
        _check_links(lines)
    else:
        said, text = split_front_matter(source, shown)
        name, preheader, lines = f"{FRAME}.mjml", said.preheader, _lines(text, shown)
        _check_syntax(lines)
        own = {_BODY: markdown_to_html(text, shown)}
    html, text_part = (_environment(own_folder, own, look, is_html) for is_html in (True, False))
    compiled, frame_lines = compile_mjml(html, name)
    return CompiledMailing(
        subject=_subject(text_part, subject),
        html=CompiledPart(html.from_string(compiled), (*lines, *frame_lines)),
        text=CompiledPart(text_part.from_string(_text_template(compiled)), (*lines, *frame_lines)),
        preheader=preheader,
        look=look,
    )


def _text_template(html: str) -> str:
    """Convert the template of the HTML part to that of the text part."""
    plain, tags = with_stand_ins(html)
    # Lines of tags that show nothing leave no empty line.
    return _TAGS_ALONE.sub(r"\1", without_stand_ins(html_to_text(plain), tags))


def _environment(own_folder: Path | None, own: Mapping[str, str], look: Look, is_html: bool) -> Environment:
    folders = [folder for folder in (own_folder, BUNDLED) if folder is not None and folder.is_dir()]
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([DictLoader(own), FileSystemLoader(folders)]),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=is_html,
    )
    colours = palette(look.accent)
    environment.globals.update(colour=colours.light, dark=colours.dark)
    return environment


def _lines(text: str, shown: str) -> tuple[SourceLine, ...]:
    return tuple(SourceLine(Path(shown), number, line) for number, line in enumerate(text.splitlines(), 1))


def _check_syntax(lines: tuple[SourceLine, ...]) -> None:
    try:
        Environment(autoescape=True).parse("\n".join(line.text for line in lines))
    except TemplateSyntaxError as error:
        raise UserError(f"{lines[error.lineno - 1]}: {error.message}; correct it") from None


def _check_links(lines: tuple[SourceLine, ...]) -> None:
    for line in lines:
        for found in _HREF.finditer(line.text):
            if not _ALLOWED.match(found["url"]):
                raise UserError(f"{line}: {found['url']!r} does not work in an email; use https or mailto")


def _with_footer(source: str) -> str:
    """Add the usual footer to MJML that lacks one of the links to unsubscribe, or the postal address."""
    tags = " ".join(re.findall(r"\{\{.*?\}\}", source, re.DOTALL))
    if all(re.search(rf"\b{name}\b", tags) for name in _REQUIRED):
        return source
    ends = [found.start() for found in _END_OF_BODY.finditer(source)]
    return f"{source[: ends[-1]]}\n{_FOOTER}\n{source[ends[-1] :]}" if ends else source


def _subject(environment: Environment, subject: str) -> CompiledPart:
    try:
        return CompiledPart(environment.from_string(subject), _lines(subject, "subject"))
    except TemplateSyntaxError as error:
        raise UserError(f"subject: {error.message}; correct it") from None


def mailing_values(
    compiled: CompiledMailing, site: Site, subscriber: Subscriber, links: MailingLinks, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Build the values of the variables for a reader.

    Args:
        data: further variables, of a message.

    Raises:
        UserError: one of them has the name of a usual variable, or the subject fails.
    """
    if taken := sorted({*NAMES, *LINKS}.intersection(data)):
        raise UserError(f"data: {taken[0]!r} is the name of a variable of every message; choose another name")
    name = to_single_line(subscriber.preferences.name)
    values: dict[str, Any] = {
        **data,
        "preheader": compiled.preheader,
        "site": _site(site),
        "logo": compiled.look.images.logo,
        "name": name,
        "email": subscriber.email,
        "greeting": f"Hello {name}," if name else "Hello,",
        "announcements_url": links.announcements,
        "unsubscribe_url": links.unsubscribe,
        "preferences_url": links.preferences,
    }
    return {**values, "subject": to_single_line(render(compiled.subject, values))[:_LONGEST_SUBJECT]}


@cache
def _site(site: Site) -> Mapping[str, str | None]:
    # Templates in the sandbox see these values alone.
    return {"name": site.name, "url": site.url, "domain": site.domain, "postal_address": site.postal_address}


def render_mailing(compiled: CompiledMailing, values: Mapping[str, Any]) -> tuple[str, str]:
    """Render the HTML part and the text part. A link from a variable that leads elsewhere leads nowhere.

    Raises:
        UserError: a variable is unknown, or the template fails otherwise.
    """
    html = _HREF.sub(_safe_link, render(compiled.html, values))
    return html, wrap_lines(render(compiled.text, values))


def _safe_link(found: re.Match[str]) -> str:
    return found[0] if _ALLOWED.match(found["url"]) else f"{found['start']}{found['quote']}#{found['quote']}"
