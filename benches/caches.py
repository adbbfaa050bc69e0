"""The caches that compete: how each is made, filled and asked."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from measure import fresh
from tierline import Cache
from workload import OURS
from world import installed

VALUE = "value"

Loop = Callable[[], object]
Keys = Sequence[Hashable]


@dataclass(frozen=True)
class Kind:
    """One library's cache.

    Attributes:
        package: What must be installed.
        make: From the most entries and the seconds they live, or None, to a cache.
        assigns: Whether it is written by `cache[key] = value` and read by `cache[key]`; the others
            have `set` and `get`.
    """

    package: str
    make: Callable[[int, float | None], Any]
    assigns: bool = True

    def reads(self, cache: Any, keys: Keys) -> Loop:
        """Look up every key once."""
        return partial(fresh(_get_each), cache, keys)

    def reads_items(self, cache: Any, keys: Keys) -> Loop:
        """Look up every key once by `cache[key]`."""
        assert self.assigns, "the cache has no `[]`"
        return partial(fresh(_item_each), cache, keys)

    def writes(self, cache: Any, keys: Keys, ttl_s: float | None) -> Loop:
        """Store every key once."""
        if self.assigns:
            return partial(fresh(_assign_each), cache, keys)
        if self.package == "theine" and ttl_s is not None:
            return partial(fresh(_set_each_for), cache, keys, timedelta(seconds=ttl_s))
        return partial(fresh(_set_each), cache, keys)

    def value(self, cache: Any, key: Hashable) -> object:
        """What is kept under a key, or None."""
        found = cache.get(key)
        return found[0] if self.package == "theine" else found


def _get_each(cache: Any, keys: Keys) -> None:
    for key in keys:
        cache.get(key)


def _item_each(cache: Any, keys: Keys) -> None:
    for key in keys:
        cache[key]


def _assign_each(cache: Any, keys: Keys) -> None:
    for key in keys:
        cache[key] = VALUE


def _set_each(cache: Any, keys: Keys) -> None:
    for key in keys:
        cache.set(key, VALUE)


def _set_each_for(cache: Any, keys: Keys, ttl: timedelta) -> None:
    for key in keys:
        cache.set(key, VALUE, ttl)


def _cachebox(maxsize: int, ttl_s: float | None) -> Any:
    cachebox = importlib.import_module("cachebox")
    return cachebox.LRUCache(maxsize) if ttl_s is None else cachebox.TTLCache(maxsize, ttl_s)


def _lru_dict(maxsize: int, _ttl_s: float | None) -> Any:
    return importlib.import_module("lru").LRU(maxsize)


def _moka(maxsize: int, ttl_s: float | None) -> Any:
    return importlib.import_module("moka_py").Moka(maxsize, ttl=ttl_s, policy="lru")


def _theine(maxsize: int, _ttl_s: float | None) -> Any:
    return importlib.import_module("theine").Cache(maxsize)


def _cachetools(maxsize: int, ttl_s: float | None) -> Any:
    cachetools = importlib.import_module("cachetools")
    return cachetools.LRUCache(maxsize) if ttl_s is None else cachetools.TTLCache(maxsize, ttl_s)


KINDS = {
    OURS: Kind("tierline", lambda maxsize, ttl_s: Cache(maxsize, ttl_s=ttl_s)),
    "dict": Kind("builtins", lambda _maxsize, _ttl_s: {}),
    "cachebox": Kind("cachebox", _cachebox),
    "lru-dict": Kind("lru", _lru_dict),
    "moka-py": Kind("moka_py", _moka, assigns=False),
    "theine": Kind("theine", _theine, assigns=False),
    "cachetools": Kind("cachetools", _cachetools),
}

PEERS = tuple(name for name in KINDS if name not in (OURS, "dict"))
"""The caches that budgets name; a `dict` bounds nothing and gives the figures their scale."""


def installed_kinds() -> dict[str, Kind]:
    """Those whose package is installed."""
    return {name: kind for name, kind in KINDS.items() if installed(kind.package)}
