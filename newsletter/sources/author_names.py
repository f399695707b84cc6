"""Reads the authors of a paper from the texts in which sources write them.

Names come out in their usual order ("Ada Smith" for "Smith, Ada", "J. A. Smith" for PubMed's "Smith JA"), each once,
without titles, degrees, addresses, footnote marks and affiliations. Their capitals stay as they are written. What is
no name (a colon, "et al.", "NA") is dropped. docs/reference/sources.md has the rules.

nameparser reads a name that is known to be one; it does not split lists, and takes 0.15 ms a name.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, takewhile
from typing import NamedTuple

from newsletter.sources.author_marks import is_degree, plain_names, without_titles
from newsletter.support.person_names import ORGANISATION_WORDS, PARTICLES, SUFFIXES

_SEMICOLONS = re.compile(r"[;；|•\n]|\s[·/+]\s")
_COMMAS = re.compile("[,，、،]")
_CONJUNCTION = re.compile(r"(?<![^\s,.)])(?:and|und|et|[&＆])(?=\s)|(?<=[a-zß-ÿ.])&(?=[A-ZÀ-Þ][a-zß-ÿ])", re.IGNORECASE)
_COMPANY = re.compile(r"(?:inc|ltd|llc|corp|co|gmbh|plc|s\.a|ag)\.?", re.IGNORECASE)
_NO_NAMES = frozenset(
    ("na", "&na", "n/a", "none", "null", "nan", "undefined", "unknown", "no author", "unknown author")
)

_LONGEST = 300
"""In characters; what is longer is no name, and is cut."""

_LETTER = re.compile("[a-z]")
_DASH = re.compile(r"\s[-–—]\s")
_FOOTNOTE = re.compile(r"(?:\s?\d{1,2}|\s[a-z])$")

_INITIALS = re.compile(r"(?:[^\W\d_]{1,2}\.-?)+[^\W\d_]?|[^\W\d_](?:-?[^\W\d_]){0,2}")
_CAPITALS = "A-ZÀ-ÖØ-ÞŁŚŠŽČĆĐİŞŹŻΑ-ΩА-Я"
_PUBMED = re.compile(
    r"(?P<family>(?=[^\s.]*[a-zß-ÿα-ωа-я])[^\s.]+(?: (?=[^\s.]*[a-zß-ÿα-ωа-я])[^\s.]+){0,4}) "
    rf"(?P<initials>[{_CAPITALS}](?:-?[{_CAPITALS}]){{0,2}})(?: (?P<suffix>Jr|Sr|II|III|IV|2nd|3rd|4th))?"
)
_DOTTED_LAST = re.compile(r"(?P<family>[^\s.]{2,}(?: [^\s.]{2,}){0,3}) (?P<initials>(?:[^\W\d_]\.[\s-]?)+)(?P<suffix>)")
_SHORT_FAMILY_NAMES = frozenset((
    "AI", "AN", "BA", "BAI", "BAN", "BAO", "BEI", "BI", "BO", "BU", "CAI", "CAO", "CEN", "CHA", "CHE", "CHI", "CHO",
    "CHU", "CUI", "DAI", "DAN", "DI", "DU", "FAN", "FEI", "FU", "GAN", "GAO", "GE", "GU", "GUO", "HAN", "HAO", "HE",
    "HO", "HOU", "HU", "HUA", "HUI", "JI", "JIA", "JIN", "JU", "KIM", "KO", "KU", "LAI", "LAN", "LAU", "LE", "LEE",
    "LEI", "LI", "LIM", "LIN", "LIU", "LO", "LU", "LUI", "LUO", "LY", "MA", "MAI", "MAN", "MAO", "MEI", "MI", "MO",
    "MU", "NA", "NI", "NIE", "OH", "OU", "PAN", "PEI", "PU", "QI", "QIN", "QIU", "QU", "RAO", "REN", "RU", "SHA",
    "SHE", "SHI", "SO", "SU", "SUN", "TAI", "TAM", "TAN", "TAO", "TU", "TSE", "VO", "VU", "WAN", "WEI", "WEN", "WU",
    "XI", "XIA", "XIE", "XIN", "XU", "XUE", "YAN", "YAO", "YE", "YI", "YIN", "YIP", "YOU", "YU", "YUE", "YUN",
    "ZHA", "ZHU", "ZOU", "ZUO",
))  # fmt: skip
"""Family names that look like initials when they are written in capitals ("Xin LI")."""

_ORGANISATION_WORDS = ORGANISATION_WORDS | {
    "academies", "academy", "administration", "agency", "authority", "board", "bureau", "centers", "centres", "college",
    "commission", "department", "faculty", "federation", "hospital", "institut", "institutes", "instituto",
    "investigators", "ministry", "observatory", "office", "school", "service", "services", "union", "universidad",
    "universities", "universität", "université",
}  # fmt: skip
_PLACED = frozenset(("college", "department", "hospital", "institute", "laboratory", "school", "university"))
_WORD = re.compile(r"\w+")
_PLURAL = re.compile(r"\b(?:collaborations|consortia|groups|teams|universities)\b", re.IGNORECASE)
_COINED = re.compile(
    r"(?!(?:Mc|Mac|De|Di|Da|Du|La|Le|El|Al|Fitz|Van|Von|St|Ver|Ten|Ter|O['’])[A-Z])[A-Z][a-z]+[A-Z][\w-]*"
    r"|[A-Za-z][a-z]*-?AI"
)
"""A name with capitals inside, such as "OpenAI" or "DeepMind", which no person has but those listed."""

_VOWEL = re.compile("[AEIOUY]")
_TOPIC = re.compile(
    r"(?:\w*(?:olog(?:y|ies)|onomy|ics|ing|tions?|sions?|ment|ture|istry|icine|ysis|ety|sciences?)"
    r"|arts|drug|family|health|human|humanities|law|management|materials|physical|social|space|welfare)",
    re.IGNORECASE,
)
_TOPICAL = re.compile(r"\b(?:of|for|on|für|de)\s(?:\S+\s){0,4}\S+$", re.IGNORECASE)


def split_authors(text: str, *, family_first: bool = True) -> tuple[str, ...]:
    """Return the names in a text with one or more of them, in order, each once.

    Args:
        text: plain text or HTML, in any of the usual forms: "Ada Smith, Bo Jones and Cy Roe", "Smith, Ada; Jones, Bo",
            "Smith, A., Jones, B.", "Smith JA, Jones B", "ada@example.org (Ada Smith)".
        family_first: whether a comma may separate a family name from given names; False for a source that lists names
            in their usual order, such as arXiv, where "Plato, Ada Smith" is two.
    """
    return clean_authors((text,), family_first=family_first)


def clean_authors(names: Iterable[str], *, family_first: bool = True, comma_inside: bool = False) -> tuple[str, ...]:
    """Return the names in a list whose items should be one name each, but may be several or none, as above.

    Args:
        comma_inside: whether the format of the source has a comma between family and given names, as RIS has, so that
            "García Pérez, Ana María" is one name.
    """
    texts = [text for name in names for text in _items(plain_names(name))]
    commas = [len(_COMMAS.findall(text)) for text in texts if not is_organisation(text.partition(",")[0][:_LONGEST])]
    one_each = comma_inside or (len(commas) > 1 and set(commas) == {1})
    found = [name for text in texts for name in _split(text, family_first, one_each)]
    return tidy_authors(found)


def tidy_authors(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in their usual order and each once, without titles and what is no name; none is split."""
    cleaned = [name for one in names if _is_name(name := without_titles(one))]
    once: dict[str, str] = {}
    for name in cleaned:
        once.setdefault(name.casefold(), name)
    ordered = _initials_first(list(once.values()))
    return tuple(name.removesuffix(" MD") if name.count(" ") > 1 else name for name in ordered)


