"""Field masks: `a.b,c(d,e/f)` as a tree, and what of a resource it keeps or changes."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

from tierline.testing.sheets.errors import ApiError, Json, invalid_field

# A tree of names; a leaf keeps everything below it.
Mask = dict[str, "Mask"]

_TOKEN = re.compile(r"[\w$*-]+|[,./()]")


def bad_mask(path: str) -> ApiError:
    """The answer to a mask that names no field."""
    description = (
        f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'."
    )
    return invalid_field("Request contains an invalid argument.", "", description)


def parse(text: str) -> Mask:
    """The tree of a mask.

    Raises:
        ApiError: It cannot be read.
    """
    tokens = _TOKEN.findall(text.replace(" ", ""))
    if "".join(tokens) != text.replace(" ", "") or not tokens:
        raise bad_mask(text)
    tree: Mask = {}
    rest = _branches(tokens, tree, text)
    if rest:
        raise bad_mask(text)
    return tree


def _branches(tokens: list[str], tree: Mask, text: str) -> list[str]:
    """Read `a.b,c(…)` into a tree, and answer what is left."""
    while True:
        node = tree
        while True:
            if not tokens or tokens[0] in ",./()":
                raise bad_mask(text)
            node = node.setdefault(tokens[0], {})
            tokens = tokens[1:]
            if tokens and tokens[0] in "./":
                tokens = tokens[1:]
                continue
            break
        if tokens and tokens[0] == "(":
            tokens = _branches(tokens[1:], node, text)
            if not tokens or tokens[0] != ")":
                raise bad_mask(text)
            tokens = tokens[1:]
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
            continue
        return tokens


def names(mask: Mask, path: str = "") -> list[str]:
    """Every path of a mask."""
    found: list[str] = []
    for name, below in mask.items():
        found += [path + name, *names(below, f"{path}{name}.")]
    return found


def project(value: Any, mask: Mask) -> Any:
    """What a mask keeps of a resource; lists are looked through."""
    if not mask or "*" in mask:
        return value
    if is_list(value):
        return [project(item, mask) for item in value]
    if is_object(value):
        return {name: project(value[name], below) for name, below in mask.items() if name in value}
    return value


def merged(old: Json, new: Json, mask: Mask) -> Json:
    """A resource after an update: what the mask names is the new one's."""
    if not mask or "*" in mask:
        return new
    result = dict(old)
    for name, below in mask.items():
        if below and isinstance(new.get(name), dict):
            result[name] = merged(as_object(old.get(name)), as_object(new[name]), below)
        elif below and name in old:
            result[name] = merged(as_object(old[name]), {}, below)
        elif name in new:
            result[name] = new[name]
        else:
            result.pop(name, None)
    return result


def is_object(value: Any) -> TypeGuard[Json]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether a JSON value is a list."""
    return isinstance(value, list)


def as_object(value: Any) -> Json:
    """A JSON object, or an empty one for anything else."""
    return value if is_object(value) else {}


def as_list(value: Any) -> list[Any]:
    """A JSON list, or an empty one for anything else."""
    return value if is_list(value) else []


def lean(value: Any) -> Any:
    """A resource without nulls, zeros, false and empty texts, as Google leaves defaults out."""
    if is_object(value):
        kept = {name: lean(item) for name, item in value.items()}
        return {
            name: item
            for name, item in kept.items()
            if item is not None and item is not False and item not in (0, "")
        }
    if is_list(value):
        return [lean(item) for item in value]
    return value
