"""Queries on sheets: one typed read, and evaluation in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tierline.entity import Sheet
from tierline.errors import RepositoryError
from tierline.query import Query
from tierline.query.binding import bound
from tierline.query.evaluate import evaluate
from tierline.query.evaluate.tables import tables_of
from tierline.result import Failure, Result, Success
from tierline.store.failures import about


class Reads(Protocol):
    """Reads the rows of worksheets."""

    def __call__(
        self, sheets: Sequence[Sheet[Any, Any]], /, *, fresh: bool
    ) -> Result[list[list[Any]], RepositoryError]:
        """The rows of each."""
        ...


def sheets_of(query: Query[Any]) -> tuple[Sheet[Any, Any], ...]:
    """The sheets that a query reads; none if it reads tables of a database.

    Raises:
        TypeError: It reads both.
    """
    tables = tables_of(query).values()
    found = tuple(table for table in tables if isinstance(table, Sheet))
    if found and len(found) < len(tables):
        others = ", ".join(table.name for table in tables if not isinstance(table, Sheet))
        raise TypeError(
            f"a query reads sheets or tables, not both: {found[0].name} is a sheet, {others} is "
            "not; read each, and join them with tl.evaluate"
        )
    return found


def rows_of_sheets(
    read_rows: Reads,
    query: Query[Any],
    sheets: tuple[Sheet[Any, Any], ...],
    operation: str,
    parameters: Mapping[str, object],
    *,
    fresh: bool,
) -> Result[list[Any], RepositoryError]:
    """The rows of a query on sheets; of `count` and `exists` the one answer.

    Raises:
        TypeError: A parameter is missing, unknown or of another type, or the query cannot be
            evaluated in memory.
    """
    asked = bound(query, parameters)
    read = read_rows(sheets, fresh=fresh)
    if isinstance(read, Failure):
        return Failure(about(read.failure(), operation, query.table))
    rows = dict(zip(sheets, read.unwrap(), strict=True))
    answered = evaluate(asked, rows)
    if isinstance(answered, Failure):
        return Failure(about(answered.failure(), operation, query.table))
    found = answered.unwrap()
    match operation:
        case "count":
            return Success([len(found)])
        case "exists":
            return Success([bool(found)])
        case _:
            return Success(found)
