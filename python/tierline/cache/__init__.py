"""The cache performer: L1 in the Rust core, L2 in Redis, and what keeps them right.

The package itself imports no driver: `tierline.cache.redis` does.
"""

from tierline.cache.encryption import EncryptionKeys
from tierline.cache.functions import CachedFunction, CachedMethod, CacheInfo, cached
from tierline.cache.queries import CachedQuery, cached_query
from tierline.cache.strategy import ReadThrough, read_through
from tierline.cache.write_strategies import (
    CacheAside,
    Strategy,
    WriteBehind,
    WriteThrough,
    cache_aside,
    write_behind,
    write_through,
)

__all__ = [
    "CacheAside",
    "CacheInfo",
    "CachedFunction",
    "CachedMethod",
    "CachedQuery",
    "EncryptionKeys",
    "ReadThrough",
    "Strategy",
    "WriteBehind",
    "WriteThrough",
    "cache_aside",
    "cached",
    "cached_query",
    "read_through",
    "write_behind",
    "write_through",
]
