"""Opening a store: an embedded server when no URL is given, real servers otherwise."""

from __future__ import annotations

import math
from pathlib import Path

from returns.result import Failure, Success

from tierline.cache.redis import RedisTier
from tierline.cache.tables import Caches
from tierline.errors import ConfigurationError, RepositoryError
from tierline.postgres import Database, EmbeddedServer, start_or_join
from tierline.result import Result, unwrap
from tierline.store.store import Store


def connect(
    url: str | None = None,
    *,
    redis: str | None = None,
    path: str | Path | None = None,
    prefix: str = "tierline",
    pool_size: int = 8,
    timeout_s: float = 30.0,
    connect_timeout_s: float = 5.0,
    cursor_secret: bytes | None = None,
) -> Result[Store, RepositoryError]:
    """Open a store; the same as `tl.open`, as a Result.

    Args:
        url: A PostgreSQL URL or libpq keyword string. None starts an embedded PostgreSQL 18, or
            joins it when another process already runs it.
        redis: A Redis URL for L2; None goes without. A Redis that cannot be reached is no error.
        path: Where the embedded server keeps its data; None is a folder of the user's own.
        prefix: Begins every key in Redis.
        pool_size: The most connections to PostgreSQL at a time.
        timeout_s: Seconds a statement may run, and a caller may wait for a connection.
        connect_timeout_s: Seconds one connection attempt may take; at least 2 in effect.
        cursor_secret: Signs the cursors of `fetch_page`: at least 16 bytes, the same in every
            process that is to understand them. Made anew for each store if None.

    Errors: `ConfigurationError` for a URL, path or option that cannot work, `ConnectionError` if
    the server cannot be reached or refuses the login.

    Raises:
        TypeError: Both `url` and `path` are given.
    """
    if url is not None and path is not None:
        raise TypeError(
            "open: give a url for a real server or a path for an embedded one, not both"
        )
    try:
        _check_options(pool_size, timeout_s, connect_timeout_s)
        _check_secret(cursor_secret)
        server = start_or_join(None if path is None else Path(path)) if url is None else None
    except RepositoryError as error:
        return Failure(error)
    try:
        return Success(
            _wire(
                server,
                server.conninfo if server else url or "",
                redis=redis,
                prefix=prefix,
                pool_size=pool_size,
                timeout_s=timeout_s,
                connect_timeout_s=connect_timeout_s,
                cursor_secret=cursor_secret,
            )
        )
    except RepositoryError as error:
        if server is not None:
            server.close()
        return Failure(error)


def open(  # noqa: A001 (the field's word; reached as tl.open)
    url: str | None = None,
    *,
    redis: str | None = None,
    path: str | Path | None = None,
    prefix: str = "tierline",
    pool_size: int = 8,
    timeout_s: float = 30.0,
    connect_timeout_s: float = 5.0,
    cursor_secret: bytes | None = None,
) -> Store:
    """Open a store; raises what `tl.connect` answers as a Failure. For the arguments see there.

    Example:
        ``with tl.open() as store: ...``
    """
    return unwrap(
        connect(
            url,
            redis=redis,
            path=path,
            prefix=prefix,
            pool_size=pool_size,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            cursor_secret=cursor_secret,
        )
    )


def _check_options(pool_size: int, timeout_s: float, connect_timeout_s: float) -> None:
    if pool_size < 1:
        raise ConfigurationError(f"pool_size must be at least 1, not {pool_size}", operation="open")
    for name, value in (("timeout_s", timeout_s), ("connect_timeout_s", connect_timeout_s)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigurationError(f"{name} must be positive, not {value}", operation="open")


def _check_secret(secret: bytes | None) -> None:
    if secret is not None and len(secret) < _SECRET_BYTES_MIN:
        raise ConfigurationError(
            f"cursor_secret must be at least {_SECRET_BYTES_MIN} bytes; make one with "
            "secrets.token_bytes(32)",
            operation="open",
        )


_SECRET_BYTES_MIN = 16


def _wire(
    server: EmbeddedServer | None,
    conninfo: str,
    *,
    redis: str | None,
    prefix: str,
    pool_size: int,
    timeout_s: float,
    connect_timeout_s: float,
    cursor_secret: bytes | None,
) -> Store:
    database = Database(
        conninfo, pool_size=pool_size, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s
    )
    try:
        l2 = None if redis is None else _open_l2(redis, prefix, database.identity)
    except RepositoryError:
        database.close()
        raise
    return Store(database, Caches(l2, database.schema), server, cursor_secret=cursor_secret)


def _open_l2(url: str, prefix: str, scope: str) -> RedisTier:
    try:
        return RedisTier(url, prefix=prefix, scope=scope)
    except ValueError as error:
        # The text may quote the URL with its password, so it stays out of the message.
        raise ConfigurationError(
            "the Redis URL cannot be read; write it as redis://user:password@host:6379/0",
            operation="open",
        ) from error
