"""The endpoints of the Sheets API, v4."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

import msgspec

from tierline.testing.sheets import metadata
from tierline.testing.sheets.batch import batch_update
from tierline.testing.sheets.errors import Json
from tierline.testing.sheets.exchange import Reply, Request, json_reply, kept_reply
from tierline.testing.sheets.masks import Mask, as_list, as_object, parse, project
from tierline.testing.sheets.ranges import Bounds, a1
from tierline.testing.sheets.resource import check_mask, sheet_properties, spreadsheet_json
from tierline.testing.sheets.spreadsheet import Sheet, Spreadsheet
from tierline.testing.sheets.state import State
from tierline.testing.sheets.values import (
    append_values,
    batch_update_values,
    clear_values,
    found_values,
    read_values,
    rendering,
    update_values,
    write_values,
    writing,
)


class Call:
    """One request to an endpoint: the state, the request and who asks."""

    def __init__(self, state: State, request: Request, user: str, parts: dict[str, str]) -> None:
        self.state = state
        self.request = request
        self.user = user
        self.parts = {name: unquote(part) for name, part in parts.items() if part}

    @property
    def book(self) -> Spreadsheet:
        """The spreadsheet that the path names, if the user may do this with it."""
        return self.state.opened(self.parts["id"], self.user, write=not self.request.is_read)

    def keep(self, book: Spreadsheet) -> None:
        """Replace the spreadsheet."""
        self.state.keep(book)


Endpoint = Callable[[Call], Reply]


def create(call: Call) -> Reply:
    """`spreadsheets.create`."""
    body = call.request.json()
    given = as_object(body.get("properties"))
    title = str(given.get("title") or "Untitled spreadsheet")
    book = call.state.create(title, call.user)
    book = msgspec.structs.replace(book, properties={**book.properties, **given, "title": title})
    wanted = [as_object(one) for one in as_list(body.get("sheets"))]
    if wanted:
        requests = [
            {"addSheet": {"properties": as_object(one.get("properties"))}} for one in wanted
        ]
        empty = msgspec.structs.replace(book, sheets=())
        book, _ = batch_update(empty, {"requests": requests}, call.state.context(call.user))
    call.keep(book)
    return json_reply(spreadsheet_json(book, user=call.user))


def get(call: Call) -> Reply:
    """`spreadsheets.get`."""
    book, request, user = call.book, call.request, call.user
    fields, ranges = request.option("fields"), request.query.get("ranges")
    mask = parse(fields) if fields else None
    if mask is not None:
        check_mask(mask)
    found = [book.range(text) for text in ranges] if ranges else None
    for sheet, box in found or ():
        # Whatever is refused is refused here; what is rendered later does not fail.
        sheet.bounds(box)
    with_data = request.flag("includeGridData")
    return kept_reply(
        book,
        partial(spreadsheet_json, book, user=user, mask=mask, with_data=with_data, ranges=found),
    )


def get_by_filter(call: Call) -> Reply:
    """`spreadsheets.getByDataFilter`."""
    body, book = call.request.json(), call.book
    fields = call.request.option("fields")
    mask = parse(fields) if fields else None
    found = [
        one
        for data_filter in as_list(body.get("dataFilters"))
        for one in metadata.filtered_ranges(book, as_object(data_filter))
    ]
    with_data = bool(body.get("includeGridData"))
    return json_reply(
        spreadsheet_json(book, user=call.user, mask=mask, with_data=with_data, ranges=found or None)
    )


def batch(call: Call) -> Reply:
    """`spreadsheets.batchUpdate`."""
    book, body = call.book, call.request.json()
    changed, replies = batch_update(book, body, call.state.context(call.user))
    answer: Json = {"spreadsheetId": book.id, "replies": replies}
    if body.get("includeSpreadsheetInResponse"):
        # With a mask, `responseIncludeGridData` does not count.
        texts = [str(one) for one in as_list(body.get("responseRanges"))]
        answer["updatedSpreadsheet"] = spreadsheet_json(
            changed,
            user=call.user,
            mask=_response_mask(call.request.option("fields")),
            with_data=bool(body.get("responseIncludeGridData")),
            ranges=[changed.range(text) for text in texts] or None,
        )
    answer = _masked(call, answer)
    call.keep(changed)
    return json_reply(answer)


def _response_mask(fields: str | None) -> Mask | None:
    """What a batch's mask says of the spreadsheet in the answer; None where it says all."""
    if not fields:
        return None
    mask = parse(fields).get("updatedSpreadsheet")
    if mask is not None:
        check_mask(mask)
    return mask or None


