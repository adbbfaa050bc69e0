"""The store: an open handle on all tiers."""

from tierline.cache.application import ApplicationCache
from tierline.cache.application_keys import CacheKey
from tierline.cache.spaces import CacheSpace
from tierline.store.batches import Batch, batch
from tierline.store.behind_values import DeadLetter, WriteBehindStats
from tierline.store.coordination import (
    InDoubt,
    Recovery,
    distributed,
    distributed_setup,
    orphans,
    recover,
)
from tierline.store.hot_key_file import HotKeys, hot_keys
from tierline.store.loader import Deferred, Loader
from tierline.store.opening import connect, open, reads  # noqa: A004 (the field's word)
from tierline.store.pending_writes import PendingWrites
from tierline.store.stats import CachedQueryStats, Stats, TierStats
from tierline.store.store import Store
from tierline.store.streams import Stream
from tierline.store.transaction import Transaction
from tierline.store.warming import WarmReport

__all__ = [
    "ApplicationCache",
    "Batch",
    "CacheKey",
    "CacheSpace",
    "CachedQueryStats",
    "DeadLetter",
    "Deferred",
    "HotKeys",
    "InDoubt",
    "Loader",
    "PendingWrites",
    "Recovery",
    "Stats",
    "Store",
    "Stream",
    "TierStats",
    "Transaction",
    "WarmReport",
    "WriteBehindStats",
    "batch",
    "connect",
    "distributed",
    "distributed_setup",
    "hot_keys",
    "open",
    "orphans",
    "reads",
    "recover",
]
