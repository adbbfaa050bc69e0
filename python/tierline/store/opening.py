"""Opening a store: an embedded server when no URL is given, real servers otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from returns.result import Failure, Success

from tierline.cache.board import StatsBoard
from tierline.cache.caches import Caches
from tierline.cache.encryption import EncryptionKeys
from tierline.cache.hearing_caches import HearingCaches
from tierline.cache.published import PublishedCaches
from tierline.cache.redis import RedisTier
from tierline.errors import ConfigurationError, RepositoryError
from tierline.postgres import (
    Database,
    DatabaseOptions,
    EmbeddedServer,
    PoolOptions,
    ReadPolicy,
    RoutedDatabase,
    read_hosts,
    start_or_join,
)
from tierline.postgres.routing import Policy
from tierline.result import Result, unwrap
from tierline.store.backplane import Backplane, BackplaneName, last_write_of
from tierline.store.pending_writes import JournalPlace
from tierline.store.published import PublishedBackplane, UnannouncedWrites, why_not_published
from tierline.store.publishing import Publisher
from tierline.store.store import Store

if TYPE_CHECKING:
    from tierline.store.sheet_store import SheetStore


def connect(
    url: str | None = None,
    *,
    redis: str | None = None,
    path: str | Path | None = None,
    prefix: str = "tierline",
    replicas: Sequence[str] = (),
    reads: ReadPolicy | None = None,
    pool_size: int | None = None,
    pool: PoolOptions | None = None,
    credentials: Callable[[], dict[str, str]] | None = None,
    timeout_s: float = 30.0,
    connect_timeout_s: float = 5.0,
    backplane: BackplaneName | None = None,
    max_staleness_s: float = 2.0,
    unannounced_writes: UnannouncedWrites = "refuse",
    cursor_secret: bytes | None = None,
    encryption: EncryptionKeys | None = None,
    publish_stats: bool = False,
    sheets: SheetStore | None = None,
) -> Result[Store, RepositoryError]:
    """Open a store; the same as `tl.open`, as a Result.

    Args:
        url: A PostgreSQL URL or libpq keyword string. None starts an embedded PostgreSQL 18, or
            joins it when another process already runs it.
        redis: A URL for L2: `redis://`, `redis+sentinel://`, `redis+cluster://`, each with `rediss`
            for TLS, or `unix://`; None goes without. A Redis that cannot be reached is no error.
        path: Where the embedded server keeps its data; None is a folder of the user's own.
        prefix: Begins every key in Redis.
        replicas: Further servers of the same data; the URL may name several too. Which of them is
            the primary is found out, and found out again when it changes.
        reads: `tl.reads(…)`: where reads go; None is the primary.
        pool_size: The most connections to a server at a time; 8 if None. Short for `pool=`.
        pool: `tl.PoolOptions(…)`: how many connections, for how long, and how many may wait.
        credentials: Called before each attempt to connect; answers with libpq keywords, such as
            `{"password": …}`, so that they can change while the store is open.
        timeout_s: Seconds that a call may take, with waiting for a connection, where no
            `tl.deadline` says otherwise.
        connect_timeout_s: Seconds one connection attempt may take; at least 2 in effect.
        backplane: `"postgres"`: hear of every change of the tables that `store.install_backplane`
            was called with, by whomever it is made, so that caches serve nothing older than
            `max_staleness_s`. `"redis"`: the same for what is written by stores with it, announced
            through `redis`, without triggers; what others write is seen after the time to live.
            None: other processes' changes are seen after the time to live.
        max_staleness_s: The oldest, in seconds, that what a cache serves may be, with a backplane;
            at least 0.05.
        unannounced_writes: With `backplane="redis"`, when Redis does not take an announcement:
            `"refuse"` rolls the write back, `"commit"` commits it and announces it when it can;
            until then other processes may serve what was before, for `ttl_s` at most.
        cursor_secret: Signs the cursors of `fetch_page`: at least 16 bytes, the same in every
            process that is to understand them. Made anew for each store if None.
        encryption: `tl.EncryptionKeys(…)` encrypts what is kept in Redis; None leaves it readable.
        publish_stats: Show `store.stats()` in Redis every two seconds, for `tierline top`.
        sheets: `tl.open_sheets(…)`, to reach spreadsheets through this store too; it is closed with
            it.

    Errors: `ConfigurationError` for a URL, path or option that cannot work, `ConnectionError` if
    the server cannot be reached or refuses the login.

    Raises:
        TypeError: Both `url` and `path` are given, or both `pool` and `pool_size`; or
            `backplane="redis"` without `redis`.
    """
    if pool is not None and pool_size is not None:
        raise TypeError("open: give pool=tl.PoolOptions(size=…) or pool_size=, not both")
    if url is None and (replicas or credentials):
        raise TypeError("open: replicas and credentials are of a real server; give its url")
    if url is not None and path is not None:
        raise TypeError(
            "open: give a url for a real server or a path for an embedded one, not both"
        )
    try:
        options = _options(pool, pool_size, credentials, timeout_s, connect_timeout_s)
        _check_secret(cursor_secret)
        _check_backplane(backplane, max_staleness_s, redis, unannounced_writes)
        if publish_stats and redis is None:
            raise ConfigurationError(
                "publish_stats shows statistics in Redis; give redis= too", operation="open"
            )
        server = start_or_join(None if path is None else Path(path)) if url is None else None
    except RepositoryError as error:
        return Failure(error)
    try:
        store = _wire(
            server,
            server.conninfo if server else url or "",
            options,
            replicas=replicas,
            reads=reads,
            redis=redis,
            prefix=prefix,
            backplane=backplane,
            staleness_s=max_staleness_s,
            refuses=unannounced_writes == "refuse",
            cursor_secret=cursor_secret,
            encryption=encryption,
        )
    except RepositoryError as error:
        if server is not None:
            server.close()
        return Failure(error)
    store.sheets = sheets
    if publish_stats and redis is not None:
        store.publisher = Publisher(store, StatsBoard(redis, prefix=prefix))
    return Success(store)


def open(  # noqa: A001 (the field's word; reached as tl.open)
    url: str | None = None,
    *,
    redis: str | None = None,
    path: str | Path | None = None,
    prefix: str = "tierline",
    replicas: Sequence[str] = (),
    reads: ReadPolicy | None = None,
    pool_size: int | None = None,
    pool: PoolOptions | None = None,
    credentials: Callable[[], dict[str, str]] | None = None,
    timeout_s: float = 30.0,
    connect_timeout_s: float = 5.0,
    backplane: BackplaneName | None = None,
    max_staleness_s: float = 2.0,
    unannounced_writes: UnannouncedWrites = "refuse",
    cursor_secret: bytes | None = None,
    encryption: EncryptionKeys | None = None,
    publish_stats: bool = False,
    sheets: SheetStore | None = None,
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
            replicas=replicas,
            reads=reads,
            pool_size=pool_size,
            pool=pool,
            credentials=credentials,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            backplane=backplane,
            max_staleness_s=max_staleness_s,
            unannounced_writes=unannounced_writes,
            cursor_secret=cursor_secret,
            encryption=encryption,
            publish_stats=publish_stats,
            sheets=sheets,
        )
    )


def reads(
    policy: Policy,
    *,
    max_lag_s: float | None = None,
    weights: Sequence[float] = (),
    wait_s: float = 0.05,
) -> ReadPolicy:
    """Where reads go, for `tl.open(…, replicas=…, reads=…)`.

    Whatever the policy, a read never misses what its own context wrote before (for
    others see `tl.write_token`), and reads in a transaction are the primary's.

    Args:
        policy: `"primary"`; `"prefer-replica"`: the replicas in turn; `"nearest"`: whichever
            answers soonest; `"round-robin"`: all in turn; `"weighted"`: all, in proportion to
            `weights`.
        max_lag_s: Replicas whose last replayed transaction is older, while more was received, are
            not asked; None asks any.
        weights: Of the servers in the order of the URL, then of `replicas`.
        wait_s: Seconds that a replica is given to catch up with the context's own writes before the
            primary is asked.

    Raises:
        ValueError: An option is none of these.
    """
    if policy not in get_args(Policy):
        raise ValueError(f"policy must be one of {', '.join(get_args(Policy))}, not {policy!r:.80}")
    if any(not weight >= 0 for weight in weights) or (weights and not any(weights)):
        raise ValueError("weights must not be negative, and one must be positive")
    if bool(weights) != (policy == "weighted"):
        raise ValueError("weights go with policy='weighted'")
    for name, value in (("max_lag_s", max_lag_s), ("wait_s", wait_s)):
        if value is not None and not value >= 0:
            raise ValueError(f"{name} must not be negative, not {value}")
    return ReadPolicy(policy, max_lag_s, tuple(weights), wait_s)


def _options(
    pool: PoolOptions | None,
    pool_size: int | None,
    credentials: Callable[[], dict[str, str]] | None,
    timeout_s: float,
    connect_timeout_s: float,
) -> DatabaseOptions:
    if pool_size is not None and pool_size < 1:
        raise ConfigurationError(f"pool_size must be at least 1, not {pool_size}", operation="open")
    for name, value in (("timeout_s", timeout_s), ("connect_timeout_s", connect_timeout_s)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigurationError(f"{name} must be positive, not {value}", operation="open")
    return DatabaseOptions(
        pool=pool or PoolOptions(size=8 if pool_size is None else pool_size),
        timeout_s=timeout_s,
        connect_timeout_s=connect_timeout_s,
        credentials=credentials,
    )


def _check_secret(secret: bytes | None) -> None:
    if secret is not None and len(secret) < _SECRET_BYTES_MIN:
        raise ConfigurationError(
            f"cursor_secret must be at least {_SECRET_BYTES_MIN} bytes; make one with "
            "secrets.token_bytes(32)",
            operation="open",
        )


_SECRET_BYTES_MIN = 16
_STALENESS_S_MIN = 0.05


def _check_backplane(
    backplane: BackplaneName | None,
    max_staleness_s: float,
    redis: str | None,
    unannounced_writes: UnannouncedWrites,
) -> None:
    names = get_args(BackplaneName)
    if backplane is not None and backplane not in names:
        raise ConfigurationError(
            f"backplane must be {' or '.join(map(repr, names))} or None, not {backplane!r:.80}",
            operation="open",
        )
    if not (math.isfinite(max_staleness_s) and max_staleness_s >= _STALENESS_S_MIN):
        raise ConfigurationError(
            f"max_staleness_s must be at least {_STALENESS_S_MIN}, not {max_staleness_s!r:.80}",
            operation="open",
        )
    if backplane == "redis":
        why = why_not_published(redis, unannounced_writes)
        if why is not None:
            raise ConfigurationError(why, operation="open")


def _wire(
    server: EmbeddedServer | None,
    conninfo: str,
    options: DatabaseOptions,
    *,
    replicas: Sequence[str],
    reads: ReadPolicy | None,
    redis: str | None,
    prefix: str,
    backplane: BackplaneName | None,
    staleness_s: float,
    refuses: bool,
    cursor_secret: bytes | None,
    encryption: EncryptionKeys | None,
) -> Store:
    hosts = read_hosts(conninfo, replicas)
    database = (
        Database(hosts[0], options)
        if len(hosts) == 1
        else RoutedDatabase(hosts, options, reads or ReadPolicy())
    )
    try:
        l2 = None if redis is None else _open_l2(redis, prefix, database.identity, encryption)
    except RepositoryError:
        database.close()
        raise
    journal = None if redis is None else JournalPlace(redis, prefix)
    if backplane is None:
        caches = Caches(l2, database.schema)
        return Store(database, caches, server, cursor_secret=cursor_secret, journal=journal)
    heard: Backplane
    has_standbys = len(hosts) > 1
    if backplane == "redis":
        assert l2 is not None
        assert redis is not None
        channel = f"{prefix}:{database.identity}:changes"
        published = PublishedCaches(
            l2, database.schema, channel, has_standbys=has_standbys, refuses=refuses
        )
        heard = PublishedBackplane(database, published, redis, channel, max_staleness_s=staleness_s)
        return Store(
            database,
            published,
            server,
            backplane=heard,
            cursor_secret=cursor_secret,
            journal=journal,
        )
    hearing = HearingCaches(
        l2,
        database.schema,
        lambda: last_write_of(database),
        has_standbys=has_standbys,
    )
    # Without L2 a single server's reads that begin after a write see it.
    database.notes_writes = database.notes_writes or l2 is not None
    heard = Backplane(database, hearing, max_staleness_s=staleness_s)
    return Store(
        database, hearing, server, backplane=heard, cursor_secret=cursor_secret, journal=journal
    )


def _open_l2(url: str, prefix: str, scope: str, encryption: EncryptionKeys | None) -> RedisTier:
    try:
        return RedisTier(url, prefix=prefix, scope=scope, encryption=encryption)
    except ValueError as error:
        # The text may quote the URL with its password, so it stays out of the message.
        raise ConfigurationError(
            "the Redis URL cannot be read; write it as redis://user:password@host:6379/0, "
            "redis+sentinel://host1:26379,host2:26379/service or redis+cluster://host1:6379,host2:6379",
            operation="open",
        ) from error
