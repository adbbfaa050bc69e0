"""Tierline: one typed pipeline through memory, Redis and PostgreSQL; every answer is a Result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tierline._core import Cache, __version__
from tierline.cache import CachedFunction, CacheInfo, ReadThrough, cached, read_through
from tierline.entity import Table, table
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
from tierline.query import Query, project, select
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
from tierline.query.parameters import param
from tierline.repository import Repository, repository
from tierline.result import Failure, Result, Success, ask, collect, do, flow, then, unwrap
from tierline.sql import Identifier, Plan, PlanNode, RawQuery, RawSql, identifier, sql

if TYPE_CHECKING:
    from tierline.store import (
        Batch,
        Deferred,
        Loader,
        Stats,
        Store,
        Stream,
        TierStats,
        batch,
        connect,
        open,  # noqa: A004
    )

__all__ = [
    "AccessDeniedError",
    "Batch",
    "Cache",
    "CacheInfo",
    "CachedFunction",
    "CommitUnknownError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionError",
    "ConstraintError",
    "DecodeError",
    "Deferred",
    "DuplicateError",
    "Failure",
    "FieldError",
    "Identifier",
    "Loader",
    "MigrationError",
    "NotFoundError",
    "OutcomeUnknownError",
    "Plan",
    "PlanNode",
    "PoolExhaustedError",
    "Query",
    "QueryError",
    "RateLimitedError",
    "RawQuery",
    "RawSql",
    "ReadThrough",
    "Repository",
    "RepositoryError",
    "Result",
    "SheetLayoutError",
    "Stats",
    "Store",
    "Stream",
    "Success",
    "Table",
    "TierStats",
    "TimeoutError",
    "ValidationError",
    "__version__",
    "asc",
    "ask",
    "avg",
    "batch",
    "cached",
    "collect",
    "connect",
    "contains",
    "count",
    "desc",
    "do",
    "flow",
    "identifier",
    "is_in",
    "is_null",
    "max",
    "min",
    "not_",
    "open",
    "param",
    "project",
    "read_through",
    "repository",
    "select",
    "some",
    "sql",
    "sum",
    "table",
    "then",
    "unwrap",
]

# The store imports the drivers, so it is loaded when first used.
_LAZY = {
    "Batch": "tierline.store",
    "Deferred": "tierline.store",
    "Loader": "tierline.store",
    "Stats": "tierline.store",
    "Store": "tierline.store",
    "Stream": "tierline.store",
    "TierStats": "tierline.store",
    "batch": "tierline.store",
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
