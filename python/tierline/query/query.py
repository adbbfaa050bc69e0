"""`Query` and what it reads from: frozen values that say which rows, and what to make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

import msgspec

from tierline.entity import Table
from tierline.entity.types import ColumnType
from tierline.query.expressions import Alias, ColumnRef, Expr, Ordering
from tierline.query.shapes import Shape
from tierline.query.tracing import Traced, TracedRow, columns_of, row_of

T_co = TypeVar("T_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


class Output(msgspec.Struct, frozen=True):
    """One column of the answer."""

    name: str
    expr: Expr

    @property
    def type(self) -> ColumnType:
        """The type it is read as."""
        return self.expr.type


class Projection(msgspec.Struct, frozen=True):
    """What each row of the answer is made into."""

    shape: Shape
    into: Callable[..., Any]
    outputs: tuple[Output, ...]
    parts: tuple[Part, ...] = ()


class Compound(msgspec.Struct, frozen=True, eq=False):
    """The rows of two queries together: of either, of both, or of the first only."""

    operator: Literal["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"]
    left: Query[Any]
    right: Query[Any]


class Cte(msgspec.Struct, frozen=True, eq=False):
    """A query that stands once in a statement and may be read from several times.

    Attributes:
        mark: Identifies it, for those parts of its own step that read from it.
        base: The query, or what a recursion begins with.
        step: What a recursion adds: reads from the same mark.
        union_all: Whether a recursion keeps rows that it has met before.
    """

    mark: object
    base: Query[Any]
    step: Query[Any] | None = None
    union_all: bool = True


class CteRef(msgspec.Struct, frozen=True, eq=False):
    """A recursion's own rows so far, in its step."""

    mark: object
    base: Query[Any]


Relation: TypeAlias = "Table[Any, Any] | Query[Any] | Compound | Cte | CteRef"


class Join(msgspec.Struct, frozen=True, eq=False):
    """Another source beside those before it.

    Attributes:
        kind: How rows without a partner are treated.
        relation: What is read.
        on: Which rows belong together; None for all with all.
    """

    kind: Literal["JOIN", "LEFT JOIN", "CROSS JOIN"]
    relation: Relation
    on: Expr | None


class Lock(msgspec.Struct, frozen=True):
    """How the rows that are read are locked until the transaction ends."""

    strength: Literal["UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"] = "UPDATE"
    wait: Literal["", " NOWAIT", " SKIP LOCKED"] = ""


class Fetchable(Generic[T_co]):
    """What a store reads: its rows are `T`."""

    __slots__ = ()


