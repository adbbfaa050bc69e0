"""The whole native surface of Tierline on one page. Implemented in `rust/src/py`."""

# This page is the documentation too, hence its docstrings.

from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from types import GenericAlias
from typing import Any, Literal, Self, TypeAlias, TypeVar, final, overload

from typing_extensions import disjoint_base

__all__ = [
    "Cache",
    "CacheStats",
    "CopyEncoder",
    "EntityChecker",
    "FrameKeys",
    "FrameReader",
    "Libpq",
    "Memo",
    "RowDecoder",
    "__build__",
    "__version__",
    "advance_clock",
    "pack_frame",
    "unpack_frame",
    "unpack_frames",
]

_K = TypeVar("_K")
_V = TypeVar("_V")
_D = TypeVar("_D")
_F = TypeVar("_F", bound=Callable[..., Any])

_Cause: TypeAlias = Literal["capacity", "expired", "replaced", "invalidated", "cleared"]
"""Why a value leaves a cache."""

__version__: str
"""The crate's version, equal to the package's."""

__build__: dict[str, str]
"""For bug reports: `version`, `profile` (`release`, `debug`), `gil` (`gil`, `free-threaded`)."""

@final
class CacheStats:
    """A consistent snapshot of one cache's counters, since it was made."""

    @property
    def hits(self) -> int:
        """Reads answered from the cache; `hits + misses` is the number of reads."""
    @property
    def misses(self) -> int: ...
    @property
    def stale_hits(self) -> int:
        """Answers of `get_or_load` with a value past its time to live.

        Those that stand in for a failed load are also among `misses`, the others among `hits`.
        """
    @property
    def negative_hits(self) -> int:
        """Those of `hits` that said that there is nothing under the key."""
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
    def fills(self) -> int:
        """Loaded values accepted."""
    @property
    def refused_fills(self) -> int:
        """Loaded values dropped because their data had changed after the load began."""
    @property
    def evictions(self) -> int:
        """Entries that had to make room for others."""
    @property
    def expirations(self) -> int:
        """Entries found past their time and removed."""
    @property
    def replacements(self) -> int:
        """Values that others were stored in place of."""
    @property
    def invalidations(self) -> int:
        """Entries removed because their data changed."""
    @property
    def cleared(self) -> int:
        """Entries removed by `clear`."""
    @property
    def entries(self) -> int:
        """Entries held now."""
    @property
    def weight(self) -> int:
        """What they weigh together; without weights how many they are."""

