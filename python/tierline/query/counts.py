"""Numbers of rows: plain ones, and those that are told when a query runs."""

from __future__ import annotations

from typing import Any

import msgspec

from tierline.query.expressions import Expr
from tierline.query.parameters import Param
from tierline.query.tracing import Traced


def row_count(name: str, value: Any) -> int | Expr | None:
    """A checked number of rows; of a `tl.param` what stands for it.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is negative.
    """
    if isinstance(value, Traced):
        return _told_later(name, value.expr)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value is not None and value < 0:
        raise ValueError(f"{name} must not be negative, but is {value}")
    return value


def _told_later(name: str, node: Expr) -> Expr:
    if isinstance(node, Param) and node.type.wire == "int8" and node.type.choices is None:
        if node.nullable:
            raise TypeError(
                f"{name} takes tl.param({node.name!r}, int): a query without one is another query"
            )
        return msgspec.structs.replace(node, counts_rows=True)
    raise TypeError(
        f"{name} is one number for the whole query: an int, or tl.param(…, int); no row has one"
    )
