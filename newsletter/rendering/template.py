"""Templates: MJML compiled to HTML once, when it is loaded; per message only Jinja2 runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateNotFound
from jinja2.exceptions import TemplateSyntaxError

from newsletter.errors import UserError

BUNDLED = next(
    path for path in (Path(__file__).parents[1] / "templates", Path(__file__).parents[2] / "templates") if path.is_dir()
)
"""The templates that come with the program: inside an installed package, beside it in the repository."""


@dataclass(frozen=True, slots=True)
class Templates:
    """The two parts of a digest, ready to be filled."""

    html: Template
    text: Template


def load_templates(own_folder: Path | None) -> Templates:
    """Load the digest's templates; those in ``own_folder`` come before the program's.

    Raises:
        UserError: a template is missing or wrong; file and line are named where they are known.
    """
    folders = [folder for folder in (own_folder, BUNDLED) if folder is not None and folder.is_dir()]
    html = Environment(loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined)
    # The text part is no HTML: an "&" in a title is an "&" there.
    text = Environment(
        loader=FileSystemLoader(folders),
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return Templates(_compiled(html, "digest.mjml"), _found(text, "digest.txt"))


def _compiled(environment: Environment, name: str) -> Template:
    from mjml import mjml_to_html  # Here, since it is slow to import and many commands do without it.

    source = _source(environment, name)
    try:
        # Parsed before MJML moves the lines about, so that a mistake is named by the line it stands in.
        environment.parse(source.text, name, str(source.path))
        compiled = mjml_to_html(source.text, template_dir=source.path.parent)
    except TemplateSyntaxError as error:
        raise UserError(f"{source.path}:{error.lineno}: {error.message}; mend the template") from None
    except Exception as error:  # The compiler has no error class of its own.
        raise UserError(f"{source.path}: not MJML that compiles: {error}; mend the template") from error
    if compiled.errors:
        raise UserError(f"{source.path}: {'; '.join(map(str, compiled.errors))}; mend the template")
    return _checked(environment, compiled.html, source.path)


def _found(environment: Environment, name: str) -> Template:
    source = _source(environment, name)
    return _checked(environment, source.text, source.path)


def _checked(environment: Environment, text: str, path: Path) -> Template:
    try:
        template = environment.from_string(text)
    except TemplateSyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: {error.message}; mend the template") from None
    template.name = template.filename = str(path)
    return template


@dataclass(frozen=True, slots=True)
class _Source:
    text: str
    path: Path


def _source(environment: Environment, name: str) -> _Source:
    assert environment.loader is not None  # noqa: S101 - given above
    try:
        text, filename, _ = environment.loader.get_source(environment, name)
    except TemplateNotFound:
        raise UserError(f"templates/{name}: missing; 'newsletter init' lays one out") from None
    except UnicodeDecodeError:
        raise UserError(f"templates/{name}: not UTF-8; save it as UTF-8") from None
    return _Source(text, Path(filename or name))


def render(template: Template, values: Mapping[str, Any]) -> str:
    """Fill a template.

    Raises:
        UserError: it asks for something that is not there, or fails otherwise.
    """
    try:
        return template.render(values)
    except Exception as error:  # A template is a program of the operator's: anything may go wrong in it.
        what = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
        raise UserError(f"{template.name}: {what}; mend the template") from error
