"""Compile: from query and table values to SQL statements, as pure functions."""

from tierline.sql.compile import compile_count, compile_exists, compile_query
from tierline.sql.ddl import create_schema_sql, create_table_sql, drop_table_sql
from tierline.sql.plans import Plan, PlanNode, compile_explain
from tierline.sql.raw import Identifier, RawQuery, RawSql, compile_raw, identifier, sql
from tierline.sql.statement import Compiled, ResultColumn, Statement
from tierline.sql.tables import TableStatements, table_statements

__all__ = [
    "Compiled",
    "Identifier",
    "Plan",
    "PlanNode",
    "RawQuery",
    "RawSql",
    "ResultColumn",
    "Statement",
    "TableStatements",
    "compile_count",
    "compile_exists",
    "compile_explain",
    "compile_query",
    "compile_raw",
    "create_schema_sql",
    "create_table_sql",
    "drop_table_sql",
    "identifier",
    "sql",
    "table_statements",
]
