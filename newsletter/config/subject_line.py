"""The template of the subject line, ``digest.subject``: its values, and its check when the configuration is read.

Jinja2 is imported when it is used: most commands do without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypedDict

from newsletter.config.suggestions import nearest_value

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

USUAL = "{{ title }}{% if more %} + {{ more }} more{% endif %}"
"""The template of a newsletter that sets none."""


class SubjectValues(TypedDict):
    """The values that a template can use.

    Attributes:
        title: of the first paper, shortened. ``number``: of papers; ``more``: without the first.
        sections: their names. ``date``: the day of the edition, like "28 November".
        site: the newsletter's name. ``reader``: the subscriber's name, empty if there is none.
    """

    title: str
    number: int
    more: int
    sections: Sequence[str]
    date: str
    site: str
    reader: str


_SAMPLES = [
    SubjectValues(
        title=title,
        number=number,
        more=number - 1,
        sections=sections,
        date="28 November",
        site="Daily Papers",
        reader=reader,
    )
    for number, title, sections, reader in (
        (1, "R", ["Robot learning"], ""),
        (10, "Learning from Few Examples", ["Robot learning"], "Ada"),
        (10, "“Q & A”: a survey", ["Robot learning", "Trending"], "Ada"),
    )
]
"""Digests that differ in what a template may take for granted: other papers, other sections and a reader's name."""


@lru_cache(maxsize=64)
def compiled(text: str) -> Template:
    """Compile a template of the subject line, once in each process.

    Raises:
        TemplateError: it is not a template.
    """
    return _environment().from_string(text)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # A subject is plain text, so an "&" in a title stays an "&".
    environment = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined)
    environment.globals.clear()
    # The same digest always has the same subject.
    del environment.filters["random"]
    return environment


def valid_subject(text: str) -> str:
    """Check a template by rendering it with sample values, and return it.

    Raises:
        ValueError: it is not a template, uses a value that there is not, or cannot be rendered.
    """
    from jinja2 import TemplateError, meta

    known = SubjectValues.__annotations__
    try:
        unknown = sorted(meta.find_undeclared_variables(_environment().parse(text)) - known.keys())
        if not unknown:
            for sample in _SAMPLES:
                compiled(text).render(sample)
            return text
    except Exception as error:  # Templates are the operator's code: they may raise anything.
        said = error.message if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
        what = (said or type(error).__name__).partition("\n")[0].rstrip(".: ")
        raise ValueError(f"is not a template of a subject: {what}; correct it, or remove the line") from None
    near = nearest_value(unknown[0], known)
    fix = f"did you mean {near!r}?" if near else f"use {', '.join(known)}"
    raise ValueError(f"uses {unknown[0]!r}, which is not known here; {fix}")
