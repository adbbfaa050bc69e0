"""The cache performer: L1 in the Rust core, L2 in Redis, and what keeps them right.

The package itself imports no driver: `tierline.cache.redis` does.
"""

from tierline.cache.encryption import EncryptionKeys
from tierline.cache.functions import CachedFunction, CachedMethod, CacheInfo, cached
from tierline.cache.queries import CachedQuery, cached_query
from tierline.cache.strategy import ReadThrough, read_through

__all__ = [
    "CacheInfo",
    "CachedFunction",
    "CachedMethod",
    "CachedQuery",
    "EncryptionKeys",
    "ReadThrough",
    "cached",
    "cached_query",
    "read_through",
]
