"""Text: the methods of traced text, slices, patterns and `tl.length`."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, TypeGuard, cast, overload

from tierline.entity.types import BOOL, INT8, TEXT
from tierline.query.calls import Call, Cast
from tierline.query.expressions import Expr, TextTest, Value
from tierline.query.members import MEMBERS, OPERATIONS, method
from tierline.query.tracing import Traced, text_match, to_expr

# What `str.strip()` takes off: `str.isspace` over all of Unicode.
WHITESPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)

# No text or array is longer, so positions beyond it mean the same, and fit 32 bits.
_POSITION_MAX = 2**30


def text(value: object, function: str) -> Expr:
    """The expression of a text operand.

    Raises:
        TypeError: It is something else.
    """
    if value is None:
        raise TypeError(f"{function} of None has no meaning; test with tl.is_null")
    expr = to_expr(value, TEXT)
    if expr.type.wire != "text":
        raise TypeError(f"{function} needs text, not {expr.type.sql}; see tl.cast")
    return expr


def position(value: object, what: str) -> Expr:
    """The expression of a position or bound in a text, an array or a JSON list.

    Raises:
        TypeError: It is no integer.
    """
    if isinstance(value, Traced):
        if value.expr.type.wire != "int8":
            raise TypeError(f"{what} must be an integer, not {value.expr.type.sql}")
        return value.expr
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what} must be an integer, not {value!r}")
    return Value(max(-_POSITION_MAX, min(value, _POSITION_MAX)), INT8)


def is_slice(value: object) -> TypeGuard[slice[Any, Any, Any]]:
    """`isinstance(value, slice)`, with bounds of any type rather than of an unknown one."""
    return isinstance(value, slice)


def sliced(kind: str, operand: Traced, part: slice[Any, Any, Any]) -> Traced:
    """`operand[start:stop]` of a text or an array, by Python's rules."""
    if part.step is not None and part.step != 1:
        raise TypeError("a slice with a step cannot be traced; only text[::-1] can")
    bounds = [
        position(bound, "a bound of a slice")
        for bound in (part.start, part.stop)
        if bound is not None
    ]
    if not bounds:
        return operand
    one = "from" if part.stop is None else "to"
    function = f"{kind}_slice" if len(bounds) == 2 else f"{kind}_{one}"
    type_ = operand.expr.type if kind == "array" else TEXT
    return Traced(Call(function, (operand.expr, *bounds), type_))


def _item(operand: Traced, key: object) -> Traced:
    if is_slice(key):
        if key.step == -1 and key.start is None and key.stop is None:
            return Traced(Call("text_reverse", (operand.expr,), TEXT))
        return sliced("text", operand, key)
    index = position(key, "a position in a text")
    return Traced(Call("text_at", (operand.expr, index), TEXT))


def _unary(function: str) -> Any:
    def make(operand: Traced) -> Traced:
        return Traced(Call(function, (operand.expr,), TEXT))

    return method(make)


def _strip(function: str) -> Any:
    def make(operand: Traced, characters: object = None, /) -> Traced:
        given = WHITESPACE if characters is None else characters
        return Traced(Call(function, (operand.expr, text(given, function)), TEXT))

    return method(make)


def _replace(operand: Traced, old: object, new: object, /) -> Traced:
    if isinstance(old, str) and not old:
        raise TypeError("replace of an empty text would put the other between all characters")
    return Traced(Call("replace", (operand.expr, text(old, "replace"), text(new, "replace")), TEXT))


def _test(test: TextTest) -> Any:
    def make(operand: Traced, part: object, /) -> Traced:
        if isinstance(part, tuple):
            raise TypeError(f"{test} takes one text; combine several with `|`")
        return text_match(test, operand, part)

    return method(make)


def _plain_value(operand: Traced) -> Traced:
    plain = INT8 if operand.expr.type.wire == "int8" else TEXT
    return Traced(Cast(operand.expr, plain))


MEMBERS["text"] = {
    "lower": _unary("lower"),
    "upper": _unary("upper"),
    "strip": _strip("strip"),
    "lstrip": _strip("lstrip"),
    "rstrip": _strip("rstrip"),
    "replace": method(_replace),
    "startswith": _test("startswith"),
    "endswith": _test("endswith"),
    "value": _plain_value,
}
MEMBERS["int8"] = {"value": _plain_value}
OPERATIONS["text", "[]"] = _item

