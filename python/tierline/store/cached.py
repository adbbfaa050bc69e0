"""Cached queries as the verbs perform them: from what to read to a kept result."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from returns.result import Failure, Success

from tierline.cache.queries import CachedQuery
from tierline.cache.query_cache import QueryCache
from tierline.entity import ColumnType
from tierline.errors import RepositoryError
from tierline.query.readings import Reading, bound
from tierline.result import Result
from tierline.sql import Statement
from tierline.store.runnable import Runnable, runnable


class CurrentPort(Protocol):
    """Reads from a server that lacks no write."""

    def fetch_latest(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows of a read."""
        ...


class _Form:
    """What results have in common that may be handed out for each other, whatever their values.

    Attributes:
        run: What is run.
        is_shared: Whether rows are handed out as they are; mutable ones are copied.
    """

    __slots__ = ("_hash", "_parts", "is_shared", "run")

    def __init__(self, run: Runnable) -> None:
        statement = run.statement
        columns = tuple((column.name, _identity(column.type)) for column in statement.columns)
        self.run = run
        self._parts = (statement.name, statement.shape, _made_into(statement), columns)
        self._hash = hash(self._parts)
        table = statement.table
        is_copied = table is not None and table.copy
        self.is_shared = not (is_copied or any(_is_mutable(c.type) for c in statement.columns))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _Form) and self._parts == other._parts)


def cached_rows(
    queries: QueryCache,
    database: CurrentPort,
    cached: CachedQuery[Any],
    operation: str,
    parameters: Mapping[str, object],
    *,
    fresh: bool,
) -> Result[list[Any], RepositoryError]:
    """The rows that an operation of a cached query answers with, kept or read.

    Raises:
        TypeError: A parameter is missing, unknown or of another type.
    """
    form = _form(cached.query, operation)
    if isinstance(form, Failure):
        return form
    run = form.run
    values = run.bind(parameters)
    key = (form, cached.ttl_s, *map(_hashable, values))

    def readings() -> Sequence[Reading]:
        return bound(cached.readings, parameters)

    found = queries.read(
        key,
        readings,
        cached.ttl_s,
        lambda: database.fetch_latest(run.statement, values),
        fresh=fresh,
    )
    if isinstance(found, Failure):
        error = found.failure()
        if error.operation is None:
            # It waited for another caller's load, which names nobody's operation.
            error.operation, error.table = operation, run.statement.table_name
        return found
    rows = found.unwrap()
    return Success(list(rows) if form.is_shared else copy.deepcopy(rows))


def _form(query: Any, operation: str) -> _Form | Failure[RepositoryError]:
    # As `runnable` does, this remembers with the query what is derived from it.
    memo: dict[str, Any] = vars(cast("object", query))
    name = f"_form_{operation}"
    form: _Form | None = memo.get(name)
    if form is None:
        run = runnable(query, operation)
        if isinstance(run, Failure):
            return run
        form = memo[name] = _Form(run)
    return form


def _made_into(statement: Statement) -> Any:
    """What tells rows apart that are made of the same columns."""
    parts = getattr(statement.into, "parts", None)
    return statement.into if parts is None else parts


def _identity(type_: ColumnType) -> Any:
    return type_.wire, type_.annotation if _is_hashable(type_.annotation) else id(type_)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_mutable(type_: ColumnType) -> bool:
    return type_.wire == "jsonb" or type_.container in (list, set)


_PLAIN = (str, int, bytes, type(None))


def _hashable(value: Any) -> Any:
    """What stands for a value in a key: values that are shown alike are the same."""
    # 1.0 and 1.00 are equal numbers and not the same answer.
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        items: Sequence[Any] = cast("Any", value)
        return tuple(map(_hashable, items))
    return type(value), repr(value)
