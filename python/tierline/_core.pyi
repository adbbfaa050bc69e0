"""The whole native surface of Tierline on one page. Implemented in `rust/src/py`."""

# This page is the documentation too, hence its docstrings.

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import GenericAlias
from typing import Any, Generic, Literal, TypeVar, final, overload

__all__ = [
    "Cache",
    "CacheStats",
    "CopyEncoder",
    "Memo",
    "__build__",
    "__version__",
    "pack_frame",
    "unpack_frame",
]

_K = TypeVar("_K")
_V = TypeVar("_V")
_D = TypeVar("_D")

__version__: str
"""The crate's version, equal to the package's."""

__build__: dict[str, str]
"""For bug reports: `version`, `profile` (`release`, `debug`), `gil` (`gil`, `free-threaded`)."""

@final
class CacheStats:
    """A consistent snapshot of one cache's counters, since it was made."""

    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...
    @property
    def evictions(self) -> int:
        """Entries that had to make room for others."""
    @property
    def expirations(self) -> int:
        """Entries found past their time to live and removed."""
    @property
    def invalidations(self) -> int:
        """Entries removed by `invalidate`, `invalidate_many` and `invalidate_all`."""
    @property
    def fills(self) -> int:
        """Loaded values stored by `fill`."""
    @property
    def refused_fills(self) -> int:
        """Fills dropped because their key was invalidated after they began."""
    @property
    def loads(self) -> int:
        """Calls of loaders by `get_or_load`, `get_or_load_many` and cached functions."""
    @property
    def failed_loads(self) -> int:
        """Those of `loads` that raised."""
    @property
    def load_ns(self) -> int:
        """Nanoseconds spent in `loads`, by all threads together."""
    @property
    def entries(self) -> int: ...

@final
class Cache(Generic[_K, _V]):
    """A bounded cache with a monotonic time to live, safe to share between threads.

    Keys are hashed and compared as in a `dict`. No Python code (`__eq__`,
    `__hash__`, `__del__`, a loader, a weigher) runs while the cache is locked.

    Args:
        maxsize: The most entries kept, from 1 to 2**32 - 2, or with `getsizeof` or `weigher` the
            most they weigh together, from 1 to 2**63 - 1. Memory grows with the entries, not with
            the bound.
        ttl_s: Seconds an entry lives, or None for no limit. At least 0.001. Time is told in
            ticks of the coarse monotonic clock, 4 ms on most Linux kernels.
        policy: Which entry makes room for another. `s3fifo`: one that was asked for once goes
            before one that was asked for again, so scans and loops do not flush the cache; its
            share for new keys follows the workload. `lru`: the least recently used one.
        getsizeof: What a value weighs, as in cachetools; one if neither this nor `weigher` is
            given. An int, 0 or more.
        weigher: The same of a key and its value. It is called once for each store, before the
            cache is locked, so it may use the cache; what it raises reaches the caller, and
            nothing is stored.

    Raises:
        TypeError: `getsizeof` and `weigher` are both given, or cannot be called.
        ValueError: `maxsize` or `ttl_s` is out of range, or there is no such policy.
    """

    def __new__(
        cls,
        maxsize: int,
        *,
        ttl_s: float | None = None,
        policy: Literal["s3fifo", "lru"] = "s3fifo",
        getsizeof: Callable[[_V], int] | None = None,
        weigher: Callable[[_K, _V], int] | None = None,
    ) -> Cache[_K, _V]: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def maxsize(self) -> int: ...
    @property
    def currsize(self) -> int:
        """What the entries weigh together; without weights how many there are, as `len`."""
    @property
    def ttl_s(self) -> float | None: ...
    @property
    def policy(self) -> Literal["s3fifo", "lru"]: ...
    def getsizeof(self, value: _V, /) -> int:
        """What a value weighs.

        Raises:
            TypeError: The weight is not an int, or it depends on the key (`weigher`).
            ValueError: It is negative.
        """
    @overload
    def get(self, key: _K, /) -> _V | None:
        """The live value, or the default; like `[]` and readers it counts a hit or a miss."""
    @overload
    def get(self, key: _K, default: _D, /) -> _V | _D: ...
    def set(self, key: _K, value: _V, /, *, ttl_s: float | None = None) -> None:
        """Store a value, as `[]` does; `ttl_s` replaces the cache's own for this entry.

        Raises:
            TypeError: Its weight is not an int.
            ValueError: Its weight is negative; or it is over `maxsize`, and then an older value
                of the key is gone. Or `ttl_s` is out of range.
        """
    @overload
    def pop(self, key: _K, /) -> _V | None:
        """Remove an entry and return its value, or the default; counts neither hit nor miss."""
    @overload
    def pop(self, key: _K, default: _D, /) -> _V | _D: ...
    def __getitem__(self, key: _K, /) -> _V: ...
    def __setitem__(self, key: _K, value: _V, /) -> None: ...
    def __delitem__(self, key: _K, /) -> None: ...
    def __contains__(self, key: object, /) -> bool:
        """Whether a live entry exists; counts neither hit nor miss and does not refresh it."""
    def __len__(self) -> int:
        """Entries held, expired ones not yet removed included."""
    def __iter__(self) -> Iterator[_K]:
        """The live keys of a snapshot; under LRU the least recently used first."""
    def clear(self) -> None:
        """Drop every entry; the counters stay, and fills that have begun are not refused."""
    def begin(self, key: _K, /) -> int:
        """Note the start of a load of `key`; pass the token to `fill`."""
    def fill(self, key: _K, value: _V, token: int, /, *, ttl_s: float | None = None) -> bool:
        """Store a loaded value unless its key was invalidated since `begin`; whether it was.

        A value that weighs more than `maxsize` is not stored either.
        """
    def get_or_load(
        self,
        key: _K,
        loader: Callable[[_K], _V],
        *,
        ttl_s: float | None = None,
        on_error: Literal["share", "retry"] = "share",
    ) -> _V:
        """The live value, or what `loader(key)` returns, which is kept.

        Threads that ask for the key meanwhile wait, with the interpreter free for others, and get
        the value of the one call. If the key is invalidated during the call, the waiters still get
        the value, but it is not kept; whoever asks after the invalidation loads anew.

        Args:
            key: As in `get`.
            loader: Called while nothing is locked, so it may use the cache. None is a value.
            ttl_s: Seconds the loaded value lives; replaces the cache's own.
            on_error: What waiters do when the loader of another thread raises: `share` raises the
                same exception in them too, `retry` lets one after another load the value itself.

        Raises:
            RuntimeError: The loader asked for the key that it loads, or threads wait for each
                other's loads in a circle. The loads of the others go on.
        """
    def get_or_load_many(
        self,
        keys: Iterable[_K],
        loader: Callable[[list[_K]], Mapping[_K, _V]],
        *,
        ttl_s: float | None = None,
        on_error: Literal["share", "retry"] = "share",
    ) -> dict[_K, _V]:
        """The live values, with those that are missing from one call of `loader(missing_keys)`.

        Keys that another thread is loading, in whichever way, are not loaded again but waited for.
        What the loader's answer leaves out, the result leaves out too; the rest is as in
        `get_or_load`. The result's keys are in the order asked for.

        Raises:
            RuntimeError: As `get_or_load`.
            TypeError: The loader's answer is no mapping.
        """
    def invalidate(self, key: _K, /) -> bool:
        """Drop the entry and every fill of it that has begun; whether a live entry was there.

        Keys share 1,024 counters, so a fill of another key is refused now and then.
        """
    def invalidate_many(self, keys: Iterable[_K], /) -> int:
        """`invalidate` for each key; how many live entries were there."""
    def invalidate_all(self) -> int:
        """Drop every entry and every fill that has begun; how many entries were there."""
    def reader(self, loader: Callable[[_K], _V], /) -> Callable[[_K], _V]:
        """A native function: the cached value on a hit, else whatever `loader(key)` returns.

        The loader fills the cache itself (`begin`, then `fill`), or does not.
        A hit runs no Python bytecode.
        """
    def stats(self) -> CacheStats: ...

