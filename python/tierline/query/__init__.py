"""Queries as inert values: expressions, tracing of lambdas, select and project."""

from tierline.query.compounds import cte, except_, for_update, intersect, recursive, union
from tierline.query.expressions import Expr, Ordering
from tierline.query.joins import anti_join, cross_join, join, left_join, semi_join
from tierline.query.query import Join2, Join3, Join4, Query
from tierline.query.select import limit, order_by, project, select, where

__all__ = [
    "Expr",
    "Join2",
    "Join3",
    "Join4",
    "Ordering",
    "Query",
    "anti_join",
    "cross_join",
    "cte",
    "except_",
    "for_update",
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
    "where",
]
