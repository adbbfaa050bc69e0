"""Queries on plain objects, with the answers that PostgreSQL gives: pure functions, no I/O."""

# What a module registers is known once it is imported.
from tierline.query.evaluate import (
    arithmetic,
    arrays,
    casts,
    choices,
    documents,
    expressions,
    keyset,
    moments,
    numbers,
    refused,
    select,
    slices,
    sources,
    subqueries,
    text,
    windows,
)
from tierline.query.evaluate.run import EvaluationError, evaluate, predicate, row_filter

__all__ = [
    "EvaluationError",
    "arithmetic",
    "arrays",
    "casts",
    "choices",
    "documents",
    "evaluate",
    "expressions",
    "keyset",
    "moments",
    "numbers",
    "predicate",
    "refused",
    "row_filter",
    "select",
    "slices",
    "sources",
    "subqueries",
    "text",
    "windows",
]
