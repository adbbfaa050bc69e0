"""The types of remote writes whose outcome was lost; never run."""

from __future__ import annotations

from typing import assert_type

import tierline as tl
from tierline.sheets.http import SheetsHttp
from tierline.sheets.marker import send_batch


def unknown(error: tl.OutcomeUnknownError) -> None:
    assert_type(error.op_id, str | None)
    assert_type(error.resolve(within_s=1), tl.Result[bool, tl.RepositoryError])


def sending(http: SheetsHttp) -> None:
    sent = send_batch(
        http,
        "1AbC",
        [{"deleteSheet": {"sheetId": 1}}],
        op_id="a",
        response_ranges=["Birds!A:A"],
        response_fields="sheets(data)",
    )
    assert_type(sent, tl.Result[bytes, tl.RepositoryError])
