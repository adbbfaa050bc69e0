"""Mistakes with the local Sheets server that both type checkers must find; never run."""

from __future__ import annotations

from tierline.testing import SheetsServer
from tierline.testing.sheets import Quotas, delayed, too_many_requests


def no_servers() -> None:
    SheetsServer(8123)  # rejected
    SheetsServer(quotas=60)  # rejected
    Quotas(window="rolling")  # rejected


def no_faults(server: SheetsServer) -> None:
    server.inject(429)  # rejected
    server.inject(too_many_requests(on="updates"))  # rejected
    server.inject(delayed())  # rejected


def no_people(server: SheetsServer, book_id: str) -> None:
    server.set_values(book_id, "B2")  # rejected
    server.insert_rows(book_id, 3)  # rejected
    server.move_rows(book_id, at=3)  # rejected
    server.rename_worksheet(book_id, "Sheet1")  # rejected
    server.before_next(server.sort_rows(book_id), on="writes")  # rejected
    server.before_next(server.close, on="updates")  # rejected
