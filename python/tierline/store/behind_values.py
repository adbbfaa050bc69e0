"""What is said of write-behind, as values."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class DeadLetter(msgspec.Struct, Generic[T], frozen=True):
    """An operation that was acknowledged, and that the database refused.

    Attributes:
        id: What `retry` and `drop` take.
        operation: `"create"`, `"update"`, `"upsert"` or `"delete"`; empty if it cannot be read.
        key: The key of its row; None if it cannot be read.
        entity: The entity; None for a deletion, and if it cannot be read.
        error: The class of the error, such as `"DuplicateError"`.
        message: What it said.
        sqlstate: PostgreSQL's code, where it gave one.
    """

    id: str
    operation: str
    key: object
    entity: T | None
    error: str
    message: str
    sqlstate: str | None


class WriteBehindStats(msgspec.Struct, frozen=True):
    """How far a table's journal is, as this process last saw it, and what this process did.

    Attributes:
        table: The table's name.
        pending: Operations that L3 is not known to have.
        lag_s: How long the first of them has waited.
        dead_letters: Operations that L3 refused and nobody has settled.
        acknowledged: Operations that this process journalled.
        refused: Operations that it could not journal.
        applied: Operations that it wrote to L3.
        rows: Rows that these were about: several operations on a row are one write.
        batches: Transactions that it took.
        errors: Batches, or looks into the journal, that failed and are tried again.
        lost: Operations of this process that Redis came back without.
        is_consumer: Whether this process writes to L3 now.
    """

    table: str
    pending: int = 0
    lag_s: float = 0.0
    dead_letters: int = 0
    acknowledged: int = 0
    refused: int = 0
    applied: int = 0
    rows: int = 0
    batches: int = 0
    errors: int = 0
    lost: int = 0
    is_consumer: bool = False
