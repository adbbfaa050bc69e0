"""`tl.param`: a value that is given when a query runs, so that one query runs many times."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import UnionType
from typing import Any, Optional, TypeVar, cast, get_origin, overload

from tierline.entity.types import ColumnType, column_type, without_none
from tierline.query.expressions import Expr
from tierline.query.operands import fitted
from tierline.query.tracing import Traced

T = TypeVar("T")


class Param(Expr, frozen=True):
    """A value that is not known yet: it has a name and a type.

    Attributes:
        name: By which it is given.
        value_type: What it is sent as.
        nullable: Whether it may be None.
        counts_rows: Whether it is a limit or an offset somewhere, and so is not negative.
    """

    name: str
    value_type: ColumnType
    nullable: bool = False
    counts_rows: bool = False

    @property
    def type(self) -> ColumnType:
        """The type the parameter is sent as."""
        return self.value_type


@overload
def param(name: str, type: type[T], /) -> T: ...
@overload
def param(name: str, type: UnionType, /) -> Any: ...
def param(name: str, type: Any, /) -> Any:  # noqa: A002 (what it is)
    """A value that is given by name each time the query runs.

    Args:
        name: What it is called in `store.fetch_all(query, name=…)`.
        type: Its Python type, as in an entity: `str`, `int`, `list[int]`, an Enum;
            `tl.optional(int)` where NULL is meant, as a value of `tl.sql`.

    Raises:
        TypeError: The name is no Python name, or that of an option of the verbs (`fresh`, `ttl_s`,
            `stale_ok_s`), or the type is no column type.

    Example:
        ``tl.select(FLIGHTS, where=lambda f: f.origin == tl.param("origin", str))``
    """
    if not isinstance(cast("object", name), str) or not _NAME.fullmatch(name):
        raise TypeError(f"param takes a name such as 'origin', not {name!r}")
    if name in _TAKEN:
        raise TypeError(f"param {name!r}: fetch_all and others have an option of this name")
    annotation, nullable = without_none(type)
    try:
        found = column_type(annotation)
    except TypeError as error:
        raise TypeError(f"param {name!r}: {error}") from None
    return Traced(Param(name, found, nullable))


def optional(kind: type[T], /) -> type[T | None]:
    """A type whose values may also be None, for `into=` of `tl.sql` and for `tl.param`.

    At run time it is ``T | None``, which works too, but which type checkers cannot hand on: they
    make `Any` of it.

    Args:
        kind: A column's type, such as `int`.

    Raises:
        TypeError: It is no type.

    Example:
        ``tl.sql("select max(seats) from planes", into=tl.optional(int))``
    """
    if not isinstance(cast("object", kind), type) and get_origin(kind) is None:
        raise TypeError(f"optional takes a type such as int, not {kind!r}")
    return cast("type[T | None]", Optional[kind])  # noqa: UP045 (at run time)


_NAME = re.compile(r"[^\W\d]\w*")
_TAKEN = frozenset({"fresh", "ttl_s", "stale_ok_s"})

_CLASSES: dict[str, Any] = {
    "bool": bool,
    "int8": int,
    "float8": float,
    "numeric": Decimal,
    "text": str,
    "bytea": bytes,
    "uuid": uuid.UUID,
}

Bind = Callable[[Mapping[str, object]], tuple[Any, ...]]
"""From the values given by name to the statement's values."""


def parameter_names(values: tuple[Any, ...]) -> frozenset[str]:
    """The names of the parameters among a statement's values."""
    return frozenset(value.name for value in values if isinstance(value, Param))


def binder(values: tuple[Any, ...]) -> Bind:
    """The function that puts given values into the places of parameters.

    It raises TypeError for a name that is missing or unknown and for a value of another type, and
    ValueError for a negative number of rows: mistakes of the caller, found before any I/O.
    """
    places = [(n, value) for n, value in enumerate(values) if isinstance(value, Param)]
    names = parameter_names(values)
    if not places:

        def fixed(given: Mapping[str, object]) -> tuple[Any, ...]:
            if given:
                raise _wrong_names(names, given)
            return values

        return fixed

    steps = [(n, place, _class_of(place)) for n, place in places]

    def bind(given: Mapping[str, object]) -> tuple[Any, ...]:
        if len(given) != len(names) or not names.issuperset(given):
            raise _wrong_names(names, given)
        row = list(values)
        for n, place, plain in steps:
            value = given[place.name]
            # Most values are what they should be, and need no second look.
            row[n] = value if value.__class__ is plain else _fitted(place, value)
        return tuple(row)

    return bind


def _class_of(place: Param) -> Any:
    """The class whose instances travel as they are; None if each value is looked at."""
    if place.counts_rows:
        return None
    return None if place.type.choices is not None else _CLASSES.get(place.type.wire)


def _fitted(place: Param, value: object) -> Any:
    if value is None:
        if place.nullable:
            return None
        raise TypeError(
            f"parameter {place.name!r} is None, which equals nothing in SQL; use a query of its "
            "own with `tl.is_null`, or declare the parameter `| None`"
        )
    try:
        found = fitted(value, place.type)
    except TypeError:
        raise TypeError(
            f"parameter {place.name!r} takes {place.type.sql}, not {value!r:.60}"
        ) from None
    if place.counts_rows and found < 0:
        raise ValueError(
            f"parameter {place.name!r} is a number of rows and must not be negative, but is {found}"
        )
    return found


def _wrong_names(names: frozenset[str], given: Mapping[str, object]) -> TypeError:
    missing = ", ".join(sorted(names - given.keys()))
    unknown = ", ".join(sorted(given.keys() - names))
    problems = [
        *([f"needs the parameters {missing}"] if missing else []),
        *([f"has no parameter {unknown}"] if unknown else []),
    ]
    return TypeError(f"the query {' and '.join(problems)}; give each tl.param its value by name")
