"""Verbs of abstracts and their forms, and whether a text has a finite verb for each of its clauses.

There is no parser here. A text counts as a complete clause only if a verb of these lists says so; of a verb that is not
listed, nothing is known, and callers then leave the sentence as it is.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

LISTS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in json.loads(
        (Path(__file__).parents[1] / "data" / "verbs.json").read_text(encoding="utf-8")
    ).items()
}
"""Lists of words by name: verbs of abstracts in their base form, and others that tell where a clause begins or ends."""

SAYING = LISTS["saying"]
"""The verbs before "that": show, find, argue."""

VERBS = SAYING | LISTS["doing"]
"""All verbs, in their base form."""

_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|[,;:()]")
_NAME = re.compile(r"[A-Za-z].*[A-Z]")
_ADVERB = re.compile(r"\w+ly|also|further|first|then|thus|even|often|not|always|still|both|only|now|never|instead")


def third_person(verb: str) -> str:
    """Return the third person of a verb: "propose" gives "proposes", "study" gives "studies"."""
    if verb.endswith("y") and verb[-2] not in "aeou":
        return verb[:-1] + "ies"
    return verb + ("es" if re.search(r"(?:s|sh|ch|x|z|o)$", verb) else "s")


def gerund(verb: str) -> str:
    """Return the gerund of a verb of the lists here: "propose" gives "proposing", "cut" gives "cutting"."""
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    return verb + (verb[-1] if verb in ("cut", "run", "admit") else "") + "ing"


def base_of_gerund(word: str) -> str | None:
    """Return the base form of a gerund: "prompting" gives "prompt", "merging" gives "merge"; None for other words."""
    if word in BASE_OF_GERUND:
        return BASE_OF_GERUND[word]
    stem = word.removesuffix("ing")
    if stem == word or not re.search(r"[aeiouy]", stem) or len(stem) < 3:
        return None
    if stem[-1] == stem[-2] and stem[-1] not in "els":
        return stem[:-1]
    return stem + ("e" if _SILENT_E.search(stem) else "")


_SILENT_E = re.compile(
    r"(?:[aeiou](?:t|z|s|c|g|v|d|k)|[^aeiou][lgvsc]|yz|ur|fin|tun|"
    r"in)$(?<!it)(?<!ad)(?<!ead)(?<!eat)(?<!ook)(?<!ss)(?<!eed)(?<!ll)(?<!eak)(?<!isit)(?<!rain)(?<!oin)(?<!ain)(?<!ean)"
)

BASE_OF_THIRD = {third_person(verb): verb for verb in sorted(VERBS)}
BASE_OF_GERUND = {gerund(verb): verb for verb in sorted(VERBS | LISTS["gerunds"])}
"""The base form of the other forms."""

FINITE = frozenset(BASE_OF_THIRD) - LISTS["also_nouns"]
"""Third persons that are hardly ever nouns."""

_BASE = frozenset(VERBS) - LISTS["also_nouns"]
_ALL_SAYING = SAYING | {third_person(verb) for verb in SAYING} | {"showed", "shown", "found", "demonstrated"}
_THIRD = re.compile(r"[a-z]+(?<![su])(?<!thi)s")
_AFTER_VERB = frozenset(["a", "an", "the", "its", "their", "our", "both", "all", "us"])
_NOT_BEFORE_VERB = frozenset(
    [
        ",",
        ";",
        ":",
        "(",
        ")",
        "and",
        "or",
        "of",
        "in",
        "on",
        "for",
        "to",
        "with",
        "by",
        "from",
        "the",
        "a",
        "an",
        "its",
        "their",
        "our",
        "these",
        "those",
    ]
)
_NO_CLAUSE = frozenset(
    [
        "a",
        "an",
        "such",
        "part",
        "one",
        "shown",
        "seen",
        "demonstrated",
        "illustrated",
        "described",
        "expected",
        "discussed",
        "indicated",
    ]
)
_SUBJECTS = frozenset(["we", "it", "they", "i", "you", "he", "she", "who", "which", "that"])


def is_complete(text: str) -> bool:
    """Return whether a text has a finite verb for each clause in it, as far as the lists here tell.

    Each word that begins a subordinate clause ("that", "which", "while") needs one more verb. A verb after "and" or
    after a modal verb does not count, since it belongs to the one before it.
    """
    surplus = verbs_to_spare(text)
    return bool(surplus) and surplus[-1][1] > 0


@lru_cache(maxsize=2**10)
def verbs_to_spare(text: str) -> tuple[tuple[int, int], ...]:
    """Return for each word of a text, in order, the position of its end, and how many more finite verbs than words that
    begin a subordinate clause there are up to it. A text that ends there is complete if that is above 0.
    """
    tokens = list(_TOKEN.finditer(text))
    words = [token[0].lower() for token in tokens]
    spare, found = 0, []
    for place, token in enumerate(tokens):
        named = place > 0 and _is_of_name(words, place) and _NAME.match(tokens[place - 1][0]) is not None
        spare += (named or _is_finite(words, place)) - _is_subordinate(words, place)
        found.append((token.end(), spare))
    return tuple(found)


@lru_cache(maxsize=2**14)
def _is_adverb(word: str) -> bool:
    return _ADVERB.fullmatch(word) is not None


def _before(words: list[str], place: int) -> str:
    """Return the word before a word, other than adverbs; "" for none."""
    for word in reversed(words[max(0, place - 3) : place]):
        if not _is_adverb(word):
            return word
    return ""


def _is_finite(words: list[str], place: int) -> bool:
    word, before = words[place], _before(words, place)
    if _is_adverb(word):
        return False
    if word in LISTS["auxiliaries"] or before in ("we", "they", "i"):
        return before not in LISTS["auxiliaries"] or word in ("is", "are", "has", "have", "can")
    if word in BASE_OF_THIRD and before in _SUBJECTS:
        return True
    if word in FINITE or (word in _BASE and before[-1:].isalpha() and before not in LISTS["before_base"]):
        return before not in ("and", "or", "to")
    # "The results showed that", "it was found that"
    following = words[place + 1] if place + 1 < len(words) else ""
    if following in _AFTER_VERB and (_THIRD.fullmatch(word) or word.endswith("ed")):
        # Any verb: "strikes a balance", "revealed the cause"; "is called the loom" has its verb before.
        return before not in _NOT_BEFORE_VERB and before not in LISTS["auxiliaries"]
    return (
        following == "that"
        and before not in ("and", "or")
        and (word.endswith("ed") or word in SAYING or word in BASE_OF_THIRD)
    )


def _is_of_name(words: list[str], place: int) -> bool:
    """Return whether a word behind a name is its verb: any in the third person if the name is the subject."""
    if not words[place].endswith("s"):
        return False
    subject = place == 1 or words[place - 2] in ("that", ",")
    return words[place] in BASE_OF_THIRD or (subject and _THIRD.fullmatch(words[place]) is not None)


def _is_subordinate(words: list[str], place: int) -> bool:
    word = words[place]
    if word not in LISTS["subordinate"]:
        return False
    following = words[place + 1] if place + 1 < len(words) else ""
    if word in ("that", "which", "who") and _THIRD.fullmatch(following) and following not in FINITE:
        # It has its verb with it, unlisted as it is, unless it says what was found.
        return _before(words, place) in _ALL_SAYING
    if word in ("while", "when", "once", "if", "although", "though"):
        return not following.endswith(("ing", "ed"))
    if word == "as":
        return following in ("we", "it", "they") or (place == 0 and following not in _NO_CLAUSE)
    if word == "since":
        return following in ("we", "it", "they", "the")
    if word == "that":
        return words[place - 1] not in ("so", "such", "than", "to", "of", "in", "with") if place else False
    return word not in ("how", "what", "why", "whether") or following != "to"
