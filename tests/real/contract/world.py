"""What the repository's contract is told on: entities, tables and the repositories under test."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import msgspec
from tests.real.helpers import OWNERS, Item, Owner

import tierline as tl

BACKENDS = ["postgres18", "postgres16", "cached", "memory"]


class Post(msgspec.Struct, frozen=True):
    """An entity whose lifecycle its table keeps."""

    id: int
    title: str
    words: int | None = None
    version: int = 1
    created: dt.datetime | None = None
    changed: dt.datetime | None = None
    deleted: dt.datetime | None = None


class Kind(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Part(msgspec.Struct, frozen=True):
    """A composite key, and one column of each kind that travels in its own way."""

    maker: str
    number: int
    kind: Kind = Kind.SMALL
    price: Decimal = Decimal(1)
    weight: float = 1.0
    tags: list[str] = []
    size: dict[str, int] = {}
    seen: dt.datetime | None = None
    body: bytes = b""


class Branch(msgspec.Struct, frozen=True):
    """A row that may hang on another of the same table."""

    id: int
    parent: int | None = None
    owner: int | None = None
    label: Annotated[str, msgspec.Meta(min_length=1)] = "branch"


POSTS = tl.table(
    Post,
    name="posts",
    key=lambda p: p.id,
    version=lambda p: p.version,
    created_at=lambda p: p.created,
    updated_at=lambda p: p.changed,
    deleted_at=lambda p: p.deleted,
).unique(lambda p: p.title)
PARTS = tl.table(Part, name="parts", key=lambda p: (p.maker, p.number))
_BRANCHES = tl.table(Branch, name="branches", key=lambda b: b.id)
BRANCHES = _BRANCHES.foreign_key(lambda b: b.parent, _BRANCHES, on_delete="cascade").foreign_key(
    lambda b: b.owner, OWNERS, on_delete="set null"
)


class World(NamedTuple):
    """The repositories under test."""

    owners: tl.Repository[Owner, int]
    items: tl.Repository[Item, int]
    posts: tl.Repository[Post, int]
    parts: tl.Repository[Part, tuple[str, int]]
    branches: tl.Repository[Branch, int]


def found(result: tl.Result[list[Any], tl.RepositoryError]) -> list[int]:
    return sorted(row.id for row in result.unwrap())
