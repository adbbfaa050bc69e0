"""What goes wrong while a query is evaluated: the errors that PostgreSQL would answer with."""

from __future__ import annotations

from tierline.errors import QueryError

NUMERIC_VALUE_OUT_OF_RANGE = "22003"
DATETIME_FIELD_OVERFLOW = "22008"
DIVISION_BY_ZERO = "22012"
NOT_SUPPORTED = "0A000"
INVALID_TEXT = "22P02"
INVALID_PARAMETER = "22023"
INVALID_ESCAPE_SEQUENCE = "22025"
GROUPING_ERROR = "42803"
INVALID_COLUMN_REFERENCE = "42P10"
INVALID_RECURSION = "42P19"
CARDINALITY_VIOLATION = "21000"
PROGRAM_LIMIT_EXCEEDED = "54000"


def out_of_range(type_name: str) -> QueryError:
    """A number that its type cannot hold."""
    return _fault(f"{type_name} out of range", NUMERIC_VALUE_OUT_OF_RANGE)


def time_out_of_range(type_name: str) -> QueryError:
    """An instant or interval that its type cannot hold."""
    return _fault(f"{type_name} out of range", DATETIME_FIELD_OVERFLOW)


def division_by_zero() -> QueryError:
    """A divisor of zero."""
    return _fault("division by zero", DIVISION_BY_ZERO)


def invalid_text(type_name: str) -> QueryError:
    """A text that is no value of a type; the message does not hold it."""
    return _fault(f"invalid input syntax for type {type_name}", INVALID_TEXT)


def no_integer() -> QueryError:
    """A numeric NaN or infinity where an integer is needed."""
    return _fault("cannot convert NaN or infinity to bigint", NOT_SUPPORTED)


def invalid_base64() -> QueryError:
    """A text that is no base64."""
    return _fault("invalid base64", INVALID_PARAMETER)


def unfinished_pattern() -> QueryError:
    """A pattern of `like` with nothing after its last backslash."""
    return QueryError(
        "a pattern of tl.like must not end in a backslash", sqlstate=INVALID_ESCAPE_SEQUENCE
    )


def _fault(problem: str, sqlstate: str) -> QueryError:
    return QueryError(f"{problem}; check the query's values and arithmetic", sqlstate=sqlstate)


def ungrouped(column: str) -> QueryError:
    """A column beside an aggregate that is no key of the groups."""
    return QueryError(
        f"column {column!r} must appear in group_by or be used in an aggregate function",
        columns=(column,),
        sqlstate=GROUPING_ERROR,
    )


def unlisted() -> QueryError:
    """Distinct rows that are ordered by something they do not show."""
    return QueryError(
        "rows that are distinct can be ordered only by what is made of them; add it to the "
        "projection",
        sqlstate=INVALID_COLUMN_REFERENCE,
    )


def many_rows() -> QueryError:
    """More than one row where a value is to be."""
    return QueryError(
        "a query that stands for one value answered with several rows; give it limit=1 and an "
        "order, or an aggregate",
        sqlstate=CARDINALITY_VIOLATION,
    )


def bad_recursion(problem: str) -> QueryError:
    """A recursion that PostgreSQL does not perform."""
    return QueryError(f"a recursion's step must not {problem}", sqlstate=INVALID_RECURSION)


def endless(rows: int) -> QueryError:
    """A recursion that goes on and on."""
    return QueryError(
        f"a recursion made more than {rows:,} rows; give its step a condition that ends it, or "
        "keep_duplicates=False",
        sqlstate=PROGRAM_LIMIT_EXCEEDED,
    )
