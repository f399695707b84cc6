"""Classify mail servers' refusals, in SMTP replies and in bounces, by what they say about a mailbox."""

import re
from collections.abc import Iterable
from enum import StrEnum


class BounceKind(StrEnum):
    """What a returned message reports.

    ``hard``: the mailbox does not exist. ``soft``: not delivered, possibly temporarily. ``refused``: because of the
        sender or the content, which says nothing about the mailbox. ``feedback``, ``interests``: a subscriber's email
        that rates a paper, or changes interests. ``notice``: an automatic message that needs no action. ``other``:
        anything else, such as a personal email. ``suppressed``: the mail provider delivers nothing more to the address.
    """

    HARD = "hard"
    SOFT = "soft"
    REFUSED = "refused"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    FEEDBACK = "feedback"
    INTERESTS = "interests"
    SUPPRESSED = "suppressed"
    NOTICE = "notice"
    OTHER = "other"


_STATUS = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\.?\d)")

_REPLY = re.compile(r"(?<![\w.:-])[45][0-5]\d(?=[ -]\S)")

_GONE = {"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1"}
_OF_THE_SENDER = {".1.7", ".1.8"}
_OF_THE_MESSAGE = {".2.3", ".3.4"}
_GENERIC = {"5.0.0", "5.1.0", "5.3.0", "5.4.1", "5.5.0"}
"""What servers say that cannot, or will not, be more specific."""

_OF_MAILBOXES = (".1.", ".2.")
_REPLIES_ABOUT_MAILBOXES = re.compile(r"\W*55[0-4]\b")  # RFC 5321, section 4.2.3; Yahoo says 554
_REPLIES_ABOUT_US = re.compile(r"\W*5[03]\d\b")  # a command that is wrong, or a login (RFC 4954, section 6)

_MOST_WORDS = 1_000

_NAMES = re.compile(
    r"https?://\S+|[^\s<>()\[\],;:\"']+@[\w.-]+"  # links and addresses
    r"|\b(?:[a-z0-9-]+\.){2,}[a-z][a-z0-9-]+\b"  # hosts; servers have constants with dots, in capitals
    r"|(?<![\w.])#?[245]\.\d{1,3}\.\d{1,3}(?![\w.])"  # codes, which stand in each line of an answer
)
"""Words that carry no meaning: ``antispam@policy.example``, ``mx1.antispam.example``."""


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_UP_TO_3 = r"\W+(?:\w+\W+){0,3}"
_RELAY = r"relay(?![\W_]?(?:recipient|domain))"
"""Not a "relay recipient table", in which Postfix looks up a mailbox."""