@disjoint_base
class Cache(MutableMapping[_K, _V]):
    """A bounded cache with a monotonic time to live, safe to share between threads.

    Keys are hashed and compared as in a `dict`. No Python code (`__eq__`, `__hash__`, `__del__`, a
    loader, a weigher, a listener) runs while the cache is locked, so all of it may use the cache.

    Free-threaded builds keep a cache of 2,048 entries or more in parts by hash, each with its share
    of the bound, unless it is bound by weight or exact recency: it may evict a little early.

    It is a `MutableMapping` in the manner of cachetools: iteration and views are over a snapshot of
    the live entries, under LRU the least recently used first.

    Args:
        maxsize: The most entries kept, from 0 to 2**32 - 2, or with `getsizeof` or `weigher` the
            most they weigh together, from 0 to 2**63 - 1. Memory grows with the entries, not with
            the bound.
        getsizeof: What a value weighs, as in cachetools; one if neither this nor `weigher` is
            given. An int, 0 or more. A derived class may define the method instead.
        ttl_s: Seconds an entry is fresh, or None for no limit. At least 0.001. Time is told in
            ticks of the coarse monotonic clock, 4 ms on most Linux kernels. Or a function from key
            and value to the seconds of that entry, called before the cache is locked.
        ttl_jitter: The part of each time to live, 0 to 1, up to which chance shortens it, so that
            what was stored together does not expire together.
        idle_s: Seconds after its last use that an entry is kept, or None for no limit.
        stale_while_revalidate_s: Seconds after an entry's time to live during which `get_or_load`
            still answers with it, at once, while one thread in the background loads it anew.
        stale_if_error_s: Seconds after an entry's time to live during which `get_or_load` still
            answers with it if the loader raises an `Exception`, which then goes to
            `sys.unraisablehook`. With neither window an entry's life ends with its time to live.
        retry_s: Seconds between two tries to load a stale entry anew; until then it is served.
        negative_ttl_s: Seconds for which it is remembered that there is nothing under a key: a
            loader that raises `KeyError`, or leaves the key out of its answer, says so. None:
            it is not remembered.
        policy: Which entry makes room for another. `s3fifo`: one that was asked for once goes
            before one that was asked for again, so scans and loops do not flush the cache; its
            share for new keys follows the workload. `lru`: the least recently used one.
        weigher: What a key with its value weighs. It is called once for each store, before the
            cache is locked; what it raises reaches the caller, and nothing is stored.
        listener: Called with key, value and cause for each value that leaves the cache: `capacity`
            (it had to make room), `expired`, `replaced`, `invalidated` (also by `del`) or
            `cleared`. Called after the fact, when nothing is locked, by the thread that caused it;
            an `Exception` of it goes to `sys.unraisablehook`. `pop` and `popitem` hand the value
            to their caller and do not call it.
        floor_s: Seconds for which `announce` remembers a change: longer than any load takes, and
            than any transaction runs on that is announced before it commits.

    Raises:
        TypeError: `getsizeof` and `weigher` are both given, or something cannot be called.
        ValueError: A number is out of range, or there is no such policy.
    """

    def __new__(
        cls,
        maxsize: int,
        getsizeof: Callable[[_V], int] | None = None,
        *,
        ttl_s: float | Callable[[_K, _V], float | None] | None = None,
        ttl_jitter: float = 0.0,
        idle_s: float | None = None,
        stale_while_revalidate_s: float = 0.0,
        stale_if_error_s: float = 0.0,
        retry_s: float = 1.0,
        negative_ttl_s: float | None = None,
        policy: Literal["s3fifo", "lru"] = "s3fifo",
        weigher: Callable[[_K, _V], int] | None = None,
        listener: Callable[[_K, _V, _Cause], object] | None = None,
        floor_s: float = 60.0,
    ) -> Self: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def maxsize(self) -> int: ...
    @property
    def currsize(self) -> int:
        """What the entries weigh together; without weights how many there are, as `len`."""
    @property
    def ttl_s(self) -> float | Callable[[_K, _V], float | None] | None: ...
    @property
    def policy(self) -> Literal["s3fifo", "lru"]: ...
    def getsizeof(self, value: _V, /) -> int:
        """What a value weighs.

        Raises:
            TypeError: The weight is not an int, or it depends on the key (`weigher`).
            ValueError: It is negative.
        """
    @overload
    def get(self, key: _K, default: None = None, /) -> _V | None:
        """The live value, or the default; like `[]` and readers it counts a hit or a miss."""
    @overload
    def get(self, key: _K, default: _V, /) -> _V: ...
    @overload
    def get(self, key: _K, default: _D, /) -> _V | _D: ...
    def get_many(self, keys: Iterable[_K], /) -> dict[_K, _V]:
        """The live values of those keys that have one; each counts as in `get`."""
    def set(
        self, key: _K, value: _V, /, *, ttl_s: float | None = None, tags: Iterable[str] = ()
    ) -> None:
        """Store a value, as `[]` does.

        Args:
            key: As in a dict.
            value: Shared, not copied.
            ttl_s: Seconds this entry is fresh; replaces the cache's own.
            tags: Labels by which `invalidate_tag` finds it.

        Raises:
            TypeError: Its weight is not an int, or a tag is not a str.
            ValueError: Its weight is negative; or it is over `maxsize`, and then an older value
                of the key is gone. Or `ttl_s` is out of range.
        """
    def set_many(
        self,
        items: Mapping[_K, _V] | Iterable[tuple[_K, _V]],
        /,
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
    ) -> None:
        """`set` for each item, in order; if one raises, those before it are stored."""
    def set_absent(self, key: _K, /, *, ttl_s: float | None = None) -> None:
        """Remember that there is nothing under a key, for `ttl_s` or the cache's `negative_ttl_s`.

        Until then `get` gives the default, `[]` and `get_or_load` raise `KeyError` and the key is
        not `in` the cache, all without a load.

        Raises:
            ValueError: Neither is given, or `ttl_s` is out of range.
        """
    @overload
    def pop(self, key: _K, /) -> _V:
        """Remove a live entry and return its value, or the default; counts no hit and no miss.

        Raises:
            KeyError: There is none, and no default is given.
        """
    @overload
    def pop(self, key: _K, default: _V, /) -> _V: ...
    @overload
    def pop(self, key: _K, default: _D, /) -> _V | _D: ...
    def popitem(self) -> tuple[_K, _V]:
        """Remove the live entry that would have to make room next, and return key and value.

        Raises:
            KeyError: There is none.
        """
    @overload
    def setdefault(self: Cache[_K, _D | None], key: _K, default: None = None, /) -> _D | None:
        """The live value, or the default, which is then stored; one and the same for all threads.

        A default that is too large is returned and not stored.
        """
    @overload
    def setdefault(self, key: _K, default: _V, /) -> _V: ...
    def touch(self, key: _K, /, *, ttl_s: float | None = None) -> bool:
        """Begin a live entry's time anew, for `ttl_s` or the cache's own; whether there is one."""
    def expire(self) -> list[tuple[_K, _V]]:
        """Remove every entry that is past its time now, and return them.

        Without this they leave one after another as others are stored. Takes time for each entry.
        """
    def clear(self) -> None:
        """Drop every entry; the counters stay, and loads that have begun are not refused."""
    def copy(self) -> Cache[_K, _V]:
        """Another cache of the same options and live entries, each with the life it has left.

        Raises:
            TypeError: Of a derived class, which must say itself how it is copied.
        """
    def __copy__(self) -> Cache[_K, _V]: ...
    def snapshot(self, *, enc_hook: Callable[[Any], Any] | None = None) -> bytes:
        """The live entries as bytes (MessagePack), for `restore`, perhaps in another process.

        Left out are values that were filled with a PostgreSQL snapshot: what has changed since,
        only this process hears.

        Raises:
            TypeError: A key or a value is of a type that msgspec does not encode.
        """
    def restore(
        self,
        data: bytes | bytearray | memoryview,
        /,
        *,
        key: Any = ...,
        value: Any = ...,
        dec_hook: Callable[[type, Any], Any] | None = None,
    ) -> int:
        """Store what a snapshot holds and is not past its time or newer here; how many entries.

        What was invalidated since the snapshot was taken is not known here: restore what you would
        still serve.

        Args:
            data: What `snapshot` returned. It is data: nothing in it is run.
            key: The type of the keys, checked by msgspec.
            value: The type of the values.
            dec_hook: As in `msgspec.msgpack.decode`.

        Raises:
            ValueError: Other bytes, or other types; nothing is stored.
        """
    def __getitem__(self, key: _K, /) -> _V: ...
    def __missing__(self, key: _K, /) -> _V:
        """What `[]` answers where there is no live value; a derived class may replace it.

        Raises:
            KeyError: Always.
        """
    def __setitem__(self, key: _K, value: _V, /) -> None: ...
    def __delitem__(self, key: _K, /) -> None:
        """`invalidate` a key.

        Raises:
            KeyError: It has no live value.
        """
    def __contains__(self, key: object, /) -> bool:
        """Whether a live entry exists; counts neither hit nor miss and does not refresh it."""
    def __len__(self) -> int:
        """Entries held, expired ones not yet removed included."""
    def __iter__(self) -> Iterator[_K]:
        """The live keys of a snapshot; under LRU the least recently used first."""
    def begin(self, key: _K, /) -> int:
        """Note the start of a load of `key`; pass the token to `fill`."""
    def begin_many(self, keys: Iterable[_K], /) -> list[int]:
        """As `begin`, of each key in turn."""
    def is_current(self, key: _K, token: int, /) -> bool:
        """Whether nothing was invalidated or announced of `key` since `begin` gave the token.

        Beyond the horizon that is not known, and so it is not.
        """
    def fill(
        self,
        key: _K,
        value: _V,
        token: int,
        /,
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
        snapshot: bytes | None = None,
        standby: bool = False,
        early_s: float = 0.0,
    ) -> bool:
        """Store a loaded value unless its data changed since; whether it was stored.

        It is refused if its key, one of its tags or everything was invalidated since `begin`, and
        if a transaction announced for its key is not settled in `snapshot`. A value that weighs
        more than `maxsize` is not stored either.

        Args:
            key: What was loaded.
            value: What the load came to.
            token: From `begin`, before the load.
            ttl_s: Seconds this entry is fresh; replaces the cache's own.
            tags: As in `set`.
            snapshot: `pg_current_snapshot()` of the statement that read the value, in its binary
                form. Without one a value of an announced key is refused.
            standby: Whether a standby took the snapshot.
            early_s: Seconds before the end of its time from which on it counts as stale.

        Raises:
            ValueError: `snapshot` is not of that form, or `ttl_s` is out of range.
        """
    def fill_many(
        self, keys: list[_K], values: list[_V], tokens: list[int], ttls_s: list[float], /
    ) -> int:
        """As `fill`, of many without tags and snapshots; how many were stored.

        Args:
            keys: What was loaded.
            values: What each load came to.
            tokens: From `begin_many`, before the loads.
            ttls_s: Seconds that each entry is fresh.

        Raises:
            ValueError: The lists are not of one length, or seconds are out of range.
        """
    def get_or_load(
        self,
        key: _K,
        loader: Callable[[_K], _V],
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
        on_error: Literal["share", "retry"] = "share",
    ) -> _V:
        """The live value, or what `loader(key)` returns, which is kept.

        Threads that ask for the key meanwhile wait, with the interpreter free for others, and get
        the value of the one call. If the key is invalidated during the call, the waiters still get
        the value, but it is not kept; whoever asks after the invalidation loads anew. Stale values
        and remembered absence are as the cache's options say.

        Args:
            key: As in `get`.
            loader: Called while nothing is locked, so it may use the cache. None is a value.
            ttl_s: Seconds the loaded value is fresh; replaces the cache's own.
            tags: As in `set`, of the loaded value or the remembered absence.
            on_error: What waiters do when the loader of another thread raises: `share` raises the
                same exception in them too, `retry` lets one after another load the value itself.

        Raises:
            KeyError: It is remembered that there is nothing under the key.
            RuntimeError: The loader asked for the key that it loads, or threads wait for each
                other's loads in a circle. The loads of the others go on.
            tierline.errors.TimeoutError: The deadline of this context passed during another
                thread's load, which goes on.
        """
    def get_or_load_many(
        self,
        keys: Iterable[_K],
        loader: Callable[[list[_K]], Mapping[_K, _V]],
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
        on_error: Literal["share", "retry"] = "share",
    ) -> dict[_K, _V]:
        """The live values, with those that are missing from one call of `loader(missing_keys)`.

        Keys that another thread is loading, in whichever way, are not loaded again but waited for.
        What the loader's answer leaves out, the result leaves out too; the rest is as in
        `get_or_load`. The result's keys are in the order asked for.

        Raises:
            RuntimeError: As `get_or_load`.
            tierline.errors.TimeoutError: As `get_or_load`.
            TypeError: The loader's answer is no mapping.
        """
    def load_shared(self, key: _K, loader: Callable[[_K], _V], /) -> _V:
        """What `loader(key)` returns, called once for all threads that ask for the key meanwhile.

        Nothing is kept: the loader keeps what is to be kept, and a value that is there by the time
        it would be called is the answer. If it raises, the exception is its caller's alone, and one
        after another of the waiters loads. A load that would wait for itself is made alone.

        Raises:
            tierline.errors.TimeoutError: As `get_or_load`.
        """
    def invalidate(self, key: _K, /) -> bool:
        """Drop the entry and every load of it that has begun; whether a live entry was there.

        Keys share 1,024 marks, so a load of another key is refused now and then.
        """
    def invalidate_many(self, keys: Iterable[_K], /) -> int:
        """`invalidate` for each key; how many live entries were there."""
    def invalidate_tag(self, tag: str, /) -> None:
        """Drop every entry that carries a tag, and every load with it that has begun.

        Takes the same short time however many there are: they are no longer served from now on,
        and leave when they are next met.
        """
    def invalidate_all(self) -> int:
        """Drop every entry and every load that has begun; how many entries were there."""
    def announce(self, key: _K, xid: int, /) -> bool:
        """Tell that a PostgreSQL transaction changes a key; whether an entry was dropped.

        An entry stays if the snapshot that it was filled with settles the transaction: it includes
        the change. For `floor_s` seconds `fill` accepts no value of the key that does not.

        Args:
            key: What changes.
            xid: The top-level transaction, as `pg_current_xact_id()` gives it.
        """
    def announce_all(self, xid: int, /) -> int:
        """`announce` for every key; how many entries were dropped. Takes time for each entry."""
    def serve_until(self, monotonic_s: float | None, /) -> None:
        """Serve nothing from this moment of `time.monotonic()` on; None for no such horizon.

        Entries stay and are served again when the horizon moves on. Exact to a tick of the coarse
        clock, on the early side.
        """
    @overload
    def reader(self, loader: Callable[[_K], _V], with_options: _F, /) -> _F: ...
    @overload
    def reader(
        self, loader: Callable[[_K], _V], with_options: None = None, /
    ) -> Callable[[_K], _V]:
        """A native function: the cached value on a hit, else whatever `loader(key)` returns.

        The loader fills the cache itself (`begin`, then `fill`), or does not.
        A hit runs no Python bytecode. Called with options by name, it is `with_options`.
        """
    def hottest(self, count: int, /) -> list[_K]:
        """The keys that are asked for most, the hottest first; for warming another cache.

        By what the policy knows: under `s3fifo` the frequency, which counts to two, then who would
        have to go last; under `lru` who was used last. Takes time for each entry.
        """
    def stale(self, key: _K, /) -> tuple[_V, float, bool] | None:
        """The value that is kept although it is not fresh; None if there is none.

        With it come the seconds since the end of its time, negative if it was stored with `early_s`
        and only its early end has come, and whether it is time for another try to load it.
        """
    def hold_off(self, key: _K, /) -> None:
        """Leave a stale entry as it is for `retry_s`."""
    def refuse_loads(self, key: _K, /) -> None:
        """Refuse every fill of a load of `key` that has begun; what is kept stays."""
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
    def reconsider(self, key: Any, /) -> tuple[Any, bool] | None:
        """After a miss: the stale result that will do all the same; the miss becomes a hit.

        With it comes whether the caller is to load another.
        """
    def rescue(self, key: Any, answers: bool, /) -> tuple[Any] | None:
        """The result that may stand in for a load that failed; none is tried for a while.

        If `answers`, as opposed to a load that nobody waits for, it is counted.
        """
    def count_load(self, ok: bool, elapsed_ns: int, /) -> None:
        """Count a load that was made elsewhere: how it ended and the nanoseconds it took."""
    def __reduce__(self) -> str: ...
    def __copy__(self) -> Memo: ...
    def __deepcopy__(self, memo: Any) -> Memo: ...

