"""Validated types of settings: addresses, URLs, time zones and others."""

import re
from contextlib import suppress
from datetime import time
from email.headerregistry import Address
from email.utils import unquote
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

import idna
from email_validator import EmailNotValidError, ValidatedEmail, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, TypeAdapter, ValidationError

from newsletter.config import arxiv_categories
from newsletter.support import time_zones
from newsletter.support.colours import contrast, full_hex
from newsletter.support.text import is_utf8, to_single_line

_MAILBOX = re.compile(r'(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<plain>[^<>]*))\s*<(?P<address>[^<>]+)>')
"""A name, quoted (RFC 5322, section 3.2.4) or plain, and an address."""

_LONGEST_LOCAL = 64
"""Octets before the @ of an address (RFC 5321, section 4.5.3.1.1)."""

_LONGEST_ADDRESS = 254
"""Octets of an address: a path has 256 with its angle brackets (RFC 5321, section 4.5.3.1.3)."""

_LONGEST_RETURN_LOCAL = 24
"""Before the @ of ``bounces.address``: with a token it keeps to the 64 octets of a local part."""


def _known_timezone(name: str) -> str:
    if time_zones.is_known(name):
        return name
    near = time_zones.probable_name(name)
    fix = f"did you mean {near}?" if near else "write an IANA name like Europe/London"
    raise ValueError(f"is not a time zone; {fix}")


_TIME = re.compile(r"(\d{1,2})(?:\s*[:.h,]\s*(\d{2})|(\d{2}))?(?::\d{2})?\s*(am|pm|a\.m\.|p\.m\.|h|uhr|o'clock)?")
_NAMED_TIMES = {"noon": "12:00", "midday": "12:00", "midnight": "00:00", "morning": "07:00", "evening": "18:00"}


def _time_of_day(value: object) -> object:
    if isinstance(value, time):
        return value
    text = str(value).strip()
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        probable = _probable_time(text)
        fix = f'did you mean "{probable}"?' if probable else 'write it like "07:30"'
        raise ValueError(f"is not a time of day; {fix}")
    return time(int(match[1]), int(match[2]))


def _probable_time(text: str) -> str | None:
    """Return the time that a text like ``7pm``, ``7.30`` or ``noon`` probably means."""
    found = _TIME.fullmatch(text.lower())
    if found is None:
        return _NAMED_TIMES.get(text.lower())
    hour, minute, half = int(found[1]), int(found[2] or found[3] or 0), (found[4] or "")[:1]
    if half in ("a", "p") and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    return f"{hour:02}:{minute:02}" if hour < 24 and minute < 60 else None


def listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def none_as_empty(value: object) -> object:
    """Read a key with nothing below it, such as one whose entries are all comments, as an empty mapping."""
    return {} if value is None else value


def one_line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("has a line break or control character; write it on one line")
    cleaned = to_single_line(text)
    if not cleaned:
        raise ValueError("is empty; enter a value")
    return cleaned


def _file_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise ValueError("is empty; write a path, or remove the line")
    if any(ord(character) < 32 for character in value) or not is_utf8(value):
        raise ValueError("is not a file name; write it on one line")
    return value


_VENUE = re.compile(r"[\w.~-]+(?:/[\w.~-]+)*", re.ASCII)


def _openreview_venue(name: str) -> str:
    """Return the id of a venue, which may be given by its address ``https://openreview.net/group?id=…``."""
    cleaned = one_line(name)
    if cleaned.startswith(("https://", "http://")):
        cleaned = dict(parse_qsl(urlsplit(cleaned).query)).get("id", cleaned)
    if not _VENUE.fullmatch(cleaned):
        raise ValueError("is not a venue of OpenReview; write its id like ICLR.cc/2026/Conference")
    return cleaned


def _arxiv_category(name: str) -> str:
    cleaned = one_line(name)
    near = None if arxiv_categories.well_formed(cleaned) else arxiv_categories.probable(cleaned)
    if near is not None and near != cleaned:
        raise ValueError(f"is not a category of arXiv; did you mean {near!r}?")
    return cleaned


def valid_source_name(name: str) -> str:
    if not re.fullmatch(r"[\w.-]+", name):
        raise ValueError("is not a source name; use only letters, digits, '_', '.' and '-'")
    return name


def plain_address(text: str) -> str:
    """Normalise an email address.

    Raises:
        ValueError: the address is invalid; the message has the reason.
    """
    return validated(text).normalized


