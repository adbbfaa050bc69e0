"""Sheets: a worksheet of a spreadsheet as a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

import msgspec

from tierline.entity.table import Table, column_names, table

T = TypeVar("T")
K = TypeVar("K")

BadRows: TypeAlias = Literal["fail", "skip"]
"""What a read does with a row that does not fit: answer with the error, or leave the row out."""


class Sheet(Table[T, K], frozen=True, eq=False, dict=True):
    """A worksheet whose header row names the fields: an inert value; build it with `tl.sheet`.

    Attributes:
        spreadsheet: The spreadsheet's id.
        worksheet: The worksheet's title.
        headers: Field to header, for headers that are not the column's own name.
        header_row: The row of the headers, counted from 1.
        computed: Fields whose cells hold formulas.
        bad_rows: What a read does with rows that do not fit.
    """

    spreadsheet: str = ""
    worksheet: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    header_row: int = 1
    computed: frozenset[str] = frozenset()
    bad_rows: BadRows = "fail"

    @cached_property
    def annotations(self) -> dict[str, Any]:
        """The annotation of each field, with what its type adds."""
        given: Any = self.entity
        return {field.name: field.type for field in msgspec.structs.fields(given)}

    def header_of(self, field: str) -> str:
        """The header of a field, as it is compared: without spaces around it."""
        return self.headers.get(field, self.by_field[field].name)

    def __repr__(self) -> str:
        columns = ", ".join(
            f"{self.header_of(column.field)} {column.type.sql}"
            f"{'' if column.nullable else ' not null'}"
            for column in self.columns
        )
        keys = ", ".join(self.header_of(column.field) for column in self.key_columns)
        return (
            f"<Sheet {self.worksheet!r} of {self.entity.__name__} in {self.spreadsheet}: "
            f"{columns}; key {keys}>"
        )


_URL = re.compile(r"https://docs\.google\.com/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]+)")
_ID = re.compile(r"[A-Za-z0-9_-]+")
_TITLE_LENGTH_MAX = 100


def sheet(
    spreadsheet: str,
    worksheet: str,
    entity: type[T],
    *,
    key: Callable[[T], K],
    headers: Mapping[str, str] | None = None,
    header_row: int = 1,
    computed: Callable[[T], object] | None = None,
    bad_rows: BadRows = "fail",
    version: Callable[[T], int] | None = None,
    copy: bool = False,
) -> Sheet[T, K]:
    """Describe a worksheet as the table of an entity; nothing is asked for.

    One field is one column, found by its header wherever it stands. Other columns of the worksheet
    are left alone.

    Args:
        spreadsheet: The spreadsheet's id, or the address a browser shows for it.
        worksheet: The worksheet's title.
        entity: A frozen msgspec Struct.
        key: Picks what identifies a row: ``lambda b: b.id``, or a tuple.
        headers: Field to header: ``{"seen": "Last seen"}``; otherwise it is the field's encoded
            name, so `msgspec.field(name="Last seen")` does too.
        header_row: The row of the headers, counted from 1; the rows below it are the table's.
        computed: Picks the fields whose cells hold formulas, as `key` does: they are read and never
            written. In any other column a formula does not fit, so that none is overwritten.
        bad_rows: "fail" answers a read with every cell that does not fit; "skip" leaves such rows
            out, and `sheets.check` tells of them.
        version: As in `tl.table`.
        copy: As in `tl.table`.

    Raises:
        TypeError: As `tl.table`; `headers` names no field, or the same header twice.
        ValueError: The id, the title or the row cannot be.

    Example:
        ``BIRDS = tl.sheet("1AbC…", "Birds", Bird, key=lambda b: b.id)``
    """
    for name, value in (("spreadsheet", spreadsheet), ("worksheet", worksheet)):
        if not isinstance(cast("object", value), str):
            raise TypeError(f"sheet: {name} is a str, not {type(value).__name__}")
    found = _URL.match(spreadsheet)
    book = found[1] if found else spreadsheet
    if not _ID.fullmatch(book):
        raise ValueError(
            f"sheet: {spreadsheet!r:.80} is no spreadsheet's id; it is what follows /d/ in the "
            "address"
        )
    if not worksheet or len(worksheet) > _TITLE_LENGTH_MAX:
        raise ValueError(f"sheet: a worksheet's title has 1 to {_TITLE_LENGTH_MAX} characters")
    if isinstance(header_row, bool) or not isinstance(cast("object", header_row), int):
        raise TypeError(f"sheet: header_row is an int, not {type(header_row).__name__}")
    if header_row < 1:
        raise ValueError(f"sheet: rows are counted from 1; header_row cannot be {header_row}")
    if bad_rows not in get_args(BadRows):
        raise ValueError(f"sheet: bad_rows must be one of {get_args(BadRows)}, not {bad_rows!r}")
    # Two spreadsheets may have worksheets of one title.
    base = table(entity, name=worksheet, key=key, schema=book, version=version, copy=copy)
    given = {field: header.strip() for field, header in (headers or {}).items()}
    if unknown := given.keys() - base.by_field.keys():
        raise TypeError(
            f"sheet: headers names no field of {entity.__name__}: {', '.join(sorted(unknown))}"
        )
    names = () if computed is None else column_names(base, computed, "computed")
    if set(names) & set(base.key):
        raise TypeError("sheet: a key cannot be computed; it must stay when rows move")
    parts: dict[str, Any] = {name: getattr(base, name) for name in base.__struct_fields__}
    made: Sheet[T, K] = Sheet(
        **parts,
        spreadsheet=book,
        worksheet=worksheet,
        headers=given,
        header_row=header_row,
        computed=frozenset(base.column(name).field for name in names),
        bad_rows=bad_rows,
    )
    _check_headers(made)
    return made


def _check_headers(made: Sheet[Any, Any]) -> None:
    headers = [made.header_of(column.field) for column in made.columns]
    if "" in headers:
        raise TypeError("sheet: a header cannot be empty")
    twice = {header for header in headers if headers.count(header) > 1}
    if twice:
        raise TypeError(f"sheet: two fields have the header {', '.join(sorted(twice))}")
