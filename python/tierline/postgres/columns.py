"""The columns that came back, held against the expected ones: once for each prepared statement."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.adapt import AdaptersMap
from psycopg.pq.abc import PGresult

from tierline.errors import DecodeError
from tierline.sql import ResultColumn, Statement


def column_order(statement: Statement, result: PGresult) -> tuple[int, ...]:
    """Where each expected column stands in a result.

    Raises:
        DecodeError: Columns are missing, too many, or stand there twice; names them.
    """
    expected = [column.name for column in statement.columns]
    names = [(result.fname(n) or b"").decode(errors="replace") for n in range(result.nfields)]
    if not statement.by_name:
        if len(names) != len(expected):
            raise _mismatch(
                statement,
                f"{len(names)} columns came back ({', '.join(names) or 'none'}), but "
                f"{len(expected)} are expected; select as many as `into` takes",
                tuple(names),
            )
        return tuple(range(len(expected)))
    missing = tuple(name for name in expected if name not in names)
    extra = tuple(name for name in names if name not in expected)
    twice = tuple(dict.fromkeys(name for name in names if names.count(name) > 1))
    into = statement.into.__name__
    if missing:
        there = f"; there are {', '.join(names)}" if names else "; no columns came back"
        problem = f"column {', '.join(missing)}, a field of {into}, did not come back{there}"
        raise _mismatch(statement, problem, missing)
    if extra:
        problem = f"column {', '.join(extra)} is no field of {into}; do not select it, or add it"
        raise _mismatch(statement, problem, extra)
    if twice:
        raise _mismatch(
            statement, f"column {', '.join(twice)} came back twice; name them apart", twice
        )
    return tuple(names.index(name) for name in expected)


def check_types(
    adapters: AdaptersMap,
    statement: Statement,
    columns: Sequence[ResultColumn],
    oids: Sequence[int],
) -> None:
    """Compare a result's types with the expected ones.

    Raises:
        DecodeError: A column has another type; names the column, the expected and the actual type.
    """
    for column, oid in zip(columns, oids, strict=True):
        if oid not in column.type.result_oids:
            actual = adapters.types.get(oid)
            raise _mismatch(
                statement,
                f"column {column.name!r} is {actual.name if actual else f'type {oid}'} in the "
                f"database, but its field needs {column.type.sql}; change one of them",
                (column.name,),
            )


def _mismatch(statement: Statement, problem: str, columns: tuple[str, ...]) -> DecodeError:
    return DecodeError(
        problem, operation=statement.operation, table=statement.table_name, columns=columns
    )
