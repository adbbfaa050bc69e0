"""What a row is called in L2: its table and its key's values, so that no two collide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tierline.entity import Table
from tierline.entity.validation import BadFieldsError


def l2_beginning(table: Table[Any, Any], schema: str) -> str:
    """How every L2 name of a table begins; another key of the same table has another."""
    return f"{table.schema or schema}.{table.name}({','.join(table.key)}):"


def l2_name(beginning: str, table: Table[Any, Any], key: Any) -> str:
    """The name of a key in L2: the key's values as JSON, so that no two collide.

    Raises:
        ValueError: No row can have the key.
    """
    if type(key) is int and table.has_integer_key:
        # The common case, as the rest would write it.
        return f"{beginning}[{key}]"
    # JSON has no infinity, so floats are spelled out.
    values = [
        repr(value) if isinstance(value, float) else value for value in _key_values(table, key)
    ]
    return f"{beginning}{msgspec.json.encode(values).decode()}"


def _key_values(table: Table[Any, Any], key: Any) -> tuple[Any, ...]:
    try:
        return table.read_key(key)
    except BadFieldsError as bad:
        raise ValueError(str(bad.errors)) from bad


def value_key(base: str, name: str) -> str:
    """Where the value of a name is kept."""
    return f"{base}:{{{name}}}"


def mark_key(base: str, name: str) -> str:
    """Where its write mark is."""
    return f"{base}:{{{name}}}:w"


def keys_of(base: str, names: Iterable[str]) -> list[str]:
    """Value key and mark key of each name, in turn."""
    return [key for name in names for key in (value_key(base, name), mark_key(base, name))]
