"""The alerts on the preferences form: their fields, and their errors next to the fields."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData

from newsletter.model import Alert, AlertKind
from newsletter.web.forms import text

ALERT_KINDS = {
    AlertKind.QUERY: "Papers that match a query",
    AlertKind.AUTHOR: "Papers by an author",
    AlertKind.INSTITUTION: "Papers from an institution",
    AlertKind.CITES: "Papers that cite a paper",
}
"""The kinds of alerts in words for the reader."""

_FIELD = re.compile(r"^a(\d{1,3})-value$", re.ASCII)
_AT = re.compile(r"^alerts\.(\d+)(?:\.[\w.]+)?: ")
_IDENTIFIERS = {AlertKind.AUTHOR: "orcid", AlertKind.INSTITUTION: "ror"}


@dataclass(frozen=True, slots=True)
class AlertFields:
    """The form fields of an alert, valid or not.

    Attributes:
        kind: a value of :class:`newsletter.model.AlertKind`.
        value: a query, a name, or the DOI or arXiv id of a paper. ``identifier``: an ORCID iD or a ROR id.
        name: what the subscriber's file calls it; the form shows it but has no field to change it.
    """

    kind: str = AlertKind.QUERY.value
    value: str = ""
    identifier: str = ""
    name: str = ""
    always: bool = False

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.value.strip() or self.identifier.strip())


def alert_fields(alert: Alert) -> AlertFields:
    """Fill the fields from an alert."""
    return AlertFields(alert.kind.value, alert.value, alert.identifier or "", alert.name, alert.always)


def posted_alerts(form: FormData) -> list[AlertFields]:
    """Read the posted alerts, without empty ones and those marked for removal."""
    numbers = sorted({int(found[1]) for key in form if (found := _FIELD.match(key))})
    posted = [_posted(form, f"a{number}-") for number in numbers if not text(form, f"a{number}-remove")]
    return [one for one in posted if not one.empty]


def _posted(form: FormData, start: str) -> AlertFields:
    plain = {name: text(form, start + name) for name in ("value", "identifier", "name")}
    kind = text(form, f"{start}kind")
    known = kind if kind in list(AlertKind) else AlertKind.QUERY.value
    return AlertFields(known, **plain, always=bool(text(form, f"{start}always")))


def alert_mapping(fields: AlertFields) -> Mapping[str, Any]:
    """Convert the fields to an alert as a subscriber's file has it."""
    kind, value = fields.kind, " ".join(fields.value.split())
    said: Any = value
    if kind in _IDENTIFIERS:
        pair = {"name": value, _IDENTIFIERS[AlertKind(kind)]: fields.identifier.strip()}
        said = {key: one for key, one in pair.items() if one}
    return {kind: said, "name": fields.name, "always": fields.always}


def misplaced_identifiers(alerts: Iterable[AlertFields]) -> list[str]:
    """Return an error for each alert with an identifier that its kind does not have, keyed as in a file."""
    return [
        f"alerts.{number}: only an author has an ORCID iD and only an institution a ROR id; choose one of these kinds, "
        "or clear the field"
        for number, one in enumerate(alerts, 1)
        if one.identifier.strip() and one.kind not in _IDENTIFIERS
    ]


def alert_problems(lines: Iterable[str]) -> Mapping[int, Sequence[str]]:
    """Return the errors of alerts among those of a form, without their keys, by the position of the alert from 0."""
    problems: dict[int, list[str]] = {}
    for line in lines:
        if found := _AT.match(line):
            problems.setdefault(int(found[1]) - 1, []).append(line[found.end() :])
    return problems


def reword_alert(line: str) -> str | None:
    """Reword an error of an alert for the reader; None for another error."""
    found = _AT.match(line)
    return f"Alert {found[1]}: {line[found.end() :]}" if found else None
