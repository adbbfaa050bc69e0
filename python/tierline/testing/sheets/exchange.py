"""A request and a reply, apart from how they travel."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from tierline.testing.sheets.errors import ApiError, Json, invalid, invalid_field
from tierline.testing.sheets.masks import as_object
from tierline.testing.sheets.renderings import Renderings


class Request(NamedTuple):
    """What was asked.

    Args:
        method: GET, POST and so on.
        path: The path, still encoded.
        query: The query's values by name.
        body: The bytes sent.
        token: The bearer token, or None.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes = b""
    token: str | None = None

    def option(self, name: str) -> str | None:
        """One value of the query."""
        return self.query.get(name, [None])[-1]

    def flag(self, name: str) -> bool:
        """A value of the query as a boolean; clients write `True` as well as `true`."""
        return (self.option(name) or "").lower() == "true"

    def options(self) -> Json:
        """The query with one value for each name."""
        return {name: values[-1] for name, values in self.query.items() if values}

    def json(self) -> Json:
        """The body as an object; none is an empty one.

        Raises:
            ApiError: It is no JSON object.
        """
        if not self.body.strip():
            return {}
        try:
            found: Any = json.loads(self.body)
        except ValueError:
            message = "Invalid JSON payload received. Unexpected token."
            raise invalid_field(message, "", message) from None
        if not isinstance(found, dict):
            raise invalid("Invalid JSON payload received. Unknown name.")
        return as_object(found)

    @property
    def is_sheets(self) -> bool:
        """Whether it is for the Sheets API, whose quotas it counts in."""
        return self.path.startswith("/v4/")

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        reads = (":getByDataFilter", ":batchGetByDataFilter", ":search")
        return self.method == "GET" or self.path.endswith(reads)


class Reply(NamedTuple):
    """What is answered.

    Args:
        status: The status.
        body: The bytes, of what is no JSON.
        content_type: What they are.
        headers: Further headers.
        document: The JSON instead of bytes, or what makes it of values that never change. It is
            written after the server's lock is given back, so that a large answer does not keep
            others waiting.
        source: The frozen value that, with the request, is all that the document depends on: so
            the same bytes may be sent again. None where there is more.
        zip: The body in gzip, where that is kept too.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()
    document: Json | Callable[[], Json] | None = None
    source: object = None
    zip: Callable[[], bytes] | None = None

    def written(self, request: Request, user: str, kept: Renderings) -> Reply:
        """With the bytes of its document: indented as Google indents it, or in one line.

        Args:
            request: What is answered.
            user: Who asked.
            kept: Bytes that were written before.
        """
        document = self.document
        if document is None:
            return self

        def render() -> bytes:
            body = msgspec.json.encode(document() if callable(document) else document)
            if request.option("prettyPrint") == "false":
                return body
            return msgspec.json.format(body, indent=2) + b"\n"

        reply = self._replace(document=None, source=None)
        if self.source is None:
            return reply._replace(body=render())
        query = tuple((name, *values) for name, values in sorted(request.query.items()))
        body = kept.body((user, request.path, query), self.source, render)
        return reply._replace(body=body.plain, zip=lambda: body.zipped)


def json_reply(value: Json, status: int = 200) -> Reply:
    """A JSON answer."""
    return Reply(status, document=value)


def kept_reply(source: object, document: Callable[[], Json]) -> Reply:
    """An answer that depends on a frozen value and the request alone."""
    return Reply(document=document, source=source)


def error_reply(error: ApiError) -> Reply:
    """The answer that says an error."""
    return json_reply(error.body(), error.code)


def html_reply(status: int, text: str) -> Reply:
    """A page instead of JSON, as overloaded frontends answer."""
    page = (
        f"<!DOCTYPE html>\n<html lang=en>\n<title>Error {status}</title>\n<p>{text}</p>\n</html>\n"
    )
    return Reply(status, page.encode(), "text/html; charset=UTF-8")


class SeenRequest(NamedTuple):
    """A request that the server took, for tests to count and to look at.

    Args:
        method: GET, POST and so on.
        path: The path, decoded.
        query: The query's values by name.
        body: What was sent.
        status: What was answered; None where the connection was cut instead.
        user: Who asked.
        fault: The fault that met it, or None.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    status: int | None
    user: str
    fault: str | None
    is_sheets: bool
    is_read: bool

    def __repr__(self) -> str:
        """Method, path and status."""
        fault = f" ({self.fault})" if self.fault else ""
        return f"<{self.method} {self.path} -> {self.status}{fault}>"