def validated(text: str) -> ValidatedEmail:
    try:
        address = validate_email(text.strip(), strict=True, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f"is not an email address: {error}") from None
    # The library counts characters; a mail server counts octets.
    if len(address.local_part.encode()) > _LONGEST_LOCAL:
        raise ValueError(f"is not an email address: The part before the @-sign is over {_LONGEST_LOCAL} bytes long.")
    if len(address.normalized.encode()) > _LONGEST_ADDRESS:
        raise ValueError(f"is not an email address: It is over {_LONGEST_ADDRESS} bytes long.")
    return address


def _mailbox(text: str) -> str:
    match = _MAILBOX.fullmatch(one_line(text))
    name, address = (unquote(match["quoted"] or "") or match["plain"] or "", match["address"]) if match else ("", text)
    local, _, domain = plain_address(address).rpartition("@")
    return str(Address(name.strip(), local, domain))


def host_name(text: str) -> str:
    """Encode a full host name as ASCII (RFC 5890).

    Raises:
        ValueError: the name is invalid; the message has the reason.
    """
    try:
        name = idna.encode(text.strip().rstrip("."), uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        name = ""
    last = name.rpartition(".")[2]
    if "." not in name or last.isdigit():
        raise ValueError("is not a full host name; write one like mail.example.org")
    return name


def valid_ehlo_name(text: str) -> str:
    """Validate the argument of EHLO: a full host name or an address literal (RFC 5321, section 4.1.3)."""
    literal = re.fullmatch(r"\[(?:(?P<v6>ipv6:)(?P<six>[\da-f:.]+)|(?P<four>[\d.]+))\]", text.strip(), re.IGNORECASE)
    try:
        if literal is not None and literal["four"]:
            return f"[{IPv4Address(literal['four'])}]"
        if literal is not None:
            return f"[IPv6:{IPv6Address(literal['six'])}]"
        return host_name(text)
    except ValueError:
        raise ValueError(
            "is not a full host name; write one like mail.example.org, or an address like [192.0.2.1] or "
            "[IPv6:2001:db8::1]"
        ) from None


def valid_return_address(text: str) -> str:
    address = validated(text).ascii_email or ""
    local = address.rpartition("@")[0]
    if not local or "+" in local or len(local) > _LONGEST_RETURN_LOCAL:
        raise ValueError(
            f"cannot carry a token; use at most {_LONGEST_RETURN_LOCAL} ASCII characters before the @, and no '+', "
            "like bounces@papers.example.org"
        )
    return address


def _web_address(text: str) -> str:
    try:
        return str(TypeAdapter(HttpUrl).validate_python(text.strip())).rstrip("/")
    except ValidationError:
        raise ValueError("is not a web address; write it like https://papers.example.org") from None


def _private_address(text: str) -> str:
    text = text.strip()
    with suppress(ValueError):
        return str(ip_network(text))
    if not re.fullmatch(r"[\w-]+(?:\.[\w-]+)*\.?", text) or re.fullmatch(r"[\d.]+", text):
        raise ValueError("is neither a host nor a network; write it like intranet.example.org or 10.0.0.0/8")
    return text.rstrip(".").lower()


Timezone = Annotated[str, AfterValidator(_known_timezone)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
Times = Annotated[list[TimeOfDay], BeforeValidator(listed), Field(min_length=1)]
"""Times of day; one may be written without brackets."""

ArxivCategories = Annotated[
    list[Annotated[str, AfterValidator(_arxiv_category)]], BeforeValidator(listed), Field(min_length=1)
]
"""Categories of arXiv; one may be written without brackets."""

Line = Annotated[str, AfterValidator(one_line)]
OpenReviewVenue = Annotated[str, AfterValidator(_openreview_venue)]
FileName = Annotated[Path, BeforeValidator(_file_name)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
Url = Annotated[str, AfterValidator(_web_address)]
PrivateAddress = Annotated[str, AfterValidator(_private_address)]


_LEAST_CONTRAST = 5.0
"""On white. On the grey of pages it is then at least 4.5, as in WCAG 2.2, success criterion 1.4.3."""


def _colour_present(value: object) -> object:
    if value is None:
        raise ValueError('is empty: YAML takes # for a comment; put the colour in quotes, like "#1a56b0"')
    return value


def _accent(value: str) -> str:
    colour = full_hex(value)
    if (found := contrast(colour, "#ffffff")) < _LEAST_CONTRAST:
        raise ValueError(
            f"is too light to read on white (contrast {found:.1f}, at least {_LEAST_CONTRAST} needed); "
            "choose a darker colour"
        )
    return colour


Accent = Annotated[str, BeforeValidator(_colour_present), AfterValidator(_accent)]
"""A colour for text on white."""
