"""Rows in batches inside a transaction: by a cursor, so that other statements may run too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tierline.postgres.connection import Connection, Prepared
from tierline.sql import Statement


def cursor_rows(
    statement: Statement, values: tuple[Any, ...], size: int, number: int
) -> Callable[[Connection], list[Any]]:
    """The function that answers with the next rows of a statement, at most `size`.

    Args:
        statement: What is read.
        values: Its values.
        size: The most rows.
        number: Tells this cursor from others of the transaction.
    """
    declaration = _with_sql(statement, f"DECLARE tl_c{number} NO SCROLL CURSOR FOR {statement.sql}")
    fetching = _with_sql(statement, f"FETCH FORWARD {size} FROM tl_c{number}")
    end = f"CLOSE tl_c{number}".encode()
    fetched = Prepared((), is_named=False)
    is_open = False

    def step(connection: Connection) -> list[Any]:
        nonlocal is_open
        if not is_open:
            declared = Prepared(statement.parameters, is_named=False)
            encoded = connection.encoded(statement, declared, values)
            connection.send(declaration, declared, encoded)
            connection.answer()
            is_open = True
        connection.send(fetching, fetched, [])
        rows = connection.rows(statement, fetched, connection.answer())
        if len(rows) < size:
            connection.command(end)
        return rows

    return step


def _with_sql(statement: Statement, sql: str) -> Statement:
    return msgspec.structs.replace(statement, sql=sql)
