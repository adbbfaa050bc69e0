"""Lifecycle columns: what the fields that a table's options name must be."""

from __future__ import annotations

from tierline.entity.column import Column


def lifecycle_problem(option: str, column: Column) -> str | None:
    """Why a column cannot serve as a table's option, or None.

    Args:
        option: `version`, `deleted_at`, `created_at` or `updated_at`.
        column: The column that it names.
    """
    field = column.field
    if option == "version":
        if column.type.wire == "int8" and column.type.choices is None and not column.nullable:
            return None
        return f"field {field!r} must be a plain int, to count updates"
    if column.type.wire != "timestamptz":
        return f"field {field!r} must be a datetime with a time zone"
    if option == "deleted_at" and not column.nullable:
        return f"field {field!r} must be optional, `datetime | None`: None means not deleted"
    return None
