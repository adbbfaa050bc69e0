"""Describe: how a msgspec Struct maps to the columns of a table."""

from tierline.entity.change import Change, change
from tierline.entity.column import Column
from tierline.entity.table import ForeignKey, Index, Table, Unique, table
from tierline.entity.types import ColumnType, Wire

__all__ = [
    "Change",
    "Column",
    "ColumnType",
    "ForeignKey",
    "Index",
    "Table",
    "Unique",
    "Wire",
    "change",
    "table",
]
