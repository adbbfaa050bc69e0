"""Tierline: one typed pipeline through memory, Redis and PostgreSQL; every answer is a Result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tierline._core import Cache, __version__
from tierline.cache import (
    CachedFunction,
    CachedQuery,
    CacheInfo,
    ReadThrough,
    cached,
    cached_query,
    read_through,
)
from tierline.deadline import carried, deadline, remaining_s
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
from tierline.repository.events import Changed, Reaction, Subscription
from tierline.result import Failure, Result, Success, ask, collect, do, flow, then, unwrap
from tierline.sql import Identifier, Plan, PlanNode, RawQuery, RawSql, identifier, sql

if TYPE_CHECKING:
    from tierline.cache.application import ApplicationCache
    from tierline.cache.application_keys import CacheKey
    from tierline.cache.spaces import CacheSpace
    from tierline.postgres import (
        Acquired,
        CircuitChanged,
        Event,
        EventSubscription,
        FailedOver,
        Health,
        NodeHealth,
        PoolOptions,
        PoolStats,
        Ran,
        ReadPolicy,
        Retried,
        read_after,
        write_token,
    )
    from tierline.store import (
        Batch,
        CachedQueryStats,
        Deferred,
        HotKeys,
        InDoubt,
        Loader,
        Recovery,
        Stats,
        Store,
        Stream,
        TierStats,
        Transaction,
        WarmReport,
        batch,
        connect,
        distributed,
        distributed_setup,
        hot_keys,
        open,  # noqa: A004
        orphans,
        reads,
        recover,
    )

__all__ = [
    "AccessDeniedError",
    "Acquired",
    "ApplicationCache",
    "Assignment",
    "Batch",
    "Cache",
    "CacheInfo",
    "CacheKey",
    "CacheSpace",
    "CachedFunction",
    "CachedQuery",
    "CachedQueryStats",
    "Change",
    "Changed",
    "CircuitChanged",
    "CommitUnknownError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionError",
    "ConstraintError",
    "DecodeError",
    "Deferred",
    "DuplicateError",
    "Event",
    "EventSubscription",
    "FailedOver",
    "Failure",
    "FieldError",
    "Health",
    "HotKeys",
    "Identifier",
    "InDoubt",
    "Join2",
    "Join3",
    "Join4",
    "Loader",
    "MemoryRepository",
    "MigrationError",
    "NodeHealth",
    "NotFoundError",
    "OutcomeUnknownError",
    "Page",
    "PageQuery",
    "Plan",
    "PlanNode",
    "PoolExhaustedError",
    "PoolOptions",
    "PoolStats",
    "Query",
    "QueryError",
    "Ran",
    "RateLimitedError",
    "RawQuery",
    "RawSql",
    "Reaction",
    "ReadPolicy",
    "ReadThrough",
    "Recovery",
    "Repository",
    "RepositoryError",
    "Result",
    "Retried",
    "Returning",
    "SheetLayoutError",
    "Stats",
    "Store",
    "Stream",
    "Subscription",
    "Success",
    "Table",
    "TierStats",
    "TimeoutError",
    "Transaction",
    "ValidationError",
    "WarmReport",
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
    "cached_query",
    "carried",
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
    "deadline",
    "delete",
    "dense_rank",
    "desc",
    "distributed",
    "distributed_setup",
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
    "hot_keys",
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
    "orphans",
    "over",
    "overlaps",
    "page",
    "param",
    "percent_rank",
    "project",
    "rank",
    "read_after",
    "read_through",
    "reads",
    "recover",
    "recursive",
    "remaining_s",
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
    "write_token",
]

# The store imports the drivers, so it is loaded when first used.
_LAZY = {
    name: module
    for module, names in {
        "tierline.cache.application": "ApplicationCache",
        "tierline.cache.application_keys": "CacheKey",
        "tierline.cache.spaces": "CacheSpace",
        "tierline.postgres": """
            Acquired CircuitChanged Event EventSubscription FailedOver Health NodeHealth
            PoolOptions PoolStats Ran ReadPolicy Retried read_after write_token
        """,
        "tierline.store": """
            Batch CachedQueryStats Deferred HotKeys InDoubt Loader Recovery Stats Store Stream
            TierStats Transaction WarmReport batch connect distributed distributed_setup
            hot_keys open orphans reads recover
        """,
    }.items()
    for name in names.split()
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
