"""Finding a Redis for the demo."""

from __future__ import annotations

from typing import Any, cast

from rich.console import Console

_DEFAULT_URL = "redis://127.0.0.1:6379/0"


def reachable_redis(url: str | None, console: Console) -> str | None:
    """The URL to use: the given one, else the usual one if it answers, else None."""
    if url is not None:
        return url
    from redis import Redis, RedisError  # noqa: PLC0415 (a driver is imported when first used)

    client: Any = cast("Any", Redis).from_url(
        _DEFAULT_URL, socket_timeout=0.2, socket_connect_timeout=0.2
    )
    try:
        client.ping()
    except (RedisError, OSError):
        console.print("No Redis at 127.0.0.1:6379: going on without L2 (--redis URL names one).")
        return None
    finally:
        client.close()
    return _DEFAULT_URL