def advance_clock(seconds: float, /) -> None:
    """Move the clock by which the caches of this process tell time ahead: for tests of expiry.

    Raises:
        ValueError: Neither 0 nor finite and at least 0.001.
    """

@final
class FrameKeys:
    """Keys for AES-256-GCM that L2 frames are encrypted with.

    Args:
        current: The id of the key for new frames.
        keys: 32 bytes by id.

    Raises:
        ValueError: An id has not 1 to 255 bytes, a key not 32, or `current` is none of them.
    """

    def __new__(cls, current: str, keys: dict[str, bytes]) -> FrameKeys: ...

@final
class FrameReader:
    """How the frames of one table become values that a cache keeps.

    Args:
        fingerprint: As in `unpack_frame`.
        decode: Makes a value of a payload.
        undecodable: What it raises of bytes that are none of ours: they are no value.
        holder: The class of what is kept.
        slot: The attribute in which an instance holds a value. Its own `__new__` and `__init__` are
            not called.
        keys: As in `unpack_frame`.
    """

    def __new__(
        cls,
        fingerprint: int,
        decode: Callable[[bytes], Any],
        *,
        undecodable: tuple[type[Exception], ...],
        holder: type[Any],
        slot: str,
        keys: FrameKeys | None = None,
    ) -> FrameReader: ...
    def take(
        self,
        cache: Cache[Any, Any],
        into: dict[Any, Any],
        keys: list[Any],
        tokens: list[int],
        names: list[str],
        frames: list[bytes | None],
        /,
        *,
        beginning: str,
        now_s: float,
        ttl_s: float,
        rest_s: float,
    ) -> int:
        """Fill a cache with what frames hold; how many there are.

        Args:
            cache: What keeps an instance of the holder for each value, as `fill` would.
            into: Where each value is put, whether it is kept or not.
            keys: Under which.
            tokens: From `begin`.
            names: The place of each frame is the beginning and its name.
            frames: None where there is none.
            beginning: Of every place.
            now_s: Unix seconds now.
            ttl_s: Seconds that a value is good for; one written later than now is new.
            rest_s: Seconds that it is kept at most.
        """

