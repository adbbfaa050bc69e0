"""The endpoints of the Drive API that spreadsheets need: files, permissions, comments, export."""

from __future__ import annotations

import csv
import io
import re

import msgspec

from tierline.testing.sheets.cell import Cell
from tierline.testing.sheets.entered import enter
from tierline.testing.sheets.errors import Json, drive_error
from tierline.testing.sheets.exchange import Reply, json_reply
from tierline.testing.sheets.files import SHEET_TYPE, File, file_json, known_role, permission
from tierline.testing.sheets.grid import Grid, put
from tierline.testing.sheets.masks import as_object, parse, project
from tierline.testing.sheets.sheets_api import Call, Endpoint
from tierline.testing.sheets.spreadsheet import Sheet, Spreadsheet
from tierline.testing.sheets.values import Rendering, read_values

_TERM = re.compile(
    r"""\s*(?:(mimeType|name)\s*(!?=|contains)\s*(["'])((?:\\.|(?!\3).)*)\3"""
    r"""|(["'])((?:\\.|(?!\5).)*)\5\s+in\s+(parents|owners|writers)|trashed\s*=\s*(true|false))\s*"""
)
_DEFAULT = "kind,id,name,mimeType"


def _file(call: Call, *, write: bool = False) -> File:
    return call.state.file(call.parts["id"], call.user, write=write)


def _answer(call: Call, file: File, default: str = _DEFAULT) -> Json:
    whole = file_json(file, call.state.books[file.id].title, call.user)
    fields = call.request.option("fields") or default
    return as_object(project(whole, parse(fields)))


def create(call: Call) -> Reply:
    """`files.create`."""
    body = call.request.json()
    if body.get("mimeType") != SHEET_TYPE:
        raise drive_error(400, "badRequest", "This server makes spreadsheets only.", "mimeType")
    parents = tuple(str(one) for one in body.get("parents") or ())
    book = call.state.create(str(body.get("name") or "Untitled"), call.user, parents=parents)
    return json_reply(_answer(call, call.state.files[book.id]))


def copy(call: Call) -> Reply:
    """`files.copy`."""
    file = _file(call)
    body, book = call.request.json(), call.state.books[file.id]
    title = str(body.get("name") or f"Copy of {book.title}")
    parents = tuple(str(one) for one in body.get("parents") or file.parents)
    made = call.state.create(title, call.user, parents=parents, book=book)
    return json_reply(_answer(call, call.state.files[made.id]))


def get(call: Call) -> Reply:
    """`files.get`."""
    return json_reply(_answer(call, _file(call)))


def _matches(file: File, name: str, query: str) -> bool:
    """Whether a file is what `q` asks for: terms joined by `and`.

    Raises:
        ApiError: A term is none of those that this server knows.
    """
    position, wanted = 0, True
    while position < len(query):
        found = _TERM.match(query, position)
        if found is None:
            raise drive_error(400, "invalid", "Invalid Value", "q")
        key, sign, _, value, _, member, group, trashed = found.groups()
        if key:
            actual = name if key == "name" else SHEET_TYPE
            text = re.sub(r"\\(.)", r"\1", value)
            same = text.casefold() in actual.casefold() if sign == "contains" else text == actual
            wanted = wanted and (not same if sign == "!=" else same)
        elif member is not None:
            inside = file.parents if group == "parents" else (file.owner,)
            wanted = wanted and member in inside
        else:
            wanted = wanted and file.trashed == (trashed == "true")
        position = found.end()
        if position < len(query):
            if not query.startswith("and ", position):
                raise drive_error(400, "invalid", "Invalid Value", "q")
            position += 4
    return wanted


