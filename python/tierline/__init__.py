"""Tierline: one typed pipeline through memory, Redis and PostgreSQL; every answer is a Result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tierline._core import Cache, __version__
from tierline.cache import CachedFunction, CacheInfo, ReadThrough, cached, read_through
from tierline.entity import Change, Table, change, table
from tierline.errors import (
    AccessDeniedError,
    CommitUnknownError,
    ConfigurationError,
    ConflictError,
    ConnectionError,  # noqa: A004 (the field's word)
    ConstraintError,
    DecodeError,
    DuplicateError,
    FieldError,
    MigrationError,
    NotFoundError,
    OutcomeUnknownError,
    PoolExhaustedError,
    QueryError,
    RateLimitedError,
    RepositoryError,
    SheetLayoutError,
    TimeoutError,  # noqa: A004 (the field's word)
    ValidationError,
)
from tierline.query import (
    Assignment,
    Query,
    Returning,
    Write,
    delete,
    everything,
    insert,
    project,
    select,
    update,
    upsert,
)
from tierline.query.assignments import set  # noqa: A004 (the field's word)
from tierline.query.evaluate import evaluate, matches
from tierline.query.functions import (
    asc,
    avg,
    contains,
    count,
    desc,
    is_in,
    is_null,
    max,  # noqa: A004 (the field's word)
    min,  # noqa: A004 (the field's word)
    not_,
    some,
    sum,  # noqa: A004 (the field's word)
)
from tierline.repository import MemoryRepository, Repository, memory_repository, repository
from tierline.result import Failure, Result, Success, ask, collect, do, flow, then, unwrap

if TYPE_CHECKING:
    from tierline.store import Stats, Store, TierStats, connect, open  # noqa: A004

__all__ = [
    "AccessDeniedError",
    "Assignment",
    "Cache",
    "CacheInfo",
    "CachedFunction",
    "Change",
    "CommitUnknownError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionError",
    "ConstraintError",
    "DecodeError",
    "DuplicateError",
    "Failure",
    "FieldError",
    "MemoryRepository",
    "MigrationError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PoolExhaustedError",
    "Query",
    "QueryError",
    "RateLimitedError",
    "ReadThrough",
    "Repository",
    "RepositoryError",
    "Result",
    "Returning",
    "SheetLayoutError",
    "Stats",
    "Store",
    "Success",
    "Table",
    "TierStats",
    "TimeoutError",
    "ValidationError",
    "Write",
    "__version__",
    "asc",
    "ask",
    "avg",
    "cached",
    "change",
    "collect",
    "connect",
    "contains",
    "count",
    "delete",
    "desc",
    "do",
    "evaluate",
    "everything",
    "flow",
    "insert",
    "is_in",
    "is_null",
    "matches",
    "max",
    "memory_repository",
    "min",
    "not_",
    "open",
    "project",
    "read_through",
    "repository",
    "select",
    "set",
    "some",
    "sum",
    "table",
    "then",
    "unwrap",
    "update",
    "upsert",
]

# The store imports the drivers, so it is loaded when first used.
_LAZY = {
    "Stats": "tierline.store",
    "Store": "tierline.store",
    "TierStats": "tierline.store",
    "connect": "tierline.store",
    "open": "tierline.store",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'tierline' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 (only when something is used)

    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return __all__
