"""`store.cache`: the application's own keys in L1, and in L2 where there is Redis."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar, cast

import msgspec
from returns.result import Failure, Success

from tierline._core import CacheStats
from tierline.cache.application_keys import CacheKey, tag_name
from tierline.cache.redis import RedisTier
from tierline.cache.shelves import Shelf
from tierline.cache.spaces import MAX_ENTRIES, TTL_S, CacheSpace, type_name
from tierline.cache.strategy import check_ttl_s

V = TypeVar("V")
K = TypeVar("K", bound=CacheKey)
E = TypeVar("E", bound=Exception)

_UNNAMED: Final = ""


class ApplicationCache:
    """The application's own cache; every store has one, as `store.cache`.

    `space` gives values of one type a place of their own. The verbs here keep values of any type
    side by side, for a minute unless told otherwise, and ask for the type at each read.

    No read or write of it fails because of Redis. What one process invalidates, others' L1 may
    serve until the value's time to live ends.

    Args:
        l2: The store's L2.
    """

    def __init__(self, l2: RedisTier | None) -> None:
        self._l2 = l2
        self._lock = threading.Lock()
        self._shelves: dict[str, tuple[Shelf, object]] = {}
        self._views: dict[Any, _View[Any]] = {}
        self._unnamed = self._made(_UNNAMED, TTL_S, MAX_ENTRIES, None)

    def space(
        self, name: str, into: type[V], /, *, ttl_s: float, max_entries: int = MAX_ENTRIES
    ) -> CacheSpace[V]:
        """A place for values of one type; the same one for the same arguments.

        Args:
            name: Tells it from other spaces, in Redis too.
            into: The type of its values: whatever msgspec encodes.
            ttl_s: Seconds that a value is kept unless `put` or `get_or_load` say otherwise.
            max_entries: The most values in L1; those asked for only once go first.

        Raises:
            TypeError: msgspec has no such type.
            ValueError: An argument is out of range, or the name is another space's.

        Example:
            ``store.cache.space("airports", Airport, ttl_s=3600)``
        """
        if not name:
            raise ValueError("a space has a name; store.cache itself is the one without")
        wanted = (check_ttl_s(ttl_s), _checked_entries(max_entries))
        with self._lock:
            known = self._shelves.get(name)
            if known is None:
                shelf = self._made(name, *wanted, into)
                space = CacheSpace(shelf, into)
                self._shelves[name] = (shelf, into)
                return space
        shelf, its_type = known
        if its_type != into or (shelf.ttl_s, shelf.max_entries) != wanted:
            raise ValueError(
                f"space {name!r} is one of {type_name(its_type)} with ttl_s={shelf.ttl_s} and "
                f"max_entries={shelf.max_entries} already; give this one another name"
            )
        return CacheSpace(shelf, into)

    def get(self, key: CacheKey, into: type[V], /) -> V | None:
        """The value of a key if it is of a type, or None.

        Raises:
            TypeError: The key is none, or msgspec has no such type.
        """
        return self._view(into).get(key)

    def put(
        self, key: CacheKey, value: object, /, *, ttl_s: float = TTL_S, tags: Iterable[str] = ()
    ) -> None:
        """Keep a value; arguments as for `CacheSpace.put`."""
        self._view(object).put(key, value, ttl_s=ttl_s, tags=tags)

    def get_or_load(
        self,
        key: K,
        into: type[V],
        loader: Callable[[K], V],
        /,
        *,
        ttl_s: float = TTL_S,
        tags: Iterable[str] = (),
    ) -> V:
        """The value of a key, or what `loader(key)` returns; as `CacheSpace.get_or_load`.

        Args:
            key: Under which to keep it.
            into: The value's type; a value of another type that is kept is replaced.
            loader: Makes the value.
            ttl_s: Seconds that it is kept, from before the load.
            tags: As for `put`.
        """
        return self._view(into).get_or_load(key, loader, ttl_s=ttl_s, tags=tags)

    def get_or_fetch(
        self,
        key: K,
        into: type[V],
        loader: Callable[[K], Success[V] | Failure[E]],
        /,
        *,
        ttl_s: float = TTL_S,
        tags: Iterable[str] = (),
    ) -> Success[V] | Failure[E]:
        """As `get_or_load`, with a loader that answers with a Result; a Failure is not kept."""
        return self._view(into).get_or_fetch(key, loader, ttl_s=ttl_s, tags=tags)

    def invalidate(self, *keys: CacheKey) -> None:
        """Forget the values of keys outside of spaces, and every load of them that has begun."""
        self._unnamed.invalidate(keys)

    def invalidate_tag(self, tag: str, /) -> None:
        """Forget every value that carries a tag, in whichever space, and every load with it.

        In Redis it takes the same short time however many there are.
        """
        name = tag_name(tag)
        if self._l2 is not None and name is not None:
            self._l2.invalidate([name])
        for shelf in self._all():
            shelf.l1.invalidate_tag(tag)

    def stats(self) -> dict[str, CacheStats]:
        """The counters of each space's L1; those of values outside of spaces under the name ``""``.

        Spaces that were not used yet are left out.
        """
        every = {shelf.name: shelf.l1.stats() for shelf in self._all()}
        return {name: stats for name, stats in every.items() if _is_used(stats)}

    def replace(self, name: str, into: type[V], ttl_s: float, max_entries: int) -> CacheSpace[V]:
        """As `space`, for values that are made in another way than before: they are forgotten."""
        shelf = self._made(name, check_ttl_s(ttl_s), _checked_entries(max_entries), into)
        space = CacheSpace(shelf, into)
        with self._lock:
            known = self._shelves.get(name)
            self._shelves[name] = (shelf, into)
        if known is not None:
            shelf.clear()
        return space

    def _made(self, name: str, ttl_s: float, max_entries: int, into: object) -> Shelf:
        fingerprint = 0 if into is None else _fingerprint(into)
        return Shelf(
            name, ttl_s=ttl_s, max_entries=max_entries, fingerprint=fingerprint, l2=self._l2
        )

    def _all(self) -> list[Shelf]:
        with self._lock:
            return [self._unnamed, *(shelf for shelf, _ in self._shelves.values())]

    def _view(self, into: type[V]) -> _View[V]:
        view = self._views.get(into)
        if view is None:
            view = self._views[into] = _View(self._unnamed, into)
        return cast("_View[V]", view)

    def __repr__(self) -> str:
        with self._lock:
            names = ", ".join(self._shelves)
        return f"<ApplicationCache: {names}>" if names else "<ApplicationCache>"


class _View(CacheSpace[V]):
    """Values of any type, taken for one: those of another are not there."""

    def get(self, key: CacheKey, /) -> V | None:
        """The value, if it is of the type."""
        value = super().get(key)
        if value is None or self._into is object or type(value) is self._into:
            return value
        try:
            return msgspec.convert(value, self._into)
        except msgspec.ValidationError:
            return None

    def _load(
        self, key: CacheKey, load: Callable[[], V], ttl_s: float | None, tags: Iterable[str]
    ) -> object:
        value = super()._load(key, load, ttl_s, tags)
        if self._into is object or type(value) is self._into:
            return value
        try:
            return msgspec.convert(value, self._into)
        except msgspec.ValidationError:
            # Another type's: it makes room.
            value = load()
            self.put(key, value, ttl_s=ttl_s, tags=tags)
            return value


def _checked_entries(max_entries: int) -> int:
    if max_entries < 1:
        raise ValueError(f"max_entries must be at least 1, not {max_entries!r}")
    return max_entries


def _is_used(stats: CacheStats) -> bool:
    return bool(stats.hits or stats.misses or stats.entries or stats.invalidations)


def _fingerprint(into: object) -> int:
    """Tells values of one type from those of another, or of the same type as it was before."""
    try:
        shape = msgspec.json.encode(msgspec.json.schema(into), order="deterministic")
    except TypeError:
        # JSON has no such keys, say; MessagePack may.
        shape = type_name(into).encode()
    return int.from_bytes(hashlib.blake2b(shape, digest_size=8).digest(), "big")