def pack_frame(
    payload: bytes,
    /,
    *,
    fingerprint: int,
    written_at_ms: int,
    place: str = "",
    compress_from: int | None = None,
    keys: FrameKeys | None = None,
) -> bytes:
    """Put a payload into an L2 frame.

    Args:
        payload: The encoded entity.
        fingerprint: 64-bit fingerprint of the schema it was encoded with.
        written_at_ms: Unix time in milliseconds, by which readers bound its age themselves.
        place: What the frame is bound to: where it is kept.
        compress_from: Payloads of so many bytes are compressed, if that makes them shorter.
        keys: Encrypts it.
    """

def unpack_frame(
    frame: bytes, /, *, fingerprint: int, place: str = "", keys: FrameKeys | None = None
) -> tuple[bytes, int] | None:
    """The payload and `written_at_ms` of a frame.

    None for any other bytes: not ours, torn, of another place, schema, version or flags, or not
    encrypted by one of the keys. Without keys the frame's checksum tells accidents, not forgeries
    by someone who can write to Redis.
    """

def unpack_frames(
    frames: list[bytes | None],
    names: list[str],
    /,
    *,
    fingerprint: int,
    beginning: str,
    now_s: float,
    ttl_s: float,
    keys: FrameKeys | None = None,
) -> tuple[list[bytes | None], list[float]]:
    """The payloads of many frames, and the seconds that each is still good for.

    Args:
        frames: None where there is none.
        names: The place of each is the beginning and its name.
        fingerprint: As in `unpack_frame`.
        beginning: Of every place.
        now_s: Unix seconds now.
        ttl_s: Seconds that a payload is good for; one that was written later than now is new.
        keys: As in `unpack_frame`.

    Returns:
        Lists as long as `frames`. What cannot be unpacked, or is too old, is None and 0.
    """