def _mask(call: Call) -> Mask | None:
    fields = call.request.option("fields")
    return parse(fields) if fields else None


def _kept_of(answer: Json, mask: Mask | None) -> Json:
    return answer if mask is None else as_object(project(answer, mask))


def _masked(call: Call, answer: Json) -> Json:
    return _kept_of(answer, _mask(call))


def values_get(call: Call) -> Reply:
    """`values.get`."""
    book, how = call.book, rendering(call.request.options())
    sheet, bounds = found_values(book, call.parts["range"])
    mask = _mask(call)
    return kept_reply(book, lambda: _kept_of(read_values(sheet, bounds, how), mask))


def values_update(call: Call) -> Reply:
    """`values.update`."""
    how = writing(call.request.options(), call.user)
    book, answer = update_values(call.book, call.parts["range"], call.request.json(), how)
    call.keep(book)
    return json_reply(_masked(call, answer))


def values_append(call: Call) -> Reply:
    """`values.append`."""
    how = writing(call.request.options(), call.user)
    insert = call.request.option("insertDataOption") == "INSERT_ROWS"
    body = call.request.json()
    book, answer = append_values(call.book, call.parts["range"], body, how, insert=insert)
    call.keep(book)
    return json_reply(_masked(call, answer))


def values_clear(call: Call) -> Reply:
    """`values.clear`."""
    book, cleared = clear_values(call.book, call.parts["range"], call.user)
    call.keep(book)
    return json_reply({"spreadsheetId": book.id, "clearedRange": cleared})


def values_batch_get(call: Call) -> Reply:
    """`values.batchGet`."""
    book, how = call.book, rendering(call.request.options())
    found = [found_values(book, text) for text in call.request.query.get("ranges", [])]
    mask = _mask(call)

    def document() -> Json:
        ranges = [read_values(sheet, bounds, how) for sheet, bounds in found]
        return _kept_of({"spreadsheetId": book.id, "valueRanges": ranges}, mask)

    return kept_reply(book, document)


def values_batch_update(call: Call) -> Reply:
    """`values.batchUpdate`."""
    book, answer = batch_update_values(call.book, call.request.json(), call.user)
    call.keep(book)
    return json_reply(_masked(call, answer))


def values_batch_clear(call: Call) -> Reply:
    """`values.batchClear`."""
    book, cleared = call.book, list[str]()
    for text in as_list(call.request.json().get("ranges")):
        book, one = clear_values(book, str(text), call.user)
        cleared.append(one)
    call.keep(book)
    return json_reply({"spreadsheetId": book.id, "clearedRanges": cleared})


def _filtered(book: Spreadsheet, data_filter: Json) -> list[tuple[Sheet, Bounds]]:
    found = metadata.filtered_ranges(book, data_filter)
    return [(sheet, sheet.bounds(box)) for sheet, box in found]


def values_get_by_filter(call: Call) -> Reply:
    """`values.batchGetByDataFilter`."""
    book, body = call.book, call.request.json()
    how = rendering(body)
    found: list[Json] = []
    for data_filter in as_list(body.get("dataFilters")):
        one = as_object(data_filter)
        found += [
            {"valueRange": read_values(sheet, bounds, how), "dataFilters": [one]}
            for sheet, bounds in _filtered(book, one)
        ]
    return json_reply({"spreadsheetId": book.id, "valueRanges": found})