def _items(text: str) -> Iterator[str]:
    """Yield the items of a list separated by semicolons; "Team: Ada Smith, Bo Jones" has the team as another item."""
    for item in _SEMICOLONS.split(text):
        team, colon, rest = item.partition(": ")
        yield from (part for one in ((team, rest) if colon else (item,)) if (part := one.strip(" ,:")))


def _is_name(text: str) -> bool:
    return any(map(str.isalpha, text)) and text.casefold() not in _NO_NAMES and not is_degree(text)


class _Part(NamedTuple):
    """What is between two commas, with the suffix that follows it, such as "Jr."."""

    text: str
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.suffix}".strip()

    @property
    def words(self) -> list[str]:
        return self.text.split()


def _split(text: str, family_first: bool, one_each: bool) -> Iterator[str]:
    """Yield the names of a text.

    Args:
        one_each: whether the text is one of several with one comma each, which is then inside a name.
    """
    spoken = _conjuncts(text)
    last_words = len(spoken[-1].split()) if len(spoken) > 1 and "," not in spoken[-1] else 0
    for conjunct in spoken:
        parts = list(_parts(conjunct))
        if len(parts) == 2 and one_each and _is_affiliated(*parts):
            parts = parts[:1]
        if not family_first:
            yield from map(str, parts)
        elif len(parts) == 2 and one_each and len(spoken) == 1 and not any(map(_keeps_order, parts)):
            yield _inverted(*parts)
        else:
            for keeps_order, group in groupby(parts, _keeps_order):
                alike = list(group)
                yield from map(str, alike) if keeps_order else _listed(alike, last_words)


