"""A condition on row numbers for lists of any length, with one parameter.

SQLAlchemy makes a parameter of each element of a list, which for hundreds of them takes longer than the query itself.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, ColumnElement, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_ROWS = "rows"


class _Listed(FunctionElement[int]):
    """The elements of a JSON list, which is its only argument, as a table of integers."""

    inherit_cache = True


@compiles(_Listed, "sqlite")
def _in_sqlite(element: _Listed, compiler: Any, **options: Any) -> str:
    # What is put in is the name of a parameter.
    return f"(SELECT value FROM json_each{compiler.process(element.clause_expr, **options)})"  # noqa: S608


@compiles(_Listed, "postgresql")
def _in_postgresql(element: _Listed, compiler: Any, **options: Any) -> str:
    listed = compiler.process(element.clause_expr, **options)
    return f"(SELECT value::integer FROM json_array_elements_text(CAST({listed} AS json)))"  # noqa: S608


def is_listed(column: Column[int]) -> ColumnElement[bool]:
    """Return the condition that a column is among the rows that a statement is executed with, see
    :func:`row_list`.
    """
    return column.bool_op("IN")(_Listed(bindparam(_ROWS, type_=Text)))


def row_list(rows: Iterable[int]) -> dict[str, str]:
    """Return the parameters for a statement with :func:`is_listed`."""
    return {_ROWS: json.dumps([int(row) for row in rows])}
