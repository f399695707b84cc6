from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from newsletter.config.messages import describe
from newsletter.config.sources import SourceSettings

SETTINGS: TypeAdapter[Any] = TypeAdapter(SourceSettings)


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [
        ("crossref", "issn", "1476-4687", ["1476-4687"]),
        (
            "crossref",
            "issn",
            ["14764687", "ISSN 2434-561x", "eISSN: 0317-8471"],
            ["1476-4687", "2434-561X", "0317-8471"],
        ),
        ("crossref", "issn", "1476-4687, 0317-8471", ["1476-4687", "0317-8471"]),
        ("crossref", "prefix", ["10.1101", "https://doi.org/10.64898/"], ["10.1101", "10.64898"]),
        ("crossref", "member", 297, [297]),
        ("openalex", "topics", ["t10028", "https://openalex.org/T2"], ["T10028", "T2"]),
        ("openalex", "topics", "https://openalex.org/topics/T2", ["T2"]),
        ("openalex", "sources", "S137773608", ["S137773608"]),
        ("openalex", "institutions", "https://ror.org/05DXPS055", ["05dxps055"]),
        ("openalex", "institutions", ["I63966007", "i2"], ["I63966007", "I2"]),
        ("openalex", "authors", "https://orcid.org/0000-0002-1694-233x", ["0000-0002-1694-233X"]),
        ("openalex", "authors", "A5023888391", ["A5023888391"]),
    ],
)
def test_an_identifier_in_any_usual_form(kind: str, field: str, value: Any, expected: Any) -> None:
    assert getattr(SETTINGS.validate_python({"kind": kind, field: value}), field) == expected


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "crossref", "issn": ["1476-4688"]}, "is not an ISSN: its last digit would be 7; check the number"),
        ({"kind": "crossref", "issn": ["2434-5615"]}, "is not an ISSN: its last digit would be X; check the number"),
        ({"kind": "crossref", "issn": ["Nature"]}, "is not an ISSN; write it in quotes, like '1476-4687'"),
        # As YAML reads 00280836 and 10.1210.
        ({"kind": "crossref", "issn": [280836]}, "is a number; put quotes around it, like '280836'"),
        ({"kind": "crossref", "prefix": [10.121]}, "is a number; put quotes around it, like '10.121'"),
        ({"kind": "crossref", "prefix": ["11.1"]}, "is not a prefix of DOIs; write it like '10.1101'"),
        ({"kind": "crossref"}, "names no works; set issn, prefix, member or query"),
        ({"kind": "openalex"}, "names no works; set topics, institutions, authors, sources or query"),
        ({"kind": "openalex", "topics": ["I1"]}, "is not a topic of OpenAlex; write its id, like T12345"),
        ({"kind": "openalex", "sources": ["T1"]}, "is not a source of OpenAlex; write its id, like S12345"),
        ({"kind": "openalex", "institutions": ["CERN"]}, "is not an institution; write its ROR id"),
        ({"kind": "openalex", "institutions": ["I1", "05dxps055"]}, "has identifiers of two kinds"),
        ({"kind": "openalex", "authors": ["Ada Lovelace"]}, "is not an author; write the ORCID iD"),
        ({"kind": "openalex", "query": "x", "languages": ["English"]}, "is not a language; write its code, like en"),
    ],
)
def test_a_mistake_says_what_to_write(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as failed:
        SETTINGS.validate_python(settings)
    assert describe(failed.value.errors()[0]).startswith(problem)
