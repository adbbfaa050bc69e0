"""Faults that a test injects: what a network and Google's frontends do on bad days."""

from __future__ import annotations

from typing import Literal

import msgspec

from tierline.testing.sheets.errors import ApiError, service_disabled, unauthenticated
from tierline.testing.sheets.exchange import Reply, Request, error_reply, html_reply
from tierline.testing.sheets.quotas import PROJECT, exceeded

Which = Literal["all", "reads", "writes", "token"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to the next requests that it is for; made by the functions below.

    Args:
        name: What `requests` tells of it.
        times: How many requests it meets.
        on: Which requests: of the Sheets and Drive APIs all, reads or writes, or those for a token.
        path: Only requests whose path has this text in it.
        skip: How many such requests pass before it begins.
        reply: What is answered instead, or None.
        applied: Whether the request takes effect all the same.
        delay_s: Seconds before the request is looked at.
        reset: The connection is reset instead of an answer.
        body_bytes: How many bytes of the answer's body arrive before the connection ends.
    """

    name: str
    times: int = 1
    on: Which = "all"
    path: str = ""
    skip: int = 0
    reply: Reply | None = None
    applied: bool = False
    delay_s: float = 0.0
    reset: bool = False
    body_bytes: int | None = None

    def meets(self, request: Request) -> bool:
        """Whether it is for this request."""
        if self.path not in request.path or (self.on == "token") != (request.path == "/token"):
            return False
        return self.on in ("all", "token") or request.is_read == (self.on == "reads")


def too_many_requests(
    times: int = 1, *, retry_after_s: int | None = None, on: Which = "all", skip: int = 0
) -> Fault:
    """429 RESOURCE_EXHAUSTED; Google sends no `Retry-After`, others in its place may."""
    refused = error_reply(exceeded("write" if on == "writes" else "read", 60, per_user=True))
    if retry_after_s is not None:
        refused = refused._replace(headers=(("Retry-After", str(retry_after_s)),))
    return Fault(name="429", times=times, on=on, skip=skip, reply=refused)


def robot_page(times: int = 1, *, on: Which = "all", skip: int = 0) -> Fault:
    """429 with a page about automated queries, as Drive answers at times."""
    text = "We're sorry... but your computer or network may be sending automated queries."
    return Fault(name="429 HTML", times=times, on=on, skip=skip, reply=html_reply(429, text))


def unavailable(times: int = 1, *, status: int = 503, on: Which = "all", skip: int = 0) -> Fault:
    """503 (or another status) with an HTML page; nothing is applied."""
    text = "The server encountered a temporary error and could not complete your request."
    return Fault(
        name=f"{status} HTML", times=times, on=on, skip=skip, reply=html_reply(status, text)
    )


def error_after_apply(
    times: int = 1, *, status: int = 500, on: Which = "writes", skip: int = 0
) -> Fault:
    """500 INTERNAL, although the request took effect."""
    reply = error_reply(ApiError(status, "Internal error encountered."))
    name = f"{status} after apply"
    return Fault(name=name, times=times, on=on, skip=skip, reply=reply, applied=True)


def reset_after_apply(times: int = 1, *, on: Which = "writes", skip: int = 0) -> Fault:
    """The request takes effect, and the connection is reset before the answer."""
    return Fault(name="reset after apply", times=times, on=on, skip=skip, reset=True, applied=True)


def reset_before_apply(times: int = 1, *, on: Which = "all", skip: int = 0) -> Fault:
    """The connection is reset and nothing was applied: a client cannot tell it from the other."""
    return Fault(name="reset before apply", times=times, on=on, skip=skip, reset=True)


def delayed(seconds: float, times: int = 1, *, on: Which = "all", skip: int = 0) -> Fault:
    """The answer comes late; `close()` ends the wait, so it may be as long as you like."""
    return Fault(name="delay", times=times, on=on, skip=skip, delay_s=seconds, applied=True)


def cut_body(body_bytes: int, times: int = 1, *, on: Which = "all", skip: int = 0) -> Fault:
    """The request takes effect, and the answer ends after some bytes of its body."""
    return Fault(
        name="cut body", times=times, on=on, skip=skip, body_bytes=body_bytes, applied=True
    )


def expired_token(times: int = 1, *, on: Which = "all", skip: int = 0) -> Fault:
    """401 UNAUTHENTICATED: google-auth asks for another token and asks again."""
    return Fault(name="401", times=times, on=on, skip=skip, reply=error_reply(unauthenticated()))


def api_disabled(times: int = 1, *, on: Which = "all") -> Fault:
    """403: the API is not enabled in the project."""
    return Fault(
        name="403 disabled", times=times, on=on, reply=error_reply(service_disabled(PROJECT))
    )


class FaultQueue:
    """The faults that are still to come, oldest first; its caller holds the lock."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """One more."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """None any more."""
        self._waiting.clear()

    def take(self, request: Request) -> Fault | None:
        """The first fault that meets a request, used up by one."""
        for i, fault in enumerate(self._waiting):
            if not fault.meets(request):
                continue
            if fault.skip:
                self._waiting[i] = msgspec.structs.replace(fault, skip=fault.skip - 1)
                continue
            if fault.times > 1:
                self._waiting[i] = msgspec.structs.replace(fault, times=fault.times - 1)
            else:
                del self._waiting[i]
            return fault
        return None

    def __len__(self) -> int:
        """How many faults wait."""
        return len(self._waiting)
