"""Shapes: what the values of a row are made into, on every engine alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

Shape: TypeAlias = Literal["entity", "struct", "tuple", "scalar", "joined"]


def maker(shape: Shape, into: Any) -> Callable[[Sequence[Any]], Any]:
    """The function from a row's values to what they are made into.

    Args:
        shape: Which kind of thing that is.
        into: Called with the values, for the shapes that are no tuple or single value.
    """
    match shape:
        case "scalar":
            return lambda values: values[0]
        case "tuple":
            return tuple
        case "entity" | "struct" if _has_keyword_only(into):
            fields = [field.name for field in msgspec.structs.fields(into)]
            return lambda values: into(**dict(zip(fields, values, strict=True)))
        case _:
            return lambda values: into(*values)


def _has_keyword_only(into: Any) -> bool:
    # msgspec puts keyword-only fields behind the others; __match_args__ lists only the others.
    return len(into.__match_args__) != len(into.__struct_fields__)
