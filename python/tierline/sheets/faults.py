"""What went wrong with a request to Google, by status and reason, never by the text of a message.

Sources: the recorded answers, and Google's documentation of the Sheets API's errors and limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from tierline.errors import (
    AccessDeniedError,
    ConfigurationError,
    ConnectionError,  # noqa: A004 (the field's word)
    NotFoundError,
    QueryError,
    RateLimitedError,
    RepositoryError,
)

Again: TypeAlias = Literal["never", "safe", "unsure"]
"""Whether to try again: never; yes, nothing happened; or only what may happen twice."""


class Fault(NamedTuple):
    """A request that failed.

    Attributes:
        error: What the caller is told if it stays so.
        again: Whether trying again may help.
        wait_s: Seconds that Google asks to wait; None if it does not say.
        is_quota: Whether a quota ran out.
        is_projects: Whether it was the one that all accounts of a project share.
    """

    error: RepositoryError
    again: Again
    wait_s: float | None = None
    is_quota: bool = False
    is_projects: bool = False


class _Detail(msgspec.Struct):
    reason: str = ""
    metadata: dict[str, str] = {}


class _Reason(msgspec.Struct):
    domain: str = ""
    reason: str = ""


class _Error(msgspec.Struct):
    message: str = ""
    status: str = ""
    details: list[_Detail] = []
    errors: list[_Reason] = []


class _Body(msgspec.Struct):
    error: _Error | str = ""


def of_answer(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """The fault that an answer of 400 and above is."""
    told = _told(body)
    wait_s = retry_after_s(headers.get("Retry-After"))
    usage = any(one.domain == "usageLimits" for one in told.errors)
    match status:
        case 429:
            return _quota(told, wait_s)
        case 403 if usage and not _is_disabled(told):
            return _quota(told, wait_s)
        case 403 if _is_disabled(told):
            return Fault(
                ConfigurationError(
                    "the API is not enabled in the credentials' Google Cloud project; enable the "
                    "Google Sheets API and the Google Drive API there, and wait some minutes"
                ),
                "never",
            )
        case 401 | 403:
            return Fault(
                AccessDeniedError(
                    "Google refuses the credentials' account; share the spreadsheet with its "
                    "address, as an editor for writing"
                    if status == 403
                    else "Google does not take the credentials; they have expired or are revoked, "
                    "so make new ones"
                ),
                "never",
            )
        case 404:
            return Fault(
                NotFoundError(
                    "there is no such spreadsheet, or the credentials' account may not know of "
                    "it; check the id, and share the spreadsheet with the account"
                ),
                "never",
            )
        case 408 | 500 | 502 | 503 | 504:
            return Fault(
                ConnectionError(
                    f"Google answers with {status}; it is overloaded or unavailable, so try again "
                    "later, or ask for less at once"
                ),
                "unsure",
                wait_s,
            )
        case _:
            return Fault(QueryError(f"Google refuses the request: {told.message}"), "never")


def _quota(told: _Error, wait_s: float | None) -> Fault:
    message = "the quota of requests a minute ran out; ask less often, or ask Google for more"
    limits = [one.metadata.get("quota_limit", "") for one in told.details]
    is_projects = any(limit.endswith("PerProject") for limit in limits)
    return Fault(RateLimitedError(message), "safe", wait_s, is_quota=True, is_projects=is_projects)


def of_page(content_type: str) -> Fault:
    """The fault that an answer of success is which is no JSON: something on the way made it."""
    return Fault(
        ConnectionError(
            f"what answered is not Google's API but a page of {content_type or 'no type'}; is "
            "there a proxy that asks to log in?"
        ),
        "unsure",
    )


def _is_disabled(told: _Error) -> bool:
    reasons = {one.reason for one in told.details} | {one.reason for one in told.errors}
    return bool(reasons & {"SERVICE_DISABLED", "accessNotConfigured"})


def _told(body: bytes) -> _Error:
    """What a body says; nothing, if it is no JSON of Google's."""
    try:
        error = msgspec.json.decode(body, type=_Body).error
    except msgspec.DecodeError:
        return _Error(message="it does not say why")
    return _Error(message=error) if isinstance(error, str) else error


def retry_after_s(header: str | None) -> float | None:
    """The seconds of a `Retry-After` header; None without one that is a number of seconds."""
    if header is None or not header.strip().isdigit():
        return None
    return float(header.strip())


_UNREACHED = "Google cannot be reached; check the network, its proxy and its DNS"
_UNASKED = "no token could be asked for; check the network, and the key's token_uri"


def of_exception(error: Exception) -> Fault:
    """The fault that an exception on the way is.

    Raises:
        Exception: It is none of the way: `error` itself.
    """
    import google.auth.exceptions as auth  # noqa: PLC0415 (a driver is loaded when it is used)
    import requests.exceptions as http  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    fault: RepositoryError
    match error:
        case auth.RefreshError() if not getattr(error, "retryable", False):
            fault = AccessDeniedError(
                "Google gives no token for the credentials; the key is revoked, its account is "
                "gone, or this machine's clock is wrong: set it, or download another key"
            )
            again: Again = "never"
        case auth.GoogleAuthError():
            # Asking for a token has no other effect.
            fault, again = ConnectionError(_UNASKED), "safe"
        case http.ConnectTimeout():
            fault, again = ConnectionError(_UNREACHED), "safe"
        case http.ConnectionError() if _never_connected(error):
            fault, again = ConnectionError(_UNREACHED), "safe"
        case http.RequestException() | HTTPError() | OSError():
            # An error of TLS too: it may come after the request was read.
            fault, again = ConnectionError("the connection to Google broke; try again"), "unsure"
        case _:
            raise error
    fault.__cause__ = error
    return Fault(fault, again)


def _never_connected(error: Any) -> bool:
    from urllib3.exceptions import MaxRetryError, NewConnectionError  # noqa: PLC0415

    inner = error.args[0] if error.args else None
    reason = inner.reason if isinstance(inner, MaxRetryError) else inner
    return isinstance(reason, NewConnectionError)
