"""People at a spreadsheet: what they do in it without a request, also between two requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tierline.testing.sheets.batch import batch_update
from tierline.testing.sheets.errors import ApiError, Json
from tierline.testing.sheets.exchange import Request
from tierline.testing.sheets.values import batch_update_values

if TYPE_CHECKING:
    from tierline.testing.sheets.service import Service

VisitOn = Literal["all", "reads", "writes"]


class Visit(NamedTuple):
    """Something that happens just before the next request that it is for."""

    on: VisitOn
    action: Callable[[], object]

    def meets(self, request: Request) -> bool:
        """Whether it is for this request; those for a token never are."""
        if request.path == "/token":
            return False
        return self.on == "all" or request.is_read == (self.on == "reads")


def visit_of(visits: list[Visit], request: Request) -> Visit | None:
    """Take the first visit that is for a request; its caller holds the lock."""
    for i, visit in enumerate(visits):
        if visit.meets(request):
            return visits.pop(i)
    return None


class People:
    """What a person at the spreadsheet does; the person is its owner, whom no protection stops.

    Rows and columns are counted from 1, as the spreadsheet shows them. Worksheets are named by
    title; None is the first. Every method raises KeyError where there is no such spreadsheet or
    worksheet, and ValueError with the spreadsheet's words where it refuses.
    """

    _service: Service

    def set_values(
        self, spreadsheet_id: str, values: Mapping[str, Any], worksheet: str | None = None
    ) -> None:
        """Type values into cells: `server.set_values(book_id, {"B2": 5, "C2": "=B2*2"})`.

        Args:
            spreadsheet_id: The spreadsheet's id.
            values: By cell; texts are read as typed, and "" clears.
            worksheet: Its title; None for the first.
        """
        with self._service.lock:
            book = self._service.state.books[spreadsheet_id]
            title = book.sheet(self._sheet_id(spreadsheet_id, worksheet)).title
            quoted = "'" + title.replace("'", "''") + "'"
            data = [
                {"range": f"{quoted}!{cell}", "values": [[value]]} for cell, value in values.items()
            ]
            body: Json = {"valueInputOption": "USER_ENTERED", "data": data}
            try:
                changed, _ = batch_update_values(book, body, book.owner)
            except ApiError as error:
                raise ValueError(error.message) from None
            self._service.state.keep(changed)

    def sort_rows(
        self,
        spreadsheet_id: str,
        worksheet: str | None = None,
        column: int = 1,
        *,
        descending: bool = False,
        header_rows: int = 1,
    ) -> None:
        """Sort the rows by a column, below the header."""
        order = "DESCENDING" if descending else "ASCENDING"
        specs = [{"dimensionIndex": column - 1, "sortOrder": order}]
        with self._service.lock:
            sheet_id = self._sheet_id(spreadsheet_id, worksheet)
            area: Json = {"sheetId": sheet_id, "startRowIndex": header_rows}
            self.edit(spreadsheet_id, {"sortRange": {"range": area, "sortSpecs": specs}})

    def insert_rows(
        self, spreadsheet_id: str, worksheet: str | None = None, *, at: int, count: int = 1
    ) -> None:
        """Insert blank rows before row `at`."""
        with self._service.lock:
            rows = _rows(self._sheet_id(spreadsheet_id, worksheet), at, count)
            self.edit(spreadsheet_id, {"insertDimension": {"range": rows}})

    def delete_rows(
        self, spreadsheet_id: str, worksheet: str | None = None, *, at: int, count: int = 1
    ) -> None:
        """Delete rows from row `at` on."""
        with self._service.lock:
            rows = _rows(self._sheet_id(spreadsheet_id, worksheet), at, count)
            self.edit(spreadsheet_id, {"deleteDimension": {"range": rows}})

    def move_rows(
        self,
        spreadsheet_id: str,
        worksheet: str | None = None,
        *,
        at: int,
        to: int,
        count: int = 1,
    ) -> None:
        """Move rows from row `at` on before row `to`, counted before the move."""
        with self._service.lock:
            rows = _rows(self._sheet_id(spreadsheet_id, worksheet), at, count)
            moved: Json = {"source": rows, "destinationIndex": to - 1}
            self.edit(spreadsheet_id, {"moveDimension": moved})

    def rename_worksheet(
        self, spreadsheet_id: str, worksheet: str | None = None, *, title: str
    ) -> None:
        """Give a worksheet another title."""
        with self._service.lock:
            named: Json = {"sheetId": self._sheet_id(spreadsheet_id, worksheet), "title": title}
            change: Json = {"properties": named, "fields": "title"}
            self.edit(spreadsheet_id, {"updateSheetProperties": change})

    def edit(self, spreadsheet_id: str, *requests: Json) -> None:
        """Do as a person what `batchUpdate` can: all of the requests, or none.

        Example:
            `server.edit(book_id, {"addSheet": {"properties": {"title": "Notes"}}})`.
        """
        with self._service.lock:
            state = self._service.state
            book = state.books[spreadsheet_id]
            try:
                body: Json = {"requests": list(requests)}
                changed, _ = batch_update(book, body, state.context(book.owner))
            except ApiError as error:
                raise ValueError(error.message) from None
            state.keep(changed)

    def before_next(self, action: Callable[[], object], *, on: VisitOn = "writes") -> None:
        """Run something once, just before the next request that takes effect.

        What a person does between a client's read and its write, at that very moment in every run.

        Args:
            action: What to do, such as `lambda: server.sort_rows(book_id)`. It may also ask this
                server. A request that it raises in is not applied, and its connection ends.
            on: Before which requests: "all", "reads" or "writes".
        """
        with self._service.lock:
            self._service.visits.append(Visit(on, action))

    def rest(self) -> None:
        """Forget what `before_next` was given and has not been done yet."""
        with self._service.lock:
            self._service.visits.clear()

    def titles(self, spreadsheet_id: str) -> list[str]:
        """The titles of a spreadsheet's worksheets, hidden ones too."""
        with self._service.lock:
            return [sheet.title for sheet in self._service.state.books[spreadsheet_id].sheets]

    def _sheet_id(self, spreadsheet_id: str, worksheet: str | None) -> int:
        book = self._service.state.books[spreadsheet_id]
        sheet = book.sheets[0] if worksheet is None else book.titled(worksheet)
        if sheet is None:
            raise KeyError(worksheet)
        return sheet.id


def _rows(sheet_id: int, at: int, count: int) -> Json:
    span: Json = {"sheetId": sheet_id, "dimension": "ROWS"}
    return span | {"startIndex": at - 1, "endIndex": at - 1 + count}
