"""Where two things that the cache does meet: absence and tags, statistics and refusals, and others."""

from __future__ import annotations

from typing import Any

import pytest

from tierline._core import Cache


def absent_unless(overtaken: bool, cache: Cache[str, int]) -> None:
    """Load nothing under "a" with a tag, which is invalidated meanwhile or not."""

    def load(_: str) -> int:
        if overtaken:
            cache.invalidate_tag("t")
        raise KeyError

    with pytest.raises(KeyError):
        cache.get_or_load("a", load, tags=["t"])


def absent_of_many_unless(overtaken: bool, cache: Cache[str, int]) -> None:
    def load(_: list[str]) -> dict[str, int]:
        if overtaken:
            cache.invalidate_tag("t")
        return {}

    assert cache.get_or_load_many(["a"], load, tags=["t"]) == {}


@pytest.mark.parametrize("load", [absent_unless, absent_of_many_unless])
def test_remembered_absence_has_the_tags_of_its_load(load: Any) -> None:
    cache: Cache[str, int] = Cache(10, negative_ttl_s=100)
    load(True, cache)
    assert cache.stats().refused_fills == 1
    load(False, cache)
    with pytest.raises(KeyError):
        cache.get_or_load("a", ord)
    cache.invalidate_tag("t")
    assert cache.get_or_load("a", ord) == 97