@final
class CopyEncoder:
    """Encodes tuples as rows of PostgreSQL's COPY BINARY format.

    Args:
        kinds: For each column `bool`, `int2`, `int4`, `int8`, `float8`, `numeric`, `text`, `bytea`,
            `jsonb` (from bytes), `uuid`, `date`, `timestamp`, `timestamptz` or `other`.
        encoders: For each column of kind `other`, a function from value to bytes; else None.
        entity: A class whose instances are rows too.
        names: The instances' attributes, one a column. For an Enum's member its value is written.

    Raises:
        ValueError: An unknown kind, or the arguments do not match.
    """

    def __new__(
        cls,
        kinds: Sequence[str],
        encoders: Sequence[Callable[[Any], bytes] | None],
        entity: type | None = None,
        names: Sequence[str] | None = None,
    ) -> CopyEncoder: ...
    def encode(self, rows: Sequence[Any], /) -> bytes:
        """The rows, tuples or entities, without the file's header and trailer.

        None is NULL in every column.

        Raises:
            TypeError: A value is not of its column's kind.
            OverflowError: A number that its column cannot hold, or a value of 1 GiB or more.
            ValueError: A row of another width.
        """

@final
class EntityChecker:
    """Finds the entities whose fields all surely fit, without running Python code for these.

    Args:
        entity: Their class.
        names: The fields that are looked at.
        kinds: For each field a kind, whether None fits, and two bounds: `int` and `float` with the
            least and the most, `text` and `bytes` with the least and the most length or None,
            `member` with an Enum's class, `literal` with a dict of values; without bounds `bool`,
            `decimal`, `uuid`, `instant`, `local`, `date`, `time` and `delta`.

    Raises:
        ValueError: An unknown kind, or arguments that do not match.
    """

    def __new__(
        cls,
        entity: type,
        names: Sequence[str],
        kinds: Sequence[tuple[str, bool, Any, Any]],
    ) -> EntityChecker: ...
    def unsure(self, entities: list[Any], /) -> list[int]:
        """The positions of the others: of another class, or with a field that may not fit."""

