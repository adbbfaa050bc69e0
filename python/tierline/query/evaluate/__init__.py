"""Queries on plain objects, with the answers that PostgreSQL gives: pure functions, no I/O."""

# What a module registers is known once it is imported.
from tierline.query.evaluate import (
    arithmetic,
    arrays,
    casts,
    choices,
    documents,
    expressions,
    moments,
    numbers,
    select,
    slices,
    text,
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
    "moments",
    "numbers",
    "predicate",
    "row_filter",
    "select",
    "slices",
    "text",
]
