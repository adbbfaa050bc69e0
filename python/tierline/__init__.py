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
from tierline.query import (
    Join2,
    Join3,
    Join4,
    Query,
    anti_join,
    cross_join,
    cte,
    except_,
    for_update,
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
    where,
)
from tierline.query.evaluate import evaluate, matches
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
from tierline.query.subqueries import exists, scalar
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
from tierline.result import Failure, Result, Success, ask, collect, do, flow, then, unwrap

if TYPE_CHECKING:
    from tierline.store import Stats, Store, TierStats, connect, open  # noqa: A004

__all__ = [
    "AccessDeniedError",
    "Cache",
    "CacheInfo",
    "CachedFunction",
    "CommitUnknownError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionError",
    "ConstraintError",
    "DecodeError",
    "DuplicateError",
    "Failure",
    "FieldError",
    "Join2",
    "Join3",
    "Join4",
    "MigrationError",
    "NotFoundError",
    "OutcomeUnknownError",
    "Page",
    "PageQuery",
    "PoolExhaustedError",
    "Query",
    "QueryError",
    "RateLimitedError",
    "ReadThrough",
    "Repository",
    "RepositoryError",
    "Result",
    "SheetLayoutError",
    "Stats",
    "Store",
    "Success",
    "Table",
    "TierStats",
    "TimeoutError",
    "ValidationError",
    "__version__",
    "anti_join",
    "array_agg",
    "asc",
    "ask",
    "avg",
    "cached",
    "collect",
    "connect",
    "contains",
    "count",
    "cross_join",
    "cte",
    "cume_dist",
    "dense_rank",
    "desc",
    "do",
    "evaluate",
    "except_",
    "exists",
    "filtered",
    "first_value",
    "flow",
    "for_update",
    "groups",
    "intersect",
    "is_in",
    "is_null",
    "join",
    "lag",
    "last_value",
    "lead",
    "left_join",
    "limit",
    "matches",
    "max",
    "min",
    "not_",
    "nth_value",
    "ntile",
    "open",
    "order_by",
    "over",
    "page",
    "percent_rank",
    "project",
    "rank",
    "read_through",
    "recursive",
    "repository",
    "row_number",
    "rows",
    "scalar",
    "select",
    "semi_join",
    "some",
    "string_agg",
    "sum",
    "table",
    "then",
    "union",
    "unwrap",
    "where",
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
