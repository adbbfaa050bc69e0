"""Unmodified gspread on the local server: its addresses are rewritten in a `requests` adapter."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import gspread
import requests
from requests.adapters import HTTPAdapter

ORIGINS = ("https://sheets.googleapis.com", "https://www.googleapis.com")


class LoopbackAdapter(HTTPAdapter):
    """Sends what is meant for Google to a local server.

    Args:
        url: The server's, such as `http://127.0.0.1:8123`.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request to the local server instead."""
        origin = urlsplit(str(request.url))
        request.headers["X-Original-Host"] = origin.netloc
        request.url = urlunsplit(
            (self._target.scheme, self._target.netloc, origin.path, origin.query, "")
        )
        return super().send(request, *args, **kwargs)


def mount(session: requests.Session, url: str) -> None:
    """Send a session's requests for Google's APIs to a local server.

    Args:
        session: A `requests` session, also an authorised one of google-auth.
        url: The server's.
    """
    for origin in ORIGINS:
        session.mount(origin, LoopbackAdapter(url))


def connect(client: gspread.Client, url: str) -> gspread.Client:
    """Send a client's requests to a local server, and answer the client."""
    mount(client.http_client.session, url)
    return client


def new_client(url: str, token: str | None) -> gspread.Client:
    """A client on a local server, with a token or without one."""
    session = requests.Session()
    # The machine's proxies and .netrc are for the real network.
    session.trust_env = False
    if token is not None:
        session.headers["Authorization"] = f"Bearer {token}"
    client: Any = gspread.Client
    return connect(client(auth=None, session=session), url)