class Query(msgspec.Struct, Fetchable[T_co], frozen=True, eq=False, dict=True):
    """An inert query whose rows are `T`; perform it with `store.fetch_all` and the like.

    Attributes:
        table: The table it reads, or the first one that its sources read.
        where: Which rows.
        order_by: In which order.
        limit: The most rows; a `tl.param` if that is told later.
        offset: How many are skipped first; likewise.
        projection: What is made of each; the entity itself if None.
        group_by: One row of the answer for each of their values.
        relation: What it reads if that is not the table itself.
        joins: What else it reads.
        having: Which groups.
        distinct: Whether rows that are the same are one.
        lock: Whether rows are locked.
        level: How deep in lambdas of other queries it was made.
    """

    table: Table[Any, Any]
    where: Expr | None = None
    order_by: tuple[Ordering, ...] = ()
    limit: int | Expr | None = None
    offset: int | Expr | None = None
    projection: Projection | None = None
    group_by: tuple[Expr, ...] = ()
    relation: Relation | None = None
    joins: tuple[Join, ...] = ()
    having: Expr | None = None
    distinct: bool = False
    lock: Lock | None = None
    level: int = 0

    @property
    def sources(self) -> tuple[Relation, ...]:
        """Everything it reads from."""
        first = self.table if self.relation is None else self.relation
        # Not a generator: every step of every query asks.
        return (first, *[join.relation for join in self.joins]) if self.joins else (first,)

    @property
    def is_plain(self) -> bool:
        """Whether a further condition on its rows is a condition on what it reads."""
        return (
            self.projection is None
            and self.limit is None
            and self.offset is None
            and not self.group_by
            and not self.distinct
            and self.lock is None
        )

    @property
    def answer(self) -> Projection:
        """What each row is made into, its columns under names that occur once."""
        if self.projection is not None:
            return self.projection
        answers = [
            _answer(source, (self.level, position)) for position, source in enumerate(self.sources)
        ]
        if len(answers) == 1:
            return answers[0]
        optional = [False, *(join.kind == "LEFT JOIN" for join in self.joins)]
        outputs = [output for answer in answers for output in answer.outputs]
        parts = tuple(
            part
            for answer, may_miss in zip(answers, optional, strict=True)
            for part in _parts(answer, may_miss)
        )
        return Projection(
            "joined",
            _tuple_maker(parts),
            tuple(Output(f"column{n}", output.expr) for n, output in enumerate(outputs, 1)),
            parts,
        )

    def stand_ins(self) -> Sequence[Any]:
        """What its lambdas are called with, one for each source."""
        return [
            stand_in(source, (self.level, position)) for position, source in enumerate(self.sources)
        ]

    @property
    def sql(self) -> str:
        """The statement with its parameters' types in place of their values.

        Raises:
            ConfigurationError: A name cannot be an identifier.
            QueryError: The query is nested too deeply.
        """
        return _shown_by[-1](self)

    def __repr__(self) -> str:
        into = self.projection.into if self.projection else self.table.entity
        given = [
            name
            for name in ("where", "group_by", "having", "order_by", "limit", "offset")
            if getattr(self, name) not in (None, ())
        ]
        clauses = f" with {', '.join(given)}" if given else ""
        joined = "".join(f", {_name(join.relation)}" for join in self.joins)
        return (
            f"<Query of {getattr(into, '__name__', into)} from {self.table.name}{joined}{clauses}>"
        )


# Text is made on a higher line than queries, so the function that shows it is handed down.
_shown_by: list[Callable[[Query[Any]], str]] = []


def show_queries_by(show: Callable[[Query[Any]], str]) -> None:
    """Say how a query is shown as SQL."""
    _shown_by.append(show)


class JoinedQuery(Query[T_co], frozen=True, eq=False, dict=True):
    """A query of several sources: its lambdas take one argument for each."""

    def stand_ins(self) -> Sequence[Any]:
        """What its lambdas are called with, one for each source that was joined."""
        first, *others = super().stand_ins()
        # A join that was limited or ordered is one source, whose rows are tuples.
        return (*first, *others) if isinstance(self.relation, JoinedQuery) else (first, *others)


class Join2(JoinedQuery[tuple[A, B]], Generic[A, B], frozen=True, eq=False, dict=True):
    """A query of two sources, whose rows are pairs."""


class Join3(JoinedQuery[tuple[A, B, C]], Generic[A, B, C], frozen=True, eq=False, dict=True):
    """A query of three sources, whose rows are tuples of three."""


class Join4(JoinedQuery[tuple[A, B, C, D]], Generic[A, B, C, D], frozen=True, eq=False, dict=True):
    """A query of four sources, whose rows are tuples of four."""


def _name(relation: Relation) -> str:
    return relation.name if isinstance(relation, Table) else table_of(relation).name


def table_of(relation: Relation) -> Table[Any, Any]:
    """The first table that a relation reads."""
    match relation:
        case Table():
            return relation
        case Query():
            return relation.table
        case Compound():
            return relation.left.table
        case _:
            return relation.base.table


def query_of(relation: Query[Any] | Compound | Cte | CteRef) -> Query[Any]:
    """The query whose rows a relation's rows are like."""
    match relation:
        case Query():
            return relation
        case Compound():
            return relation.left
        case _:
            return relation.base