def list_files(call: Call) -> Reply:
    """`files.list`, the latest change first."""
    query = call.request.option("q") or ""
    state = call.state
    seen = [
        file
        for file in state.files.values()
        if file.role(call.user) and _matches(file, state.books[file.id].title, query)
    ]
    seen.sort(key=lambda file: file.modified, reverse=True)
    size = int(call.request.option("pageSize") or 100)
    start = int(call.request.option("pageToken") or 0)
    page = [file_json(one, state.books[one.id].title, call.user) for one in seen[start:][:size]]
    answer: Json = {"kind": "drive#fileList", "files": page}
    if start + size < len(seen):
        answer["nextPageToken"] = str(start + size)
    fields = call.request.option("fields") or f"kind,nextPageToken,files({_DEFAULT})"
    return json_reply(as_object(project(answer, parse(fields))))


def update(call: Call) -> Reply:
    """`files.update`: another name, or into the bin and out of it."""
    file, body = _file(call, write=True), call.request.json()
    book = call.state.books[file.id]
    if body.get("name"):
        title = {**book.properties, "title": str(body["name"])}
        call.state.books[file.id] = msgspec.structs.replace(book, properties=title)
    if "trashed" in body:
        call.state.files[file.id] = msgspec.structs.replace(file, trashed=bool(body["trashed"]))
    call.state.touch(file.id)
    return json_reply(_answer(call, call.state.files[file.id]))


def delete(call: Call) -> Reply:
    """`files.delete`: for good, and for the owner only."""
    file = _file(call)
    if file.role(call.user) != "owner":
        raise drive_error(
            403,
            "insufficientFilePermissions",
            f"The user does not have sufficient permissions for file {file.id}.",
        )
    call.state.remove(file.id)
    return Reply(204)


def export(call: Call) -> Reply:
    """`files.export` as CSV or TSV: the first sheet, as it is shown."""
    file = _file(call)
    wanted = call.request.option("mimeType")
    separator = {"text/csv": ",", "text/tab-separated-values": "\t"}.get(str(wanted))
    if separator is None:
        message = "The requested conversion is not supported."
        raise drive_error(400, "badRequest", message, "convertTo")
    sheet = call.state.books[file.id].sheets[0]
    lines = read_values(sheet, sheet.grid.whole, Rendering()).get("values", [])
    width = max((len(line) for line in lines), default=0)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    writer.writerows([*line, *[""] * (width - len(line))] for line in lines)
    return Reply(200, text.getvalue().removesuffix("\r\n").encode(), str(wanted))


def upload(call: Call) -> Reply:
    """`files.update` of Drive v2 with a CSV: one sheet, named as the file, instead of all."""
    file = _file(call, write=True)
    book = call.state.books[file.id]
    text = call.request.body.decode("utf-8-sig", "replace")
    cells = {
        (i, j): enter(Cell(), value, user_entered=True, locale=book.locale)
        for i, line in enumerate(csv.reader(io.StringIO(text)))
        for j, value in enumerate(line)
    }
    new_id = call.state.context(call.user).new_id({0})
    sheet = Sheet(new_id, book.title, put(Grid(), cells))
    # An import begins anew: the zone is that of the importing account.
    properties = {**book.properties, "timeZone": "America/Los_Angeles"}
    call.state.keep(Spreadsheet(book.id, properties, (sheet,), owner=book.owner))
    return json_reply(
        {
            "kind": "drive#file",
            "id": file.id,
            "title": book.title,
            "mimeType": SHEET_TYPE,
            "createdDate": file.created,
            "modifiedDate": call.state.files[file.id].modified,
            "version": str(call.state.files[file.id].version),
            "editable": True,
        }
    )


def permissions(call: Call) -> Reply:
    """`permissions.list`."""
    found = list(_file(call).permissions)
    answer: Json = {"kind": "drive#permissionList", "permissions": found}
    fields = call.request.option("fields")
    return json_reply(as_object(project(answer, parse(fields))) if fields else answer)


