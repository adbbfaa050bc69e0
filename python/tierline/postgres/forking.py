"""Forks: a child must not use what it inherited of connections, threads and locks.

What is registered here is told in the child, before anything else runs in it, to begin anew.
Connections are kept, unused, so that nothing says goodbye to the server in the parent's name; only
their sockets are closed, or the server would not see the parent's end.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

from tierline.postgres.connection import Connection


class Renewable(Protocol):
    """Something that can begin anew in a child."""

    def renew(self) -> None:
        """Forget every lock, thread and connection; called in the child alone."""
        ...


_renewables: WeakSet[Any] = WeakSet()
_inherited: list[object] = []


def renew_in_children(thing: Renewable) -> None:
    """Have something begin anew in every child of this process."""
    _renewables.add(thing)


def disown(*things: object) -> None:
    """Keep what a child inherited from being finalised; sockets are closed."""
    for thing in things:
        _inherited.append(thing)
        if isinstance(thing, Connection) and not thing.closed:
            thing.guard.disown()
            with suppress(OSError):
                os.close(thing.fileno())


def _renew_all() -> None:
    for thing in tuple(_renewables):
        # One that cannot must not keep the others from it.
        with suppress(Exception):
            thing.renew()


os.register_at_fork(after_in_child=_renew_all)
