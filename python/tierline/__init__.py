"""Tierline: one typed pipeline through memory, Redis and PostgreSQL; every answer is a Result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tierline._core import Cache, __version__
from tierline._later import MODULE_OF
from tierline.cache import (
    CacheAside,
    CachedFunction,
    CachedQuery,
    CacheInfo,
    EncryptionKeys,
    ReadThrough,
    WriteBehind,
    WriteThrough,
    cache_aside,
    cached,
    cached_query,
    read_through,
    write_behind,
    write_through,
)
from tierline.deadline import carried, deadline, remaining_s
from tierline.entity import Change, Sheet, Table, change, sheet, table
from tierline.errors import (
    AccessDeniedError,
    CellProblem,
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
from tierline.repository import Repository, repository
from tierline.repository.events import Changed, Reaction, Subscription
from tierline.result import Failure, Result, Success, ask, collect, do, flow, then, unwrap
from tierline.sql import Identifier, Plan, PlanNode, RawQuery, RawSql, identifier, sql
from tierline.sync.pair import Sync, sync
from tierline.sync.policies import Take, database_wins, manual, per_field, sheet_wins
from tierline.sync.rows import Conflict

if TYPE_CHECKING:
    from tierline.postgres import (
        Acquired,
        CircuitChanged,
        DeadLettered,
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
        WroteBehind,
        read_after,
        write_token,
    )
    from tierline.query.evaluate import evaluate, row_filter
    from tierline.repository.memory import MemoryRepository, memory_repository
    from tierline.sheets.limiter import SheetsQuota
    from tierline.store import (
        ApplicationCache,
        Batch,
        CachedQueryStats,
        CacheKey,
        CacheSpace,
        DeadLetter,
        Deferred,
        HotKeys,
        InDoubt,
        Loader,
        PendingWrites,
        Recovery,
        Stats,
        Store,
        Stream,
        TierStats,
        Transaction,
        WarmReport,
        WriteBehindStats,
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
    from tierline.store.opening_sheets import connect_sheets, open_sheets
    from tierline.store.sheet_store import SheetsStats, SheetStore
    from tierline.store.sheet_transaction import SheetTransaction
    from tierline.store.sheet_views import SheetView
    from tierline.store.sheet_watch import SheetWatch
    from tierline.store.syncing import QueuedConflict, SyncPlan, SyncProgress, SyncReport
    from tierline.store.writable_sheets import WritableSheetStore

__all__ = [
    "AccessDeniedError", "Acquired", "ApplicationCache", "Assignment", "Batch", "Cache",
    "CacheAside", "CacheInfo", "CacheKey", "CacheSpace", "CachedFunction", "CachedQuery",
    "CachedQueryStats", "CellProblem", "Change", "Changed", "CircuitChanged", "CommitUnknownError",
    "ConfigurationError", "Conflict", "ConflictError", "ConnectionError", "ConstraintError",
    "DeadLetter", "DeadLettered", "DecodeError", "Deferred", "DuplicateError", "EncryptionKeys",
    "Event", "EventSubscription", "FailedOver", "Failure", "FieldError", "Health", "HotKeys",
    "Identifier", "InDoubt", "Join2", "Join3", "Join4", "Loader", "MemoryRepository",
    "MigrationError", "NodeHealth", "NotFoundError", "OutcomeUnknownError", "Page", "PageQuery",
    "PendingWrites", "Plan", "PlanNode", "PoolExhaustedError", "PoolOptions", "PoolStats", "Query",
    "QueryError", "QueuedConflict", "Ran", "RateLimitedError", "RawQuery", "RawSql", "Reaction",
    "ReadPolicy", "ReadThrough", "Recovery", "Repository", "RepositoryError", "Result", "Retried",
    "Returning", "Sheet", "SheetLayoutError", "SheetStore", "SheetTransaction", "SheetView",
    "SheetWatch", "SheetsQuota", "SheetsStats", "Stats", "Store", "Stream", "Subscription",
    "Success", "Sync", "SyncPlan", "SyncProgress", "SyncReport", "Table", "Take", "TierStats",
    "TimeoutError", "Transaction", "ValidationError", "WarmReport", "WritableSheetStore", "Write",
    "WriteBehind", "WriteBehindStats", "WriteThrough", "WroteBehind", "__version__", "all_",
    "anti_join", "any_", "array_agg", "asc", "ask", "at_zone", "avg", "batch", "between",
    "cache_aside", "cached", "cached_query", "carried", "case", "cast", "change", "coalesce",
    "collect", "connect", "connect_sheets", "contains", "contains_all", "count", "cross_join",
    "cte", "cume_dist", "database_wins", "deadline", "delete", "dense_rank", "desc", "distributed",
    "distributed_setup", "do", "evaluate", "everything", "except_", "exists", "filtered",
    "first_value", "flow", "for_update", "greatest", "groups", "hot_keys", "identifier", "ilike",
    "insert", "intersect", "is_in", "is_null", "join", "lag", "last_value", "lead", "least",
    "left_join", "length", "like", "limit", "manual", "matches", "max", "memory_repository", "min",
    "not_", "nth_value", "ntile", "nullif", "open", "open_sheets", "optional", "order_by",
    "orphans", "over", "overlaps", "page", "param", "per_field", "percent_rank", "project", "rank",
    "read_after", "read_through", "reads", "recover", "recursive", "remaining_s", "repository",
    "row_filter", "row_number", "rows", "scalar", "select", "semi_join", "set", "sheet",
    "sheet_wins", "some", "sql", "string_agg", "sum", "sync", "table", "then", "trunc", "union",
    "unwrap", "update", "upsert", "where", "write_behind", "write_through", "write_token",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    module = MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'tierline' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 (only when something is used)

    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return __all__
