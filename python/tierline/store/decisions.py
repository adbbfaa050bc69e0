"""The coordinator's log of a store: its creation, its identity, and what was decided."""

from __future__ import annotations

import secrets
import time
from typing import Literal, cast
from weakref import WeakKeyDictionary

from returns.result import Failure, Success

from tierline.deadline import due_s
from tierline.errors import (
    ConflictError,
    ConnectionError,  # noqa: A004
    RepositoryError,
)
from tierline.postgres import Database
from tierline.postgres.two_phase import Participant, no_slots, persistently
from tierline.result import Result
from tierline.sql.distributed import DECIDE, FORGET, IDENTITY, SETTLE, SLOTS, create_log

Decision = Literal["commit", "abort"]

_UNDEFINED_TABLE = "42P01"

_IDENTITIES: WeakKeyDictionary[Database, str] = WeakKeyDictionary()
_PREPARING: WeakKeyDictionary[Database, int] = WeakKeyDictionary()


def known_log(database: Database) -> Result[str | None, RepositoryError]:
    """The identity of a database's log, asked anew; None if it has none."""
    found = database.fetch(IDENTITY, ())
    if isinstance(found, Failure):
        is_missing = found.failure().sqlstate == _UNDEFINED_TABLE
        return Success(None) if is_missing else found
    rows = found.unwrap()
    if rows:
        _IDENTITIES[database] = rows[0]
    return Success(rows[0] if rows else None)


def made_log(database: Database) -> Result[str, RepositoryError]:
    """The identity of a database's log, which is created if it is missing."""
    known = _IDENTITIES.get(database)
    if known is not None:
        return Success(known)
    looked = known_log(database)
    if isinstance(looked, Failure):
        return looked
    found = looked.unwrap()
    return create(database) if found is None else Success(found)


def create(database: Database) -> Result[str, RepositoryError]:
    """Create the log unless it is there; its identity."""
    made = database.script(create_log(secrets.token_hex(8)))
    if isinstance(made, Failure):
        return made
    looked = known_log(database)
    if isinstance(looked, Failure):
        return looked
    found = looked.unwrap()
    return Failure(replaced()) if found is None else Success(found)


def refused(database: Database) -> RepositoryError | None:
    """Why a server can be no participant."""
    if database in _PREPARING:
        return None
    found = database.fetch(SLOTS, ())
    if isinstance(found, Failure):
        return found.failure()
    (slots,) = found.unwrap()
    if slots == 0:
        return no_slots("distributed")
    _PREPARING[database] = slots
    return None


def decide(
    database: Database,
    session: Participant,
    log: str,
    what: tuple[str, str, int],
    until_s: float,
) -> Result[None, RepositoryError]:
    """Decide to commit, on the session that the global ids name.

    Args:
        database: The log's.
        session: The coordinator's, whose transaction has ended.
        log: The log's identity.
        what: The transaction, the identities of its participants' data, and when it began.
        until_s: When to give up, on the monotonic clock.

    Errors: whatever the server refused it for, and it is not decided; if the session was `lost`,
    it may be.
    """
    found = session.ask(DECIDE, (*what[:2], log, what[2]), until_s)
    if isinstance(found, Failure):
        failure = found.failure()
        if failure.sqlstate == "23505":
            return Failure(_overtaken())
        if failure.sqlstate == _UNDEFINED_TABLE:
            forget_log(database)
            return Failure(replaced())
        return found
    if not found.unwrap():
        forget_log(database)
        return Failure(replaced())
    return Success(None)


def settle(
    database: Database, log: str, transaction: str, until_s: float
) -> Result[Decision, RepositoryError]:
    """The decision; if there is none, it is to roll back from now on."""
    found = persistently(lambda: database.fetch(SETTLE, (transaction, log)), until_s)
    if isinstance(found, Failure):
        return found
    rows = found.unwrap()
    return Success(cast("Decision", rows[0])) if rows else Failure(replaced())


def forget(database: Database, transaction: str) -> Result[int, RepositoryError]:
    """Forget a decision that all participants have followed."""
    return database.execute(FORGET, (transaction,))


def forget_log(database: Database) -> None:
    """Ask for the log's identity again next time."""
    _IDENTITIES.pop(database, None)


def due(within_s: float) -> float:
    """When something must have ended, on the monotonic clock."""
    return min(due_s(), time.monotonic() + within_s)


def replaced() -> RepositoryError:
    """The log is not the one that it was."""
    return ConnectionError(
        "the coordinator's log was emptied or replaced, or the transaction took longer than an "
        "hour, so nothing can be decided; run it again",
        operation="distributed",
    )


def _overtaken() -> RepositoryError:
    return ConflictError(
        "tl.recover took the coordinator for dead and rolled the transaction back; run it again, "
        "and give tl.recover a longer grace_s",
        operation="distributed",
    )
