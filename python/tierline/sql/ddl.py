"""Data definition: CREATE TABLE and DROP TABLE from a table value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tierline.entity import Column, Table
from tierline.entity.column import Check
from tierline.errors import ConfigurationError
from tierline.sql.expressions import collated
from tierline.sql.identifiers import quote, quote_all, table_name


def create_schema_sql(name: str, *, exist_ok: bool = False) -> str:
    """CREATE SCHEMA.

    Raises:
        ConfigurationError: The name cannot be an identifier.
    """
    return f"CREATE SCHEMA {'IF NOT EXISTS ' if exist_ok else ''}{quote(name)}"


def create_table_sql(table: Table[Any, Any], *, exist_ok: bool = False) -> str:
    """CREATE TABLE with its constraints, then its indexes, as one script.

    Raises:
        ConfigurationError: A name cannot be an identifier.
    """
    if_absent = "IF NOT EXISTS " if exist_ok else ""
    parts = [_column(column) for column in table.columns]
    parts.append(_rule(table.primary_key_name, f"PRIMARY KEY ({quote_all(table.key)})"))
    parts += [
        _rule(table.check_name(column), f"CHECK ({_checks(column)})")
        for column in table.columns
        if column.checks
    ]
    parts += [_rule(rule.name, f"UNIQUE ({quote_all(rule.columns)})") for rule in table.uniques]
    parts += [
        _rule(
            rule.name,
            f"FOREIGN KEY ({quote_all(rule.columns)}) REFERENCES {table_name(rule.references)} "
            f"({quote_all(rule.references.key)}) ON DELETE {rule.on_delete.upper()}",
        )
        for rule in table.foreign_keys
    ]
    body = ",\n  ".join(parts)
    script = [f"CREATE TABLE {if_absent}{table_name(table)} (\n  {body}\n)"]
    script += [
        f"CREATE INDEX {if_absent}{quote(index.name)} "
        f"ON {table_name(table)} ({quote_all(index.columns)})"
        for index in table.indexes
    ]
    return ";\n".join(script)


def drop_table_sql(table: Table[Any, Any], *, missing_ok: bool = False) -> str:
    """DROP TABLE; tables that refer to it make it fail."""
    return f"DROP TABLE {'IF EXISTS ' if missing_ok else ''}{table_name(table)}"


def _column(column: Column) -> str:
    # Queries order text by code point; only an index in the same collation helps them.
    type_ = collated(column.type.sql, column.type)
    return f"{quote(column.name)} {type_}{'' if column.nullable else ' NOT NULL'}"


def _rule(name: str, text: str) -> str:
    return f"CONSTRAINT {quote(name)} {text}"


def _checks(column: Column) -> str:
    return " AND ".join(_check(quote(column.name), check) for check in column.checks)


def _check(name: str, check: Check) -> str:
    match check.measure:
        case "value":
            measured = name
        case "remainder":
            return f"{name} % {literal(check.value)} = 0"
        case function:
            measured = f"{function}({name})"
    if check.operator == "in":
        return f"{measured} IN ({', '.join(literal(value) for value in check.value)})"
    return f"{measured} {check.operator} {literal(check.value)}"


def literal(value: Any) -> str:
    """A name or a declared bound as a literal; the only values that ever become SQL text."""
    match value:
        case int() | float() | Decimal():
            return str(value)
        case str() if "\0" not in value:
            # The E form reads the same whatever standard_conforming_strings says.
            return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
        case _:
            raise ConfigurationError(f"{value!r} cannot be part of a CHECK constraint")
