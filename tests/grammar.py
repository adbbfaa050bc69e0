"""Random tables and queries for Hypothesis: what a server and `tl.evaluate` must agree on.

An expression is drawn as a *recipe*, a tree of tuples that reads well in a failure; `build` makes
of it what a user's lambda would write.
"""

from __future__ import annotations

import datetime as dt
import enum
import operator
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st
from tests import grammar_expressions as more

import tierline as tl

Recipe = tuple[Any, ...]
BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "é"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 7


class Kind(NamedTuple):
    """A type of column: its annotation, everyday values, and values at the edges of the type."""

    annotation: Any
    values: list[Any]
    edges: list[Any]


def _zoned(*args: int, zone: dt.tzinfo = BERLIN, fold: int = 0) -> dt.datetime:
    return dt.datetime(*args, tzinfo=zone, fold=fold)  # type: ignore[arg-type,misc]


def _naive(*args: int) -> dt.datetime:
    return dt.datetime(*args)  # type: ignore[arg-type]  # noqa: DTZ001 (that is the type)


def _offset(hours: float) -> dt.timezone:
    return dt.timezone(dt.timedelta(hours=hours))


def _decimals(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


_Naive = msgspec.Meta(tz=False)
_Zoned = msgspec.Meta(tz=True)

KINDS: dict[str, Kind] = {
    "int": Kind(int, [0, 1, -1, 2, 3, -7, 100], [2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1]),
    "float": Kind(
        float,
        [0.0, 1.5, -2.25, 0.1, 100.0, 3.0],
        [-0.0, float("nan"), float("inf"), -float("inf"), 1e308, -1e200, 5e-324, 1e-200, 2.0**53],
    ),
    "decimal": Kind(
        Decimal,
        _decimals("0", "1.5", "-2", "3.10", "0.00", "1.50", "10", "99.99", "-0.003"),
        _decimals("NaN", "Infinity", "-Infinity", "1E+3", "1E+20", "-0.0", "1E-30", "1E-400",
                  "12345678901234567890.123456789", "1E+310", "9999", "10000", "0.0001", "1E+200"),
    ),
    "text": Kind(
        str,
        ["", "a", "b", "ab", "aba", "A", "é", "red"],
        ["e\u0301", "😀", "\uffff", "%", "_", "\\", "'", '"', "$1", "\x01", " a", "ß", "İ"],
    ),
    "bool": Kind(bool, [True, False], []),
    "bytes": Kind(bytes, [b"", b"a", b"ab"], [b"\0", b"\xff", b"\\x00"]),
    "uuid": Kind(uuid.UUID, [uuid.UUID(int=n) for n in (1, 2)], [uuid.UUID(int=2**128 - 1)]),
    "timestamptz": Kind(
        dt.datetime,
        [_zoned(2024, 5, 1, 12), _zoned(2024, 5, 1, 10, zone=dt.UTC), _zoned(2023, 1, 1)],
        [
            _zoned(2024, 10, 27, 2, 30), _zoned(2024, 10, 27, 2, 30, fold=1),
            _zoned(2024, 3, 31, 2, 30), _zoned(2024, 3, 31, 3, 30),
            _zoned(1, 1, 1, zone=dt.UTC), _zoned(9999, 12, 31, 23, 59, 59, 999999, zone=dt.UTC),
            _zoned(1999, 12, 31, 23, 59, 59, 999999, zone=_offset(-3.5)),
        ],
    ),
    "timestamp": Kind(
        Annotated[dt.datetime, _Naive],
        [_naive(2024, 5, 1, 12), _naive(2024, 5, 1), _naive(2023, 1, 1, 0, 0, 1)],
        [_naive(1, 1, 1), _naive(9999, 12, 31, 23, 59, 59, 999999), _naive(2024, 10, 27, 2, 30)],
    ),
    "date": Kind(
        dt.date,
        [dt.date(2024, 5, 1), dt.date(2024, 2, 29), dt.date(2023, 1, 1)],
        [dt.date.min, dt.date.max, dt.date(2024, 10, 27)],
    ),
    "time": Kind(dt.time, [dt.time(12), dt.time(0), dt.time(8, 30)], [dt.time.max]),
    "timetz": Kind(
        Annotated[dt.time, _Zoned],
        [dt.time(12, tzinfo=dt.UTC), dt.time(14, tzinfo=_offset(2)), dt.time(0, tzinfo=dt.UTC)],
        [dt.time(1, tzinfo=_offset(14)), dt.time(23, 59, 59, 999999, tzinfo=_offset(-12))],
    ),
    "interval": Kind(
        dt.timedelta,
        [dt.timedelta(0), dt.timedelta(1), dt.timedelta(hours=36), dt.timedelta(hours=-5)],
        [dt.timedelta(microseconds=-1), dt.timedelta(400, 1, 1), dt.timedelta(-3, 86399, 999999),
         dt.timedelta(10**8), dt.timedelta.max, dt.timedelta.min],
    ),
    "colour": Kind(Colour, list(Colour), []),
    "level": Kind(Level, list(Level), []),
    "word": Kind(Literal["x", "y", "Ö"], ["x", "y", "Ö"], []),
    "json": Kind(
        dict[str, Any],
        [{}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": [1, {"b": None}]}, {"b": "é", "a": 1}],
        [{"a": 1e14}, {"": ""}],
    ),
    "ints": Kind(list[int], [[], [1], [1, 2], [2]], [[2**63 - 1], [0, 0, 0]]),
    "texts": Kind(tuple[str, ...], [(), ("a",), ("a", "b"), ("é",)], [("", ""), ("%",)]),
    "decimals": Kind(list[Decimal], [[], _decimals("1.0"), _decimals("1.00", "2")],
                     [_decimals("NaN")]),
}  # fmt: skip

NUMBERS = ("int", "float", "decimal")
INSTANTS = ("timestamptz", "timestamp", "date")
UNORDERED = ("json",)
THEMES = (
    ("int", "float", "decimal", "level"),
    ("timestamptz", "timestamp", "date", "interval"),
    ("time", "timetz", "interval", "float"),
    ("text", "colour", "word", "bool"),
    ("ints", "texts", "decimals", "json", "int", "text"),
)
EXTREMES = ("int", "float", "decimal", "text", "timestamptz", "timestamp", "date", "time",
            "timetz", "interval")  # fmt: skip


class Spec(NamedTuple):
    """A column that was drawn."""

    name: str
    kind: str
    nullable: bool


class Plan(NamedTuple):
    """A query that was drawn."""

    where: Recipe | None
    order: tuple[tuple[Recipe, bool, str | None], ...]
    is_total: bool
    limit: int | None
    offset: int | None
    outputs: tuple[Recipe, ...] = ()
    form: str = "entity"
    groups: tuple[Recipe, ...] | None = None
    having: Recipe | None = None
    distinct: bool = False


class Made1(msgspec.Struct, frozen=True):
    a: Any


class Made2(msgspec.Struct, frozen=True, kw_only=True):
    a: Any
    b: Any


class Made3(msgspec.Struct, frozen=True):
    a: Any
    b: Any
    c: Any


MADE: dict[int, Any] = {1: Made1, 2: Made2, 3: Made3}

OPERATORS: dict[str, Callable[..., Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge, "+": operator.add, "-": operator.sub,
    "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
    "&": operator.and_, "|": operator.or_, "neg": operator.neg, "not": tl.not_,
    "null": tl.is_null, "in": tl.is_in, "contains": tl.contains,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
    "count": tl.count, "kinds": lambda value: tl.count(value, distinct=True),
    "sum": tl.sum, "avg": tl.avg, "min": tl.min, "max": tl.max, "filtered": tl.filtered,
    "array_agg": lambda value, key: tl.array_agg(value, order_by=key),
    "string_agg": lambda value, key: tl.string_agg(value, ", ", order_by=tl.desc(key)),
    **more.OPERATORS,
}  # fmt: skip
COMPARE = ("==", "!=", "<", "<=", ">", ">=")
AGGREGATES = ("count", "kinds", "sum", "avg", "min", "max", "array_agg", "string_agg")
LISTED = ("int", "float", "decimal", "text", "timestamptz", "interval", "uuid", "bool")


def build(recipe: Recipe, over: Any) -> Any:
    """The expression as a user's lambda would write it."""
    match recipe:
        case ("field", name):
            return getattr(over, name)
        case ("value", value):
            return value
        case (name, *operands):
            return OPERATORS[name](*(build(operand, over) for operand in operands))
    raise AssertionError(recipe)


def parts(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe and every recipe in it."""
    yield recipe
    if recipe[0] not in ("field", "value"):
        for operand in recipe[1:]:
            yield from parts(operand)


def query(table: tl.Table[Any, Any], plan: Plan) -> tl.Query[Any]:
    """The query that a plan describes."""

    def order_by(row: Any) -> Any:
        return tuple(
            (tl.desc if descending else tl.asc)(build(recipe, row), nulls=nulls)  # type: ignore[arg-type]
            for recipe, descending, nulls in plan.order
        )

    where = plan.where
    condition = None if where is None else (lambda row: build(where, row))
    ordering = order_by if plan.order else None
    if plan.form == "entity":
        return tl.select(
            table,
            where=condition,
            order_by=ordering,
            limit=plan.limit,
            offset=plan.offset,
            distinct=plan.distinct,
        )
    grouped = plan.groups is not None
    chosen = tl.select(
        table,
        where=condition,
        order_by=None if grouped else ordering,
        limit=None if grouped else plan.limit,
        offset=None if grouped else plan.offset,
    )

    def into(row: Any) -> Any:
        values = [build(recipe, row) for recipe in plan.outputs]
        if plan.form == "scalar":
            return values[0]
        if plan.form == "tuple":
            return tuple(values)
        made = MADE[len(values)]
        return made(**dict(zip(made.__struct_fields__, values, strict=True)))

    groups, having = plan.groups, plan.having
    return tl.project(
        chosen,
        into,
        group_by=(lambda row: tuple(build(key, row) for key in groups)) if groups else None,
        order_by=ordering if grouped else None,
        limit=plan.limit if grouped else None,
        having=None if having is None else (lambda row: build(having, row)),
        distinct=plan.distinct,
    )


def table_of(name: str, specs: tuple[Spec, ...]) -> tl.Table[Any, Any]:
    """The table of drawn columns, with an integer key beside them."""
    fields: list[Any] = [("id", int)]
    fields += [
        (spec.name, KINDS[spec.kind].annotation | None if spec.nullable
         else KINDS[spec.kind].annotation)
        for spec in specs
    ]  # fmt: skip
    entity: Any = msgspec.defstruct("Drawn", fields, frozen=True)
    return tl.table(entity, name=name, key=lambda row: row.id)


@st.composite
def columns(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(KINDS)) -> tuple[Spec, ...]:
    """Between one and six columns, often of kinds that belong together."""
    themes = [kinds, *(theme for theme in THEMES if set(theme) <= set(kinds))]
    theme = draw(st.sampled_from(themes))
    chosen = draw(st.lists(st.sampled_from(theme), min_size=1, max_size=6))
    return tuple(Spec(f"{kind}_{n}", kind, draw(st.booleans())) for n, kind in enumerate(chosen))


def values(kind: str, *, wild: bool) -> st.SearchStrategy[Any]:
    """Values of a kind; wild ones lie at its edges half of the time."""
    known = KINDS[kind]
    if wild and known.edges:
        return st.sampled_from(known.values) | st.sampled_from(known.edges)
    return st.sampled_from(known.values)


@st.composite
def rows(
    draw: st.DrawFn, entity: Any, specs: tuple[Spec, ...], *, wild: bool, max_size: int = 12
) -> list[Any]:
    """Entities of the drawn columns."""
    count = draw(st.integers(0, max_size))
    fields = [
        st.none() | values(spec.kind, wild=wild) if spec.nullable else values(spec.kind, wild=wild)
        for spec in specs
    ]
    return [entity(n, *(draw(field) for field in fields)) for n in range(count)]


class Grammar:
    """Draws expressions over columns; every expression has a field in it.

    Without arithmetic none of them can fail; without faults none can that is not of wild values.
    """

    def __init__(
        self,
        draw: st.DrawFn,
        specs: tuple[Spec, ...],
        *,
        wild: bool,
        arithmetic: bool = True,
        faults: bool = True,
    ) -> None:
        self.draw = draw
        self.specs = (Spec("id", "int", nullable=False), *specs)
        self.wild = wild
        self.arithmetic = arithmetic
        self.faults = faults

    def flip(self) -> bool:
        return self.draw(st.booleans())

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def values(self, kind: str) -> st.SearchStrategy[Any]:
        """The values that fields of a kind are compared with."""
        return values(kind, wild=self.wild)

    def value(self, kind: str) -> Recipe:
        return ("value", self.draw(self.values(kind)))

    def field(self, *kinds: str) -> tuple[Recipe, str] | None:
        """A field of one of the kinds, if there is one."""
        found = [spec for spec in self.specs if spec.kind in kinds]
        if not found:
            return None
        spec = self.pick(*found)
        return ("field", spec.name), spec.kind

    def more(self, draw: Callable[[Grammar, int], Any], depth: int) -> Any:
        """Half of the time what another function draws, where it may fail."""
        if not self.arithmetic or depth <= 0 or self.flip():
            return None
        return draw(self, depth)

    def number(self, depth: int) -> tuple[Recipe, str]:
        """A number and its kind."""
        if found := self.more(more.number, depth):
            return found  # type: ignore[no-any-return]
        leaf, kind = self.field(*NUMBERS, "level") or (("field", "id"), "int")
        if not self.arithmetic or depth <= 0 or self.pick(0, 1, 2, 3) == 0:
            return leaf, kind
        if self.pick(0, 1, 2, 3, 4) == 0:
            inner, kind = self.number(depth - 1)
            return ("neg", inner), "int" if kind == "level" else kind
        left, left_kind = self.number(depth - 1)
        if self.flip():
            right_kind = self.pick(*NUMBERS)
            right = self.value(right_kind)
        else:
            right, right_kind = self.number(depth - 1)
        kinds = {left_kind, right_kind}
        # Of divisors that are not written down some are 0.
        divisions = ("/",) if "float" in kinds else ("/", "//", "%")
        symbol = self.pick("+", "-", "*", *(divisions if self.faults else ()))
        if self.flip() and right[0] == "value":
            left, right = right, left
        if "float" in kinds:
            result = "float"
        elif "decimal" in kinds:
            result = "decimal"
        else:
            result = "float" if symbol == "/" else "int"
        return (symbol, left, right), result

    def text(self, depth: int) -> Recipe | None:
        if made := self.more(more.text, depth):
            return made  # type: ignore[no-any-return]
        found = self.field("text", "colour", "word")
        if found is None:
            return None
        leaf, kind = found
        if kind == "text" and depth > 0 and self.flip():
            return ("+", leaf, self.value("text"))
        return leaf

    def interval(self, depth: int) -> Recipe | None:
        if made := self.more(more.interval, depth):
            return made  # type: ignore[no-any-return]
        found = self.field("interval")
        instant = self.field("timestamptz", "timestamp")
        if instant is not None and (found is None or self.flip()):
            left, kind = instant
            return ("-", left, self.value(kind))
        if found is None:
            return None
        leaf = found[0]
        match self.pick("leaf", "neg", "+", "-", "*", "/") if depth > 0 else "leaf":
            case "neg":
                return ("neg", leaf)
            case "+" | "-" as symbol:
                return (symbol, leaf, self.interval(depth - 1) or leaf)
            case "*" | "/" as symbol:
                factors = (2, -3, 0.5, 1.1, 7, -0.1, 1e-3, 3.0)
                factor = self.pick(*factors, *((0,) if self.faults else ()))
                return (symbol, leaf, ("value", factor))
            case _:
                return leaf

    def instant(self, depth: int) -> tuple[Recipe, str] | None:
        if made := self.more(more.instant, depth):
            return made  # type: ignore[no-any-return]
        found = self.field(*INSTANTS)
        if found is None or found[1] == "date" or depth <= 0 or self.flip():
            return found
        leaf, kind = found
        right = self.interval(depth - 1) if self.flip() else None
        return (self.pick("+", "-"), leaf, right or self.value("interval")), kind

    def any(self, depth: int = 2) -> tuple[Recipe, str]:
        """An expression of any kind."""
        if made := self.more(more.anything, depth):
            return made  # type: ignore[no-any-return]
        # A theme's own operations first: most columns are of it.
        own = {"level": "number", "timestamptz": "instant", "interval": "interval"}
        own |= dict.fromkeys(NUMBERS, "number")
        themed = [own[spec.kind] for spec in self.specs if spec.kind in own]
        match self.pick("field", "text", "interval", "instant", "condition", *themed):
            case "number":
                return self.number(depth)
            case "text" if (text := self.text(depth)) is not None:
                # Concatenated or not, only plain text is known to be text.
                return text, self.kind(text)
            case "interval" if (interval := self.interval(depth)) is not None:
                return interval, "interval"
            case "instant" if (instant := self.instant(depth)) is not None:
                return instant
            case "condition":
                return self.condition(depth), "bool"
            case _:
                spec = self.pick(*self.specs)
                return ("field", spec.name), spec.kind

    def kind(self, text: Recipe) -> str:
        """The kind of a text: only a field may be of an Enum."""
        if text[0] != "field":
            return "text"
        return next(spec.kind for spec in self.specs if spec.name == text[1])

    def condition(self, depth: int) -> Recipe:
        if depth > 0 and self.pick(0, 1, 2) == 0:
            symbol = self.pick("&", "|", "not")
            if symbol == "not":
                return ("not", self.condition(depth - 1))
            return (symbol, self.condition(depth - 1), self.condition(depth - 1))
        return self.test(depth)

    def test(self, depth: int) -> Recipe:  # noqa: C901 (a list of tests)
        """A comparison, or another test."""
        if made := self.more(more.test, depth):
            return made  # type: ignore[no-any-return]
        match self.pick("number", "text", "part", "in", "null", "instant", "interval", "field"):
            case "text" if (text := self.text(depth)) is not None:
                return self.compared(text, self.kind(text))
            case "part" if (text := self.text(depth)) is not None:
                other = self.text(0) if self.flip() else None
                part = other or self.value("text")
                return (self.pick("startswith", "endswith", "contains"), text, part)
            case "in":
                spec = self.pick(*(s for s in self.specs if s.kind not in _NOT_IN))
                items = self.draw(st.lists(self.values(spec.kind), max_size=3))
                return ("in", ("field", spec.name), ("value", items))
            case "null":
                return ("null", self.any(depth - 1)[0] if depth > 0 else ("field", "id"))
            case "instant" if (instant := self.instant(depth)) is not None:
                left, kind = instant
                other = self.instant(depth) if self.flip() else None
                if other is not None:
                    return (self.pick(*COMPARE), left, other[0])
                return (self.pick(*COMPARE), left, self.value(kind))
            case "interval" if (interval := self.interval(depth)) is not None:
                return (self.pick(*COMPARE), interval, self.value("interval"))
            case "field":
                spec = self.pick(*self.specs)
                if spec.kind == "bool" and self.flip():
                    return ("field", spec.name)
                return self.compared(("field", spec.name), spec.kind)
            case _:
                left, kind = self.number(depth)
                if kind == "level":
                    return self.compared(left, kind)
                symbol = self.pick(*COMPARE)
                if self.flip():
                    # A decimal may be too close to zero for the float it is compared with.
                    kinds = NUMBERS if self.arithmetic else ("int",)
                    return (symbol, left, self.value(self.pick(*kinds)))
                return (symbol, left, self.number(depth - 1)[0])

    def compared(self, left: Recipe, kind: str) -> Recipe:
        """A comparison with a value, or with another field, of the same kind."""
        symbol = self.pick(*(("==", "!=") if kind in UNORDERED else COMPARE))
        others = [spec.name for spec in self.specs if spec.kind == kind]
        if others and self.flip():
            return (symbol, left, ("field", self.pick(*others)))
        return (symbol, left, self.value(kind))

    def order(self, *, total: bool) -> tuple[tuple[Recipe, bool, str | None], ...]:
        keys: list[tuple[Recipe, bool, str | None]] = []
        for _ in range(self.pick(0, 1, 2)):
            recipe, kind = self.any(1)
            if kind not in UNORDERED:
                keys.append((recipe, self.flip(), self.pick(None, "first", "last")))
        if total:
            keys.append((("field", "id"), self.flip(), None))
        return tuple(keys)

    def plain(self) -> Plan:
        """A query without groups."""
        where = self.condition(3) if self.pick(0, 1, 2) else None
        total = self.flip()
        limit = self.pick(None, 0, 1, 3, 100) if total else None
        offset = self.pick(None, 0, 1, 5) if total else None
        order = self.order(total=total)
        form = self.pick("entity", "scalar", "tuple", "struct")
        if form == "entity":
            return Plan(where, order, total, limit, offset)
        if self.pick(0, 1, 2, 3) == 0:
            return self.distinct(where, form)
        count = 1 if form == "scalar" else self.pick(1, 2, 3)
        outputs = tuple(self.any(3)[0] for _ in range(count))
        return Plan(where, order, total, limit, offset, outputs, form)

    def distinct(self, where: Recipe | None, form: str) -> Plan:
        """A query of different rows, in an order that they make total."""
        count = 1 if form == "scalar" else self.pick(1, 2, 3)
        made = [self.any(2) for _ in range(count)]
        order = tuple(
            (recipe, self.flip(), self.pick(None, "first", "last"))
            for recipe, kind in made
            if kind not in UNORDERED
        )
        # What has values in it cannot be ordered by; PostgreSQL and we say so alike.
        total = len(order) == count
        limit = self.pick(None, 1, 3) if total else None
        outputs = tuple(recipe for recipe, _ in made)
        return Plan(where, order, total, limit, None, outputs, form, distinct=True)

    def aggregate(self) -> tuple[Recipe, str]:
        recipe, kind = self.unfiltered()
        if self.pick(0, 1, 2, 3) == 0:
            return ("filtered", recipe, self.condition(1)), kind
        return recipe, kind

    def unfiltered(self) -> tuple[Recipe, str]:
        function = self.pick(*AGGREGATES)
        if function in ("sum", "avg"):
            operand, kind = self.number(2)
            kind = "int" if kind == "level" else kind
            return (function, operand), "float" if (function, kind) == ("avg", "int") else kind
        if function == "count" and self.flip():
            return ("count",), "int"
        if function == "array_agg":
            fields = [spec for spec in self.specs if spec.kind in LISTED]
            return (function, ("field", self.pick(*fields).name), ("field", "id")), "list"
        if function == "string_agg":
            text = self.text(1)
            if text is not None and self.kind(text) == "text":
                return (function, text, ("field", "id")), "text"
            function = "count"
        operand, kind = self.any(2)
        if function in ("min", "max"):
            if kind in (*EXTREMES, "colour", "level", "word"):
                return (function, operand), kind
            function = "count"
        return (function, operand), "int"

    def grouped(self) -> Plan:
        """A query with aggregates, of groups or of everything."""
        where = self.condition(2) if self.flip() else None
        keys = [self.any(2) for _ in range(self.pick(0, 1, 1, 2))]
        usable = [(key, kind) for key, kind in keys if kind not in UNORDERED]
        outputs: list[Recipe] = []
        for _ in range(self.pick(1, 2, 3)):
            if usable and self.flip():
                outputs.append(self.pick(*(key for key, _ in usable)))
                continue
            recipe, kind = self.aggregate()
            if kind in NUMBERS and self.flip():
                recipe = (self.pick("+", "*"), recipe, self.value("int"))
            outputs.append(recipe)
        order = [(key, self.flip(), self.pick(None, "first", "last")) for key, _ in usable]
        if self.flip():
            order.insert(0, (("count",), self.flip(), None))
        limit = self.pick(None, 1, 2)
        form = "struct" if self.flip() else "tuple"
        groups = tuple(key for key, _ in usable)
        having = None
        if groups and self.pick(0, 1, 2) == 0:
            having = (self.pick(*COMPARE), ("count",), ("value", self.pick(0, 1, 2)))
        return Plan(
            where, tuple(order), is_total=True, limit=limit, offset=None,
            outputs=(*outputs[:2], ("count",)), form=form, groups=groups, having=having,
        )  # fmt: skip


_NOT_IN = ("json", "ints", "texts", "decimals")


@st.composite
def plans(draw: st.DrawFn, specs: tuple[Spec, ...], *, wild: bool) -> Plan:
    """A query over the columns."""
    grammar = Grammar(draw, specs, wild=wild)
    return grammar.grouped() if grammar.pick(0, 1, 2) == 0 else grammar.plain()


@st.composite
def cases(
    draw: st.DrawFn, count: int = 5
) -> tuple[tuple[Spec, ...], list[tuple[Any, ...]], list[Plan]]:
    """Columns, rows of values without the key, and queries."""
    wild = draw(st.booleans())
    specs = draw(columns())
    made = draw(rows(lambda n, *fields: fields, specs, wild=wild))
    return specs, made, [draw(plans(specs, wild=wild)) for _ in range(count)]
