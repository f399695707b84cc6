"""Which columns of a table hold what: ``--map name=first_name+last_name``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from newsletter.config.suggestions import nearest_value
from newsletter.errors import UserError
from newsletter.support.text import shorten_middle

_MOST_NAMED = 20
_MOST_OF_A_NAME = 60


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Columns by our key.

    Attributes:
        columns: the columns of each key as given: names joined by ``+``.
    """

    columns: Mapping[str, str]

    def places(self, heading: Sequence[str], where: str) -> dict[str, list[int]]:
        """Return the positions of the columns of each key.

        Args:
            heading: the names of the columns, as written. Case does not matter.
            where: the file and line of the heading, for errors.

        Raises:
            UserError: the table has no such column.
        """
        known = {name.casefold(): place for place, name in reversed(list(enumerate(heading)))}
        places: dict[str, list[int]] = {}
        for key, wanted in self.columns.items():
            whole = wanted.strip().casefold() in known
            names = [wanted.strip()] if whole else [name.strip() for name in wanted.split("+")]
            for name in names:
                if name.casefold() not in known:
                    fix = _fix(name, heading, f"the columns are {listed(heading)}")
                    raise UserError(f"{where}: no column {name!r}, which --map names for {key!r}; {fix}")
            places[key] = [known[name.casefold()] for name in names]
        return places


def parse_column_map(pairs: Sequence[str], keys: Collection[str]) -> ColumnMap:
    """Parse pairs such as ``name=first_name+last_name``.

    Args:
        keys: the keys that may be mapped.

    Raises:
        UserError: a pair has no column, or an unknown key, or a key is mapped twice.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        key, equals, wanted = (part.strip() for part in pair.partition("="))
        if not equals or not wanted:
            raise UserError(f"--map: {pair!r} is not a mapping; write it like name=first_name+last_name")
        if key not in keys:
            fix = _fix(key, keys, f"the keys are {', '.join(keys)}")
            raise UserError(f"--map: {key!r} is not a key; {fix}")
        if key in columns:
            raise UserError(f"--map: {key!r} is mapped twice; join its columns with '+'")
        columns[key] = wanted
    return ColumnMap(columns)


def joined(cells: Sequence[str], places: Sequence[int]) -> str:
    """Return the cells of a key, joined by a space."""
    return " ".join(cell for place in places if place < len(cells) and (cell := cells[place].strip()))


def listed(names: Sequence[str]) -> str:
    """List names of columns from a file, up to 20, each shortened."""
    shown = ", ".join(repr(shorten_middle(name, _MOST_OF_A_NAME)) for name in names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else shown


def _fix(written: str, allowed: Collection[str], all_of_them: str) -> str:
    near = nearest_value(written, allowed)
    return f"did you mean {near!r}? {all_of_them[0].upper()}{all_of_them[1:]}" if near else all_of_them