@final
class Memo:
    """What `tl.cached` makes of a function: called, it answers from the cache or calls it.

    A hit runs no Python bytecode; one of a single `str` or `int` makes no object either. It binds
    to instances as functions do and has a `__dict__`. Use `tl.cached`, which has the types.

    Args:
        function: What to call on a miss, once for all threads that miss meanwhile.
        cache: Where the results are kept.
        key: Makes the key of a call from its arguments.

    Raises:
        TypeError: `function` cannot be called.
    """

    def __new__(
        cls,
        function: Callable[..., Any],
        cache: Cache[Any, Any],
        key: Callable[..., Any] | None = None,
        /,
    ) -> Memo: ...
    @property
    def cache(self) -> Cache[Any, Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...
    def cache_key(self, *args: Any, **kwargs: Any) -> Any:
        """The key under which the result of these arguments is kept."""
    def cache_invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """`Cache.invalidate` of these arguments' key."""
    def count_load(self, ok: bool, elapsed_ns: int, /) -> None:
        """Count a load that was made elsewhere: how it ended and the nanoseconds it took."""
    def __reduce__(self) -> str: ...
    def __copy__(self) -> Memo: ...
    def __deepcopy__(self, memo: Any) -> Memo: ...

def pack_frame(payload: bytes, /, *, fingerprint: int, written_at_ms: int) -> bytes:
    """Put a payload into an L2 frame.

    Args:
        payload: The encoded entity.
        fingerprint: 64-bit fingerprint of the schema it was encoded with.
        written_at_ms: Unix time in milliseconds, by which readers bound its age themselves.
    """

def unpack_frame(frame: bytes, /, *, fingerprint: int) -> tuple[bytes, int] | None:
    """The payload and `written_at_ms` of a frame.

    None for any other bytes: not ours, torn, or of another schema, version or flags. The frame's
    checksum tells accidents, not forgeries by someone who can write to Redis.
    """

@final
class CopyEncoder:
    """Encodes tuples as rows of PostgreSQL's COPY BINARY format.

    Args:
        kinds: For each column `bool`, `int2`, `int4`, `int8`, `float8`, `numeric`, `text`, `bytea`,
            `jsonb` (from bytes), `uuid`, `date`, `timestamp`, `timestamptz` or `other`.
        encoders: For each column of kind `other`, a function from value to bytes; else None.

    Raises:
        ValueError: An unknown kind, or the two do not match.
    """

    def __new__(
        cls, kinds: Sequence[str], encoders: Sequence[Callable[[Any], bytes] | None]
    ) -> CopyEncoder: ...
    def encode(self, rows: Sequence[tuple[Any, ...]], /) -> bytes:
        """The rows, without the file's header and trailer. None is NULL in every column.

        Raises:
            TypeError: A value is not of its column's kind.
            OverflowError: A number that its column cannot hold, or a value of 1 GiB or more.
            ValueError: A row of another width.
        """
