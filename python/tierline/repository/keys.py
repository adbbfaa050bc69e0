"""The keys of many entities, worked out when somebody asks: without a cache nobody does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar, overload

K = TypeVar("K")


class LazyKeys(Sequence[K]):
    """The key of each entity of a batch, which does not change meanwhile."""

    def __init__(self, key_of: Callable[[Any], K], batch: Sequence[Any]) -> None:
        self._key_of = key_of
        self._batch = batch

    @cached_property
    def _keys(self) -> list[K]:
        return [self._key_of(entity) for entity in self._batch]

    @overload
    def __getitem__(self, position: int) -> K: ...
    @overload
    def __getitem__(self, position: slice) -> list[K]: ...
    def __getitem__(self, position: int | slice) -> K | list[K]:
        return self._keys[position]

    def __len__(self) -> int:
        return len(self._batch)
