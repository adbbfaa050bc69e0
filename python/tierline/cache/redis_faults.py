"""What can go wrong with Redis: the one place that says what an error means."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Fault: TypeAlias = Literal[
    "gone",  # no connection, or it broke
    "frozen",  # no answer in time
    "late",  # the caller's own deadline came first
    "open",  # the circuit is open: nothing was asked
    "readonly",  # a replica, or a master that was demoted
    "loading",  # it reads its data after a start
    "busy",  # somebody's script does not end
    "down",  # a cluster without all of its slots
    "full",  # it takes no writes: memory, disk or too few replicas
    "denied",  # the account may not
    "moved",  # another node has the slot
    "ask",  # another node has the key, which is on its way
    "again",  # some of the keys are on their way
    "unknown script",
    "refused",  # any other error that it answers with
]

OPENING = frozenset({"gone", "frozen", "readonly", "loading", "busy", "down"})
"""Faults of a server, not of one call: its circuit opens."""

_BY_CODE: dict[str, Fault] = {
    "READONLY": "readonly",
    "LOADING": "loading",
    "BUSY": "busy",
    "MASTERDOWN": "down",
    "CLUSTERDOWN": "down",
    "OOM": "full",
    "MISCONF": "full",
    "NOREPLICAS": "full",
    "NOAUTH": "denied",
    "WRONGPASS": "denied",
    "NOPERM": "denied",
    "MOVED": "moved",
    "ASK": "ask",
    "TRYAGAIN": "again",
    "NOSCRIPT": "unknown script",
}

# Before version 7 an error inside a script is told within another: "ERR Error running script
# (call to f_…): @user_script:4: -OOM command not allowed …".
_INNER_CODE = re.compile(r"ERR Error running script .*?: -?([A-Z]+) ")


class ReplyError(Exception):
    """An error that Redis answered with; its text begins with a code."""


class RedisFaultError(Exception):
    """A call of Redis that came to nothing.

    Attributes:
        fault: Why.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


def fault_of(error: BaseException) -> Fault:
    """What an error of a connection, or one that Redis answered with, means."""
    if isinstance(error, RedisFaultError):
        return error.fault
    if isinstance(error, ReplyError):
        text = str(error)
        inner = _INNER_CODE.match(text)
        return _BY_CODE.get(inner[1] if inner else text.partition(" ")[0], "refused")
    # A blocking socket with a limit says EAGAIN when the time is over.
    return "frozen" if isinstance(error, (TimeoutError, BlockingIOError)) else "gone"


def redirection(error: ReplyError) -> tuple[int, str, int]:
    """Slot, host and port of a MOVED or ASK; the host may be empty: the one that was asked."""
    _, slot, place = str(error).split(" ")[:3]
    host, _, port = place.rpartition(":")
    return int(slot), host, int(port)
