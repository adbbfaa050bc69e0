"""Requests about what lies on cells: merges, named ranges, protections, filters."""

from __future__ import annotations

import msgspec

from tierline.testing.sheets.batch_cells import blanked
from tierline.testing.sheets.errors import Json, invalid
from tierline.testing.sheets.grid import put
from tierline.testing.sheets.masks import as_object, lean, merged, names
from tierline.testing.sheets.ranges import Bounds, Box, box_of
from tierline.testing.sheets.request import (
    Context,
    Handler,
    fields,
    object_at,
    target,
    target_bounds,
)
from tierline.testing.sheets.resource import named_range_json
from tierline.testing.sheets.spreadsheet import Placed, Sheet, Spreadsheet, placed_json


def _whole(sheet: Sheet, placed: Placed) -> Bounds:
    return sheet.bounds(placed.box)


def merge(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """Merge cells: all in one, or a row or column each; only the first value is kept."""
    sheet, bounds = target_bounds(book, object_at(given, "range"))
    book.allow(sheet, bounds, context.user)
    kind = given.get("mergeType")
    if kind == "MERGE_ROWS":
        parts = [bounds._replace(top=r, bottom=r + 1) for r in range(bounds.top, bounds.bottom)]
    elif kind == "MERGE_COLUMNS":
        parts = [bounds._replace(left=c, right=c + 1) for c in range(bounds.left, bounds.right)]
    elif kind == "MERGE_ALL":
        parts = [bounds]
    else:
        raise invalid("No mergeType specified.")
    kept = _without(
        sheet, bounds, "You must select all cells in a merged range to merge or unmerge them."
    )
    merges = tuple(
        Placed(Box(*part))
        for part in parts
        if part.bottom - part.top > 1 or part.right - part.left > 1
    )
    emptied = {
        place: cell
        for part in parts
        for place, cell in blanked(sheet, part).items()
        if place != (part.top, part.left)
    }
    grid = put(sheet.grid, emptied)
    return book.with_sheet(msgspec.structs.replace(sheet, merges=(*kept, *merges), grid=grid)), None


def unmerge(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """Without the merges of a range."""
    sheet, bounds = target_bounds(book, object_at(given, "range"))
    book.allow(sheet, bounds, context.user)
    kept = _without(
        sheet, bounds, "You must select all cells in a merged range to merge or unmerge them."
    )
    return book.with_sheet(msgspec.structs.replace(sheet, merges=kept)), None


def _without(sheet: Sheet, bounds: Bounds, message: str) -> tuple[Placed, ...]:
    """The merges that lie outside of a range."""
    kept = [one for one in sheet.merges if not _whole(sheet, one).meets(bounds)]
    met = [one for one in sheet.merges if _whole(sheet, one).meets(bounds)]
    if not all(bounds.contains(_whole(sheet, one)) for one in met):
        raise invalid(message)
    return tuple(kept)


def add_named_range(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """A named range; with an id that exists already it is refused."""
    wanted = object_at(given, "namedRange")
    sheet, box = target(book, object_at(wanted, "range"))
    taken = {str(one.body["namedRangeId"]) for one in book.named_ranges}
    range_id = str(wanted.get("namedRangeId") or "")
    if range_id in taken:
        raise invalid(f"A named range with id '{range_id}' already exists.")
    if not range_id:
        range_id = str(context.new_id({int(one) for one in taken if one.isdigit()}))
    name = str(wanted.get("name") or "")
    _check_name(book, name, None)
    body = {"namedRangeId": range_id, "name": name, "sheetId": sheet.id}
    named = Placed(box, body)
    book = msgspec.structs.replace(book, named_ranges=(*book.named_ranges, named))
    return book, {"namedRange": named_range_json(named)}


def _check_name(book: Spreadsheet, name: str, own: str | None) -> None:
    # Dots and such are no part of a name, and a name is no cell.
    if not name.replace("_", "a").isalnum() or name[0].isdigit():
        raise invalid(f"The name '{name}' is not a valid named range name.")
    for one in book.named_ranges:
        if one.body["name"].casefold() == name.casefold() and one.body["namedRangeId"] != own:
            raise invalid(f"A named range with the name '{name}' already exists.")


def update_named_range(
    book: Spreadsheet, given: Json, _: Context
) -> tuple[Spreadsheet, Json | None]:
    """Another name or range."""
    wanted, mask = object_at(given, "namedRange"), fields(given)
    old = _named(book, str(wanted.get("namedRangeId")))
    new = old
    if "name" in mask or "*" in mask:
        _check_name(book, str(wanted.get("name") or ""), str(old.body["namedRangeId"]))
        new = msgspec.structs.replace(new, body={**new.body, "name": str(wanted["name"])})
    if "range" in mask or "*" in mask:
        sheet, box = target(book, object_at(wanted, "range"))
        new = Placed(box, {**new.body, "sheetId": sheet.id})
    named = tuple(new if one is old else one for one in book.named_ranges)
    return msgspec.structs.replace(book, named_ranges=named), None


def _named(book: Spreadsheet, range_id: str) -> Placed:
    for one in book.named_ranges:
        if one.body["namedRangeId"] == range_id:
            return one
    raise invalid(f"No named range with id: {range_id}")


def delete_named_range(
    book: Spreadsheet, given: Json, _: Context
) -> tuple[Spreadsheet, Json | None]:
    """Without a named range."""
    gone = _named(book, str(given.get("namedRangeId")))
    named = tuple(one for one in book.named_ranges if one is not gone)
    return msgspec.structs.replace(book, named_ranges=named), None


def add_protection(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """A protected range. Who adds it may edit, whatever the request says."""
    wanted = object_at(given, "protectedRange")
    if wanted.get("namedRangeId"):
        named = _named(book, str(wanted["namedRangeId"]))
        sheet, box = book.sheet(int(named.body.get("sheetId") or 0)), named.box
    else:
        sheet, box = target(book, object_at(wanted, "range"))
    taken = {int(one.body["protectedRangeId"]) for each in book.sheets for one in each.protections}
    kept = {
        name: value
        for name, value in lean(wanted).items()
        if name in ("namedRangeId", "description", "warningOnly", "unprotectedRanges")
    }
    told = {"protectedRangeId": context.new_id(taken), **kept, "requestingUserCanEdit": True}
    editors = as_object(wanted.get("editors"))
    users = list(dict.fromkeys([context.user, *(editors.get("users") or [])]))
    placed = Placed(box, {**told, "editors": {"users": users}})
    changed = msgspec.structs.replace(sheet, protections=(*sheet.protections, placed))
    # The answer names those that were given; the caller is found when it is read back.
    answer = {**placed_json(placed, sheet.id), "editors": lean(editors)}
    answer["editors"] = {name: value for name, value in answer["editors"].items() if value}
    return book.with_sheet(changed), {"protectedRange": answer}


def _protection(book: Spreadsheet, range_id: int) -> tuple[Sheet, Placed]:
    for sheet in book.sheets:
        for one in sheet.protections:
            if one.body["protectedRangeId"] == range_id:
                return sheet, one
    raise invalid(f"No protected range with id: {range_id}")


def delete_protection(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """Without a protection, for those who may edit in spite of it."""
    sheet, gone = _protection(book, int(given.get("protectedRangeId") or 0))
    book.allow(sheet, sheet.bounds(gone.box), context.user)
    kept = tuple(one for one in sheet.protections if one is not gone)
    return book.with_sheet(msgspec.structs.replace(sheet, protections=kept)), None


def update_protection(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """Other cells, editors or words of a protection."""
    wanted, mask = object_at(given, "protectedRange"), fields(given)
    sheet, old = _protection(book, int(wanted.get("protectedRangeId") or 0))
    book.allow(sheet, sheet.bounds(old.box), context.user)
    box = box_of(as_object(wanted.get("range"))) if "range" in names(mask) else old.box
    body = lean(merged(old.body, wanted, {name: mask[name] for name in mask if name != "range"}))
    new = Placed(box, body if any(name != "range" for name in mask) else old.body)
    kept = tuple(new if one is old else one for one in sheet.protections)
    return book.with_sheet(msgspec.structs.replace(sheet, protections=kept)), None


def set_filter(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """A basic filter; without ends it covers the grid as it is now."""
    wanted = object_at(given, "filter")
    sheet, bounds = target_bounds(book, as_object(wanted.get("range")))
    body = {name: value for name, value in wanted.items() if name != "range"}
    placed = Placed(Box(*bounds), body)
    return book.with_sheet(msgspec.structs.replace(sheet, filter=placed)), None


def clear_filter(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """Without the basic filter."""
    sheet = book.sheet(int(given.get("sheetId") or 0))
    return book.with_sheet(msgspec.structs.replace(sheet, filter=None)), None


MARK_REQUESTS: dict[str, Handler] = {
    "addNamedRange": add_named_range,
    "addProtectedRange": add_protection,
    "clearBasicFilter": clear_filter,
    "deleteNamedRange": delete_named_range,
    "deleteProtectedRange": delete_protection,
    "mergeCells": merge,
    "setBasicFilter": set_filter,
    "unmergeCells": unmerge,
    "updateNamedRange": update_named_range,
    "updateProtectedRange": update_protection,
}
