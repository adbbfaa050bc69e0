"""Functions of the catalogue: each name with how a call of it is compiled.

The modules of each type fill the table when `tierline.query.evaluate` is imported. What a function
does is what its line of `sql/functions.py` does, cast by cast, so that it fails where that fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tierline.query.calls import Call
from tierline.query.evaluate.registry import Scope, compiled, evaluation, strict
from tierline.query.evaluate.values import Convert, Read

Build: TypeAlias = Callable[[Call, Scope], Read]

FUNCTIONS: dict[str, Build] = {}
"""How to compile a call of each function; one for every name in the catalogue."""


@evaluation(Call)
def _call(node: Call, scope: Scope) -> Read:
    return FUNCTIONS[node.function](node, scope)


def function(name: str) -> Callable[[Build], Build]:
    """Register how calls of a function are compiled."""

    def register(build: Build) -> Build:
        FUNCTIONS[name] = build
        return build

    return register


def operands(node: Call, scope: Scope) -> list[Read]:
    """The operands of a call."""
    return [compiled(operand, scope) for operand in node.operands]


def plain(name: str, apply: Callable[..., Any]) -> None:
    """Register a function of values, whose answer is NULL if one of them is."""
    FUNCTIONS[name] = lambda node, scope: strict(apply, *operands(node, scope))


def unary(name: str, apply: Convert) -> None:
    """Register a function of one value, whose answer is NULL if that is."""
    plain(name, apply)


def by_wire(name: str, applies: dict[str, Convert]) -> None:
    """Register a function of one value that depends on the value's type."""
    FUNCTIONS[name] = lambda node, scope: strict(
        applies[node.operands[0].type.wire], *operands(node, scope)
    )


def with_nulls(name: str, apply: Callable[..., Any]) -> None:
    """Register a function that is also asked where values are NULL, because it may fail there."""

    def build(node: Call, scope: Scope) -> Read:
        reads = operands(node, scope)
        return lambda row: apply(*[read(row) for read in reads])

    FUNCTIONS[name] = build
