"""`store.stream`: the rows of a query a batch at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from types import GeneratorType
from typing import Generic, TypeVar

from tierline.closing import Closing
from tierline.errors import RepositoryError
from tierline.result import Result

T = TypeVar("T")


class Stream(Closing, Generic[T]):
    """Batches of rows, each a Result; made by `store.stream`.

    It borrows a connection at the first batch and gives it back at the end, at a `Failure`, at
    `close`, or when the block of a `with` is left, whichever comes first. One thread's.
    """

    def __init__(self, batches: Iterator[Result[list[T], RepositoryError]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Result[list[T], RepositoryError]]:
        return self

    def __next__(self) -> Result[list[T], RepositoryError]:
        return next(self._batches)

    def close(self) -> None:
        """End the query, if it runs still; idempotent."""
        batches: object = self._batches
        if isinstance(batches, GeneratorType):
            batches.close()
        self._batches = iter(())
