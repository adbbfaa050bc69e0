"""What the verbs of queries need from a database."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

from returns.result import Failure, Success

from tierline.errors import RepositoryError
from tierline.repository.ports import DatabasePort
from tierline.sql import Compiled, Statement


class QueryPort(DatabasePort, Protocol):
    """Runs statements in every way that the verbs need."""

    def fetch_batch(
        self, batch: Sequence[Compiled]
    ) -> Success[list[list[Any]]] | Failure[RepositoryError]:
        """The rows of several statements, in one round trip."""
        ...

    def stream(
        self, statement: Statement, values: tuple[Any, ...], size: int
    ) -> Generator[Success[list[Any]] | Failure[RepositoryError]]:
        """The rows of a statement in batches."""
        ...

    def explain(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows of a statement whose writes are undone."""
        ...
