"""Batches that take effect exactly once, although answers are lost.

Google has no keys of idempotence. But a batch is atomic, and adding a named range whose id is there
already is an error: so each batch first adds one whose id is the operation's, its marker. A second
arrival of the batch is refused as a whole, and whether the first arrived is seen by its marker.

Source: Sheets API v4, `AddNamedRangeRequest` ("The ID is required to be unique"), `batchUpdate`
("If any request is not valid then the entire request will fail and nothing will be applied").
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import msgspec

from tierline.errors import (
    ConflictError,
    DecodeError,
    OutcomeUnknownError,
    QueryError,
    RepositoryError,
)
from tierline.result import Failure, Result, Success
from tierline.sheets.grid import FIELDS
from tierline.sheets.http import SheetsHttp
from tierline.sheets.marks import KEEP_S, is_void, marker_of, name_of

_BOOKS = "https://sheets.googleapis.com/v4/spreadsheets"
_OP_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class _NamedRange(msgspec.Struct):
    namedRangeId: str = ""  # noqa: N815 (the API's names)
    name: str = ""


class _Marked(msgspec.Struct):
    spreadsheetId: str  # noqa: N815 (an answer without it is none)
    namedRanges: list[_NamedRange] = []  # noqa: N815


class _Answer(msgspec.Struct):
    spreadsheetId: str  # noqa: N815


class _Batch(NamedTuple):
    """A batch to send.

    Attributes:
        http: What asks Google.
        spreadsheet: Its id.
        requests: What it does, after its marker.
        op_id: The operation's id.
        sheet_id: The worksheet that the marker lies on.
        ranges: What to read back.
        fields: The mask of what is read back.
        began_s: The time of day.
    """

    http: SheetsHttp
    spreadsheet: str
    requests: Sequence[Mapping[str, Any]]
    op_id: str
    sheet_id: int
    ranges: Sequence[str]
    fields: str
    began_s: float

    @property
    def url(self) -> str:
        return f"{_BOOKS}/{quote(self.spreadsheet, safe='')}"

    @property
    def marker(self) -> str:
        return marker_of(self.op_id)


def send_batch(
    http: SheetsHttp,
    spreadsheet_id: str,
    requests: Sequence[Mapping[str, Any]],
    *,
    op_id: str,
    response_ranges: Sequence[str] = (),
    response_fields: str | None = None,
) -> Result[bytes, RepositoryError]:
    """Send one atomic `batchUpdate` that takes effect exactly once.

    Args:
        http: What asks Google.
        spreadsheet_id: The spreadsheet.
        requests: Requests of `batchUpdate`, in order.
        op_id: Names the operation: another one for each, the same if it is sent again after a
            crash. Letters, digits, `_` and `-`, at most 100.
        response_ranges: Ranges to read back with the answer.
        response_fields: The mask of what is read back, seen from the spreadsheet; without it,
            what reading a worksheet asks for.

    Returns:
        JSON: `spreadsheetId`, and with ranges `updatedSpreadsheet`. If the answer was lost, the
        ranges are read anew, so they may show what others did since.

    Errors: `OutcomeUnknownError` if all tries ended without saying whether it took effect;
    `ConflictError` if `resolve` has said before that this operation never will; any other error
    says that it did not.

    Raises:
        ValueError: The id has other characters, or there are no requests.
    """
    if not _OP_ID.fullmatch(op_id):
        raise ValueError("an op_id is 1 to 100 letters, digits, '_' and '-'")
    if not requests:
        raise ValueError("a batch has at least one request")
    batch = _Batch(
        http,
        spreadsheet_id,
        requests,
        op_id,
        _sheet_id(requests),
        response_ranges,
        response_fields or FIELDS,
        http.marks.now_s(),
    )
    end_s = http.end_s()
    if not http.marks.knows(spreadsheet_id):
        # Once a process and spreadsheet: what those before it left, or this operation's marker.
        found = _markers(batch, end_s)
        if isinstance(found, Failure):
            return found
        http.marks.learn(spreadsheet_id, found.unwrap())
        if batch.marker in found.unwrap():
            return _landed(batch, found.unwrap(), end_s)
    return _sent(batch, end_s)


def _sent(batch: _Batch, end_s: float) -> Result[bytes, RepositoryError]:
    marks = batch.http.marks
    old = marks.take(batch.spreadsheet)
    answered = _tried(batch, old, end_s)
    if isinstance(answered, Failure):
        # If they are deleted all the same, the next batch finds out.
        marks.give_back(batch.spreadsheet, old)
    return answered


def _tried(batch: _Batch, old: dict[str, float], end_s: float) -> Result[bytes, RepositoryError]:
    """Send until the outcome is known; what of `old` others have deleted is taken out of it."""
    in_flight = False
    for attempt in itertools.count(1):
        answered = _post(batch, old, end_s)
        if isinstance(answered, Success):
            batch.http.marks.settle(batch.spreadsheet, batch.marker, in_flight=in_flight)
            return answered
        error = answered.failure()
        refused = isinstance(error, QueryError)
        in_flight = in_flight or isinstance(error, OutcomeUnknownError)
        if not refused and not in_flight:
            return answered
        found = _markers(batch, end_s)
        if isinstance(found, Failure):
            return Failure(_unknown(batch, error, attempt))
        if batch.marker in found.unwrap():
            return _landed(batch, found.unwrap(), end_s)
        if _forget_gone(old, found.unwrap()) and refused:
            # It was refused for that.
            continue
        # A refusal says nothing of the attempts before it, which may still arrive.
        if refused and (not in_flight or _resolved(batch, end_s) is False):
            return answered
        if refused or not batch.http.rest(error, attempt, end_s):
            return Failure(_unknown(batch, error, attempt))
    raise AssertionError("count() ends")


def _forget_gone(old: dict[str, float], there: Mapping[str, str]) -> bool:
    """Whether others have deleted some of the markers that were to be deleted."""
    gone = [marker for marker in old if marker not in there]
    for marker in gone:
        del old[marker]
    return bool(gone)


def _post(
    batch: _Batch, old: Mapping[str, float], end_s: float
) -> Success[bytes] | Failure[RepositoryError]:
    """One attempt; an answer that cannot be read is as good as lost."""
    body: dict[str, Any] = {
        "requests": [
            _adds_marker(batch, void=False),
            *({"deleteNamedRange": {"namedRangeId": marker}} for marker in old),
            *batch.requests,
        ]
    }
    fields = "spreadsheetId"
    if batch.ranges:
        body["includeSpreadsheetInResponse"] = True
        body["responseIncludeGridData"] = True
        body["responseRanges"] = list(batch.ranges)
        fields += f",updatedSpreadsheet({batch.fields})"
    answered = batch.http.ask(
        "POST",
        f"{batch.url}:batchUpdate",
        repeat="once",
        params={"fields": fields},
        body=msgspec.json.encode(body),
        end_s=end_s,
    )
    if isinstance(answered, Success):
        try:
            msgspec.json.decode(answered.unwrap(), type=_Answer)
        except msgspec.DecodeError as error:
            lost = OutcomeUnknownError("Google's answer cannot be read; it was cut")
            lost.__cause__ = error
            return Failure(lost)
    return answered


def _adds_marker(batch: _Batch, *, void: bool) -> dict[str, Any]:
    return {
        "addNamedRange": {
            "namedRange": {
                "namedRangeId": batch.marker,
                "name": name_of(batch.op_id, batch.began_s, void=void),
                # A cell of the header, which is the last that people delete.
                "range": {
                    "sheetId": batch.sheet_id,
                    "startRowIndex": 0,
                    "endRowIndex": 1,
                    "startColumnIndex": 0,
                    "endColumnIndex": 1,
                },
            }
        }
    }


def _markers(batch: _Batch, end_s: float) -> Result[dict[str, str], RepositoryError]:
    """The names of all named ranges by their ids."""
    answered = batch.http.ask(
        "GET",
        batch.url,
        repeat="read",
        params={"fields": "spreadsheetId,namedRanges(namedRangeId,name)"},
        end_s=end_s,
    )
    if isinstance(answered, Failure):
        return answered
    try:
        ranges = msgspec.json.decode(answered.unwrap(), type=_Marked).namedRanges
    except msgspec.DecodeError as error:
        broken = DecodeError("Google's answer cannot be read; it was cut, or is of another kind")
        broken.__cause__ = error
        return Failure(broken)
    return Success({one.namedRangeId: one.name for one in ranges})


def _landed(
    batch: _Batch, there: Mapping[str, str], end_s: float
) -> Result[bytes, RepositoryError]:
    """What a batch answers whose marker is there, although its own answer was lost."""
    batch.http.marks.settle(batch.spreadsheet, batch.marker, in_flight=True)
    if is_void(there[batch.marker]):
        return Failure(
            ConflictError(
                f"operation {batch.op_id} was given up: it was asked for before it had happened; "
                "read, and send what is still to do as another operation"
            )
        )
    if not batch.ranges:
        return Success(msgspec.json.encode({"spreadsheetId": batch.spreadsheet}))
    answered = batch.http.ask(
        "GET",
        batch.url,
        repeat="read",
        params={"ranges": list(batch.ranges), "fields": batch.fields},
        end_s=end_s,
    )
    if isinstance(answered, Failure):
        error = OutcomeUnknownError(
            "the batch has happened, but what it wrote could not be read back: "
            f"{answered.failure().message}"
        )
        error.op_id, error.__cause__ = batch.op_id, answered.failure()
        error.resolved_by(lambda _: True)
        return Failure(error)
    read = msgspec.Raw(answered.unwrap())
    return Success(
        msgspec.json.encode({"spreadsheetId": batch.spreadsheet, "updatedSpreadsheet": read})
    )


def _unknown(batch: _Batch, cause: RepositoryError, attempt: int) -> OutcomeUnknownError:
    error = OutcomeUnknownError(
        f"the batch may have happened: {cause.message}; ask error.resolve()",
        elapsed_s=batch.http.marks.now_s() - batch.began_s,
        attempt=attempt,
    )
    error.op_id, error.__cause__ = batch.op_id, cause
    error.resolved_by(lambda within_s: _resolved(batch, batch.http.end_s(within_s)))
    return error


def _resolved(batch: _Batch, end_s: float) -> bool | None:
    """Whether the batch took effect, finally: if not, its marker is taken, so it never will."""
    http, marks = batch.http, batch.http.marks
    if marks.now_s() - batch.began_s >= KEEP_S:
        # Others may have deleted its marker.
        return None
    for attempt in itertools.count(1):
        found = _markers(batch, end_s)
        if isinstance(found, Failure):
            return None
        name = found.unwrap().get(batch.marker)
        if name is not None:
            marks.settle(batch.spreadsheet, batch.marker, in_flight=True)
            return not is_void(name)
        answered = http.ask(
            "POST",
            f"{batch.url}:batchUpdate",
            repeat="once",
            params={"fields": "spreadsheetId"},
            body=msgspec.json.encode({"requests": [_adds_marker(batch, void=True)]}),
            end_s=end_s,
        )
        if isinstance(answered, Success):
            marks.settle(batch.spreadsheet, batch.marker, in_flight=True)
            return False
        if not http.rest(answered.failure(), attempt, end_s):
            return None
    raise AssertionError("count() ends")


def _sheet_id(requests: Sequence[Mapping[str, Any]]) -> int:
    """The first worksheet that requests name and neither make nor delete: one that stays."""
    passing = {
        one
        for request in requests
        if "addSheet" in request or "deleteSheet" in request
        for one in _sheet_ids(request)
    }
    return next((one for one in _sheet_ids(list(requests)) if one not in passing), 0)


def _sheet_ids(value: Any) -> Iterator[int]:
    """Every `sheetId`, wherever it stands, in the order of the requests."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        if isinstance(fields.get("sheetId"), int):
            yield fields["sheetId"]
        below: Iterable[Any] = fields.values()
    elif isinstance(value, (list, tuple)):
        below = cast("Sequence[Any]", value)
    else:
        return
    for one in below:
        yield from _sheet_ids(one)
