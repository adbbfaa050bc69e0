"""Random shapes of queries over one drawn table: joins, subqueries, unions, recursions, windows.

Sides of a join or a union are the same table with different conditions, so that rows have partners,
none, or several. What computes is drawn by `Grammar`, and only of everyday values, so that nothing
but sums can fail: for which rows an expression is evaluated is the planner's choice.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st
from tests.grammar.expressions import Grammar
from tests.grammar.kinds import KINDS, UNORDERED, values
from tests.grammar.recipes import COMPARE, Recipe
from tests.grammar.relations import SETS, Shape
from tests.grammar.tables import Spec, columns

ALIKE = {
    "level": ("level", "int"),
    "int": ("int", "decimal", "float"),
    "decimal": ("int", "decimal"),
    "float": ("int", "float"),
    "date": ("date", "timestamp"),
    "timestamp": ("date", "timestamp"),
}
RANKS = ("rank", "dense_rank", "percent_rank", "cume_dist")
NEIGHBOURS = ("lag", "lead", "first_value", "last_value", "nth_value")
FOLDS = ("count", "sum", "avg", "min", "max")
SUMMED = ("int", "float", "decimal")
SIZES = (12, 9, 16, 20, 9, 12, 6, 16, 9, 12, 20, 6, 9, 12, 16, 3, 9, 12, 1, 0)
LEAST = ("int", "float", "decimal", "text", "timestamptz", "timestamp", "date", "time", "interval")


class Shapes(Grammar):
    """Draws shapes."""

    def __init__(
        self, draw: st.DrawFn, specs: tuple[Spec, ...], pools: dict[str, list[Any]], *, wild: bool
    ) -> None:
        super().__init__(draw, specs, wild=wild, arithmetic=not wild, faults=False)
        self.pools = pools

    def values(self, kind: str) -> st.SearchStrategy[Any]:
        """Half of the time one that a row may have."""
        every = values(kind, wild=self.wild)
        return st.sampled_from(self.pools[kind]) | every if kind in self.pools else every

    def of(self, *specs: Spec) -> Shapes:
        """The same over other columns."""
        return Shapes(self.draw, specs, self.pools, wild=self.wild)

    def both(self) -> Shapes:
        """The same with the fields of a join's right side."""
        right = [spec._replace(name=f"r_{spec.name}", nullable=True) for spec in self.specs]
        return self.of(*self.specs[1:], *right)

    def simple(self) -> Recipe:
        """A condition that cannot fail."""
        found = self.test(2)
        match self.pick("plain", "plain", "plain", "not", "&", "|", "|"):
            case "not":
                return ("not", found)
            case "&" | "|" as symbol:
                return (symbol, found, self.test(2))
            case _:
                return found

    def output(self, depth: int = 2) -> Recipe:
        """A field, or something made of fields."""
        return self.any(depth)[0] if self.flip() else ("field", self.pick(*self.named()).name)

    def named(self) -> list[Spec]:
        """The fields, without the key where there are others."""
        own = Spec("id", "int", nullable=False)
        return [spec for spec in self.specs if spec != own] or [own]

    def ordered(self) -> Recipe | None:
        """Something that has an order, if it is drawn at once."""
        recipe, kind = self.any(1)
        return None if kind in UNORDERED else recipe

    def amount(self, depth: int) -> Recipe:
        """A number that is compared with every other number."""
        recipe, kind = self.number(depth)
        return ("abs", recipe) if kind == "level" else recipe

    def pairs(self, most: int = 2) -> tuple[tuple[str, str], ...]:
        """Fields of the left and the right side that are to be equal."""
        found: list[tuple[str, str]] = []
        for _ in range(self.pick(1, 1, 1, 1, most)):
            one = self.pick(*self.specs[1:])
            kinds = ALIKE.get(one.kind, (one.kind,))
            other = self.pick(*(spec for spec in self.specs if spec.kind in kinds))
            found.append((one.name, f"r_{other.name}"))
        return tuple(found)

    def relation(self, depth: int = 2) -> tuple[Recipe, bool]:
        """Some of the table's rows, and whether no row comes twice."""
        plain: Recipe = ("rows", self.simple() if self.pick(0, 1, 2, 3, 4) == 4 else None)
        if depth <= 0:
            return plain, True
        match self.pick("semi", "where", "set", "page", "distinct", "cte", "rows", "where", "set"):
            case "page":
                return (
                    "page",
                    plain,
                    self.flip(),
                    self.pick(6, 9, 6, 3, 6, 1, 9, 0),
                    self.pick(0, 0, 1),
                ), True
            case "distinct":
                inner, _ = self.relation(depth - 1)
                return ("distinct", inner), True
            case "set":
                (left, one), (right, other) = self.relation(depth - 1), self.relation(depth - 1)
                name, keep = self.pick("union", *SETS), self.flip()
                unique = not keep or (name != "union" and one) or (name == "intersect" and other)
                return ("set", name, keep, left, right), unique
            case "cte":
                inner, unique = self.relation(depth - 1)
                return ("cte", inner), unique
            case "semi":
                (left, unique), (right, _) = self.relation(depth - 1), self.relation(depth - 1)
                extra = self.both().simple() if self.pick(0, 1, 2) == 2 else None
                return (self.pick("semi", "anti"), left, right, self.pairs(), extra), unique
            case "where":
                inner, unique = self.relation(depth - 1)
                return ("where", inner, self.nested(depth - 1)), unique
            case _:
                return plain, True

    def nested(self, depth: int) -> Recipe:
        """A condition with a query in it."""
        inner, _ = self.relation(depth)
        match self.pick("in", "exists", "scalar", "scalar"):
            case "in":
                found: Recipe = ("in", *self.alike(inner))
            case "exists":
                found = ("exists", inner, self.pairs())
            case _:
                pairs = self.pairs() if self.flip() else ()
                found = ("scalar", self.pick(*COMPARE), *self.compared_with(), inner, pairs)
        match self.pick("plain", "plain", "not", "&", "|", "|"):
            case "not":
                return ("not", found)
            case "&" | "|" as logic:
                return (logic, self.simple(), found)
            case _:
                return found

    def alike(self, inner: Recipe) -> tuple[Recipe, Recipe, Recipe]:
        """What may be among the answers of a query, and what those are."""
        if self.arithmetic and self.flip():
            return self.amount(1), inner, self.amount(1)
        output = self.pick(*self.specs)
        kinds = ALIKE.get(output.kind, ()) if output.kind in SUMMED else (output.kind,)
        field = self.pick(*(spec for spec in self.specs if spec.kind in kinds))
        return ("field", field.name), inner, ("field", output.name)

    def compared_with(self) -> tuple[Recipe, Recipe]:
        """A value, and one of several rows that it is compared with."""
        if self.arithmetic and self.flip():
            function = self.pick("min", "max", "sum", "avg", "count")
            return self.amount(1), (function, self.amount(1))
        known = [spec.name for spec in self.specs if spec.kind in LEAST]
        field = ("field", self.pick(*known))
        return field, (self.pick("min", "max"), field)

    def shape(self) -> Shape:
        """A query."""
        match self.pick("relation", "join", "left", "relation", "recursive", "cross", "join"):
            case "join" | "left" | "cross" as kind:
                (left, _), (right, _) = (self.relation(self.pick(0, 0, 1)) for _ in range(2))
                both = self.both()
                extra = both.simple() if self.pick(0, 1, 2) == 2 else None
                where = both.simple() if self.pick(0, 1, 2, 3) == 3 else None
                pairs = () if kind == "cross" else self.pairs()
                base: Recipe = (kind, left, right, pairs, extra, where)
                return both.made(base, unique=False)
            case "recursive":
                field = self.pick(*(s.name for s in self.specs if s.kind in ("int", "level")))
                # Without duplicates a circle ends by itself; with them it grows with each round.
                keep = self.pick(False, False, True)
                most = self.pick(1, 2, 3) if keep else 10
                inner, _ = self.relation(1)
                places = self.of(Spec("hops", "int", nullable=False))
                return places.made(("recursive", inner, field, keep, most), unique=False)
            case _:
                base, unique = self.relation(3)
                return self.made(base, unique=unique)

    def made(self, base: Recipe, *, unique: bool) -> Shape:
        """What is made of the rows."""
        match self.pick("windows", "values", "groups", "rows", "windows", "distinct"):
            case "rows":
                total = unique and self.flip()
                order: Any = ((("field", "id"), self.flip(), None),) if total else ()
                limit = self.pick(None, 1, 3) if total else None
                return Shape(base, "rows", (), (), order, limit, total)
            case "groups":
                keys = tuple(self.output() for _ in range(self.pick(0, 1, 2)))
                folds = tuple(self.filtered() for _ in range(self.pick(1, 2)))
                return Shape(base, "groups", (*keys, *folds), keys)
            case "windows":
                count = self.pick(1, 2)
                windows = tuple(self.window(unique=unique) for _ in range(count))
                return Shape(base, "windows", (("field", "id"), *windows))
            case "values" if unique and self.flip():
                key = self.ordered()
                first = () if key is None else ((key, self.flip(), self.pick(None, "first")),)
                order = (*first, (("field", "id"), self.flip(), None))
                items = tuple(self.output() for _ in range(self.pick(1, 2, 3)))
                return Shape(base, "values", items, (), order, self.pick(None, 1, 3), True)
            case form:
                items = tuple(self.output() for _ in range(self.pick(1, 2, 3)))
                return Shape(base, "distinct" if form == "distinct" else "values", items)

    def fold(self) -> Recipe:
        """An aggregate."""
        function = self.pick(*FOLDS)
        if function == "count" and self.flip():
            return ("count",)
        if function in ("sum", "avg"):
            return (function, self.number(2)[0])
        recipe, kind = self.any(2)
        return (function, recipe if kind in LEAST else self.number(2)[0])

    def filtered(self) -> Recipe:
        """An aggregate, sometimes of some of the rows."""
        found = self.fold()
        return ("filtered", found, self.test(1)) if self.pick(0, 1, 2, 3) == 3 else found

    def window(self, *, unique: bool) -> Recipe:
        """A value over other rows; where rows may tie, one that ties do not change."""
        keys = tuple(self.output(1) for _ in range(self.pick(0, 1, 2)))
        order = [
            (key, self.flip(), self.pick(None, "first", "last"))
            for _ in range(self.pick(0, 1, 1))
            if (key := self.ordered()) is not None
        ]
        kinds = ("rank", "fold", "fold", "neighbour", "number", "ntile")
        kind = self.pick(*kinds) if unique else self.pick(*kinds[:2])
        if unique and (kind != "rank" or self.flip()):
            order.append((("field", "id"), self.flip(), None))
        units = ("rows", "groups") if unique else ("groups",)
        frame = None
        if kind in ("fold", "neighbour") and order and self.flip():
            frame = self.frame(self.pick(*units))
        function, operands = self.function(kind)
        return ("over", function, operands, keys, tuple(order), frame)

    def function(self, kind: str) -> tuple[str, tuple[Recipe, ...]]:
        """A function of a window."""
        match kind:
            case "rank":
                return self.pick(*RANKS), ()
            case "number":
                return "row_number", ()
            case "ntile":
                return "ntile", (("value", self.pick(1, 2, 3, 50)),)
            case "fold":
                function, *operands = self.fold()
                return function, tuple(operands)
        function = self.pick(*NEIGHBOURS)
        operand = self.output()
        if function in ("first_value", "last_value"):
            return function, (operand,)
        counts = (1, 2, 9) if function == "nth_value" else (1, 0, 2, -1, 20)
        return function, (operand, ("value", self.pick(*counts)))

    def frame(self, unit: str) -> tuple[str, int | None, int | None]:
        """A frame."""
        start, end = self.pick(None, -3, -1, 0, 1), self.pick(None, -2, 0, 1, 3)
        if start is not None and end is not None and start > end:
            start, end = end, start
        return unit, start, end


@st.composite
def cases(
    draw: st.DrawFn, count: int = 5
) -> tuple[tuple[Spec, ...], list[tuple[Any, ...]], list[Shape]]:
    """Columns, rows of values without the key, and queries."""
    wild = draw(st.booleans())
    specs = draw(columns(tuple(KINDS)))
    # Few different values, so that rows meet.
    pools = {
        kind: draw(st.lists(values(kind, wild=wild), min_size=1, max_size=4))
        for kind in dict.fromkeys(spec.kind for spec in specs)
    }
    # Hypothesis prefers little: left to itself, it draws few rows, and most answers are empty.
    size = draw(st.sampled_from(SIZES))
    known = random.Random(draw(st.integers(0, 2**32)))
    fields = [pools[spec.kind] * 2 + [None] * spec.nullable for spec in specs]
    made = [tuple(known.choice(field) for field in fields) for _ in range(size)]
    grammar = Shapes(draw, specs, pools, wild=wild)
    return specs, made, [grammar.shape() for _ in range(count)]
