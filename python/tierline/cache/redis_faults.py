"""What can go wrong with Redis: the one place that says what an error means."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import redis
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    TryAgainError,
)

Fault: TypeAlias = Literal[
    "gone",  # no connection, or it broke
    "frozen",  # no answer in time
    "late",  # the caller's own deadline leaves no time
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

# The first that an error is one of says what it means.
_BY_TYPE: tuple[tuple[type[BaseException], Fault], ...] = (
    (redis.ReadOnlyError, "readonly"),
    (redis.BusyLoadingError, "loading"),
    (redis.AuthenticationError, "denied"),
    (NoPermissionError, "denied"),
    (OutOfMemoryError, "full"),
    (MovedError, "moved"),
    (AskError, "ask"),
    (TryAgainError, "again"),
    (MasterDownError, "down"),
    (ClusterDownError, "down"),
    (NoScriptError, "unknown script"),
    # A blocking socket with a limit says EAGAIN when the time is over.
    (redis.TimeoutError, "frozen"),
    (TimeoutError, "frozen"),
    (BlockingIOError, "frozen"),
)

# Those that redis-py has no type for.
_BY_CODE: dict[str, Fault] = {"BUSY": "busy", "MISCONF": "full", "NOREPLICAS": "full"}

# Before version 7 an error inside a script is told within another: "Error running script
# (call to f_…): @user_script:4: -OOM command not allowed …".
_INNER_CODE = re.compile(r"(?:ERR )?Error running script .*?: -?([A-Z]+) ")
_INNER: dict[str, Fault] = {"OOM": "full", "READONLY": "readonly", **_BY_CODE}


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
    for kind, fault in _BY_TYPE:
        if isinstance(error, kind):
            return fault
    if isinstance(error, redis.ResponseError):
        text = str(error)
        inner = _INNER_CODE.match(text)
        if inner:
            return _INNER.get(inner[1], "refused")
        return _BY_CODE.get(text.partition(" ")[0], "refused")
    return "gone"
