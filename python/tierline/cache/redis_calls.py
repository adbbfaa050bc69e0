"""What Redis is asked to run, and what it answers."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, TypeAlias

from tierline.cache.redis_faults import RedisFaultError


class Reply(NamedTuple):
    """What a server answered, and the reign under which it did."""

    value: Any
    reign: str


class Values(NamedTuple):
    """What one server answered of some keys, and the reign under which it did.

    Attributes:
        indices: Where the keys stand among those that were asked for.
        values: The value of each, or None.
    """

    indices: list[int]
    values: list[bytes | None]
    reign: str


Answer: TypeAlias = Reply | RedisFaultError


class Script:
    """A Lua script.

    Attributes:
        text: Its source.
        sha: What the server knows it by, once it has seen it.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 (Redis's own choice)
