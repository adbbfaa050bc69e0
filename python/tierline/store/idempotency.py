"""Transactions that have an effect once, however often they are run: by a key that is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec
from returns.result import Failure, Success

from tierline.errors import (
    ConflictError,
    ConnectionError,  # noqa: A004
    DecodeError,
    QueryError,
    RepositoryError,
)
from tierline.postgres import Session
from tierline.sql.idempotency import CLAIM, KEEP, KEPT, KEY_BYTES_MAX, OPERATION
from tierline.sql.transactions import TransactionMode
from tierline.store.transaction import Transaction, result_of

if TYPE_CHECKING:
    from tierline.store.store import Store

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

_MISSING_TABLE = "42P01"
_LOOKS_MAX = 3
_PAUSE_S = 0.05

_encode = msgspec.msgpack.Encoder().encode


class Once(Generic[T]):
    """A key, and what is kept under it.

    Args:
        key: Names what is to be done once.
        kind: The type of the results.

    Raises:
        TypeError: The key is no text, or the type is missing or cannot be kept.
        ValueError: The key is empty or too long.
    """

    def __init__(self, key: str, kind: type[T] | None) -> None:
        if not isinstance(cast("object", key), str):
            raise TypeError(f"idempotency_key is a str, not {type(key).__name__}")
        if not 0 < len(key.encode("utf-8", "surrogatepass")) <= KEY_BYTES_MAX:
            raise ValueError(f"idempotency_key must have 1 to {KEY_BYTES_MAX} bytes")
        if kind is None:
            raise TypeError(
                "idempotency_key needs result=, the type of the function's Success, such as "
                "result=int; result=type(None) if it is None"
            )
        self._key = key
        self._kind = kind
        self._decode = _decoder(cast("Hashable", kind))

    def around(
        self, function: Callable[[Transaction], Success[T] | Failure[E]]
    ) -> Callable[[Transaction], Success[T] | Failure[E | RepositoryError]]:
        """The function, run only if none with the key was committed before."""

        def once(tx: Transaction) -> Success[T] | Failure[E | RepositoryError]:
            kept = self._claimed(tx)
            if kept is not None:
                return kept
            answer = result_of(function, tx)
            if isinstance(answer, Failure) or tx.database.trouble() is not None:
                return answer
            stored = tx.database.execute(KEEP, (self._key, self._payload(answer.unwrap())))
            return stored if isinstance(stored, Failure) else answer

        return once

    def was_kept(self, store: Store, until_s: float) -> bool | None:
        """Whether a transaction with the key was committed; None if that cannot be learnt in time.

        It claims the key and lets it go, for that waits for a transaction that still has it.
        """
        while True:
            found = self._tried(store, until_s)
            if isinstance(found, Success):
                return found.unwrap() == 0
            if not isinstance(found.failure(), ConnectionError):
                return None
            if time.monotonic() + _PAUSE_S >= until_s:
                return None
            time.sleep(_PAUSE_S)

    def _tried(self, store: Store, until_s: float) -> Success[int] | Failure[RepositoryError]:
        borrowed = store.database.borrow(CLAIM, until_s - time.monotonic())
        if isinstance(borrowed, Failure):
            return borrowed
        session = Session(store.database, borrowed.unwrap(), TransactionMode(), until_s)
        try:
            return session.execute(CLAIM, (self._key,))
        finally:
            session.close()

    def _claimed(self, tx: Transaction) -> Success[T] | Failure[RepositoryError] | None:
        """The result that is kept; None if the key is now this transaction's."""
        for _ in range(_LOOKS_MAX):
            made = tx.database.execute(CLAIM, (self._key,))
            if isinstance(made, Failure):
                return made
            if made.unwrap():
                return None
            found = tx.database.fetch(KEPT, (self._key,))
            if isinstance(found, Failure):
                return found
            if rows := found.unwrap():
                return self._read(rows[0])
            # It was forgotten between the two, so it may be claimed again.
        return Failure(ConflictError("the key is forgotten again and again", operation=OPERATION))

    def _read(self, payload: bytes | None) -> Success[T] | Failure[RepositoryError]:
        try:
            return Success(self._decode(payload or b""))
        except msgspec.DecodeError as error:
            refusal = DecodeError(
                f"what is kept for the key is no {_named(self._kind)}; was the key used for "
                "something else, or has the type changed?",
                operation=OPERATION,
            )
            refusal.__cause__ = error
            return Failure(refusal)

    def _payload(self, value: T) -> bytes:
        try:
            payload = _encode(value)
            self._decode(payload)
        except (TypeError, ValueError, OverflowError, msgspec.DecodeError) as error:
            # What cannot be read back would fail the next run, long after the mistake.
            raise TypeError(
                f"the function succeeded with {type(value).__name__}, which result="
                f"{_named(self._kind)} cannot keep"
            ) from error
        return payload


def is_missing_table(answer: Success[Any] | Failure[Any]) -> bool:
    """Whether the table of keys is not there yet."""
    error = answer.failure() if isinstance(answer, Failure) else None
    return (
        isinstance(error, QueryError)
        and error.sqlstate == _MISSING_TABLE
        and error.operation in (OPERATION, "forget_idempotency")
    )


@lru_cache(256)
def _decoder(kind: Any) -> Callable[[bytes], Any]:
    try:
        return msgspec.msgpack.Decoder(kind).decode
    except TypeError as error:
        raise TypeError(f"result= must be a type that msgspec reads: {error}") from error


def _named(kind: object) -> str:
    return getattr(kind, "__name__", None) or str(kind)
