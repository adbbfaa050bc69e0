"""Queries as inert values: expressions, tracing of lambdas, select and project."""

from tierline.query import arrays, documents, numbers, text, times
from tierline.query.expressions import Expr, Ordering
from tierline.query.select import Query, project, select

__all__ = ["Expr", "Ordering", "Query", "project", "select"]

# Imported for the tables that they fill: what traced values of each type can do.
_FILLED_BY = (arrays, documents, numbers, text, times)
