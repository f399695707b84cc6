"""What an interest finds, in sentences for the subscriber."""

from collections.abc import Sequence

from newsletter.rendering.template_context import percent
from newsletter.services.interest_findings import AuthorFinding, CategoryFinding, InterestFindings


def describe_findings(findings: InterestFindings, days: int, min_score: float) -> list[str]:
    """Return sentences on what an interest finds: as a whole, and by each of its parts.

    Args:
        days: the age up to which papers are new. ``min_score``: the minimum match, between 0 and 1.
    """
    of = f"of {findings.considered:,} paper{_s(findings.considered)} first seen in the last {days} day{_s(days)}"
    does = "matches" if findings.matching == 1 else "match"
    return [
        f"{findings.matching:,} {of} {does} at least {percent(min_score)}%.",
        *(_author(one) for one in findings.authors),
        *(_category(one) for one in findings.categories),
        *(_keyword(word, count) for word, count in findings.keywords.items()),
        *_unknown("Liked", findings.unknown_liked),
        *_unknown("Disliked", findings.unknown_disliked),
    ]


def _author(found: AuthorFinding) -> str:
    near = [f"{name} ({_papers(count)})" for name, count in found.near.items()]
    hint = f" Did you mean {_either(near)}?" if near else ""
    if found.family_name_only:
        return f"0 papers in the store match author {found.name}: write the full name.{hint}"
    possibly = f", and possibly {found.possible:,} more, with initials or other given names" if found.possible else ""
    return f"{_papers(found.papers)} in the store {_match(found.papers)} author {found.name}{possibly}.{hint}"


def _category(found: CategoryFinding) -> str:
    hint = f" Did you mean {found.near}?" if found.near else ""
    return (
        f"{_papers(found.papers)} in the store {'is' if found.papers == 1 else 'are'} in category {found.name}.{hint}"
    )


def _keyword(word: str, count: int) -> str:
    return f"{_papers(count)} in the store {'contains' if count == 1 else 'contain'} the words of “{word}”."


def _unknown(kind: str, names: Sequence[str]) -> list[str]:
    return [f"{kind} paper “{name}” is not in the store, so it has no effect yet." for name in names]


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _papers(count: int) -> str:
    return f"{count:,} paper{_s(count)}"


def _match(count: int) -> str:
    return "matches" if count == 1 else "match"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