def share(call: Call) -> Reply:
    """`permissions.create`."""
    file, body = _file(call, write=True), call.request.json()
    if not known_role(body.get("role")):
        raise drive_error(400, "invalid", "The specified role is invalid.", "permission.role")
    if body.get("type") not in ("user", "group", "domain", "anyone"):
        raise drive_error(400, "invalid", "The permission type is invalid.", "permission.type")
    made = permission(body, str(call.state.random.randrange(10**19, 10**20)))
    same = [one for one in file.permissions if _whose(one) == _whose(made)]
    if same and same[0]["role"] == "owner":
        return json_reply(_brief(same[0]))
    kept = [one for one in file.permissions if one not in same]
    _set_permissions(call, file, [*kept, made])
    return json_reply(_brief(made))


def _brief(one: Json) -> Json:
    return {name: one[name] for name in ("kind", "id", "type", "role")}


def _whose(one: Json) -> tuple[object, ...]:
    return one["type"], one.get("emailAddress"), one.get("domain")


def _set_permissions(call: Call, file: File, permissions: list[Json]) -> None:
    changed = msgspec.structs.replace(file, permissions=tuple(permissions))
    call.state.files[file.id] = changed
    book = call.state.books[file.id]
    if changed.owner != book.owner:
        call.state.books[file.id] = msgspec.structs.replace(book, owner=changed.owner)
    call.state.touch(file.id, content=False)


def _permission(call: Call, file: File) -> Json:
    for one in file.permissions:
        if one["id"] == call.parts["permission"]:
            return one
    message = f"Permission not found: {call.parts['permission']}."
    raise drive_error(404, "notFound", message, "permissionId")


def change_permission(call: Call) -> Reply:
    """`permissions.update`: another role, or the ownership."""
    file, body = _file(call, write=True), call.request.json()
    old = _permission(call, file)
    if body.get("role") == "owner" and not call.request.flag("transferOwnership"):
        message = (
            "The transferOwnership parameter must be enabled when the permission role is 'owner'."
        )
        raise drive_error(403, "forbidden", message, "transferOwnership")
    given = ("role", "pendingOwner", "expirationTime")
    new = {**old, **{name: body[name] for name in given if name in body}}
    changed = [new if one is old else one for one in file.permissions]
    if new["role"] == "owner":
        new.pop("pendingOwner", None)
        changed = [
            {**one, "role": "writer"} if one["role"] == "owner" and one is not new else one
            for one in changed
        ]
    _set_permissions(call, file, changed)
    return json_reply(_brief(new))


def unshare(call: Call) -> Reply:
    """`permissions.delete`."""
    file = _file(call, write=True)
    gone = _permission(call, file)
    _set_permissions(call, file, [one for one in file.permissions if one is not gone])
    return Reply(204)


def comments(call: Call) -> Reply:
    """`comments.list`."""
    found = call.state.comments.get(_file(call).id, [])
    return json_reply({"comments": found})


def comment(call: Call) -> Reply:
    """`comments.create`."""
    file, body = _file(call, write=True), call.request.json()
    made = {"id": call.state.new_id(11), "kind": "drive#comment", **body}
    call.state.comments.setdefault(file.id, []).append(made)
    return json_reply({"id": made["id"]})


_FILE = r"/drive/v3/files/(?P<id>[^/]+)"

ROUTES: list[tuple[str, str, Endpoint]] = [
    ("POST", r"/drive/v3/files", create),
    ("GET", r"/drive/v3/files", list_files),
    ("GET", _FILE, get),
    ("PATCH", _FILE, update),
    ("DELETE", _FILE, delete),
    ("POST", _FILE + "/copy", copy),
    ("GET", _FILE + "/export", export),
    ("PUT", r"/upload/drive/v2/files/(?P<id>[^/]+)", upload),
    ("GET", _FILE + "/permissions", permissions),
    ("POST", _FILE + "/permissions", share),
    ("PATCH", _FILE + r"/permissions/(?P<permission>[^/]+)", change_permission),
    ("DELETE", _FILE + r"/permissions/(?P<permission>[^/]+)", unshare),
    ("GET", _FILE + "/comments", comments),
    ("POST", _FILE + "/comments", comment),
]
