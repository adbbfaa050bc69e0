"""Random expressions over the columns of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from tests.grammar import functions
from tests.grammar.kinds import INSTANTS, NUMBERS, UNORDERED, values
from tests.grammar.recipes import COMPARE, Recipe
from tests.grammar.tables import Spec

_NOT_IN = ("json", "ints", "texts", "decimals")


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
        if found := self.more(functions.number, depth):
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
        if made := self.more(functions.text, depth):
            return made  # type: ignore[no-any-return]
        found = self.field("text", "colour", "word")
        if found is None:
            return None
        leaf, kind = found
        if kind == "text" and depth > 0 and self.flip():
            return ("+", leaf, self.value("text"))
        return leaf

    def interval(self, depth: int) -> Recipe | None:
        if made := self.more(functions.interval, depth):
            return made  # type: ignore[no-any-return]
        found = self.field("interval")
        instant = self.field("timestamptz", "timestamp")
        if instant is not None and (found is None or self.flip()):
            left, kind = instant
            return ("-", left, self.value(kind))
        if found is None:
            return None
        leaf = found[0]
        computes = self.arithmetic and depth > 0
        match self.pick("leaf", "neg", "+", "-", "*", "/") if computes else "leaf":
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
        if made := self.more(functions.instant, depth):
            return made  # type: ignore[no-any-return]
        found = self.field(*INSTANTS)
        computes = self.arithmetic and depth > 0
        if found is None or found[1] == "date" or not computes or self.flip():
            return found
        leaf, kind = found
        right = self.interval(depth - 1) if self.flip() else None
        return (self.pick("+", "-"), leaf, right or self.value("interval")), kind

    def any(self, depth: int = 2) -> tuple[Recipe, str]:
        """An expression of any kind."""
        if made := self.more(functions.anything, depth):
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
        if made := self.more(functions.test, depth):
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
