"""`store.cache.space`: values of one type under keys of the application's own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, Generic, TypeVar, cast, is_typeddict

import msgspec
from returns.result import Failure, Success

from tierline._core import CacheStats
from tierline.cache.application_keys import CacheKey, l1_key
from tierline.cache.shelves import Shelf
from tierline.cache.strategy import check_ttl_s

V = TypeVar("V")
K = TypeVar("K", bound=CacheKey)
E = TypeVar("E", bound=Exception)

MAX_ENTRIES: Final = 10_000
TTL_S: Final = 60.0


class _NotLoadedError(Exception):
    """The loader answered with a Failure, which is nobody's to keep."""

    def __init__(self, failure: Failure[Any]) -> None:
        super().__init__()
        self.failure = failure


class CacheSpace(Generic[V]):
    """Values of one type under keys of the application's own; made by `store.cache.space`.

    Values are shared, not copied: do not change them. Redis, where there is one, keeps what a
    restart or another process is to find; while it is away, or slow, L1 and the loaders answer.

    Args:
        shelf: Where they are kept.
        into: Their type.
    """

    def __init__(self, shelf: Shelf, into: type[V]) -> None:
        self._shelf = shelf
        self._into = into
        self._classes = _classes(into)
        value: Any = Any if into is object else into
        # Life, tags and value, as `Shelf` writes them.
        parts = (float, list[tuple[str, bytes]], value)
        self._decode = msgspec.msgpack.Decoder(tuple.__class_getitem__(parts)).decode

    @property
    def name(self) -> str:
        """What tells it from other spaces."""
        return self._shelf.name

    @property
    def max_entries(self) -> int:
        """The most values in L1."""
        return self._shelf.max_entries

    def get(self, key: CacheKey, /) -> V | None:
        """The value of a key, or None.

        Raises:
            TypeError: The key is none.
        """
        kept = self._shelf.get(key, self._decode)
        return None if kept is None else kept.value

    def put(
        self, key: CacheKey, value: V, /, *, ttl_s: float | None = None, tags: Iterable[str] = ()
    ) -> None:
        """Keep a value; what is being loaded for the key meanwhile is not kept.

        Args:
            key: Under which to keep it.
            value: What to keep.
            ttl_s: Seconds that it is kept; the space's own if None.
            tags: Labels by which `store.cache.invalidate_tag` finds it.

        Raises:
            TypeError: The key, the value or a tag is of another type.
            ValueError: `ttl_s` is out of range.
        """
        self._check(value)
        self._shelf.put(key, value, *self._terms(ttl_s, tags))

    def get_or_load(
        self,
        key: K,
        loader: Callable[[K], V],
        /,
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
    ) -> V:
        """The value of a key, or what `loader(key)` returns, which is kept.

        Threads that ask for the key meanwhile wait for the one call. What the loader raises is
        raised in all of them.

        Args:
            key: Under which to keep it.
            loader: Makes the value.
            ttl_s: Seconds that it is kept, from before the load; the space's own if None.
            tags: As for `put`.

        Raises:
            TypeError: The key, the loaded value or a tag is of another type.
            ValueError: `ttl_s` is out of range.

        Example:
            ``airports.get_or_load("JFK", fetch_airport)``
        """

        def load() -> V:
            value = loader(key)
            self._check(value)
            return value

        return cast("V", self._load(key, load, ttl_s, tags))

    def get_or_fetch(
        self,
        key: K,
        loader: Callable[[K], Success[V] | Failure[E]],
        /,
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
    ) -> Success[V] | Failure[E]:
        """As `get_or_load`, with a loader that answers with a Result; a Failure is not kept.

        Example:
            ``airports.get_or_fetch("JFK", repository.get_by_id)``
        """

        def load() -> V:
            result = loader(key)
            if isinstance(result, Failure):
                raise _NotLoadedError(result)
            value = result.unwrap()
            self._check(value)
            return value

        try:
            return Success(cast("V", self._load(key, load, ttl_s, tags)))
        except _NotLoadedError as error:
            return error.failure

    def invalidate(self, *keys: CacheKey) -> None:
        """Forget the values of keys, and every load of them that has begun."""
        self._shelf.invalidate(keys)

    def forget(self, key: CacheKey, /) -> bool:
        """`invalidate` a key; whether L1 had a value of it."""
        held = l1_key(key) in self._shelf.l1
        self._shelf.invalidate([key])
        return held

    def clear(self) -> None:
        """Forget every value of the space; in Redis this looks through its keys."""
        self._shelf.clear()

    def stats(self) -> CacheStats:
        """The counters of its L1."""
        return self._shelf.l1.stats()

    def _load(
        self, key: CacheKey, load: Callable[[], V], ttl_s: float | None, tags: Iterable[str]
    ) -> object:
        return self._shelf.load(key, self._decode, load, *self._terms(ttl_s, tags)).value

    def _terms(self, ttl_s: float | None, tags: Iterable[str]) -> tuple[float, tuple[str, ...]]:
        life_s = self._shelf.ttl_s if ttl_s is None else check_ttl_s(ttl_s)
        return life_s, tags_of(tags) if tags else ()

    def _check(self, value: object) -> None:
        if self._classes and not isinstance(value, self._classes):
            raise TypeError(
                f"space {self.name!r} keeps {type_name(self._into)}, not {type(value).__name__}"
            )

    def __repr__(self) -> str:
        return f"<CacheSpace {self.name!r} of {type_name(self._into)}>"


def _classes(into: object) -> tuple[type, ...]:
    """The classes of which a value is an instance; none where that cannot be asked."""
    if not isinstance(into, type) or is_typeddict(into):
        return ()
    # An int is a float to type checkers.
    return (float, int) if into is float else (into,)


def type_name(into: object) -> str:
    """How a type is written."""
    return into.__name__ if isinstance(into, type) else repr(into)


def tags_of(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags, each once.

    Raises:
        TypeError: One is no text, or they are one text.
    """
    if isinstance(tags, str):
        raise TypeError(f"tags is several texts, such as [{tags!r}], not one")
    found = tuple(dict.fromkeys(cast("Iterable[Hashable]", tags)))
    for tag in found:
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}")
    return cast("tuple[str, ...]", found)
