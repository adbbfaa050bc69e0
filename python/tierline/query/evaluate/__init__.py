"""Queries on plain objects, with the answers that PostgreSQL gives: pure functions, no I/O."""

# What a module registers is known once it is imported.
from tierline.query.evaluate import (
    arithmetic,
    expressions,
    keyset,
    refused,
    select,
    sources,
    subqueries,
    windows,
)
from tierline.query.evaluate.run import EvaluationError, evaluate, predicate, row_filter

__all__ = [
    "EvaluationError",
    "arithmetic",
    "evaluate",
    "expressions",
    "keyset",
    "predicate",
    "refused",
    "row_filter",
    "select",
    "sources",
    "subqueries",
    "windows",
]
