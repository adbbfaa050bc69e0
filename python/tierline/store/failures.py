"""What a store adds to an error before it answers with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from returns.result import Failure

from tierline.entity import Table
from tierline.errors import RepositoryError

A = TypeVar("A")


def about(error: RepositoryError, operation: str, table: Table[Any, Any] | None) -> RepositoryError:
    """The error, with the verb that failed and the table that it was about."""
    error.operation = operation
    error.table = None if table is None else table.name
    return error


def built(
    build: Callable[[], A], operation: str, table: Table[Any, Any] | None
) -> A | Failure[RepositoryError]:
    """What a function builds, such as a statement, or the Failure of the error that it raises."""
    try:
        return build()
    except RepositoryError as error:
        return Failure(about(error, operation, table))
