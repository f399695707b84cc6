"""Templates: MJML is compiled to HTML once, when it is loaded; only Jinja2 runs per message.

Errors name the file and line of the MJML source, not those of the compiled HTML.
"""

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from textwrap import wrap
from typing import Any

from jinja2 import (
    BytecodeCache,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
)
from jinja2.bccache import Bucket
from jinja2.exceptions import TemplateSyntaxError

from newsletter.config.subject_line import USUAL
from newsletter.errors import UserError
from newsletter.model import Layout
from newsletter.rendering.images import NO_IMAGES, Images
from newsletter.rendering.palette import palette
from newsletter.support.colours import ACCENT

BUNDLED = next(
    path for path in (Path(__file__).parents[1] / "templates", Path(__file__).parents[2] / "templates") if path.is_dir()
)
"""The built-in templates: in an installed package, or next to it in the repository."""

_INCLUDE = re.compile(r'^\s*<mj-include\s+path="(?:\./)?(?P<name>[^"]+)"\s*/>\s*$')
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_COLOUR = re.compile(r"\{\{\s*(?P<mode>colour|dark)\.(?P<name>\w+)\s*\}\}")
_STAND_IN = re.compile(r"jinja(\d+)tag")
_LONG_LINE = 900
_FORMER = {
    "compact": "remove the line of config.yaml that names it, and set digest.layout to compact",
    "weekly": "remove the line of config.yaml that names it",
    "partials/section": "delete your own digest.mjml, or write the heading of a section there",
}
"""What replaces templates of former versions, by name."""

_SAID = re.compile(r"'([^']+)'")
_DEEPEST = 5


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of a template, with its position in the source."""

    path: Path
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number}"


@dataclass(frozen=True, slots=True)
class CompiledPart:
    """A compiled template; ``lines`` are its source lines, empty for one that Jinja2 loaded itself."""

    template: Template
    lines: tuple[SourceLine, ...] = ()


class _CodeCache(BytecodeCache):
    """The code of Jinja2 templates, as long-lived as this process: most templates of a newsletter never change.

    Holds one entry for each file, valid while the file has the same text.
    """

    def __init__(self) -> None:
        self._held: dict[str, Bucket] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        held = self._held.get(bucket.key)
        if held is not None and held.checksum == bucket.checksum:
            bucket.code = held.code

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._held[bucket.key] = bucket


_HTML_CODE, _TEXT_CODE = _CodeCache(), _CodeCache()
"""Apart, since the code of a template depends on whether the environment escapes."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is the same in all messages of a newsletter.

    Attributes:
        accent: the colour of links and buttons, as ``#rrggbb``.
        site_url: the public site, to whose pages papers without a link of their own lead; None without one.
        source_summaries: whether a source's own summary of a paper, if there is one, is shown instead of the
            highlights.
        layout: that of subscribers who have not chosen one.
        subject: the template of the subject line, as ``digest.subject`` of the configuration has it.
        images: the logo and the thumbnails, as far as the newsletter shows any.
    """

    accent: str = ACCENT
    site_url: str | None = None
    source_summaries: bool = False
    layout: Layout = Layout.FULL
    subject: str = USUAL
    images: Images = NO_IMAGES


@dataclass(frozen=True, slots=True)
class Templates:
    """A digest's templates: the two parts of a message, and the parts of a paper that are the same for everybody.

    Attributes:
        title, lines, links: a paper's title, what is said of it, and its links, as HTML. ``text_title``,
            ``text_lines``, ``text_links``: as text.
        cards: a cache of rendered cards, as long-lived as the templates: each paper is rendered once an edition.
    """

    html: CompiledPart
    text: CompiledPart
    title: CompiledPart
    lines: CompiledPart
    links: CompiledPart
    text_title: CompiledPart
    text_lines: CompiledPart
    text_links: CompiledPart
    look: Look = Look()
    cards: dict[tuple[int, str], Any] = field(default_factory=dict)


def load_templates(own_folder: Path | None, name: str = "digest", look: Look = Look()) -> Templates:
    """Load the templates of a name; those in ``own_folder`` override the built-in ones.

    Raises:
        UserError: a template is missing or invalid; the error names file and line.
    """
    folders = [folder for folder in (own_folder, BUNDLED) if folder is not None and folder.is_dir()]
    html = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        bytecode_cache=_HTML_CODE,
    )
    colours = palette(look.accent)
    html.globals.update(colour=colours.light, dark=colours.dark)
    # The text part is not HTML: an "&" in a title stays an "&".
    text = Environment(
        loader=FileSystemLoader(folders),
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        bytecode_cache=_TEXT_CODE,
    )
    text.filters.update(wordwrap=_wrapped, hang=hanging)
    return Templates(
        html=_compiled(html, f"{name}.mjml"),
        text=_read(text, f"{name}.txt"),
        title=_read(html, "partials/title.html"),
        lines=_read(html, "partials/lines.html"),
        links=_read(html, "partials/links.html"),
        text_title=_read(text, "partials/title.txt"),
        text_lines=_read(text, "partials/lines.txt"),
        text_links=_read(text, "partials/links.txt"),
        look=look,
    )


@lru_cache(maxsize=4096)
def _wrapped(text: str, width: int = 72, break_long_words: bool = False) -> str:
    """Replace Jinja2's filter of the same name with a faster one: most lines are short enough, or repeat."""
    if len(text) <= width and "\n" not in text:
        return text
    paragraphs = text.split("\n")
    return "\n".join("\n".join(wrap(one, width, break_long_words=break_long_words)) for one in paragraphs)


