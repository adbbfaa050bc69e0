"""The rows of a repository in memory, with the rules that a database would keep."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

from tierline.entity import ForeignKey, Table
from tierline.entity.types import is_list
from tierline.errors import ConstraintError, DuplicateError, RepositoryError

Identity: TypeAlias = tuple[Any, ...]
"""A row's key as it travels: one value a key column."""

LOCK = threading.RLock()
"""One for all repositories in memory, because foreign keys lead from one to another."""


class MemoryRows:
    """The rows of one table, by key, and of each unique constraint who has which values.

    Its methods are called under `LOCK`. They raise what a database would answer with.
    """

    def __init__(self, table: Table[Any, Any], references: Iterable[MemoryRows]) -> None:
        self.table = table
        self.by_key: dict[Identity, Any] = {}
        self.owners: list[dict[Identity, Identity]] = [{} for _ in table.uniques]
        self.dependents: list[tuple[MemoryRows, ForeignKey]] = []
        self._references: dict[str, MemoryRows] = {}
        by_id = {_table_id(rows.table): rows for rows in (*references, self)}
        for rule in table.foreign_keys:
            other = by_id.get(_table_id(rule.references))
            if other is not None:
                self._references[rule.name] = other
                other.dependents.append((self, rule))

    def saved(self) -> list[tuple[MemoryRows, dict[Identity, Any], list[dict[Identity, Identity]]]]:
        """What `restore` needs to undo everything that follows, cascades too."""
        reached = [self]
        for rows in reached:
            reached += [other for other, _ in rows.dependents if other not in reached]
        return [
            (rows, dict(rows.by_key), [dict(owners) for owners in rows.owners]) for rows in reached
        ]

    @staticmethod
    def restore(
        saved: list[tuple[MemoryRows, dict[Identity, Any], list[dict[Identity, Identity]]]],
    ) -> None:
        """Undo everything since `saved`."""
        for rows, by_key, owners in saved:
            rows.by_key, rows.owners = by_key, owners

    def identity(self, entity: Any) -> Identity:
        """An entity's key as it travels."""
        return self.table.read_key(self.table.key_of(entity))

    def add(self, entity: Any) -> None:
        """Write a new row.

        Raises:
            DuplicateError: The key or a unique value is taken.
            ConstraintError: A foreign key leads nowhere.
        """
        identity = self.identity(entity)
        if identity in self.by_key:
            raise self._duplicate(self.table.primary_key_name, self.table.key)
        self._put(identity, entity)

    def replace(self, identity: Identity, entity: Any) -> None:
        """Write another entity in place of a row; raises as `add`."""
        if self.identity(entity) == identity:
            self._release(identity, self.by_key[identity])
            self._put(identity, entity)
            return
        # Another key: nothing may refer to the old one, whatever it says about deletion.
        self._unlink(identity, followed=())
        self.remove(identity)
        self.add(entity)

    def remove(self, identity: Identity) -> None:
        """Delete a row, and what its dependents say with it.

        Raises:
            ConstraintError: Rows that stay refer to it.
        """
        entity = self.by_key.pop(identity)
        self._release(identity, entity)
        self._unlink(identity, followed=("cascade", "set null"))

    def _put(self, identity: Identity, entity: Any) -> None:
        for unique, owners in zip(self.table.uniques, self.owners, strict=True):
            values = self.values(entity, unique.columns)
            # NULL equals nothing, so it is never the same value.
            if None not in values and owners.setdefault(values, identity) != identity:
                raise self._duplicate(unique.name, unique.columns)
        self.by_key[identity] = entity
        for rule in self.table.foreign_keys:
            other = self._references.get(rule.name)
            values = self.values(entity, rule.columns)
            if other is not None and None not in values and values not in other.by_key:
                raise self._refused(
                    f"{', '.join(rule.columns)} names no row of {rule.references.name}; create "
                    "that row first",
                    rule.name,
                    rule.columns,
                )

    def _release(self, identity: Identity, entity: Any) -> None:
        for rule, owners in zip(self.table.uniques, self.owners, strict=True):
            values = self.values(entity, rule.columns)
            if owners.get(values) == identity:
                del owners[values]

    def _unlink(self, identity: Identity, followed: tuple[str, ...]) -> None:
        """Do with the rows that refer to a key what their rules say."""
        for other, rule in self.dependents:
            found = [
                key
                for key, row in other.by_key.items()
                if other.values(row, rule.columns) == identity
            ]
            for key in found:
                if rule.on_delete not in followed:
                    raise ConstraintError(
                        "other rows refer to this row; delete or change them first",
                        table=other.table.name,
                        constraint=rule.name,
                    )
                if rule.on_delete == "cascade":
                    # A cycle of references may have taken it already.
                    if key in other.by_key:
                        other.remove(key)
                else:
                    fields = {other.table.column(name).field: None for name in rule.columns}
                    other.replace(key, msgspec.structs.replace(other.by_key[key], **fields))

    def values(self, entity: Any, columns: tuple[str, ...]) -> Identity:
        """The values of some of an entity's columns, as they travel."""
        fields = [self.table.column(name).field for name in columns]
        wire = self.table.validator.values_of(entity, fields)
        found = (wire[name] for name in columns)
        return tuple(tuple(value) if is_list(value) else value for value in found)

    def _duplicate(self, constraint: str, columns: tuple[str, ...]) -> RepositoryError:
        error = DuplicateError(
            f"a row with the same {', '.join(columns)} exists; update it instead",
            table=self.table.name,
            constraint=constraint,
            columns=columns,
        )
        error.fields = self._fields(columns)
        return error

    def _refused(self, message: str, constraint: str, columns: tuple[str, ...]) -> RepositoryError:
        error = ConstraintError(
            message, table=self.table.name, constraint=constraint, columns=columns
        )
        error.fields = self._fields(columns)
        return error

    def _fields(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.table.column(name).field for name in columns)


def _table_id(table: Table[Any, Any]) -> tuple[str | None, str]:
    return table.schema, table.name
