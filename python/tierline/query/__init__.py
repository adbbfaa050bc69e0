"""Queries as inert values: expressions, tracing of lambdas, select and project."""

from tierline.query.expressions import Expr, Ordering
from tierline.query.select import Query, project, select

__all__ = ["Expr", "Ordering", "Query", "project", "select"]
