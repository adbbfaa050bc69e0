"""Values of every type, written into cells and read back."""

from __future__ import annotations

import datetime as dt
import enum
import json
import os
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sheets.payloads import PAYLOADS

import tierline as tl
from tierline.sheets.grid import Cell, CellFormat, CellValue, NumberFormat
from tierline.sheets.reading_cells import EXACT_MAX, UnfitCellError, cell_reader
from tierline.sheets.writing_cells import CHARS_MAX, UnstorableError, cell_writer
from tierline.testing import SheetsServer


class Colour(enum.Enum):
    RED = "red"
    BLUE = "=blue"


class Part(msgspec.Struct, frozen=True):
    on: dt.date
    size: int | None = None


class Every(msgspec.Struct, frozen=True):
    """A field of every type that a column may have."""

    id: int
    text: str
    maybe: str | None
    flag: bool
    number: float
    money: Decimal
    guid: uuid.UUID
    raw: bytes
    day: dt.date
    time: dt.time
    zoned_time: Annotated[dt.time, msgspec.Meta(tz=True)]
    at: dt.datetime
    local: Annotated[dt.datetime, msgspec.Meta(tz=False)]
    span: dt.timedelta
    colour: Colour
    size: Literal[1, 2]
    days: list[dt.date]
    part: Part
    nothing: int | None


TABLE = tl.sheet("1AbC", "Every", Every, key=lambda e: e.id)


# What PostgreSQL keeps too: no NUL, no half letters. A lone CR is not told from LF in XML-made
# sheets, so it is among the leading characters only.
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.sampled_from(PAYLOADS),
    st.sampled_from(["007", "1,5", "TRUE", "#REF!", "2026-01-01", "1.10", "nan", "x" * CHARS_MAX]),
)
_MOMENTS = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29))  # noqa: DTZ001
_INTEGERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-100, 100))
_SPANS = st.timedeltas(dt.timedelta(days=-100_000), dt.timedelta(days=100_000))
_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=None)
_ROWS = st.builds(
    Every,
    id=_INTEGERS,
    text=_TEXTS,
    maybe=st.none() | _TEXTS.filter(bool),
    flag=st.booleans(),
    number=st.floats(allow_nan=False, allow_infinity=False),
    money=_DECIMALS,
    guid=st.uuids(),
    raw=st.binary(max_size=40),
    day=st.dates(),
    time=st.times(),
    zoned_time=st.times(timezones=st.just(dt.timezone(dt.timedelta(hours=5, minutes=30)))),
    at=_MOMENTS.map(lambda at: at.replace(tzinfo=dt.UTC)),
    local=_MOMENTS,
    span=_SPANS,
    colour=st.sampled_from(Colour),
    size=st.sampled_from((1, 2)),
    days=st.lists(st.dates(), max_size=3),
    part=st.builds(Part, on=st.dates(), size=st.none() | st.integers(-9, 9)),
    nothing=st.none(),
)
_ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/St_Johns")]


def _kept(cell: dict[str, Any]) -> Cell:
    """A cell as the API answers it, after it was sent as JSON."""
    sent = json.loads(json.dumps(cell))
    value = sent.get("userEnteredValue")
    form = sent.get("userEnteredFormat")
    kind = form["numberFormat"]["type"] if form else ""
    return Cell(
        effectiveValue=None if value is None else msgspec.convert(value, CellValue),
        effectiveFormat=CellFormat(NumberFormat(kind)) if kind else None,
    )


def _round_trip(row: Every, zone: ZoneInfo) -> Every:
    values = TABLE.validator.values(row)
    read: dict[str, Any] = {}
    for column, value in zip(TABLE.columns, values, strict=True):
        cell = cell_writer(column, zone)(value)
        assert "formulaValue" not in cell.get("userEnteredValue", {})
        read[column.name] = cell_reader(column, zone, computed=False)(_kept(cell))
    return msgspec.convert(
        read,
        Every,
        builtin_types=(bytes, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, uuid.UUID),
    )


@settings(max_examples=700)
@given(row=_ROWS, zone=st.sampled_from(_ZONES))
def test_every_value_comes_back(row: Every, zone: ZoneInfo) -> None:
    assert _round_trip(row, zone) == row


_BATCHES = st.lists(_ROWS, min_size=20, max_size=40, unique_by=lambda row: row.id)


