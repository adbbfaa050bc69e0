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
        case _:
            names = keywords(shape, into)
            if names is not None:
                return lambda values: into(**dict(zip(names, values, strict=True)))
            return lambda values: into(*values)


def keywords(shape: Shape, into: Any) -> tuple[str, ...] | None:
    """The names by which `into` is given a row's values; None where it takes them by position."""
    # msgspec puts keyword-only fields behind the others; __match_args__ lists only the others.
    if shape not in ("entity", "struct") or (
        len(into.__match_args__) == len(into.__struct_fields__)
    ):
        return None
    return tuple(field.name for field in msgspec.structs.fields(into))
