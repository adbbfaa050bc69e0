"""Single flight for reads that answer with Results: one load for all who ask meanwhile.

A wait for another's load ends with the deadline of whoever waits. And a load that ends with the
deadline of whoever loads is nobody else's answer: the next of those who wait loads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from returns.result import Failure, Success

from tierline._core import Cache
from tierline.deadline import due_s
from tierline.errors import RepositoryError, TimeoutError  # noqa: A004

T = TypeVar("T")
K = TypeVar("K")

Fetched: TypeAlias = Success[T] | Failure[RepositoryError]


class OwnDeadlineError(Exception):
    """The load ended with its caller's own deadline."""

    def __init__(self, failure: Failure[RepositoryError]) -> None:
        super().__init__()
        self.failure = failure


def ended_by_own_deadline(found: Fetched[Any]) -> bool:
    """Whether a load failed for lack of time that other callers may have."""
    return (
        isinstance(found, Failure)
        and isinstance(found.failure(), TimeoutError)
        and due_s() < math.inf
    )


def late(error: TimeoutError, operation: str, table: str | None) -> Failure[RepositoryError]:
    """The answer to whoever waited for another's load until the deadline."""
    error.operation, error.table = operation, table
    return Failure(error)


def sharing(
    l1: Cache[K, Fetched[T]], load: Callable[[K], Fetched[T]], operation: str, table: str
) -> Callable[[K], Fetched[T]]:
    """A loader that shares its loads.

    Args:
        l1: The cache that `load` fills, if it fills one: what is there by then is not loaded.
        load: Loads, and answers with operating errors.
        operation: What is said of an error.
        table: The same.
    """

    def led(key: K) -> Fetched[T]:
        found = load(key)
        if ended_by_own_deadline(found):
            assert isinstance(found, Failure)
            raise OwnDeadlineError(found)
        return found

    def shared(key: K) -> Fetched[T]:
        try:
            return l1.load_shared(key, led)
        except OwnDeadlineError as own:
            # Raised in whoever loaded and nobody else: those who wait load themselves.
            return own.failure
        except TimeoutError as error:
            return late(error, operation, table)

    return shared
