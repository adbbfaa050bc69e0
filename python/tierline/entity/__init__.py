"""Describe: how a msgspec Struct maps to the columns of a table."""

from tierline.entity.change import Change, change
from tierline.entity.column import Column
from tierline.entity.sheet import BadRows, Sheet, sheet
from tierline.entity.table import ForeignKey, Index, Table, Unique, table
from tierline.entity.types import ColumnType, Wire

__all__ = [
    "BadRows",
    "Change",
    "Column",
    "ColumnType",
    "ForeignKey",
    "Index",
    "Sheet",
    "Table",
    "Unique",
    "Wire",
    "change",
    "sheet",
    "table",
]