@settings(max_examples=500 if os.environ.get("TIERLINE_LONG") == "1" else 20)
@given(rows=_BATCHES, zone=st.sampled_from(_ZONES))
def test_every_value_comes_back_through_a_repository(rows: list[Every], zone: ZoneInfo) -> None:
    quota = tl.SheetsQuota(10**6, 10**6, 10**6, 10**6)
    header = [[column.name for column in TABLE.columns]]
    with SheetsServer() as server:
        book = server.add_spreadsheet("Every", header, time_zone=str(zone))
        table = tl.sheet(book, "Sheet1", Every, key=lambda row: row.id)
        with tl.open_sheets(server.client(), write=True, quota=quota) as sheets:
            every = tl.repository(sheets, table)
            half = len(rows) // 2
            tl.unwrap(every.create_many(rows[:half]))
            tl.unwrap(every.create(rows[half]))
            tl.unwrap(every.upsert_many(rows[half + 1 :]))
            assert tl.unwrap(every.list()) == rows
            # Each row gets the values of its neighbour.
            pairs = zip(rows, [*rows[1:], rows[0]], strict=True)
            turned = [msgspec.structs.replace(other, id=row.id) for row, other in pairs]
            tl.unwrap(every.update_many(turned[1:]))
            tl.unwrap(every.update(turned[0]))
            assert tl.unwrap(every.list()) == turned
        assert server.formulas(book) == {}


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("number", float("nan"), "which no spreadsheet has"),
        ("number", float("inf"), "which no spreadsheet has"),
        ("money", Decimal("NaN"), "which no spreadsheet has"),
        ("text", "x" * (CHARS_MAX + 1), "has 50001 characters"),
        ("text", "🦉" * (CHARS_MAX // 2 + 1), "has 50002 characters"),
        ("maybe", "", "is empty"),
    ],
)
def test_what_no_cell_can_hold_is_refused(field: str, value: Any, problem: str) -> None:
    write = cell_writer(TABLE.by_field[field], _ZONES[0])
    with pytest.raises(UnstorableError, match=problem):
        write(value)


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("id", EXACT_MAX, "numberValue"),
        ("id", EXACT_MAX + 1, "stringValue"),
        ("money", Decimal("1.10"), "stringValue"),
        ("day", dt.date(1900, 1, 1), "numberValue"),
        ("day", dt.date(1899, 12, 31), "stringValue"),
        ("at", dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC), "numberValue"),
        # The clock in Berlin shows half past two twice.
        ("at", dt.datetime(2026, 10, 25, 1, 30, tzinfo=dt.UTC), "stringValue"),
        ("span", dt.timedelta(seconds=90), "numberValue"),
        ("span", dt.timedelta(seconds=-90), "stringValue"),
        ("text", "=1+1", "stringValue"),
    ],
)
def test_what_is_a_number_and_what_is_kept_as_text(field: str, value: Any, kind: str) -> None:
    cell = cell_writer(TABLE.by_field[field], _ZONES[1])(value)
    assert list(cell["userEnteredValue"]) == [kind]


def test_values_come_back_from_a_spreadsheet(sheets_server: SheetsServer) -> None:
    zone = ZoneInfo("Europe/Berlin")
    book = sheets_server.add_spreadsheet("Every", time_zone="Europe/Berlin")
    rows = [
        Every(
            id=n,
            text=text,
            maybe=text or None,
            flag=n % 2 == 0,
            number=n / 3,
            money=Decimal(n) / 7,
            guid=uuid.UUID(int=n),
            raw=text.encode(),
            day=dt.date(1850, 1, 1) + dt.timedelta(days=n * 300),
            time=dt.time(n % 24, 1, 2, n),
            zoned_time=dt.time(9, tzinfo=dt.UTC),
            at=dt.datetime(2026, 10, 25, tzinfo=dt.UTC) + dt.timedelta(minutes=n),
            local=dt.datetime(2026, 1, 1, 12, 0, 0, n),  # noqa: DTZ001
            span=dt.timedelta(seconds=n - 50, microseconds=n),
            colour=Colour.BLUE,
            size=1,
            days=[dt.date(2026, 1, 1)],
            part=Part(dt.date(2026, 1, 1), n),
            nothing=None,
        )
        for n, text in enumerate(PAYLOADS)
    ]
    header = [{"userEnteredValue": {"stringValue": column.name}} for column in TABLE.columns]
    writers = [cell_writer(column, zone) for column in TABLE.columns]
    lines = [
        {"values": [write(value) for write, value in zip(writers, values, strict=True)]}
        for values in map(TABLE.validator.values, rows)
    ]
    request = {
        "appendCells": {
            "sheetId": 0,
            "rows": [{"values": header}, *lines],
            "fields": "userEnteredValue,userEnteredFormat.numberFormat",
        }
    }
    client = sheets_server.client()
    client.http_client.batch_update(book, {"requests": [request]})
    every = tl.sheet(book, "Sheet1", Every, key=lambda e: e.id)
    with tl.open_sheets(client) as sheets:
        assert tl.unwrap(sheets.fetch_all(tl.select(every))) == rows
    assert sheets_server.formulas(book) == {}


def test_an_unfit_document_is_told() -> None:
    read = cell_reader(TABLE.by_field["part"], _ZONES[0], computed=False)
    with pytest.raises(UnfitCellError, match="not JSON"):
        read(Cell(effectiveValue=CellValue(stringValue='{"on": 7}')))
