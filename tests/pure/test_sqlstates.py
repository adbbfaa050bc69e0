"""Every SQLSTATE that the driver knows becomes one error, without the server's data in it."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import psycopg.errors
import psycopg_pool
import pytest
from psycopg.pq import DiagnosticField

import tierline as tl
from tierline.postgres.dialing import CircuitOpenError
from tierline.postgres.errors import DRIVER_ERRORS, FATAL_STATES, classify, no_connection
from tierline.sql import Statement


class Airline(msgspec.Struct, frozen=True):
    code: str


class Flight(msgspec.Struct, frozen=True):
    id: int
    carrier: str
    number: int


AIRLINES = tl.table(Airline, name="airlines", key=lambda a: a.code)
FLIGHTS = (
    tl.table(Flight, name="flights", key=lambda f: f.id)
    .foreign_key(lambda f: f.carrier, AIRLINES)
    .unique(lambda f: (f.carrier, f.number))
)
READ = Statement("fetch_all", "SELECT 1", (), FLIGHTS)
WRITE = Statement("create", "INSERT", (), FLIGHTS, writes=True)
DELETE = Statement("delete", "DELETE", (), FLIGHTS, writes=True)

STATES: dict[str, type[psycopg.Error]] = {
    found.sqlstate: found
    for found in vars(psycopg.errors).values()
    if isinstance(found, type) and issubclass(found, psycopg.Error) and found.sqlstate
}

# What a state answers with; the longest beginning that fits counts. Others are a QueryError.
EXPECTED: dict[str, type[tl.RepositoryError]] = {
    "08": tl.ConnectionError,
    "22": tl.ValidationError,
    "22025": tl.QueryError,
    "2201B": tl.QueryError,
    "23": tl.ConstraintError,
    "23505": tl.DuplicateError,
    "25006": tl.ConnectionError,
    "25P03": tl.ConnectionError,
    "25P04": tl.ConnectionError,
    "28": tl.AccessDeniedError,
    "40001": tl.ConflictError,
    "40P01": tl.ConflictError,
    "42501": tl.AccessDeniedError,
    "55P03": tl.TimeoutError,
    "57": tl.ConnectionError,
    "57014": tl.TimeoutError,
}

SECRET = "s3cret"  # what a row holds


def raised(state: str, **fields: str) -> psycopg.Error:
    """The driver's error, with diagnostics that quote a row."""
    info: dict[Any, bytes | None] = dict.fromkeys(DiagnosticField)
    quoting = ("MESSAGE_DETAIL", "MESSAGE_HINT", "CONTEXT", "INTERNAL_QUERY")
    info |= {DiagnosticField[name]: SECRET.encode() for name in quoting}
    info |= {DiagnosticField[name]: value.encode() for name, value in fields.items()}
    return STATES[state](SECRET, info=info)


def classified(
    error: psycopg.Error, statement: Statement = WRITE, *, lost: bool = False
) -> tl.RepositoryError:
    return classify(error, statement, lost=lost, elapsed_s=0.5)


def test_the_driver_knows_the_states_that_matter() -> None:
    assert len(STATES) > 200
    assert raised("23505").diag.message_detail == SECRET, "else this file shows nothing"
    assert STATES.keys() >= {state for state in EXPECTED if len(state) == 5}


@pytest.mark.parametrize("state", sorted(STATES))
def test_a_state_becomes_its_error(state: str) -> None:
    kind = EXPECTED.get(state) or EXPECTED.get(state[:2], tl.QueryError)
    driver_error = raised(state)
    for lost in (False, True):
        error = classified(driver_error, lost=lost)
        assert type(error) is kind
        assert (error.sqlstate, error.operation, error.table) == (state, "create", "flights")
        assert error.elapsed_s == 0.5
        assert error.__cause__ is driver_error
        assert error.message
    # A read has no value to validate: the query is at fault.
    on_read = tl.QueryError if kind is tl.ValidationError else kind
    assert type(classified(driver_error, READ)) is on_read


@pytest.mark.parametrize("state", sorted(STATES))
@pytest.mark.parametrize("statement", [READ, WRITE, DELETE], ids=lambda s: s.operation)
def test_no_error_quotes_a_row(state: str, statement: Statement) -> None:
    error = classified(raised(state), statement)
    assert SECRET not in f"{error} {error!r} {error.details()}"


@pytest.mark.parametrize("state", [state for state in sorted(STATES) if state[:2] in ("22", "23")])
def test_the_message_of_a_bad_value_is_not_the_servers_which_quotes_it(state: str) -> None:
    error = classified(raised(state, MESSAGE_PRIMARY=f"invalid input: {SECRET}"))
    assert SECRET not in f"{error} {error!r} {error.details()}"


@pytest.mark.parametrize("state", sorted(FATAL_STATES))
def test_a_state_that_ends_the_session_is_a_connection_error(state: str) -> None:
    assert type(classified(raised(state))) is tl.ConnectionError


