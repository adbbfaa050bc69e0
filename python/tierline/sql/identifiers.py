"""Identifiers: the only names that ever become part of SQL text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tierline.entity import Sheet, Table
from tierline.errors import ConfigurationError

NAME_BYTES_MAX = 63
"""PostgreSQL cuts longer names off silently (NAMEDATALEN - 1), so that two could become one."""


@lru_cache(maxsize=4096)
def quote(name: str) -> str:
    """The name as a quoted identifier.

    Raises:
        ConfigurationError: It is empty, too long, or has a quote or NUL character.
    """
    size = len(name.encode(errors="surrogatepass"))
    if not name:
        problem = "is empty; give it a name"
    elif size > NAME_BYTES_MAX:
        problem = f"is {size} bytes long; PostgreSQL keeps {NAME_BYTES_MAX}, so shorten it"
    elif '"' in name or "\0" in name or not _is_utf8(name):
        problem = "has a quote, a NUL or an unpaired surrogate; use letters, digits and underscores"
    else:
        return f'"{name}"'
    raise ConfigurationError(f"the identifier {name!r} {problem}")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=1024)
def quote_all(names: tuple[str, ...]) -> str:
    """The names as a comma-separated list of quoted identifiers."""
    return ", ".join(map(quote, names))


def table_name(table: Table[Any, Any]) -> str:
    """The table's quoted name, with its schema where it has one.

    Raises:
        TypeError: It is a sheet, which no database has.
    """
    if isinstance(table, Sheet):
        raise TypeError(
            f"{table.name!r} is a sheet, not a table of the database; read it by itself with "
            "fetch_all, fetch_one, fetch_maybe, count or exists"
        )
    name = quote(table.name)
    return name if table.schema is None else f"{quote(table.schema)}.{name}"