@lru_cache(maxsize=4096)
def hanging(text: str, width: int) -> str:
    """Indent all lines of a text but the first, and no empty ones."""
    return re.sub(r"\n(?=[^\n])", "\n" + " " * width, text)


def _read(environment: Environment, name: str) -> CompiledPart:
    try:
        return CompiledPart(environment.get_template(name))
    except TemplateNotFound:
        raise _missing(name) from None
    except UnicodeDecodeError:
        raise UserError(f"templates/{name}: not UTF-8; save it as UTF-8") from None
    except TemplateSyntaxError as error:
        raise UserError(f"{error.filename}:{error.lineno}: {error.message}; correct the template") from None


def _missing(name: str) -> UserError:
    fix = _FORMER.get(name.rpartition(".")[0])
    if fix is not None:
        return UserError(f"templates/{name}: no longer part of the program; {fix}")
    return UserError(f"templates/{name}: missing; run 'newsletter init' to create it")


def _compiled(environment: Environment, name: str) -> CompiledPart:
    lines = tuple(_coloured(environment, line) for line in _assembled(environment, name))
    html = _html_of(lines)
    bucket = _HTML_CODE.get_bucket(environment, name, str(lines[0].path) if lines else None, html)
    if bucket.code is None:
        bucket.code = environment.compile(html)
        _HTML_CODE.set_bucket(bucket)
    template = Template.from_code(environment, bucket.code, environment.make_globals(None))
    return CompiledPart(template, lines)


@lru_cache(maxsize=32)
def _html_of(lines: tuple[SourceLine, ...]) -> str:
    """Compile MJML to HTML, both with tags of Jinja2."""
    from mjml import mjml_to_html  # Slow to import, and many commands do without it.

    source = "\n".join(line.text for line in lines)
    try:
        # Parsed before MJML rearranges the lines, so that an error names the right line.
        Environment(autoescape=True).parse(source)
    except TemplateSyntaxError as error:
        raise UserError(f"{lines[error.lineno - 1]}: {error.message}; correct the template") from None
    _Checker(lines).check(source)
    # Each Jinja2 tag is replaced by a placeholder: the compiler would escape its contents.
    tags, number = _TAG.findall(source), count()
    source = _TAG.sub(lambda _: f"jinja{next(number)}tag", source)
    try:
        compiled = mjml_to_html(source)
    except Exception as error:  # The compiler has no specific error class.
        raise UserError(f"{lines[0].path}: MJML does not compile: {error}; correct the template") from error
    if compiled.errors:
        raise UserError(f"{lines[0].path}: {'; '.join(map(str, compiled.errors))}; correct the template")
    return _STAND_IN.sub(lambda found: tags[int(found[1])], _tightened(compiled.html))


def _coloured(environment: Environment, line: SourceLine) -> SourceLine:
    """Fill in the colours, which are the same for all messages."""

    def fill(found: re.Match[str]) -> str:
        colours = environment.globals[found["mode"]]
        assert isinstance(colours, dict)  # noqa: S101 - set by load_templates
        if found["name"] not in colours:
            raise UserError(f"{line}: no colour {found['name']!r}; use one of {', '.join(colours)}")
        return str(colours[found["name"]])

    return replace(line, text=_COLOUR.sub(fill, line.text))


def _tightened(html: str) -> str:
    """Remove the white space of the compiler's indentation and join lines.

    Lines that are the same in all messages are encoded the faster, the fewer there are.
    """
    lines: list[str] = []
    for line in re.sub(r">\s*\n\s*<", ">\n<", re.sub(r"\n\s+", "\n", html)).split("\n"):
        if lines and _same_for_all(lines[-1]) and _same_for_all(line) and len(lines[-1]) + len(line) < _LONG_LINE:
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return "\n".join(lines)


