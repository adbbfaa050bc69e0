"""Sheets: a worksheet of 50,000 rows and ten columns into Structs, beside gspread by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gspread
import msgspec

import tierline as tl
from measure import Contender, Timed
from sightings import HEADER, ROW_COUNT, Sighting
from workload import OURS, at_most, workload
from world import World

_EPOCH_ORDINAL = dt.date(1899, 12, 30).toordinal()


def _of_texts(worksheet: gspread.Worksheet) -> list[Sighting]:
    """By hand: every cell as it is shown, a dict a row, and msgspec makes the types of texts."""
    header, *rows = worksheet.get_values()
    dicts = [{name: cell or None for name, cell in zip(header, row, strict=True)} for row in rows]
    return msgspec.convert(dicts, list[Sighting], strict=False)


def _of_values(worksheet: gspread.Worksheet) -> list[Sighting]:
    """By hand: numbers as numbers, which loses no digits, and dates of days since 1899."""
    header, *rows = worksheet.get_values(value_render_option=_UNFORMATTED)
    seen = header.index("seen")
    dicts: list[dict[str, Any]] = []
    for row in rows:
        row[seen] = dt.date.fromordinal(row[seen] + _EPOCH_ORDINAL)
        cells = zip(header, row, strict=True)
        dicts.append({name: None if cell == "" else cell for name, cell in cells})
    return msgspec.convert(dicts, list[Sighting], strict=False, builtin_types=(dt.date,))


_UNFORMATTED = gspread.utils.ValueRenderOption.unformatted


@workload(
    "sheets",
    f"{ROW_COUNT:,} x {len(HEADER)} cells to Structs",
    "ms",
    at_most(1.2, "gspread"),
    beside=("gspread, unformatted",),
)
def read(world: World) -> Mapping[str, Contender]:
    """Reading takes at most 1.2 of gspread's `get_values`, dicts by the header, and msgspec.

    Nothing is cached by anybody. The server keeps what it rendered, and everybody has asked once
    before it counts. Ours also tells formulas, errors and merged cells from values, dates from
    numbers, headers that moved, and keys that are there twice.
    """
    served = world.sheets
    store = tl.open_sheets(served.client, quota=_NO_QUOTA)
    world.at_close(store.close)
    query = tl.select(served.sheet)
    works: dict[str, Callable[[], list[Sighting]]] = {
        OURS: lambda: tl.unwrap(store.fetch_all(query)),
        "gspread": partial(_of_texts, served.worksheet),
        "gspread, unformatted": partial(_of_values, served.worksheet),
    }
    return {name: Timed(work, 1, partial(_in_short, work)) for name, work in works.items()}


def _in_short(rows: Callable[[], list[Sighting]]) -> tuple[int, int]:
    """How many rows there are, and a number that is the same for the same rows."""
    found = rows()
    return len(found), hash(tuple(found))


_NO_QUOTA = tl.SheetsQuota(*[10**9] * 4)

WORKLOADS = (read,)