@final
class Libpq:
    """The functions by which results are read, of the libpq that psycopg uses.

    Args:
        result_class: psycopg's class of results; no others are read.
        addresses: Of `PQntuples`, `PQnfields`, `PQfformat`, `PQftype`, `PQgetlength`,
            `PQgetisnull` and `PQgetvalue`. They are called: wrong ones end the process.

    Raises:
        ValueError: An address is 0.
    """

    def __new__(cls, result_class: type, addresses: Sequence[int]) -> Libpq: ...
    def describe(self, result: Any, /) -> tuple[int, list[int]]:
        """How many rows a result has, and the object identifiers of its columns' types.

        Raises:
            TypeError: It is of another class.
            ValueError: It is cleared.
        """

_Column: TypeAlias = tuple[
    int,
    str,
    bool,
    Callable[[bytes], Any] | None,
    dict[Any, Any] | None,
    Callable[[Any], Any] | None,
]

@final
class RowDecoder:
    """Makes Python objects of a binary result's rows.

    Args:
        libpq: Reads the results.
        types: The object identifiers of all columns of the results.
        columns: The columns of a row in the order wanted, each as its position in the result, its
            kind, whether NULL is refused, a loader, choices, and a converter. A kind is `bool`,
            `int2`, `int4`, `int8`, `oid`, `float4`, `float8`, `numeric`, `text`, `bytea`, `json`
            and `jsonb` (as bytes), `uuid`, `date`, `time`, `timetz`, `timestamp`, `timestamptz`
            (in UTC), `interval`, or one of them with `[]`; `other` has a function from bytes as its
            loader. Choices are looked up in a dict, for an array item by item. What comes out
            passes through the converter.
        shape: `call` calls `into` with a row's values, `tuple` makes a tuple, `first` takes the
            first value.
        into: What is called.
        names: The last values are passed to it by these names.

    Raises:
        ValueError: An unknown kind or shape, or arguments that do not fit each other.
    """

    def __new__(
        cls,
        libpq: Libpq,
        types: Sequence[int],
        columns: Sequence[_Column],
        shape: Literal["call", "tuple", "first"],
        into: Callable[..., Any] | None = None,
        names: tuple[str, ...] | None = None,
    ) -> RowDecoder: ...
    def decode(self, result: Any, /) -> list[Any] | None:
        """What is made of each row; None if the result's columns are not binary of those types.

        Raises:
            TypeError: It is no result of psycopg's.
            ValueError: It is cleared, or a value has no Python form, or is a refused NULL.
            KeyError: A value is none of its choices.
        """
