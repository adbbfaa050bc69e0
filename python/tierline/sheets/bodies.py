"""The body of an answer: all of it, in time, and of the kind that was asked for."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import requests

from tierline.sheets.faults import Fault, of_page

if TYPE_CHECKING:
    from requests import Response

_PART_BYTES = 1 << 20


def whole_body(response: Response, clock: Callable[[], float], end_s: float) -> Response:
    """The answer with its body, if that comes in time: a limit of each read is none of all.

    Raises:
        requests.Timeout: The time was over.
    """
    raw: Any = response.raw
    # Its bytes are handed out as they lie: to join parts of a large body would copy it once more.
    body = io.BytesIO()
    while part := raw.read1(_PART_BYTES, decode_content=True):
        body.write(part)
        if clock() >= end_s:
            response.close()
            raise requests.Timeout("the body did not come in time")
    # What `requests` would have done without `stream=True`.
    kept: Any = response
    kept._content, kept._content_consumed = body.getvalue(), True  # noqa: SLF001
    # Of a whole body this gives the connection back, to be used again.
    response.close()
    return response


def json_or_fault(response: Response) -> Response | Fault:
    """The answer, unless it is a page of something on the way."""
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if content_type == "application/json" or not response.content:
        return response
    return of_page(content_type)
