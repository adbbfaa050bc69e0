"""Compile: from query and table values to SQL statements, as pure functions."""

from tierline.sql import functions
from tierline.sql.compile import compile_count, compile_exists, compile_page, compile_query
from tierline.sql.ddl import create_schema_sql, create_table_sql, drop_table_sql
from tierline.sql.staging import Staged
from tierline.sql.statement import ResultColumn, Statement
from tierline.sql.tables import TableStatements, table_statements
from tierline.sql.writes import compile_returning, compile_returning_keys, compile_write

__all__ = [
    "ResultColumn",
    "Staged",
    "Statement",
    "TableStatements",
    "compile_count",
    "compile_exists",
    "compile_page",
    "compile_query",
    "compile_returning",
    "compile_returning_keys",
    "compile_write",
    "create_schema_sql",
    "create_table_sql",
    "drop_table_sql",
    "table_statements",
]

# Imported for the text of its nodes, which it adds to that of `expressions`.
_ADDED_BY = (functions,)
