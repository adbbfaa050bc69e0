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
    Join2,
    Join3,
    Join4,
    Query,
    Returning,
    Write,
    anti_join,
    cross_join,
    cte,
    delete,
    everything,
    except_,
    for_update,
    insert,
    intersect,
    join,
    left_join,
    limit,
    order_by,
    project,
    recursive,
    select,
    semi_join,
    union,
    update,
    upsert,
    where,
)
from tierline.query.arrays import all_, any_, contains_all, overlaps
from tierline.query.assignments import set  # noqa: A004 (the field's word)
from tierline.query.casts import cast
from tierline.query.choices import between, case, coalesce, greatest, least, nullif
from tierline.query.evaluate import evaluate, row_filter
from tierline.query.functions import (
    array_agg,
    asc,
    avg,
    contains,
    count,
    desc,
    filtered,
    is_in,
    is_null,
    max,  # noqa: A004 (the field's word)
    min,  # noqa: A004 (the field's word)
    not_,
    some,
    string_agg,
    sum,  # noqa: A004 (the field's word)
)
from tierline.query.paging import Page, PageQuery, page
from tierline.query.parameters import optional, param
from tierline.query.subqueries import exists, scalar
from tierline.query.text import ilike, length, like, matches
from tierline.query.times import at_zone, trunc
from tierline.query.windows import (
    cume_dist,
    dense_rank,
    first_value,
    groups,
    lag,
    last_value,
    lead,
    nth_value,
    ntile,
    over,
    percent_rank,
    rank,
    row_number,
    rows,
)
from tierline.repository import MemoryRepository, Repository, memory_repository, repository
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
    "Assignment",
    "Batch",
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
    "Deferred",
    "DuplicateError",
    "Failure",
    "FieldError",
    "Identifier",
    "Join2",
    "Join3",
    "Join4",
    "Loader",
    "MemoryRepository",
    "MigrationError",
    "NotFoundError",
    "OutcomeUnknownError",
    "Page",
    "PageQuery",
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
    "Returning",
    "SheetLayoutError",
    "Stats",
    "Store",
    "Stream",
    "Success",
    "Table",
    "TierStats",
    "TimeoutError",
    "ValidationError",
    "Write",
    "__version__",
    "all_",
    "anti_join",
    "any_",
    "array_agg",
    "asc",
    "ask",
    "at_zone",
    "avg",
    "batch",
    "between",
    "cached",
    "case",
    "cast",
    "change",
    "coalesce",
    "collect",
    "connect",
    "contains",
    "contains_all",
    "count",
    "cross_join",
    "cte",
    "cume_dist",
    "delete",
    "dense_rank",
    "desc",
    "do",
    "evaluate",
    "everything",
    "except_",
    "exists",
    "filtered",
    "first_value",
    "flow",
    "for_update",
    "greatest",
    "groups",
    "identifier",
    "ilike",
    "insert",
    "intersect",
    "is_in",
    "is_null",
    "join",
    "lag",
    "last_value",
    "lead",
    "least",
    "left_join",
    "length",
    "like",
    "limit",
    "matches",
    "max",
    "memory_repository",
    "min",
    "not_",
    "nth_value",
    "ntile",
    "nullif",
    "open",
    "optional",
    "order_by",
    "over",
    "overlaps",
    "page",
    "param",
    "percent_rank",
    "project",
    "rank",
    "read_through",
    "recursive",
    "repository",
    "row_filter",
    "row_number",
    "rows",
    "scalar",
    "select",
    "semi_join",
    "set",
    "some",
    "sql",
    "string_agg",
    "sum",
    "table",
    "then",
    "trunc",
    "union",
    "unwrap",
    "update",
    "upsert",
    "where",
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
