"""The cache performer: L1 in the Rust core, L2 in Redis, and what keeps them right."""

from tierline.cache.redis import RedisTier
from tierline.cache.strategy import ReadThrough, read_through
from tierline.cache.tables import Caches, TableCache

__all__ = ["Caches", "ReadThrough", "RedisTier", "TableCache", "read_through"]
