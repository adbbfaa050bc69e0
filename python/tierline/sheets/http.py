"""The one place where Google is asked: gspread's client with deadlines, quotas and retries."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import gspread
import requests
from google.auth.credentials import Credentials
from gspread.auth import DEFAULT_SCOPES, READONLY_SCOPES, service_account_from_dict

from tierline.deadline import remaining_s
from tierline.errors import (
    AccessDeniedError,
    ConfigurationError,
    ConnectionError,  # noqa: A004 (the field's word)
    OutcomeUnknownError,
    RepositoryError,
    TimeoutError,  # noqa: A004 (the field's word)
)
from tierline.result import Failure, Success
from tierline.sheets.background import is_background, is_stopped, rest
from tierline.sheets.bodies import json_or_fault, whole_body
from tierline.sheets.circuits import PATIENT_S, Circuits, is_down, place_of
from tierline.sheets.faults import Fault, of_answer, of_exception
from tierline.sheets.limiter import MINUTE_S, Kind, Limiter
from tierline.sheets.marks import Marks
from tierline.sheets.retrying import pause_s

if TYPE_CHECKING:
    from requests import Response, Session

SheetsCredentials: TypeAlias = "str | Path | Mapping[str, Any] | Credentials | gspread.Client"
"""A service account's key file or the key, google-auth's credentials, or a gspread client."""

Repeat: TypeAlias = Literal["read", "idempotent", "once"]
"""What a request does if it is sent twice: a read, a write with the same end, or another write."""

_CONNECT_S = 5.0
_READ_S = 190.0
"""Google cuts a request at 180 s itself."""


class SheetsHttp(gspread.HTTPClient):
    """gspread's HTTP client, bounded in time, within the quota, and trying again what may be.

    Args:
        session: Sends requests.
        limiter: Says when the next may go.
        timeout_s: Seconds that a call may take in all, where no `tl.deadline` says otherwise.
        read_only: Refuse requests that write.
        clock: Counts seconds, for limits.
        sleep: Waits.
        owns_session: Whether the session is closed with it.
    """

    def __init__(
        self,
        session: Session,
        limiter: Limiter,
        *,
        timeout_s: float,
        read_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        owns_session: bool = False,
    ) -> None:
        super().__init__(auth=None, session=session)  # type: ignore[arg-type]
        self._limiter = limiter
        self._timeout_s = timeout_s
        self._read_only = read_only
        self._clock = clock
        self._sleep = sleep
        self._owns_session = owns_session
        self._circuits = Circuits(clock)
        self.marks = Marks()
        self.requests = 0
        self.throttled = 0
        self.retried = 0
        self.waited_s = 0.0

    @property
    def read_only(self) -> bool:
        """Whether requests that write are refused."""
        return self._read_only

    def close(self) -> None:
        """Close the connections."""
        if self._owns_session:
            self.session.close()
        self._limiter.close()

    def request(  # noqa: PLR0917 (gspread's)
        self,
        method: str,
        endpoint: str,
        params: Any = None,
        data: bytes | None = None,
        json: Any = None,
        files: Any = None,
        headers: Any = None,
    ) -> Response:
        """As gspread's, for gspread's own methods; raises what `ask` answers as a Failure."""
        sent = {"params": params, "data": data, "json": json, "files": files, "headers": headers}
        answered = self._ask(method, endpoint, _repeat_of(method, endpoint), sent)
        if isinstance(answered, Failure):
            raise answered.failure()
        return answered.unwrap()

    def ask(
        self,
        method: str,
        endpoint: str,
        *,
        repeat: Repeat,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        end_s: float | None = None,
    ) -> Success[bytes] | Failure[RepositoryError]:
        """The body of the answer to a request.

        Args:
            method: `GET`, `POST` and so on.
            endpoint: Its address at Google.
            repeat: Whether it may be sent twice.
            params: Of the address.
            body: JSON.
            end_s: When it must have ended, from `end_s()`, where it is one of several requests.

        Errors: `TimeoutError` if it was not sent in time, `OutcomeUnknownError` for a write that
        was sent and not answered; and what Google answers.
        """
        sent = {
            "params": {"prettyPrint": "false", **(params or {})},
            "data": body,
            "headers": {"Content-Type": "application/json"} if body is not None else None,
        }
        answered = self._ask(method, endpoint, repeat, sent, wants_json=True, end_s=end_s)
        return answered if isinstance(answered, Failure) else Success(answered.unwrap().content)

    def end_s(self, within_s: float | None = None) -> float:
        """When a call that begins now must have ended: after its own time, or at the deadline."""
        own_s = self._timeout_s if within_s is None else within_s
        return self._clock() + min(own_s, remaining_s())

    def rest(self, error: RepositoryError, attempt: int, end_s: float) -> bool:
        """Wait before what may have happened is sent again; False if it is to be given up."""
        pause = pause_s(
            Fault(error, "unsure"),
            attempt,
            end_s - self._clock(),
            random.random(),  # noqa: S311 (spreads retries)
            may_repeat=True,
        )
        if pause is None:
            return False
        rest(pause, self._sleep)
        self.retried += 1
        return True

    def _ask(
        self,
        method: str,
        endpoint: str,
        repeat: Repeat,
        sent: dict[str, Any],
        *,
        wants_json: bool = False,
        end_s: float | None = None,
    ) -> Success[Response] | Failure[RepositoryError]:
        """The answer to a request, or why there is none."""
        if self._read_only and repeat != "read":
            return Failure(
                AccessDeniedError("the credentials were opened for reading; this request writes")
            )
        end_s = self.end_s() if end_s is None else end_s
        place = place_of(endpoint)
        turn = self._circuits.begin(place)
        if turn == "refused":
            return Failure(is_down())
        works: bool | None = None
        try:
            answered, works = self._attempts(
                method, endpoint, repeat, sent, end_s, wants_json=wants_json, once=turn == "probe"
            )
        finally:
            self._circuits.end(place, works=works)
        return answered

    def _attempts(
        self,
        method: str,
        endpoint: str,
        repeat: Repeat,
        sent: dict[str, Any],
        end_s: float,
        *,
        wants_json: bool,
        once: bool,
    ) -> tuple[Success[Response] | Failure[RepositoryError], bool | None]:
        """The answer, and whether Google works; None if that was not seen."""
        began_s = self._clock()
        kind: Kind | None = None
        if endpoint.startswith("https://sheets."):
            kind = "read" if repeat == "read" else "write"
        attempt = 0
        last: RepositoryError | None = None
        works: bool | None = None
        while True:
            if not self._waits_its_turn(kind, end_s):
                return Failure(_late(last, self._clock() - began_s, attempt)), works
            attempt += 1
            self.retried += attempt > 1
            sent_s = self._clock()
            answered = self._send(method, endpoint, sent, end_s)
            if wants_json and not isinstance(answered, Fault):
                answered = json_or_fault(answered)
            if not isinstance(answered, Fault):
                return Success(answered), True
            now_s = self._clock()
            works = not isinstance(answered.error, ConnectionError)
            if not works and now_s >= end_s and now_s - sent_s < PATIENT_S:
                works = None
            if answered.is_quota and kind is not None:
                self.throttled += 1
                wait_s = answered.wait_s or MINUTE_S
                self._limiter.ran_out(kind, wait_s, projects=answered.is_projects)
            last = answered.error
            last.attempt, last.elapsed_s = attempt, now_s - began_s
            pause = pause_s(
                answered,
                attempt,
                end_s - now_s,
                random.random(),  # noqa: S311 (spreads retries)
                may_repeat=repeat != "once",
            )
            if pause is None or (once and works is not True):
                given_up = _given_up(answered, repeat, is_late=self._clock() >= end_s)
                return Failure(given_up), works
            rest(pause, self._sleep)

    def _waits_its_turn(self, kind: Kind | None, end_s: float) -> bool:
        """Wait until the quota has room; whether there was time for it."""
        background = is_background()
        while not is_stopped():
            wait_s = 0.0 if kind is None else self._limiter.wait_s(kind, background=background)
            if wait_s <= 0:
                return self._clock() < end_s
            if self._clock() + wait_s >= end_s:
                return False
            self.waited_s += wait_s
            rest(wait_s, self._sleep)
        return False

    def _send(
        self, method: str, endpoint: str, sent: dict[str, Any], end_s: float
    ) -> Response | Fault:
        self.requests += 1
        left_s = max(0.001, end_s - self._clock())

        def whole(found: Response, **_: Any) -> Response:
            return whole_body(found, self._clock, end_s)

        try:
            session: Any = self.session
            response: Response = session.request(
                method,
                endpoint,
                timeout=(min(_CONNECT_S, left_s), min(_READ_S, left_s)),
                stream=True,
                # Also of an answer that google-auth asks again after: its line is to be used again.
                hooks={"response": whole},
                **sent,
            )
        except Exception as error:  # noqa: BLE001 (what is not of the way is raised again)
            return of_exception(error)
        if response.ok:
            return response
        fault = of_answer(response.status_code, response.headers, response.content)
        fault.error.__cause__ = requests.HTTPError(response=response)
        return fault


_READING_POSTS = (":getByDataFilter", ":batchGetByDataFilter", "developerMetadata:search")


def _repeat_of(method: str, endpoint: str) -> Repeat:
    """Whether a request of gspread's own may be sent twice: `:append` and batches may not."""
    if method.upper() == "GET" or endpoint.endswith(_READING_POSTS):
        return "read"
    if method.upper() == "PUT" or endpoint.endswith((":clear", "values:batchUpdate")):
        return "idempotent"
    return "once"