@pytest.mark.parametrize(
    ("state", "statement", "fields", "says", "columns"),
    [
        (
            "23505",
            WRITE,
            {"CONSTRAINT_NAME": "flights_carrier_number_key"},
            "a row with the same carrier, number exists; update it instead",
            ("carrier", "number"),
        ),
        (
            "23505",
            WRITE,
            {"CONSTRAINT_NAME": "unheard_of"},
            "a row with the same unique value exists; update it instead",
            (),
        ),
        (
            "23503",
            WRITE,
            {"CONSTRAINT_NAME": "flights_carrier_fkey"},
            "carrier names no row of airlines; create that row first",
            ("carrier",),
        ),
        (
            "23503",
            DELETE,
            {"CONSTRAINT_NAME": "flights_carrier_fkey"},
            "other rows refer to this row; delete or change them first",
            ("carrier",),
        ),
        (
            "23502",
            WRITE,
            {"COLUMN_NAME": "number"},
            "the row breaks a NOT NULL constraint on number; change the value",
            ("number",),
        ),
        (
            "23514",
            WRITE,
            {"CONSTRAINT_NAME": "flights_number_check"},
            "the row breaks constraint flights_number_check on number; change the value",
            ("number",),
        ),
        (
            "42P01",
            READ,
            {"MESSAGE_PRIMARY": 'relation "flights" does not exist'},
            'relation "flights" does not exist; create it with store.create_table',
            (),
        ),
        (
            "42703",
            READ,
            {"MESSAGE_PRIMARY": 'column "number" does not exist'},
            'column "number" does not exist; the database lacks a field of Flight',
            (),
        ),
        (
            "42501",
            WRITE,
            {"MESSAGE_PRIMARY": "permission denied for table flights"},
            "permission denied for table flights; grant it to the role or use another",
            (),
        ),
        ("57014", READ, {}, "raise timeout_s, add an index, or ask for fewer rows", ()),
        ("55P03", WRITE, {}, "stayed locked by another transaction", ()),
        ("40001", WRITE, {}, "(SerializationFailure); run the operation again", ()),
        ("25006", WRITE, {}, "use the primary", ()),
        ("57P01", READ, {}, "(AdminShutdown); call again once it is back", ()),
        ("22003", READ, {}, "check the query's values and arithmetic", ()),
    ],
)
def test_a_message_says_what_happened_and_what_to_do(
    state: str, statement: Statement, fields: dict[str, str], says: str, columns: tuple[str, ...]
) -> None:
    error = classified(raised(state, **fields), statement)
    assert says in error.message
    assert error.columns == columns
    assert error.constraint == fields.get("CONSTRAINT_NAME")


def test_the_stage_of_a_timeout_is_told() -> None:
    stages = {state: classified(raised(state)) for state in ("57014", "55P03")}
    assert [error.stage for error in stages.values() if isinstance(error, tl.TimeoutError)] == [
        *("statement", "lock")
    ]


def test_the_table_that_the_server_names_is_the_one_told() -> None:
    # A cascade or trigger may fail on another table than the one written.
    assert classified(raised("23503", TABLE_NAME="airlines")).table == "airlines"


def test_without_a_state_the_connection_decides() -> None:
    lost = psycopg.OperationalError(SECRET)
    assert type(classified(lost, READ, lost=True)) is tl.ConnectionError
    assert type(classified(lost, WRITE, lost=True)) is tl.CommitUnknownError
    assert type(classified(lost, WRITE)) is tl.QueryError
    assert SECRET not in str(classified(lost, WRITE))


def test_a_statement_about_no_table_is_told_without_one() -> None:
    schema = Statement("create_schema", "CREATE SCHEMA", (), None, writes=True)
    error = classified(raised("23505", CONSTRAINT_NAME="x"), schema)
    assert (error.table, error.columns) == (None, ())
    assert type(classified(raised("42703"), schema)) is tl.QueryError


@pytest.mark.parametrize(
    ("error", "in_use", "is_due", "kind", "says"),
    [
        (psycopg_pool.PoolClosed(SECRET), 0, True, tl.ConnectionError, "closed"),
        (psycopg_pool.PoolTimeout(SECRET), 4, False, tl.PoolExhaustedError, "stayed in use"),
        (psycopg_pool.PoolTimeout(SECRET), 3, False, tl.ConnectionError, "is it running"),
        (psycopg_pool.TooManyRequests(SECRET), 0, True, tl.PoolExhaustedError, "waiting_max"),
        (psycopg_pool.PoolTimeout(SECRET), 4, True, tl.TimeoutError, "stayed in use"),
        (psycopg_pool.PoolTimeout(SECRET), 3, True, tl.TimeoutError, "here was connected to"),
        (CircuitOpenError("once a second"), 0, True, tl.ConnectionError, "here: once a second"),
    ],
    ids=str,
)
def test_a_pool_without_a_connection_tells_why(
    error: Any,
    in_use: int,
    is_due: bool,  # noqa: FBT001 - one of the table's columns
    kind: type[Any],
    says: str,
) -> None:
    found = no_connection(
        error, in_use=in_use, size=4, elapsed_s=1.5, is_due=is_due, location="here"
    )
    assert type(found) is kind
    assert says in found.message
    if isinstance(found, tl.TimeoutError):
        assert found.stage == ("acquire" if in_use == 4 else "connect")
    assert isinstance(error, DRIVER_ERRORS)
    assert (found.elapsed_s, found.__cause__) == (1.5, error)
    assert SECRET not in str(found)
