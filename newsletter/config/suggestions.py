"""What a wrong key or value probably meant: the nearest one allowed, also through words that mean the same."""

import difflib
import re
from collections.abc import Iterable, Mapping

_VALUE_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "tls": ("ssl", "ssltls", "tlsssl", "smtps", "imaps", "implicit"),
    "starttls": ("explicit", "tlsstart"),
    "none": ("no", "off", "false", "plain", "plaintext", "insecure"),
    "huggingface": ("hf", "huggingfaceco", "dailypapers", "papers"),
    "arxiv": ("arxivorg",),
    "feed": ("rss", "atom", "xml"),
    "file": ("json", "jsonl", "bibtex", "bib", "path"),
    "date": ("day", "daily"),
    "week": ("weekly",),
    "month": ("monthly",),
    "mon": ("monday", "mo", "montag", "lundi", "lunes"),
    "tue": ("tuesday", "tu", "dienstag", "mardi", "martes"),
    "wed": ("wednesday", "we", "mittwoch", "mercredi", "miercoles"),
    "thu": ("thursday", "th", "thur", "thurs", "donnerstag", "jeudi", "jueves"),
    "fri": ("friday", "fr", "freitag", "vendredi", "viernes"),
    "sat": ("saturday", "sa", "samstag", "samedi", "sabado"),
    "sun": ("sunday", "su", "sonntag", "dimanche", "domingo"),
    "daily": ("everyday", "alldays"),
    "weekdays": ("weekday", "workdays", "workday", "business", "monfri", "montofri"),
    "weekend": ("weekends", "satsun"),
    "full": ("complete", "detailed", "long"),
    "compact": ("short", "brief"),
    "titles": ("headlines", "list"),
}
"""Words that mean an allowed value, in small letters and digits."""

_KEY_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "authors": ("writers",),
    "days": ("frequency", "interval", "weekdays", "when"),
    "email": ("address", "mail", "emailaddress"),
    "fetch_at": ("fetchtime", "fetchtimes"),
    "from": ("sender", "mailfrom"),
    "host": ("hostname", "server", "smtphost", "smtpserver"),
    "interests": ("topics", "subjects", "topic"),
    "layout": ("style",),
    "kind": ("type", "provider"),
    "name": ("title", "fullname"),
    "never": ("exclude", "excluded", "block", "blocklist", "ignore"),
    "papers": ("maxpapers", "limit", "max", "count", "number"),
    "password_file": ("passwordpath", "passfile"),
    "reply_to": ("replyaddress",),
    "security": ("tls", "ssl", "encryption", "usetls"),
    "smtp": ("mailserver", "mailhost"),
    "text": ("description", "query", "abstract"),
    "time": ("hour", "sendat", "at", "deliverytime"),
    "timezone": ("tz", "zone"),
    "user": ("username", "login", "account"),
}
"""Words that mean a key, in small letters and digits."""

_YES = frozenset(("yes", "y", "true", "on", "enabled", "enable", "ja", "oui", "si"))
_NO = frozenset(("no", "n", "false", "off", "disabled", "disable", "nein", "non", "never"))
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_THOUSANDS = {"k": 1_000, "m": 1_000_000}


def nearest_key(written: str, known: Iterable[str]) -> str | None:
    """Return the known key that a wrong one probably means."""
    return _nearest(written, known, _KEY_SYNONYMS, 0.6)


def nearest_value(written: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed value that a wrong one probably means."""
    return _nearest(written, allowed, _VALUE_SYNONYMS, 0.65)


def _nearest(
    written: str, allowed: Iterable[str], synonyms: Mapping[str, tuple[str, ...]], cutoff: float
) -> str | None:
    names: dict[str, str] = {}
    for one in allowed:
        names |= {word: one for word in synonyms.get(one, ()) if word not in names}
        names[_folded(one)] = one
    word = _folded(written[:80])
    found = difflib.get_close_matches(word, names, n=3, cutoff=cutoff)
    # Of several, the one that begins alike: few mistype the first letter.
    return names[next((one for one in found if one[:1] == word[:1]), found[0])] if found else None


def _folded(word: str) -> str:
    return re.sub(r"[\W_]", "", word.casefold())


def probable_boolean(written: str) -> str | None:
    """Return ``true`` or ``false`` for a phrase like ``yes please``."""
    first = _folded(written.strip().partition(" ")[0])
    return "true" if first in _YES else "false" if first in _NO else None


def probable_numbers(written: str) -> list[str]:
    """Return the numbers that a text may mean, most probable first, like ``10000`` for ``10,000`` or ``10k``."""
    text = written.strip().rstrip(",;").lower()
    if text in _NUMBERS:
        return [str(_NUMBERS.index(text))]
    if _folded(text) in _NO:
        return ["0"]
    if found := re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*%", text):
        return [f"{float(found[1].replace(',', '.')) / 100:g}"]
    if found := re.fullmatch(r"(\d+)\s*([km])", text):
        return [str(int(found[1]) * _THOUSANDS[found[2]])]
    if re.fullmatch(r"\d{1,3}([ ,.'’]\d{3})+", text):
        return [re.sub(r"\D", "", text)]
    if re.fullmatch(r"-?\d+,\d+", text):
        return [text.replace(",", ".")]
    if re.fullmatch(r"0x[\da-f]{1,8}", text):
        return [str(int(text, 16))]
    if re.fullmatch(r"\d{1,9}[.e]\d{1,2}", text) and float(text) < 1e9:
        return [f"{float(text):.0f}"]
    numbers = [text] if text != written and re.fullmatch(r"-?\d{1,9}(\.\d+)?", text) else []
    return [*numbers, f"{int(text) / 100:g}"] if re.fullmatch(r"\d{1,3}", text, re.ASCII) else numbers
