"""Statement: compiled SQL as a value, with everything needed to run and read it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from tierline.entity import ColumnType, Table
from tierline.errors import QueryError
from tierline.query.shapes import Shape


class ResultColumn(msgspec.Struct, frozen=True):
    """One column that comes back.

    Attributes:
        name: What it is called.
        type: Its type.
        nullable: Whether a NULL is expected; for an entity's columns the table says so.
    """

    name: str
    type: ColumnType
    nullable: bool = True


PARAMETERS_MAX = 65_535
"""PostgreSQL's protocol counts a statement's parameters in 16 bits."""


class Statement(msgspec.Struct, frozen=True, eq=False, dict=True):
    """One parameterised statement.

    Attributes:
        operation: The verb, for errors.
        sql: Its text, with `$1`, `$2`, … for the parameters.
        parameters: The parameters' types.
        table: The table it is about, for errors; None for a whole schema.
        columns: What comes back.
        shape: What each row is made into.
        into: Called with a row's values, for the shapes `entity` and `struct`.
        writes: Whether it changes data.
        by_name: Whether the columns that come back are found by their names, in any order.
        is_single: Whether it writes one row at most, and answers nothing.

    Raises:
        QueryError: It has more parameters than PostgreSQL takes.
    """

    operation: str
    sql: str
    parameters: tuple[ColumnType, ...]
    table: Table[Any, Any] | None
    columns: tuple[ResultColumn, ...] = ()
    shape: Shape = "tuple"
    into: Callable[..., Any] = tuple
    writes: bool = False
    by_name: bool = False
    is_single: bool = False

    def __post_init__(self) -> None:
        if len(self.parameters) > PARAMETERS_MAX:
            raise QueryError(
                f"the statement has {len(self.parameters):,} parameters and PostgreSQL takes "
                f"{PARAMETERS_MAX:,}; pass many values as one list",
                operation=self.operation,
                table=self.table_name,
            )

    @property
    def table_name(self) -> str | None:
        """The name of the table it is about."""
        return None if self.table is None else self.table.name

    @cached_property
    def name(self) -> bytes:
        """The prepared statement's name: a hash of text and types, so the same is the same."""
        content = f"{self.sql}\0{[type_.oid for type_ in self.parameters]}"
        if self.table is None and self.columns:
            # Raw SQL may write, so its columns are checked when it is prepared: each kind of rows
            # is prepared for itself.
            columns = [(column.name, column.type.sql) for column in self.columns]
            content += f"\0{self.shape}\0{self.by_name}\0{columns}"
        return b"tl_" + hashlib.blake2b(content.encode(), digest_size=12).hexdigest().encode()


class Compiled(NamedTuple):
    """A statement with the values of one query."""

    statement: Statement
    values: tuple[Any, ...]