def values_update_by_filter(call: Call) -> Reply:
    """`values.batchUpdateByDataFilter`."""
    book, body = call.book, call.request.json()
    how = writing(body, call.user)
    responses: list[Json] = []
    for data in as_list(body.get("data")):
        block = as_object(data)
        data_filter = as_object(block.get("dataFilter"))
        for sheet, bounds in _filtered(book, data_filter):
            # The sheet as the writes before left it.
            now = book.sheet(sheet.id)
            book, answer = write_values(book, now, (bounds.top, bounds.left), block, how)
            responses.append({**answer, "dataFilter": data_filter})
    call.keep(book)
    total = sum(int(answer.get("updatedCells", 0)) for answer in responses)
    return json_reply(
        {"spreadsheetId": book.id, "totalUpdatedCells": total, "responses": responses}
    )


def values_clear_by_filter(call: Call) -> Reply:
    """`values.batchClearByDataFilter`."""
    book, cleared = call.book, list[str]()
    for data_filter in as_list(call.request.json().get("dataFilters")):
        for sheet, bounds in _filtered(book, as_object(data_filter)):
            book, one = clear_values(book, a1(sheet.title, bounds), call.user)
            cleared.append(one)
    call.keep(book)
    return json_reply({"spreadsheetId": book.id, "clearedRanges": cleared})


def copy_to(call: Call) -> Reply:
    """`sheets.copyTo`."""
    source = call.book.sheet(int(call.parts["sheet"]))
    wanted = str(call.request.json().get("destinationSpreadsheetId"))
    goal = call.state.opened(wanted, call.user, write=True)
    title, number = f"Copy of {source.title}", 1
    while goal.titled(title):
        number += 1
        title = f"Copy of {source.title} {number}"
    taken = {sheet.id for sheet in goal.sheets}
    new_id = call.state.context(call.user).new_id(taken)
    sheet = msgspec.structs.replace(source, id=new_id, title=title, protections=())
    goal = msgspec.structs.replace(goal, sheets=(*goal.sheets, sheet))
    call.keep(goal)
    return json_reply(sheet_properties(goal, sheet))


def metadata_get(call: Call) -> Reply:
    """`developerMetadata.get`."""
    return json_reply(metadata.get(call.book, int(call.parts["metadata"])))


def metadata_search(call: Call) -> Reply:
    """`developerMetadata.search`."""
    filters = [as_object(one) for one in as_list(call.request.json().get("dataFilters"))]
    found = [
        {"developerMetadata": entry, "dataFilters": by}
        for entry, by in metadata.search(call.book, filters)
    ]
    return json_reply({"matchedDeveloperMetadata": found} if found else {})


_BOOK = r"/v4/spreadsheets/(?P<id>[^/:]+)"

ROUTES: list[tuple[str, str, Endpoint]] = [
    ("POST", r"/v4/spreadsheets", create),
    ("GET", _BOOK, get),
    ("POST", _BOOK + ":batchUpdate", batch),
    ("POST", _BOOK + ":getByDataFilter", get_by_filter),
    ("GET", _BOOK + "/values:batchGet", values_batch_get),
    ("POST", _BOOK + "/values:batchUpdate", values_batch_update),
    ("POST", _BOOK + "/values:batchClear", values_batch_clear),
    ("POST", _BOOK + "/values:batchGetByDataFilter", values_get_by_filter),
    ("POST", _BOOK + "/values:batchUpdateByDataFilter", values_update_by_filter),
    ("POST", _BOOK + "/values:batchClearByDataFilter", values_clear_by_filter),
    ("POST", _BOOK + r"/values/(?P<range>[^/]+):append", values_append),
    ("POST", _BOOK + r"/values/(?P<range>[^/]+):clear", values_clear),
    ("GET", _BOOK + r"/values/(?P<range>[^/]+)", values_get),
    ("PUT", _BOOK + r"/values/(?P<range>[^/]+)", values_update),
    ("POST", _BOOK + r"/sheets/(?P<sheet>\d+):copyTo", copy_to),
    ("GET", _BOOK + r"/developerMetadata/(?P<metadata>\d+)", metadata_get),
    ("POST", _BOOK + "/developerMetadata:search", metadata_search),
]
