"""Queries and writes as inert values: expressions, tracing of lambdas, select and project."""

from tierline.query import arrays, documents, numbers, text, times
from tierline.query.assignments import Assignment
from tierline.query.compounds import cte, except_, for_update, intersect, recursive, union
from tierline.query.expressions import Expr, Ordering
from tierline.query.joins import anti_join, cross_join, join, left_join, semi_join
from tierline.query.query import Join2, Join3, Join4, Query
from tierline.query.select import limit, order_by, project, select, where
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
    "Join2",
    "Join3",
    "Join4",
    "OnConflict",
    "Ordering",
    "Query",
    "Returning",
    "Update",
    "Write",
    "anti_join",
    "cross_join",
    "cte",
    "delete",
    "everything",
    "except_",
    "for_update",
    "insert",
    "intersect",
    "join",
    "left_join",
    "limit",
    "order_by",
    "project",
    "recursive",
    "select",
    "semi_join",
    "union",
    "update",
    "upsert",
    "where",
]

# Imported for the tables that they fill: what traced values of each type can do.
_FILLED_BY = (arrays, documents, numbers, text, times)
