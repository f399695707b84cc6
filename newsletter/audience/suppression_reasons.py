"""Why an address must not get mail, in the words of newsletter programs and mail providers."""

import re
from collections.abc import Collection
from typing import Literal

from newsletter.store.suppressions import Reason

SKIPPED: Literal["skipped"] = "skipped"
"""The answer for words that give no reason to suppress: the address gets mail, or bounced for a while only."""

_WORDS: dict[Reason | Literal["skipped"], tuple[str, ...]] = {
    Reason.COMPLAINT: (
        *(
            "complaint",
            "complaints",
            "complained",
            "spam",
            "spamcomplaint",
            "spamreport",
            "spamreports",
            "spamreported",
        ),
        *("spamnotification", "abuse", "abusecomplaint", "flaggedasspam", "contactflaggedasspam", "markedasspam"),
    ),
    Reason.BOUNCED: (
        *("bounce", "bounced", "bounces", "hard", "hardbounce", "hardbounced", "hardbounces", "permanent"),
        *("permanentbounce", "permanentfail", "permanentfailure", "fail", "failed", "invalid", "invalidemail"),
        *("invalidemails", "cleaned", "undeliverable", "undelivered", "undetermined", "suppressbounce"),
    ),
    Reason.UNSUBSCRIBED: (
        *(
            "unsubscribe",
            "unsubscribed",
            "unsubscribes",
            "unsubscription",
            "optout",
            "optedout",
            "removed",
            "forgotten",
            "disabled",
        ),
        *("unsubscribedviaemail", "unsubscribedviama", "unsubscribedviaapi", "groupunsubscribe", "globalunsubscribe"),
        *("manual", "manualsuppression", "manuallyadded", "manualblock", "adminblocked", "blocked", "block"),
        *("blocklist", "blocklisted", "blacklist", "blacklisted", "suppressed", "customersuppressed"),
    ),
    SKIPPED: (
        *("active", "enabled", "subscribed", "confirmed", "unconfirmed", "pending", "paused", "allowed"),
        *("delivered", "soft", "softbounce", "softbounced", "transient", "transientbounce", "temporary"),
        *("temporaryfail", "deferred"),
    ),
}
_KNOWN = {word: reason for reason, words in _WORDS.items() for word in words}
_PERMANENT = re.compile(r"\s*5\d\d\b|\b5\.\d{1,3}\.\d{1,3}\b")
"""A refusal by a mail server (RFC 5321, section 4.2.1; RFC 3463)."""

_IN_FILE_NAMES = (
    (Reason.COMPLAINT, re.compile(r"complain|spam|abuse")),
    (Reason.UNSUBSCRIBED, re.compile(r"unsub|opt.?out|block.?list|black.?list")),
    (Reason.BOUNCED, re.compile(r"bounce|invalid|cleaned|undeliver")),
)
_ADDRESS = re.compile(r"\s*[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+\s*")


def reason_in(text: str) -> Reason | Literal["skipped"] | None:
    """Return the reason that a cell gives; :data:`SKIPPED` if it says that the address gets mail, None if it says
    nothing.
    """
    known = _KNOWN.get(re.sub(r"[^a-z]", "", text.lower()))
    return known or (Reason.BOUNCED if _PERMANENT.match(text) or _PERMANENT.search(text) else None)


def reason_of_file(name: str, columns: Collection[str]) -> Reason:
    """Return the reason that a whole list has: by the name of the file, or else by its columns, as SendGrid and Mailgun
    have a list for each reason; otherwise as if these people had unsubscribed.
    """
    for reason, pattern in _IN_FILE_NAMES:
        if pattern.search(name.lower()):
            return reason
    if {"ip", "created"} <= set(columns):  # SendGrid's spam reports
        return Reason.COMPLAINT
    is_bounce = {"status", "reason", "created"} <= set(columns) or {"code", "error"} <= set(columns)
    return Reason.BOUNCED if is_bounce else Reason.UNSUBSCRIBED


def address_in(cell: str) -> bool:
    """Return whether a cell is an address, and so no name of a column."""
    return _ADDRESS.fullmatch(cell) is not None
