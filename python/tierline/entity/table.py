"""Tables: how an entity maps to columns, its key and the rules between tables."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args

import msgspec

from tierline._core import EntityChecker
from tierline.entity.checking import entity_checker
from tierline.entity.column import Column, column_of
from tierline.entity.key import check_key_types, key_reader
from tierline.entity.lifecycle import lifecycle_problem
from tierline.entity.types import is_tuple
from tierline.entity.validation import Validator

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R")

OnDelete: TypeAlias = Literal["no action", "restrict", "cascade", "set null"]


class ForeignKey(msgspec.Struct, frozen=True):
    """Columns whose values must be a key of another table."""

    name: str
    columns: tuple[str, ...]
    references: Table[Any, Any]
    on_delete: OnDelete = "no action"


class Unique(msgspec.Struct, frozen=True):
    """Columns whose values together occur once."""

    name: str
    columns: tuple[str, ...]


class Index(msgspec.Struct, frozen=True):
    """Columns that an index speeds up."""

    name: str
    columns: tuple[str, ...]


class Table(msgspec.Struct, Generic[T, K], frozen=True, eq=False, dict=True):
    """An entity's table: an inert value; build it with `tl.table`.

    Attributes:
        entity: The Struct whose instances are the rows.
        name: The table's name.
        schema: The schema it lies in, or None for the connection's search path.
        columns: One column a field, in field order.
        key: Names of the primary key's columns.
        key_of: The key of an entity.
        copy: Whether a mutable entity is copied each time it is handed out.
        version: The column that counts an entity's updates, or None.
        deleted_at: The column that says when a row was deleted, or None: rows are deleted for real.
        created_at: The column that says when a row was written first, or None.
        updated_at: The column that says when a row was written last, or None.
    """

    entity: type[T]
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    key_of: Callable[[T], K]
    schema: str | None = None
    foreign_keys: tuple[ForeignKey, ...] = ()
    uniques: tuple[Unique, ...] = ()
    indexes: tuple[Index, ...] = ()
    copy: bool = False
    version: str | None = None
    deleted_at: str | None = None
    created_at: str | None = None
    updated_at: str | None = None

    def foreign_key(
        self,
        columns: Callable[[T], R | None],
        references: Table[Any, R],
        *,
        on_delete: OnDelete = "no action",
    ) -> Table[T, K]:
        """This table with a foreign key: `columns` must be None or a key of `references`.

        Example:
            ``FLIGHTS.foreign_key(lambda f: f.carrier, AIRLINES)``

        Raises:
            TypeError: The columns do not match the other table's key in number and type.
        """
        if on_delete not in get_args(OnDelete):
            raise TypeError(f"on_delete must be one of {get_args(OnDelete)}, not {on_delete!r}")
        names = column_names(self, columns, "foreign_key")
        own = [self.column(name).type.oid for name in names]
        other = [references.column(name).type.oid for name in references.key]
        if own != other:
            raise TypeError(
                f"{self.name}.foreign_key: columns {names} do not match the key {references.key} "
                f"of {references.name} in number and type"
            )
        rule = ForeignKey(self._rule_name(names, "fkey"), names, references, on_delete)
        return msgspec.structs.replace(self, foreign_keys=(*self.foreign_keys, rule))

    def unique(self, columns: Callable[[T], object]) -> Table[T, K]:
        """This table with a unique constraint: ``PLANES.unique(lambda p: (p.maker, p.serial))``."""
        names = column_names(self, columns, "unique")
        rule = Unique(self._rule_name(names, "key"), names)
        return msgspec.structs.replace(self, uniques=(*self.uniques, rule))

    def index(self, columns: Callable[[T], object]) -> Table[T, K]:
        """This table with an index: ``FLIGHTS.index(lambda f: f.origin)``."""
        names = column_names(self, columns, "index")
        rule = Index(self._rule_name(names, "idx"), names)
        return msgspec.structs.replace(self, indexes=(*self.indexes, rule))

    def column(self, name: str) -> Column:
        """The column of that SQL name.

        Raises:
            KeyError: There is none.
        """
        return self._by_name[name]

    def _rule_name(self, columns: tuple[str, ...], suffix: str) -> str:
        """A name of at most 63 bytes that stays the same for the same rule."""
        name = "_".join((self.name, *columns, suffix))
        if len(name.encode()) <= 63:
            return name
        digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
        return f"{name.encode()[:50].decode(errors='ignore')}_{digest}_{suffix[:3]}"

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def by_field(self) -> dict[str, Column]:
        """The columns by their field's Python name."""
        return {column.field: column for column in self.columns}

    @cached_property
    def key_columns(self) -> tuple[Column, ...]:
        """The primary key's columns, in key order."""
        return tuple(self.column(name) for name in self.key)

    @cached_property
    def managed(self) -> tuple[str, ...]:
        """The columns that writes fill in themselves: version, deletion and stamps."""
        options = (self.version, self.deleted_at, self.created_at, self.updated_at)
        return tuple(name for name in options if name is not None)

    @cached_property
    def is_stamped(self) -> bool:
        """Whether the database's clock fills in a column of a new row."""
        return self.created_at is not None or self.updated_at is not None

    @cached_property
    def has_integer_key(self) -> bool:
        """Whether the key is one plain integer."""
        types = [column.type for column in self.key_columns]
        return len(types) == 1 and types[0].wire == "int8" and types[0].choices is None

    @cached_property
    def primary_key_name(self) -> str:
        """The name of the primary key constraint."""
        return self._rule_name((), "pkey")

    @cached_property
    def rules(self) -> dict[str, tuple[str, ...]]:
        """Columns by constraint name, as `create_table` names them."""
        rules = {rule.name: rule.columns for rule in self.foreign_keys}
        rules |= {rule.name: rule.columns for rule in self.uniques}
        rules[self.primary_key_name] = self.key
        rules |= {self.check_name(column): (column.name,) for column in self.columns}
        return rules

    def check_name(self, column: Column) -> str:
        """The name of a column's CHECK constraint."""
        return self._rule_name((column.name,), "check")

    @cached_property
    def validator(self) -> Validator:
        """Checks entities of this table and takes their values apart."""
        return Validator(self.entity, self.columns)

    @cached_property
    def checker(self) -> EntityChecker | None:
        """Finds the entities of a batch that need no validator, if the fields allow it."""
        return entity_checker(self.entity, self.columns)

    @cached_property
    def read_key(self) -> Callable[[Any], tuple[Any, ...]]:
        """From a key to the key columns' values; see `key_reader` for what it raises."""
        return key_reader(self.key_columns)

    @cached_property
    def fingerprint(self) -> int:
        """64 bits that change when the entity's schema changes; marks L2 frames."""
        schema = msgspec.json.encode(msgspec.json.schema(self.entity), order="deterministic")
        return int.from_bytes(hashlib.blake2b(schema, digest_size=8).digest(), "big")

    def __repr__(self) -> str:
        columns = ", ".join(
            f"{column.name} {column.type.sql}{'' if column.nullable else ' not null'}"
            for column in self.columns
        )
        return (
            f"<Table {self.name} of {self.entity.__name__}: {columns}; key {', '.join(self.key)}>"
        )


