"""Validated types of the settings of sources: ISSNs, identifiers of OpenAlex and prefixes of DOIs."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from newsletter.config.fields import one_line

_ISSN = re.compile(r"(?:e-?|p-?)?(?:issn)?(?:-l)?[\s:]*(\d{4})[-‐–\s]?(\d{3}[\dx])", re.IGNORECASE | re.ASCII)
_PREFIX = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.\d{4,9}(?:\.\d+)*)/?", re.IGNORECASE | re.ASCII)
_OPENALEX = re.compile(r"(?:https?://(?:api\.)?openalex\.org/(?:\w+/)?)?([a-z])(\d{1,19})", re.IGNORECASE | re.ASCII)
_ROR = re.compile(r"(?:https?://ror\.org/)?(0[a-z\d]{6}\d{2})", re.IGNORECASE | re.ASCII)
_ORCID = re.compile(r"(?:https?://orcid\.org/)?((?:\d{4}-){3}\d{3}[\dx])", re.IGNORECASE | re.ASCII)


def _listed(value: object) -> object:
    """Make a list of one value that is written without brackets, and of several that are separated by commas."""
    if isinstance(value, str):
        return [part for part in re.split(r"[,;]\s*", value.strip()) if part]
    return value if value is None or isinstance(value, Sequence) else [value]


def _text(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        # YAML reads 10.1210 as 10.121, and 00280836 as 280836.
        raise ValueError(f"is a number; put quotes around it, like {str(value)!r}")
    return value


def _issn(text: str) -> str:
    found = _ISSN.fullmatch(one_line(text))
    if found is None:
        raise ValueError("is not an ISSN; write it in quotes, like '1476-4687'")
    digits = (found[1] + found[2]).upper()
    # ISO 3297: the eight digits, weighted 8 to 1, add up to a multiple of 11; X is ten.
    rest = -sum(weight * int(digit) for weight, digit in zip(range(8, 1, -1), digits, strict=False)) % 11
    if digits[7] != (right := "X" if rest == 10 else str(rest)):
        raise ValueError(f"is not an ISSN: its last digit would be {right}; check the number")
    return f"{digits[:4]}-{digits[4:]}"


def _prefix(text: str) -> str:
    found = _PREFIX.fullmatch(one_line(text))
    if found is None:
        raise ValueError("is not a prefix of DOIs; write it like '10.1101'")
    return found[1]


def _openalex(letter: str, kind: str) -> AfterValidator:
    def check(text: str) -> str:
        found = _OPENALEX.fullmatch(one_line(text))
        if found is None or found[1].upper() != letter:
            raise ValueError(
                f"is not {kind} of OpenAlex; write its id, like {letter}12345, from its page on openalex.org"
            )
        return letter + found[2]

    return AfterValidator(check)


def _institution(text: str) -> str:
    plain = one_line(text)
    if (ror := _ROR.fullmatch(plain)) is not None:
        return ror[1].lower()
    found = _OPENALEX.fullmatch(plain)
    if found is None or found[1].upper() != "I":
        raise ValueError(
            "is not an institution; write its ROR id, like 05dxps055, or its id of OpenAlex, like I63966007"
        )
    return f"I{found[2]}"


def _author(text: str) -> str:
    plain = one_line(text)
    if (orcid := _ORCID.fullmatch(plain)) is not None:
        return orcid[1].upper()
    found = _OPENALEX.fullmatch(plain)
    if found is None or found[1].upper() != "A":
        raise ValueError(
            "is not an author; write the ORCID iD, like 0000-0002-1825-0097, or the id of OpenAlex, like A5023888391"
        )
    return f"A{found[2]}"


def _of_one_kind(values: list[str]) -> list[str]:
    # OpenAlex takes alternatives of one kind only.
    if len({value[0].isalpha() for value in values}) > 1:
        raise ValueError("has identifiers of two kinds; write all in one of them, or make two sources")
    return values


def _language(text: str) -> str:
    plain = one_line(text).lower()
    if not re.fullmatch(r"[a-z]{2,3}(?:-[a-z]{2,4})?", plain):
        raise ValueError("is not a language; write its code, like en")
    return plain


Choices = BeforeValidator(_listed)
"""For a list of fixed values, one of which may be written without brackets."""

_Text = Annotated[str, BeforeValidator(_text)]
_Listed = BeforeValidator(_listed)

Issns = Annotated[list[Annotated[_Text, AfterValidator(_issn)]], _Listed]
"""ISSNs in their usual form, 1476-4687, with the right check digit."""

DoiPrefixes = Annotated[list[Annotated[_Text, AfterValidator(_prefix)]], _Listed]
Members = Annotated[list[int], _Listed]
Topics = Annotated[list[Annotated[str, _openalex("T", "a topic")]], _Listed]
OpenAlexSources = Annotated[list[Annotated[str, _openalex("S", "a source")]], _Listed]
Institutions = Annotated[list[Annotated[str, AfterValidator(_institution)]], _Listed, AfterValidator(_of_one_kind)]
"""ROR ids in their bare form, or ids of OpenAlex."""

Authors = Annotated[list[Annotated[str, AfterValidator(_author)]], _Listed, AfterValidator(_of_one_kind)]
"""ORCID iDs in their bare form, or ids of OpenAlex."""

Languages = Annotated[list[Annotated[str, AfterValidator(_language)]], _Listed]
