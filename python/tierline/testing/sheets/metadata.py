"""Developer metadata: keys and values at the spreadsheet, a sheet, rows or columns."""

from __future__ import annotations

import msgspec

from tierline.testing.sheets.errors import ApiError, Json, invalid
from tierline.testing.sheets.masks import as_list, as_object, merged
from tierline.testing.sheets.ranges import Box, box_of
from tierline.testing.sheets.request import Context, Handler, fields, object_at, span
from tierline.testing.sheets.spreadsheet import Sheet, Spreadsheet

# Characters of keys and values, for the spreadsheet and for each sheet.
CHARS_MAX = 30_000


def _located(book: Spreadsheet, given: Json) -> Json:
    """A location with its type, which the server adds."""
    if given.get("dimensionRange"):
        at = span(book, as_object(given["dimensionRange"]))
        if at.end != at.start + 1:
            raise invalid("A dimension range of developer metadata must have one row or column.")
        wanted = {
            name: value for name, value in as_object(given["dimensionRange"]).items() if value
        }
        return {"locationType": "ROW" if at.rows else "COLUMN", "dimensionRange": wanted}
    if "sheetId" in given and given["sheetId"] is not None:
        book.sheet(int(given["sheetId"]))
        return {"locationType": "SHEET", "sheetId": int(given["sheetId"])}
    if given.get("spreadsheet"):
        return {"locationType": "SPREADSHEET", "spreadsheet": True}
    raise invalid("Must specify a location of the developer metadata.")


def _sheet_id(entry: Json) -> int | None:
    location = as_object(entry.get("location"))
    if location.get("spreadsheet"):
        return None
    return int(
        location.get("sheetId") or as_object(location.get("dimensionRange")).get("sheetId") or 0
    )


def _within_limit(book: Spreadsheet) -> Spreadsheet:
    sizes: dict[int | None, int] = {}
    for entry in book.metadata:
        size = len(str(entry.get("metadataKey") or "")) + len(str(entry.get("metadataValue") or ""))
        sizes[_sheet_id(entry)] = sizes.get(_sheet_id(entry), 0) + size
    if any(size > CHARS_MAX for size in sizes.values()):
        raise invalid("This operation would exceed the limit of developer metadata.")
    return book


def create(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """New metadata; with an id that exists already it is refused."""
    wanted = object_at(given, "developerMetadata")
    taken = {int(entry["metadataId"]) for entry in book.metadata}
    chosen = wanted.get("metadataId")
    if chosen is not None and int(chosen) in taken:
        raise invalid(f"Developer metadata with id {chosen} already exists.")
    if not wanted.get("metadataKey"):
        raise invalid("Must specify metadataKey.")
    if wanted.get("visibility") not in ("DOCUMENT", "PROJECT"):
        raise invalid("Must specify a visibility.")
    entry = {
        "metadataId": context.new_id(taken) if chosen is None else int(chosen),
        "metadataKey": str(wanted["metadataKey"]),
        **({"metadataValue": str(wanted["metadataValue"])} if wanted.get("metadataValue") else {}),
        "location": _located(book, as_object(wanted.get("location"))),
        "visibility": wanted["visibility"],
    }
    book = _within_limit(msgspec.structs.replace(book, metadata=(*book.metadata, entry)))
    return book, {"developerMetadata": entry}


def matches(book: Spreadsheet, entry: Json, data_filter: Json) -> bool:
    """Whether a DataFilter selects metadata."""
    lookup = as_object(data_filter.get("developerMetadataLookup"))
    location = as_object(entry.get("location"))
    for name in ("metadataId", "metadataKey", "metadataValue", "visibility"):
        if lookup.get(name) is not None and lookup[name] != entry.get(name):
            return False
    kind = lookup.get("locationType")
    if kind is not None and kind != location.get("locationType"):
        return False
    wanted = as_object(lookup.get("metadataLocation"))
    return not wanted or _located(book, wanted) == location


def search(book: Spreadsheet, filters: list[Json]) -> list[tuple[Json, list[Json]]]:
    """The metadata that filters select, each with the filters that did."""
    found = [
        (entry, [one for one in filters if matches(book, entry, one)]) for entry in book.metadata
    ]
    return [(entry, by) for entry, by in found if by]


def update(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """Other keys, values or places of the metadata that filters select."""
    filters = [as_object(one) for one in as_list(given.get("dataFilters"))]
    mask, wanted = fields(given), object_at(given, "developerMetadata")
    chosen = [id(entry) for entry, _ in search(book, filters)]
    if "location" in mask:
        wanted = {**wanted, "location": _located(book, as_object(wanted.get("location")))}
    entries = tuple(
        merged(entry, wanted, mask) if id(entry) in chosen else entry for entry in book.metadata
    )
    changed = [new for old, new in zip(book.metadata, entries, strict=True) if old is not new]
    book = _within_limit(msgspec.structs.replace(book, metadata=entries))
    return book, {"developerMetadata": changed}


def delete(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """Without the metadata that a filter selects."""
    gone = [entry for entry, _ in search(book, [object_at(given, "dataFilter")])]
    kept = tuple(entry for entry in book.metadata if entry not in gone)
    return msgspec.structs.replace(book, metadata=kept), {"deletedDeveloperMetadata": gone}


def filtered_ranges(book: Spreadsheet, data_filter: Json) -> list[tuple[Sheet, Box]]:
    """The ranges that a DataFilter selects: A1, a GridRange, or where metadata is."""
    if data_filter.get("a1Range"):
        return [book.range(str(data_filter["a1Range"]))]
    if isinstance(data_filter.get("gridRange"), dict):
        given = as_object(data_filter["gridRange"])
        return [(book.sheet(int(given.get("sheetId") or 0)), box_of(given))]
    if not isinstance(data_filter.get("developerMetadataLookup"), dict):
        raise invalid("Must specify a data filter.")
    found: list[tuple[Sheet, Box]] = []
    for entry, _ in search(book, [data_filter]):
        location = as_object(entry.get("location"))
        at = as_object(location.get("dimensionRange"))
        if at:
            start, end = int(at.get("startIndex") or 0), int(at["endIndex"])
            rows = at.get("dimension") == "ROWS"
            box = Box(start, 0, end, None) if rows else Box(0, start, None, end)
            found.append((book.sheet(int(at.get("sheetId") or 0)), box))
        elif location.get("sheetId") is not None:
            found.append((book.sheet(int(location["sheetId"])), Box()))
    return found


def get(book: Spreadsheet, metadata_id: int) -> Json:
    """One entry.

    Raises:
        ApiError: There is none.
    """
    for entry in book.metadata:
        if entry["metadataId"] == metadata_id:
            return entry
    raise ApiError(404, f"No developer metadata with id: {metadata_id}")


METADATA_REQUESTS: dict[str, Handler] = {
    "createDeveloperMetadata": create,
    "deleteDeveloperMetadata": delete,
    "updateDeveloperMetadata": update,
}