class _FieldNames:
    """Stands in for an entity while a key lambda is traced: attributes answer their column."""

    def __init__(self, columns: tuple[Column, ...], what: str) -> None:
        self._columns = {column.field: column for column in columns}
        self._what = what

    def __getattr__(self, field: str) -> Column:
        try:
            return self._columns[field]
        except KeyError:
            known = ", ".join(self._columns)
            raise AttributeError(f"{self._what}: no field {field!r}; there are {known}") from None


def _traced_names(
    columns: tuple[Column, ...], pick: Callable[[Any], Any], what: str
) -> tuple[str, ...]:
    picked = pick(_FieldNames(columns, what))
    chosen = picked if is_tuple(picked) else (picked,)
    names = tuple(column.name for column in chosen if isinstance(column, Column))
    if not names or len(names) != len(chosen) or len(set(names)) != len(names):
        raise TypeError(
            f"{what}: the lambda must return one field or a tuple of different fields, "
            f"such as `lambda e: e.id` or `lambda e: (e.a, e.b)`"
        )
    if is_tuple(picked) and len(picked) == 1:
        # To the type checkers its value is a tuple, to the database it is not.
        field = picked[0].field
        raise TypeError(
            f"{what}: return the field itself, `lambda e: e.{field}`, not a tuple of it"
        )
    return names


