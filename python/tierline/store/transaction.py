"""A transaction as its function sees it: the verbs of a store, and what only a transaction has."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from returns.result import Failure, Success

from tierline.cache.pending import PendingCaches
from tierline.errors import QueryError, RepositoryError
from tierline.postgres import Session
from tierline.repository.ports import TransactionPort
from tierline.result import Result
from tierline.sql.transactions import BEGAN, LOCK, TRY_LOCK, setting
from tierline.store.hooks import Hook, Hooks
from tierline.store.verbs import Verbs

if TYPE_CHECKING:
    from tierline.store.store import Store

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

_INT8 = 2**63
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*")


class Transaction(Verbs[Session, PendingCaches]):
    """The handle of one transaction, which `store.transaction` gives to its function.

    It has the verbs of a store, and `tl.repository(tx, TABLE)` is a repository inside it. Reads see
    what the transaction wrote; no cache is asked or filled. It is of use only inside the function,
    in the same thread. After a statement has failed every other one answers with a `QueryError`
    without being sent.
    """

    def __init__(self, store: Store, session: Session, caches: PendingCaches) -> None:
        self.database = session
        self.caches = caches
        self.subscriptions = store.subscriptions
        self.hooks = Hooks()
        self._cursor_secret = store.cursor_secret
        self._depth = 0
        self._began_at: dt.datetime | None = None

    @property
    def write_behind(self) -> None:
        """None: what is written in a transaction is no sooner done than the transaction is."""
        return None

    def transaction(
        self,
        function: Callable[[Transaction], Success[T] | Failure[E]],
        /,
        *,
        savepoint: bool = False,
    ) -> Success[T] | Failure[E | RepositoryError]:
        """Run a function inside this transaction.

        Args:
            function: Given this handle; answers with a Result.
            savepoint: Whether it can fail by itself: what it wrote is undone and the transaction
                goes on. Without it the function is a part like any other, and its Failure or
                exception lets the whole transaction only be rolled back.

        Raises:
            TypeError: The function answers with something else than a Result.
        """
        session, mark = self.database, self.hooks.mark()
        session.check()
        if not savepoint:
            return self._joined(function)
        failure = session.trouble()
        if failure is not None:
            return Failure(swallowed(failure))
        depth = self._depth = self._depth + 1
        session.savepoint(depth)
        kept = False
        try:
            answer = result_of(function, self)
            if isinstance(answer, Failure):
                return answer
            failure = session.trouble()
            if failure is not None:
                return Failure(swallowed(failure))
            session.release(depth)
            kept = True
            return answer
        finally:
            self._depth -= 1
            if not kept:
                session.back_to(depth)
                self.hooks.undo(mark)

    def atomically(
        self, function: Callable[[TransactionPort], Result[T, RepositoryError]]
    ) -> Result[T, RepositoryError]:
        """As `transaction` with a savepoint, for repositories."""
        return self.transaction(function, savepoint=True)

    def on_commit(self, function: Hook) -> None:
        """Call a function once the transaction is committed and its connection given back.

        What it raises goes to `threading.excepthook`: the transaction is kept all the same, and the
        other functions are called.
        """
        self.database.check()
        self.hooks.on_commit(function)

    def on_rollback(self, function: Hook) -> None:
        """Call a function once the transaction, or the savepoint's part of it, was rolled back.

        Before a retry too, whose run of the function registers it anew. Exceptions as for
        `on_commit`. If what became of the transaction is not known, neither is called.
        """
        self.database.check()
        self.hooks.on_rollback(function)

    def lock(self, key: int | str) -> Result[None, RepositoryError]:
        """Wait for an advisory lock, and hold it until the transaction ends.

        Args:
            key: A number of 64 bits, or a text, of which BLAKE2b makes one.

        Raises:
            TypeError, ValueError: The key is neither.
        """
        found = self.database.execute(LOCK, (_lock_number(key),))
        return found if isinstance(found, Failure) else Success(None)

    def try_lock(self, key: int | str) -> Result[bool, RepositoryError]:
        """As `lock` without waiting: whether the lock was free."""
        found = self.database.fetch(TRY_LOCK, (_lock_number(key),))
        return found if isinstance(found, Failure) else Success(found.unwrap()[0])

    def set_local(self, name: str, value: str | float) -> Result[None, RepositoryError]:
        """Change a setting of the server until the transaction ends.

        Args:
            name: Such as `lock_timeout`, or one of your own with a dot: `app.tenant`.
            value: Travels as a parameter; True is `on`.

        Errors: `QueryError`, and the transaction has failed, if the server refuses it.

        Raises:
            TypeError, ValueError: The name is none; the value is of another type.
        """
        if not isinstance(cast("object", name), str) or not _SETTING.fullmatch(name):
            raise ValueError(f"set_local takes the name of a setting, not {name!r:.80}")
        if not isinstance(cast("object", value), (str, int, float)):
            raise TypeError(f"set_local takes a text, a number or a bool, not {value!r:.80}")
        text = ("on" if value else "off") if isinstance(value, bool) else str(value)
        found = self.database.execute(*setting(name, text))
        return found if isinstance(found, Failure) else Success(None)

    def began_at(self) -> Result[dt.datetime, RepositoryError]:
        """When the transaction began, by the database's clock: what `now()` is in it."""
        if self._began_at is None:
            found = self.database.fetch(BEGAN, ())
            if isinstance(found, Failure):
                return found
            self._began_at = found.unwrap()[0]
        assert self._began_at is not None
        return Success(self._began_at)

    def _joined(
        self, function: Callable[[Transaction], Success[T] | Failure[E]]
    ) -> Success[T] | Failure[E | RepositoryError]:
        session = self.database
        try:
            answer = result_of(function, self)
        except BaseException as error:
            session.doom(error if isinstance(error, Exception) else _interrupted())
            raise
        if isinstance(answer, Failure):
            session.doom(answer.failure())
        elif (failure := session.trouble()) is not None:
            return Failure(swallowed(failure))
        return answer

    def __repr__(self) -> str:
        return f"<Transaction on {self.database!r}>"


def result_of(
    function: Callable[[Transaction], Success[T] | Failure[E]], tx: Transaction
) -> Success[T] | Failure[E]:
    """What a function answers with.

    Raises:
        TypeError: It is no Result.
    """
    answer = function(tx)
    if not isinstance(cast("object", answer), (Success, Failure)):
        raise TypeError(
            f"the function of a transaction answered with {type(answer).__name__}; it must return "
            "tl.Success(…) to commit or tl.Failure(…) to roll back"
        )
    return answer


def swallowed(failure: Exception) -> RepositoryError:
    """The answer to a Success after something had failed."""
    found = QueryError(
        f"rolled back, although the function succeeded: something in it had failed ({failure}); "
        "return that Failure, or put what may fail into tx.transaction(…, savepoint=True)",
        operation="transaction",
        sqlstate=failure.sqlstate if isinstance(failure, RepositoryError) else None,
    )
    found.__cause__ = failure
    return found


def _interrupted() -> RepositoryError:
    return QueryError("it was interrupted", operation="transaction")


def _lock_number(key: object) -> int:
    if isinstance(key, str):
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)
    if not isinstance(key, int) or isinstance(key, bool):
        raise TypeError(f"a lock's key is an int or a str, not {type(key).__name__}")
    if not -_INT8 <= key < _INT8:
        raise ValueError("a lock's key must fit into 64 bits; give a str to have one made of it")
    return key
