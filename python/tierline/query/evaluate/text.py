"""Text: case, stripping, replacing and patterns, under the C collation."""

from __future__ import annotations

from tierline.query.calls import Call
from tierline.query.evaluate.functions import function, operands, plain
from tierline.query.evaluate.patterns import is_like
from tierline.query.evaluate.registry import Scope, strict
from tierline.query.evaluate.regular_expressions import translated
from tierline.query.evaluate.values import Read
from tierline.query.expressions import Value

_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_UPPER = {ord(lower): chr(upper) for upper, lower in _LOWER.items()}


def lower(text: str) -> str:
    """ASCII letters in lower case; others stay as they are."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def upper(text: str) -> str:
    """ASCII letters in upper case; others stay as they are."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def _replace(text: str, old: str, new: str) -> str:
    return text.replace(old, new) if old else text


def _is_ilike(text: str, pattern: str) -> bool:
    return is_like(lower(text), lower(pattern))


plain("lower", lower)
plain("upper", upper)
plain("strip", str.strip)
plain("lstrip", str.lstrip)
plain("rstrip", str.rstrip)
plain("replace", _replace)
plain("like", is_like)
plain("ilike", _is_ilike)


@function("matches")
def _matches(node: Call, scope: Scope) -> Read:
    pattern = node.operands[1]
    if not isinstance(pattern, Value):
        raise TypeError(
            "matches cannot be evaluated in memory with a pattern that is a field: which patterns "
            "mean the same here is decided when the query is built"
        )
    search = translated(pattern.value).search

    def is_found(text: str) -> bool:
        return search(text) is not None

    return strict(is_found, operands(node, scope)[0])
