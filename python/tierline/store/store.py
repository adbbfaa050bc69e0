"""The store: L1, L2 and L3 wired together behind the verbs of queries."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast, overload

from returns.result import Failure, Success

from tierline.cache.application import ApplicationCache
from tierline.cache.caches import Caches
from tierline.closing import Closing
from tierline.entity import Table
from tierline.errors import DuplicateError, RepositoryError
from tierline.postgres import (
    Database,
    EmbeddedServer,
    Event,
    EventSubscription,
    Health,
    PoolOptions,
)
from tierline.repository.events import Handler, Subscription, Subscriptions
from tierline.repository.ports import TransactionPort
from tierline.result import Result
from tierline.sql import Statement, create_schema_sql, create_table_sql
from tierline.sql.backplane import install_backplane_sql, uninstall_backplane_sql
from tierline.sql.idempotency import CREATE, FORGET
from tierline.sql.transactions import Isolation, TransactionMode
from tierline.store.backplane import Backplane, TableSql, run_each
from tierline.store.caching import Caching
from tierline.store.dropping import drop
from tierline.store.failures import built
from tierline.store.idempotency import Once, is_missing_table
from tierline.store.pending_writes import JournalPlace, PendingWrites
from tierline.store.publishing import Publisher
from tierline.store.running import run_transaction, transaction_mode
from tierline.store.syncing import Syncing
from tierline.store.transaction import Transaction
from tierline.store.verbs import Verbs

T = TypeVar("T")
K = TypeVar("K")
E = TypeVar("E", bound=Exception)


class Store(Caching, Syncing, Verbs[Database, Caches], Closing):
    """An open handle on all tiers; make it with `tl.open` or `tl.connect`.

    A store is safe to share between threads. As a context manager it closes
    everything it started. Its verbs are bound functions, so they compose:
    ``tl.flow(query, store.fetch_all, tl.then(summarise))``.

    Attributes:
        database: L3.
        caches: L1 and L2.
        cache: The application's own keys, in L1 and L2.
        backplane: Hears of changes; None without one.
        publisher: Shows the statistics in Redis; None unless `publish_stats=True`.
    """

    def __init__(
        self,
        database: Database,
        caches: Caches,
        server: EmbeddedServer | None = None,
        *,
        backplane: Backplane | None = None,
        cursor_secret: bytes | None = None,
        journal: JournalPlace | None = None,
    ) -> None:
        self.database = database
        self.caches = caches
        self.cache = ApplicationCache(caches.l2)
        self.backplane = backplane
        self.publisher: Publisher | None = None
        self._server = server
        self.subscriptions = Subscriptions(database.schema)
        self._cursor_secret = cursor_secret or secrets.token_bytes(32)
        self._closed = False
        self._pending_writes = PendingWrites(self, journal)

    @overload
    def transaction(
        self,
        function: Callable[[Transaction], Success[T] | Failure[E]],
        /,
        *,
        isolation: Isolation | None = None,
        read_only: bool = False,
        deferrable: bool = False,
        deadline_s: float | None = None,
    ) -> Success[T] | Failure[E | RepositoryError]: ...
    @overload
    def transaction(
        self,
        function: Callable[[Transaction], Success[T] | Failure[E]],
        /,
        *,
        idempotency_key: str,
        result: type[T],
        isolation: Isolation | None = None,
        deadline_s: float | None = None,
    ) -> Success[T] | Failure[E | RepositoryError]: ...
    def transaction(
        self,
        function: Callable[[Transaction], Success[T] | Failure[E]],
        /,
        *,
        idempotency_key: str | None = None,
        result: type[T] | None = None,
        isolation: Isolation | None = None,
        read_only: bool = False,
        deferrable: bool = False,
        deadline_s: float | None = None,
    ) -> Success[T] | Failure[E | RepositoryError]:
        """Run a function in a transaction: a Success commits, a Failure or exception rolls back.

        When another transaction won (a serialization failure or a deadlock) the whole function is
        run again, up to ten times, so it should do nothing outside that cannot be repeated. An
        exception is raised again once everything is undone.

        Args:
            function: Given a `tl.Transaction`; answers with a Result, which is the answer.
            idempotency_key: Names what is done. If a transaction with the key has succeeded before,
                in whichever process, its Success is the answer and the function is not run; one
                that runs at the same time is waited for. See `forget_idempotency`.
            result: The type of the function's Success, to read it back; goes with the key.
            isolation: `"read committed"`, `"repeatable read"` or `"serializable"`; None is the
                database's default.
            read_only: Let the server refuse writes.
            deferrable: With `read_only` and `"serializable"`: wait for a moment after which nothing
                can conflict.
            deadline_s: Seconds for everything: waiting for a connection, statements, retries, and
                finding out what became of a lost COMMIT. None bounds the last two by `timeout_s`.

        Errors: those of the function; `ConflictError` with `attempt` if others won each time;
        `QueryError` if it succeeded although a statement of it had failed; `TimeoutError` at the
        deadline; `CommitUnknownError` if the connection was lost at COMMIT and the server could not
        be asked in time. With a key: `DecodeError` if what is kept for it is of another type.

        Raises:
            TypeError: The function answers with something else than a Result; an option is of
                another type; a Success is not of the type `result`, and is rolled back.
            ValueError: An option is out of range.

        Example:
            ``store.transaction(lambda tx: tl.repository(tx, FLIGHTS).delete(1))``
        """
        mode = transaction_mode(
            isolation, read_only=read_only, deferrable=deferrable, deadline_s=deadline_s
        )
        if idempotency_key is None:
            if result is not None:
                raise TypeError("result= goes with idempotency_key=")
            return run_transaction(self, function, mode, deadline_s)
        if read_only:
            raise ValueError("idempotency_key= is of a transaction that writes, not read_only=True")
        return self._once(Once(idempotency_key, result), function, mode, deadline_s)

    def create_idempotency_table(self) -> Result[None, RepositoryError]:
        """Create the table `tierline_idempotency`, unless it is there.

        The first transaction with a key does it too, if the role may create tables.
        """
        return self._define(CREATE)

    def forget_idempotency(self, *, older_than_s: float) -> Result[int, RepositoryError]:
        """Forget the idempotency keys of transactions that began long ago; how many.

        What comes with such a key afterwards is done again, so keep them for as long as anybody may
        repeat a request.

        Raises:
            TypeError, ValueError: `older_than_s` is no number of seconds.
        """
        if isinstance(older_than_s, bool) or not isinstance(
            cast("object", older_than_s), (int, float)
        ):
            raise TypeError(f"older_than_s is a number of seconds, not {older_than_s!r:.80}")
        if not (math.isfinite(older_than_s) and older_than_s >= 0):
            raise ValueError(f"older_than_s must not be negative, not {older_than_s}")
        found = self.database.execute(FORGET, (float(older_than_s),))
        return Success(0) if is_missing_table(found) else found

    def atomically(
        self, function: Callable[[TransactionPort], Result[T, RepositoryError]]
    ) -> Result[T, RepositoryError]:
        """As `transaction`, for repositories."""
        return self.transaction(function)

    def subscribe(self, table: Table[T, K], handler: Handler[T], /) -> Subscription:
        """Hear of every change that is made to a table's rows through this store.

        Args:
            table: The table.
            handler: Called with a `tl.Changed` for each row, in the transaction of the change.
                Answers with what is to be written with it: None, a write such as `tl.insert`,
                several, or a `Failure`, which undoes the change and is its answer.

        Returns:
            What ends it: `close`, or leaving its `with` block.

        Raises:
            TypeError: The table or the handler is none.
        """
        return self.subscriptions.add(table, handler)

    def create_schema(self, name: str, *, exist_ok: bool = False) -> Result[None, RepositoryError]:
        """Create a schema, for tables declared with `schema=`.

        Errors: `ConfigurationError` for a name that cannot be an identifier, `QueryError` if the
        schema exists.
        """
        sql = built(lambda: create_schema_sql(name, exist_ok=exist_ok), "create_schema", None)
        if isinstance(sql, Failure):
            return sql
        return self._define(Statement("create_schema", sql, (), None, writes=True))

    def create_table(
        self, table: Table[Any, Any], *, exist_ok: bool = False
    ) -> Result[None, RepositoryError]:
        """Create a table with its constraints and indexes, all or nothing.

        Args:
            table: From `tl.table`; tables it refers to must exist.
            exist_ok: Leave an existing table of that name as it is.

        Errors: `ConfigurationError` for a name that cannot be an identifier, `QueryError` if the
        table exists.
        """
        sql = built(lambda: create_table_sql(table, exist_ok=exist_ok), "create_table", table)
        if isinstance(sql, Failure):
            return sql
        return self._define(Statement("create_table", sql, (), table, writes=True))

    def drop_table(
        self, table: Table[Any, Any], *, missing_ok: bool = False
    ) -> Result[None, RepositoryError]:
        """Drop a table with its rows; every tier forgets them.

        Errors: `QueryError` if it does not exist, or other tables refer to it.
        """
        return drop(self, table, missing_ok=missing_ok)

    def install_backplane(
        self, tables: Iterable[Table[Any, Any]], /
    ) -> Result[None, RepositoryError]:
        """Let tables announce their changes to every store that is opened with `backplane=`.

        It creates a function and four triggers a table, and is no harm where they are. Call it
        again after a key column was renamed. Writes go on as before and cost a little more. Of
        what is prepared (two-phase commit) only `tl.distributed` can write to such a table.

        Args:
            tables: The tables; they must exist, and belong to the user.

        Errors: `QueryError` if a table does not exist or is another's.

        Example:
            ``store.install_backplane([FLIGHTS, PLANES])``
        """
        return self._announce(tables, "install_backplane", install_backplane_sql)

    def uninstall_backplane(
        self, tables: Iterable[Table[Any, Any]], /
    ) -> Result[None, RepositoryError]:
        """Take back what `install_backplane` did. Stores with a backplane read such tables from L3.

        Args:
            tables: The tables.

        Errors: `QueryError` if a table does not exist or is another's.
        """
        return self._announce(tables, "uninstall_backplane", uninstall_backplane_sql)

    def health(self) -> Health:
        """What is known of each PostgreSQL server: role, lag, circuit, pool, version.

        It asks nobody and answers at once. Of several servers what is known is at most a second
        old; of a single one it is what its last new connection found.
        """
        return self.database.health()

    def on_event(self, subscriber: Callable[[Event], object], /) -> EventSubscription:
        """Tell somebody what happens at run time: statements, retries, failovers, circuits.

        Args:
            subscriber: Called with each event value (see `tierline.postgres.events`) in the thread
                where it happens. What it raises is logged and changes nothing.

        Example:
            ``with store.on_event(print): ...``
        """
        return self.database.events.subscribe(subscriber)

    def warm_up(self) -> Result[None, RepositoryError]:
        """Open the `size_min` connections of each server now, not when they are needed.

        Errors: `ConnectionError` if they cannot be opened, `TimeoutError` at the deadline.
        """
        return self.database.warm_up()

    def drain(self) -> None:
        """Replace every connection: the idle ones now, the others when they come back."""
        self.database.drain()

    def resize(self, pool: PoolOptions, /) -> None:
        """Keep more or fewer connections to each server from now on.

        Args:
            pool: `tl.PoolOptions(size=…)`. Connections in use are closed when they come back.
        """
        self.database.resize(pool)

    def close(self) -> None:
        """Close the connections, and stop the embedded server unless others use it; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            if self.publisher is not None:
                self.publisher.close()
            self._pending_writes.close()
            if self.backplane is not None:
                self.backplane.close()
            self.database.close()
            if self.caches.l2 is not None:
                self.caches.l2.close()
            if self.sheets is not None:
                self.sheets.close()
        finally:
            if self._server is not None:
                self._server.close()

    def __repr__(self) -> str:
        tiers = ["L1 memory"]
        if self.caches.l2 is not None:
            tiers.append(f"L2 {self.caches.l2.location}")
        major = self.database.server_version // 10_000
        place = f"embedded in {self._server.data_dir}" if self._server else self.database.location
        tiers.append(f"L3 PostgreSQL {major} {place}")
        if self.sheets is not None:
            tiers.append("Google Sheets")
        closed = ", closed" if self._closed else ""
        return f"<Store {' | '.join(tiers)}{closed}>"

    def _once(
        self,
        once: Once[T],
        function: Callable[[Transaction], Success[T] | Failure[E]],
        mode: TransactionMode,
        deadline_s: float | None,
    ) -> Success[T] | Failure[E | RepositoryError]:
        def run() -> Success[T] | Failure[E | RepositoryError]:
            return run_transaction(
                self,
                once.around(function),
                mode,
                deadline_s,
                lambda until_s: once.was_kept(self, until_s),
            )

        answer = run()
        if not is_missing_table(answer):
            return answer
        made = self.create_idempotency_table()
        return made if isinstance(made, Failure) else run()

    def _announce(
        self, tables: Iterable[Table[Any, Any]], operation: str, sql: TableSql
    ) -> Result[None, RepositoryError]:
        schema = self.database.schema
        return run_each(
            tables, operation, lambda table: sql(table, schema), self._define, self.backplane
        )

    def _define(self, statement: Statement) -> Result[None, RepositoryError]:
        result = self.database.script(statement)
        if isinstance(result, Failure) and isinstance(result.failure(), DuplicateError):
            # Another session took the name between PostgreSQL's look and its write, IF NOT EXISTS
            # or not. It has committed by now, so the next look sees it.
            return self.database.script(statement)
        return result
