"""What is asked of a journal; it names no driver."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["create", "update", "upsert", "delete"]


class Intent(NamedTuple):
    """What is to be done with the row of a key; of a deletion there is no entity."""

    kind: Kind
    key: Any
    entity: Any = None