def column_names(table: Table[Any, Any], pick: Callable[[Any], Any], what: str) -> tuple[str, ...]:
    """The SQL names of the columns that a lambda picks from a table."""
    return _traced_names(table.columns, pick, f"{table.name}.{what}")


def table(
    entity: type[T],
    *,
    name: str,
    key: Callable[[T], K],
    schema: str | None = None,
    copy: bool = False,
    version: Callable[[T], int] | None = None,
    deleted_at: Callable[[T], dt.datetime | None] | None = None,
    created_at: Callable[[T], dt.datetime | None] | None = None,
    updated_at: Callable[[T], dt.datetime | None] | None = None,
) -> Table[T, K]:
    """Describe the table of an entity.

    Args:
        entity: A frozen msgspec Struct; one field a column.
        name: The table's name.
        key: Picks the primary key: ``lambda f: f.id``, or a tuple for a composite key.
        schema: The schema it lies in; None uses the connection's search path.
        copy: Allow a mutable Struct and copy it each time it is handed out: what a cache
            hands out is otherwise shared.
        version: Picks an int field that counts the entity's updates. An update checks it, so that
            nobody's change is lost, and adds one.
        deleted_at: Picks an optional datetime field. Deleting then sets it, and reads leave such
            rows out unless they ask with `include_deleted=True`.
        created_at: Picks a datetime field that the database's clock sets in new rows.
        updated_at: Picks a datetime field that the database's clock sets at every write.

    Raises:
        TypeError: The entity is no Struct, is mutable, or a field has no column type; the key
            names no field or a field that may be None; an option names a field of another type.

    Example:
        ``tl.table(Post, name="posts", key=lambda p: p.id, version=lambda p: p.version)``
    """
    given: Any = entity
    if not (isinstance(given, type) and issubclass(given, msgspec.Struct)):
        raise TypeError(f"table: {entity!r} is not a msgspec Struct class")
    if not (given.__struct_config__.frozen or copy):
        raise TypeError(
            f"table: {entity.__name__} is mutable, and cached entities are shared between callers; "
            "declare it with frozen=True, or pass copy=True to copy it at each read"
        )
    if not name:
        raise TypeError("table: the name is empty")
    columns = tuple(column_of(field) for field in msgspec.structs.fields(given))
    if not columns:
        raise TypeError(f"table: {entity.__name__} has no fields")
    names = _traced_names(columns, key, f"{name}.key")
    nullable = [column.field for column in columns if column.name in names and column.nullable]
    if nullable:
        raise TypeError(f"{name}.key: field {nullable[0]!r} may be None; a key field may not")
    picks = {"version": version, "deleted_at": deleted_at, "created_at": created_at,
             "updated_at": updated_at}  # fmt: skip
    options = {
        option: _option(columns, pick, f"{name}.{option}", option)
        for option, pick in picks.items()
        if pick is not None
    }
    twice = set(options.values()) & set(names) or len(set(options.values())) < len(options)
    if twice:
        raise TypeError(f"{name}: a field has two of the parts key, {', '.join(options)}")
    made = Table(entity, name, columns, names, key, schema=schema, copy=copy)
    made = msgspec.structs.replace(made, **options)
    check_key_types(made.key_columns, f"{name}.key")
    return made


def _option(columns: tuple[Column, ...], pick: Callable[[Any], Any], what: str, option: str) -> str:
    picked = _traced_names(columns, pick, what)
    column = next(column for column in columns if column.name == picked[0])
    problem = lifecycle_problem(option, column) if len(picked) == 1 else "takes one field"
    if problem is not None:
        raise TypeError(f"{what}: {problem}")
    return column.name
