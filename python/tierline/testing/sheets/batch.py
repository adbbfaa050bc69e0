"""`spreadsheets.batchUpdate`: requests in order, all or nothing."""

from __future__ import annotations

from tierline.testing.sheets.batch_cells import CELL_REQUESTS
from tierline.testing.sheets.batch_dimensions import DIMENSION_REQUESTS
from tierline.testing.sheets.batch_marks import MARK_REQUESTS
from tierline.testing.sheets.batch_sheets import SHEET_REQUESTS
from tierline.testing.sheets.errors import ApiError, Json, invalid, invalid_field
from tierline.testing.sheets.masks import as_list, as_object
from tierline.testing.sheets.metadata import METADATA_REQUESTS
from tierline.testing.sheets.request import Context, Handler
from tierline.testing.sheets.spreadsheet import Spreadsheet

REQUESTS_MAX = 100_000

HANDLERS: dict[str, Handler] = {
    **CELL_REQUESTS,
    **DIMENSION_REQUESTS,
    **MARK_REQUESTS,
    **METADATA_REQUESTS,
    **SHEET_REQUESTS,
}


def batch_update(book: Spreadsheet, body: Json, context: Context) -> tuple[Spreadsheet, list[Json]]:
    """The spreadsheet after every request of a batch, and the replies.

    Raises:
        ApiError: One of them is refused: `Invalid requests[i].kind: …`; nothing is applied, since
            the caller keeps the spreadsheet it had.
    """
    requests = as_list(body.get("requests"))
    if not requests:
        raise invalid("Must specify at least one request.")
    if len(requests) > REQUESTS_MAX:
        raise invalid(f"Cannot exceed {REQUESTS_MAX} requests in a single batch.")
    replies: list[Json] = []
    for i, request in enumerate(requests):
        kinds = list(as_object(request))
        if len(kinds) != 1:
            raise invalid(f"Invalid requests[{i}]: exactly one kind of request has to be set.")
        kind = kinds[0]
        handler = HANDLERS.get(kind)
        if handler is None:
            message = (
                f'Invalid JSON payload received. Unknown name "{kind}" at '
                f"'requests[{i}]': Cannot find field."
            )
            raise invalid_field(message, f"requests[{i}]", message)
        try:
            book, reply = handler(book, as_object(as_object(request)[kind]), context)
        except ApiError as error:
            # Protection is told without the place, as recorded logs show it.
            if error.code != 400 or error.message.startswith("You are trying"):
                raise
            raise ApiError(
                400, f"Invalid requests[{i}].{kind}: {error.message}", details=error.details
            ) from None
        replies.append({} if reply is None else {kind: reply})
    return book, replies