def _conjuncts(text: str) -> list[str]:
    """Return what "and" separates in a text; the names of organisations with an "and" stay whole."""
    found: list[tuple[int, str]] = []
    ends = [*(one.span() for one in _CONJUNCTION.finditer(text)), (len(text), len(text))]
    start = 0
    for end, following in ends:
        part = text[start:end].strip(" ,")
        if part and found and _is_one_organisation(found[-1][1], part):
            begin, _ = found.pop()
            found.append((begin, text[begin:end].strip(" ,")))
        elif part:
            found.append((start, part))
        start = following
    return [part for _, part in found]


def _is_one_organisation(left: str, right: str) -> bool:
    """Return whether "left and right" is one name: "Institute of Science and Technology", "Food and Drug Office"."""
    last = [part.text for part in _parts(left)][-1:] if len(left) < _LONGEST else []
    first = right.partition(",")[0].strip()[:_LONGEST]
    if not last or not first:
        return False
    if is_organisation(last[0]) and _TOPICAL.search(last[0]):
        return _TOPIC.fullmatch(first.split()[0]) is not None or " " not in right
    if not is_organisation(first) or first.casefold().startswith("the ") or " " in last[0]:
        return False
    return bool(_PLURAL.search(first)) or not (last[0].isupper() or _COINED.fullmatch(last[0]))


@lru_cache(8_192)
def is_organisation(name: str) -> bool:
    """Return whether a name is that of an organisation or a group, by its words."""
    return not _ORGANISATION_WORDS.isdisjoint(_WORD.findall(name.lower())) or _COINED.fullmatch(name) is not None


def _parts(text: str) -> Iterator[_Part]:
    """Yield what commas separate, with suffixes added to what they follow, without degrees and what has no letters."""
    last: _Part | None = None
    for piece in (_without_footnote(one.strip()[:_LONGEST]) for one in _COMMAS.split(text)):
        if (
            not any(map(str.isalpha, piece))
            or _LETTER.fullmatch(piece)
            or (last and is_degree(piece) and " " in last.text)
        ):
            continue
        if last and piece.replace(".", "").casefold() in SUFFIXES:
            last = last._replace(suffix=piece)
        elif last and (_COMPANY.fullmatch(piece) or _is_topic_of(last.text, piece) or _is_place_of(last.text, piece)):
            last = last._replace(text=f"{last.text}, {piece}")
        else:
            if last:
                yield last
            last = _Part(piece)
    if last:
        yield last


def _without_footnote(name: str) -> str:
    """Return a name without the number or letter of a footnote after it ("Ada Smith1", "Ada Smith a"), and without an
    organisation after a dash.
    """
    person, *places = _DASH.split(name, maxsplit=1)
    if places and " " in person and (is_organisation(places[0]) or places[0].isupper()):
        name = person
    if " " not in name or not _FOOTNOTE.search(name) or is_organisation(name):
        return name
    return _FOOTNOTE.sub("", name)


def _is_topic_of(organisation: str, piece: str) -> bool:
    """Return whether a piece goes on with the topics of an organisation ("Academy of Sciences, Engineering")."""
    topics = [word for word in piece.split() if word.casefold() not in ("and", "&")]
    return (
        is_organisation(organisation)
        and _TOPICAL.search(organisation) is not None
        and all(map(_TOPIC.fullmatch, topics))
    )


def _is_place_of(organisation: str, piece: str) -> bool:
    """Return whether a piece says where an organisation is ("University of California, Berkeley")."""
    named = not _PLACED.isdisjoint(_WORD.findall(organisation.lower())) and _TOPICAL.search(organisation)
    return bool(named) and (" " not in piece or piece.startswith(("Los ", "San ", "Santa ", "St. ")))


def _is_affiliated(name: _Part, other: _Part) -> bool:
    """Return whether the second is where the first works: "Ada Smith, University of Somewhere", "Ada Smith, CERN"."""
    acronym = other.text.isupper() and len(other.text) > 2 and " " not in other.text and "." not in other.text
    return len(name.words) > 1 and not is_organisation(name.text) and (acronym or is_organisation(other.text))


def _keeps_order(part: _Part) -> bool:
    """Return whether a part is no family name or given name: an organisation, or in letters without capitals."""
    caseless = not any(letter.isupper() or letter.islower() for letter in part.text)
    return caseless or is_organisation(part.text)


