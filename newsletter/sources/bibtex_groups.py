"""Groups of entries in BibTeX files, as JabRef and Better BibTeX for Zotero write them.

A comment has the tree of groups, each with its level. Up to version 3 of JabRef it names the keys of the entries in
each group; since then, entries name their groups in a field (https://docs.jabref.org, "Groups").
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_TREE = re.compile(r"jabref-meta:\s*(?:groupstree|grouping):(.*)", re.DOTALL | re.IGNORECASE)
_RECORD_END = re.compile(r"(?<!\\);")
_GROUP = re.compile(r"\s*(\d{1,2}) (?:Static|Explicit)Group:(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EntryGroups:
    """The groups of a file, as paths such as ``Papers/Chemistry``: by their names, and by the keys of their entries."""

    by_name: Mapping[str, list[str]] = field(default_factory=dict)
    by_key: Mapping[str, list[str]] = field(default_factory=dict)

    def paths(self, key: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return the groups of an entry, by its key and by the names that it gives itself."""
        named = [path for name in names for path in self.by_name.get(name, [name])]
        return tuple(dict.fromkeys([*named, *self.by_key.get(key, [])]))


def parse_groups(comments: Iterable[str]) -> EntryGroups:
    """Parse the trees of groups among the comments of a file. Groups that are searches have no entries of their own."""
    by_name, by_key = dict[str, list[str]](), dict[str, list[str]]()
    above = list[str]()
    for comment in comments:
        tree = _TREE.match(comment.strip())
        # Lines are wrapped at any character.
        for record in _RECORD_END.split(tree[1].replace("\n", "")) if tree else ():
            if (group := _GROUP.match(record)) is None:
                continue
            name, *rest = (_ESCAPED.sub(r"\1", part).strip() for part in group[2].split("\\;"))
            above = [*above[: max(int(group[1]) - 1, 0)], name]
            path = "/".join(above)
            by_name.setdefault(name, []).append(path)
            for key in rest[1:]:
                by_key.setdefault(key, []).append(path)
    return EntryGroups(by_name, by_key)