def _same_for_all(line: str) -> bool:
    return _STAND_IN.search(line) is None


def _assembled(environment: Environment, name: str, depth: int = 0) -> tuple[SourceLine, ...]:
    """Return the lines of an MJML file and the files it includes, each of which may be the newsletter's own."""
    assert environment.loader is not None  # noqa: S101 - set by the caller
    try:
        text, filename, _ = environment.loader.get_source(environment, name)
    except TemplateNotFound:
        raise _missing(name) from None
    except UnicodeDecodeError:
        raise UserError(f"templates/{name}: not UTF-8; save it as UTF-8") from None
    lines: list[SourceLine] = []
    for number, line in enumerate(text.splitlines(), 1):
        here = SourceLine(Path(filename or name), number, line)
        include = _INCLUDE.match(line)
        if include is None and "<mj-include" in line:
            raise UserError(
                f'{here}: an include must be on a line of its own: <mj-include path="./partials/NAME.mjml" />'
            )
        if include is None:
            lines.append(here)
        elif depth == _DEEPEST:
            raise UserError(f"{here}: includes {include['name']} in a loop; correct the template")
        else:
            lines += _assembled(environment, include["name"], depth + 1)
    return tuple(lines)


class _Checker(HTMLParser):
    """Finds errors that the compiler ignores: tags and attributes that MJML does not have, and unclosed tags."""

    def __init__(self, lines: tuple[SourceLine, ...]) -> None:
        super().__init__()
        self._lines = lines
        self._open: list[tuple[str, SourceLine]] = []

    def check(self, source: str) -> None:
        """Raise UserError for the first error."""
        # Jinja2's tags are blanked out, since "a < b" in one is not an HTML tag.
        self.feed(_TAG.sub(lambda tag: re.sub(r"[^\n]", "_", tag[0]), source))
        self.close()
        if self._open:
            tag, line = self._open[-1]
            raise UserError(f"{line}: <{tag}> is not closed; correct the template")
        if not any("<mjml" in line.text for line in self._lines):
            raise UserError(f"{self._lines[0].path if self._lines else 'template'}: no <mjml>; correct the template")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check an opening tag."""
        self._check_known(tag, [name for name, _ in attrs])
        if tag.startswith("mj"):
            self._open.append((tag, self._here()))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check a self-closing tag."""
        self._check_known(tag, [name for name, _ in attrs])

    def handle_endtag(self, tag: str) -> None:
        """Check a closing tag."""
        if not tag.startswith("mj"):
            return
        opened, line = self._open.pop() if self._open else ("", self._here())
        if opened != tag:
            missing = f"<{opened}> of {line} is open" if opened else "none is open"
            raise UserError(f"{self._here()}: </{tag}>, but {missing}; correct the template")

    def _here(self) -> SourceLine:
        return self._lines[self.getpos()[0] - 1]

    def _check_known(self, tag: str, names: list[str]) -> None:
        from mjml.core.registry import components, register_core_components

        register_core_components()
        if not tag.startswith("mj-") or any(parent == "mj-attributes" for parent, _ in self._open):
            return
        component = components.get(tag)
        if component is None:
            raise UserError(f"{self._here()}: MJML has no <{tag}>; correct the template")
        allowed = {*component.allowed_attrs(), "css-class", "mj-class", *getattr(component, "default_attrs", dict)()}
        for name in names:
            if tag.startswith("mj-") and name not in allowed and tag not in _FREE:
                raise UserError(f"{self._here()}: <{tag}> has no attribute {name!r}; correct the template")


_FREE = ("mj-html-attribute", "mj-raw", "mj-style", "mj-body", "mj-title", "mj-preview", "mj-attributes", "mj-head")


def render(part: CompiledPart, values: Mapping[str, Any]) -> str:
    """Fill a template with values.

    Raises:
        UserError: it uses an undefined variable, or fails otherwise.
    """
    try:
        return part.template.render(values)
    except Exception as error:  # Templates are the operator's code: they may raise anything.
        what = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
        raise UserError(f"{_place(part, error)}: {what}; correct the template") from error


def _place(part: CompiledPart, error: Exception) -> str:
    """Return the position of an error in a template."""
    if not part.lines:
        name = part.template.filename or part.template.name or "template"
        numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
        return f"{name}:{numbers[-1]}" if numbers else name
    # The compiled lines differ from the source; the undefined name identifies the line.
    for name in reversed(_SAID.findall(str(error))):
        word = re.compile(rf"\{{[{{%][^}}]*(?<!\w){re.escape(name)}(?!\w)")
        found = next((line for line in part.lines if word.search(line.text)), None)
        if found is not None:
            return str(found)
    return str(part.lines[0].path)
