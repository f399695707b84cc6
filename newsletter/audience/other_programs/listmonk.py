"""listmonk's exports of subscribers: its CSV, and the JSON of its API (https://listmonk.app/docs/apis/subscribers/)."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from newsletter.audience.other_programs.base import (
    OtherRow,
    TableReader,
    cells_by_column,
    consent_of,
    known_zone,
    moment_of,
    tags_of,
    values_of,
)
from newsletter.errors import UserError
from newsletter.model import SubscriberState

COLUMNS = {"uuid", "email", "name", "attributes", "status"}
_READ = COLUMNS | {"created_at", "updated_at", "lists"}
_STATES = {
    "enabled": None,
    "disabled": SubscriberState.PAUSED,
    "blocklisted": SubscriberState.UNSUBSCRIBED,
    "blacklisted": SubscriberState.UNSUBSCRIBED,  # before version 1.1
}
_LEFT, _UNCONFIRMED, _DOUBLE = "unsubscribed", "unconfirmed", "double"


class Listmonk(TableReader):
    """listmonk's CSV export of subscribers. It does not say which list somebody has left."""

    name = "listmonk"

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self.address = columns.index("email")
        self.ignored = [one for one in columns if one not in _READ]

    def read(self, cells: Sequence[str], where: str) -> OtherRow:
        """Read a row.

        Raises:
            UserError: it has a status that listmonk does not have.
        """
        row = cells_by_column(self._columns, cells)
        return OtherRow(
            values=values_of(row.get("email", ""), row.get("name", ""), _zone_in(row.get("attributes", ""))),
            state=_state(row.get("status", ""), where),
            consent=consent_of(self.name, [("added", row.get("created_at", ""))]),
            tags=tags_of(re.split(r"[;,]", row.get("lists", ""))),
            created_at=moment_of(row.get("created_at")),
        )


def is_listmonk(entry: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is a subscriber of listmonk's API."""
    return {"uuid", "email", "status"} <= set(entry) and ("attribs" in entry or "lists" in entry)


def from_profile(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the subscriber in listmonk's export of one subscriber's data; None if the document is something else."""
    profile, lists = document.get("profile"), document.get("subscriptions")
    if not (isinstance(profile, list) and len(profile) == 1 and isinstance(profile[0], dict)):
        return None
    return {"attribs": {}, **profile[0], "lists": lists if isinstance(lists, list) else []}


def read_entry(entry: Mapping[str, Any], where: str) -> OtherRow:
    """Read a subscriber of listmonk's API: tags are the lists that were not left, and who left all is unsubscribed.

    Raises:
        UserError: it has a status that listmonk does not have.
    """
    state = _state(str(entry.get("status", "")), where)
    found = entry.get("lists")
    lists = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    present = [one for one in lists if one.get("subscription_status") != _LEFT]
    if lists and state is None:
        if not present:
            state = SubscriberState.UNSUBSCRIBED
        elif all(_awaits_confirmation(one) for one in present):
            state = SubscriberState.PENDING
    attributes = entry.get("attribs")
    zone = attributes.get("timezone") if isinstance(attributes, Mapping) else None
    created = entry.get("created_at")
    return OtherRow(
        values=values_of(str(entry.get("email") or ""), str(entry.get("name") or ""), known_zone(zone)),
        state=state,
        consent=consent_of(Listmonk.name, [("added", created if isinstance(created, str) else "")]),
        tags=tags_of(one.get("name") for one in present),
        created_at=moment_of(created),
    )


def _awaits_confirmation(mailing_list: Mapping[str, Any]) -> bool:
    return mailing_list.get("subscription_status") == _UNCONFIRMED and mailing_list.get("optin") == _DOUBLE


def _state(status: str, where: str) -> SubscriberState | None:
    status = status.strip().lower()
    if status not in _STATES:
        known = ", ".join(list(_STATES)[:3])
        raise UserError(f"{where}: status: {status!r} is not a status; use one of {known}")
    return _STATES[status]


def _zone_in(attributes: str) -> str | None:
    """Return the time zone from listmonk's attributes, an arbitrary JSON object."""
    try:
        read = json.loads(attributes)
    except (ValueError, RecursionError):
        return None
    return known_zone(read.get("timezone")) if isinstance(read, dict) else None
