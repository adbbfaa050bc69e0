"""Mistakes with lost outcomes that both type checkers must find; never run."""

from __future__ import annotations

import tierline as tl
from tierline.sheets.http import SheetsHttp
from tierline.sheets.marker import send_batch


def unknown(error: tl.OutcomeUnknownError) -> None:
    error.resolve(5)  # rejected
    error.resolved_by(lambda: True)  # rejected
    error.op_id.upper()  # rejected


def sending(http: SheetsHttp) -> None:
    send_batch(http, "1AbC", [{}])  # rejected
    send_batch(http, "1AbC", ["deleteSheet"], op_id="a")  # rejected
    send_batch(http, "1AbC", [{}], "a")  # rejected
