"""`tl.sql`: SQL written by hand, whose values are parameters and whose rows have a type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import UnionType
from typing import (
    Any,
    ClassVar,
    LiteralString,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    get_origin,
    overload,
)

import msgspec

from tierline.entity import Table
from tierline.entity.column import column_of
from tierline.entity.types import column_type, without_none
from tierline.query.expressions import Expr
from tierline.query.parameters import Param
from tierline.query.plain_values import plain_value
from tierline.query.query import Fetchable, Query
from tierline.query.shapes import Shape
from tierline.query.tracing import Traced
from tierline.sql.expressions import Parameters, render
from tierline.sql.identifiers import quote, table_name
from tierline.sql.scanning import MARK, check_text, split_placeholders
from tierline.sql.shown import shown
from tierline.sql.statement import Compiled, ResultColumn, Statement

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

Part: TypeAlias = str | Expr
"""Text, or a value that becomes a parameter."""


class Identifier(msgspec.Struct, frozen=True):
    """A name for `tl.sql`; make it with `tl.identifier`."""

    sql: str


class RawSql(msgspec.Struct, frozen=True, eq=False, dict=True):
    """SQL without rows, or a fragment of SQL; make it with `tl.sql`."""

    not_in_memory: ClassVar[str] = "only a database reads SQL"

    parts: tuple[Part, ...]

    @property
    def sql(self) -> str:
        """The statement with its parameters' types in place of their values."""
        return shown(*compile_raw(self, "execute"))

    def __repr__(self) -> str:
        return f"<SQL {_short(self)}>"


class RawQuery(RawSql, Fetchable[R_co], frozen=True, eq=False, dict=True):
    """SQL whose rows are `R`; perform it with `store.fetch_all` and the like."""

    columns: tuple[ResultColumn, ...]
    shape: Shape
    into: Callable[..., Any]
    by_name: bool

    def __repr__(self) -> str:
        return f"<SQL into {_shown_into(self)}: {_short(self)}>"


class TemplateLike(Protocol):
    """A template string, `t"…"`: `string.templatelib.Template` of Python 3.14."""

    @property
    def strings(self) -> tuple[str, ...]:
        """The text between the values."""
        ...

    @property
    def interpolations(self) -> tuple[Any, ...]:
        """The values with how they were written."""
        ...


def identifier(*names: str) -> Identifier:
    """A name that is part of raw SQL, quoted: a column, or a table with its schema.

    Args:
        *names: One name, or several that belong together: ``tl.identifier("public", "flights")``.

    Raises:
        TypeError: It is no text.
        ConfigurationError: It is empty, too long, or has a quote or NUL character.
    """
    if not names or not all(isinstance(cast("object", name), str) for name in names):
        raise TypeError(f"identifier takes names, not {names!r}")
    return Identifier(".".join(map(quote, names)))


@overload
def sql(
    text: LiteralString | TemplateLike, /, *, into: type[R], **values: object
) -> RawQuery[R]: ...
@overload
def sql(
    text: LiteralString | TemplateLike, /, *, into: UnionType, **values: object
) -> RawQuery[Any]: ...
@overload
def sql(
    text: LiteralString | TemplateLike, /, *, into: None = None, **values: object
) -> RawSql: ...
def sql(text: str | TemplateLike, /, *, into: Any = None, **values: object) -> RawSql:
    """SQL written by hand: each `{name}` is a parameter, never text.

    Args:
        text: SQL with `{name}` placeholders; write `{{` and `}}` for braces. Where Python has
            template strings, ``t"… {value} …"`` needs no `**values`.
        into: What each row is made into: a Struct by column names, ``tuple[int, str]`` by position,
            or one type such as `int`, or `tl.optional(int)`. Without it the SQL has no rows, or is
            a fragment.
        **values: A value for each placeholder. A list is one array parameter, for ``= any({ids})``;
            a dict or Struct is JSON. `tl.identifier(…)` is a name, a table is its name, another
            `tl.sql(…)` is a fragment put in, `tl.param(…)` is given when it runs.

    Raises:
        TypeError: A placeholder has no value or stands in quotes or a comment, a value has no
            placeholder or no column type, or `into` is nothing that rows can be made into.

    Example:
        ``store.fetch_all(tl.sql("select id, name from t where id = {id}", into=Row, id=7))``
    """
    parts = _parts(text, values)
    if into is None:
        return RawSql(parts)
    query: RawQuery[Any] = RawQuery(parts, *_answer(into))
    return query


def compile_raw(query: RawSql, operation: str) -> Compiled:
    """The statement of raw SQL."""
    parameters = Parameters()
    text = "".join(
        part if isinstance(part, str) else render(part, parameters) for part in query.parts
    )
    types = tuple(parameters.types)
    if isinstance(query, RawQuery):
        statement = Statement(
            operation,
            text,
            types,
            None,
            query.columns,
            query.shape,
            query.into,
            writes=not _READS.match(text),
            by_name=query.by_name,
        )
    else:
        statement = Statement(operation, text, types, None, writes=True)
    return Compiled(statement, tuple(parameters.values))


_READS = re.compile(r"\s*(?:select|values|table)\b", re.IGNORECASE)
"""How a statement begins that surely reads; others may write, as WITH may."""