_SAYS_WE_ARE_AT_FAULT = _words(
    # Relaying.
    rf"\b{_RELAY}\w*{_UP_TO_3}(?:denied|prohibited|forbidden|refused|rejected|disallowed|restricted|disabled)",
    rf"\b{_RELAY}\w*{_UP_TO_3}(?:not|isn't) (?:permitted|allowed|authori[sz]ed|available|enabled|supported|accepted)",
    rf"\b(?:no|not|never|cannot|\w+n't|unable|refus\w+|prohibit\w+|open){_UP_TO_3}{_RELAY}",
    r"\brelaying\b|insecure mail relay|\brcpthosts\b",
    # The sender, its address, domain and host.
    rf"\b(?:sender|sending|mail from|from address|return path|envelope from)(?:'s)?{_UP_TO_3}(?:rejected|denied|refused"
    r"|blocked|verif\w+|unknown|invalid|not|no|does|domain|host|ip|id|address|account|polic\w+|disabled|suspended"
    r"|paused|limit|quota|credits?|rate)\b",
    r"\b(?:invalid|unknown|bad|blocked|unauthenticated|unverified|unauthori[sz]ed) (?:sender|from|return path)",
    r"\b(?:verify|verification of|check|authenticate) (?:the )?sender|\bcall-?(?:back|out)\b",
    r"(?:not|n't) (?:allowed|permitted|able) to (?:send|submit|use)|\b(?:customer|tenant)\b|non-?payment",
    r"\byour (?:\w+ ){0,2}(?:account|ip|domain|server|host\w*|network|organi[sz]ation|reputation|plan"
    r"|subscription|quota|limit|access)\b",
    r"\b(?:client host|helo|ehlo|reverse dns|rdns|ptr record)\b",
    # A login.
    r"authenticat|\bauth\b|password|credential|must (?:log ?in|issue|use)|log ?in (?:first|required)|not logged in",
    r"unauthori[sz]ed|not authori[sz]ed|not (?:yet )?verified|identit(?:y|ies)|sandbox",
    # How much may be sent, by whom.
    r"\b(?:daily|hourly|monthly|outgoing|outbound|smtp|relay|messag(?:e|es|ing)|emails?|rate|per.(?:day|hour|minute))\b"
    rf"{_UP_TO_3}(?:quota|limits?|credits?)\b",
    r"\b(?:quota|limit|credits?)\b.{0,30}\b(?:per (?:day|hour|month)|for today|24 hours)",
    r"too many (?:messages|mails?|e-?mails?|connections|recipients|errors)|throttl|rate.?limit|credits? exceeded",
)
"""About relaying, the sender, a login, or how much may be sent: outweighs the status code."""

_SAYS_REFUSED = _words(
    r"spam|\b(?:block|black|deny|gr[ae]y|white)\W?list|\bblock(?:ed|ing)?\b|\blisted (?:at|by|on)\b|dnsbl|\brbl\b",
    r"reputation|polic(?:y|ies)|dmarc|\bspf\b|dkim|\bip\b|banned|unsolicited|suspicious|bulk mail",
    r"\bvirus|malware|phish|\bjunk",
    r"content|prohibited|denied|forbidden|administrative|unacceptable|too (?:large|big|long)",
    r"\b(?:sender|relay)\b",
    # Whose account, it does not say.
    r"\b(?:account|service|domain)\b.{0,40}\b(?:suspended|disabled|deactivated|locked|closed|paused|terminated|expired)",
)
"""About the content or the sender; less clearly."""

_SAYS_FULL = _words(
    r"quota|(?:mailbox|inbox|storage|disk) (?:is )?(?:full|exceeded)|out of storage|insufficient \w* ?storage"
)
_SAYS_BUSY = _words(r"receiving (?:mail|messages|e?-?mails?) (?:too|at a rate)")

_WHO = "user|recipient|mailbox|account|address(?:es)?|addressee|person|alias|local part"
_MISSES = (
    "unknown|not (?:be )?found|not present|wasn't found|not exist|doesn't exist|nonexist\\w+|not (?:a )?known|not valid"
    "|invalid|no longer (?:active|available|exists?|valid|in use|in service|with|employed|works?|here|on)"
)
_SAYS_GONE = _words(
    rf"\b(?:unknown|no such|invalid|non.?exist\w+) (?:local |mail |email )?(?:{_WHO})\b",
    rf"\b(?:{_WHO})\b.{{0,60}}\b(?:{_MISSES})\b",
    r"\b(?:mailbox|recipient|tried to reach)\b.{0,60}\b(?:disabled|deactivated)",
    r"no mailbox here|no (?:account|mailbox|user) (?:by that name|available)|no one at this address",
    r"recipient ?not ?found|no such (?:person|one) |not our customer|unrouteable",
    r"(?:not a|isn't a) (?:valid|known) (?:user|mailbox|recipient|address)|(?:not|n't) have an? [\w.-]+ account",
    r"\b(?:unknown|no such|invalid) (?:recipient|destination)('s)? domain",
)

_EXCHANGE_ONLINE = re.compile(r"recipient address rejected: access denied", re.IGNORECASE)
"""With 5.4.1: how Exchange Online says that its directory has no such recipient."""


