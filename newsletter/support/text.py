"""Make foreign text safe to store and display: in one line, without invisible characters."""

import re
import unicodedata

# Control characters, lone surrogates, soft hyphens, zero-width and filler characters, invisible operators, marks that
# change the direction of text, tags: some cannot be stored, some control a terminal, and some make a word read as
# another, or keep it from being found.
_UNSEEN = (
    "\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u115f\u1160\u17b4\u17b5\u200b\u202a-\u202e\u2060-\u206f\u3164"
    "\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
# A variation selector must follow a character that has variants.
_LONE_VARIANT = (
    "(?<![©®\u203c-\u205e\u2070-\u303f\u3297\u3299\u3400-\u9fff\U0001f000-\U0001faff])[\ufe00-\ufe0f](?!\u20e3)"
)
# Direction marks position punctuation and Latin words in Arabic or Hebrew text; elsewhere they have no meaning.
_RIGHT_TO_LEFT = re.compile("[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff]")
_UNSEEN_AMONG_RIGHT_TO_LEFT = re.compile(f"[{_UNSEEN}]|{_LONE_VARIANT}")
_UNSEEN_ELSEWHERE = re.compile(f"[{_UNSEEN}\u061c\u200e\u200f]|{_LONE_VARIANT}")
# Joiners belong to the spelling of Persian and Indic scripts, and to composed emoji; elsewhere they only hide.
_LONE_JOINER = re.compile(
    "(?<![\u0620-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00011000-\U00011fff"
    "\U0001e900-\U0001e95f\u203c-\u205e\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u180e\u200c\u200d]"
)
_PERHAPS_UNSEEN = re.compile(f"[{_UNSEEN}\u061c\u180e\u200c-\u200f\ufe00-\ufe0f]")
_COMBINING = re.compile("[\u0300-\u036f]")
# Letters that Unicode does not decompose into a basic letter and an accent.
_BASIC_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ħ": "h", "ŋ": "n", "ə": "e"}
)
_BREAK = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]")


def to_single_line(text: str) -> str:
    """Return a text in one line: white space collapsed, invisible characters removed."""
    return " ".join(strip_invisible(text).split())


def strip_invisible(text: str) -> str:
    """Return a text without invisible characters; its white space stays."""
    return _each_unseen(text, "")


def basic_letters(text: str) -> str:
    """Return a text in lower case and without accents, for comparison; its characters are decomposed (NFKD)."""
    if text.isascii():
        return text.lower()
    return _COMBINING.sub("", unicodedata.normalize("NFKD", text.casefold())).casefold().translate(_BASIC_LETTERS)


def escape_for_terminal(text: str) -> str:
    """Return a text as one line for a terminal: breaks become spaces, invisible characters are written ``\\x1b``."""
    return _each_unseen(_BREAK.sub(" ", text), None)


def shorten_middle(text: str, most: int) -> str:
    """Shorten a text to ``most`` characters by leaving out its middle, so that both ends stay readable."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 3]} … {text[-end:]}"


def is_utf8(text: str) -> bool:
    """Return whether a text can be stored as UTF-8; names of files and folders may contain other bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _each_unseen(text: str, instead: str | None) -> str:
    if not _PERHAPS_UNSEEN.search(text):
        return text  # the fast path, for most texts

    def put(found: re.Match[str]) -> str:
        return ascii(found[0])[1:-1] if instead is None else instead

    unseen = _UNSEEN_AMONG_RIGHT_TO_LEFT if _RIGHT_TO_LEFT.search(text) else _UNSEEN_ELSEWHERE
    return _LONE_JOINER.sub(put, unseen.sub(put, text))
