"""The store: an open handle on all tiers."""

from tierline.store.batches import Batch, batch
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
from tierline.store.stats import CachedQueryStats, Stats, TierStats
from tierline.store.store import Store
from tierline.store.streams import Stream
from tierline.store.transaction import Transaction
from tierline.store.warming import WarmReport

__all__ = [
    "Batch",
    "CachedQueryStats",
    "Deferred",
    "HotKeys",
    "InDoubt",
    "Loader",
    "Recovery",
    "Stats",
    "Store",
    "Stream",
    "TierStats",
    "Transaction",
    "WarmReport",
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
