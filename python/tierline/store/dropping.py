"""Dropping a table, so that no cache goes on with its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from returns.result import Failure, Success

from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.repository.ports import TransactionPort
from tierline.result import Result
from tierline.sql import Statement, drop_table_sql
from tierline.sql.backplane import forget_table_sql
from tierline.store.failures import built

if TYPE_CHECKING:
    from tierline.store.store import Store


def drop(
    store: Store, table: Table[Any, Any], *, missing_ok: bool
) -> Result[None, RepositoryError]:
    """Drop a table; every tier forgets its rows, in every process where changes are announced."""
    sql = built(lambda: drop_table_sql(table, missing_ok=missing_ok), "drop_table", table)
    if isinstance(sql, Failure):
        return sql
    if store.caches.announces:
        return _announced(store, table, sql)
    if store.backplane is not None:
        sql = f"{sql}; {forget_table_sql(table, store.database.schema)}"
    result = store.database.script(Statement("drop_table", sql, (), table, writes=True))
    store.caches.invalidate_table(table)
    return result


def _announced(store: Store, table: Table[Any, Any], sql: str) -> Result[None, RepositoryError]:
    def run(tx: TransactionPort) -> Result[int, RepositoryError]:
        tx.caches.invalidate_table(table, deleted=True)
        return tx.database.execute(Statement("drop_table", sql, (), table, writes=True), ())

    dropped = store.atomically(run)
    return dropped if isinstance(dropped, Failure) else Success(None)
