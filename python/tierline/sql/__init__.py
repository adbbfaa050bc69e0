"""Compile: from query and table values to SQL statements, as pure functions."""

from tierline.sql import functions
from tierline.sql.compile import compile_count, compile_exists, compile_query
from tierline.sql.ddl import create_schema_sql, create_table_sql, drop_table_sql
from tierline.sql.pages import Bookmarks, compile_page, open_page
from tierline.sql.plans import Plan, PlanNode, compile_explain
from tierline.sql.raw import Identifier, RawQuery, RawSql, compile_raw, identifier, sql
from tierline.sql.staging import Staged
from tierline.sql.statement import Compiled, ResultColumn, Statement
from tierline.sql.tables import TableStatements, table_statements
from tierline.sql.writes import compile_returning, compile_returning_keys, compile_write

__all__ = [
    "Bookmarks",
    "Compiled",
    "Identifier",
    "Plan",
    "PlanNode",
    "RawQuery",
    "RawSql",
    "ResultColumn",
    "Staged",
    "Statement",
    "TableStatements",
    "compile_count",
    "compile_exists",
    "compile_explain",
    "compile_page",
    "compile_query",
    "compile_raw",
    "compile_returning",
    "compile_returning_keys",
    "compile_write",
    "create_schema_sql",
    "create_table_sql",
    "drop_table_sql",
    "identifier",
    "open_page",
    "sql",
    "table_statements",
]

# Imported for the text of its nodes, which it adds to that of `expressions`.
_ADDED_BY = (functions,)