_LENGTHS = {
    "text": "text_length",
    "bytea": "bytes_length",
    "array": "array_length",
    "jsonb": "json_length",
}


@overload
def length(value: str | bytes | Collection[Any]) -> int: ...
@overload
def length(value: str | bytes | Collection[Any] | None) -> int | None: ...
def length(value: object) -> int | None:
    """How long a text, bytes, an array or a JSON list is.

    Args:
        value: Text counts in code points, as `len` does, and bytes in bytes. NULL has no length,
            nor has JSON that is no list.

    Raises:
        TypeError: The value has no length.

    Example:
        ``tl.select(FLIGHTS, where=lambda f: tl.length(f.carrier) == 2)``
    """
    if not isinstance(value, Traced):
        return None if value is None else len(cast("Collection[Any]", value))
    function = _LENGTHS.get(value.expr.type.wire)
    if function is None:
        raise TypeError(f"length needs text, bytes or a list, not {value.expr.type.sql}")
    return cast("int", Traced(Call(function, (value.expr,), INT8)))


def _is_traced(*values: object) -> bool:
    return any(isinstance(value, Traced) for value in values)


def _pattern_test(function: str, value: object, pattern: object) -> bool:
    operands = (text(value, function), text(pattern, function))
    return cast("bool", Traced(Call(function, operands, BOOL)))


def like(text: str | None, pattern: str) -> bool:
    r"""Whether the whole text fits a pattern, in which ``%`` is any text and ``_`` one character.

    A backslash takes the next character literally. For parts that are meant literally use
    `startswith`, `endswith` and `tl.contains`.

    Errors, when it runs: `QueryError` for a pattern that ends in a backslash.

    Raises:
        TypeError: An operand is no text.
        ValueError: On plain values: the pattern ends in a backslash.

    Example:
        ``tl.like(f.tailnum, "N%UA")``
    """
    if _is_traced(text, pattern):
        return _pattern_test("like", text, pattern)
    return text is not None and _like_regex(pattern, 0).fullmatch(text) is not None


def ilike(text: str | None, pattern: str) -> bool:
    """As `like`, without regard to case.

    The column's collation says which letters beyond ASCII are the same; with C, as in tables made
    by `create_table`, none are.

    Errors, when it runs: `QueryError` for a pattern that ends in a backslash.

    Raises:
        TypeError: An operand is no text.
        ValueError: On plain values: the pattern ends in a backslash.
    """
    if _is_traced(text, pattern):
        return _pattern_test("ilike", text, pattern)
    return text is not None and _like_regex(pattern, re.IGNORECASE).fullmatch(text) is not None


_LIKE_PART = re.compile(r"\\(.)|(%)|(_)|([^\\%_]+)|\\", re.DOTALL)
_LIKE_WILDCARDS = {2: ".*", 3: "."}


def _like_regex(pattern: str, flags: int) -> re.Pattern[str]:
    parts: list[str] = []
    for found in _LIKE_PART.finditer(pattern):
        group = found.lastindex
        if group is None:
            raise ValueError("a LIKE pattern must not end in a backslash")
        parts.append(_LIKE_WILDCARDS.get(group) or re.escape(found[group]))
    return re.compile("".join(parts), flags | re.DOTALL)


def matches(text: str | None, pattern: str) -> bool:
    r"""Whether a regular expression matches anywhere in a text; ``^`` and ``$`` tie it to the ends.

    PostgreSQL reads its own dialect, POSIX advanced expressions. Unlike in Python's `re`:
    ``.`` and ``[^a]`` also match a newline, ``$`` does not match before a final newline;
    ``\m``, ``\M``, ``\y`` are the beginning, the end and either edge of a word (not ``\b``, which
    is a backspace), ``\Z`` is the end of the text; there are no named groups and no possessive
    quantifiers; whether a branch is greedy is decided as a whole; options such as ``(?i)`` stand
    at the beginning only. Plain values are matched by `re`, with ``.`` matching a newline.

    Errors, when it runs: `QueryError` for a pattern that is not valid.

    Raises:
        TypeError: An operand is no text.
        re.error: On plain values: the pattern is not valid.

    Example:
        ``tl.matches(f.tailnum, "^N[0-9]+")``
    """
    if _is_traced(text, pattern):
        return _pattern_test("matches", text, pattern)
    return text is not None and re.search(pattern, text, re.DOTALL) is not None
