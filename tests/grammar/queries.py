"""Random queries of one table: conditions, orders, pages, groups and aggregates."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.grammar.expressions import Grammar
from tests.grammar.kinds import EXTREMES, NUMBERS, UNORDERED
from tests.grammar.plans import Plan
from tests.grammar.recipes import AGGREGATES, COMPARE, Recipe
from tests.grammar.tables import Spec, columns, rows

LISTED = ("int", "float", "decimal", "text", "timestamptz", "interval", "uuid", "bool")


class Queries(Grammar):
    """Draws plans."""

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


@st.composite
def plans(draw: st.DrawFn, specs: tuple[Spec, ...], *, wild: bool) -> Plan:
    """A query over the columns."""
    grammar = Queries(draw, specs, wild=wild)
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