def stand_in(relation: Relation, alias: Alias) -> Any:
    """What stands for a row of a relation in lambdas: a row, a tuple of fields, or one field."""
    if isinstance(relation, Table):
        return row_of(relation, alias)
    answer = query_of(relation).answer
    columns = [ColumnRef(output.name, output.type, alias) for output in answer.outputs]
    match answer.shape:
        case "scalar":
            return Traced(columns[0])
        case "tuple":
            return tuple(map(Traced, columns))
        case "joined":
            return _joined_rows(answer.parts, columns)
        case _:
            return _struct_row(answer.into, columns)


def _struct_row(into: Any, columns: Sequence[ColumnRef]) -> TracedRow:
    fields = [field.name for field in msgspec.structs.fields(into)]
    return TracedRow(into.__name__, dict(zip(fields, columns, strict=True)))


def _joined_rows(parts: Sequence[Part], columns: Sequence[ColumnRef]) -> tuple[Any, ...]:
    rows: list[Any] = []
    start = 0
    for part in parts:
        own = columns[start : start + part.width]
        start += part.width
        rows.append(_struct_row(part.into, own) if part.fields else Traced(own[0]))
    return tuple(rows)


def _answer(relation: Relation, alias: Alias) -> Projection:
    """Every column of a source, made into what its rows are."""
    if isinstance(relation, Table):
        made: dict[Alias, Projection] = vars(relation).setdefault("_answers", {})
        if (whole := made.get(alias)) is None:
            columns = columns_of(row_of(relation, alias))
            outputs = tuple(Output(column.name, column) for column in columns)
            whole = made[alias] = Projection("entity", relation.entity, outputs)
        return whole
    answer = query_of(relation).answer
    outputs = tuple(
        Output(output.name, ColumnRef(output.name, output.type, alias)) for output in answer.outputs
    )
    return Projection(answer.shape, answer.into, outputs, answer.parts)


class Part(msgspec.Struct, frozen=True):
    """One of the values that a joined row is a tuple of.

    Attributes:
        into: Makes it of its columns.
        width: How many columns it has.
        optional: Whether it is None if all of them are.
        fields: The fields' names, of a Struct.
    """

    into: Callable[..., Any]
    width: int
    optional: bool
    fields: tuple[str, ...] = ()


def _parts(answer: Projection, optional: bool) -> tuple[Part, ...]:  # noqa: FBT001 (mapped over)
    width = len(answer.outputs)
    match answer.shape:
        case "joined":
            return answer.parts
        case "scalar":
            return (Part(_itself, width, optional),)
        case _:
            fields = tuple(field.name for field in msgspec.structs.fields(cast("Any", answer.into)))
            return (Part(answer.into, width, optional, fields),)


def _itself(value: Any) -> Any:
    return value


def _tuple_maker(parts: tuple[Part, ...]) -> Callable[..., tuple[Any, ...]]:
    """Makes a tuple of the values that one row of several sources holds."""

    def row(*values: Any) -> tuple[Any, ...]:
        made: list[Any] = []
        start = 0
        for part in parts:
            own = values[start : start + part.width]
            start += part.width
            if part.optional and own.count(None) == part.width:
                made.append(None)
            elif part.fields:
                made.append(part.into(**dict(zip(part.fields, own, strict=True))))
            else:
                made.append(part.into(*own))
        return tuple(made)

    # Rows that are made of equal parts may stand for each other.
    vars(row)["parts"] = parts
    return row


def query_given(what: str, given: object) -> Query[Any]:
    """The query that a function was given.

    Raises:
        TypeError: It is something else, such as a table.
    """
    if isinstance(given, Query):
        query: Query[Any] = cast("Any", given)
        return query
    advice = "tl.select(TABLE) makes one of a table" if isinstance(given, Table) else repr(given)
    raise TypeError(f"{what} takes a query: {advice}")


def source_given(what: str, given: object) -> Table[Any, Any] | Query[Any]:
    """The table or query that a function was given.

    Raises:
        TypeError: It is something else, such as an entity.
    """
    if isinstance(given, (Table, Query)):
        source: Table[Any, Any] | Query[Any] = cast("Any", given)
        return source
    raise TypeError(f"{what} takes a table or a query, not {given!r}")
