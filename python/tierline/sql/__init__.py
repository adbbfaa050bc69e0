"""Compile: from query and table values to SQL statements, as pure functions."""

from tierline.sql.compile import compile_count, compile_exists, compile_page, compile_query
from tierline.sql.ddl import create_schema_sql, create_table_sql, drop_table_sql
from tierline.sql.statement import ResultColumn, Statement
from tierline.sql.tables import TableStatements, table_statements

__all__ = [
    "ResultColumn",
    "Statement",
    "TableStatements",
    "compile_count",
    "compile_exists",
    "compile_page",
    "compile_query",
    "create_schema_sql",
    "create_table_sql",
    "drop_table_sql",
    "table_statements",
]
