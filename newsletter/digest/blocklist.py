"""Never-words and never-authors: find the papers they hide."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

from newsletter.model import Paper
from newsletter.support.person_names import NameIndex, NameMatch

BlockedPapers = Mapping[str, Sequence[int]]
"""For each never-word, and each never-author after :data:`BY`, the indices of the papers it hides."""

BY = "by "


def blocked(
    words: Iterable[str], authors: Iterable[str], papers: Sequence[Paper], known: Callable[[], NameIndex[int]]
) -> BlockedPapers:
    """Find the papers that never-words and never-authors hide.

    Args:
        known: returns the authors of the papers; only called if there are never-authors.
    """
    by = {f"{BY}{author}": _papers_by(known(), author) for author in authors}
    return {**blocked_by(words, papers), **by}


def _papers_by(known: NameIndex[int], author: str) -> list[int]:
    """Return the papers by an author; initials alone are not enough to hide one."""
    found = known.find(author).values()
    return sorted({place for agrees, places in found if agrees is NameMatch.FULL for place in places})


def blocked_by(words: Iterable[str], papers: Sequence[Paper]) -> BlockedPapers:
    """Find the papers with each word or phrase in the title or abstract: as whole words, in singular or plural, with
    spaces or hyphens between the words of a phrase, ignoring case.
    """
    wanted = {word: _pattern(word) for word in words}
    if not wanted:
        return {}
    texts = [f"{paper.title}\n{paper.abstract}".casefold() for paper in papers]
    return {
        word: [place for place, text in enumerate(texts) if pattern.search(text)] for word, pattern in wanted.items()
    }


def _pattern(word: str) -> re.Pattern[str]:
    parts = [part for part in re.split(r"[\s-]+", word.casefold()) if part] or [word.casefold()]
    forms = "|".join(re.escape(form) for form in sorted(_forms(parts[-1]), key=len, reverse=True))
    inner = r"[\s-]+".join([*map(re.escape, parts[:-1]), f"(?:{forms})"])
    return re.compile(f"{_edge(parts[0][0], '(?<!')}{inner}{_edge(parts[-1][-1], '(?!')}")


def _forms(word: str) -> set[str]:
    """Return the English singular and plural of a word."""
    singulars = {word}
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        singulars.add(word[:-1])
        if word.endswith("es"):
            singulars.add(word[:-2])
        if word.endswith("ies"):
            singulars.add(f"{word[:-3]}y")
    plurals = {f"{one[:-1]}ies" if one.endswith("y") else f"{one}es" for one in singulars}
    return singulars | plurals | {f"{one}s" for one in singulars}


def _edge(character: str, opening: str) -> str:
    # Chinese and Japanese are written without spaces, so their words have no boundaries to look for.
    apart = character.isalnum() and unicodedata.east_asian_width(character) not in "WF"
    return rf"{opening}\w)" if apart else ""
