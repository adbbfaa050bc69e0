"""Functions, choices, casts and paths for the random expressions of `Grammar`.

Each function here draws an expression of one kind; it answers None where the columns allow none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.grammar.recipes import COMPARE

if TYPE_CHECKING:
    from typing import Any

    from tests.grammar.expressions import Grammar
    from tests.grammar.recipes import Recipe

_CHOICES = ("case", "when", "coalesce", "nullif", "greatest", "least")
_PATTERNS = ("%", "a%", "%b%", "_", "%é", "\\%", "a_a", "A%", "")
_BROKEN = ("%\\", "a\\")
_EXPRESSIONS = ("a", "^a", "b$", "^.$", "[^a]", "(a|b)+$", r"\d", r"\w$", "^$", "(?i)A", "a{2}",
                "[[:upper:]]", r"\ma", "é|e", "^(?!a)")  # fmt: skip
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")
_DAY_UNITS = ("day", "week", "month", "quarter", "year")
_UNITS = ("second", "minute", "hour", *_DAY_UNITS)


def _value(value: Any) -> Recipe:
    return ("value", value)


def _choice(g: Grammar, first: Recipe, second: Recipe, depth: int) -> Recipe:
    name = g.pick(*_CHOICES)
    if name == "case":
        return (name, g.condition(depth - 1), first, second)
    if name == "when":
        return (name, g.condition(depth - 1), first)
    return (name, first, second)


def _common(*kinds: str) -> str:
    return next((kind for kind in ("float", "decimal") if kind in kinds), "int")


def number(g: Grammar, depth: int) -> tuple[Recipe, str] | None:  # noqa: C901 (a list of them)
    """A number made of something else, and its kind."""
    match g.pick("round", "choice", "cast", "length", "part", "span", "item", "json"):
        case "round":
            inner, kind = g.number(depth - 1)
            if kind == "level":
                return ("abs", inner), "int"
            name = g.pick("abs", "round", "floor", "ceil", "truncate", "digits")
            if name == "digits":
                digits = _value(g.pick(0, 1, 2, -1, 5))
                return None if kind == "float" else (("round", inner, digits), kind)
            return (name, inner), kind if name == "abs" else "int"
        case "choice":
            first, kind = g.number(depth - 1)
            second, other = g.number(depth - 1)
            if "level" in (kind, other):
                return None
            found = _choice(g, first, second, depth)
            # What compares the two answers in the type it compares in.
            return found, kind if found[0] == "when" else _common(kind, other)
        case "cast":
            inner, kind = g.number(depth - 1)
            to = g.pick("int", "float", "decimal")
            return (f"cast_{to}", inner), to
        case "length":
            text = g.text(depth - 1) if g.flip() else None
            array = g.field("ints", "texts", "decimals", "bytes", "json")
            operand = text or (array and array[0])
            return None if operand is None else (("length", operand), "int")
        case "part":
            return _part(g, depth)
        case "span":
            interval = g.interval(depth - 1)
            if interval is None:
                return None
            name = g.pick(".days", ".seconds", ".microseconds", ".total_seconds()")
            return (name, interval), "float" if name.endswith(")") else "int"
        case "item":
            array = g.field("ints", "decimals")
            if array is None:
                return None
            index = _value(g.pick(0, 1, -1, 5))
            return ("item", array[0], index), "int" if array[1] == "ints" else "decimal"
        case _:
            found = _document(g) if g.faults else None
            to = g.pick("int", "float", "decimal")
            return None if found is None else ((f"cast_{to}", found), to)


def _part(g: Grammar, depth: int) -> tuple[Recipe, str] | None:
    clock = g.field("time", "timetz")
    day = ("year", "month", "day", "weekday()", "isoweekday()")
    times = ("hour", "minute", "second", "microsecond")
    if clock is not None and g.flip():
        return (f".{g.pick(*times)}", clock[0]), "int"
    found = g.instant(depth - 1)
    if found is None:
        return None
    recipe, kind = found
    if kind == "timestamptz" and g.pick(0, 1, 2, 3) == 0:
        return (".timestamp()", recipe), "float"
    return (f".{g.pick(*day, *(() if kind == 'date' else times))}", recipe), "int"


def _document(g: Grammar) -> Recipe | None:
    found = g.field("json")
    if found is None:
        return None
    recipe: Recipe = ("item", found[0], _value(g.pick("a", "a", "b", "")))
    step = g.pick(None, None, 0, 1, -1, "b")
    return recipe if step is None else ("item", recipe, _value(step))


def _plain_text(g: Grammar, depth: int) -> Recipe | None:
    """A text that is no member of an Enum, though it may be the value of one."""
    found = g.text(depth)
    if found is None or found[0] != "field" or g.kind(found) == "text":
        return found
    return (".lower()", found)


def text(g: Grammar, depth: int) -> Recipe | None:  # noqa: C901 (a list of them)
    """A text made of something else."""
    match g.pick("method", "method", "choice", "slice", "cast", "json", "item"):
        case "method" if (inner := _plain_text(g, depth - 1)) is not None:
            name = g.pick("lower", "upper", "strip", "lstrip", "rstrip", "replace", "reverse")
            if name == "reverse":
                return (name, inner)
            if name == "replace":
                old, new = g.pick("a", "ab", "é", "\\"), g.pick("", "x", "aa")
                return (".replace()", inner, _value(old), _value(new))
            if name.endswith("strip") and g.flip():
                return (f".{name}()", inner, _value(g.pick("a", "ba", "é", "")))
            return (f".{name}()", inner)
        case "choice":
            first, second = _plain_text(g, depth - 1), _plain_text(g, depth - 1)
            if first is None or second is None:
                return None
            return _choice(g, first, second if g.flip() else g.value("text"), depth)
        case "slice" if (inner := _plain_text(g, depth - 1)) is not None:
            if g.flip():
                bound = g.number(0)
                index = bound[0] if bound[1] == "int" and g.flip() else _value(g.pick(0, 1, -1))
                return ("item", inner, index)
            start, stop = (_value(g.pick(None, 0, 1, -1, 2, -3)) for _ in range(2))
            return ("slice", inner, start, stop)
        case "cast":
            if g.flip():
                return ("cast_text", g.number(depth - 1)[0])
            found = g.field("bool", "uuid", "date", "time", "timetz", "timestamp", "timestamptz",
                            "interval")  # fmt: skip
            return None if found is None else ("cast_text", found[0])
        case "json" if (document := _document(g)) is not None:
            return ("cast_text", document)
        case "item" if (array := g.field("texts")) is not None:
            return ("item", array[0], _value(g.pick(0, 1, -1)))
        case _:
            return None


def interval(g: Grammar, depth: int) -> Recipe | None:
    """An interval made of something else."""
    match g.pick("abs", "choice", "dates"):
        case "abs" if (inner := g.interval(depth - 1)) is not None:
            return ("abs", inner)
        case "choice" if (inner := g.interval(depth - 1)) is not None:
            other = g.interval(depth - 1) or inner
            return _choice(g, inner, g.value("interval") if g.flip() else other, depth)
        case "dates" if (found := g.field("date")) is not None:
            return ("-", found[0], g.value("date"))
        case _:
            return None


def instant(g: Grammar, depth: int) -> tuple[Recipe, str] | None:
    """A date or timestamp made of something else, and its kind."""
    found = g.instant(depth - 1)
    if found is None:
        return None
    recipe, kind = found
    match g.pick("trunc", "zone", "choice", "cast", "days"):
        case "trunc" if kind == "timestamptz":
            return ("trunc_zone", _value(g.pick(*_UNITS)), recipe, _value(g.pick(*_ZONES))), kind
        case "trunc":
            units = _DAY_UNITS if kind == "date" else _UNITS
            return ("trunc", _value(g.pick(*units)), recipe), kind
        case "zone" if kind == "timestamptz":
            return ("at_zone", recipe, _value(g.pick(*_ZONES))), "timestamp"
        case "choice":
            return _choice(g, recipe, g.value(kind), depth), kind
        case "cast":
            if kind == "date" or g.flip():
                return ("cast_instant", recipe), "timestamptz"
            return (g.pick("cast_date", ".date()"), recipe), "date"
        case "days" if kind == "date":
            right = g.interval(depth - 1) if g.flip() else None
            return (g.pick("+", "-"), recipe, right or g.value("interval")), kind
        case _:
            return None


def test(g: Grammar, depth: int) -> Recipe | None:
    """A condition on something else than a comparison."""
    match g.pick("like", "matches", "quantified", "contains", "between", "bool", "json", "choice"):
        case "like" if (text := g.text(depth - 1)) is not None:
            return (
                g.pick("like", "ilike"),
                text,
                _value(g.pick(*_PATTERNS, *(_BROKEN if g.faults else ()))),
            )
        case "matches" if (text := g.text(depth - 1)) is not None:
            return ("matches", text, _value(g.pick(*_EXPRESSIONS)))
        case "quantified":
            return _quantified(g, depth)
        case "contains" if (array := g.field("ints", "texts", "decimals")) is not None:
            other = g.field(array[1])
            values = other[0] if other is not None and g.flip() else g.value(array[1])
            return (g.pick("contains_all", "overlaps"), array[0], values)
        case "between":
            inner, kind = g.number(depth - 1)
            kinds = ("int", "float", "decimal")
            return None if kind == "level" else (
                "between", inner, g.value(g.pick(*kinds)), g.value(g.pick(*kinds))
            )  # fmt: skip
        case "bool":
            return ("cast_bool", g.number(depth - 1)[0])
        case "json" if (document := _document(g)) is not None:
            return (g.pick("==", "!="), document, _value(g.pick(1, True, "é", [1, {"b": None}])))
        case "choice":
            return _choice(g, g.condition(depth - 1), g.condition(depth - 1), depth)
        case _:
            return None


def _quantified(g: Grammar, depth: int) -> Recipe | None:
    array = g.field("ints", "texts", "decimals")
    if array is None:
        return None
    symbol = _value(g.pick(*COMPARE))
    if array[1] == "texts":
        operand = g.text(depth - 1) if g.flip() else None
        return (g.pick("any", "all"), symbol, array[0], operand or g.value("text"))
    operand, kind = g.number(depth - 1)
    if kind == "level" or g.flip():
        operand = g.value(g.pick("int", "float", "decimal"))
    return (g.pick("any", "all"), symbol, array[0], operand)


def anything(g: Grammar, depth: int) -> tuple[Recipe, str] | None:
    """An expression of a kind that has no operators of its own, and its kind."""
    match g.pick("slice", "document", "time", "choice"):
        case "slice" if (array := g.field("ints", "texts", "decimals")) is not None:
            start, stop = (_value(g.pick(None, 0, 1, -1, 5)) for _ in range(2))
            return ("slice", array[0], start, stop), array[1]
        case "document" if (document := _document(g)) is not None:
            return document, "json"
        case "time" if (found := g.field("timestamp", "timestamptz")) is not None:
            return (".time()", found[0]), "time"
        case "choice" if (found := g.field("uuid", "time", "timetz", "bytes")) is not None:
            return _choice(g, found[0], g.value(found[1]), depth), found[1]
        case _:
            return None
