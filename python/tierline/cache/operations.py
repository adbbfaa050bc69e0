"""Operations of a journal as values: how they are written down, and which of them one batch needs.

Pure: the journal itself is in `journal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast

import msgspec

from tierline.cache.intents import Intent, Kind
from tierline.cache.l2_names import l2_name
from tierline.entity import Table

T = TypeVar("T")
K = TypeVar("K")

Effect: TypeAlias = Literal["create", "update", "upsert", "delete", "replace"]
"""What a batch does with a row; `replace` deletes it and writes it anew."""

_LETTERS: Final[dict[Kind, bytes]] = {
    "create": b"c",
    "update": b"u",
    "upsert": b"p",
    "delete": b"d",
}
_KINDS: Final[dict[bytes, Kind]] = {letter: kind for kind, letter in _LETTERS.items()}


class OperationId(NamedTuple):
    """Where an operation stands in its journal: milliseconds of Redis's clock, and a number."""

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


NOTHING = OperationId(0, 0)
"""Before every operation."""


def read_id(text: bytes | str) -> OperationId:
    """The id that a text says.

    Raises:
        ValueError: It says none.
    """
    ms, _, seq = (text.decode() if isinstance(text, bytes) else text).partition("-")
    return OperationId(int(ms), int(seq))


class Written(NamedTuple):
    """An operation as the journal holds it.

    Attributes:
        letter: Its kind.
        name: Its key as text, the same for the same key.
        payload: The entity, or the key of a deletion, as MessagePack.
    """

    letter: bytes
    name: bytes
    payload: bytes


class Entry(NamedTuple):
    """An operation in its place in the journal."""

    id: OperationId
    written: Written


class Operation(NamedTuple):
    """An entry that was read.

    Attributes:
        entry: What was read.
        intent: What it says; None if it cannot be read.
        problem: Why it cannot.
    """

    entry: Entry
    intent: Intent | None
    problem: str = ""


class OperationCodec(Generic[T, K]):
    """Writes down the operations of a table, and reads them.

    Entities are read by the names of their fields, so that a process with another version of the
    Struct can finish what an older one began, where the fields allow it.
    """

    def __init__(self, table: Table[T, K]) -> None:
        self._table = table
        self._encode = msgspec.msgpack.Encoder().encode
        self._entity = msgspec.msgpack.Decoder(table.entity).decode
        parts = [column.type.annotation for column in table.key_columns]
        key: Any = parts[0] if len(parts) == 1 else tuple[tuple(parts)]  # type: ignore[misc]
        self._key = msgspec.msgpack.Decoder(key).decode

    def name(self, key: K) -> bytes:
        """A key as text.

        Raises:
            ValueError: No row can have the key.
        """
        return l2_name("", self._table, key).encode()

    def write(self, intent: Intent) -> Written:
        """Write an operation down.

        Raises:
            TypeError, ValueError, OverflowError, msgspec.MsgspecError: It has no such form.
        """
        value = intent.key if intent.kind == "delete" else intent.entity
        return Written(_LETTERS[intent.kind], self.name(intent.key), self._encode(value))

    def read(self, entry: Entry) -> Operation:
        """Read an operation."""
        kind = _KINDS.get(entry.written.letter)
        if kind is None:
            return Operation(entry, None, "the journal holds an operation of an unknown kind")
        try:
            if kind == "delete":
                return Operation(entry, Intent(kind, self._key(entry.written.payload)))
            entity = self._entity(entry.written.payload)
            return Operation(entry, Intent(kind, self._table.key_of(entity), entity))
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            return Operation(entry, None, f"the journalled operation cannot be read: {error}")


# What two operations on one row do together. A pair that is not here has two outcomes that matter,
# so the second waits for the next batch.
_TOGETHER: Final[dict[tuple[Effect, Kind], Effect]] = {
    ("create", "update"): "create",
    ("create", "upsert"): "upsert",
    ("create", "delete"): "delete",
    ("update", "update"): "update",
    ("update", "upsert"): "upsert",
    ("update", "delete"): "delete",
    ("upsert", "update"): "upsert",
    ("upsert", "upsert"): "upsert",
    ("upsert", "delete"): "delete",
    ("delete", "create"): "replace",
    ("delete", "upsert"): "replace",
    ("delete", "delete"): "delete",
    ("replace", "update"): "replace",
    ("replace", "upsert"): "replace",
    ("replace", "delete"): "delete",
}


class Net(NamedTuple):
    """What a batch does with one row in the end."""

    effect: Effect
    key: Any
    entity: Any


def beginning(operations: Sequence[Operation]) -> Sequence[Operation]:
    """As many of the first operations as have one effect a row; at least one."""
    effects: dict[bytes, Effect] = {}
    for position, operation in enumerate(operations):
        intent = operation.intent
        if intent is None:
            continue
        name = operation.entry.written.name
        before = effects.get(name)
        together = intent.kind if before is None else _TOGETHER.get((before, intent.kind))
        if together is None:
            return operations[:position]
        effects[name] = together
    return operations


def coalesced(operations: Sequence[Operation]) -> list[Net]:
    """What operations do together, a row each, in the order of their first ones.

    Args:
        operations: Readable, and no more than `beginning` leaves.
    """
    net: dict[bytes, Net] = {}
    for operation in operations:
        kind, key, entity = cast("Intent", operation.intent)
        name = operation.entry.written.name
        before = net.get(name)
        effect: Effect = kind if before is None else _TOGETHER[before.effect, kind]
        net[name] = Net(effect, key, entity)
    return list(net.values())
