"""Changes: an entity and what is to be different in it, as a frozen value."""

from __future__ import annotations

import difflib
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Change(msgspec.Struct, Generic[T], frozen=True):
    """What is to be different in an entity; make it with `tl.change`.

    Attributes:
        before: The entity as it was read.
        after: The entity as it is to be.
        fields: The fields that differ, in field order.
    """

    before: T
    after: T
    fields: tuple[str, ...]


def change(entity: T, /, **fields: object) -> Change[T]:
    """Say what is to be different in an entity.

    `repository.update(change)` validates these fields and writes only them, so that two callers
    who change different fields of one row do not undo each other's work.

    Args:
        entity: As it was read.
        **fields: Fields and their new values; equal ones are left out.

    Raises:
        TypeError: The entity has no such field.

    Example:
        ``flights.update(tl.change(flight, dest="LAX"))``
    """
    given: Any = entity
    if not isinstance(given, msgspec.Struct):
        raise TypeError(f"change takes an entity, a msgspec Struct, not {entity!r}")
    known = given.__struct_fields__
    for field in fields:
        if field not in known:
            close = difflib.get_close_matches(field, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise TypeError(f"{type(entity).__name__} has no field {field!r}; {hint}")
    changed = {
        field: fields[field]
        for field in known
        if field in fields and _differs(getattr(entity, field), fields[field])
    }
    after: Any = msgspec.structs.replace(given, **changed)
    return Change(entity, after, tuple(changed))


def _differs(old: object, new: object) -> bool:
    # True equals 1, and a field of one type may not take the other.
    return type(old) is not type(new) or old != new
