"""Lifecycle columns in SQL: what writes set besides what they are told to."""

from __future__ import annotations

from typing import Any

from tierline.entity import Table
from tierline.sql.identifiers import quote

NOW = "now()"
"""The database's clock: one moment for a whole transaction."""


def touched(table: Table[Any, Any], stored: str = "") -> list[str]:
    """What a change of a row sets besides: the next version and the moment.

    Args:
        table: The table.
        stored: What the row is called in the statement, with a dot, where that is needed.
    """
    found: list[str] = []
    if table.version is not None:
        name = quote(table.version)
        found.append(f"{name} = {stored}{name} + 1")
    if table.updated_at is not None:
        found.append(f"{quote(table.updated_at)} = {NOW}")
    return found


def ended(table: Table[Any, Any]) -> str:
    """What a soft deletion sets."""
    assert table.deleted_at is not None
    return ", ".join([f"{quote(table.deleted_at)} = {NOW}", *touched(table)])


def restored(table: Table[Any, Any]) -> str:
    """What the end of a soft deletion sets."""
    assert table.deleted_at is not None
    return ", ".join([f"{quote(table.deleted_at)} = NULL", *touched(table)])


def lives(table: Table[Any, Any], stored: str = "") -> str:
    """The end of a WHERE clause that leaves softly deleted rows out."""
    return "" if table.deleted_at is None else f" AND {stored}{quote(table.deleted_at)} IS NULL"


def is_stamp(table: Table[Any, Any], name: str) -> bool:
    """Whether the database's clock sets a column of a new row."""
    return name in (table.created_at, table.updated_at)
