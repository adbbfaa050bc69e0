"""Statement: compiled SQL as a value, with everything needed to run and read it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from tierline.entity import ColumnType, Table
from tierline.query.query import Shape


class ResultColumn(msgspec.Struct, frozen=True):
    """One column that comes back."""

    name: str
    type: ColumnType


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
    """

    operation: str
    sql: str
    parameters: tuple[ColumnType, ...]
    table: Table[Any, Any] | None
    columns: tuple[ResultColumn, ...] = ()
    shape: Shape = "tuple"
    into: Callable[..., Any] = tuple
    writes: bool = False

    @property
    def table_name(self) -> str | None:
        """The name of the table it is about."""
        return None if self.table is None else self.table.name

    @cached_property
    def name(self) -> bytes:
        """The prepared statement's name: a hash of text and types, so the same is the same."""
        content = f"{self.sql}\0{[type_.oid for type_ in self.parameters]}"
        return b"tl_" + hashlib.blake2b(content.encode(), digest_size=12).hexdigest().encode()
