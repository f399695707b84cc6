"""The verdict: what a mail server's refusal says of a mailbox."""

import re
from collections.abc import Iterable
from enum import StrEnum


class Kind(StrEnum):
    """What a message tells.

    ``hard``: the mailbox is not there. ``soft``: not delivered, which may pass. ``refused``: for who sends or what is
    sent, which says nothing of the mailbox. ``notice``: a program's word that asks for nothing. ``other``: anything
    else, as a letter.
    """

    HARD = "hard"
    SOFT = "soft"
    REFUSED = "refused"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    NOTICE = "notice"
    OTHER = "other"


_STATUS = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\.?\d)")

_REPLY = re.compile(r"(?<![\w.:-])[45][0-5]\d(?=[ -]\S)")

_GONE = {"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1"}
_OF_THE_SENDER = {".1.7", ".1.8"}
_OF_THE_MESSAGE = {".2.3", ".3.4"}
_GENERIC = {"5.0.0", "5.1.0", "5.3.0", "5.4.1", "5.5.0"}
"""What servers say that cannot, or will not, say more."""

_MOST_WORDS = 1_000
_SAYS_FULL = re.compile(
    r"quota|(mailbox|inbox|storage|disk) (is )?(full|exceeded)|out of storage|insufficient \w* ?storage", re.IGNORECASE
)
_SAYS_REFUSED = re.compile(
    r"spam|block(ed|list)|blacklist|reputation|polic(y|ies)|dmarc|\bspf\b|dkim|banned|\bvirus", re.IGNORECASE
)
_SAYS_GONE = re.compile(
    r"(unknown|no such|invalid|nonexist\w+) (local )?(user|recipient|mailbox|account|address|person|domain)"
    r"|\b(user|recipient|mailbox|account|address|domain)\b.{0,60}\b(unknown|not found|not exist|doesn't exist|invalid"
    r"|disabled|deactivated|no longer)|no mailbox here|recipient ?not ?found|recipient address rejected"
    r"|not a valid (user|mailbox|recipient)|unrouteable",
    re.IGNORECASE,
)


def status_in(words: str) -> str | None:
    """The first enhanced status code (RFC 3463) in a text."""
    found = _STATUS.search(words)
    return found[1] if found else None


def replies_in(lines: Iterable[str]) -> list[str]:
    """The lines that quote what a server said: those with a reply code (RFC 5321) or an enhanced status code."""
    return [line for line in lines if _REPLY.search(line) or _STATUS.search(line)]


def verdict(status: str | None, words: str) -> Kind:
    """What a failure says of a mailbox: hard, soft or refused.

    Hard is only what says that the mailbox is not there: by its code, or, where that says no more than "failed", by
    its words. Who is taken for gone gets nothing any more, so in doubt it is soft.

    Args:
        status: the enhanced status code (RFC 3463), where there is one.
        words: the server's.
    """
    if status is None or status in _GENERIC:
        return _by_words(words[:_MOST_WORDS], lasts=status is not None)
    if status in _GONE:
        return Kind.HARD
    about = status[1:]
    of_us = about in _OF_THE_SENDER | _OF_THE_MESSAGE or about.startswith((".6.", ".7."))
    return Kind.REFUSED if of_us else Kind.SOFT


def _by_words(words: str, lasts: bool) -> Kind:
    if _SAYS_FULL.search(words):
        return Kind.SOFT
    if _SAYS_REFUSED.search(words):
        return Kind.REFUSED
    # Without an enhanced code, the reply code may say that it passes.
    lasts = lasts or re.match(r"\W*4\d\d\b", words) is None
    return Kind.HARD if lasts and _SAYS_GONE.search(words) else Kind.SOFT


def verdict_on_refusal(reply: str) -> Kind | None:
    """What a server's refusal in the SMTP session says of a mailbox, None when it says nothing of it: only codes of the
    address and of the mailbox do, since a session refuses for much else.
    """
    status = status_in(reply)
    if status is None or status[1:4] not in (".1.", ".2."):
        return None
    kind = verdict(status, reply)
    return None if kind is Kind.REFUSED else kind
