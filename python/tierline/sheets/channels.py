"""Channels by which Drive tells of changes of a file: asked for, renewed in time, given up.

What a channel tells is a hint, for it may come late, twice or never: the version of the file says
what is true. Source: Drive API v3, `files.watch`, `channels.stop`, "Notifications for resource
changes".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from tierline.errors import ConfigurationError, DecodeError, RepositoryError
from tierline.result import Failure, Result, Success
from tierline.sheets.http import SheetsHttp

_FILES = "https://www.googleapis.com/drive/v3/files"
_STOP = "https://www.googleapis.com/drive/v3/channels/stop"

LIFE_S = 86_400.0
"""The longest that a channel of a file lives."""

_RENEWED = 0.2
"""It is renewed when this share of its life is left."""


class Channel(NamedTuple):
    """A channel that is open.

    Attributes:
        id: What we call it.
        resource_id: What Drive calls the file that it tells of.
        renew_s: When to open another in its place, by the time of day.
        until_s: When it ends.
    """

    id: str
    resource_id: str
    renew_s: float
    until_s: float


class Notice(NamedTuple):
    """What a request to the address says, as far as it matters.

    Attributes:
        channel: The channel's id.
        token: What we gave the channel to prove itself by.
        state: `sync` for the first, then `update`, `remove` and the like.
    """

    channel: str
    token: str
    state: str


class _Reason(msgspec.Struct):
    reason: str = ""


class _Error(msgspec.Struct):
    errors: list[_Reason] = []


class _Body(msgspec.Struct):
    error: _Error


class _Opened(msgspec.Struct):
    resourceId: str  # noqa: N815 (the API's names)
    expiration: str = ""


def check_address(address: str) -> None:
    """Refuse an address that Drive does not take; plain HTTP is for a test on this machine.

    Raises:
        ValueError: It is none of HTTPS.
    """
    parts = urlsplit(address)
    is_local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise ValueError(
            f"watch: Drive tells of changes over HTTPS only; address cannot be {address!r:.80}"
        )


def open_channel(
    http: SheetsHttp, spreadsheet: str, address: str, *, channel: str, token: str, now_s: float
) -> Result[Channel, RepositoryError]:
    """Let Drive tell an address of changes of a spreadsheet.

    Args:
        http: What asks Google.
        spreadsheet: Its id.
        address: Where Drive sends its requests.
        channel: What it is called; another one for each.
        token: What its requests prove themselves by.
        now_s: The time of day.

    Errors: `ConfigurationError` for an address that Drive does not take.
    """
    body = {
        "id": channel,
        "type": "web_hook",
        "address": address,
        "token": token,
        "expiration": str(round((now_s + LIFE_S) * 1000)),
    }
    answered = http.ask(
        "POST",
        f"{_FILES}/{quote(spreadsheet, safe='')}/watch",
        # It writes nothing into a spreadsheet; a second channel of one id is refused.
        repeat="read",
        params={"supportsAllDrives": "true"},
        body=msgspec.json.encode(body),
    )
    if isinstance(answered, Failure):
        return Failure(_refused(answered.failure(), address))
    try:
        opened = msgspec.json.decode(answered.unwrap(), type=_Opened)
        until_s = float(opened.expiration) / 1000 if opened.expiration else now_s + LIFE_S
    except (msgspec.DecodeError, ValueError) as error:
        broken = DecodeError("Drive's answer cannot be read; it was cut, or is of another kind")
        broken.__cause__ = error
        return Failure(broken)
    life_s = max(0.0, until_s - now_s)
    return Success(Channel(channel, opened.resourceId, until_s - life_s * _RENEWED, until_s))


def _refused(error: RepositoryError, address: str) -> RepositoryError:
    """The error that says so, if it is the address that Drive does not take."""
    response: Any = getattr(error.__cause__, "response", None)
    try:
        body = msgspec.json.decode(response.content, type=_Body)
    except (AttributeError, msgspec.DecodeError):
        return error
    reasons = [one.reason for one in body.error.errors if one.reason.startswith("push.")]
    if not reasons:
        return error
    found = ConfigurationError(
        f"Drive does not take the address {address!r:.200} ({reasons[0]}); it must be HTTPS with a "
        "certificate that is valid, of a domain that is verified for the Google Cloud project"
    )
    found.__cause__ = error
    return found


def stop_channel(http: SheetsHttp, channel: Channel) -> Result[bytes, RepositoryError]:
    """Let a channel tell no more; one that cannot be stopped ends by itself."""
    body = {"id": channel.id, "resourceId": channel.resource_id}
    return http.ask("POST", _STOP, repeat="read", body=msgspec.json.encode(body))


_Name = Literal["CHANNEL_ID", "CHANNEL_TOKEN", "RESOURCE_STATE"]


def notice_of(headers: Mapping[str, Any]) -> Notice | None:
    """What a request's headers say; None if they are none of a channel.

    Args:
        headers: By name, however they are written, or the `environ` of WSGI.
    """
    named = {
        name.upper().replace("-", "_").removeprefix("HTTP_"): value
        for name, value in headers.items()
        if isinstance(value, str)
    }

    def told(name: _Name) -> str:
        return named.get(f"X_GOOG_{name}", "")

    if not told("CHANNEL_ID"):
        return None
    return Notice(told("CHANNEL_ID"), told("CHANNEL_TOKEN"), told("RESOURCE_STATE"))


def is_from(notice: Notice, ids: frozenset[str], token: str) -> bool:
    """Whether a request is of one of these channels, and proves it."""
    # Compared in a time that says nothing of the token.
    return notice.channel in ids and hmac.compare_digest(
        notice.token.encode("utf-8", "replace"), token.encode()
    )
