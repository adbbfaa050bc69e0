"""What is handed out: a Struct, a tuple or one value of each row, as the store makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tierline.errors import DecodeError
from tierline.query.evaluate.registry import Scope, compiled
from tierline.query.evaluate.values import Read, given
from tierline.query.query import Projection
from tierline.query.shapes import maker


def making(projection: Projection, scope: Scope) -> Callable[[Any], Any]:
    """The function from a row, or a group, to what the projection makes of it.

    It raises a DecodeError for a value that its field cannot hold.
    """
    reads = [_output(output.name, output.expr, scope) for output in projection.outputs]
    build = maker(projection.shape, projection.into)

    into: Any = projection.into

    def make(row: Any) -> Any:
        values = [read(row) for read in reads]
        try:
            return build(values)
        except (ValueError, TypeError) as error:
            # A Struct's own `__post_init__` refused the row.
            raise DecodeError(f"a row does not make {into.__name__}: {error}") from error

    return make


def _output(name: str, node: Any, scope: Scope) -> Read:
    read, convert = compiled(node, scope), given(node.type)
    if convert is None:
        return read

    def give(row: Any) -> Any:
        value = read(row)
        if value is None:
            return None
        try:
            return convert(value)
        except (KeyError, ValueError, OverflowError) as error:
            raise DecodeError(
                f"a value of column {name!r} has no Python form: {type(error).__name__}",
                columns=(name,),
            ) from error

    return give