def _parts(text: object, values: dict[str, object]) -> tuple[Part, ...]:
    if isinstance(text, str):
        texts, names = split_placeholders(_plain(text))
        unused = values.keys() - set(names)
        missing = set(names) - values.keys()
        if unused or missing:
            wrong = ", ".join(sorted(unused or missing))
            what = "stands nowhere in the text" if unused else "has no value"
            raise TypeError(f"sql: {wrong} {what}; each {{name}} takes a value by name")
        given = [(name, values[name]) for name in names]
    else:
        texts, given = _template(text, values)
    in_comment = check_text(MARK.join(texts))
    parts: list[Part] = [texts[0]]
    for (name, value), after in zip(given, texts[1:], strict=True):
        _append(parts, _put(name, value), after)
    if in_comment:
        # What a fragment is put in front of must not become part of its comment.
        parts.append("\n")
    return _joined(parts)


def _template(
    text: object, values: dict[str, object]
) -> tuple[tuple[str, ...], list[tuple[str, object]]]:
    strings: Any = getattr(text, "strings", None)
    interpolations: Any = getattr(text, "interpolations", None)
    if strings is None or interpolations is None:
        raise TypeError(f"sql takes text or a template string, not {type(text).__name__}")
    if values:
        raise TypeError("sql: a template string holds its values itself; leave out the others")
    for found in interpolations:
        if found.conversion is not None or found.format_spec:
            raise TypeError(
                f"sql: {found.expression} has a conversion or format; a parameter is a value, "
                "not text, so leave it out"
            )
    texts = tuple(_plain(string) for string in strings)
    return texts, [(found.expression, found.value) for found in interpolations]


def _plain(text: str) -> str:
    if "\0" in text:
        raise TypeError("sql: the text has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TypeError("sql: the text has a lone surrogate, which UTF-8 cannot encode") from None
    return text


def _put(name: str, value: object) -> tuple[Part, ...]:
    """What stands for a value."""
    match value:
        case RawSql():
            return value.parts
        case Identifier():
            return (value.sql,)
        case Table():
            return (table_name(cast("Any", value)),)
        case Traced(expr=Param() as place):
            return (place,)
        case Traced() | Query():
            raise TypeError(
                f"sql: {name!r} is part of a traced query; give a plain value, tl.param, "
                "tl.identifier or another tl.sql"
            )
        case _:
            return (plain_value(name, value),)


# Beside these a name or fragment stays what it is; beside others it could run together with them,
# as in `"a"{b}`, `-{minus_one}` or `x{parameter}`.
_SEPARATE = frozenset(" \t\n\r\f(),.;[]")
_SEPARATE_FROM_PARAMETER = _SEPARATE | frozenset("=<>+-*/|:%^&#~!")


def _append(parts: list[Part], put: tuple[Part, ...], after: str) -> None:
    before = parts[-1]
    first, last = put[0], put[-1]
    if isinstance(before, str) and before and not _apart(before[-1], first):
        parts.append(" ")
    elif not isinstance(before, str) or (not before and len(parts) > 1):
        # Two placeholders side by side.
        parts.append(" ")
    parts.extend(put)
    if after and not _apart(after[0], last):
        parts.append(" ")
    parts.append(after)


def _apart(character: str, beside: Part) -> bool:
    return character in (_SEPARATE if isinstance(beside, str) else _SEPARATE_FROM_PARAMETER)


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts with neighbouring texts made one."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined) or ("",)


def _answer(into: Any) -> tuple[tuple[ResultColumn, ...], Shape, Callable[..., Any], bool]:
    """What comes back, what it is made into, and whether columns are found by name."""
    if isinstance(into, type) and issubclass(into, msgspec.Struct):
        columns = [column_of(field) for field in msgspec.structs.fields(into)]
        found = tuple(ResultColumn(c.name, c.type, nullable=c.nullable) for c in columns)
        return found, "struct", into, True
    if get_origin(into) is tuple and ... not in get_args(into) and get_args(into):
        items = enumerate(get_args(into), 1)
        return tuple(_column(f"column{n}", item) for n, item in items), "tuple", tuple, False
    if _is_tuple_type(cast("object", into)) or _is_tuple_type(get_origin(into)):
        raise TypeError(f"sql: into={into!r} does not say its columns; use tuple[int, str]")
    return (_column("value", into),), "scalar", object, False


def _is_tuple_type(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, tuple)


def _column(name: str, annotation: Any) -> ResultColumn:
    inner, nullable = without_none(annotation)
    try:
        return ResultColumn(name, column_type(inner), nullable=nullable)
    except TypeError as error:
        raise TypeError(f"sql: into={annotation!r}: {error}") from None


_SHORT = 60


def _short(query: RawSql) -> str:
    text = " ".join(compile_raw(query, "execute").statement.sql.split())
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _shown_into(query: RawQuery[Any]) -> str:
    if query.shape == "struct":
        return query.into.__name__
    types = ", ".join(
        f"{column.type.sql}{' | None' if column.nullable else ''}" for column in query.columns
    )
    return f"({types})" if query.shape == "tuple" else types