def _listed(parts: Sequence[_Part], last_words: int) -> Iterator[str]:
    """Yield the names of a list separated by commas, in which "Smith, Ada" may be one or two.

    Args:
        last_words: the number of words in the name that follows the list after "and", if that has no comma. Then at
            most the first name has its family name first ("Smith, Ada, Bo Jones, and Cy Roe").
    """
    paired = not last_words and _all_paired(parts)
    one_inverted = last_words != 1 and _begins_inverted(parts, last_words)
    initials = list(map(_is_initials, parts))
    at = 0
    while at < len(parts):
        part = parts[at]
        # None after initials, so that each part is looked at once in a long list of them.
        given = (
            []
            if initials[at]
            else [parts[place] for place in takewhile(initials.__getitem__, range(at + 1, len(parts)))]
        )
        if given and not _is_affiliation(part, given[0]):
            yield _inverted(part, _Part(" ".join(one.text for one in given), given[-1].suffix))
            at += 1 + len(given)
        elif at + 1 < len(parts) and (paired or (at == 0 and one_inverted)):
            yield _inverted(part, parts[at + 1])
            at += 2
        else:
            yield str(part)
            at += 1


def _is_initials(part: _Part) -> bool:
    return all(map(_INITIALS.fullmatch, part.words)) and ("." in part.text or part.text.isupper())


def _is_affiliation(name: _Part, other: _Part) -> bool:
    """Return whether what could be three initials is where somebody works, as in "Ada Smith, MIT"."""
    return len(other.text) > 2 and other.text.isalpha() and len(name.words) > 1 and not _begins_with_particle(name)


def _all_paired(parts: Sequence[_Part]) -> bool:
    """Return whether every two parts look like a family name and given names."""
    if not parts or len(parts) % 2:
        return False
    if len(parts) > 2:
        return all(len(part.words) == 1 or _begins_with_particle(part) for part in parts[::2])
    family, given = parts
    if _is_affiliation(family, given) and given.text.isupper():
        return False
    return 1 in (len(family.words), len(given.words)) or _begins_with_particle(family) or _ends_with_particle(given)


def _begins_inverted(parts: Sequence[_Part], last_words: int) -> bool:
    """Return whether the first two parts of a list are one name, and all others have more words than one."""
    if len(parts) < 2 or len(parts[0].words) > 1 or len(parts[1].words) > 1:
        return False
    return all(len(part.words) > 1 for part in parts[2:]) and (last_words > 1 or len(parts) > 2)


def _begins_with_particle(part: _Part) -> bool:
    first = part.words[0]
    return first.islower() and first in PARTICLES


def _ends_with_particle(part: _Part) -> bool:
    last = part.words[-1]
    return last.islower() and last in PARTICLES


def _inverted(family: _Part, given: _Part) -> str:
    words, suffix = given.words, family.suffix or given.suffix
    if not suffix and len(words) > 1 and words[-1].replace(".", "").casefold() in SUFFIXES:
        suffix = words.pop()
    return " ".join([*words, *family.words, suffix]).strip()


def _initials_first(names: Sequence[str]) -> Sequence[str]:
    """Return names in their usual order if all persons among them are written with initials last ("Smith JA").

    In capitals, initials may be a short family name ("Xin LI"), so one name must have what can only be initials.
    """
    for pattern in (_PUBMED, _DOTTED_LAST):
        alike = _until_unlike(pattern, names)
        found = {name: None if is_organisation(name) else pattern.fullmatch(name) for name in alike}
        matches = [match for match in found.values() if match]
        certain = pattern is _DOTTED_LAST or any(_only_initials(one["initials"]) for one in matches)
        if matches and certain and len(found) == len(names):
            return [_reordered(match) if match else name for name, match in found.items()]
    return names


def _only_initials(capitals: str) -> bool:
    """Return whether capitals after a name can be no family name or degree: up to two, or three without a vowel."""
    return (
        capitals not in _SHORT_FAMILY_NAMES and capitals != "MD" and (len(capitals) < 3 or not _VOWEL.search(capitals))
    )


def _until_unlike(pattern: re.Pattern[str], names: Sequence[str]) -> Iterator[str]:
    """Yield names as long as they match or are organisations."""
    return takewhile(lambda name: pattern.fullmatch(name) is not None or is_organisation(name), names)


def _reordered(name: re.Match[str]) -> str:
    initials = name["initials"].strip()
    if "." not in initials:
        initials = re.sub(r"([^\W\d_])(?=(-?))", r"\1.", initials)
        initials = re.sub(r"\.(?=[^\W\d_])", ". ", initials)
    return " ".join(filter(None, (initials, name["family"], name["suffix"])))
