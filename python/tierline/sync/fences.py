"""The marker of a pair in the sheet: which operation wrote last. See `tierline.sync.operations`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from returns.result import Failure, Success

from tierline.errors import RepositoryError
from tierline.sheets.edits import Request
from tierline.sheets.marker import send_batch
from tierline.sheets.sheets import Sheets
from tierline.sync.operations import Operation
from tierline.sync.pair import Sync
from tierline.sync.sheet_side import SheetSide, fence_of

FIRST = "new_"
"""Marks a marker that no operation has put there."""


def was_synced(sync: Sync[Any, Any], side: SheetSide) -> bool:
    """Whether an operation of the pair has written to the sheet, so that there was a base."""
    return any(not one.startswith(fence_of(sync.id, FIRST)) for one in side.fences)


def moves_fence(
    sync: Sync[Any, Any], side: SheetSide, old: Sequence[str], new: str
) -> list[Request]:
    """The requests that take markers away and put another in place; they fail where one is gone."""
    sheet = sync.sheet
    key = [column.name for column in sheet.columns].index(sheet.key[0])
    column = side.snapshot.layout.columns[key]
    # A cell of the header, which is the last that people delete.
    place = {
        "sheetId": side.snapshot.sheet_id,
        "startRowIndex": sheet.header_row - 1,
        "endRowIndex": sheet.header_row,
        "startColumnIndex": column,
        "endColumnIndex": column + 1,
    }
    return [
        *({"deleteNamedRange": {"namedRangeId": one}} for one in old),
        {"addNamedRange": {"namedRange": {"namedRangeId": new, "name": new, "range": place}}},
    ]


def plant(
    sheets: Sheets, sync: Sync[Any, Any], side: SheetSide
) -> Success[SheetSide] | Failure[RepositoryError]:
    """Put the first marker in place, for the first operation to take away."""
    first = fence_of(sync.id, f"{FIRST}{secrets.token_hex(6)}")
    sent = _send(sheets, sync, moves_fence(sync, side, (), first))
    return sent if isinstance(sent, Failure) else Success(side._replace(fences=(first,)))


def cancel(
    sheets: Sheets, sync: Sync[Any, Any], side: SheetSide, operation: Operation
) -> Success[bytes] | Failure[RepositoryError]:
    """Move the marker on, so that an operation that has not landed never will."""
    old = operation.after.split("+")
    return _send(sheets, sync, moves_fence(sync, side, old, operation.cancellation))


def _send(
    sheets: Sheets, sync: Sync[Any, Any], requests: list[Request]
) -> Success[bytes] | Failure[RepositoryError]:
    op_id = f"tlsync_{secrets.token_hex(8)}"
    sent = send_batch(sheets.http, sync.sheet.spreadsheet, requests, op_id=op_id)
    return sent if isinstance(sent, Failure) else Success(sent.unwrap())
