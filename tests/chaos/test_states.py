"""Every SQLSTATE that the driver knows, raised by a real server."""

from __future__ import annotations

from collections.abc import Generator

import psycopg
import pytest
from psycopg import errors as driver
from tests.chaos.conftest import ENTRIES

import tierline as tl
from tierline.postgres.errors import FATAL_STATES
from tierline.testing import PostgresServer

pytestmark = [pytest.mark.chaos, pytest.mark.each_version]

# Warnings, and what RAISE may not raise.
_NOT_RAISED = ("00000",)


def _states() -> list[str]:
    found = {
        getattr(kind, "sqlstate", None)
        for kind in vars(driver).values()
        if isinstance(kind, type) and issubclass(kind, psycopg.Error)
    }
    return sorted(state for state in found if state and state not in _NOT_RAISED)


# What each class of SQLSTATE is answered with, by the classes of DESIGN's errors; the exceptions
# first. Written here by hand: the table of the product is what is tested.
EXPECTED: dict[str, type[tl.RepositoryError]] = {
    "23505": tl.DuplicateError,
    "23": tl.ConstraintError,
    "40001": tl.ConflictError,
    "40P01": tl.ConflictError,
    "42501": tl.AccessDeniedError,
    "28": tl.AccessDeniedError,
    "25006": tl.ConnectionError,
    "25P03": tl.ConnectionError,
    "25P04": tl.ConnectionError,
    "57014": tl.TimeoutError,
    "55P03": tl.TimeoutError,
    "57": tl.ConnectionError,
    "08": tl.ConnectionError,
}


def expected(state: str) -> type[tl.RepositoryError]:
    """The class for a state of a statement that only reads."""
    return EXPECTED.get(state) or EXPECTED.get(state[:2]) or tl.QueryError


@pytest.fixture(scope="module")
def raising(server: PostgresServer) -> Generator[tl.Store]:
    """A store whose database has a function that raises any state."""
    with tl.open(server.url, pool_size=1) as store:
        store.create_table(ENTRIES, exist_ok=True).unwrap()
        store.execute(
            tl.sql(
                "create or replace function raise_state(state text) returns int "
                "language plpgsql as $$ begin raise exception using errcode = state, "
                "message = 'no secret'; end $$"
            )
        ).unwrap()
        yield store


def test_the_driver_knows_many_states() -> None:
    assert len(_states()) > 200


@pytest.mark.parametrize("state", _states())
def test_a_state_is_answered_by_its_class_and_the_connection_kept_or_not(
    raising: tl.Store, state: str
) -> None:
    session = tl.sql("select pg_backend_pid()", into=int)
    before = raising.fetch_one(session).unwrap()
    # In a transaction nothing is repeated, so that what came first is what is answered.
    result = raising.transaction(
        lambda tx: tx.fetch_one(tl.sql("select raise_state({s})", into=int, s=state)),
        deadline_s=0.05 if state in ("40001", "40P01") else None,
    )
    assert isinstance(result, tl.Failure)
    error = result.failure()
    assert type(error) is expected(state), error
    assert error.sqlstate == state
    after = raising.fetch_one(session).unwrap()
    assert (after != before) == (state in FATAL_STATES), "the connection was kept, or was not"
    assert raising.database.stats().in_use == 0