def status_in(words: str) -> str | None:
    """Return the first enhanced status code (RFC 3463) in a text."""
    found = _STATUS.search(words)
    return found[1] if found else None


def replies_in(lines: Iterable[str]) -> list[str]:
    """Return the lines that quote a server: those with a reply code (RFC 5321) or an enhanced status code."""
    return [line for line in lines if _REPLY.search(line) or _STATUS.search(line)]


def classify(status: str | None, words: str) -> BounceKind:
    """Classify a failure as hard, soft or refused.

    Only a failure that says the mailbox does not exist is hard: by its code or, if that says no more than "failed", by
    its words. Words about relaying, the sender, a login or a rate outweigh any code, since those are not the
    recipient's fault. Mail to hard-bounced addresses stops, so doubtful cases are soft.

    Args:
        status: the enhanced status code (RFC 3463), if any.
        words: the server's text.
    """
    return _understood(status, words) or BounceKind.SOFT


def classify_verdict(verdict: BounceKind, status: str | None, words: str) -> BounceKind:
    """Classify a failure that a mail provider calls hard or soft.

    The provider has seen more than it passes on, so its verdict counts, except where a specific code says otherwise.
    """
    if verdict not in (BounceKind.HARD, BounceKind.SOFT) or status is None or status in _GENERIC:
        return verdict
    kind = classify(status, words)
    return BounceKind.SOFT if verdict is BounceKind.SOFT and kind is BounceKind.HARD else kind


def _understood(status: str | None, words: str) -> BounceKind | None:
    """Return what a failure says about a mailbox, None if it says nothing about it."""
    said = _NAMES.sub(" ", " ".join(words[:_MOST_WORDS].split()))
    if _is_about_us(status) or _SAYS_WE_ARE_AT_FAULT.search(said):
        return BounceKind.REFUSED
    about_mailbox = status is not None and status[1:4] in _OF_MAILBOXES
    if status in _GONE:
        if _SAYS_BUSY.search(said) or _SAYS_FULL.search(said):
            return BounceKind.SOFT
        # "5.1.1 rejected as spam": the code is wrong.
        mistaken = status != "5.2.1" and _SAYS_REFUSED.search(said) and not _SAYS_GONE.search(said)
        return BounceKind.REFUSED if mistaken else BounceKind.HARD
    if status is not None and status not in _GENERIC:
        return BounceKind.SOFT if about_mailbox else None
    return _by_words(status, said) or (BounceKind.SOFT if about_mailbox else None)


def _is_about_us(status: str | None) -> bool:
    """Return whether a code is about the sender, the content, or the communication between the servers."""
    if status is None or status in _GENERIC:
        return False
    about = status[1:]
    return about in _OF_THE_SENDER | _OF_THE_MESSAGE or about.startswith((".5.", ".6.", ".7."))


def _by_words(status: str | None, words: str) -> BounceKind | None:
    if status == "5.4.1" and _EXCHANGE_ONLINE.search(words):
        return BounceKind.HARD
    if _SAYS_FULL.search(words):
        return BounceKind.SOFT
    if _SAYS_REFUSED.search(words) or _REPLIES_ABOUT_US.match(words):
        return BounceKind.REFUSED
    # Without an enhanced code, the reply code may say that it is temporary.
    lasts = status is not None or re.match(r"\W*4\d\d\b", words) is None
    return BounceKind.HARD if lasts and _SAYS_GONE.search(words) else None


def classify_refusal(reply: str) -> BounceKind | None:
    """Classify a server's refusal in the SMTP session; None if it says nothing about the mailbox.

    Sessions are refused for many other reasons.
    """
    status = status_in(reply)
    kind = _understood(status, reply)
    if kind is BounceKind.HARD and reply.startswith("4"):
        return BounceKind.SOFT  # The reply code says that it is temporary.
    if kind is BounceKind.HARD and status is None and not _REPLIES_ABOUT_MAILBOXES.match(reply):
        return None
    return None if kind is BounceKind.REFUSED else kind
