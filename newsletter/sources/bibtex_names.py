"""The names of persons in a BibTeX file."""

import html
import re
from collections.abc import Iterator

from bibtexparser.middlewares.names import parse_single_name_into_parts, split_multiple_persons_names

from newsletter.sources.author_marks import plain_names
from newsletter.sources.author_names import split_authors, tidy_authors
from newsletter.sources.bibtex_entries import split_outside_braces
from newsletter.sources.latex_fields import plain
from newsletter.support.person_names import SUFFIXES

_EXTENDED = re.compile(r"\s*(family|given|prefix|suffix|[a-z]+(?:-i)?)\s*=\s*(.*)", re.DOTALL)
"""A part of a name in the extended format of BibLaTeX (section 3.6 of its manual)."""

_FOOTNOTE = re.compile(
    r"\\(?:thanks|footnote(?:mark|text)?|inst|orcid(?:ID|link)?)\s*(?:\[[^\]]{0,9}\])?\{[^{}]*\}|\$\s*\^[^$]{0,40}\$"
)
_AMPERSAND = re.compile(r"\s\\?&\s")


def bibtex_authors(text: str) -> tuple[str, ...]:
    """Return the names in a field with persons, each as it is usually written. What is in braces is one name."""
    return tidy_authors(name for person in _persons(text) for name in _names(person))


def _persons(text: str) -> Iterator[str]:
    """Yield the persons of a field, which "and" separates; some programs write a semicolon or an ampersand."""
    one_line = _FOOTNOTE.sub("", html.unescape(text) if "&" in text else text)
    for part in split_outside_braces(one_line, ";"):
        for person in split_multiple_persons_names(_with_and(part)):
            bare = person.strip().removeprefix("and ").strip()
            if bare and bare not in ("others", "and"):
                yield bare


def _with_and(text: str) -> str:
    if not _AMPERSAND.search(text):
        return text
    return " and ".join(part.strip().removesuffix("\\") for part in split_outside_braces(text, "&"))


def _names(person: str) -> Iterator[str]:
    if person.startswith("{") and person.endswith("}") and len(list(split_outside_braces(person, " ,"))) == 1:
        yield plain(person)
        return
    if (extended := _extended_name(person)) is not None:
        yield plain(extended)
        return
    parts = [part.strip() for part in split_outside_braces(person, ",")]
    suffix = next((part for part in parts[1:] if part.replace(".", "").casefold() in SUFFIXES), None)
    if len(parts) == 3 and suffix:
        family, given = (part for part in parts if part is not suffix)
        yield plain(f"{given} {family} {suffix}")
    elif len(parts) > 2:
        # Names separated by commas, which means something else in BibTeX.
        yield from split_authors(plain(person))
    else:
        yield plain_names(plain(parse_single_name_into_parts(person, strict=False).merge_first_name_first))


def _extended_name(person: str) -> str | None:
    """Return a name that is written in named parts ("family=Berg, given=Jan, prefix=van den"); None for others."""
    found = [_EXTENDED.fullmatch(part) for part in split_outside_braces(person, ",")]
    parts = {part[1]: part[2].strip().strip('"') for part in found if part}
    if None in found or "family" not in parts:
        return None
    return " ".join(parts[name] for name in ("given", "prefix", "family", "suffix") if parts.get(name))
