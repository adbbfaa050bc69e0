"""From a request to a reply: faults, tokens, quotas, then the endpoint; one request at a time."""

from __future__ import annotations

import datetime as dt
import re
import threading
from typing import NamedTuple
from urllib.parse import unquote

from tierline.testing.sheets import changes_api, drive_api, page, sheets_api
from tierline.testing.sheets.changes_api import Channels, channel_of
from tierline.testing.sheets.clock import Clock
from tierline.testing.sheets.errors import ApiError, Json, drive_error
from tierline.testing.sheets.exchange import (
    Reply,
    Request,
    SeenRequest,
    error_reply,
    html_reply,
    json_reply,
)
from tierline.testing.sheets.faults import Fault, FaultQueue
from tierline.testing.sheets.oauth import Tokens
from tierline.testing.sheets.people import Visit, visit_of
from tierline.testing.sheets.quotas import QuotaCounter, Quotas
from tierline.testing.sheets.renderings import Renderings
from tierline.testing.sheets.sheets_api import Call, Endpoint
from tierline.testing.sheets.state import Change, State

DEFAULT_USER = "tests@tierline-test.iam.gserviceaccount.com"


class Outcome(NamedTuple):
    """What the connection has to do: answer, reset or break off."""

    reply: Reply
    reset: bool = False
    body_bytes: int | None = None


class Service:
    """Everything a server does but HTTP."""

    def __init__(self, *, quotas: Quotas | None, token_required: bool, seed: int) -> None:
        self.clock = Clock()
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.faults = FaultQueue()
        self.tokens = Tokens(self.clock)
        self.channels = Channels()
        self.seen: list[SeenRequest] = []
        self.visits: list[Visit] = []
        self.state = State(self.clock, seed, self._changed)
        self._token_required = token_required
        self._renderings = Renderings()
        self._quotas = None if quotas is None else QuotaCounter(quotas, self.clock)
        table = [*sheets_api.ROUTES, *drive_api.ROUTES, *changes_api.ROUTES]
        table += [("POST", watch, self._watch) for watch in changes_api.WATCH]
        table.append(("POST", changes_api.STOP, self._stop))
        self._routes: list[tuple[str, re.Pattern[str], Endpoint]] = [
            (method, re.compile(pattern), endpoint) for method, pattern, endpoint in table
        ]

    def _changed(self, change: Change) -> None:
        self.channels.tell(change, self.clock.seconds())

    def _watch(self, call: Call) -> Reply:
        now_ms = round(dt.datetime.now(dt.UTC).timestamp() * 1000)
        channel, answer = channel_of(call, self.clock.seconds(), now_ms)
        self.channels.open(channel)
        return json_reply(answer)

    def _stop(self, call: Call) -> Reply:
        body = call.request.json()
        if not self.channels.stop(str(body.get("id")), str(body.get("resourceId"))):
            raise drive_error(404, "notFound", f"Channel '{body.get('id')}' not found for project")
        return Reply(204)

    def answer(self, request: Request) -> Outcome:
        """What a request gets; it is written down in `seen`."""
        looks = request.path == "/" or request.path.startswith("/view/")
        if looks and request.method == "GET":
            with self.lock:
                return Outcome(page.answer(request, self.state.books))
        with self.lock:
            fault = self.faults.take(request)
        if fault is not None and fault.delay_s:
            self.closing.wait(fault.delay_s)
        if fault is None or fault.applied:
            with self.lock:
                visit = visit_of(self.visits, request)
            # Without the lock, for a visit may ask this server itself.
            if visit is not None:
                visit.action()
        with self.lock:
            user, reply = self._met(request, fault)
            reset = fault is not None and fault.reset
            self.seen.append(
                SeenRequest(
                    request.method,
                    unquote(request.path),
                    request.query,
                    request.body,
                    None if reset else reply.status,
                    user,
                    None if fault is None else fault.name,
                    request.is_sheets,
                    request.is_read,
                )
            )
        reply = reply.written(request, user, self._renderings)
        return Outcome(reply, reset, None if fault is None else fault.body_bytes)

    def _met(self, request: Request, fault: Fault | None) -> tuple[str, Reply]:
        """Who asked, and the reply that a fault leaves of the true one."""
        user = DEFAULT_USER
        reply = Reply(503)
        if fault is None or fault.applied:
            try:
                if request.path == "/token":
                    reply = self.tokens.answer(request)
                else:
                    user = self._user(request)
                    reply = self._dispatched(request, user)
            except ApiError as error:
                reply = error_reply(error)
        if fault is not None and fault.reply is not None:
            reply = fault.reply
        return user, reply

    def _user(self, request: Request) -> str:
        user = self.tokens.user_of(
            request.token, default=DEFAULT_USER, required=self._token_required
        )
        if self._quotas is not None and request.is_sheets:
            self._quotas.take(user, write=not request.is_read)
        return user

    def _dispatched(self, request: Request, user: str) -> Reply:
        for method, pattern, endpoint in self._routes:
            if method == request.method and (found := pattern.fullmatch(request.path)):
                try:
                    return endpoint(Call(self.state, request, user, found.groupdict()))
                except (TypeError, ValueError, KeyError, AttributeError) as error:
                    # What the endpoint could not read is the request's fault, as in the real API.
                    return error_reply(_unreadable(error))
        return html_reply(404, "The requested URL was not found on this server.")


def _unreadable(error: Exception) -> ApiError:
    details: Json = {"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": repr(error)}
    return ApiError(400, "Request contains an invalid argument.", details=[details])
