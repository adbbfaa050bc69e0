"""Queries and writes as inert values: expressions, tracing of lambdas, select and project."""

from tierline.query.assignments import Assignment
from tierline.query.expressions import Expr, Ordering
from tierline.query.select import Query, project, select
from tierline.query.writes import (
    Delete,
    Insert,
    OnConflict,
    Returning,
    Update,
    Write,
    delete,
    everything,
    insert,
    update,
    upsert,
)

__all__ = [
    "Assignment",
    "Delete",
    "Expr",
    "Insert",
    "OnConflict",
    "Ordering",
    "Query",
    "Returning",
    "Update",
    "Write",
    "delete",
    "everything",
    "insert",
    "project",
    "select",
    "update",
    "upsert",
]