def _late(last: RepositoryError | None, elapsed_s: float, attempt: int) -> RepositoryError:
    error = TimeoutError(
        "the time was over while the quota was waited for; ask less often, or allow more time"
        if last is None
        else f"the time was over before it could be tried again; before, {last.message}",
        stage="deadline",
        elapsed_s=elapsed_s,
    )
    error.attempt = max(attempt, 1)
    error.__cause__ = last
    return error


def _given_up(fault: Fault, repeat: Repeat, *, is_late: bool) -> RepositoryError:
    if fault.again == "unsure" and repeat != "read":
        error = OutcomeUnknownError(
            f"the write may have happened: {fault.error.message}; read, and see",
            elapsed_s=fault.error.elapsed_s,
            attempt=fault.error.attempt,
        )
        error.__cause__ = fault.error
        return error
    if fault.again != "never" and not fault.is_quota and is_late:
        late = TimeoutError(
            "Google did not answer in time; allow more, or ask for less at once",
            stage="deadline",
            elapsed_s=fault.error.elapsed_s,
        )
        late.attempt, late.__cause__ = fault.error.attempt, fault.error
        return late
    return fault.error


def session_of(given: SheetsCredentials, *, read_only: bool) -> Session:
    """The session that sends requests with these credentials.

    Raises:
        ConfigurationError: A key file cannot be read, or is none.
        TypeError: They are none of what is taken.
    """
    scopes = READONLY_SCOPES if read_only else DEFAULT_SCOPES
    match given:
        case gspread.Client():
            return given.http_client.session
        case Credentials():
            return gspread.HTTPClient(auth=given).session
        case str() | Path():
            return _of_key(_key_in(Path(given)), scopes)
        case Mapping():
            return _of_key(dict(given), scopes)
        case _:
            raise TypeError(
                "sheets takes a service account's key file, the key itself, google-auth's "
                f"credentials or a gspread client, not {type(given).__name__}"
            )


def _key_in(path: Path) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    try:
        found: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ConfigurationError(
            f"the key file {path} cannot be read: {error.strerror}", operation="open_sheets"
        ) from error
    except msgspec.DecodeError:
        # Its text may hold parts of the key.
        raise ConfigurationError(
            f"the key file {path} is no JSON; download the key anew", operation="open_sheets"
        ) from None
    return found


def _of_key(key: dict[str, Any], scopes: list[str]) -> Session:
    try:
        return service_account_from_dict(key, scopes=scopes).http_client.session
    except (ValueError, KeyError) as error:
        raise ConfigurationError(
            "the key is none of a service account; download one as JSON from the Google Cloud "
            "console",
            operation="open_sheets",
        ) from error
